//! Where it is remembered what was seen.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;

use crate::desk::Desk;

/// With bundles 1 and 2 of stream prod, and the second one seen.
fn desk() -> Desk {
    let desk = Desk::new().trusting(&["anna"]);
    for number in ["1", "2"] {
        desk.export(number, &["--stream", "prod", "--sequence", number, "--no-state"]);
    }
    desk.run(&["verify", "-q", "2"]).succeeds();
    desk
}

const RECORD: &str = ".local/state/sealift/received/prod/record";

#[test]
fn what_is_remembered_can_be_read_by_people() {
    let text = fs::read_to_string(desk().path(RECORD)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "sealift stream 1");
    let record: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!((&record["stream"], &record["sequence"]), (&"prod".into(), &2.into()));
    assert!(lines[2].starts_with("sha256:"));
}

#[test]
fn damaged_state_is_not_taken_for_none() {
    let desk = desk();
    let good = fs::read(desk.path(RECORD)).unwrap();
    for bad in [&b""[..], b"\0\0\0\0", &good[..good.len() - 1], &[&good[..], b"x"].concat()] {
        fs::write(desk.path(RECORD), bad).unwrap();
        for bundle in ["1", "2"] {
            desk.run(&["verify", "-q", bundle]).refused(6);
        }
        desk.run(&["import", "-q", "2", "--to", "oci:there"]).refused(6);
    }
    assert_snapshot!(desk.refused(&["verify", "-q", "1"]), @r"
    6
    error: what is remembered of stream prod is damaged: HOME/.local/state/sealift/received/prod/record
      caused by: its last line is not the digest of the others
      hint: put the file back from a backup; or move it away, and the next bundle of prod is taken without comparing it with those before
    ");
    fs::remove_file(desk.path(RECORD)).unwrap();
    assert!(desk.run(&["verify", "-q", "1"]).stderr.contains("the first of it seen here"));
}

#[test]
fn a_machine_without_state_says_what_that_means() {
    let desk = desk();
    assert_snapshot!(desk.told(&["verify", "-q", "1", "--no-state"]), @r"
    0
    signed by ANNA (HOME/.config/sealift/trust/anna.pub)
    number 1 of stream prod, not compared with any before it
    IMAGE                 DIGEST                                                                   STATE
    h.example/team/app:1  DIGEST  whole
    ok: SIZE in 2 packs, 3 blobs rebuilt and hashed
    warning: 1 is number 1 of stream prod; without state it was not checked whether a later one came before it
    ");
    desk.run(&["verify", "-q", "1", "--state", "elsewhere"]).succeeds();
    assert!(desk.path("elsewhere/received/prod/record").exists());
    let nowhere = |arguments: &[&str]| {
        let mut command = desk.program();
        command.env_remove("HOME").args(arguments);
        crate::support::command::Run::of(&mut command)
    };
    let said = nowhere(&["verify", "-q", "2", "--key", "anna.pub"]).refused(2);
    assert_snapshot!(said, @r"
    error: neither HOME nor XDG_STATE_HOME says where state is kept
      hint: name a folder with --state, or add --no-state to remember nothing
    ");
    nowhere(&["verify", "-q", "2", "--key", "anna.pub", "--no-state"]).succeeds();
}

#[test]
fn state_that_cannot_be_kept_or_that_anybody_can_change() {
    let desk = desk();
    fs::write(desk.path("file"), "").unwrap();
    assert_snapshot!(desk.refused(&["verify", "-q", "2", "--state", "file"]), @r"
    3
    error: what is done cannot be logged
      caused by: cannot make the folder file
      caused by: File exists (os error 17)
      hint: name another folder with --state, or add --no-state to log nothing
    ");
    fs::create_dir(desk.path("open")).unwrap();
    for mode in [0o777, 0o1777] {
        fs::set_permissions(desk.path("open"), fs::Permissions::from_mode(mode)).unwrap();
        desk.run(&["import", "-q", "2", "--to", "oci:there", "--state", "open"]).refused(2);
        desk.exporting("x", &["--stream", "prod", "--state", "open"]).refused(2);
    }
    assert_snapshot!(desk.refused(&["verify", "-q", "2", "--state", "open"]), @r"
    2
    error: open can be written to by anybody (mode 1777)
      hint: look who has changed it, then chmod o-w open
    ");
    assert!(!desk.path("there").exists() && !desk.path("x").exists());
}

#[test]
fn two_imports_of_one_stream_take_turns() {
    let desk = desk();
    let lock = desk.path(".local/state/sealift/received/prod/import");
    let held = fs::File::create(&lock).unwrap();
    held.lock().unwrap();
    assert_snapshot!(desk.refused(&["import", "-q", "2", "--to", "oci:there"]), @r"
    3
    error: another bundle of stream prod is being imported
      hint: wait until that is done: two at once could leave the older images in place
    ");
    assert!(!desk.path("there").exists());
    desk.run(&["verify", "-q", "2"]).succeeds();
    desk.run(&["import", "-q", "2", "--to", "oci:there", "--dry-run"]).succeeds();
    drop(held);
    desk.run(&["import", "-q", "2", "--to", "oci:there"]).succeeds();
}
