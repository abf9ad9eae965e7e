//! What lies under the names that the files of a bundle take.
//!
//! A bundle that is written anew takes the place of an older one as a whole: where the older one had
//! more volumes, those would lie beside the new ones as if they belonged to them.

use std::path::{Path, PathBuf};

use super::claim::Claim;
use super::naming::volumes_of;
use super::partial::Partial;
use super::seal::Sealed;
use crate::model::Result;

/// Files that have the names of a bundle, or of volumes of it.
#[derive(Debug)]
pub struct Occupied {
    files: Vec<PathBuf>,
}

impl Occupied {
    /// Looks for them. What an export has left that was killed while it named its volumes is not
    /// among them: the next export removes it.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where the folder cannot be read.
    pub fn find(bundle: &Path) -> Result<Self> {
        let left = Partial::left_names(bundle);
        let whole = bundle.symlink_metadata().is_ok().then(|| bundle.to_owned());
        let mut files: Vec<PathBuf> = whole.into_iter().chain(volumes_of(bundle)?).collect();
        files.retain(|file| !left.contains(file));
        Ok(Self { files })
    }

    /// The files, in the order of their numbers.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Removes those that `sealed` has not replaced, as far as they are of a bundle, and says
    /// which.
    pub fn remove_others(self, sealed: &Sealed) -> Vec<PathBuf> {
        let is_new = |file: &PathBuf| sealed.volumes.iter().any(|volume| volume.path == *file);
        let mut others = self.files;
        others.retain(|file| {
            !is_new(file) && Claim::in_file(file).is_some() && std::fs::remove_file(file).is_ok()
        });
        others
    }
}
