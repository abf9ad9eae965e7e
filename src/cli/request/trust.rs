//! Whose signature counts.

use std::path::{Path, PathBuf};

use crate::cli::args;
use crate::cli::environment::Environment;
use crate::codec::owned::{Others, file_is_its_owners};
use crate::model::{Error, Result};
use crate::trust::Trust as Rules;

/// Where it is said whose signature counts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// These key files, which were named on the command line.
    Keys(Vec<PathBuf>),
    /// All key files of the trust folders.
    Found(Vec<PathBuf>),
    /// A trust.toml.
    Policy(PathBuf),
}

/// Whose signature counts, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Trust {
    said: Said,
    /// The trust.toml of the trust folders: a key that is revoked in one of them never counts.
    revocations: Vec<PathBuf>,
    threshold: Option<u8>,
    /// The trust folders, for messages.
    folders: Vec<PathBuf>,
    /// The options that say so.
    typed: Vec<String>,
}

impl Trust {
    /// What was typed; else the first trust.toml of the trust folders; else all keys that are there.
    ///
    /// # Errors
    /// [`Kind::Untrusted`](crate::model::Kind::Untrusted) where nobody's signature would count.
    pub(in crate::cli) fn resolve(
        args: args::TrustArgs,
        environment: &Environment,
    ) -> Result<Self> {
        let trust = Self::find(args, environment)?;
        trust.is_somebody()?;
        Ok(trust)
    }

    fn is_somebody(&self) -> Result<()> {
        if self.said != Said::Found(Vec::new()) {
            return Ok(());
        }
        let folders: Vec<String> =
            self.folders.iter().map(|folder| folder.display().to_string()).collect();
        Err(Error::untrusted("no trusted key: nobody's signature would count").hint(format!(
            "put the sender's .pub file into {}, or name it with --key",
            folders.join(" or ")
        )))
    }

    /// The same for who only looks, and needs nobody's key.
    pub(in crate::cli) fn find(args: args::TrustArgs, environment: &Environment) -> Result<Self> {
        let policies = environment.trust_policies()?;
        let mut typed = Vec::new();
        for (option, files) in [("--key", &args.key[..]), ("--trust", args.trust.as_slice())] {
            for file in files {
                typed.extend([option.to_owned(), file.to_string_lossy().into_owned()]);
            }
        }
        if let Some(threshold) = args.threshold {
            typed.extend(["--threshold".to_owned(), threshold.to_string()]);
        }
        let said = if !args.key.is_empty() {
            Said::Keys(args.key)
        } else if let Some(policy) = args.trust.or_else(|| policies.first().cloned()) {
            Said::Policy(policy)
        } else {
            Said::Found(environment.trusted_key_files()?)
        };
        let folders = environment.trust_folders().map(Path::to_path_buf).collect();
        Ok(Self { said, revocations: policies, threshold: args.threshold, folders, typed })
    }

    /// Reads the files; there must be a key.
    ///
    /// # Errors
    /// [`Kind::Untrusted`](crate::model::Kind::Untrusted) where nobody's signature would count; as for
    /// [`load`](Self::load).
    pub(in crate::cli) fn load_some(&self) -> Result<Rules> {
        self.is_somebody()?;
        self.load()
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Where one of them cannot be read or is not as it should be, a revoking one included.
    pub(in crate::cli) fn load(&self) -> Result<Rules> {
        let mut rules = match &self.said {
            Said::Keys(files) => Rules::from_files(files)?,
            Said::Found(files) => {
                // What anybody can put there says nothing.
                for file in files {
                    file_is_its_owners(file, Others::Strangers)?;
                }
                Rules::from_files(files)?
            }
            Said::Policy(file) => Rules::from_policy(file)?,
        };
        for file in &self.revocations {
            rules.heed_revocations(file)?;
        }
        if let Some(threshold) = self.threshold {
            rules.raise_threshold(threshold.into())?;
        }
        Ok(rules)
    }

    /// The options that say whose signature counts, word by word, for a command that is advised.
    pub(in crate::cli) fn typed(&self) -> &[String] {
        &self.typed
    }

    /// The trust.toml that counts, where one does.
    pub(in crate::cli) fn policy(&self) -> Option<&Path> {
        match &self.said {
            Said::Policy(file) => Some(file),
            Said::Keys(_) | Said::Found(_) => None,
        }
    }
}
