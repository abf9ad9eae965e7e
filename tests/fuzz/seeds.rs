//! Makes the seeds. They are kept in `testdata/fuzz`; this writes them anew where a format has grown:
//! `cargo test --test fuzz seeds -- --ignored`.

use std::fs;
use std::path::Path;

use sealift::bundle::{Base, Bundle, Known, Preset, WriterOptions};
use sealift::codec::compression;
use sealift::codec::deflate::{Proof, prove};
use sealift::codec::number;
use sealift::codec::tarball::Writer;
use sealift::endpoint::{Origin, Silent};
use sealift::model::manifest::media;
use sealift::model::{Descriptor, Digest};
use sealift::operation::export;
use sealift::operation::gather::Wanted;
use sealift::trust::{Endorsement, SecretKey, Trust};

use crate::folder;
use crate::memory::{Memory, tar};

fn put(target: &str, name: &str, bytes: &[u8]) {
    fs::create_dir_all(folder(target)).unwrap();
    fs::write(folder(target).join(name), bytes).unwrap();
}

fn length(bytes: &[u8]) -> [u8; 2] {
    (bytes.len() as u16).to_le_bytes()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    std::io::Read::read_to_end(&mut compression::gzip(plain), &mut packed).unwrap();
    packed
}

fn words(seed: usize) -> Vec<u8> {
    (0..60).flat_map(|n| format!("{} is {};\n", n * seed, n * n).into_bytes()).collect()
}

fn files(seed: usize) -> Vec<u8> {
    tar(&[("etc/a".into(), words(seed)), ("bin/b".into(), words(7)), ("empty".into(), Vec::new())])
}

/// A small image of a gzip, a zstd and a plain layer.
fn images(seed: usize) -> Memory {
    let mut memory = Memory::default();
    let forms = [media::OCI_LAYER_GZIP, media::OCI_LAYER_ZSTD, media::OCI_LAYER];
    let layers: Vec<_> = forms.iter().map(|form| memory.layer(&files(seed), form)).collect();
    memory.image("h.example/app:1", "amd64", &layers);
    memory
}

struct Kiln {
    folder: tempfile::TempDir,
    key: std::path::PathBuf,
    trust: Trust,
}

impl Kiln {
    fn bake(&self, name: &str, memory: Memory, base: Option<Base>) -> std::path::PathBuf {
        let output = self.folder.path().join(name);
        let signer = SecretKey::load(&self.key, &mut || unreachable!("no passphrase")).unwrap();
        let request = export::Request {
            origins: vec![Origin::Source(Box::new(memory))],
            wanted: Wanted { platforms: Vec::new(), attachments: true },
            output: output.clone(),
            signers: vec![signer],
            writer: WriterOptions {
                created: 1_700_000_000,
                set: "0".repeat(32),
                threads: 1,
                preset: Preset::default(),
                temporary: self.folder.path().to_owned(),
                volume_size: None,
                imprint: false,
            },
            dating: sealift::operation::freshness::Dating::default(),
            recipients: None,
            base,
            resume: false,
            parity: None,
            temporary: self.folder.path(),
        };
        export::export(request, &Silent).unwrap();
        output
    }

    /// Manifest, index and the sealed form of a bundle as seeds.
    fn take_apart(&self, name: &str, path: &Path, sealed: &str) {
        let file = fs::read(path).unwrap();
        let bundle = Bundle::open(path).unwrap().authenticate(&self.trust).unwrap();
        let manifest = &bundle.contents().manifest;
        put("manifest", name, &manifest.to_bytes().unwrap());
        let stored = |offset: u64, size: u64| &file[offset as usize..][..size as usize];
        let index = zstd::decode_all(stored(manifest.index.data_offset(), manifest.index.size));
        let index = index.unwrap();
        let mut seed = vec![manifest.packs.len() as u8];
        for pack in &manifest.packs {
            seed.extend_from_slice(&(pack.content as u32).to_be_bytes()[1..]);
        }
        put("index", name, &[&seed[..], &index].concat());
        let mut seed = vec![manifest.packs.len() as u8];
        for (number, pack) in (0..).zip(&manifest.packs) {
            // One that has a prefix is not opened alone; any bytes of its length will do.
            let stored = stored(pack.data_offset(), pack.size);
            let content = if bundle.contents().index.prefix(number).is_empty() {
                zstd::decode_all(stored).unwrap()
            } else {
                vec![7; pack.content as usize]
            };
            seed.extend(length(&content));
            seed.extend(content);
        }
        seed.extend(length(&index));
        seed.extend(index);
        seed.extend(serde_json::to_vec(&manifest.images).unwrap());
        put("sealed", &format!("{sealed}-{name}"), &seed);
    }
}

