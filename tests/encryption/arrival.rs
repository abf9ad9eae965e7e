//! An encrypted bundle that arrives damaged: what is said of it, with which exit code, and how it is
//! given back and proved.

use std::fs;

use crate::hands::Hands;

/// A passphrase in a file; the one before it in another.
fn passphrases(hands: &Hands) {
    for (file, text) in [("right", "correct horse"), ("wrong", "battery staple")] {
        fs::write(hands.path(file), text).unwrap();
    }
}

#[test]
fn a_spoiled_header_is_damage_wherever_it_lies() {
    let hands = Hands::new();
    let recipient = hands.identity("key.txt");
    fs::create_dir(hands.path("stick")).unwrap();
    let bundle = "stick/x.sealift.age";
    hands.export(&["one"], &["-o", bundle, "--encrypt-to", &recipient]).succeeds();
    let good = hands.read(bundle);
    let end = good.windows(4).position(|four| four == b"--- ").unwrap();
    for (what, range, with) in [
        ("its first bytes", 0..4, 0),
        ("all of its first sector", 0..512, 0),
        ("the version", 19..21, b'?'),
        ("the line of the recipient", 24..28, 0x80),
        ("the body of that line", 70..80, b'!'),
        ("the last line", end..end + 4, b' '),
        ("the proof", end + 10..end + 11, b'!'),
    ] {
        let mut bad = good.clone();
        bad[range].fill(with);
        fs::write(hands.path(bundle), bad).unwrap();
        for place in [bundle, "stick"] {
            let run = hands.station.sealift(["verify", "-q", place, "--identity", "key.txt"]);
            assert_eq!(run.code, Some(4), "{what}, {place}: {run:?}");
            assert!(run.stderr.contains("x.sealift.age"), "{what}, {place}: {run:?}");
            assert!(!run.stderr.contains("\\n"), "{what}, {place}: {run:?}");
            let to = ["import", "-q", place, "--to", "oci:there", "--identity", "key.txt"];
            hands.station.sealift(to).refused(4);
        }
    }
    fs::write(hands.path(bundle), "age-encryption.org/v1\n-> scrypt AAAA 40\nAAAA\n--- AAAA\n")
        .unwrap();
    let told = hands.station.sealift(["verify", "-q", bundle]).refused(7);
    assert!(told.contains("the limit is 2^"), "{told}");
    passphrases(&hands);
    hands
        .export(
            &["one"],
            &["-o", bundle, "--force", "--encrypt-passphrase", "--bundle-passphrase-file", "right"],
        )
        .succeeds();
    let verify =
        |file| hands.station.sealift(["verify", "-q", bundle, "--bundle-passphrase-file", file]);
    verify("wrong").refused(2);
    verify("right").succeeds();
    hands.identity("other.txt");
    hands.export(&["one"], &["-o", bundle, "--force", "--encrypt-to", &recipient]).succeeds();
    hands.station.sealift(["verify", "-q", bundle, "--identity", "other.txt"]).refused(2);
}

#[test]
fn an_encrypted_set_is_given_back_and_proved() {
    let hands = Hands::of(300_000);
    let recipient = hands.identity("key.txt");
    fs::create_dir(hands.path("set")).unwrap();
    let options = ["-o", "set/x.sealift", "--volume-size", "1MiB", "--encrypt-to", &recipient];
    hands.export(&["one", "two"], &options).succeeds();
    // Whoever makes parity need not open anything.
    for place in ["set", "set/x.sealift.age", "set/x.002.sealift.age"] {
        let made = ["parity", "-q", place, "--percent", "20", "--force"];
        let told = hands.station.sealift(made).succeeds();
        assert!(told.contains("x.parity.sealift"), "{place}: {told}");
        let check = hands.station.sealift(["repair", "-q", "--check", "set", "--json"]).json();
        assert!(check["volumes"].as_array().unwrap().len() > 1, "{place}: {check}");
    }
    let volume = "set/x.002.sealift.age";
    let good = hands.read(volume);
    let harm = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(hands.path(volume), bad).unwrap();
    };
    let repair = |out: &str, more: &[&str]| {
        hands.station.sealift([&["repair", "-q", "set", "-o", out][..], more].concat())
    };
    harm(good.len() / 2);
    let told = hands.station.sealift(["verify", "-q", "set", "--identity", "key.txt"]).refused(4);
    assert!(told.ends_with(": sealift repair set -o repaired --identity key.txt\n"), "{told}");
    let proved = repair("proved", &["--identity", "key.txt"]);
    assert_eq!(proved.stderr, "");
    let told = proved.succeeds();
    assert!(told.contains("signed by a trusted key, every stored byte proved"), "{told}");
    let next = told.rsplit_once("next: sealift ").unwrap().1.trim();
    assert!(next.ends_with(" --identity key.txt"), "{next}");
    hands.station.sealift(next.split(' ')).succeeds();
    assert!(hands.read("proved/x.002.sealift.age") == good);
    // Without what opens it, its parity vouches for it, and that is said.
    let unproved = repair("unproved", &[]);
    assert!(unproved.stderr.contains("and was not opened"), "{unproved:?}");
    assert!(unproved.succeeds().contains("each byte as the parity says that it was"));
    // Whoever names what opens it wants it proved.
    hands.identity("other.txt");
    assert!(repair("not", &["--identity", "other.txt"]).refused(2).contains("nothing was written"));
    repair("not", &["--identity", "key.txt", "--key", "other.pub"]).refused(3);
    assert!(fs::read_dir(hands.path("not")).map_or(true, |mut left| left.next().is_none()));
    // A line for a recipient that is spoiled is one for somebody else.
    harm(30);
    let told = hands.station.sealift(["verify", "-q", volume, "--identity", "key.txt"]);
    assert!(told.stderr.contains(": sealift repair "), "{told:?}");
}
