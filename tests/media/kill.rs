//! kill -9 right before each system call that changes a file: what has a name is whole, the next run
//! completes what the killed one began, and nothing is left over.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::medium::names;
use crate::support::command::Run;
use crate::support::strike::{Strikes, WRITES};
use crate::yard::{NAMES, Yard, tags};

/// Kills at each step of what changes files, and calls `judge` after each kill.
fn at_every_step(what: &str, yard: &Yard, arguments: &[&str], judge: impl FnMut(&str)) {
    let given = |command: &mut Command| {
        command.args(arguments).env("SOURCE_DATE_EPOCH", "1700000000");
    };
    Strikes { what, station: yard, given: &given, calls: &WRITES, sparsely: 2 }
        .at_every_step(judge);
}

/// Everything in a folder and below, with what is in it.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for name in names(folder) {
        let path = folder.join(&name);
        if path.is_dir() {
            let below = contents(&path).into_iter();
            all.extend(below.map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            all.push((name, fs::read(path).unwrap()));
        }
    }
    all
}

#[test]
fn an_export_that_replaces_a_bundle() {
    let yard = Yard::with_layer(2 << 20);
    let whole = yard.whole();
    let bundle = yard.path("out/b.sealift");
    fs::create_dir(yard.path("out")).unwrap();
    let export = ["export", "-q", "--force", "oci:images", "-o", "out/b.sealift"];
    let mut old = false;
    at_every_step("export", &yard, &export, |step| {
        // Every other time there is something in its place.
        let found = fs::read(&bundle).ok();
        let is_old = old && found.as_deref() == Some(b"old");
        let fits = found.is_none() && !old || is_old || found.as_deref() == Some(&whole[..]);
        assert!(fits, "{step}: something half-done has a name");
        assert_eq!(names(&yard.temporary()), [""; 0], "{step}");
        yard.sealift(export).succeeds();
        assert_eq!(names(&yard.path("out")), ["b.sealift"], "{step}: leftovers");
        assert!(yard.sealift(["verify", "-q", "out/b.sealift"]).code == Some(0), "{step}");
        old = !old;
        fs::remove_file(&bundle).unwrap();
        if old {
            fs::write(&bundle, "old").unwrap();
        }
    });
}

#[test]
fn an_import_into_a_layout() {
    let yard = Yard::new();
    let half = || {
        let _ = fs::remove_dir_all(yard.path("layout"));
        yard.import("whole.sealift", "oci:layout", ["--image", NAMES[0]]);
    };
    yard.import("whole.sealift", "oci:straight", [""; 0]);
    let straight = contents(&yard.path("straight"));
    half();
    let import = ["import", "-q", "whole.sealift", "--to", "oci:layout"];
    at_every_step("import into a layout", &yard, &import, |step| {
        let tags = tags(&yard.path("layout"));
        assert!(tags == NAMES || tags == [NAMES[0]], "{step}: {tags:?}");
        yard.sealift(import).succeeds();
        let there = contents(&yard.path("layout"));
        let found: Vec<_> = there.iter().map(|(name, _)| name).collect();
        let expected: Vec<_> = straight.iter().map(|(name, _)| name).collect();
        assert_eq!(found, expected, "{step}: leftovers");
        // The index lists the images in the order in which they came.
        let blobs = |all: &[(String, Vec<u8>)]| -> Vec<(String, Vec<u8>)> {
            all.iter().filter(|(name, _)| name != "index.json").cloned().collect()
        };
        assert!(blobs(&there) == blobs(&straight), "{step}");
        assert_eq!(crate::yard::tags(&yard.path("layout")), NAMES, "{step}");
        let third = Run::of(yard.program().args(import)).succeeds();
        assert!(third.contains("sent 0 blobs"), "{step}: a third run sends something: {third}");
        half();
    });
}

#[test]
fn an_import_into_an_archive() {
    let yard = Yard::new();
    fs::create_dir(yard.path("out")).unwrap();
    let import = ["import", "-q", "whole.sealift", "--to", "docker-archive:out/a.tar"];
    yard.sealift(import).succeeds();
    let whole = fs::read(yard.path("out/a.tar")).unwrap();
    fs::remove_file(yard.path("out/a.tar")).unwrap();
    at_every_step("import into an archive", &yard, &import, |step| {
        let found = fs::read(yard.path("out/a.tar"));
        assert!(found.is_err() || found.unwrap() == whole, "{step}");
        yard.sealift(import).succeeds();
        assert_eq!(names(&yard.path("out")), ["a.tar"], "{step}: leftovers");
        fs::remove_file(yard.path("out/a.tar")).unwrap();
    });
}

#[test]
fn keys_and_receipts() {
    let yard = Yard::new();
    fs::create_dir(yard.path("out")).unwrap();
    let receipt = ["inspect", "whole.sealift", "--receipt", "out/r"];
    yard.sealift(receipt).succeeds();
    let whole = contents(&yard.path("out"));
    fs::remove_file(yard.path("out/r")).unwrap();
    at_every_step("receipt", &yard, &receipt, |step| {
        let found = fs::read(yard.path("out/r"));
        assert!(found.is_err() || found.unwrap() == whole[0].1, "{step}");
        if yard.path("out/r").exists() {
            fs::remove_file(yard.path("out/r")).unwrap();
        }
        yard.sealift(receipt).succeeds();
        assert!(contents(&yard.path("out")) == whole, "{step}: leftovers");
        fs::remove_file(yard.path("out/r")).unwrap();
    });
    let generate = ["key", "generate", "-o", "out/k.pem"];
    at_every_step("key", &yard, &generate, |step| {
        for name in ["k.pem", "k.pub"] {
            if yard.path("out").join(name).exists() {
                yard.sealift(["key", "show", &format!("out/{name}")]).succeeds();
            }
        }
        for name in ["k.pem", "k.pub"] {
            let _ = fs::remove_file(yard.path("out").join(name));
        }
        yard.sealift(generate).succeeds();
        assert_eq!(names(&yard.path("out")), ["k.pem", "k.pub"], "{step}: leftovers");
        for name in ["k.pem", "k.pub"] {
            fs::remove_file(yard.path("out").join(name)).unwrap();
        }
    });
}

