//! Somebody's machine with images in a layout, and a bundle of them.

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::command::{Run, Station};
use crate::support::images::{self, Packing};

/// The machine, the images in `images` and the bundle `whole.sealift`.
pub(crate) struct Yard {
    station: Station,
}

impl Deref for Yard {
    type Target = Station;

    fn deref(&self) -> &Station {
        &self.station
    }
}

/// The names that the images have.
pub(crate) const NAMES: [&str; 2] = ["h.example/one:1", "h.example/two:2"];

impl Yard {
    pub(crate) fn new() -> Self {
        Self::with_layer(200 << 10)
    }

    /// With a gzip layer of so many bytes that do not compress, among others.
    pub(crate) fn with_layer(bytes: usize) -> Self {
        let station = Station::new();
        let layer = |seed, bytes| images::layer(&[("file", &images::noise(seed, bytes))]);
        let shared = layer(1, 100 << 10);
        let built = [
            images::image_of(&[shared.clone(), layer(2, bytes)], Packing::GoGzip, "amd64", "one"),
            images::image_of(&[shared, layer(3, 100 << 10)], Packing::Plain, "amd64", "two"),
        ];
        let named: Vec<_> = NAMES.into_iter().zip(&built).collect();
        images::write_layout(&station.path("images"), &named);
        let yard = Self { station };
        Run::of(&mut yard.export_to("whole.sealift")).succeeds();
        yard
    }

    /// An export of the images: the same file every time.
    pub(crate) fn export_to(&self, bundle: &str) -> Command {
        let mut command = self.program();
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        command.args(["export", "-q", "--force", "oci:images", "-o", bundle]);
        command
    }

    /// `sealift` at a time that is always the same.
    pub(crate) fn sealift_at_one_time<const N: usize>(&self, arguments: [&str; N]) -> Run {
        Run::of(self.program().env("SOURCE_DATE_EPOCH", "1700000000").args(arguments))
    }

    pub(crate) fn whole(&self) -> Vec<u8> {
        fs::read(self.path("whole.sealift")).unwrap()
    }
}

/// Every image that a layout names is whole: each manifest, configuration and layer lies under its
/// digest, byte for byte. Gives the names.
pub(crate) fn tags(layout: &Path) -> Vec<String> {
    let Ok(index) = fs::read(layout.join("index.json")) else { return Vec::new() };
    let index: Value = serde_json::from_slice(&index).expect("index.json is whole");
    let entries = index["manifests"].as_array().unwrap();
    let mut names: Vec<String> = entries
        .iter()
        .map(|entry| {
            resolves(layout, entry);
            let name = &entry["annotations"]["org.opencontainers.image.ref.name"];
            name.as_str().unwrap_or_default().to_owned()
        })
        .collect();
    names.sort();
    names
}

fn resolves(layout: &Path, descriptor: &Value) {
    let digest: sealift::model::Digest = descriptor["digest"].as_str().unwrap().parse().unwrap();
    let path = layout.join(format!("blobs/sha256/{}", digest.hex()));
    let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(sealift::model::Digest::of(&bytes), digest);
    if descriptor["mediaType"].as_str().unwrap().contains("manifest") {
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        resolves(layout, &manifest["config"]);
        for layer in manifest["layers"].as_array().unwrap() {
            resolves(layout, layer);
        }
    }
}
