//! The volumes that are open. A set may have more volumes than a process may have open files, and a
//! medium that is to be taken out may have none.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::volume::Volume;
use crate::codec::encryption::Identities;
use crate::model::{Result, limits};

/// Open files, those used last at the end.
#[derive(Debug, Default)]
pub(super) struct Handles {
    identities: Identities,
    open: Mutex<Vec<Arc<Volume>>>,
}

impl Handles {
    /// None yet; `identities` open those that are encrypted.
    pub(super) fn with(identities: &Identities) -> Self {
        Self { identities: identities.clone(), open: Mutex::default() }
    }

    /// The volume in a file, opened where it is not open.
    ///
    /// # Errors
    /// As [`Volume::open_with`].
    pub(super) fn open(&self, path: &Path) -> Result<Arc<Volume>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.iter().position(|volume| volume.path() == path);
        let volume = match known {
            Some(at) => open.remove(at),
            None => Arc::new(Volume::open_with(path, &self.identities)?),
        };
        if open.len() == limits::OPEN_VOLUMES {
            open.remove(0);
        }
        open.push(Arc::clone(&volume));
        Ok(volume)
    }

    /// The same, and a file that was not open is not kept so.
    ///
    /// # Errors
    /// As [`Volume::open`].
    pub(super) fn peek(&self, path: &Path) -> Result<Arc<Volume>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.iter().find(|volume| volume.path() == path) {
            Some(volume) => Ok(Arc::clone(volume)),
            None => Volume::open(path).map(Arc::new),
        }
    }

    /// Lets go of all of them. What is being read is closed when it was read.
    pub(super) fn close(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_open_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let handles = Handles::default();
        let path = |n: usize| folder.path().join(n.to_string());
        for n in 0..limits::OPEN_VOLUMES + 10 {
            std::fs::write(path(n), "x").unwrap();
            handles.open(&path(n)).unwrap();
            handles.open(&path(0)).unwrap();
        }
        let open = handles.open.lock().unwrap();
        assert_eq!(open.len(), limits::OPEN_VOLUMES);
        assert_eq!(open.last().unwrap().path(), path(0));
        drop(open);
        handles.close();
        assert!(handles.open.lock().unwrap().is_empty());
    }
}
