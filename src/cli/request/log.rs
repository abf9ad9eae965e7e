//! What `sealift log` is asked for.

use std::path::PathBuf;

use super::filing::LOG;
use super::state::State;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::model::{Digest, Result};

/// `sealift log`.
#[derive(Debug)]
pub(in crate::cli) struct Log {
    /// The log.
    pub(in crate::cli) file: PathBuf,
    /// Prove the chain.
    pub(in crate::cli) check: bool,
    /// A line with this digest must be there.
    pub(in crate::cli) expect: Option<Digest>,
    /// As JSON.
    pub(in crate::cli) json: bool,
}

impl Log {
    pub(in crate::cli) fn resolve(args: args::LogArgs, environment: &Environment) -> Result<Self> {
        let state = args::StateArgs { state: args.state, no_state: false };
        let state = State::resolve(state, environment);
        let folder = state.folder()?.map(PathBuf::from).unwrap_or_default();
        Ok(Self { file: folder.join(LOG), check: args.check, expect: args.expect, json: args.json })
    }
}
