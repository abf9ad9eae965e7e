//! Places that are full: at any fill level a command succeeds, or ends with code 3, says where and
//! why, and leaves whole files only. With room the next run does it.

use std::path::Path;

use crate::medium::{Medium, names};
use crate::support::command::Run;
use crate::yard::{NAMES, Yard, tags};

/// Sizes that are tried, from too small to enough.
const LEVELS: u64 = 20;

/// Bytes of a page, in which tmpfs counts.
const PAGE: u64 = 4096;

/// Runs a command on file systems of many sizes. `enough` bytes are enough; `judge` looks at what is
/// there after each run, given whether it succeeded.
fn at_every_level(
    enough: u64,
    mut command: impl FnMut(&Medium) -> Run,
    judge: impl Fn(&Medium, bool),
) {
    let (mut failed, mut succeeded) = (0, 0);
    for level in 1..=LEVELS {
        let size = (enough * level / LEVELS).next_multiple_of(PAGE);
        let medium = Medium::tmpfs(size);
        let run = command(&medium);
        let whole = run.code == Some(0);
        if whole {
            succeeded += 1;
        } else {
            failed += 1;
            assert_eq!(run.code, Some(3), "{size} bytes: {run:?}");
            let said = &run.stderr;
            assert!(said.contains(medium.path().to_str().unwrap()), "{size}: no place in {said}");
            assert!(said.contains("space") || said.contains("room"), "{size}: no reason in {said}");
        }
        no_pieces(&medium.path());
        judge(&medium, whole);
        if !whole {
            medium.remount(&format!("size={}", 2 * enough + (64 * PAGE)));
            assert_eq!(command(&medium).code, Some(0), "with room");
            no_pieces(&medium.path());
            judge(&medium, true);
        }
    }
    assert!(failed > 0 && succeeded > 0, "{failed} failed, {succeeded} succeeded");
}

/// Nothing in the folder or below is something unfinished.
fn no_pieces(folder: &Path) {
    for name in names(folder) {
        assert!(!name.contains("partial"), "{name} in {}", folder.display());
        if folder.join(&name).is_dir() {
            no_pieces(&folder.join(&name));
        }
    }
}

#[test]
fn an_export() {
    let yard = Yard::new();
    let whole = yard.whole();
    at_every_level(
        whole.len() as u64 * 11 / 10,
        |medium| Run::of(&mut yard.export_to(&medium.at("b.sealift"))),
        |medium, succeeded| {
            let bundle = medium.path().join("b.sealift");
            assert_eq!(bundle.exists(), succeeded);
            if succeeded {
                assert!(std::fs::read(bundle).unwrap() == whole);
            }
        },
    );
}

#[test]
fn an_import_into_a_layout() {
    let yard = Yard::new();
    at_every_level(
        1 << 20,
        |medium| {
            let to = format!("oci:{}", medium.at("layout"));
            yard.sealift(["import", "-q", "whole.sealift", "--to", &to])
        },
        |medium, succeeded| {
            let tags = tags(&medium.path().join("layout"));
            assert_eq!(tags.is_empty(), !succeeded);
            assert!(!succeeded || tags == NAMES);
        },
    );
}

#[test]
fn an_import_into_archives() {
    let yard = Yard::new();
    for kind in ["oci-archive", "docker-archive"] {
        at_every_level(
            1 << 20,
            |medium| {
                let to = format!("{kind}:{}", medium.at("a.tar"));
                yard.sealift(["import", "-q", "whole.sealift", "--to", &to])
            },
            |medium, succeeded| assert_eq!(medium.path().join("a.tar").exists(), succeeded),
        );
    }
}

#[test]
fn small_files() {
    let yard = Yard::new();
    at_every_level(
        LEVELS * PAGE,
        |medium| yard.sealift(["inspect", "whole.sealift", "--receipt", &medium.at("r.receipt")]),
        |medium, succeeded| assert_eq!(medium.path().join("r.receipt").exists(), succeeded),
    );
}

/// The folder for temporary files is full: an export says so, and names it.
#[test]
fn temporary_files() {
    // So long a layer is not held in memory.
    let yard = Yard::with_layer(1 << 21);
    at_every_level(
        3 << 20,
        |medium| {
            let mut command = yard.export_to("t.sealift");
            Run::of(command.env("TMPDIR", medium.path()))
        },
        |medium, succeeded| {
            assert_eq!(names(&medium.path()), [""; 0]);
            assert!(!succeeded || std::fs::read(yard.path("t.sealift")).unwrap() == yard.whole());
        },
    );
}
