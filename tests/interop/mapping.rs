//! Names at the target by rules, and what other programs make of them: docker, containerd and
//! skopeo read what `sealift map` writes.

mod pieces;
mod rules;

use sealift::model::Descriptor;
use serde_json::Value;

use crate::support::command::{Run, Station};
use crate::support::gallery::{self, Layer};
use crate::support::pictures::Layout;

/// An image with a layer that no other seed has.
fn image(layout: &Layout, seed: u64) -> Descriptor {
    let layer = Layer::gzip(layout, &gallery::tar_of_noise(seed, 40_000));
    gallery::image(layout, "amd64", &[layer])
}

/// Somebody who has a bundle `b.sealift` of images that are called so; no registry has to be there
/// for that.
fn bundle_of(names: &[&str]) -> Station {
    let station = Station::new();
    let mut layout = Layout::new();
    for (seed, name) in names.iter().enumerate() {
        let image = image(&layout, seed as u64);
        layout.name(name, &image);
    }
    station.export("b.sealift", [format!("oci:{}", layout.path().display())]);
    station
}

/// Names of the images, and the digests that they have.
fn listed(station: &Station) -> Vec<(String, String)> {
    let report = station.sealift(["inspect", "b.sealift", "--json"]).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let images = report["images"].as_array().unwrap().iter();
    images.map(|image| (text(&image["name"]), text(&image["digest"]))).collect()
}

/// Runs `sealift map` on the bundle.
fn map(station: &Station, to: &str, arguments: &[&str]) -> Run {
    Run::of(station.program().args(["map", "-q", "b.sealift", "--to", to]).args(arguments))
}
