//! trust.toml at work: every sentence with which a bundle is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;

use crate::desk::Desk;

const BOTH: &str = "threshold = 2\n\n[[key]]\nname = \"Anna\"\nfile = \"anna.pub\"\n\n[[key]]\nname = \"Ben\"\nfile = \"ben.pub\"\n";

#[test]
fn four_eyes() {
    let desk = Desk::new();
    desk.policy(BOTH);
    desk.export("one", &[]);
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @"");
    // A signature by somebody who does not count.
    desk.export("stranger", &["--key", "anna.pem", "--key", "carl.pem"]);
    assert_snapshot!(desk.refused(&["verify", "-q", "stranger"]), @"");
    desk.export("two", &["--key", "anna.pem", "--key", "ben.pem"]);
    assert_snapshot!(desk.told(&["verify", "-q", "two"]), @"");
    // Three keys on it, two good ones, and one that is not known.
    desk.export("three", &["--key", "anna.pem", "--key", "ben.pem", "--key", "carl.pem"]);
    desk.run(&["verify", "-q", "three"]).succeeds();
    assert_snapshot!(desk.refused(&["verify", "-q", "two", "--threshold", "3"]), @"");
    assert_snapshot!(desk.refused(&["verify", "-q", "two", "--threshold", "1"]), @"");
}

#[test]
fn keys_that_are_named_count_and_no_others() {
    let desk = Desk::new();
    desk.policy(BOTH);
    desk.export("one", &[]);
    desk.run(&["verify", "-q", "one", "--key", "anna.pub"]).succeeds();
    desk.run(&["verify", "-q", "one", "--key", "ben.pub"]).refused(5);
    let line =
        ["verify", "-q", "one", "--key", "anna.pub", "--key", "anna.pub", "--threshold", "2"];
    assert_snapshot!(desk.refused(&line), @"");
}

#[test]
fn a_revoked_key_counts_for_nobody() {
    let desk = Desk::new();
    let revoked = format!(
        "[[key]]\nname = \"Ben\"\nfile = \"ben.pub\"\n\n[[key]]\nname = \"Anna's laptop\"\nid = \"{}\"\nrevoked = 2023-12-01\nreason = \"stolen\"\n",
        Desk::id("anna")
    );
    desk.policy(&revoked);
    desk.export("anna", &[]);
    desk.export("both", &["--key", "anna.pem", "--key", "ben.pem"]);
    assert_snapshot!(desk.refused(&["verify", "-q", "anna"]), @"");
    // Nor where the key is named.
    assert_snapshot!(desk.refused(&["verify", "-q", "anna", "--key", "anna.pub"]), @"");
    assert_snapshot!(desk.told(&["verify", "-q", "both"]), @"");
    // Nor in another policy.
    fs::write(desk.path("other.toml"), "[[key]]\nfile = \"anna.pub\"\n").unwrap();
    desk.run(&["verify", "-q", "anna", "--trust", "other.toml"]).refused(5);
    assert_snapshot!(desk.told(&["inspect", "both"]).lines().nth(3).unwrap(), @"");
}

#[test]
fn keys_are_for_some_streams_and_repositories() {
    let desk = Desk::new();
    desk.policy("[[key]]\nname = \"Anna\"\nfile = \"anna.pub\"\nstreams = [\"prod\", \"test\"]\nrepositories = [\"h.example/team/\"]\n");
    let stream = ["--no-state", "--sequence", "1", "--stream"];
    desk.export("right", &[&stream[..], &["prod"]].concat());
    desk.run(&["verify", "-q", "right"]).succeeds();
    desk.export("dev", &[&stream[..], &["dev"]].concat());
    assert_snapshot!(desk.refused(&["verify", "-q", "dev"]), @"");
    desk.export("none", &[]);
    assert_snapshot!(desk.refused(&["import", "-q", "none", "--to", "oci:there"]), @"");
    desk.export(
        "other",
        &[&["oci:images:h.example/other/tool:1"], &stream[..], &["prod"]].concat(),
    );
    assert_snapshot!(desk.refused(&["import", "-q", "other", "--to", "oci:there"]), @"");
    assert!(!desk.path("there").exists());
}

