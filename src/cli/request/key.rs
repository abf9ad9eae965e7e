//! What `sealift key` is asked for.

use std::path::PathBuf;

use super::trust::Trust;
use super::{is_there, signing_keys};
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::cli::passphrase::Passphrase;
use crate::model::{Error, Result};

/// `sealift key list`.
#[derive(Debug)]
pub(in crate::cli) struct List {
    /// Whose signature counts.
    pub(in crate::cli) trust: Trust,
    /// As JSON.
    pub(in crate::cli) json: bool,
}

/// `sealift key endorse`.
#[derive(Debug)]
pub(in crate::cli) struct Endorse {
    /// The new public key.
    pub(in crate::cli) public: PathBuf,
    /// The old signing key.
    pub(in crate::cli) key: PathBuf,
    /// For a key that needs one.
    pub(in crate::cli) passphrase: Passphrase,
    /// Whether the old key is to go.
    pub(in crate::cli) retire: bool,
    /// The endorsement to write.
    pub(in crate::cli) output: PathBuf,
    /// Its date, seconds since 1970.
    pub(in crate::cli) created: u64,
}

/// `sealift key accept`.
#[derive(Debug)]
pub(in crate::cli) struct Accept {
    /// Endorsements, at least one.
    pub(in crate::cli) endorsements: Vec<PathBuf>,
    /// What the new key is to be called.
    pub(in crate::cli) name: Option<String>,
    /// Who is trusted until now.
    pub(in crate::cli) trust: Trust,
    /// Where a public key goes if there is no trust.toml.
    pub(in crate::cli) folder: Option<PathBuf>,
    /// Today, seconds since 1970.
    pub(in crate::cli) now: u64,
}

impl List {
    pub(in crate::cli) fn resolve(args: args::ListArgs, environment: &Environment) -> Result<Self> {
        Ok(Self { trust: Trust::find(args.trust, environment)?, json: args.json })
    }
}

impl Endorse {
    pub(in crate::cli) fn resolve(
        args: args::EndorseArgs,
        environment: &Environment,
    ) -> Result<Self> {
        if is_there(&args.output)? {
            return Err(Error::usage(format!("{} is already there", args.output.display()))
                .hint("choose another name"));
        }
        let keys = signing_keys(args.key.into_iter().collect(), environment)?;
        let Some(key) = keys.into_iter().next() else {
            return Err(Error::usage("there is no signing key"));
        };
        Ok(Self {
            public: args.public,
            key,
            passphrase: Passphrase::resolve(args.passphrase_file, environment),
            retire: args.retire,
            output: args.output,
            created: environment.created,
        })
    }
}

impl Accept {
    pub(in crate::cli) fn resolve(
        args: args::AcceptArgs,
        environment: &Environment,
    ) -> Result<Self> {
        let trust = args::TrustArgs { key: Vec::new(), trust: args.trust, threshold: None };
        Ok(Self {
            endorsements: args.endorsements,
            name: args.name,
            trust: Trust::resolve(trust, environment)?,
            folder: environment.own_trust_folder().map(std::path::Path::to_path_buf),
            now: environment.clock,
        })
    }
}
