//! Places that cannot be written, or not so much: read-only media, limits on the length of files,
//! folders that are not there.

use std::fs;
use std::process::Command;

use crate::medium::{Medium, names};
use crate::support::command::{BINARY, Run};
use crate::yard::{NAMES, Yard, tags};

#[test]
fn a_bundle_is_used_from_a_read_only_medium() {
    let yard = Yard::new();
    let medium = Medium::tmpfs(8 << 20);
    fs::copy(yard.path("whole.sealift"), medium.path().join("b.sealift")).unwrap();
    medium.remount("ro");
    let bundle = medium.at("b.sealift");
    yard.sealift(["verify", "-q", &bundle]).succeeds();
    yard.sealift(["inspect", "--layers", &bundle]).succeeds();
    yard.sealift(["diff", &bundle, &bundle]).succeeds();
    yard.sealift(["sign", "-q", &bundle, "--detached", "second.sig"]).succeeds();
    yard.import(&bundle, "oci:layout", [""; 0]);
    assert_eq!(tags(&yard.path("layout")), NAMES);
}

#[test]
fn a_read_only_medium_is_named_by_whoever_should_write_to_it() {
    let yard = Yard::new();
    let medium = Medium::tmpfs(1 << 20);
    medium.remount("ro");
    let place = medium.at("x");
    let runs = [
        Run::of(&mut yard.export_to(&place)),
        yard.sealift(["import", "-q", "whole.sealift", "--to", &format!("oci:{place}")]),
        yard.sealift(["import", "-q", "whole.sealift", "--to", &format!("oci-archive:{place}")]),
        yard.sealift(["import", "-q", "whole.sealift", "--to", &format!("docker-archive:{place}")]),
        yard.sealift(["inspect", "whole.sealift", "--receipt", &place]),
        yard.sealift(["key", "generate", "-o", &place]),
        yard.sealift(["sign", "-q", "whole.sealift", "--detached", &place]),
        yard.sealift(["sign", "-q", "whole.sealift", "-o", &place]),
        yard.sealift(["verify", "-q", "whole.sealift", "--report", &format!("{place}.json")]),
    ];
    for run in runs {
        let said = run.refused(3);
        assert!(said.contains(&place) && said.contains("Read-only"), "{said}");
    }
    assert_eq!(medium.names(), [""; 0]);
}

/// `sealift` with a limit on the length of files.
fn limited(yard: &Yard, bytes: u64) -> Command {
    let mut command = yard.command("prlimit");
    command.arg(format!("--fsize={bytes}:{bytes}")).arg(BINARY);
    command
}

#[test]
fn a_limit_on_the_length_of_files_is_an_error_and_no_signal() {
    let yard = Yard::new();
    fs::create_dir(yard.path("out")).unwrap();
    let length = yard.whole().len() as u64;
    for bytes in [0, 1, 4096, length / 2] {
        for arguments in [
            &["export", "-q", "oci:images", "-o", "out/b.sealift"][..],
            &["import", "-q", "whole.sealift", "--to", "oci-archive:out/a.tar"],
            &["import", "-q", "whole.sealift", "--to", "docker-archive:out/a.tar"],
        ] {
            let run = Run::of(limited(&yard, bytes).args(arguments).arg("--no-state"));
            let said = run.refused(3);
            assert!(said.contains("too large") || said.contains("ulimit"), "{bytes}: {said}");
            assert_eq!(names(&yard.path("out")), [""; 0], "{bytes}");
        }
    }
    // The log is a file, too.
    let said = Run::of(limited(&yard, 1).args(["verify", "-q", "whole.sealift"])).refused(3);
    assert!(said.contains("log"), "{said}");
    for bytes in [0, 1, 64] {
        let run = Run::of(limited(&yard, bytes).args(["key", "generate", "-o", "out/k.pem"]));
        run.refused(3);
        assert_eq!(names(&yard.path("out")), [""; 0], "{bytes}");
    }
    let layout = ["import", "-q", "whole.sealift", "--to", "oci:out/layout"];
    // No layer is as small.
    Run::of(limited(&yard, length / 16).args(layout)).refused(3);
    assert_eq!(tags(&yard.path("out/layout")), [""; 0]);
    Run::of(limited(&yard, 1 << 30).args(layout)).succeeds();
    assert_eq!(tags(&yard.path("out/layout")), NAMES);
}

#[test]
fn temporary_folders_that_cannot_be_used_are_named() {
    // So long a layer is not held in memory.
    let yard = Yard::with_layer(1 << 21);
    let medium = Medium::tmpfs(1 << 20);
    medium.remount("ro");
    for folder in [medium.at(""), yard.path("nowhere").display().to_string()] {
        let mut command = yard.export_to("t.sealift");
        let said = Run::of(command.env("TMPDIR", &folder)).refused(3);
        assert!(said.contains(folder.trim_end_matches('/')), "{said}");
        assert!(!yard.path("t.sealift").exists());
    }
}

#[test]
fn no_home_is_needed_by_who_names_keys() {
    let yard = Yard::new();
    let medium = Medium::tmpfs(1 << 20);
    medium.remount("ro");
    let key = yard.public_key();
    let gone = yard.path("gone").display().to_string();
    for (home, code) in [(None, 2), (Some(gone), 0), (Some(medium.at("")), 3)] {
        let sealift = |arguments: &[&str]| {
            let mut command = yard.program();
            match &home {
                Some(home) => command.env("HOME", home),
                None => command.env_remove("HOME"),
            };
            Run::of(command.args(arguments))
        };
        // What was done is logged at home: without one, that has to be given up.
        let logged = sealift(&["verify", "-q", "whole.sealift", "--key", key.to_str().unwrap()]);
        assert_eq!(logged.code, Some(code), "{logged:?}");
        assert!(code == 0 || logged.stderr.contains("--no-state"), "{logged:?}");
        let sealift = |arguments: &[&str]| sealift(&[arguments, &["--no-state"]].concat());
        sealift(&["verify", "-q", "whole.sealift", "--key", key.to_str().unwrap()]).succeeds();
        let said = sealift(&["verify", "-q", "whole.sealift"]).refused(5);
        assert!(said.contains("--key"), "{said}");
        let secret = key.with_extension("pem");
        sealift(&[
            "export",
            "-q",
            "oci:images",
            "-o",
            "h.sealift",
            "--key",
            secret.to_str().unwrap(),
        ])
        .succeeds();
        fs::remove_file(yard.path("h.sealift")).unwrap();
        sealift(&[
            "import",
            "-q",
            "whole.sealift",
            "--key",
            key.to_str().unwrap(),
            "--to",
            "oci:h",
        ])
        .succeeds();
        fs::remove_dir_all(yard.path("h")).unwrap();
    }
}
