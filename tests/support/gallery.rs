//! One image of every kind that registries hold, each in a repository of its own.

use std::fs;
use std::process::Command;

use sealift::model::manifest::media;
use sealift::model::{Descriptor, Digest};
use serde_json::json;

use super::pictures::{EMPTY_CONFIG, Layout, Pushed, noise, push};
use super::registry::{Registry, run};

/// What hangs in a registry, and what it was made of.
pub(crate) struct Gallery {
    pub(crate) layout: Layout,
    /// `team/app`: two platforms that share a layer, a signature and an artifact attached.
    pub(crate) attached: Pushed,
    /// The layers of `plain/ordinary`, of which `plain/sharing` has the first too.
    pub(crate) ordinary: Vec<Layer>,
}

/// Every name that there is to ask for, with what it is.
pub(crate) const NAMES: [&str; 11] = [
    "plain/ordinary:1",
    "plain/sharing:1",
    "team/app:1",
    "modern/zstd:1",
    "modern/attested:1",
    "charts/artifact:1",
    "legacy/schema2:1",
    "legacy/foreign:1",
    "odd/nothing:1",
    "odd/twice:1",
    "odd/deep:1",
];

impl Gallery {
    /// Fills a registry.
    pub(crate) fn hang(registry: &Registry) -> Self {
        let attached = push(registry, "team/app");
        let layout = Layout::new();
        let ordinary = ["usr/share/common-licenses", "usr/share/debconf", "usr/bin/bash"]
            .map(|path| Layer::gzip(&layout, &tar_of(path)))
            .to_vec();
        let put = |name: &str, root: &Descriptor| {
            let (repository, tag) = name.split_once(':').unwrap();
            layout.put(registry, repository, tag, root);
        };
        put("plain/ordinary:1", &image(&layout, "amd64", &ordinary));

        let own = Layer::gzip(&layout, &tar_of("usr/share/dpkg"));
        put("plain/sharing:1", &image(&layout, "amd64", &[ordinary[0].clone(), own.clone()]));

        let plain = tar_of("usr/share/common-licenses");
        put("modern/zstd:1", &image(&layout, "amd64", &[Layer::zstd(&layout, &plain)]));

        let built = image(&layout, "amd64", &ordinary[1..2]);
        let attestation = attestation(&layout, &built);
        put("modern/attested:1", &index(&layout, media::OCI_INDEX, &[built, attestation]));

        put("charts/artifact:1", &artifact(&layout));

        let old = [schema2(&layout, "amd64", &ordinary[..2]), schema2(&layout, "arm64", &[own])];
        put("legacy/schema2:1", &index(&layout, media::DOCKER_LIST, &old));

        put("legacy/foreign:1", &foreign(&layout, &ordinary[0]));

        put("odd/nothing:1", &image(&layout, "amd64", &[]));

        let layer = Layer::gzip(&layout, &tar_of("usr/share/common-licenses/GPL-2"));
        let empty = Layer::gzip(&layout, &[0; 1024]);
        put("odd/twice:1", &image(&layout, "amd64", &[layer.clone(), empty.clone(), layer, empty]));

        let inner = index(&layout, media::OCI_INDEX, &[image(&layout, "riscv64", &ordinary[..1])]);
        put("odd/deep:1", &index(&layout, media::OCI_INDEX, &[inner]));
        Self { layout, attached, ordinary }
    }

    /// The names as somebody who exports from this registry writes them.
    pub(crate) fn references(registry: &Registry) -> Vec<String> {
        NAMES.iter().map(|name| format!("{}/{name}", registry.host())).collect()
    }
}

/// A layer as it is stored, and the digest of its plain tar.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) stored: Descriptor,
    pub(crate) diff_id: Digest,
}

impl Layer {
    /// Compressed by gzip itself.
    pub(crate) fn gzip(layout: &Layout, tar: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer.tar");
        fs::write(&path, tar).unwrap();
        let bytes = run(Command::new("gzip").args(["--no-name", "--stdout"]).arg(path));
        Self { stored: layout.add(media::OCI_LAYER_GZIP, &bytes), diff_id: Digest::of(tar) }
    }

    /// As it is.
    pub(crate) fn plain(layout: &Layout, tar: &[u8]) -> Self {
        Self { stored: layout.add(media::OCI_LAYER, tar), diff_id: Digest::of(tar) }
    }

