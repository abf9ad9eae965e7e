//! A bundle of exactly these files: nothing beside them is looked at, and each of them is a volume.
//!
//! A bundle is whole when its volumes are somewhere among what was named. Whoever vouches for files
//! says more: that each of them is what was signed. For that every file must be the only one that is
//! its volume.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::handles::Handles;
use super::reader::{Authentic, Bundle, Unverified};
use super::search::Search;
use super::volume::Volume;
use crate::codec::encryption::Identities;
use crate::model::{Kind, Result};

/// Whether a file is encrypted, and nothing that is here opens it.
pub fn is_closed(path: &Path, identities: &Identities) -> bool {
    Volume::open_with(path, identities).is_err_and(|error| error.kind() == Kind::Usage)
}

impl Bundle<Unverified> {
    /// Opens the bundle whose volumes are these files, and nothing else.
    ///
    /// # Errors
    /// As [`open_set`](Self::open_set).
    pub fn open_exactly(files: &[PathBuf], identities: &Identities) -> Result<Self> {
        let search = Search::of(files, identities)?.without_neighbours();
        Self::selected(search, Handles::with(identities))
    }
}

impl Bundle<Authentic> {
    /// Those of the files, by number, that are not the only one that is a volume of this bundle, or
    /// are more than one of its volumes. Where there is none, and no volume is missing, whatever
    /// is proved of the bundle is proved of each file.
    pub fn strangers(&self, files: &[PathBuf]) -> Vec<usize> {
        let mut uses: HashMap<PathBuf, usize> = HashMap::new();
        for volume in &self.contents().manifest.volumes {
            let candidates = self.volumes.candidates(volume.number);
            for candidate in &candidates {
                // One that shares a volume with another is as bad as one that is two.
                *uses.entry(candidate.path.clone()).or_default() += candidates.len();
            }
        }
        // A file that is named twice cannot be both.
        let mut is_strange = |path: &PathBuf| uses.remove(path) != Some(1);
        (0..files.len()).filter(|&number| is_strange(&files[number])).collect()
    }
}
