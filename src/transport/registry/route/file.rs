//! Configuration files, read whole.

use std::io;
use std::path::Path;

use crate::codec::checked::read_bounded;
use crate::model::{Error, Result};

/// Bytes of a configuration file. Real ones have a few KiB; docker's own, with the sign-ins of
/// hundreds of registries, some hundred.
const BYTES: u64 = 4 << 20;

/// Reads a file; `None` where there is none. `what` says what it is, for errors.
///
/// # Errors
/// A file that is there and cannot be read, or is too long.
pub(super) fn read(path: &Path, what: &str) -> Result<Option<Vec<u8>>> {
    let what = || format!("{what} {}", path.display());
    match std::fs::File::open(path) {
        Ok(file) => read_bounded(file, BYTES, &what()).map(Some),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(Error::io(format!("cannot read {}", what()), error)),
    }
}
