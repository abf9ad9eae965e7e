//! The real `sealift`, run as its users run it: a home of its own, its own keys, its own trust.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::coverage;

/// Somebody's machine: a home with a signing key that is trusted there, and room for files.
pub(crate) struct Station {
    folder: tempfile::TempDir,
}

impl Station {
    /// With a key pair in the usual place, its public half trusted.
    pub(crate) fn new() -> Self {
        let station = Self::without_keys();
        station.sealift(["key", "generate"]).succeeds();
        let trust = station.configuration().join("trust");
        fs::create_dir(&trust).unwrap();
        fs::copy(station.public_key(), trust.join("sender.pub")).unwrap();
        station
    }

    /// With a home that holds nothing at all.
    pub(crate) fn without_keys() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        Self { folder }
    }

    fn configuration(&self) -> PathBuf {
        self.path(".config/sealift")
    }

    pub(crate) fn public_key(&self) -> PathBuf {
        self.configuration().join("signing.pub")
    }

    /// The home, also the folder in which commands are run.
    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder that is told to commands for their temporary files.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path("tmp")
    }

    /// The program itself, in this station's surroundings and no others.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.home())
            .env_clear()
            .envs(coverage::passed_on())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.home())
            .env("TMPDIR", self.temporary())
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    /// A `sealift` that is still to be given its arguments.
    pub(crate) fn program(&self) -> Command {
        self.command(BINARY)
    }

    /// Runs `sealift`.
    pub(crate) fn sealift<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        Run::of(self.program().args(arguments))
    }

    /// Exports, and expects it to work.
    pub(crate) fn export<A: AsRef<OsStr>>(
        &self,
        bundle: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> String {
        Run::of(self.program().args(["export", "-q", "-o", bundle]).args(arguments)).succeeds()
    }

    /// Imports, and expects it to work.
    pub(crate) fn import<A: AsRef<OsStr>>(
        &self,
        bundle: &str,
        to: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> String {
        Run::of(self.program().args(["import", "-q", bundle, "--to", to]).args(arguments))
            .succeeds()
    }
}

/// The binary that was built for these tests.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sealift");

/// What a run of `sealift` came to.
#[derive(Debug)]
pub(crate) struct Run {
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Self {
            command: format!("{command:?}"),
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// What it printed, for a run that has to work.
    pub(crate) fn succeeds(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}{}", self.command, self.stdout, self.stderr);
        self.stdout
    }

    /// What it said, for a run that has to be refused with this exit code.
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}{}", self.command, self.stdout, self.stderr);
        self.stderr
    }

    /// What it printed, as JSON.
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.succeeds()).unwrap()
    }
}
