//! Small text files: keys, and secrets that only their owner may be able to read.

use std::fs::OpenOptions;
use std::path::Path;

use super::checked::read_bounded;
use crate::model::{Error, Result, limits};

/// Reads a small text file. `what` says what is in it.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io), [`Kind::Malformed`](crate::model::Kind::Malformed) where it
/// is too long, [`Kind::Usage`](crate::model::Kind::Usage) where it is no text.
pub fn read_small(path: &Path, what: &str) -> Result<String> {
    read(path, what, false)
}

/// Reads a small text file that holds a secret: a plain file that only its owner can read.
///
/// # Errors
/// As for [`read_small`], and [`Kind::Usage`](crate::model::Kind::Usage) where others can read it, or
/// it is a symbolic link.
pub fn read_private(path: &Path, what: &str) -> Result<String> {
    read(path, what, true)
}

fn read(path: &Path, what: &str, secret: bool) -> Result<String> {
    let cannot = || format!("cannot read the {what} {}", path.display());
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
    }
    let file = options.open(path).map_err(|e| {
        if secret && path.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
            return Error::usage(format!("the {what} {} is a symbolic link", path.display()))
                .hint("name the file itself");
        }
        Error::io(cannot(), e)
    })?;
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(|e| Error::io(cannot(), e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::usage(format!(
                "the {what} {} can be read by others (mode {:04o})",
                path.display(),
                mode & 0o7777
            ))
            .hint(format!(
                "chmod 600 {}, and think about who may have copied it",
                path.display()
            )));
        }
    }
    let bytes = read_bounded(file, limits::KEY_FILE_BYTES, &path.display().to_string())?;
    String::from_utf8(bytes).map_err(|e| {
        drop(zeroize::Zeroizing::new(e.into_bytes()));
        Error::usage(format!("{} holds no {what}: it is not text", path.display()))
    })
}
