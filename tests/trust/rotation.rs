//! A new key in place of an old one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;

use crate::desk::Desk;
use crate::support::command::Run;

#[test]
fn a_new_key_is_trusted_because_the_old_one_says_so() {
    let desk = Desk::new().trusting(&["anna"]);
    desk.export("new", &["--key", "ben.pem"]);
    desk.run(&["verify", "-q", "new"]).refused(5);
    let line = ["key", "endorse", "ben.pub", "--key", "anna.pem", "-o", "endorsement"];
    assert_snapshot!(desk.told(&line), @r"
    0
    new  BEN
    old  ANNA
    endorsement: for whoever trusts the old key; sealift key accept reads it
    ");
    assert_snapshot!(desk.told(&["key", "accept", "endorsement", "--name", "ben"]), @r"
    0
    trusted  BEN in HOME/.config/sealift/trust/ben.pub
    endorsed by ANNA
    ");
    desk.run(&["verify", "-q", "new"]).succeeds();
    assert_snapshot!(desk.told(&["key", "accept", "endorsement"]), @r"
    0
    BEN is trusted already
    endorsed by ANNA
    ");
    assert_snapshot!(desk.refused(&line), @r"
    2
    error: endorsement is already there
      hint: choose another name
    ");
}

#[test]
fn the_old_key_retires() {
    let desk = Desk::new().trusting(&["anna"]);
    desk.export("old", &[]);
    desk.run(&["key", "endorse", "ben.pub", "--key", "anna.pem", "--retire", "-o", "e"]).succeeds();
    assert_snapshot!(desk.told(&["key", "accept", "e", "--name", "ben"]), @r"
    0
    trusted  BEN in HOME/.config/sealift/trust/ben.pub
    retired  ANNA in HOME/.config/sealift/trust/anna.pub.retired
    endorsed by ANNA
    ");
    assert_snapshot!(desk.refused(&["verify", "-q", "old"]), @r"
    5
    error: old is signed by ANNA, which is not trusted here
      hint: compare the key with the sender over another channel; if it is theirs, name it with --key or put it into the trust folder
    ");
}

#[test]
fn a_key_that_lies_in_several_files_retires_from_all_of_them() {
    let desk = Desk::new().trusting(&["anna"]);
    let trust = desk.trust();
    fs::copy(trust.join("anna.pub"), trust.join("zz-anna.pub")).unwrap();
    fs::write(trust.join("anna.pub.retired"), "an older one").unwrap();
    desk.export("old", &[]);
    desk.run(&["key", "endorse", "ben.pub", "--key", "anna.pem", "--retire", "-o", "e"]).succeeds();
    assert_snapshot!(desk.told(&["key", "accept", "e", "--name", "ben"]), @r"
    0
    trusted  BEN in HOME/.config/sealift/trust/ben.pub
    retired  ANNA in HOME/.config/sealift/trust/anna.pub.retired-2
    retired  ANNA in HOME/.config/sealift/trust/zz-anna.pub.retired
    endorsed by ANNA
    ");
    desk.run(&["verify", "-q", "old"]).refused(5);
    assert_eq!(fs::read_to_string(trust.join("anna.pub.retired")).unwrap(), "an older one");
}

#[test]
fn what_would_break_the_file_is_not_added_to_it() {
    let desk = Desk::new();
    let text = "key = [ { name = \"Anna\", file = \"anna.pub\" } ]\n";
    let path = desk.policy(text);
    desk.run(&["key", "endorse", "ben.pub", "--key", "anna.pem", "-o", "e"]).succeeds();
    let told = desk.refused(&["key", "accept", "e", "--name", "ben"]);
    assert!(
        told.starts_with(
            "2\nerror: HOME/.config/sealift/trust/trust.toml cannot be added to at its end\n"
        ),
        "{told}"
    );
    assert!(told.contains("\n  hint: it was left as it is; "), "{told}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    // While somebody else is at it.
    desk.policy("[[key]]\nname = \"Anna\"\nfile = \"anna.pub\"\n");
    let held = fs::File::open(desk.trust()).unwrap();
    held.try_lock().unwrap();
    let told = desk.refused(&["key", "accept", "e", "--name", "ben"]);
    assert!(told.starts_with("3\nerror: somebody else is changing "), "{told}");
    drop(held);
    // It stays as private as it was.
    let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let is = || path.metadata().unwrap().permissions().mode() & 0o7777;
    set(0o600);
    desk.run(&["key", "accept", "e", "--name", "ben"]).succeeds();
    assert_eq!(is(), 0o600);
    set(0o644);
    desk.run(&["key", "endorse", "carl.pub", "--key", "ben.pem", "-o", "f"]).succeeds();
    let program = crate::support::command::BINARY;
    let line = ["-c", r#"umask 077; exec "$@""#, "sh", program, "key", "accept", "f"];
    Run::of(desk.station.command("sh").args(line)).succeeds();
    assert_eq!(is(), 0o644);
}

#[test]
fn a_stranger_can_endorse_as_much_as_he_likes() {
    let desk = Desk::new().trusting(&["anna"]);
    desk.run(&["key", "endorse", "ben.pub", "--key", "carl.pem", "-o", "e"]).succeeds();
    assert_snapshot!(desk.refused(&["key", "accept", "e"]), @r"
    5
    error: 0 of the 1 trusted keys that it takes vouch for the key BEN
      hint: sealift key list shows who is trusted here; ask for the new key over another channel, or for another endorsement
    ");
    // Under another's name.
    let forged =
        fs::read_to_string(desk.path("e")).unwrap().replace(&Desk::id("carl"), &Desk::id("anna"));
    fs::write(desk.path("forged"), forged).unwrap();
    assert_snapshot!(desk.refused(&["key", "accept", "forged"]), @r"
    5
    error: the signature of ANNA on the endorsement does not fit: it was changed
    ");
    fs::write(desk.path("text"), "trust me\n").unwrap();
    assert_snapshot!(desk.refused(&["key", "accept", "text"]), @r"
    7
    error: text is not an endorsement of a key
      hint: sealift key endorse makes one
    ");
    assert_eq!(fs::read_dir(desk.trust()).unwrap().count(), 1);
}

#[test]
fn as_many_endorse_as_must_sign_and_the_new_key_may_do_what_they_may() {
    let desk = Desk::new();
    let policy = "# Ours.\nthreshold = 2\n\n[[key]]\nname = \"Anna\"\nfile = \"anna.pub\"\nstreams = [\"prod\"]\n\n[[key]]\nname = \"Ben\"\nfile = \"ben.pub\"\nstreams = [\"prod\"]";
    let path = desk.policy(policy);
    desk.run(&["key", "endorse", "carl.pub", "--key", "anna.pem", "-o", "a"]).succeeds();
    desk.run(&["key", "endorse", "carl.pub", "--key", "ben.pem", "--retire", "-o", "b"]).succeeds();
    assert_snapshot!(desk.refused(&["key", "accept", "a"]), @r"
    5
    error: 1 of the 2 trusted keys that it takes vouch for the key CARL
      hint: sealift key list shows who is trusted here; ask for the new key over another channel, or for another endorsement
    ");
    assert_snapshot!(desk.refused(&["key", "accept", "a", "a"]), @r"
    5
    error: 1 of the 2 trusted keys that it takes vouch for the key CARL
      hint: sealift key list shows who is trusted here; ask for the new key over another channel, or for another endorsement
    ");
    assert_snapshot!(desk.told(&["key", "accept", "a", "b", "--name", "Carl \"the\" new"]), @r"
    0
    trusted  CARL in HOME/.config/sealift/trust/trust.toml
    retired  BEN in HOME/.config/sealift/trust/trust.toml
    endorsed by Anna (ANNA)
    endorsed by Ben (BEN)
    ");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(policy), "{text}");
    let (_, date) = text.split_once("\nrevoked = ").unwrap();
    let listed = desk.told(&["key", "list"]).replace(&date[..10], "2026-12-31");
    assert_snapshot!(listed, @r#"
    0
    KEY               NAME            MAY SIGN                                                                FROM
    ANNA  Anna            all images in stream prod                                               HOME/.config/sealift/trust/anna.pub
    CARL  Carl "the" new  all images in stream prod                                               HOME/.config/sealift/trust/trust.toml
    BEN  Ben             nothing, revoked since 2026-12-31: retired in favour of Carl "the" new  HOME/.config/sealift/trust/trust.toml
    2 different ones must have signed
    "#);
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
    assert_snapshot!(desk.refused(&["key", "accept", "anna", "ben"]), @r"
    2
    error: those who vouch for the new key may not sign the same
      hint: add the key to trust.toml by hand, and say there what it may sign
    ");
}
