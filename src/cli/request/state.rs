//! Where it is kept what must be remembered from one run to the next.

use std::path::{Path, PathBuf};

use crate::cli::args;
use crate::cli::environment::Environment;
use crate::model::{Error, Result};

/// Where the state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum State {
    /// In this folder, which need not be there yet.
    Kept(PathBuf),
    /// The user wants none.
    Off,
    /// Nobody said where.
    Nowhere,
}

impl State {
    pub(in crate::cli) fn resolve(args: args::StateArgs, environment: &Environment) -> Self {
        match (args.state, args.no_state) {
            (_, true) => Self::Off,
            (Some(folder), _) => Self::Kept(folder),
            (None, _) => environment
                .state_folder()
                .map_or(Self::Nowhere, |folder| Self::Kept(folder.to_path_buf())),
        }
    }

    /// The folder; `None` where the user wants no state.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where nobody said where it is. Ask only when
    /// something is to be remembered.
    pub(in crate::cli) fn folder(&self) -> Result<Option<&Path>> {
        match self {
            Self::Kept(folder) => Ok(Some(folder)),
            Self::Off => Ok(None),
            Self::Nowhere => {
                Err(Error::usage("neither HOME nor XDG_STATE_HOME says where state is kept")
                    .hint("name a folder with --state, or add --no-state to remember nothing"))
            }
        }
    }
}
