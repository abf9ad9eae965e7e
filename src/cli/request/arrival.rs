//! A bundle that arrives: what there is to know of it before it is proved, whatever is then done with
//! it.

use std::path::PathBuf;

use super::state::State;
use super::trust::Trust;
use super::unlock::Unlock;

/// Where a bundle is, whose signature counts, and what it is judged by.
#[derive(Debug)]
pub(in crate::cli) struct Arrival {
    /// The bundle: files and folders.
    pub(in crate::cli) files: Vec<PathBuf>,
    /// Bundles that a delta adds to.
    pub(in crate::cli) bases: Vec<PathBuf>,
    /// Whose signature counts.
    pub(in crate::cli) trust: Trust,
    /// What opens encrypted bundles.
    pub(in crate::cli) unlock: Unlock,
    /// Where it is remembered what was seen.
    pub(in crate::cli) state: State,
    /// Seconds since 1970, by the clock.
    pub(in crate::cli) clock: u64,
    /// Whether the number in a stream may be absurdly high.
    pub(in crate::cli) accept_jump: bool,
    /// Folder for temporary files, and for copies of volumes while media are changed.
    pub(in crate::cli) temporary: PathBuf,
    /// Result as JSON.
    pub(in crate::cli) json: bool,
}
