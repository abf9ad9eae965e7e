//! Both ways between sealift and age.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::hands::{CANARY, Hands};
use crate::support::command::BINARY;

#[test]
fn age_opens_what_sealift_encrypts_to_the_very_bundle() {
    let hands = Hands::new();
    let recipient = hands.identity("key.txt");
    hands.export(&["one", "two"], &["-o", "plain.sealift"]).succeeds();
    // The name follows what it is.
    hands.export(&["one", "two"], &["-o", "app.sealift", "--encrypt-to", &recipient]).succeeds();
    assert!(!hands.path("app.sealift").exists());
    hands.age(&["-d", "-i", "key.txt", "-o", "opened.sealift", "app.sealift.age"]);
    assert!(hands.read("opened.sealift") == hands.read("plain.sealift"));
    hands.station.sealift(["verify", "opened.sealift"]).succeeds();
    // The same again is another file.
    hands.export(&["one", "two"], &["-o", "again.age", "--encrypt-to", &recipient]).succeeds();
    assert!(hands.read("again.age") != hands.read("app.sealift.age"));
}

#[test]
fn sealift_reads_what_it_and_age_encrypt_in_every_command() {
    let hands = Hands::new();
    let recipient = hands.identity("key.txt");
    let sealift = |arguments: &[&str]| hands.station.sealift(arguments);
    let opens = ["--identity", "key.txt"];
    hands.export(&["one"], &["-o", "one.sealift"]).succeeds();
    hands.age(&["-e", "-r", &recipient, "-o", "one.sealift.age", "one.sealift"]);
    let both = [&["--base", "one.sealift.age", "--encrypt-to", &recipient], &opens[..]].concat();
    let update = [&["-o", "two.sealift.age"], &both[..]].concat();
    hands.export(&["one", "two"], &update).succeeds();

    sealift(&[&["verify", "one.sealift.age"], &opens[..]].concat()).succeeds();
    let shown = sealift(&[&["inspect", "one.sealift.age"], &opens[..]].concat()).succeeds();
    assert!(shown.contains(CANARY) && shown.contains("encrypted"), "{shown}");
    sealift(&[&["diff", "one.sealift.age", "two.sealift.age"], &opens[..]].concat()).succeeds();
    let to = ["--to", "h.example:5000/x"];
    sealift(&[&["map", "one.sealift.age"], &to[..], &opens].concat()).succeeds();
    let base = ["--base", "one.sealift.age"];
    sealift(&[&["verify", "two.sealift.age"], &base[..], &opens].concat()).succeeds();
    let to = ["--to", "oci:there", "-q"];
    sealift(&[&["import", "two.sealift.age"], &to[..], &base, &opens].concat()).succeeds();
    let manifest = |layout: &str| {
        let index: serde_json::Value = serde_json::from_slice(&hands.read(layout)).unwrap();
        index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["digest"].to_string())
            .collect::<Vec<_>>()
    };
    let there = manifest("there/index.json");
    assert!(there.contains(&manifest("one/index.json")[0]), "{there:?}");
    assert!(there.contains(&manifest("two/index.json")[0]), "{there:?}");
}

#[test]
fn a_set_of_encrypted_volumes_keeps_its_limit_and_is_found_by_one_of_them() {
    let hands = Hands::of(700_000);
    let recipient = hands.identity("key.txt");
    fs::create_dir(hands.path("stick")).unwrap();
    let arguments =
        ["-o", "stick/app.sealift", "--volume-size", "1MiB", "--encrypt-to", &recipient];
    hands.export(&["one", "two"], &arguments).succeeds();
    let mut lengths = Vec::new();
    for entry in fs::read_dir(hands.path("stick")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(name.starts_with("app.0") && name.ends_with(".sealift.age"), "{name}");
        lengths.push(entry.metadata().unwrap().len());
    }
    assert!(lengths.len() > 3 && lengths.iter().all(|&length| length <= 1 << 20), "{lengths:?}");
    let verify = ["verify", "stick/app.001.sealift.age", "--identity", "key.txt"];
    hands.station.sealift(verify).succeeds();
    // Each is a file for age, and all of them a set for sealift.
    fs::create_dir(hands.path("opened")).unwrap();
    for number in 1..=lengths.len() {
        let (from, to) = (
            format!("stick/app.{number:03}.sealift.age"),
            format!("opened/app.{number:03}.sealift"),
        );
        hands.age(&["-d", "-i", "key.txt", "-o", &to, &from]);
    }
    hands.station.sealift(["verify", "opened"]).succeeds();
    fs::remove_file(hands.path("stick/app.002.sealift.age")).unwrap();
    let said = hands.station.sealift(verify).refused(4);
    assert!(said.contains("volume") && said.contains('2'), "{said}");
}