#[test]
fn each_image_takes_as_many_as_the_bundle() {
    let desk = Desk::new();
    desk.policy(&BOTH.replace(
        "file = \"ben.pub\"\n",
        "file = \"ben.pub\"\nrepositories = [\"h.example/other/\"]\n",
    ));
    desk.export("two", &["--key", "anna.pem", "--key", "ben.pem"]);
    assert_snapshot!(desk.refused(&["verify", "-q", "two"]), @"");
}

#[test]
fn a_policy_that_is_not_quite_right_counts_for_nothing() {
    let desk = Desk::new();
    desk.export("one", &[]);
    let said = |text: &str| {
        desk.policy(text);
        // Whoever is named: the file may revoke a key.
        let named = desk.refused(&["verify", "-q", "one", "--key", "anna.pub"]);
        let found = desk.refused(&["verify", "-q", "one"]);
        assert_eq!(named, found);
        found
    };
    assert_snapshot!(said("[[key]]\nfile = \"anna.pub\"\nstream = [\"prod\"]\n"), @"");
    assert_snapshot!(said("threshold = 0\n"), @"");
    assert_snapshot!(said("[[key]]\nname = \"Anna\"\n"), @"");
    assert_snapshot!(said("[[key]]\nid = \"0f\"\nrevoked = 2023-12-01\n"), @"");
    assert_snapshot!(said("[[key]]\nfile = \"anna.pub\"\nrepositories = [\"h.example/team/app:1\"]\n"), @"");
    let weak = "[[key]]\nname = \"W\"\npublic = \"MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n";
    assert_snapshot!(said(weak), @"");
}

#[test]
fn a_policy_that_others_can_write_is_none() {
    let desk = Desk::new();
    let path = desk.policy("[[key]]\nfile = \"anna.pub\"\n");
    desk.export("one", &[]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @"");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(desk.trust(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @"");
    // Without a policy, a folder into which anybody can put keys says nothing either.
    fs::remove_file(&path).unwrap();
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @"");
}

#[test]
fn without_a_policy_every_key_of_the_folder_is_enough() {
    let desk = Desk::new().trusting(&["anna", "ben"]);
    desk.export("one", &["--key", "ben.pem"]);
    desk.run(&["verify", "-q", "one"]).succeeds();
    assert_snapshot!(desk.refused(&["verify", "-q", "one", "--threshold", "2"]), @"");
    // With one, only those count that it names.
    desk.policy("[[key]]\nfile = \"anna.pub\"\n");
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @"");
}

#[test]
fn who_is_trusted_can_be_seen() {
    let desk = Desk::new();
    assert_snapshot!(desk.told(&["key", "list"]), @"");
    let desk = desk.trusting(&["anna"]);
    assert_snapshot!(desk.told(&["key", "list"]), @"");
    desk.policy(&format!(
        "{BOTH}streams = [\"prod\"]\nrepositories = [\"h.example/team/\"]\n\n[[key]]\nid = \"{}\"\nname = \"Carl\"\nrevoked = 2023-12-01\nreason = \"left\"\n",
        Desk::id("carl")
    ));
    assert_snapshot!(desk.told(&["key", "list"]), @"");
    let listed = desk.run(&["key", "list", "--json"]).json();
    assert_eq!(listed["threshold"], 2);
    assert_eq!(listed["keys"][1]["streams"][0], "prod");
    assert_eq!(listed["revoked"][0]["reason"], "left");
}

/// The example of the guide, with the keys that lie beside it.
#[test]
fn the_example_can_be_read() {
    let desk = Desk::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/trust/trust.toml");
    let folder = desk.path("example");
    fs::create_dir(&folder).unwrap();
    fs::copy(example, folder.join("trust.toml")).unwrap();
    for name in ["anna", "ben"] {
        let file = format!("{name}.pub");
        fs::copy(desk.path(&file), folder.join(file)).unwrap();
    }
    assert_snapshot!(desk.told(&["key", "list", "--trust", "example/trust.toml"]), @"");
}
