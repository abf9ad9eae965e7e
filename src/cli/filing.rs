//! What a command files: reports, and a line of the log. Everything is opened before the work begins,
//! so that nobody waits an hour to learn that a folder cannot be written to; and written however the
//! work ends.

use std::io::Write;

use super::console::Console;
use super::output::{json_line, json_text};
use super::page::page;
use super::request::{self, Format};
use crate::codec::atomic::AtomicFile;
use crate::codec::journal::Journal;
use crate::model::{Digest, Error, Result};
use crate::operation::evidence::{Case, Filed, Surroundings};
use crate::trust::SecretKey;

/// Program and version.
pub(super) const PROGRAM: &str = concat!("sealift ", env!("CARGO_PKG_VERSION"));

/// Files that are open for what is to be filed.
pub(super) struct Filing<'a> {
    command: &'static str,
    request: &'a request::Filing,
    reports: Vec<OpenReport>,
    key: Option<SecretKey>,
    journal: Option<Journal>,
}

struct OpenReport {
    format: Format,
    file: AtomicFile,
    signature: Option<AtomicFile>,
}

impl<'a> Filing<'a> {
    /// Opens everything that will be written.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) for what cannot be; what is wrong with a key or the log.
    pub(super) fn begin(request: &'a request::Filing, command: &'static str) -> Result<Self> {
        let key = request
            .sign
            .as_ref()
            .map(|path| SecretKey::load(path, &mut || request.passphrase.of_key(path)));
        let key = key.transpose()?;
        let open = |report: &request::ReportFile| {
            let file = AtomicFile::create(&report.path, 0o644)?;
            let signature = report.signature.as_ref().map(|path| AtomicFile::create(path, 0o644));
            Ok(OpenReport { format: report.format, file, signature: signature.transpose()? })
        };
        let reports = request.reports.iter().map(open).collect::<Result<_>>()?;
        let journal = request.log.as_ref().map(|path| {
            Journal::open(path).map_err(|error| {
                let hint = "name another folder with --state, or add --no-state to log nothing";
                let hint = error.get_hint().unwrap_or(hint).to_owned();
                error.context("what is done cannot be logged").hint(hint)
            })
        });
        Ok(Self { command, request, reports, key, journal: journal.transpose()? })
    }

    /// Whether somebody will read what the files on the medium are.
    pub(super) fn has_reports(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Writes reports and log, and gives how the command ends: as it would have, unless it went well
    /// and could not be filed. `filed` is what it has filed by itself.
    ///
    /// # Errors
    /// Those of `outcome`, else what kept something from being written.
    pub(super) fn close(
        mut self,
        case: &Case,
        outcome: Result<()>,
        mut filed: Vec<Filed>,
        console: &Console,
    ) -> Result<()> {
        let reports = std::mem::take(&mut self.reports);
        let written = self.write(reports, case, &outcome);
        let outcome = both(outcome, written.map(|reports| filed.extend(reports)), console);
        let logged = self.log(case, &outcome, filed);
        both(outcome, logged, console)
    }

    fn surroundings(&self, when: u64) -> Surroundings<'_> {
        Surroundings {
            command: self.command,
            when,
            program: PROGRAM,
            machine: self.request.machine.as_deref(),
        }
    }

    fn write(
        &self,
        reports: Vec<OpenReport>,
        case: &Case,
        outcome: &Result<()>,
    ) -> Result<Vec<Filed>> {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let mut report = case.report(outcome, &self.surroundings(self.request.when));
        report.check.signed_by = self.key.as_ref().map(|key| key.public().id().to_string());
        let mut filed = Vec::new();
        let mut ready = Vec::new();
        for OpenReport { format, mut file, signature } in reports {
            let text = match format {
                Format::Json => json_text(&report)?,
                Format::Html => page(&report),
            };
            put(&mut file, text.as_bytes())?;
            filed.push(Filed {
                file: absolute(file.target()),
                sha256: Digest::of(text.as_bytes()).hex(),
            });
            ready.push(file);
            if let (Some(mut signature), Some(key)) = (signature, &self.key) {
                put(&mut signature, &key.sign(text.as_bytes()))?;
                ready.push(signature);
            }
        }
        // None has its name before all are written.
        ready.into_iter().try_for_each(AtomicFile::commit)?;
        Ok(filed)
    }

    fn log(&mut self, case: &Case, outcome: &Result<()>, filed: Vec<Filed>) -> Result<()> {
        let entry = case.entry(outcome, &self.surroundings(self.request.clock), filed);
        match &mut self.journal {
            Some(journal) => journal.append(&json_line(&entry)?).map(drop),
            None => Ok(()),
        }
    }
}

/// The first of two failures; the other is told as a warning.
fn both(first: Result<()>, second: Result<()>, console: &Console) -> Result<()> {
    match (first, second) {
        (Ok(()), second) => second,
        (Err(first), second) => {
            if let Err(second) = second {
                console.warn(&second.chain());
            }
            Err(first)
        }
    }
}

fn put(file: &mut AtomicFile, bytes: &[u8]) -> Result<()> {
    let written = file.write_all(bytes);
    written.map_err(|e| Error::io(format!("cannot write {}", file.target().display()), e))
}

/// A path that means the same from anywhere.
pub(super) fn absolute(path: &std::path::Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