#[test]
#[ignore = "it writes the seeds into testdata"]
fn seeds_of_bundles() {
    let folder = tempfile::tempdir().unwrap();
    let key = SecretKey::generate().unwrap();
    let trust = Trust::in_key(key.public(), "the test");
    let path = folder.path().join("key");
    let pem = key.to_pem(None).unwrap();
    sealift::codec::atomic::write_file(&path, 0o600, pem.as_bytes()).unwrap();
    let kiln = Kiln { folder, key: path, trust };
    let first = kiln.bake("first", images(3), None);
    put("bundle", "whole", &fs::read(&first).unwrap());
    kiln.take_apart("first", &first, "whole");
    let opened = Bundle::open(&first).unwrap().authenticate(&kiln.trust).unwrap();
    let receipt = kiln.folder.path().join("receipt");
    opened.write_receipt(&receipt).unwrap();
    put("bundle", "receipt", &fs::read(receipt).unwrap());
    let base = Base::new(&[Known::Bundle(std::sync::Arc::new(opened))]).unwrap();
    let delta = kiln.bake("delta", images(4), base);
    put("bundle", "delta", &fs::read(&delta).unwrap());
    kiln.take_apart("delta", &delta, "part");
}

fn layout(memory: &Memory, with_index: bool) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let mut digests: Vec<&Digest> = memory.blobs.keys().collect();
    digests.sort();
    for digest in digests {
        writer.bytes(&format!("blobs/sha256/{}", digest.hex()), &memory.blobs[digest]).unwrap();
    }
    if with_index {
        let mut root = memory.roots[0].descriptor.clone();
        let key = "org.opencontainers.image.ref.name".to_owned();
        root.annotations.insert(key, "h.example/app:1".to_owned());
        writer.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        writer.bytes("index.json", &sealift::model::graph::layout_index(&[root])).unwrap();
    }
    writer.finish().unwrap()
}

/// What `docker save` wrote for long: a folder for each layer, and links between them.
fn docker_save() -> Vec<u8> {
    let layer = files(3);
    let config = serde_json::json!({
        "os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer), Digest::of(&layer)]},
    })
    .to_string();
    let list = serde_json::json!([{
        "Config": "c.json", "RepoTags": ["h.example/app:1"], "Layers": ["a/layer.tar", "b/layer.tar"],
    }])
    .to_string();
    let mut builder = tar::Builder::new(Vec::new());
    let contents: [(&str, &[u8]); 4] = [
        ("a/layer.tar", &layer),
        ("a/VERSION", b"1.0"),
        ("c.json", config.as_bytes()),
        ("manifest.json", list.as_bytes()),
    ];
    for (name, content) in contents {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content).unwrap();
    }
    let mut link = tar::Header::new_ustar();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "b/layer.tar", "../a/layer.tar").unwrap();
    builder.into_inner().unwrap()
}

#[test]
#[ignore = "it writes the seeds into testdata"]
fn seeds_of_archives() {
    let memory = images(3);
    put("archive", "layout", &layout(&memory, true));
    put("archive", "layout-gzip", &gzip(&layout(&memory, true)));
    put("archive", "blobs-alone", &layout(&memory, false));
    put("archive", "docker", &docker_save());
    put("archive", "docker-gzip", &gzip(&docker_save()));
    put("archive", "docker-zstd", &zstd::encode_all(&docker_save()[..], 3).unwrap());

    put("tar", "plain", &files(3));
    put("tar", "links", &docker_save());
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    builder.append_data(&mut header, "long/".repeat(40), &b"abc"[..]).unwrap();
    builder
        .append_pax_extensions([("size", &b"5"[..]), ("path", b"p"), ("mtime", b"1.5")])
        .unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("p").unwrap();
    header.set_size(5);
    header.set_cksum();
    builder.append(&header, &b"12345"[..]).unwrap();
    put("tar", "names", &builder.into_inner().unwrap());
}

