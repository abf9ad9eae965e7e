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
    assert!(failed > 0 || enough == LEVELS * PAGE);
    assert!(succeeded > 0, "{failed} failed, {succeeded} succeeded");
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

/// Commands that write one small file, or a few.
#[test]
fn small_files() {
    let yard = Yard::new();
    let many = |medium: &Medium, arguments: &[&str], name: &str| {
        let place = medium.at(name);
        yard.sealift(arguments.iter().copied().chain([place.as_str()]))
    };
    for (arguments, name, enough) in [
        (&["inspect", "whole.sealift", "--receipt"][..], "r.receipt", LEVELS * PAGE),
        (&["key", "generate", "-o"], "k.pem", LEVELS * PAGE),
        (&["sign", "-q", "whole.sealift", "--detached"], "s.sig", LEVELS * PAGE),
        (&["verify", "-q", "whole.sealift", "--report"], "r.html", LEVELS * PAGE),
        (&["verify", "-q", "whole.sealift", "--state"], "state", LEVELS * PAGE),
    ] {
        // Most fit on one page, so what is full to the last one is tried as well.
        let full = Medium::tmpfs(PAGE);
        std::fs::write(full.path().join("filler"), vec![1; PAGE as usize]).unwrap();
        let said = many(&full, arguments, name).refused(3);
        assert!(said.contains(full.path().to_str().unwrap()) && said.contains("space"), "{said}");
        assert!(!full.path().join(name).is_file(), "{said}");
        at_every_level(
            enough,
            |medium| many(medium, arguments, name),
            |medium, succeeded| {
                assert!(!succeeded || medium.path().join(name).exists());
                let whole = medium.path().join(name);
                assert!(succeeded || !whole.is_file(), "{} is there", whole.display());
            },
        );
    }
}

#[test]
fn a_second_signature() {
    let yard = Yard::new();
    yard.sealift(["key", "generate", "-o", "second.pem"]).succeeds();
    at_every_level(
        yard.whole().len() as u64 * 11 / 10,
        |medium| {
            let sign = ["sign", "-q", "whole.sealift", "--force", "--key", "second.pem", "-o"];
            yard.sealift(sign.into_iter().chain([medium.at("s.sealift").as_str()]))
        },
        |medium, succeeded| assert_eq!(medium.path().join("s.sealift").exists(), succeeded),
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