    fn zstd(layout: &Layout, tar: &[u8]) -> Self {
        let bytes = zstd::encode_all(tar, 3).unwrap();
        Self { stored: layout.add(media::OCI_LAYER_ZSTD, &bytes), diff_id: Digest::of(tar) }
    }
}

/// A tar of what this machine has there.
pub(crate) fn tar_of(path: &str) -> Vec<u8> {
    run(Command::new("tar")
        .args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--mtime=@0", "--directory=/", path]))
}

/// A tar with one file that nothing compresses.
pub(crate) fn tar_of_noise(seed: u64, length: usize) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(length as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "noise", &noise(seed, length)[..]).unwrap();
    builder.into_inner().unwrap()
}

/// An OCI image, described as an index describes it.
pub(crate) fn image(layout: &Layout, architecture: &str, layers: &[Layer]) -> Descriptor {
    let types = (media::OCI_CONFIG, media::OCI_MANIFEST);
    let stored: Vec<_> = layers.iter().map(|layer| layer.stored.clone()).collect();
    image_of(layout, architecture, types, layers, &stored)
}

/// The same in Docker's media types.
fn schema2(layout: &Layout, architecture: &str, layers: &[Layer]) -> Descriptor {
    let types = (media::DOCKER_CONFIG, media::DOCKER_MANIFEST);
    let stored: Vec<_> = layers
        .iter()
        .map(|layer| {
            let Descriptor { digest, size, .. } = layer.stored;
            Descriptor::new(media::DOCKER_LAYER_GZIP, digest, size)
        })
        .collect();
    image_of(layout, architecture, types, layers, &stored)
}

fn image_of(
    layout: &Layout,
    architecture: &str,
    (config_type, manifest_type): (&str, &str),
    layers: &[Layer],
    stored: &[Descriptor],
) -> Descriptor {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
    let config = json!({
        "os": "linux", "architecture": architecture, "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": manifest_type,
        "config": layout.add_json(config_type, &config), "layers": stored,
    });
    let mut descriptor = layout.add_json(manifest_type, &manifest);
    descriptor.platform = Some(format!("linux/{architecture}").parse().unwrap());
    descriptor
}

fn index(layout: &Layout, media_type: &str, children: &[Descriptor]) -> Descriptor {
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": children});
    layout.add_json(media_type, &index)
}

/// An image whose base is not at the registry, only the address of where it is.
fn foreign(layout: &Layout, own: &Layer) -> Descriptor {
    let tar = noise(77, 100);
    let kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let mut base = Descriptor::of(kind, &tar);
    base.urls = vec!["https://elsewhere.invalid/base".to_owned()];
    let Descriptor { digest, size, .. } = own.stored;
    let stored = [base, Descriptor::new(media::DOCKER_LAYER_GZIP, digest, size)];
    let base = Layer { stored: stored[0].clone(), diff_id: Digest::of(&tar) };
    let types = (media::DOCKER_CONFIG, media::DOCKER_MANIFEST);
    image_of(layout, "amd64", types, &[base, own.clone()], &stored)
}

/// What a builder says of how it built an image, in the manner of `BuildKit`: an entry of the index
/// that runs nowhere.
fn attestation(layout: &Layout, of: &Descriptor) -> Descriptor {
    let statement = layout.add("application/vnd.in-toto+json", br#"{"predicateType":"x"}"#);
    let mut descriptor =
        image_of(layout, "unknown", (media::OCI_CONFIG, media::OCI_MANIFEST), &[], &[statement]);
    descriptor.platform = Some("unknown/unknown".parse().unwrap());
    for (name, value) in [("type", "attestation-manifest"), ("digest", &of.digest.to_string())] {
        descriptor.annotations.insert(format!("vnd.docker.reference.{name}"), value.to_owned());
    }
    descriptor
}

/// What a chart, a policy or a model is in a registry.
fn artifact(layout: &Layout) -> Descriptor {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "artifactType": "application/vnd.example.chart",
        "config": layout.add(EMPTY_CONFIG, b"{}"),
        "layers": [layout.add("application/vnd.example.chart.text", b"name: chart\n")],
        "annotations": {"org.opencontainers.image.title": "chart \u{2014} \u{e9}"},
    });
    layout.add_json(media::OCI_MANIFEST, &manifest)
}
