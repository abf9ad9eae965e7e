//! What `sealift parity` and `sealift repair` are asked for.

use std::path::PathBuf;

use super::trust::Trust;
use crate::bundle::parity::beside;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::model::{Error, Result};
use crate::operation::parity::Wanted;

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
    /// Whose signature counts, or why nobody's does: an encrypted bundle is repaired without.
    pub(in crate::cli) trust: Result<Trust>,
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
            trust: Trust::resolve(args.trust, environment),
            json: args.json,
        }
    }
}
