//! Credential helpers: programs named `docker-credential-NAME` that keep secrets elsewhere.
//!
//! Protocol of docker-credential-helpers: what is to be done is the only argument. `get` and
//! `erase` take the server's address on standard input, `store` a JSON object; `get` answers with
//! one on standard output.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::model::{Error, Kind, Result};
use crate::transport::registry::identity::{Credentials, IDENTITY, Secret};

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

/// What is to be stored, in the order in which Docker's helpers name it.
#[derive(Serialize)]
struct Stored<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    #[serde(rename = "Username")]
    user: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

/// Asks helper `name` who we are at `server`; `None` where it does not know.
///
/// # Errors
/// [`Kind::Usage`] where there is no such helper, [`Kind::Io`] where it fails. What it says is not
/// repeated: it may be the secret.
pub(super) fn get(name: &str, server: &str, path: Option<&OsStr>) -> Result<Option<Credentials>> {
    Helper { name, path, patience: PATIENCE }.get(server)
}

/// Has helper `name` keep who we are at `server`.
///
/// # Errors
/// As [`get`].
pub(super) fn store(
    name: &str,
    server: &str,
    credentials: &Credentials,
    path: Option<&OsStr>,
) -> Result<()> {
    let (user, secret) = match credentials {
        Credentials::Password { user, password } => (user.as_str(), password),
        Credentials::Identity { token, .. } => (IDENTITY, token),
    };
    let stored = Stored { server, user, secret: secret.expose() };
    let text = serde_json::to_vec(&stored)
        .map(Zeroizing::new)
        .map_err(|_| Error::usage("a sign-in cannot be written as JSON"))?;
    let helper = Helper { name, path, patience: PATIENCE };
    let (status, _) = helper.run("store", server, text)?;
    if status.success() { Ok(()) } else { Err(helper.failed("store", server, &status.to_string())) }
}

/// Has helper `name` forget who we are at `server`.
///
/// # Errors
/// As [`get`].
pub(super) fn erase(name: &str, server: &str, path: Option<&OsStr>) -> Result<()> {
    let helper = Helper { name, path, patience: PATIENCE };
    let (status, said) = helper.run("erase", server, server.as_bytes().to_vec().into())?;
    if status.success() || is_not_found(&said) {
        Ok(())
    } else {
        Err(helper.failed("erase", server, &status.to_string()))
    }
}

fn is_not_found(said: &[u8]) -> bool {
    std::str::from_utf8(said).is_ok_and(|said| said.trim() == NOT_FOUND)
}

struct Helper<'a> {
    name: &'a str,
    path: Option<&'a OsStr>,
    patience: Duration,
}

