//! What a command is to file: reports, receipts, a line of the log.

use std::path::{Path, PathBuf};

use super::is_there;
use super::state::State;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::cli::passphrase::Passphrase;
use crate::model::{Error, Result};

/// The log, in the folder of the state.
pub(super) const LOG: &str = "log.jsonl";

/// What is to be filed, and what goes into it from the surroundings.
#[derive(Debug)]
pub(in crate::cli) struct Filing {
    /// Reports.
    pub(in crate::cli) reports: Vec<ReportFile>,
    /// The key that signs them.
    pub(in crate::cli) sign: Option<PathBuf>,
    /// For a key that needs one.
    pub(in crate::cli) passphrase: Passphrase,
    /// The log; `None` where nothing is remembered.
    pub(in crate::cli) log: Option<PathBuf>,
    /// Seconds since 1970 that a report is dated with.
    pub(in crate::cli) when: u64,
    /// Seconds since 1970 by the clock: what the log says.
    pub(in crate::cli) clock: u64,
    /// The machine, as it calls itself.
    pub(in crate::cli) machine: Option<String>,
}

/// A report to be written.
#[derive(Debug)]
pub(in crate::cli) struct ReportFile {
    /// Where.
    pub(in crate::cli) path: PathBuf,
    /// As what.
    pub(in crate::cli) format: Format,
    /// Where its signature goes, if it is signed.
    pub(in crate::cli) signature: Option<PathBuf>,
}

/// What a report is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Format {
    /// For programs.
    Json,
    /// For people and paper.
    Html,
}

/// A receipt of an import.
#[derive(Debug)]
pub(in crate::cli) struct Receipt {
    /// Where.
    pub(in crate::cli) path: PathBuf,
    /// Keys that sign what it says.
    pub(in crate::cli) keys: Vec<PathBuf>,
    /// For a key that needs one.
    pub(in crate::cli) passphrase: Passphrase,
}

impl Filing {
    pub(in crate::cli) fn resolve(
        args: args::ReportArgs,
        state: &State,
        environment: &Environment,
    ) -> Result<Self> {
        let mut reports: Vec<ReportFile> = Vec::new();
        for path in args.report {
            let format = format(&path)?;
            let signature = args.sign_report.is_some().then(|| signature_of(&path));
            if reports.iter().any(|other| other.path == path) {
                return Err(Error::usage(format!("{} is named twice", path.display()))
                    .hint("give each report a name of its own"));
            }
            refuse_to_replace(&path)?;
            signature.as_deref().map_or(Ok(()), refuse_to_replace)?;
            reports.push(ReportFile { path, format, signature });
        }
        Ok(Self {
            reports,
            sign: args.sign_report,
            passphrase: Passphrase::resolve(args.passphrase_file, environment),
            ..Self::log_only(state, environment)?
        })
    }

    /// For a command that files nothing but its line of the log.
    pub(in crate::cli) fn log_only(state: &State, environment: &Environment) -> Result<Self> {
        Ok(Self {
            reports: Vec::new(),
            sign: None,
            passphrase: Passphrase::resolve(None, environment),
            log: state.folder()?.map(|folder| folder.join(LOG)),
            when: environment.created,
            clock: environment.clock,
            machine: environment.machine.clone(),
        })
    }
}

impl Receipt {
    pub(in crate::cli) fn resolve(
        args: args::ReceiptArgs,
        environment: &Environment,
    ) -> Result<Option<Self>> {
        let Some(path) = args.receipt else { return Ok(None) };
        refuse_to_replace(&path)?;
        let passphrase = Passphrase::resolve(args.passphrase_file, environment);
        Ok(Some(Self { path, keys: args.sign_receipt, passphrase }))
    }
}

/// By the end of the name.
fn format(path: &Path) -> Result<Format> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Ok(Format::Json),
        Some("html") => Ok(Format::Html),
        _ => Err(Error::usage(format!("what kind of report is {} to be?", path.display()))
            .hint("let its name end with .json or .html")),
    }
}

/// `FILE.sig`.
fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// What was filed stays as it was filed.
fn refuse_to_replace(path: &Path) -> Result<()> {
    if is_there(path)? {
        return Err(Error::usage(format!("{} is already there", path.display()))
            .hint("evidence is never replaced: choose another name, or move the old one away"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_what_kind_of_report_it_is() {
        assert_eq!(format(Path::new("a/b.json")).unwrap(), Format::Json);
        assert_eq!(format(Path::new("b.tar.html")).unwrap(), Format::Html);
        for name in ["report", "report.pdf", "json", ".json"] {
            assert!(format(Path::new(name)).is_err(), "{name}");
        }
        assert_eq!(signature_of(Path::new("a/b.json")), Path::new("a/b.json.sig"));
    }
}
