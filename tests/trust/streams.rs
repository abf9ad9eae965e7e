//! Streams: what is older than what came before is refused, before anything is sent.

use std::fs;

use insta::assert_snapshot;

use crate::desk::{Desk, MADE};

/// With bundles 1 to 3 of stream prod, and another number 2.
fn desk() -> Desk {
    let desk = Desk::new().trusting(&["anna"]);
    for number in ["1", "2", "3"] {
        at(&desk, number, number);
    }
    let other = ["oci:images:h.example/other/tool:1", "--stream", "prod", "--sequence", "2"];
    desk.export("other 2", &[&other[..], &["--no-state"]].concat());
    desk
}

fn at(desk: &Desk, bundle: &str, number: &str) {
    desk.export(bundle, &["--stream", "prod", "--sequence", number, "--no-state"]);
}

#[test]
fn an_older_bundle_is_refused() {
    let desk = desk();
    assert_snapshot!(desk.told(&["verify", "-q", "2"]), @"");
    // The same again, on its way from the gate into the registry.
    desk.run(&["verify", "-q", "2"]).succeeds();
    assert_eq!(desk.run(&["import", "-q", "2", "--to", "oci:there"]).stderr, "");
    let there = fs::read(desk.path("there/index.json")).unwrap();
    assert_snapshot!(desk.refused(&["verify", "-q", "1"]), @"");
    desk.run(&["import", "-q", "1", "--to", "oci:there"]).refused(6);
    desk.run(&["import", "-q", "1", "--to", "oci:there", "--dry-run"]).refused(6);
    assert_snapshot!(desk.refused(&["import", "-q", "other 2", "--to", "oci:there"]), @"");
    assert_eq!(fs::read(desk.path("there/index.json")).unwrap(), there);
    assert_snapshot!(desk.told(&["verify", "-q", "3"]).lines().nth(2).unwrap(), @"");
    desk.run(&["verify", "-q", "2"]).refused(6);
    let standing = desk.run(&["verify", "-q", "3", "--json"]).json();
    assert_eq!(standing["stream"]["standing"], "same");
    assert_eq!(standing["stream"]["sequence"], 3);
}

#[test]
fn who_signed_makes_no_difference() {
    let desk = desk().trusting(&["ben"]);
    desk.run(&["verify", "-q", "2"]).succeeds();
    desk.export(
        "ben 1",
        &["--stream", "prod", "--sequence", "1", "--no-state", "--key", "ben.pem"],
    );
    desk.run(&["verify", "-q", "ben 1"]).refused(6);
}

#[test]
fn what_is_not_whole_is_not_remembered() {
    let desk = desk();
    let mut bytes = fs::read(desk.path("3")).unwrap();
    bytes[4000] ^= 1;
    fs::write(desk.path("bad 3"), bytes).unwrap();
    desk.run(&["verify", "-q", "bad 3"]).code.filter(|&code| code == 4).unwrap();
    desk.run(&["import", "-q", "bad 3", "--to", "oci:there"]).refused(4);
    // Looking changes nothing either.
    desk.run(&["import", "-q", "3", "--to", "oci:there", "--dry-run"]).succeeds();
    desk.run(&["inspect", "3"]).succeeds();
    desk.run(&["verify", "-q", "2"]).succeeds();
    desk.run(&["verify", "-q", "1"]).refused(6);
}

#[test]
fn absurd_numbers_are_refused_until_somebody_says_otherwise() {
    let desk = desk();
    at(&desk, "last", "18446744073709551615");
    assert_snapshot!(desk.refused(&["verify", "-q", "last"]), @"");
    desk.run(&["verify", "-q", "1"]).succeeds();
    assert_snapshot!(desk.refused(&["import", "-q", "last", "--to", "oci:there"]), @"");
    desk.run(&["verify", "-q", "2"]).succeeds();
    assert_snapshot!(desk.told(&["verify", "-q", "last", "--accept-jump"]).lines().last().unwrap(), @"");
    desk.run(&["verify", "-q", "3", "--accept-jump"]).refused(6);
    desk.run(&["verify", "-q", "last"]).succeeds();
}