#[test]
fn several_recipients_a_file_of_them_and_the_usual_place() {
    let hands = Hands::new();
    let all: Vec<String> =
        ["a.txt", "b.txt", "c.txt", "other.txt"].map(|name| hands.identity(name)).into();
    fs::write(hands.path("team"), format!("# the team\n{}\n\n{}\n", all[0], all[1])).unwrap();
    let arguments = ["-o", "x.age", "--encrypt-to", "@team", "--encrypt-to", &all[2]];
    hands.export(&["one"], &arguments).succeeds();
    for name in ["a.txt", "b.txt", "c.txt"] {
        hands.station.sealift(["verify", "x.age", "--identity", name]).succeeds();
        hands.age(&["-d", "-i", name, "-o", "opened", "x.age"]);
    }
    let said = hands.station.sealift(["verify", "x.age", "--identity", "other.txt"]).refused(2);
    assert!(said.contains("does not open it"), "{said}");
    let said = hands.station.sealift(["verify", "x.age"]).refused(2);
    assert!(said.contains("--identity"), "{said}");
    hands.station.sealift(["verify", "opened"]).succeeds();

    fs::copy(hands.path("b.txt"), hands.path(".config/sealift/identity.txt")).unwrap();
    hands.station.sealift(["verify", "x.age"]).succeeds();
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(hands.path(".config/sealift/identity.txt"), open).unwrap();
    let said = hands.station.sealift(["verify", "x.age"]).refused(2);
    assert!(said.contains("0644"), "{said}");
    // What is not needed is not looked at.
    hands.station.sealift(["verify", "opened"]).succeeds();
}

#[test]
fn passphrases_go_both_ways() {
    let hands = Hands::new();
    fs::write(hands.path("words"), "correct horse\n").unwrap();
    let with = ["--bundle-passphrase-file", "words"];
    let arguments = [&["-o", "x.age", "--encrypt-passphrase"], &with[..]].concat();
    hands.export(&["one"], &arguments).succeeds();
    let decrypt = ["age", "-d", "-o", "opened", "x.age"];
    let (shown, code) = hands.on_a_terminal(&decrypt, &["correct horse"]);
    assert_eq!(code, 0, "{shown}");
    hands.station.sealift(["verify", "opened"]).succeeds();
    hands.station.sealift([&["verify", "x.age"], &with[..]].concat()).succeeds();

    let encrypt = ["age", "-e", "-p", "-o", "y.age", "opened"];
    let (shown, code) = hands.on_a_terminal(&encrypt, &["tr0ub4dor", "tr0ub4dor"]);
    assert_eq!(code, 0, "{shown}");
    let verify = [BINARY, "verify", "y.age"];
    let (shown, code) = hands.on_a_terminal(&verify, &["tr0ub4dor"]);
    assert!(code == 0 && !shown.contains("tr0ub4dor"), "{shown}");
    assert_eq!(hands.on_a_terminal(&verify, &["wrong"]).1, 2);
    let (shown, code) = hands.on_a_terminal(&verify, &["tr0ub\u{3}"]);
    assert!(code == 130 && !shown.contains("tr0ub"), "{shown}");
    // Whoever named the file does not steer the terminal of who is asked.
    let named = "a\u{1b}]0;b\u{202e}.age";
    fs::copy(hands.path("y.age"), hands.path(named)).unwrap();
    let (shown, _) = hands.on_a_terminal(&[BINARY, "verify", named], &["tr0ub\u{3}"]);
    assert!(!shown.contains(['\u{1b}', '\u{202e}']) && shown.contains("a\\u{1b}]0;b"), "{shown}");
    let said = hands.station.sealift([&["verify", "y.age"], &with[..]].concat()).refused(2);
    assert!(said.contains("passphrase does not open") && !said.contains("horse"), "{said}");
    let said = hands.station.sealift(["verify", "y.age"]).refused(2);
    assert!(said.contains("SEALIFT_BUNDLE_PASSPHRASE"), "{said}");
}

#[test]
fn what_cannot_be_meant_is_said_before_anything_is_done() {
    let hands = Hands::new();
    let recipient = hands.identity("key.txt");
    let secret = fs::read_to_string(hands.path("key.txt")).unwrap();
    let secret = secret.lines().last().unwrap();
    let refused = |arguments: &[&str]| {
        let said = hands.export(&["one"], &[&["-o", "x.age"], arguments].concat()).refused(2);
        assert!(!hands.path("x.age").exists() && !said.contains(secret), "{said}");
        said
    };
    assert!(refused(&["--encrypt-to", &recipient, "--resume"]).contains("cannot be resumed"));
    assert!(refused(&["--encrypt-to", secret]).contains("secret"));
    refused(&["--encrypt-to", "age1qqqq"]);
    refused(&["--encrypt-to", &recipient, "--encrypt-passphrase"]);
    fs::write(hands.path("none"), "# nobody\n").unwrap();
    refused(&["--encrypt-to", "@none"]);
    // A file for mail cannot be read at random.
    hands.export(&["one"], &["-o", "plain.sealift"]).succeeds();
    hands.age(&["-a", "-e", "-r", &recipient, "-o", "mail.age", "plain.sealift"]);
    let said = hands.station.sealift(["verify", "mail.age", "--identity", "key.txt"]).refused(7);
    assert!(said.contains("--armor"), "{said}");
}
