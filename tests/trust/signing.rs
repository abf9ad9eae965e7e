//! sealift sign: a second pair of eyes.

use std::fs;
use std::process::Command;

use insta::assert_snapshot;

use crate::desk::{Desk, MADE};
use crate::support::command::Run;
use crate::support::images::{Packing, image_of, layer, noise, write_layout};

fn desk() -> Desk {
    Desk::new().trusting(&["anna"])
}

#[test]
fn a_signature_is_added_and_the_bundle_is_the_one_that_export_would_have_made() {
    let desk = desk();
    desk.export("both", &["--key", "anna.pem", "--key", "ben.pem"]);
    desk.export("in-place", &[]);
    desk.export("old", &[]);
    let old = fs::read(desk.path("old")).unwrap();
    assert_snapshot!(desk.told(&["sign", "-q", "in-place", "--key", "ben.pem"]), @r"
    0
    bundle   DIGEST
    IMAGE                 DIGEST
    h.example/team/app:1  DIGEST
    signed before by ANNA
    signed now by BEN
    in-place: whole
    ");
    desk.run(&["sign", "-q", "old", "--key", "ben.pem", "-o", "new"]).succeeds();
    let both = fs::read(desk.path("both")).unwrap();
    assert!(fs::read(desk.path("in-place")).unwrap() == both);
    assert!(fs::read(desk.path("new")).unwrap() == both);
    assert!(fs::read(desk.path("old")).unwrap() == old);
    desk.run(&["verify", "-q", "new", "--key", "anna.pub", "--key", "ben.pub", "--threshold", "2"])
        .succeeds();
    // Again: nothing happens.
    assert_snapshot!(desk.told(&["sign", "-q", "new", "--key", "ben.pem"]), @r"
    0
    bundle   DIGEST
    IMAGE                 DIGEST
    h.example/team/app:1  DIGEST
    signed before by ANNA
    there is nothing to add: it had this signature already
    new: whole
    ");
    assert!(fs::read(desk.path("new")).unwrap() == both);
}

#[test]
fn a_signature_can_come_by_itself() {
    let desk = desk();
    desk.export("both", &["--key", "anna.pem", "--key", "ben.pem"]);
    desk.export("one", &[]);
    let line = ["sign", "-q", "one", "--key", "ben.pem", "--detached", "ben.sig"];
    assert_snapshot!(desk.told(&line), @r"
    0
    bundle   DIGEST
    IMAGE                 DIGEST
    h.example/team/app:1  DIGEST
    signed before by ANNA
    signed now by BEN
    ben.sig: the signature alone; the bundle is as it was
    next, where the bundle is: sealift sign one --add ben.sig --public ben.pub
    ");
    let two = [&line[..4], &["ben.pem", "--key", "carl.pem", "--detached", "two.sig"]].concat();
    assert_snapshot!(desk.refused(&two), @r"
    2
    error: a file holds one signature, and several keys are named
      hint: run it once for each --key, each time with another --detached
    ");
    assert!(!desk.path("two.sig").exists());
    assert_eq!(fs::read(desk.path("ben.sig")).unwrap().len(), 64);
    let wrong = ["sign", "-q", "one", "--add", "ben.sig", "--public", "carl.pub"];
    assert_snapshot!(desk.refused(&wrong), @r"
    5
    error: the signature is not one of CARL over one
      hint: it must be over the exact bytes of the member manifest, and by the key that is named
    ");
    // The advice, word for word.
    desk.run(&["sign", "one", "--add", "ben.sig", "--public", "ben.pub"]).succeeds();
    assert!(fs::read(desk.path("one")).unwrap() == fs::read(desk.path("both")).unwrap());
    fs::write(desk.path("short.sig"), [1; 63]).unwrap();
    let short = ["sign", "-q", "one", "--add", "short.sig", "--public", "ben.pub"];
    assert_snapshot!(desk.refused(&short), @r"
    2
    error: short.sig holds no signature: that is 64 bytes
      hint: sealift sign --detached writes one, and so does openssl pkeyutl -sign -rawin
    ");
}

/// With tar and openssl alone, as format.md says.
#[test]
fn openssl_can_sign() {
    let desk = desk();
    desk.export("both", &["--key", "anna.pem", "--key", "ben.pem"]);
    desk.export("one", &[]);
    let tool = |program: &str, arguments: &[&str]| {
        let mut command: Command = desk.station.command(program);
        Run::of(command.args(arguments)).succeeds();
    };
    tool("tar", &["xf", "one", "manifest"]);
    let sign = ["pkeyutl", "-sign", "-rawin", "-inkey", "ben.pem", "-in", "manifest"];
    tool("openssl", &[&sign[..], &["-out", "ben.sig"]].concat());
    // The advice, word for word.
    desk.run(&["sign", "one", "--add", "ben.sig", "--public", "ben.pub"]).succeeds();
    assert!(fs::read(desk.path("one")).unwrap() == fs::read(desk.path("both")).unwrap());
}

/// Of a set only the last volume changes, whichever was named.
#[test]
fn a_set_of_volumes_is_signed_in_its_last_one() {
    let desk = desk();
    let large = layer(&[("noise", &noise(7, 3 << 20))]);
    let large = image_of(&[large], Packing::Plain, "amd64", "large");
    write_layout(&desk.path("large"), &[("h.example/large:1", &large)]);
    let cut = ["oci:large", "--volume-size", "1MiB"];
    for (folder, keys) in
        [("one", &["--key", "anna.pem"][..]), ("both", &["--key", "anna.pem", "--key", "ben.pem"])]
    {
        fs::create_dir(desk.path(folder)).unwrap();
        desk.export(&format!("{folder}/set.sealift"), &[&cut[..], keys].concat());
    }
    desk.run(&["sign", "-q", "one/set.001.sealift", "--key", "ben.pem"]).succeeds();
    let volumes = |folder: &str| -> Vec<(String, Vec<u8>)> {
        let mut volumes: Vec<_> = fs::read_dir(desk.path(folder))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect();
        volumes.sort();
        volumes
    };
    assert!(volumes("one").len() > 2);
    assert!(volumes("one") == volumes("both"));
}

#[test]
fn what_nobody_trusted_signed_is_not_signed() {
    let desk = desk();
    desk.export("stranger", &["--key", "carl.pem"]);
    let before = fs::read(desk.path("stranger")).unwrap();
    let line = ["sign", "-q", "stranger", "--key", "ben.pem"];
    assert_snapshot!(desk.refused(&line), @r"
    5
    error: stranger is signed by CARL, which is not trusted here
      hint: compare the key with the sender over another channel; if it is theirs, name it with --key or put it into the trust folder
    ");
    assert!(fs::read(desk.path("stranger")).unwrap() == before);
    desk.run(&[&line[..], &["--signed-by", "carl.pub", "-o", "known"]].concat()).succeeds();
    let unverified = desk.told(&[&line[..], &["--unverified"]].concat());
    assert!(unverified.starts_with("0\n"), "{unverified}");
    assert!(unverified.ends_with("was signed without asking who had signed it before\n"));
    assert!(fs::read(desk.path("stranger")).unwrap() == fs::read(desk.path("known")).unwrap());
}

#[test]
fn what_is_not_whole_is_not_signed() {
    let desk = desk();
    desk.export("bad", &[]);
    let mut bytes = fs::read(desk.path("bad")).unwrap();
    // Within the README, and within the first pack.
    for at in [600, Desk::in_pack(&bytes)] {
        bytes[at] ^= 1;
        fs::write(desk.path("bad"), &bytes).unwrap();
        for more in [&["--detached", "x.sig"][..], &["-o", "x"], &["--unverified"], &[]] {
            let line = [&["sign", "-q", "bad", "--key", "ben.pem"], more].concat();
            let said = desk.run(&line).refused(4);
            assert!(said.starts_with("error: bad is not whole: it is not signed\n"), "{said}");
        }
        assert!(fs::read(desk.path("bad")).unwrap() == bytes);
        bytes[at] ^= 1;
    }
    assert!(!desk.path("x").exists() && !desk.path("x.sig").exists());
}

#[test]
fn signing_says_what_it_signs() {
    let desk = desk();
    let stream = ["--stream", "prod", "--sequence", "7", "--no-state", "--expires", "9000d"];
    desk.export("one", &stream);
    let signed = desk.run(&["sign", "-q", "one", "--key", "ben.pem", "--json"]).json();
    assert_eq!(signed["stream"], serde_json::json!({"name": "prod", "sequence": 7}));
    assert_eq!(signed["expires"], MADE.parse::<u64>().unwrap() + 9000 * 86400);
    assert_eq!(signed["before"], serde_json::json!([Desk::id("anna")]));
    assert_eq!(signed["added"], serde_json::json!([Desk::id("ben")]));
    assert_eq!(signed["images"][0]["name"], "h.example/team/app:1");
}

#[test]
fn what_cannot_be_meant() {
    let desk = desk();
    desk.export("a", &[]);
    desk.export("b", &[]);
    assert_snapshot!(desk.refused(&["sign", "a", "b", "--key", "ben.pem", "-o", "c"]), @r"
    2
    error: 2 bundles cannot all become c
      hint: sign one at a time, or leave out the name of the result
    ");
    assert_snapshot!(desk.refused(&["sign", "a", "--key", "ben.pem", "-o", "b"]), @r"
    2
    error: b is already there
      hint: choose another name, or add --force to replace it
    ");
    assert_snapshot!(desk.refused(&["sign", "a"]), @r"
    2
    error: no signing key at HOME/.config/sealift/signing.pem
      hint: make one with sealift key generate, or name one with --key
    ");
    desk.run(&["sign", "-q", "a", "b", "--key", "ben.pem"]).succeeds();
    desk.run(&["verify", "-q", "b", "--key", "ben.pub"]).succeeds();
}

#[test]
fn no_bundle_has_more_than_sixteen_signatures() {
    let desk = desk();
    let mut keys = vec!["--key".to_owned(), "anna.pem".to_owned()];
    for number in 0..16 {
        let name = format!("{number}.pem");
        desk.run(&["key", "generate", "-q", "-o", &name]).succeeds();
        keys.extend(["--key".to_owned(), name]);
    }
    let of = |count: usize| -> Vec<&str> { keys[..2 * count].iter().map(String::as_str).collect() };
    desk.export("full", &of(16));
    assert_snapshot!(desk.refused(&["sign", "-q", "full", "--key", "15.pem"]), @r"
    2
    error: full has 16 signatures, and no bundle has more
    ");
    let refused = desk.exporting("more", &of(17)).refused(2);
    assert!(refused.starts_with("error: a bundle has at most 16 signatures"), "{refused}");
}
