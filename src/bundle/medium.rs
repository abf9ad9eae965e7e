//! What a volume is read from: a plain file, or one that is encrypted, which is opened chunk by chunk
//! as it is read. Nobody else in a bundle knows the difference.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::codec::encryption::{Fault, Identities, Reader};
use crate::model::{Error, Result};

/// Gives the bytes of a volume.
pub(super) enum Medium {
    /// They are those of the file.
    Plain(File),
    /// The file holds them encrypted.
    Encrypted(Reader),
}

impl std::fmt::Debug for Medium {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_encrypted() { "Encrypted" } else { "Plain" })
    }
}

impl Medium {
    /// Looks what kind of file it is, and opens an encrypted one. Gives the length of the volume,
    /// too; `bytes` is that of the file.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub(super) fn of(
        file: File,
        bytes: u64,
        identities: &Identities,
        path: &Path,
    ) -> Result<(Self, u64)> {
        match Reader::open(&file, identities, &path.display().to_string())? {
            None => Ok((Self::Plain(file), bytes)),
            Some(reader) => {
                let length = reader.length();
                Ok((Self::Encrypted(reader), length))
            }
        }
    }

    /// Whether the file is encrypted.
    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }

    /// Fills `buffer` with the bytes at `offset`, which lie within the volume.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where they are not what was encrypted, or not
    /// there; [`Kind::Io`](crate::model::Kind::Io) where the medium fails.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64, path: &Path) -> Result<()> {
        let length = buffer.len();
        let what = || format!("cannot read {length} bytes at {offset} of {}", path.display());
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::UnexpectedEof => Error::damaged(what()).because(e),
            _ => Error::io(what(), e)
                .hint("the medium fails here: try another reader or copy of the bundle"),
        };
        match self {
            Self::Plain(file) => file.read_exact_at(buffer, offset).map_err(failed),
            Self::Encrypted(reader) => reader.read_exact_at(buffer, offset).map_err(|fault| {
                let Fault { offset, stored, error } = fault;
                match error.kind() {
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                        Error::damaged(format!(
                            "{} is damaged: what is encrypted from byte {stored} of the file on, byte {offset} of the volume, was changed or cut off",
                            path.display()
                        ))
                        .hint("copy it again, or read the stick in another port")
                    }
                    _ => failed(error),
                }
            }),
        }
    }
}
