//! Small images that really run, made on the spot without a network.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use sealift::codec::tarball::Writer;
use sealift::model::manifest::media;
use sealift::model::{Descriptor, Digest};

/// How the layers of an image are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    /// By an encoder that has no engine.
    Gzip,
    /// By Go's, as docker pushes it.
    GoGzip,
    Zstd,
}

/// An image or index: every blob, the root manifest among them.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) root: Descriptor,
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
    /// Digest of the configuration; `None` for an index.
    pub(crate) id: Option<Digest>,
    /// Layers as stored, base first.
    pub(crate) layers: Vec<Descriptor>,
    /// Their plain digests and lengths.
    pub(crate) plain: Vec<(Digest, u64)>,
}

/// A static program that prints the file `/message`, compiled once.
fn program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("say.c");
        let binary = folder.path().join("say");
        std::fs::write(
            &source,
            "#include <fcntl.h>\n#include <unistd.h>\n\
             int main(void) { char b[4096]; int f = open(\"/message\", O_RDONLY); long n;\n\
             if (f < 0) return 1;\n\
             while ((n = read(f, b, sizeof b)) > 0) if (write(1, b, n) != n) return 2;\n\
             return 0; }\n",
        )
        .unwrap();
        let status = Command::new("cc")
            .args(["-static", "-Os", "-s", "-o"])
            .arg(&binary)
            .arg(&source)
            .status()
            .expect("a C compiler is needed: install gcc and libc6-dev");
        assert!(status.success());
        std::fs::read(binary).unwrap()
    })
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A layer with these files; the program among them is executable.
pub(crate) fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(if path.starts_with("bin/") { 0o755 } else { 0o644 });
        header.set_mtime(0);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The lowest layer: the program and half a megabyte of noise.
pub(crate) fn base() -> Vec<u8> {
    layer(&[("bin/say", program()), ("noise", &noise(1, 512 << 10))])
}

/// An image that prints `message`: the base, a middle layer and one with the message.
pub(crate) fn image(message: &str, packing: Packing) -> Built {
    let top = layer(&[("message", message.as_bytes())]);
    let middle = layer(&[("middle", &noise(2, 64 << 10))]);
    image_of(&[base(), middle, top], packing, "amd64", message)
}

/// An image of plain layers.
pub(crate) fn image_of(
    plain: &[Vec<u8>],
    packing: Packing,
    architecture: &str,
    note: &str,
) -> Built {
    let diff_ids: Vec<Digest> = plain.iter().map(|layer| Digest::of(layer)).collect();
    let config = serde_json::json!({
        "architecture": architecture,
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["/bin/say"], "Labels": {"note": note}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": plain.iter().map(|_| serde_json::json!({"created_by": "test"})).collect::<Vec<_>>(),
    })
    .to_string()
    .into_bytes();
    let media_type = match packing {
        Packing::Plain => media::OCI_LAYER,
        Packing::Gzip | Packing::GoGzip => media::OCI_LAYER_GZIP,
        Packing::Zstd => media::OCI_LAYER_ZSTD,
    };
    let mut blobs = BTreeMap::new();
    let mut layers = Vec::new();
    for layer in plain {
        let packed = pack(layer, packing);
        let descriptor = Descriptor::of(media_type, &packed);
        blobs.insert(descriptor.digest, packed);
        layers.push(descriptor);
    }
    let config_descriptor = Descriptor::of(media::OCI_CONFIG, &config);
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media::OCI_MANIFEST,
        "config": config_descriptor,
        "layers": layers,
        "annotations": {"org.opencontainers.image.title": note},
    })
    .to_string()
    .into_bytes();
    let root = Descriptor::of(media::OCI_MANIFEST, &manifest);
    let id = config_descriptor.digest;
    blobs.insert(id, config);
    blobs.insert(root.digest, manifest);
    let plain = plain.iter().map(|layer| (Digest::of(layer), layer.len() as u64)).collect();
    Built { root, blobs, id: Some(id), layers, plain }
}

fn pack(plain: &[u8], packing: Packing) -> Vec<u8> {
    match packing {
        Packing::Plain => plain.to_vec(),
        Packing::Gzip => gzip(plain),
        Packing::GoGzip => go_gzip(plain),
        Packing::Zstd => zstd::encode_all(plain, 3).unwrap(),
    }
}

fn go_gzip(plain: &[u8]) -> Vec<u8> {
    use sealift::codec::deflate::{BitWriter, Engine, go::GoFlate};
    let mut encoder = GoFlate::new(-1).unwrap().begin();
    let mut out = BitWriter::default();
    encoder.write(plain, &mut out);
    encoder.finish(&mut out);
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    packed.extend(out.finish());
    packed.extend(crc.sum().to_le_bytes());
    packed.extend(crc.amount().to_le_bytes());
    packed
}

/// gzip, level 1.
pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// An index over images for several architectures.
pub(crate) fn index(children: &[(&str, &Built)]) -> Built {
    let mut blobs = BTreeMap::new();
    let mut manifests = Vec::new();
    let (mut layers, mut plain) = (Vec::new(), Vec::new());
    for (architecture, child) in children {
        let mut descriptor = child.root.clone();
        descriptor.platform = Some(format!("linux/{architecture}").parse().unwrap());
        manifests.push(descriptor);
        blobs.extend(child.blobs.clone());
        layers.extend(child.layers.clone());
        plain.extend(child.plain.clone());
    }
    let bytes = sealift::model::graph::layout_index(&manifests);
    let root = Descriptor::of(media::OCI_INDEX, &bytes);
    blobs.insert(root.digest, bytes);
    Built { root, blobs, id: None, layers, plain }
}

/// An image for amd64, which runs here, and one for arm64, which does not.
pub(crate) fn two_architectures(message: &str) -> Built {
    let here = image(message, Packing::Gzip);
    let other = layer(&[("bin/say", b"not for this machine")]);
    let there = image_of(&[other], Packing::Gzip, "arm64", message);
    index(&[("amd64", &here), ("arm64", &there)])
}

fn layout_entries(images: &[(&str, &Built)]) -> Vec<u8> {
    let entries: Vec<Descriptor> = images
        .iter()
        .map(|(name, built)| {
            let mut entry = built.root.clone();
            if !name.is_empty() {
                let key = "org.opencontainers.image.ref.name".to_owned();
                entry.annotations.insert(key, (*name).to_owned());
            }
            entry
        })
        .collect();
    sealift::model::graph::layout_index(&entries)
}

/// An OCI layout directory with these images; an empty name is none.
pub(crate) fn write_layout(folder: &Path, images: &[(&str, &Built)]) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(folder.join("index.json"), layout_entries(images)).unwrap();
    for (digest, bytes) in images.iter().flat_map(|(_, built)| &built.blobs) {
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
    }
}

/// The same as a tar, `index.json` last.
pub(crate) fn oci_archive(images: &[(&str, &Built)]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    tar.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let blobs: BTreeMap<_, _> = images.iter().flat_map(|(_, built)| &built.blobs).collect();
    for (digest, bytes) in blobs {
        tar.bytes(&format!("blobs/sha256/{}", digest.hex()), bytes).unwrap();
    }
    tar.bytes("index.json", &layout_entries(images)).unwrap();
    tar.finish().unwrap()
}

/// Everything that a reader gives.
pub(crate) fn all(mut reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}
