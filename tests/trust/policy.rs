//! trust.toml at work: every sentence with which a bundle is refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use insta::assert_snapshot;

use crate::desk::Desk;

const BOTH: &str = "threshold = 2\n\n[[key]]\nname = \"Anna\"\nfile = \"anna.pub\"\n\n[[key]]\nname = \"Ben\"\nfile = \"ben.pub\"\n";

#[test]
fn four_eyes() {
    let desk = Desk::new();
    desk.policy(BOTH);
    desk.export("one", &[]);
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @r"
    5
    error: one is signed by 1 of the 2 trusted keys that it takes: Anna (ANNA)
      hint: have another one of them sign it, with sealift sign
    ");
    // A signature by somebody who does not count.
    desk.export("stranger", &["--key", "anna.pem", "--key", "carl.pem"]);
    assert_snapshot!(desk.refused(&["verify", "-q", "stranger"]), @r"
    5
    error: stranger is signed by 1 of the 2 trusted keys that it takes: Anna (ANNA)
      hint: have another one of them sign it, with sealift sign
    ");
    desk.export("two", &["--key", "anna.pem", "--key", "ben.pem"]);
    assert_snapshot!(desk.told(&["verify", "-q", "two"]), @r"
    0
    signed by Anna (ANNA) (HOME/.config/sealift/trust/anna.pub)
    signed by Ben (BEN) (HOME/.config/sealift/trust/ben.pub)
    IMAGE                 DIGEST                                                                   STATE
    h.example/team/app:1  DIGEST  whole
    ok: SIZE in 2 packs, 3 blobs rebuilt and hashed
    ");
    // Three keys on it, two good ones, and one that is not known.
    desk.export("three", &["--key", "anna.pem", "--key", "ben.pem", "--key", "carl.pem"]);
    desk.run(&["verify", "-q", "three"]).succeeds();
    assert_snapshot!(desk.refused(&["verify", "-q", "two", "--threshold", "3"]), @r"
    5
    error: two is signed by 2 of the 3 trusted keys that it takes: Anna (ANNA), Ben (BEN)
      hint: have another one of them sign it, with sealift sign
    ");
    assert_snapshot!(desk.refused(&["verify", "-q", "two", "--threshold", "1"]), @r"
    2
    error: trust.toml asks for 2 keys, and --threshold for 1
      hint: --threshold can only ask for more; change the file to ask for less
    ");
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
    assert_snapshot!(desk.refused(&line), @r"
    5
    error: one is signed by 1 of the 2 trusted keys that it takes: ANNA
      hint: have another one of them sign it, with sealift sign
    ");
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
    assert_snapshot!(desk.refused(&["verify", "-q", "anna"]), @r"
    5
    error: anna: the key Anna's laptop (ANNA) is revoked since 2023-12-01 (stolen), as HOME/.config/sealift/trust/trust.toml says
      hint: do not use it: whoever holds that key may have signed anything; ask the sender for a bundle that is signed by a new key
    ");
    // Nor where the key is named.
    assert_snapshot!(desk.refused(&["verify", "-q", "anna", "--key", "anna.pub"]), @r"
    5
    error: anna: the key Anna's laptop (ANNA) is revoked since 2023-12-01 (stolen), as HOME/.config/sealift/trust/trust.toml says
      hint: do not use it: whoever holds that key may have signed anything; ask the sender for a bundle that is signed by a new key
    ");
    assert_snapshot!(desk.told(&["verify", "-q", "both"]), @r"
    0
    also signed by Anna's laptop (ANNA), revoked since 2023-12-01
    signed by Ben (BEN) (HOME/.config/sealift/trust/ben.pub)
    IMAGE                 DIGEST                                                                   STATE
    h.example/team/app:1  DIGEST  whole
    ok: SIZE in 2 packs, 3 blobs rebuilt and hashed
    ");
    // Nor in another policy.
    fs::write(desk.path("other.toml"), "[[key]]\nfile = \"anna.pub\"\n").unwrap();
    desk.run(&["verify", "-q", "anna", "--trust", "other.toml"]).refused(5);
    assert_snapshot!(desk.told(&["inspect", "both"]).lines().nth(3).unwrap(), @r"signed   by Anna's laptop (ANNA), revoked since 2023-12-01");
}

#[test]
fn keys_are_for_some_streams_and_repositories() {
    let desk = Desk::new();
    desk.policy("[[key]]\nname = \"Anna\"\nfile = \"anna.pub\"\nstreams = [\"prod\", \"test\"]\nrepositories = [\"h.example/team/\"]\n");
    let stream = ["--no-state", "--sequence", "1", "--stream"];
    desk.export("right", &[&stream[..], &["prod"]].concat());
    desk.run(&["verify", "-q", "right"]).succeeds();
    desk.export("dev", &[&stream[..], &["dev"]].concat());
    assert_snapshot!(desk.refused(&["verify", "-q", "dev"]), @r"
    5
    error: dev is of stream dev: none of its signers may sign that, and it takes 1
      caused by: Anna (ANNA) may sign images of h.example/team/ in streams prod, test
      hint: if it is right all the same, say so in trust.toml, where the streams and repositories of each key are
    ");
    desk.export("loose", &[]);
    assert_snapshot!(desk.refused(&["import", "-q", "loose", "--to", "oci:there"]), @r"
    5
    error: loose is of no stream: none of its signers may sign that, and it takes 1
      caused by: Anna (ANNA) may sign images of h.example/team/ in streams prod, test
      hint: if it is right all the same, say so in trust.toml, where the streams and repositories of each key are
    ");
    desk.export(
        "other",
        &[&["oci:images:h.example/other/tool:1"], &stream[..], &["prod"]].concat(),
    );
    assert_snapshot!(desk.refused(&["import", "-q", "other", "--to", "oci:there"]), @r"
    5
    error: other holds the image h.example/other/tool:1: none of its signers may sign that, and it takes 1
      caused by: Anna (ANNA) may sign images of h.example/team/ in streams prod, test
      hint: if it is right all the same, say so in trust.toml, where the streams and repositories of each key are
    ");
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
    assert_snapshot!(desk.refused(&["verify", "-q", "two"]), @r"
    5
    error: two holds the image h.example/team/app:1: only 1 of its signers may sign that, and it takes 2
      caused by: Anna (ANNA) may sign all images; Ben (BEN) may sign images of h.example/other/
      hint: if it is right all the same, say so in trust.toml, where the streams and repositories of each key are
    ");
}

#[test]
fn looking_asks_for_nothing_and_says_what_is_missing() {
    let desk = Desk::new();
    desk.policy(BOTH);
    desk.export("one", &[]);
    let run = desk.run(&["inspect", "-q", "one"]);
    assert_eq!(run.code, Some(0));
    assert_snapshot!(desk.plain(&run.stderr), @"warning: one is signed by 1 of the 2 trusted keys that it takes: Anna (ANNA): what follows is what it says of itself");
    let receipt = ["inspect", "-q", "one", "--receipt", "receipt"];
    assert_snapshot!(desk.refused(&receipt), @r"
    5
    error: one is signed by 1 of the 2 trusted keys that it takes: Anna (ANNA): no receipt is made of it
      hint: name the sender's key with --key
    ");
    assert!(!desk.path("receipt").exists());
}

#[test]
fn a_policy_that_leads_nowhere_is_no_licence() {
    let desk = Desk::new().trusting(&["anna"]);
    desk.export("one", &[]);
    std::os::unix::fs::symlink("/nowhere/trust.toml", desk.trust().join("trust.toml")).unwrap();
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @r"
    3
    error: cannot read HOME/.config/sealift/trust/trust.toml
      caused by: No such file or directory (os error 2)
    ");
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
    assert_snapshot!(said("[[key]]\nfile = \"anna.pub\"\nstream = [\"prod\"]\n"), @r#"
    2
    error: HOME/.config/sealift/trust/trust.toml cannot be understood, line 3: unknown field `stream`, expected one of `name`, `file`, `public`, `id`, `streams`, `repositories`, `revoked`, `reason`
      hint: what may stand there is in the guide, under "Who may sign"
    "#);
    assert_snapshot!(said("threshold = 0\n"), @r"
    2
    error: HOME/.config/sealift/trust/trust.toml: the threshold is 0; it can be from 1 to 16
    ");
    assert_snapshot!(said("[[key]]\nname = \"Anna\"\n"), @r#"
    2
    error: HOME/.config/sealift/trust/trust.toml: key 1, "Anna"
      caused by: a key is given by one of file, public and id
    "#);
    assert_snapshot!(said("[[key]]\nid = \"0f\"\nrevoked = 2023-12-01\n"), @r#"
    2
    error: HOME/.config/sealift/trust/trust.toml: key 1
      caused by: not the ID of a key: "0f"
      hint: sealift key show prints it: 64 hexadecimal digits
    "#);
    assert_snapshot!(said("[[key]]\nfile = \"anna.pub\"\nrepositories = [\"h.example/team/app:1\"]\n"), @r#"
    2
    error: HOME/.config/sealift/trust/trust.toml: key 1
      caused by: "h.example/team/app:1" names an image, not a repository
      hint: leave out tag and digest, as in registry.example/team/app
    "#);
    let weak = "[[key]]\nname = \"W\"\npublic = \"MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n";
    assert_snapshot!(said(weak), @r#"
    2
    error: HOME/.config/sealift/trust/trust.toml: key 1, "W"
      caused by: the key in public is weak: anybody can sign for it
      hint: remove it and use a key made by `sealift key generate` or openssl
    "#);
}

#[test]
fn a_policy_that_others_can_write_is_none() {
    let desk = Desk::new();
    let path = desk.policy("[[key]]\nfile = \"anna.pub\"\n");
    desk.export("one", &[]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @r"
    2
    error: HOME/.config/sealift/trust/trust.toml can be written to by others than its owner (mode 0664)
      hint: look who has changed it, then chmod go-w HOME/.config/sealift/trust/trust.toml
    ");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(desk.trust(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @r"
    2
    error: HOME/.config/sealift/trust can be written to by others than its owner (mode 0777)
      hint: look who has changed it, then chmod go-w HOME/.config/sealift/trust
    ");
    // Without a policy, a folder into which anybody can put keys says nothing either.
    fs::remove_file(&path).unwrap();
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @r"
    2
    error: HOME/.config/sealift/trust can be written to by anybody (mode 0777)
      hint: look who has changed it, then chmod o-w HOME/.config/sealift/trust
    ");
}

#[test]
fn without_a_policy_every_key_of_the_folder_is_enough() {
    let desk = Desk::new().trusting(&["anna", "ben"]);
    desk.export("one", &["--key", "ben.pem"]);
    desk.run(&["verify", "-q", "one"]).succeeds();
    assert_snapshot!(desk.refused(&["verify", "-q", "one", "--threshold", "2"]), @r"
    5
    error: one is signed by 1 of the 2 trusted keys that it takes: BEN
      hint: have another one of them sign it, with sealift sign
    ");
    // With one, only those count that it names.
    desk.policy("[[key]]\nfile = \"anna.pub\"\n");
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @r"
    5
    error: one is signed by BEN, which is not trusted here
      hint: compare the key with the sender over another channel; if it is theirs, name it with --key or put it into the trust folder
    ");
}

#[test]
fn who_is_trusted_can_be_seen() {
    let desk = Desk::new();
    assert_snapshot!(desk.told(&["key", "list"]), @r"
    0
    sealift: no key is trusted here
    ");
    let desk = desk.trusting(&["anna"]);
    assert_snapshot!(desk.told(&["key", "list"]), @r"
    0
    KEY               NAME  MAY SIGN    FROM
    ANNA  -     all images  HOME/.config/sealift/trust/anna.pub
    one of them is enough
    ");
    desk.policy(&format!(
        "{BOTH}streams = [\"prod\"]\nrepositories = [\"h.example/team/\"]\n\n[[key]]\nid = \"{}\"\nname = \"Carl\"\nrevoked = 2023-12-01\nreason = \"left\"\n",
        Desk::id("carl")
    ));
    assert_snapshot!(desk.told(&["key", "list"]), @r"
    0
    KEY               NAME  MAY SIGN                                  FROM
    ANNA  Anna  all images                                HOME/.config/sealift/trust/anna.pub
    BEN  Ben   images of h.example/team/ in stream prod  HOME/.config/sealift/trust/ben.pub
    CARL  Carl  nothing, revoked since 2023-12-01: left   HOME/.config/sealift/trust/trust.toml
    2 different ones must have signed
    ");
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
    assert_snapshot!(desk.told(&["key", "list", "--trust", "example/trust.toml"]), @r"
    0
    KEY               NAME                MAY SIGN                                                                            FROM
    ANNA  Anna, release team  all images                                                                          example/anna.pub
    BEN  Ben, vendor         images of registry.example/team/, docker.io/library/nginx in streams prod, staging  example/ben.pub
    21fe31dfa154a261  Carl, agency        images of registry.example/agency/                                                  example/trust.toml
    0f1e2d3c4b5a6978  Anna's old laptop   nothing, revoked since 2026-10-01: stolen                                           example/trust.toml
    2 different ones must have signed
    ");
}

#[test]
fn two_registries_do_not_share_a_name_at_the_target() {
    let desk = Desk::new();
    desk.policy("[[key]]\nname = \"Anna\"\nfile = \"anna.pub\"\nrepositories = [\"h.example/team/\"]\n\n[[key]]\nname = \"Ben\"\nfile = \"ben.pub\"\nrepositories = [\"ben.example/\"]\n\n[[key]]\nname = \"Carl\"\nfile = \"carl.pub\"\n");
    desk.export("one", &[]);
    // Nobody listens there: it is refused before anybody is asked.
    let to = ["--to", "127.0.0.1:9/mirror"];
    let refused = desk.refused(&[&["import", "-q", "one"], &to[..]].concat());
    assert_snapshot!(refused, @r"
    2
    error: h.example/team/app:1 would become 127.0.0.1:9/mirror/team/app:1, and so would ben.example/team/app:1, which its signers may not sign
      hint: keep the registry in the name, as with --map h.example/=h.example/; or say in another rule for h.example/ what its images are to be called
    ");
    assert_eq!(desk.refused(&[&["map", "-q", "one"], &to[..]].concat()), refused);
    let named = |bundle: &str, rules: &[&str]| {
        let rules = rules.iter().flat_map(|rule| ["--map", rule]);
        let line: Vec<&str> =
            ["map", "-q", bundle, "--format", "list"].into_iter().chain(to).chain(rules).collect();
        let told = desk.told(&line);
        told.split(['@', '\n']).nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(
        named("one", &["*=all/"]),
        "error: h.example/team/app:1 would become 127.0.0.1:9/mirror/all/team/app:1, and so would ben.example/team/app:1, which its signers may not sign"
    );
    let as_is = "h.example/team/app:1 127.0.0.1:9/mirror";
    assert_eq!(named("one", &["h.example/=h.example/"]), format!("{as_is}/h.example/team/app:1"));
    assert_eq!(named("one", &["*={registry}/"]), format!("{as_is}/h.example/team/app:1"));
    // A rule for just this registry is somebody's word.
    assert_eq!(named("one", &["h.example/team/=ours/"]), format!("{as_is}/ours/app:1"));
    // Who may sign both takes nobody's name; and where names are whole, nobody can.
    desk.export("carl", &["--key", "carl.pem"]);
    assert_eq!(named("carl", &[]), format!("{as_is}/team/app:1"));
    desk.run(&["import", "-q", "one", "--to", "oci:there"]).succeeds();
}

#[test]
fn what_belongs_to_another_user_says_nothing() {
    let desk = Desk::new().trusting(&["anna"]);
    desk.export("one", &[]);
    let give = |path: &std::path::Path, user| chown(path, Some(user), None).unwrap();
    let trust = desk.trust();
    give(&trust.join("anna.pub"), 65_534);
    assert_snapshot!(desk.refused(&["verify", "-q", "one"]), @r"
    2
    error: HOME/.config/sealift/trust/anna.pub belongs to another user of this machine (user ID 65534), who can change it
      hint: look at what it says, then chown root HOME/.config/sealift/trust/anna.pub; or, where sudo kept the HOME of that user, run it without sudo, or with sudo -H
    ");
    give(&trust.join("anna.pub"), 0);
    give(&trust, 65_534);
    desk.run(&["verify", "-q", "one"]).refused(2);
    give(&trust, 0);
    desk.run(&["verify", "-q", "one"]).succeeds();
    let policy = desk.policy("[[key]]\nfile = \"anna.pub\"\n");
    give(&policy, 65_534);
    let told = desk.refused(&["verify", "-q", "one"]);
    assert!(told.contains("trust.toml belongs to another user of this machine"), "{told}");
}
