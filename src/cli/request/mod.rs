//! What the command line means: places parsed, keys found, defaults filled in from the
//! environment. A command function gets one of these and nothing else to interpret.

mod arrival;
mod connection;
mod encryption;
mod export;
mod faults;
mod filing;
mod import;
mod key;
mod log;
mod login;
mod map;
mod remake;
mod repair;
mod sign;
mod sign_in;
mod sources;
mod state;
mod stream;
mod trust;
mod unlock;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::args;
use super::environment::Environment;
use super::passphrase::Passphrase;
use crate::model::{Error, Result};

pub(super) use self::arrival::Arrival;
pub(super) use self::connection::Connection;
pub(super) use self::encryption::Encryption;
pub(super) use self::export::{Export, Sealing};
pub(super) use self::filing::{Filing, Format, Receipt, ReportFile};
pub(super) use self::import::Import;
pub(super) use self::key::{Accept, Endorse, List};
pub(super) use self::log::Log;
pub(super) use self::login::{Login, Logout};
pub(super) use self::map::Map;
pub(super) use self::remake::Remake;
pub(super) use self::repair::{Parity, Repair};
pub(super) use self::sign::{Paper, Pen, Sign};
pub(super) use self::state::State;
pub(super) use self::trust::Trust;
pub(super) use self::unlock::Unlock;

/// `sealift verify`.
#[derive(Debug)]
pub(super) struct Verify {
    /// The bundle, and what it is judged by.
    pub(super) arrival: Arrival,
    /// What is written down of it.
    pub(super) filing: Filing,
    /// Only this volume.
    pub(super) volume: Option<u64>,
    /// What holds the signed tail, where it is not among the files.
    pub(super) tail: Option<PathBuf>,
    /// Signature and stored bytes only.
    pub(super) quick: bool,
    /// Threads.
    pub(super) jobs: NonZeroUsize,
}

/// `sealift inspect`.
#[derive(Debug)]
pub(super) struct Inspect {
    /// The bundle: files and folders.
    pub(super) files: Vec<PathBuf>,
    /// List layers.
    pub(super) layers: bool,
    /// A receipt to write.
    pub(super) receipt: Option<PathBuf>,
    /// Whose signature would count; perhaps nobody's.
    pub(super) trust: Trust,
    /// As JSON.
    pub(super) json: bool,
    /// What opens encrypted bundles.
    pub(super) unlock: Unlock,
}

/// `sealift diff`.
#[derive(Debug)]
pub(super) struct Diff {
    /// What is there already, and its own bases.
    pub(super) old: Vec<PathBuf>,
    /// The newer bundle.
    pub(super) new: PathBuf,
    /// Whose signature counts.
    pub(super) trust: Trust,
    /// As JSON.
    pub(super) json: bool,
    /// What opens encrypted bundles.
    pub(super) unlock: Unlock,
}

/// `sealift key generate`.
#[derive(Debug)]
pub(super) struct Generate {
    /// The signing key to write.
    pub(super) signing_key: PathBuf,
    /// The public key to write.
    pub(super) public_key: PathBuf,
    /// What protects the signing key.
    pub(super) passphrase: Option<Passphrase>,
}

/// `sealift key show`.
#[derive(Debug)]
pub(super) struct Show {
    /// A public or a signing key.
    pub(super) file: PathBuf,
    /// For a signing key that needs one.
    pub(super) passphrase: Passphrase,
}

/// The signing keys: those named, else the user's own.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where there is none.
fn signing_keys(named: Vec<PathBuf>, environment: &Environment) -> Result<Vec<PathBuf>> {
    if !named.is_empty() {
        return Ok(named);
    }
    let key = environment.default_signing_key()?;
    if !is_there(&key)? {
        return Err(Error::usage(format!("no signing key at {}", key.display()))
            .hint("make one with sealift key generate, or name one with --key"));
    }
    Ok(vec![key])
}

/// One's own public key, if it is there.
fn own_public_key(environment: &Environment) -> Result<Option<PathBuf>> {
    let Ok(key) = environment.default_signing_key() else { return Ok(None) };
    let public = key.with_extension("pub");
    Ok(is_there(&public)?.then_some(public))
}

fn is_there(path: &Path) -> Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io(format!("cannot look at {}", path.display()), e)),
    }
}

/// A file that is to be written is no folder.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where it is one, or is written as one; `example` is
/// what the file in it could be called.
fn refuse_folder(file: &Path, example: &str) -> Result<()> {
    let is_there = file.is_dir();
    if !is_there && !file.to_string_lossy().ends_with(std::path::is_separator) {
        return Ok(());
    }
    let what = if is_there { "is a folder" } else { "would be a folder, and is not there" };
    Err(Error::usage(format!("{} {what}: the name of a file is wanted", file.display()))
        .hint(format!("name the file in it, as in {}", file.join(example).display())))
}

impl Verify {
    pub(super) fn resolve(args: args::VerifyArgs, environment: &Environment) -> Result<Self> {
        let state = State::resolve(args.state, environment);
        Ok(Self {
            filing: Filing::resolve(args.reports, &state, environment)?,
            arrival: Arrival {
                files: args.files,
                bases: args.base,
                trust: Trust::find(args.trust, environment)?,
                unlock: Unlock::resolve(args.unlock, environment)?,
                state,
                clock: environment.clock,
                accept_jump: args.freshness.accept_jump,
                temporary: environment.temporary.clone(),
                json: args.json,
            },
            volume: args.volume,
            tail: args.tail,
            quick: args.quick,
            jobs: args.jobs.unwrap_or(environment.jobs),
        })
    }
}

