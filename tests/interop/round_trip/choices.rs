//! What of the images is taken along, and under which name it arrives.

use std::collections::BTreeSet;

use sealift::model::Descriptor;
use serde_json::Value;

use super::{changes, fetched};
use crate::support::command::Station;
use crate::support::gallery::{self, Layer};
use crate::support::judge;
use crate::support::pictures::{Layout, push, raw};
use crate::support::registry::Registry;

/// A small image with a layer that no other seed has, put where `name` says.
fn put(registry: &Registry, name: &str, seed: u64) -> Descriptor {
    let layout = Layout::new();
    let layer = Layer::gzip(&layout, &gallery::tar_of_noise(seed, 40_000));
    let image = gallery::image(&layout, "amd64", &[layer]);
    let (repository, tag) = name.split_once(':').unwrap();
    layout.put(registry, repository, tag, &image);
    image
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn a_name_with_tag_and_digest_is_fetched_by_digest_and_keeps_its_tag() {
    let (from, to) = (Registry::start(), Registry::start());
    let old = put(&from, "app:1", 1);
    let new = put(&from, "app:1", 2);
    assert_ne!(old.digest, new.digest);
    let station = Station::new();
    let before = from.accesses().len();
    let name = format!("{}/app:1@{}", from.host(), old.digest);
    station.export("b.sealift", [&name]);
    let asked = from.accesses_since(before);
    assert!(asked.iter().all(|access| !access.path.ends_with("/manifests/1")), "{asked:?}");

    station.import("b.sealift", &to.host(), [""; 0]);
    assert_eq!(judge::tags(&to, "app"), names(["1"]));
    let arrived = raw(&format!("{}/app:1", to.host()));
    assert_eq!(arrived, raw(&format!("{}/app@{}", from.host(), old.digest)));

    // By digest alone there is no tag to keep.
    let to = Registry::start();
    station.export("d.sealift", [format!("{}/app@{}", from.host(), old.digest)]);
    station.import("d.sealift", &to.host(), [""; 0]);
    assert_eq!(raw(&format!("{}/app@{}", to.host(), old.digest)), arrived);
    let heads = to.accesses_since(0);
    assert!(
        heads.iter().all(|access| access.method != "PUT" || !access.path.ends_with("/manifests/1")),
        "{heads:?}"
    );
}

#[test]
fn platforms_travel_as_images_of_their_own() {
    let (from, to) = (Registry::start(), Registry::start());
    let pushed = push(&from, "team/app");
    let name = format!("{}/team/app:1", from.host());
    let index: Value = serde_json::from_slice(&raw(&name)).unwrap();
    let child = |n: usize| index["manifests"][n]["digest"].as_str().unwrap().to_owned();
    let station = Station::new();

    station.export("arm.sealift", ["--platform", "linux/arm64", &name]);
    let facts = station.sealift(["inspect", "arm.sealift", "--json"]).json();
    let images = facts["images"].as_array().unwrap();
    assert_eq!(images.len(), 1, "{facts}");
    assert_eq!(images[0]["name"], *name);
    assert_eq!(images[0]["digest"], child(1));
    assert_eq!(images[0]["fromIndex"], pushed.root.digest.to_string());
    assert_eq!(images[0]["platforms"], serde_json::json!(["linux/arm64"]));
    station.import("arm.sealift", &format!("{}/one", to.host()), [""; 0]);
    assert_eq!(judge::tags(&to, "one/team/app"), names(["1"]));
    let by_digest = |n: usize| raw(&format!("{}/team/app@{}", from.host(), child(n)));
    assert_eq!(raw(&format!("{}/one/team/app:1", to.host())), by_digest(1));

    let platforms = ["--platform", "linux/amd64", "--platform", "linux/arm64"];
    station.export("two.sealift", platforms.iter().chain([&&*name]));
    let run = station.sealift(["import", "two.sealift", "--to", &format!("{}/two", to.host())]);
    assert!(run.stderr.contains("each gets a tag of its own"), "{}", run.stderr);
    run.succeeds();
    assert_eq!(judge::tags(&to, "two/team/app"), names(["1-linux-amd64", "1-linux-arm64"]));
    for (n, tag) in ["1-linux-amd64", "1-linux-arm64"].iter().enumerate() {
        assert_eq!(raw(&format!("{}/two/team/app:{tag}", to.host())), by_digest(n), "{tag}");
    }

    // The same choice can be made on arrival.
    station.export("all.sealift", [&name]);
    station.import("all.sealift", &format!("{}/late", to.host()), ["--platform", "linux/amd64"]);
    assert_eq!(judge::tags(&to, "late/team/app"), names(["1"]));
    assert_eq!(raw(&format!("{}/late/team/app:1", to.host())), by_digest(0));
}

#[test]
fn one_image_of_many_is_brought_by_name_or_digest() {
    let from = Registry::start();
    put(&from, "one:1", 1);
    let two = put(&from, "two:1", 2);
    let station = Station::new();
    let name = |name: &str| format!("{}/{name}", from.host());
    station.export("b.sealift", [name("one:1"), name("two:1")]);
    for wish in [name("two:1"), two.digest.to_string(), two.digest.hex()[..12].to_owned()] {
        let to = Registry::start();
        station.import("b.sealift", &to.host(), ["--image", &wish]);
        assert_eq!(judge::repositories(&to), names(["two"]), "{wish}");
        assert_eq!(raw(&format!("{}/two:1", to.host())), raw(&name("two:1")));
    }
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let (from, to) = (Registry::start(), Registry::start());
    let pushed = push(&from, "team/app");
    let name = format!("{}/team/app:1", from.host());
    let station = Station::without_keys();
    let before = from.accesses().len();
    let said = station.sealift(["export", "--dry-run", &name]).succeeds();
    assert!(said.contains(&pushed.root.digest.to_string()), "{said}");
    assert!(said.contains("nothing was written"), "{said}");
    assert_eq!(std::fs::read_dir(station.home()).unwrap().count(), 1, "a folder for tmp alone");
    let layer = pushed.shared_layer.digest.to_string();
    assert!(!fetched(&from, before).contains_key(&layer), "layers are not needed to list them");

    let station = Station::new();
    station.export("b.sealift", [&name]);
    put(&to, "mirror/team/app:1", 5);
    let before = to.accesses_since(0).len();
    let arguments = ["import", "b.sealift", "--dry-run", "--to", &format!("{}/mirror", to.host())];
    let said = station.sealift(arguments).succeeds();
    let asked = to.accesses_since(before);
    assert!(!asked.is_empty());
    assert_eq!(changes(&asked), Vec::<&_>::new());
    let line = said.lines().find(|line| line.contains(&layer)).expect("the blob is listed");
    assert!(line.ends_with("send") && line.contains("mirror/team/app"), "{line}");
    assert!(said.contains("would move from"), "{said}");
    assert_eq!(judge::tags(&to, "mirror/team/app"), names(["1"]));

    let planned = station.sealift(arguments.iter().chain([&"--json"])).json();
    assert_eq!(planned["dryRun"], true);
    station.import("b.sealift", &format!("{}/mirror", to.host()), [""; 0]);
    let sent = to.accesses_since(before);
    let uploads = sent.iter().filter(|access| access.method == "PUT");
    let uploads = uploads.filter(|access| access.path.contains("/blobs/uploads/")).count();
    assert_eq!(planned["sent"]["blobs"], uploads, "what was announced is what was sent");
}

#[test]
fn attachments_can_be_left_behind() {
    let (from, to) = (Registry::start(), Registry::start());
    push(&from, "app");
    let station = Station::new();
    station.export("b.sealift", ["--no-attachments", &format!("{}/app:1", from.host())]);
    station.import("b.sealift", &to.host(), [""; 0]);
    assert_eq!(judge::tags(&to, "app"), names(["1"]));
}

#[test]
fn two_images_do_not_share_a_name_on_the_far_side() {
    let (from, other, to) = (Registry::start(), Registry::start(), Registry::start());
    put(&from, "app:1", 1);
    put(&other, "app:1", 2);
    let station = Station::new();
    station
        .export("b.sealift", [&from, &other].map(|registry| format!("{}/app:1", registry.host())));
    let told = station.sealift(["import", "b.sealift", "--to", &to.host()]).refused(2);
    for registry in [&from, &other] {
        assert!(told.contains(&format!("{}/app:1", registry.host())), "{told}");
    }
    assert_eq!(changes(&to.accesses_since(0)), Vec::<&_>::new());
    // Each alone has its place.
    let wish = format!("{}/app:1", other.host());
    station.import("b.sealift", &to.host(), ["--image", &wish]);
    assert_eq!(raw(&format!("{}/app:1", to.host())), raw(&wish));
}

#[test]
fn nobody_reading_is_no_failure() {
    let from = Registry::start();
    put(&from, "app:1", 1);
    let station = Station::new();
    station.export("b.sealift", [format!("{}/app:1", from.host())]);
    for command in ["inspect", "verify"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = station
            .program()
            .args([command, "-q", "b.sealift"])
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{command}");
    }
}
