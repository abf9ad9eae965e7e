//! For whom a bundle is encrypted.

use std::path::{Path, PathBuf};

use crate::cli::environment::Environment;
use crate::cli::passphrase::Passphrase;
use crate::codec::encryption::Recipients;
use crate::codec::private::read_small;
use crate::model::{Error, Result};

/// For whom a bundle is encrypted.
#[derive(Debug)]
pub(in crate::cli) enum Encryption {
    /// Recipients, as typed or as they stand in files; each is one.
    To(Vec<String>),
    /// Whoever knows a passphrase.
    Passphrase(Passphrase),
}

impl Encryption {
    /// From what was typed; `None` where nothing is to be encrypted.
    pub(super) fn resolve(
        to: &[String],
        with_passphrase: bool,
        passphrase_file: Option<PathBuf>,
        environment: &Environment,
    ) -> Result<Option<Self>> {
        if with_passphrase {
            let passphrase = Passphrase::of_bundle(passphrase_file, environment);
            return Ok(Some(Self::Passphrase(passphrase)));
        }
        if to.is_empty() {
            return Ok(None);
        }
        let mut recipients = Vec::new();
        for text in to {
            match text.strip_prefix('@') {
                Some(file) => recipients.extend(in_file(Path::new(file))?),
                None => recipients.push(text.clone()),
            }
        }
        // Wrong ones are told before anybody is asked for anything.
        Recipients::parse(recipients.iter().map(String::as_str))?;
        Ok(Some(Self::To(recipients)))
    }

    /// The recipients. A passphrase is asked for twice.
    ///
    /// # Errors
    /// Where no passphrase is to be had.
    pub(in crate::cli) fn recipients(&self) -> Result<Recipients> {
        match self {
            Self::To(recipients) => Recipients::parse(recipients.iter().map(String::as_str)),
            Self::Passphrase(passphrase) => Ok(Recipients::passphrase(passphrase.for_new()?)),
        }
    }
}

/// The recipients in a file: one a line, between empty lines and comments.
fn in_file(path: &Path) -> Result<Vec<String>> {
    let text = read_small(path, "list of recipients")?;
    let lines = text.lines().map(str::trim);
    let found: Vec<String> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if found.is_empty() {
        return Err(Error::usage(format!("{} names no recipient", path.display()))
            .hint("write one a line, as age-keygen prints them"));
    }
    Recipients::parse(found.iter().map(String::as_str))
        .map_err(|e| e.context(format!("cannot encrypt to all in {}", path.display())))?;
    Ok(found)
}
