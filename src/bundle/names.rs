//! Names of files, as far as they tell which contents are alike.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What two versions of a file have in common: its path, or its path without the numbers in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileKey(u64);

impl FileKey {
    /// The key of a path as it is.
    pub(super) fn exact(path: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        path[beginning(path)..].hash(&mut hasher);
        Self(hasher.finish())
    }

    /// The key of a path that may name another version. Version numbers are part of many: `libz.so.1.2.13`, `numpy-2.1.0`.
    pub(super) fn of(path: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        for byte in path[beginning(path)..].iter().filter(|byte| !byte.is_ascii_digit()) {
            byte.hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

/// Where a path begins that may be written with a folder before it: `./a`, `/a`, `a`.
fn beginning(path: &[u8]) -> usize {
    path.iter().position(|byte| !b"./".contains(byte)).unwrap_or(path.len())
}

/// The name of a file that is being packed.
#[derive(Clone, Debug)]
pub(super) struct FileName {
    path: Arc<[u8]>,
    keys: [FileKey; 2],
}

impl FileName {
    pub(super) fn new(path: &[u8]) -> Self {
        Self { path: Arc::from(path), keys: [FileKey::exact(path), FileKey::of(path)] }
    }

    /// What it has in common with versions of itself, the most likely first.
    pub(super) fn keys(&self) -> [FileKey; 2] {
        self.keys
    }

    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Whether it is the same name, by where it is kept.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.path, &other.path)
    }

    /// By extension, then by the name in its folder.
    pub(super) fn order(&self) -> (&[u8], &[u8]) {
        let name = self.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let dot = name.iter().rposition(|&byte| byte == b'.').map_or(name.len(), |at| at + 1);
        (&name[dot..], name)
    }
}
