//! Credential helpers: programs named `docker-credential-NAME` that keep secrets elsewhere.
//!
//! Protocol of docker-credential-helpers: `get` with the server's address on standard input, a JSON
//! object on standard output.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::identity::{Credentials, Secret};
use crate::model::{Error, Result};

/// Bytes of a helper's answer. Identity tokens of cloud providers reach ten KiB.
const ANSWER_BYTES: u64 = 256 << 10;

/// How long a helper may take: it may ask a person to unlock a key ring.
const PATIENCE: Duration = Duration::from_mins(1);

/// What all helpers say when they know nobody at the server.
const NOT_FOUND: &str = "credentials not found in native keychain";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: Secret,
}

/// Asks helper `name` who we are at `server`; `None` where it does not know.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where there is no such helper,
/// [`Kind::Io`](crate::model::Kind::Io) where it fails. What it says is not repeated: it may be the
/// secret.
pub(super) fn get(name: &str, server: &str, path: Option<&OsStr>) -> Result<Option<Credentials>> {
    get_within(name, server, path, PATIENCE)
}

fn get_within(
    name: &str,
    server: &str,
    path: Option<&OsStr>,
    patience: Duration,
) -> Result<Option<Credentials>> {
    // A name with a slash would run a program from anywhere.
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(fine) {
        return Err(Error::usage(format!("not the name of a credential helper: {name:?}")));
    }
    let program = format!("docker-credential-{name}");
    let missing = || {
        Error::usage(format!("credential helper {program} is not installed"))
            .hint("install it, or take it out of the file and sign in again")
    };
    let location = match path {
        Some(path) => find(&program, path).ok_or_else(missing)?,
        None => PathBuf::from(&program),
    };
    let mut child = Command::new(location)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => missing(),
            _ => Error::io(format!("cannot run {program}"), e),
        })?;
    let failed = |why: &str| {
        Error::new(
            crate::model::Kind::Io,
            format!("credential helper {program}, asked about {server}, {why}"),
        )
        .hint(format!("try `echo {server} | {program} get`, which shows what it says"))
    };
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read its input is judged by its answer.
        let _ = input.write_all(server.as_bytes());
    }
    let output = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::new());
        let read =
            output.map_or(Ok(0), |output| output.take(ANSWER_BYTES + 1).read_to_end(&mut bytes));
        let _ = sender.send(read.map(|_| bytes));
    });
    let answer = receiver.recv_timeout(patience);
    if !matches!(&answer, Ok(Ok(bytes)) if bytes.len() as u64 <= ANSWER_BYTES) {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|e| Error::io(format!("cannot wait for {program}"), e))?;
    let bytes = match answer {
        Err(_) => return Err(failed(&format!("did not answer within {} s", patience.as_secs()))),
        Ok(Err(error)) => return Err(failed("cannot be read").because(error)),
        Ok(Ok(bytes)) if bytes.len() as u64 > ANSWER_BYTES => {
            return Err(failed("answered without end"));
        }
        Ok(Ok(bytes)) => bytes,
    };
    if !status.success() {
        return match std::str::from_utf8(&bytes).map(str::trim) {
            Ok(NOT_FOUND) => Ok(None),
            _ => Err(failed(&format!("failed ({status})"))),
        };
    }
    let answer: Answer =
        serde_json::from_slice(&bytes).map_err(|_| failed("did not answer with credentials"))?;
    Ok(Credentials::from_pair(answer.username, answer.secret))
}

/// The program in one of the folders of a `PATH`.
fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn ask(script: &str) -> Result<Option<Credentials>> {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
        // Made by another process: a program that this one has open for writing, or a child that
        // some other test forks at that moment, cannot be run.
        let file = folder.path().join("docker-credential-test");
        let made = Command::new("install").args(["-m", "755"]).arg(text).arg(file).status();
        assert!(made.unwrap().success());
        get_within("test", "h.example", Some(folder.path().as_os_str()), Duration::from_secs(2))
    }

    #[test]
    fn the_server_goes_in_and_credentials_come_out() {
        let found = ask(
            r#"read server; [ "$1" = get ] && echo "{\"ServerURL\":\"x\",\"Username\":\"$server\",\"Secret\":\"s\"}""#,
        );
        assert_eq!(found.unwrap(), Some(Credentials::password("h.example", "s")));
        let token = ask(r#"echo '{"ServerURL":"x","Username":"<token>","Secret":"s"}'"#);
        assert_eq!(token.unwrap(), Some(Credentials::Identity(Secret::new("s"))));
        assert_eq!(ask(&format!("echo {NOT_FOUND}; exit 1")).unwrap(), None);
    }

    #[test]
    fn helpers_that_fail_are_named_and_not_quoted() {
        for script in ["echo canary; exit 1", "echo canary", "exit 0", "yes canary", "sleep 20"] {
            let error = ask(script).unwrap_err();
            assert_eq!(error.kind(), Kind::Io, "{script}");
            assert!(error.message().contains("docker-credential-test"), "{error:?}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn only_plain_names_are_run() {
        for name in ["", "../evil", "a b", "a/b"] {
            assert_eq!(get(name, "h", None).unwrap_err().kind(), Kind::Usage, "{name:?}");
        }
        let error = get("nobody-has-this", "h", None).unwrap_err();
        assert!(error.get_hint().is_some(), "{error:?}");
    }
}