#[test]
fn an_export_of_several_volumes() {
    let yard = Yard::with_layer(3 << 20);
    fs::create_dir(yard.path("out")).unwrap();
    let export =
        ["export", "-q", "--force", "--volume-size", "1MiB", "oci:images", "-o", "out/b.sealift"];
    yard.sealift_at_one_time(export).succeeds();
    let whole = contents(&yard.path("out"));
    assert!(whole.len() > 2, "{} volumes", whole.len());
    let (last, _) = whole.last().unwrap();
    fs::remove_dir_all(yard.path("out")).unwrap();
    fs::create_dir(yard.path("out")).unwrap();
    at_every_step("export of volumes", &yard, &export, |step| {
        let visible = |(name, _): &(String, Vec<u8>)| !name.starts_with('.');
        let found: Vec<_> = contents(&yard.path("out")).into_iter().filter(visible).collect();
        assert!(found.iter().all(|file| whole.contains(file)), "{step}: half a volume has a name");
        // The signed volume comes last: where it is, all are.
        let signed = found.iter().any(|(name, _)| name == last);
        assert!(!signed || found == whole, "{step}: {} volumes", found.len());
        yard.sealift_at_one_time(export).succeeds();
        assert!(contents(&yard.path("out")) == whole, "{step}: leftovers");
        fs::remove_dir_all(yard.path("out")).unwrap();
        fs::create_dir(yard.path("out")).unwrap();
    });
}

/// What is remembered of streams and runs: whenever it is cut off, the next run goes on from it.
#[test]
fn what_is_remembered() {
    let yard = Yard::new();
    let send = |bundle: &str| {
        let stream = ["export", "-q", "--stream", "prod", "oci:images", "-o", bundle];
        yard.sealift(stream).succeeds();
    };
    send("first.sealift");
    send("second.sealift");
    let state = yard.path("state");
    let verify = |bundle: &str| yard.sealift(["verify", "-q", bundle, "--state", "state"]);
    let begin = || {
        let _ = fs::remove_dir_all(&state);
        verify("first.sealift").succeeds();
    };
    begin();
    let second = ["verify", "-q", "second.sealift", "--state", "state"];
    at_every_step("state", &yard, &second, |step| {
        // Nothing that was remembered is lost.
        yard.sealift(["log", "--state", "state"]).succeeds();
        yard.sealift(second).succeeds();
        yard.sealift(["log", "--check", "--state", "state"]).succeeds();
        verify("first.sealift").refused(6);
        let left: Vec<String> = contents(&state).into_iter().map(|(name, _)| name).collect();
        assert!(left.iter().all(|name| !name.contains("partial")), "{step}: {left:?}");
        begin();
    });
}

#[test]
fn a_second_signature() {
    let yard = Yard::new();
    yard.sealift(["key", "generate", "-o", "second.pem"]).succeeds();
    let once = yard.whole();
    let sign = ["sign", "-q", "whole.sealift", "--key", "second.pem"];
    yard.sealift(sign).succeeds();
    let twice = yard.whole();
    assert!(once != twice);
    fs::write(yard.path("whole.sealift"), &once).unwrap();
    at_every_step("sign", &yard, &sign, |step| {
        let found = yard.whole();
        assert!(found == once || found == twice, "{step}: something half-done has a name");
        // Signed twice by one key is an error; so it begins from what was there before.
        fs::write(yard.path("whole.sealift"), &once).unwrap();
        yard.sealift(sign).succeeds();
        assert!(yard.whole() == twice, "{step}");
        let left = names(yard.home());
        assert!(left.iter().all(|name| !name.contains("whole.sealift.")), "{step}: {left:?}");
        fs::write(yard.path("whole.sealift"), &once).unwrap();
    });
}

#[test]
fn a_repair() {
    let yard = Yard::with_layer(1 << 20);
    let whole = yard.whole();
    fs::create_dir(yard.path("stick")).unwrap();
    fs::write(yard.path("stick/b.sealift"), &whole).unwrap();
    yard.sealift(["parity", "-q", "stick/b.sealift"]).succeeds();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2..][..4096].fill(0);
    fs::write(yard.path("stick/b.sealift"), &damaged).unwrap();
    let stick = contents(&yard.path("stick"));
    fs::create_dir(yard.path("out")).unwrap();
    let repair = ["repair", "-q", "stick", "-o", "out/b.sealift", "--force"];
    at_every_step("repair", &yard, &repair, |step| {
        let found = fs::read(yard.path("out/b.sealift"));
        assert!(
            found.is_err() || found.unwrap() == whole,
            "{step}: something half-done has a name"
        );
        assert!(contents(&yard.path("stick")) == stick, "{step}: the stick was written to");
        yard.sealift(repair).succeeds();
        assert_eq!(names(&yard.path("out")), ["b.sealift"], "{step}: leftovers");
        assert!(fs::read(yard.path("out/b.sealift")).unwrap() == whole, "{step}");
        fs::remove_file(yard.path("out/b.sealift")).unwrap();
    });
}
