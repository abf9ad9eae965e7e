//! Receipts of imports into real places: what was brought is read back there, and serves as the base
//! of the next delta, as far as it was brought.

use std::fs;

use sealift::transport::daemon::Endpoint;
use serde_json::Value;

use crate::support::command::{Run, Station};
use crate::support::dockerd::Dockerd;
use crate::support::gallery::{self, Layer};
use crate::support::pictures::{Layout, raw};
use crate::support::registry::Registry;

/// A registry with three images: two that share nothing, and a newer version of the first, which has all
/// of both and something of its own. Gives what they are called.
fn three(from: &Registry) -> [String; 3] {
    let layout = Layout::new();
    let layer = |seed, bytes| Layer::gzip(&layout, &gallery::tar_of_noise(seed, bytes));
    let (first, second, own) = (layer(1, 400_000), layer(2, 400_000), layer(3, 40_000));
    let images = [
        ("app", "1", gallery::image(&layout, "amd64", std::slice::from_ref(&first))),
        ("other", "1", gallery::image(&layout, "amd64", std::slice::from_ref(&second))),
        ("app", "2", gallery::image(&layout, "amd64", &[first, second, own])),
    ];
    images.map(|(name, tag, image)| {
        layout.put(from, name, tag, &image);
        format!("{}/{name}:{tag}", from.host())
    })
}

/// What a receipt says of an import.
fn import_of(station: &Station, receipt: &str) -> Value {
    station.sealift(["inspect", "-q", receipt, "--json"]).json()["import"].clone()
}

/// A receiver, who trusts the sender.
fn receiver(sender: &Station) -> Station {
    let receiver = Station::new();
    let trust = receiver.path(".config/sealift/trust/other.pub");
    fs::copy(sender.public_key(), trust).unwrap();
    receiver
}

#[test]
fn only_what_arrived_is_left_out_of_the_next_delta() {
    let (from, to) = (Registry::start(), Registry::start());
    let [a, b, c] = three(&from);
    let sender = Station::new();
    let far = receiver(&sender);
    sender.export("1.sealift", [&a, &b]);
    sender.sealift(["inspect", "1.sealift", "--receipt", "all.receipt"]).succeeds();
    fs::copy(sender.path("1.sealift"), far.path("1.sealift")).unwrap();

    // Of the bundle, one image is imported, and the receiver signs for it.
    let key = far.path(".config/sealift/signing.pem");
    let line = ["--image", &a, "--receipt", "part.receipt", "--sign-receipt"];
    let line = [&line[..], &[key.to_str().unwrap()]].concat();
    far.import("1.sealift", &to.host(), line);
    let import = import_of(&far, "part.receipt");
    let [image] = &import["images"].as_array().unwrap()[..] else { panic!("{import}") };
    assert_eq!(image["image"], a);
    let target = format!("{}/app:1", to.host());
    assert_eq!(image["target"], target);
    let there = sealift::model::Digest::of(&raw(&target)).to_string();
    assert_eq!((&image["readBack"], &image["already"]), (&there.clone().into(), &false.into()));
    assert_eq!(image["targetDigest"], there);
    assert_eq!(import["signatures"][0]["trusted"], true);
    // Once more: now it is there already.
    far.import("1.sealift", &to.host(), ["--image", &a, "--receipt", "again.receipt"]);
    let again = import_of(&far, "again.receipt");
    assert_eq!(again["images"][0]["already"], true);
    assert_eq!((&again["sent"]["blobs"], &again["blobs"]), (&0.into(), &import["blobs"]));
    assert_eq!(again["signatures"], Value::Array(Vec::new()));

    // Back at the sender: whoever signed for it must be known there.
    fs::copy(far.path("part.receipt"), sender.path("part.receipt")).unwrap();
    let export = |base: &str, bundle: &str| {
        sender.sealift(["export", "-q", &c, "--base", base, "-o", bundle])
    };
    let refused = export("part.receipt", "2.sealift").refused(5);
    assert!(refused.contains("says of an import is signed by"), "{refused}");
    fs::copy(far.public_key(), sender.path(".config/sealift/trust/far.pub")).unwrap();
    export("part.receipt", "2.sealift").succeeds();
    export("all.receipt", "bold.sealift").succeeds();
    let size = |name: &str| fs::metadata(sender.path(name)).unwrap().len();
    assert!(size("2.sealift") > 400_000 && size("2.sealift") < 600_000, "{}", size("2.sealift"));
    assert!(size("bold.sealift") < 200_000, "{}", size("bold.sealift"));

    // What was made by what arrived can be imported; what was made by what was sent cannot.
    for bundle in ["2.sealift", "bold.sealift"] {
        fs::copy(sender.path(bundle), far.path(bundle)).unwrap();
    }
    far.sealift(["import", "-q", "bold.sealift", "--to", &to.host()]).refused(4);
    far.import("2.sealift", &to.host(), ["--receipt", "2.receipt"]);
    assert_eq!(raw(&format!("{}/app:2", to.host())), raw(&c));
    far.sealift(["log", "--check"]).succeeds();
}

#[test]
fn a_receipt_that_was_changed_is_no_base() {
    let (from, to) = (Registry::start(), Registry::start());
    let [a, b, c] = three(&from);
    let station = Station::new();
    station.export("1.sealift", [&a, &b]);
    let key = station.path(".config/sealift/signing.pem");
    let key = key.to_str().unwrap();
    let signed = ["--receipt", "1.receipt", "--sign-receipt", key];
    station.import("1.sealift", &to.host(), signed);
    let bytes = fs::read(station.path("1.receipt")).unwrap();
    let place = to.host();
    let at = bytes.windows(place.len()).position(|part| part == place.as_bytes()).unwrap();
    let mut changed = bytes.clone();
    changed[at] ^= 1;
    fs::write(station.path("changed.receipt"), changed).unwrap();
    let line = ["export", "-q", &c, "-o", "2.sealift", "--base"];
    let refused = station.sealift([&line[..], &["changed.receipt"]].concat()).refused(5);
    assert!(refused.contains("does not fit"), "{refused}");
    station.sealift([&line[..], &["1.receipt"]].concat()).succeeds();
    // Nothing is written where it cannot be, and nothing is sent then.
    let before = to.accesses_since(0).len();
    let line = ["import", "-q", "1.sealift", "--to", &place, "--receipt"];
    station.sealift([&line[..], &["nowhere/1.receipt"]].concat()).refused(3);
    station.sealift([&line[..], &["1.receipt"]].concat()).refused(2);
    assert_eq!(to.accesses_since(before).len(), 0);
}

#[test]
fn a_daemon_is_read_back_too() {
    let (from, daemon) = (Registry::start(), Dockerd::start());
    let [a, ..] = three(&from);
    let sender = Station::new();
    sender.export("1.sealift", [&a]);
    let far = receiver(&sender);
    fs::copy(sender.path("1.sealift"), far.path("1.sealift")).unwrap();
    let Endpoint::Unix(socket) = daemon.endpoint() else { panic!("a socket") };
    let mut program = far.program();
    program.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    program.args(["import", "-q", "1.sealift", "--to", "docker-daemon:", "--receipt", "r"]);
    Run::of(&mut program).succeeds();
    let import = import_of(&far, "r");
    assert_eq!(import["images"][0]["readBack"], daemon.id(&a));
    // It keeps configuration and layer, and has no use for the manifest.
    let root = &import["images"][0]["digest"];
    let blobs = import["blobs"].as_array().unwrap();
    assert_eq!(blobs.len(), 2, "{import}");
    assert!(!blobs.contains(root), "{import}");
}
