//! Sticks that fail: while they are written, while they are read, and for good.

use std::fs;
use std::path::Path;

use crate::medium::{Medium, names};
use crate::support::command::Run;
use crate::yard::{NAMES, Yard, tags};

/// Parts of a length at which something happens.
const PARTS: [u64; 5] = [0, 7, 50, 93, 100];

fn part(length: u64, percent: u64) -> u64 {
    (length * percent / 100).saturating_sub(1)
}

/// The run failed as a medium that fails makes it fail, and said so.
fn blames_the_medium(run: Run, stick: &Medium) -> String {
    assert!(matches!(run.code, Some(3 | 4)), "{run:?}");
    let said = run.stderr;
    let place = stick.path();
    assert!(said.contains(place.to_str().unwrap()), "it does not name the place: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn a_stick_that_fails_while_it_is_written_gets_no_bundle() {
    let yard = Yard::new();
    let length = yard.whole().len() as u64;
    for fault in ["write-error", "pulled", "dead"] {
        for percent in PARTS {
            let mut stick = Medium::stick(fault, part(length, percent));
            let run = Run::of(&mut yard.export_to(&stick.at("b.sealift")));
            blames_the_medium(run, &stick);
            assert!(!stick.behind().join("b.sealift").exists(), "{fault} at {percent} %");
            if fault == "write-error" {
                assert_eq!(names(&stick.behind()), [""; 0], "what was begun is taken away");
            }
            stick.plug("none", 0);
            Run::of(&mut yard.export_to(&stick.at("b.sealift"))).succeeds();
            assert!(fs::read(stick.behind().join("b.sealift")).unwrap() == yard.whole());
            assert_eq!(names(&stick.behind()), ["b.sealift"], "leftovers are taken away");
        }
    }
}

#[test]
fn a_stick_that_cannot_hold_so_long_a_file_is_told_of() {
    let yard = Yard::new();
    let stick = Medium::stick("largest", yard.whole().len() as u64 - 1);
    let said = blames_the_medium(Run::of(&mut yard.export_to(&stick.at("b.sealift"))), &stick);
    assert!(said.contains("too large") && said.contains("--volume-size"), "{said}");
    assert_eq!(names(&stick.behind()), [""; 0]);
}

/// What was in a layout before is still there and whole, and nothing of the new has a name.
fn untouched(layout: &Path) {
    assert_eq!(tags(layout), [NAMES[0]]);
    let left = names(&layout.join("blobs/sha256"));
    assert!(left.iter().all(|name| !name.contains("partial")), "{left:?}");
}

/// A layout with the first image.
fn half(yard: &Yard, layout: &str) {
    yard.import("whole.sealift", &format!("oci:{layout}"), ["--image", NAMES[0]]);
    untouched(&yard.path(layout));
}

#[test]
fn nothing_arrives_from_a_stick_that_fails_while_it_is_read() {
    let yard = Yard::new();
    let length = yard.whole().len() as u64;
    half(&yard, "layout");
    let mut stick = Medium::stick("none", 0);
    fs::copy(yard.path("whole.sealift"), stick.behind().join("b.sealift")).unwrap();
    for fault in ["read-error", "pulled", "dead", "read-short", "read-flip"] {
        for percent in PARTS {
            stick.plug(fault, part(length, percent));
            let bundle = stick.at("b.sealift");
            let verified = yard.sealift(["verify", "-q", &bundle]);
            if fault == "read-flip" {
                assert!(matches!(verified.code, Some(4 | 5 | 7)), "at {percent} %: {verified:?}");
            } else if fault == "read-short" && percent == 0 {
                // An empty file is no damaged bundle.
                verified.refused(7);
            } else {
                blames_the_medium(verified, &stick);
            }
            stick.plug(fault, part(length, percent));
            let imported = yard.sealift(["import", "-q", &bundle, "--to", "oci:layout"]);
            if imported.code == Some(0) {
                // What no image needs, as the README, is not read.
                assert!(
                    percent == 0 && fault == "read-flip" || percent > 90,
                    "{fault} at {percent} %"
                );
                assert_eq!(tags(&yard.path("layout")), NAMES);
                fs::remove_dir_all(yard.path("layout")).unwrap();
                half(&yard, "layout");
            } else {
                assert!(matches!(imported.code, Some(3..=5 | 7)), "{fault}: {imported:?}");
                untouched(&yard.path("layout"));
            }
        }
    }
    stick.plug("none", 0);
    yard.import(&stick.at("b.sealift"), "oci:layout", [""; 0]);
    assert_eq!(tags(&yard.path("layout")), NAMES);
}

#[test]
fn a_device_that_fails_under_ext4_is_told_from_a_damaged_bundle() {
    let yard = Yard::new();
    let medium = Medium::ext4(24 << 20);
    // Its content lies behind the tables of the file system.
    fs::write(medium.path().join("filler"), vec![1; 4 << 20]).unwrap();
    fs::copy(yard.path("whole.sealift"), medium.path().join("b.sealift")).unwrap();
    yard.sealift(["verify", "-q", &medium.at("b.sealift")]).succeeds();
    medium.cut(2 << 20);
    let said = blames_the_medium(yard.sealift(["verify", "-q", &medium.at("b.sealift")]), &medium);
    assert!(said.contains("error"), "{said}");
    let import = yard.sealift(["import", "-q", &medium.at("b.sealift"), "--to", "oci:layout"]);
    blames_the_medium(import, &medium);
    assert_eq!(tags(&yard.path("layout")), [""; 0]);
}