#[test]
#[ignore = "it writes the seeds into testdata"]
fn seeds_of_streams() {
    let plain = files(5);
    let mut stream = gzip(&plain);
    put("gzip_stream", "layer", &stream[10..stream.len() - 8]);
    put("gzip_stream", "stored", &[&[1, 3, 0, 0xfc, 0xff][..], b"abc"].concat());
    put("gzip_stream", "fixed", &[0x4b, 0x4c, 0x4a, 0x4e, 0x49, 0x4d, 0x03, 0x00]);
    for (name, cut) in [("engine", 0), ("corrected", 1)] {
        if cut > 0 {
            // No engine makes these: two members, the first of stored blocks.
            let small = [&stream[..10], &[1, 3, 0, 0xfc, 0xff], b"abc", &[0; 8]].concat();
            stream = [small, stream].concat();
        }
        let Proof::Exact { recipe, corrections, .. } =
            prove(&mut std::io::Cursor::new(&stream)).unwrap()
        else {
            panic!("{name} is not proved")
        };
        let recipe = recipe.to_bytes();
        let before: &[u8] = if cut > 0 { b"abc" } else { b"" };
        let seed =
            [&length(&recipe)[..], &length(&corrections), &recipe, &corrections, before, &plain];
        put("gzip_recipe", name, &seed.concat());
    }
}

/// A `trust.toml` with all that may stand there.
fn rules(pem: &str, revoked: &str) -> String {
    let public = pem.lines().nth(1).unwrap();
    format!(
        "threshold = 1\n[[key]]\nname = \"Anna\"\npublic = \"{public}\"\nstreams = [\"prod\"]\n\
         repositories = [\"registry.example/team/\", \"docker.io/library/nginx\"]\n\
         [[key]]\nid = \"{revoked}\"\nrevoked = 2026-10-01\nreason = \"stolen\"\n"
    )
}

#[test]
#[ignore = "it writes the seeds into testdata"]
fn seeds_of_texts() {
    let digest = Descriptor::of("", b"x").digest;
    for (name, text) in [
        ("short", "nginx".to_owned()),
        ("whole", format!("h.example:5000/a/b_c-d:1.2@{digest}")),
        ("digest", digest.to_string()),
        (
            "digest-512",
            Digest::from_bytes(sealift::model::Algorithm::Sha512, &[7; 64]).unwrap().to_string(),
        ),
        ("platform", "linux/arm64/v8:10.0.1".to_owned()),
        ("daemon", "docker-daemon:app:1".to_owned()),
        ("layout", "oci:folder:tag".to_owned()),
        ("archive", "docker-archive:file.tar:h.example/a:1".to_owned()),
        ("registry", "docker://registry.example:5000/prefix".to_owned()),
        ("numeric-host", "[::1]:5000/a".to_owned()),
    ] {
        put("reference", name, text.as_bytes());
    }
    for (name, text) in [
        (
            "bearer",
            "\0Bearer realm=\"https://auth.example/token\",service=\"r\",scope=\"repository:a:pull\"",
        ),
        (
            "several",
            "\0Negotiate YII==\nBasic realm=\"x\\\"y\", bearer Realm = https://h/t ,SERVICE=\"a,b\"",
        ),
        ("path", "\u{1}/v2/a/blobs/uploads/1?_state=x%3D"),
        ("absolute", "\u{1}https://h.example:8443/u"),
        ("lifted", "\u{1}http://h.example/u"),
        ("foreign", "\u{1}//evil.example/u"),
        ("user", "\u{1}https://u:p@h.example:8443/u"),
        ("numeric", "\u{1}https://[::1]:443/../u"),
    ] {
        put("registry", name, text.as_bytes());
    }
    let key = SecretKey::generate().unwrap().public();
    put("trust", "key", key.to_pem().unwrap().as_bytes());
    put("trust", "id", key.id().to_string().as_bytes());
    let signer = SecretKey::generate().unwrap();
    put(
        "trust",
        "rules",
        rules(&key.to_pem().unwrap(), &signer.public().id().to_string()).as_bytes(),
    );
    let endorsement = Endorsement::new(key, &signer, 1_700_000_000, true).unwrap();
    put("trust", "endorsement", endorsement.to_text().unwrap().as_bytes());
    put("trust", "weak", b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n");
}

#[test]
#[ignore = "it writes the seeds into testdata"]
fn seeds_of_parity() {
    for (name, set) in [("set", (0..16).collect()), ("files", Vec::new())] {
        let mut seed = b"sealift parity 1\n".to_vec();
        number::put(&mut seed, set.len() as u64);
        seed.extend::<Vec<u8>>(set);
        number::put(&mut seed, 4096);
        number::put(&mut seed, 2);
        for (length, name) in [(10_000, "app.001.sealift"), (5_000, "app.002.sealift")] {
            number::put(&mut seed, length);
            number::put(&mut seed, name.len() as u64);
            seed.extend_from_slice(name.as_bytes());
        }
        number::put(&mut seed, 2);
        for shard in 0..3 + 2 + 2 {
            seed.extend([shard; 40]);
        }
        put("parity", name, &seed);
    }
}
