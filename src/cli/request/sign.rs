//! What `sealift sign` is asked for.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::trust::Trust;
use super::{is_there, refuse_folder, signing_keys};
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::cli::passphrase::Passphrase;
use crate::model::{Error, Result};

/// Who signs.
#[derive(Debug)]
pub(in crate::cli) enum Pen {
    /// These signing keys, at least one.
    Keys(Vec<PathBuf>),
    /// Somebody elsewhere did: the file with the signature, and the public key.
    Elsewhere { signature: PathBuf, public: PathBuf },
}

/// Where what is signed goes.
#[derive(Debug)]
pub(in crate::cli) enum Paper {
    /// The bundle takes the place of the one that was there.
    InPlace,
    /// A bundle of another name.
    File(PathBuf),
    /// Only the signature.
    Detached(PathBuf),
}

/// `sealift sign`.
#[derive(Debug)]
pub(in crate::cli) struct Sign {
    /// The bundles, at least one; one only where the result has a name of its own.
    pub(in crate::cli) bundles: Vec<PathBuf>,
    /// Who signs.
    pub(in crate::cli) pen: Pen,
    /// For keys that need one.
    pub(in crate::cli) passphrase: Passphrase,
    /// Where it goes.
    pub(in crate::cli) paper: Paper,
    /// Who must have signed before; `None` where that does not matter.
    pub(in crate::cli) trust: Option<Trust>,
    /// Threads.
    pub(in crate::cli) jobs: NonZeroUsize,
    /// Result as JSON.
    pub(in crate::cli) json: bool,
}

impl Sign {
    pub(in crate::cli) fn resolve(args: args::SignArgs, environment: &Environment) -> Result<Self> {
        let paper = match (args.output, args.detached) {
            (Some(file), _) => Paper::File(file),
            (None, Some(file)) => Paper::Detached(file),
            (None, None) => Paper::InPlace,
        };
        if let Paper::File(file) | Paper::Detached(file) = &paper {
            if args.bundles.len() > 1 {
                return Err(Error::usage(format!(
                    "{} bundles cannot all become {}",
                    args.bundles.len(),
                    file.display()
                ))
                .hint("sign one at a time, or leave out the name of the result"));
            }
            refuse_folder(file, "app.sealift")?;
            if !args.force && is_there(file)? {
                return Err(Error::usage(format!("{} is already there", file.display()))
                    .hint("choose another name, or add --force to replace it"));
            }
        }
        if matches!(paper, Paper::Detached(_)) && args.key.len() > 1 {
            return Err(Error::usage("a file holds one signature, and several keys are named")
                .hint("run it once for each --key, each time with another --detached"));
        }
        let pen = match (args.add, args.public) {
            (Some(signature), Some(public)) if args.bundles.len() == 1 => {
                Pen::Elsewhere { signature, public }
            }
            (Some(_), _) => {
                return Err(Error::usage("a signature is for one bundle only")
                    .hint("name the bundle that it was made for"));
            }
            (None, _) => Pen::Keys(signing_keys(args.key, environment)?),
        };
        let trust = args::TrustArgs { key: args.signed_by, trust: args.trust, threshold: None };
        Ok(Self {
            bundles: args.bundles,
            pen,
            passphrase: Passphrase::resolve(args.passphrase_file, environment),
            paper,
            trust: if args.unverified { None } else { Some(Trust::resolve(trust, environment)?) },
            jobs: environment.jobs,
            json: args.json,
        })
    }
}
