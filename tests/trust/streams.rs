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
    assert_snapshot!(desk.told(&["verify", "-q", "2"]), @r"
    0
    signed by ANNA (HOME/.config/sealift/trust/anna.pub)
    number 2 of stream prod, the first that is seen here
    IMAGE                 DIGEST                                                                   STATE
    h.example/team/app:1  DIGEST  whole
    ok: SIZE in 2 packs, 3 blobs rebuilt and hashed
    warning: 2 is number 2 of stream prod, the first of it seen here: rollback could not be checked
    ");
    // The same again, on its way from the gate into the registry.
    desk.run(&["verify", "-q", "2"]).succeeds();
    assert_eq!(desk.run(&["import", "-q", "2", "--to", "oci:there"]).stderr, "");
    let there = fs::read(desk.path("there/index.json")).unwrap();
    assert_snapshot!(desk.refused(&["verify", "-q", "1"]), @r"
    6
    error: 1 is number 1 of stream prod, and number 2 was seen here before
      caused by: that was DIGEST, made at 2023-11-14T22:13:20Z and signed by ANNA
      hint: an older bundle was brought again: ask for the newest. Where two senders use one name for a stream, one of them has to choose another
    ");
    desk.run(&["import", "-q", "1", "--to", "oci:there"]).refused(6);
    desk.run(&["import", "-q", "1", "--to", "oci:there", "--dry-run"]).refused(6);
    assert_snapshot!(desk.refused(&["import", "-q", "other 2", "--to", "oci:there"]), @r"
    6
    error: other 2 is number 2 of stream prod, and so was another bundle that was seen here: the stream forks
      caused by: that was DIGEST, made at 2023-11-14T22:13:20Z and signed by ANNA
      hint: ask the sender which of the two is right, and for one with a new number
    ");
    assert_eq!(fs::read(desk.path("there/index.json")).unwrap(), there);
    assert_snapshot!(desk.told(&["verify", "-q", "3"]).lines().nth(2).unwrap(), @r"number 3 of stream prod, after number 2");
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
    let at = Desk::in_pack(&bytes);
    bytes[at] ^= 1;
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
    assert_snapshot!(desk.refused(&["verify", "-q", "last"]), @r"
    6
    error: last is number 18446744073709551615 of stream prod, absurdly far above the beginning
      hint: ask the sender; if it is right, --accept-jump takes it, and every lower number is refused from then on
    ");
    desk.run(&["verify", "-q", "1"]).succeeds();
    assert_snapshot!(desk.refused(&["import", "-q", "last", "--to", "oci:there"]), @r"
    6
    error: last is number 18446744073709551615 of stream prod, absurdly far above number 1
      hint: ask the sender; if it is right, --accept-jump takes it, and every lower number is refused from then on
    ");
    desk.run(&["verify", "-q", "2"]).succeeds();
    // So is a step that nobody counts, long before the end of all numbers.
    at(&desk, "far", "4294967299");
    assert_snapshot!(desk.refused(&["verify", "-q", "far"]), @r"
    6
    error: far is number 4294967299 of stream prod, absurdly far above number 2
      hint: ask the sender; if it is right, --accept-jump takes it, and every lower number is refused from then on
    ");
    assert_snapshot!(desk.told(&["verify", "-q", "last", "--accept-jump"]).lines().last().unwrap(), @r"warning: last is number 18446744073709551615 of stream prod; the one before it was 2");
    desk.run(&["verify", "-q", "3", "--accept-jump"]).refused(6);
    desk.run(&["verify", "-q", "last"]).succeeds();
}

#[test]
fn a_bundle_expires() {
    let desk = Desk::new().trusting(&["anna"]);
    desk.export("30 days", &["--expires", "30d"]);
    assert_snapshot!(desk.refused(&["verify", "-q", "30 days"]).split("; it is").next().unwrap(), @r"
    6
    error: 30 days expired at 2023-12-14T22:13:20Z
    ");
    desk.run(&["import", "-q", "30 days", "--to", "oci:there"]).refused(6);
    assert!(!desk.path("there").exists());
    desk.export("day", &["--expires", "2023-12-31"]);
    let said = desk.run(&["verify", "-q", "day"]).refused(6);
    assert!(said.contains("expired at 2024-01-01T00:00:00Z"), "{said}");
    desk.export("long", &["--expires", "2099-12-31"]);
    assert_snapshot!(desk.told(&["verify", "-q", "long"]).lines().nth(2).unwrap(), @r"expires at 2100-01-01T00:00:00Z");
    // Without a stream nothing is remembered.
    assert!(!desk.path(".local/state/sealift/received").exists());
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
    assert_snapshot!(said("2099"), @r"
    6
    error: the clock of this machine says NOW; 2099 was made at 2099-01-01T00:00:00Z, which is yet to come
      hint: set the clock: whether a bundle has expired is judged by it
    ");
    assert_snapshot!(said("1970"), @r"
    6
    error: the clock of this machine says NOW; 1970 was made at 1970-01-01T00:00:01Z, more than 20 years before
      hint: set the clock: whether a bundle has expired is judged by it
    ");
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
    assert_snapshot!(first.stderr, @r"warning: stream prod begins here with number 1; if bundles of it were made elsewhere, name the number with --sequence");
    assert_eq!(number(&[]), 2);
    assert_eq!(number(&["--sequence", "10"]), 10);
    assert_eq!(number(&[]), 11);
    // An export that fails uses up no number.
    desk.exporting("b", &["oci:missing", "--stream", "prod"]).refused(3);
    assert_eq!(number(&[]), 12);
    assert_snapshot!(desk.exporting("b", &["--stream", "prod", "--sequence", "10"]).stderr, @r"warning: stream prod is at number 12 here already: receivers that have seen that refuse number 10");
    desk.export("c", &["--stream", "prod", "--sequence", "10", "--state", "elsewhere"]);
    assert!(fs::read(desk.path("b")).unwrap() == fs::read(desk.path("c")).unwrap());
    desk.export("other", &["--stream", "test", "--expires", "9000d"]);
    assert_snapshot!(desk.told(&["verify", "-q", "other"]), @r"
    0
    signed by ANNA (HOME/.config/sealift/trust/anna.pub)
    number 1 of stream test, the first that is seen here
    expires at 2048-07-05T22:13:20Z
    IMAGE                 DIGEST                                                                   STATE
    h.example/team/app:1  DIGEST  whole
    ok: SIZE in 2 packs, 3 blobs rebuilt and hashed
    warning: other is number 1 of stream test, the first of it seen here: rollback could not be checked
    ");
}

#[test]
fn what_cannot_be_meant() {
    let desk = Desk::new();
    let said = |more: &[&str]| {
        let line = ["export", "oci:images", "-o", "b", "--key", "anna.pem"];
        desk.refused(&[&line[..], more].concat())
    };
    assert_snapshot!(said(&["--stream", "Prod/EU"]), @r#"
    2
    error: not the name of a stream: "Prod/EU"
      hint: use lower-case letters, digits, '.', '_' and '-', at most 64, a letter or digit first
    "#);
    assert_snapshot!(said(&["--stream", "prod", "--sequence", "0"]), @r"
    2
    error: the bundles of a stream are numbered from 1
    ");
    assert_snapshot!(said(&["--stream", "prod", "--no-state"]), @r"
    2
    error: the next number of stream prod is not known without state
      hint: name it with --sequence, or leave out --no-state
    ");
    assert_snapshot!(said(&["--expires", "soon"]), @r#"
    2
    error: not a time to expire at: "soon"
      hint: write it as in 12h, 30d, 8w or 2027-01-31
    "#);
    assert_snapshot!(said(&["--expires", "2023-01-01"]), @r"
    2
    error: 2023-01-01 is past already
      hint: name a time after the bundle is made
    ");
    assert!(said(&["--sequence", "1"]).starts_with("2\n"));
    assert_eq!(MADE, "1700000000");
}