impl Helper<'_> {
    fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    fn failed(&self, action: &str, server: &str, why: &str) -> Error {
        let program = self.program();
        Error::new(
            Kind::Io,
            format!("credential helper {program}, asked to {action} for {server}, failed: {why}"),
        )
        .hint(match action {
            "get" => format!("try `echo {server} | {program} get`, which shows what it says"),
            _ => format!("try `{program} list`, which shows whether it works at all"),
        })
    }

    fn get(&self, server: &str) -> Result<Option<Credentials>> {
        let (status, said) = self.run("get", server, server.as_bytes().to_vec().into())?;
        if !status.success() {
            return if is_not_found(&said) {
                Ok(None)
            } else {
                Err(self.failed("get", server, &status.to_string()))
            };
        }
        let answer: Answer = serde_json::from_slice(&said)
            .map_err(|_| self.failed("get", server, "its answer is no sign-in"))?;
        Ok(Credentials::from_pair(answer.username, answer.secret))
    }

    /// Runs it: `input` goes in, what it prints comes out.
    fn run(
        &self,
        action: &str,
        server: &str,
        input: Zeroizing<Vec<u8>>,
    ) -> Result<(ExitStatus, Zeroizing<Vec<u8>>)> {
        // A name with a slash would run a program from anywhere.
        let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if self.name.is_empty() || !self.name.bytes().all(fine) {
            return Err(Error::usage(format!(
                "not the name of a credential helper: {:?}",
                self.name
            ))
            .hint("mend credsStore or credHelpers in that file"));
        }
        let program = self.program();
        let missing = || {
            Error::usage(format!("credential helper {program} is not installed")).hint(
                "install it; or take it out of that file (credsStore, credHelpers) and sign in again",
            )
        };
        let location = match self.path {
            Some(path) => find(&program, path).ok_or_else(missing)?,
            None => PathBuf::from(&program),
        };
        let mut child = Command::new(location)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => missing(),
                _ => Error::io(format!("cannot run {program}"), e),
            })?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its input is judged by its answer, and does not hold us up.
            std::thread::spawn(move || {
                let _ = stdin.write_all(&input);
            });
        }
        let output = child.stdout.take();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = Zeroizing::new(Vec::new());
            let read = output
                .map_or(Ok(0), |output| output.take(ANSWER_BYTES + 1).read_to_end(&mut bytes));
            let _ = sender.send(read.map(|_| bytes));
        });
        let answer = receiver.recv_timeout(self.patience);
        if !matches!(&answer, Ok(Ok(bytes)) if bytes.len() as u64 <= ANSWER_BYTES) {
            let _ = child.kill();
        }
        let status =
            child.wait().map_err(|e| Error::io(format!("cannot wait for {program}"), e))?;
        let failed = |why: &str| self.failed(action, server, why);
        match answer {
            Err(_) => Err(failed(&format!("no answer within {} s", self.patience.as_secs()))),
            Ok(Err(error)) => Err(failed("its answer cannot be read").because(error)),
            Ok(Ok(bytes)) if bytes.len() as u64 > ANSWER_BYTES => {
                Err(failed("its answer has no end"))
            }
            Ok(Ok(bytes)) => Ok((status, bytes)),
        }
    }
}

/// The program in one of the folders of a `PATH`.
fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Does something with a helper of this script.
    fn with<T>(script: &str, work: impl FnOnce(&OsStr) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
        // Made by another process: a program that this one has open for writing, or a child that
        // some other test forks at that moment, cannot be run.
        let file = folder.path().join("docker-credential-test");
        let made = Command::new("install").args(["-m", "755"]).arg(text).arg(file).status();
        assert!(made.unwrap().success());
        work(folder.path().as_os_str())
    }

    fn ask(script: &str) -> Result<Option<Credentials>> {
        with(script, |path| {
            Helper { name: "test", path: Some(path), patience: Duration::from_secs(2) }
                .get("h.example")
        })
    }

    #[test]
    fn the_server_goes_in_and_credentials_come_out() {
        let found = ask(
            r#"read server; [ "$1" = get ] && echo "{\"ServerURL\":\"x\",\"Username\":\"$server\",\"Secret\":\"s\"}""#,
        );
        assert_eq!(found.unwrap(), Some(Credentials::password("h.example", "s")));
        let token = ask(r#"echo '{"ServerURL":"x","Username":"<token>","Secret":"s"}'"#);
        assert_eq!(token.unwrap(), Some(Credentials::identity("s")));
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
    fn what_is_stored_goes_in_on_standard_input() {
        let keep = r#"[ "$*" = store ] && cat > "$0.kept""#;
        let stored = |credentials: &Credentials| {
            with(keep, |path| {
                store("test", "h.example", credentials, Some(path)).unwrap();
                std::fs::read_to_string(PathBuf::from(path).join("docker-credential-test.kept"))
                    .unwrap()
            })
        };
        assert_eq!(
            stored(&Credentials::password("robot$a+b", "p\"q")),
            r#"{"ServerURL":"h.example","Username":"robot$a+b","Secret":"p\"q"}"#
        );
        assert_eq!(
            stored(&Credentials::identity("t")),
            r#"{"ServerURL":"h.example","Username":"<token>","Secret":"t"}"#
        );
        let pair = Credentials::password("u", "canary");
        let error = with("cat; exit 1", |path| store("test", "h", &pair, Some(path))).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        with(&format!("echo {NOT_FOUND}; exit 1"), |path| erase("test", "h", Some(path))).unwrap();
        assert!(with("exit 1", |path| erase("test", "h", Some(path))).is_err());
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
