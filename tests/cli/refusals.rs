//! What is refused before any work begins, with which sentence and which exit code.

use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

/// Runs in an empty folder that is also its home; gives the exit code and stderr.
pub(crate) fn refused(home: &TempDir, arguments: &[&str]) -> (i32, String) {
    let output = sealift(home.path()).args(arguments).output().expect("the binary runs");
    assert!(output.stdout.is_empty(), "{output:?}");
    let place = home.path().to_str().expect("temporary folders have plain names");
    let text = String::from_utf8(output.stderr).expect("messages are UTF-8");
    (output.status.code().expect("no signal"), text.replace(place, "HOME"))
}

pub(crate) fn sealift(home: &Path) -> Command {
    let mut command = Command::cargo_bin("sealift").expect("the binary is built");
    command.current_dir(home).env_clear().envs(crate::support::coverage::passed_on());
    command.env("HOME", home).env("COLUMNS", "100");
    command
}

pub(crate) fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn an_unknown_option_is_wrong_use() {
    let (code, text) = refused(&home(), &["export", "a", "-o", "b", "--bogus"]);
    assert_eq!(code, 2);
    assert!(text.starts_with("error: unexpected argument '--bogus' found\n"), "{text}");
}

#[test]
fn no_signing_key() {
    let (code, text) = refused(&home(), &["export", "registry.example/a:1", "-o", "b"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: no signing key at HOME/.config/sealift/signing.pem
      hint: make one with sealift key generate, or name one with --key
    ");
}

#[test]
fn no_trusted_key() {
    let home = home();
    std::fs::write(home.path().join("b"), "").unwrap();
    let (code, text) = refused(&home, &["verify", "b"]);
    assert_eq!(code, 5);
    insta::assert_snapshot!(text, @r"
    error: no trusted key: nobody's signature would count
      hint: put the sender's .pub file into HOME/.config/sealift/trust or /etc/sealift/trust, or name it with --key
    ");
}

#[test]
fn a_bundle_that_is_there_already() {
    let home = home();
    std::fs::write(home.path().join("b"), "mine").unwrap();
    let (code, text) = refused(&home, &["export", "registry.example/a:1", "-o", "b", "-k", "k"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: b is already there
      hint: choose another name, or add --force to replace it
    ");
    assert_eq!(std::fs::read(home.path().join("b")).unwrap(), b"mine");
}

#[test]
fn a_place_that_nobody_knows() {
    let (code, text) = refused(&home(), &["import", "b", "-k", "k", "--to", "https://h.example"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r#"
    error: sealift does not speak "https" in "https://h.example"
      hint: places are written REGISTRY/NAME, docker-daemon:NAME, oci:DIR, oci-archive:FILE or docker-archive:FILE
    "#);
}

#[test]
fn a_date_that_is_none() {
    let home = home();
    let output = sealift(home.path())
        .args(["inspect", "b"])
        .env("SOURCE_DATE_EPOCH", "yesterday")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r#"
    error: SOURCE_DATE_EPOCH is not a number of seconds: "yesterday"
      hint: set it to seconds since 1970, as date +%s prints them, or unset it
    "#);
}

#[test]
fn a_hostile_argument_cannot_paint_the_terminal() {
    let (_, text) = refused(&home(), &["import", "b", "-k", "k", "--to", "\u{1b}[2J\u{202e}x"]);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let home = home();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("sealift"))
        .arg("--help")
        .current_dir(home.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