#[test]
fn a_bundle_expires() {
    let desk = Desk::new().trusting(&["anna"]);
    desk.export("30 days", &["--expires", "30d"]);
    assert_snapshot!(desk.refused(&["verify", "-q", "30 days"]).split("; it is").next().unwrap(), @"");
    desk.run(&["import", "-q", "30 days", "--to", "oci:there"]).refused(6);
    assert!(!desk.path("there").exists());
    desk.export("day", &["--expires", "2023-12-31"]);
    let said = desk.run(&["verify", "-q", "day"]).refused(6);
    assert!(said.contains("expired at 2024-01-01T00:00:00Z"), "{said}");
    desk.export("long", &["--expires", "2099-12-31"]);
    assert_snapshot!(desk.told(&["verify", "-q", "long"]).lines().nth(2).unwrap(), @"");
    // Without a stream nothing is remembered.
    assert!(!desk.path(".local").exists());
}

#[test]
fn a_clock_that_cannot_be_right_leaves_no_trace() {
    let desk = desk();
    let made = |bundle: &str, date: &str| {
        let mut command = desk.program();
        command.env("SOURCE_DATE_EPOCH", date).args(["export", "-q", "-o", bundle]);
        command.args(["--stream", "prod", "--sequence", "9", "--no-state", "--key", "anna.pem"]);
        crate::support::command::Run::of(command.arg("oci:images:h.example/team/app:1")).succeeds();
    };
    made("2099", "4070908800");
    made("1970", "1");
    let said = |bundle| {
        let said = desk.refused(&["verify", "-q", bundle]);
        let (before, after) = said.split_once("says ").unwrap();
        format!("{before}says NOW; {}", after.split_once("; ").unwrap().1)
    };
    assert_snapshot!(said("2099"), @"");
    assert_snapshot!(said("1970"), @"");
    desk.run(&["import", "-q", "2099", "--to", "oci:there"]).refused(6);
    desk.run(&["verify", "-q", "1"]).succeeds();
}

#[test]
fn the_sender_counts() {
    let desk = Desk::new().trusting(&["anna"]);
    let number = |more: &[&str]| {
        desk.export("b", &[&["--stream", "prod"], more].concat());
        desk.run(&["inspect", "b", "--json"]).json()["stream"]["sequence"].as_u64().unwrap()
    };
    let first = desk.exporting("b", &["--stream", "prod"]);
    assert_snapshot!(first.stderr, @"");
    assert_eq!(number(&[]), 2);
    assert_eq!(number(&["--sequence", "10"]), 10);
    assert_eq!(number(&[]), 11);
    // An export that fails uses up no number.
    desk.exporting("b", &["oci:missing", "--stream", "prod"]).refused(3);
    assert_eq!(number(&[]), 12);
    assert_snapshot!(desk.exporting("b", &["--stream", "prod", "--sequence", "10"]).stderr, @"");
    desk.export("c", &["--stream", "prod", "--sequence", "10", "--state", "elsewhere"]);
    assert!(fs::read(desk.path("b")).unwrap() == fs::read(desk.path("c")).unwrap());
    desk.export("other", &["--stream", "test", "--expires", "9000d"]);
    assert_snapshot!(desk.told(&["verify", "-q", "other"]), @"");
}

#[test]
fn what_cannot_be_meant() {
    let desk = Desk::new();
    let said = |more: &[&str]| {
        let line = ["export", "oci:images", "-o", "b", "--key", "anna.pem"];
        desk.refused(&[&line[..], more].concat())
    };
    assert_snapshot!(said(&["--stream", "Prod/EU"]), @"");
    assert_snapshot!(said(&["--stream", "prod", "--sequence", "0"]), @"");
    assert_snapshot!(said(&["--stream", "prod", "--no-state"]), @"");
    assert_snapshot!(said(&["--expires", "soon"]), @"");
    assert_snapshot!(said(&["--expires", "2023-01-01"]), @"");
    assert!(said(&["--sequence", "1"]).starts_with("2\n"));
    assert_eq!(MADE, "1700000000");
}
