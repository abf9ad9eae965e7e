//! A new key in place of an old one.

use std::fs;

use insta::assert_snapshot;

use crate::desk::Desk;

#[test]
fn a_new_key_is_trusted_because_the_old_one_says_so() {
    let desk = Desk::new().trusting(&["anna"]);
    desk.export("new", &["--key", "ben.pem"]);
    desk.run(&["verify", "-q", "new"]).refused(5);
    let line = ["key", "endorse", "ben.pub", "--key", "anna.pem", "-o", "endorsement"];
    assert_snapshot!(desk.told(&line), @"");
    assert_snapshot!(desk.told(&["key", "accept", "endorsement", "--name", "ben"]), @"");
    desk.run(&["verify", "-q", "new"]).succeeds();
    assert_snapshot!(desk.told(&["key", "accept", "endorsement"]), @"");
    assert_snapshot!(desk.refused(&line), @"");
}

#[test]
fn the_old_key_retires() {
    let desk = Desk::new().trusting(&["anna"]);
    desk.export("old", &[]);
    desk.run(&["key", "endorse", "ben.pub", "--key", "anna.pem", "--retire", "-o", "e"]).succeeds();
    assert_snapshot!(desk.told(&["key", "accept", "e", "--name", "ben"]), @"");
    assert_snapshot!(desk.refused(&["verify", "-q", "old"]), @"");
}

#[test]
fn a_stranger_can_endorse_as_much_as_he_likes() {
    let desk = Desk::new().trusting(&["anna"]);
    desk.run(&["key", "endorse", "ben.pub", "--key", "carl.pem", "-o", "e"]).succeeds();
    assert_snapshot!(desk.refused(&["key", "accept", "e"]), @"");
    // Under another's name.
    let forged =
        fs::read_to_string(desk.path("e")).unwrap().replace(&Desk::id("carl"), &Desk::id("anna"));
    fs::write(desk.path("forged"), forged).unwrap();
    assert_snapshot!(desk.refused(&["key", "accept", "forged"]), @"");
    fs::write(desk.path("text"), "trust me\n").unwrap();
    assert_snapshot!(desk.refused(&["key", "accept", "text"]), @"");
    assert_eq!(fs::read_dir(desk.trust()).unwrap().count(), 1);
}

#[test]
fn as_many_endorse_as_must_sign_and_the_new_key_may_do_what_they_may() {
    let desk = Desk::new();
    let policy = "# Ours.\nthreshold = 2\n\n[[key]]\nname = \"Anna\"\nfile = \"anna.pub\"\nstreams = [\"prod\"]\n\n[[key]]\nname = \"Ben\"\nfile = \"ben.pub\"\nstreams = [\"prod\"]";
    let path = desk.policy(policy);
    desk.run(&["key", "endorse", "carl.pub", "--key", "anna.pem", "-o", "a"]).succeeds();
    desk.run(&["key", "endorse", "carl.pub", "--key", "ben.pem", "--retire", "-o", "b"]).succeeds();
    assert_snapshot!(desk.refused(&["key", "accept", "a"]), @"");
    assert_snapshot!(desk.refused(&["key", "accept", "a", "a"]), @"");
    assert_snapshot!(desk.told(&["key", "accept", "a", "b", "--name", "Carl \"the\" new"]), @"");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(policy), "{text}");
    assert_snapshot!(desk.told(&["key", "list"]), @"");
    let stream = ["--stream", "prod", "--sequence", "1", "--no-state"];
    let by = |name, keys: [&str; 2]| {
        desk.export(name, &[&stream[..], &["--key", keys[0], "--key", keys[1]]].concat());
        desk.run(&["verify", "-q", name, "--no-state"]).code
    };
    assert_eq!(by("anna and carl", ["anna.pem", "carl.pem"]), Some(0));
    assert_eq!(by("ben and carl", ["ben.pem", "carl.pem"]), Some(5));
}

#[test]
fn who_may_not_sign_the_same_endorses_nobody() {
    let desk = Desk::new();
    desk.policy("threshold = 2\n[[key]]\nfile = \"anna.pub\"\nstreams = [\"prod\"]\n[[key]]\nfile = \"ben.pub\"\n");
    for name in ["anna", "ben"] {
        let key = format!("{name}.pem");
        desk.run(&["key", "endorse", "carl.pub", "--key", &key, "-o", name]).succeeds();
    }
    assert_snapshot!(desk.refused(&["key", "accept", "anna", "ben"]), @"");
}
