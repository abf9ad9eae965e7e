//! What `sealift parity` and `sealift repair` are asked for.

use std::path::PathBuf;

use super::trust::Trust;
use super::unlock::Unlock;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::model::Result;

/// `sealift parity`.
#[derive(Debug)]
pub(in crate::cli) struct Parity {
    /// The bundle: files and folders.
    pub(in crate::cli) places: Vec<PathBuf>,
    /// Hundredths of recovery data.
    pub(in crate::cli) percent: u8,
    /// What is written; beside the bundle if nothing is said.
    pub(in crate::cli) output: Option<PathBuf>,
    /// Whether files are replaced.
    pub(in crate::cli) force: bool,
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
    /// Whose signature counts; perhaps nobody's.
    pub(in crate::cli) trust: Trust,
    /// What opens an encrypted bundle, so that it can be proved.
    pub(in crate::cli) unlock: Unlock,
    /// Result as JSON.
    pub(in crate::cli) json: bool,
}

impl Parity {
    pub(in crate::cli) fn resolve(args: args::ParityArgs) -> Self {
        Self {
            places: args.places,
            percent: args.percent,
            output: args.output,
            force: args.force,
            json: args.json,
        }
    }
}

impl Repair {
    pub(in crate::cli) fn resolve(
        args: args::RepairArgs,
        environment: &Environment,
    ) -> Result<Self> {
        Ok(Self {
            places: args.places,
            output: args.output,
            all: args.all,
            force: args.force,
            trust: Trust::find(args.trust, environment)?,
            unlock: Unlock::resolve(args.unlock, environment)?,
            json: args.json,
        })
    }
}
