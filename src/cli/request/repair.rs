//! What `sealift parity` and `sealift repair` are asked for.

use std::path::PathBuf;

use super::trusted;
use crate::bundle::parity::beside;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::model::{Error, Result};
use crate::operation::repair::Wanted;

/// `sealift parity`.
#[derive(Debug)]
pub(in crate::cli) struct Parity {
    /// All volumes of the bundle.
    pub(in crate::cli) volumes: Vec<PathBuf>,
    /// What is made.
    pub(in crate::cli) wanted: Wanted,
    /// Result as JSON.
    pub(in crate::cli) json: bool,
}

/// `sealift repair`.
#[derive(Debug)]
pub(in crate::cli) struct Repair {
    /// What is left.
    pub(in crate::cli) places: Vec<PathBuf>,
    /// What is written; `None` where it is only looked at.
    pub(in crate::cli) output: Option<PathBuf>,
    /// Whether whole volumes are written too.
    pub(in crate::cli) all: bool,
    /// Whether files are replaced.
    pub(in crate::cli) force: bool,
    /// Trusted public keys, or why there are none: an encrypted bundle is repaired without.
    pub(in crate::cli) keys: Result<Vec<PathBuf>>,
    /// Result as JSON.
    pub(in crate::cli) json: bool,
}

impl Parity {
    pub(in crate::cli) fn resolve(args: args::ParityArgs) -> Result<Self> {
        let output = args.output.or_else(|| args.volumes.first().map(|first| beside(first)));
        let output = output.ok_or_else(|| Error::usage("there is no volume to make parity for"))?;
        let wanted = Wanted { percent: args.percent, output, limit: None, force: args.force };
        Ok(Self { volumes: args.volumes, wanted, json: args.json })
    }
}

impl Repair {
    pub(in crate::cli) fn resolve(args: args::RepairArgs, environment: &Environment) -> Self {
        Self {
            places: args.places,
            output: args.output,
            all: args.all,
            force: args.force,
            keys: trusted(args.key, environment),
            json: args.json,
        }
    }
}