impl Inspect {
    pub(super) fn resolve(args: args::InspectArgs, environment: &Environment) -> Result<Self> {
        Ok(Self {
            files: args.files,
            layers: args.layers,
            receipt: args.receipt,
            // Unlike verify and import, looking needs nobody's key.
            trust: Trust::find(args.trust, environment)?,
            json: args.json,
            unlock: Unlock::resolve(args.unlock, environment)?,
        })
    }
}

impl Diff {
    pub(super) fn resolve(args: args::DiffArgs, environment: &Environment) -> Result<Self> {
        Ok(Self {
            old: std::iter::once(args.old).chain(args.base).collect(),
            new: args.new,
            trust: Trust::resolve(args.trust, environment)?,
            json: args.json,
            unlock: Unlock::resolve(args.unlock, environment)?,
        })
    }
}

impl Generate {
    pub(super) fn resolve(args: args::GenerateArgs, environment: &Environment) -> Result<Self> {
        let signing_key = match args.output {
            Some(path) => path,
            None => environment.default_signing_key()?,
        };
        if signing_key.extension().is_some_and(|extension| extension == "pub") {
            return Err(Error::usage(format!(
                "{} would be the name of the public key",
                signing_key.display()
            ))
            .hint("name the signing key, for example vendor.pem; vendor.pub is put next to it"));
        }
        let public_key = signing_key.with_extension("pub");
        for path in [&signing_key, &public_key] {
            if is_there(path)? {
                return Err(Error::usage(format!("{} is already there", path.display())).hint(
                    "keys are never replaced: choose another name with -o, or move the old one away",
                ));
            }
        }
        let wanted =
            args.passphrase || args.passphrase_file.is_some() || environment.passphrase.is_some();
        let passphrase = wanted.then(|| Passphrase::resolve(args.passphrase_file, environment));
        Ok(Self { signing_key, public_key, passphrase })
    }
}

impl Show {
    pub(super) fn resolve(args: args::ShowArgs, environment: &Environment) -> Self {
        Self { file: args.file, passphrase: Passphrase::resolve(args.passphrase_file, environment) }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command, KeyCommand};
    use crate::model::Kind;

    fn export(line: &[&str], environment: &Environment) -> Result<Export> {
        match Cli::try_parse_from([&["sealift", "export"], line].concat()).unwrap().command {
            Command::Export(args) => Export::resolve(args, environment),
            _ => unreachable!(),
        }
    }

    fn home(folder: &tempfile::TempDir) -> Environment {
        let folder = folder.path().to_str().unwrap();
        Environment::fake(&[("XDG_CONFIG_HOME", folder), ("XDG_STATE_HOME", folder)]).unwrap()
    }

    #[test]
    fn a_dry_run_needs_neither_key_nor_output() {
        let folder = tempfile::tempdir().unwrap();
        let request = export(&["-n", "nginx"], &home(&folder)).unwrap();
        assert!(request.sealing.is_none());
        assert_eq!(request.sources[0].to_string(), "docker.io/library/nginx:latest");
    }

    #[test]
    fn a_missing_signing_key_says_how_to_make_one() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("b");
        let line = ["nginx", "-o", output.to_str().unwrap()];
        let error = export(&line, &home(&folder)).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.get_hint().unwrap().contains("sealift key generate"));

        std::fs::create_dir(folder.path().join("sealift")).unwrap();
        std::fs::write(folder.path().join("sealift/signing.pem"), "").unwrap();
        let sealing = export(&line, &home(&folder)).unwrap().sealing.unwrap();
        assert_eq!(sealing.keys, [folder.path().join("sealift/signing.pem")]);
    }

    #[test]
    fn an_existing_bundle_is_replaced_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("b");
        std::fs::write(&output, "").unwrap();
        let line = ["nginx", "-k", "k", "-o", output.to_str().unwrap()];
        let error = export(&line, &home(&folder)).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(export(&[&line[..], &["--force"]].concat(), &home(&folder)).is_ok());
    }

    #[test]
    fn without_a_trusted_key_nothing_is_believed_but_looking_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let environment = home(&folder);
        let verify = |line: &[&str]| {
            let args = Cli::try_parse_from([&["sealift", "verify", "b"], line].concat()).unwrap();
            let Command::Verify(args) = args.command else { unreachable!() };
            Verify::resolve(args, &environment)
        };
        let untrusted = verify(&[]).unwrap().arrival.trust.load_some().unwrap_err();
        assert_eq!(untrusted.kind(), Kind::Untrusted);
        verify(&["--key", "k"]).unwrap();
        let args = Cli::try_parse_from(["sealift", "inspect", "b"]).unwrap();
        let Command::Inspect(args) = args.command else { unreachable!() };
        Inspect::resolve(args, &environment).unwrap();
    }

    #[test]
    fn keys_are_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let generate = |name: &str| {
            let path = folder.path().join(name);
            let line = ["sealift", "key", "generate", "-o", path.to_str().unwrap()];
            let Command::Key { command: KeyCommand::Generate(args) } =
                Cli::try_parse_from(line).unwrap().command
            else {
                unreachable!()
            };
            Generate::resolve(args, &home(&folder))
        };
        assert_eq!(generate("a.pem").unwrap().public_key, folder.path().join("a.pub"));
        std::fs::write(folder.path().join("a.pub"), "").unwrap();
        assert_eq!(generate("a.pem").unwrap_err().kind(), Kind::Usage);
        assert_eq!(generate("b.pub").unwrap_err().kind(), Kind::Usage);
    }
}
