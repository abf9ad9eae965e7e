//! What a volume is read from: a plain file, or one that is encrypted, which is opened chunk by chunk
//! as it is read. Nobody else who reads a bundle knows the difference.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::codec::encryption::{Fault, Identities, Reader};
use crate::model::{Error, Result};

/// The file of a volume.
#[derive(Debug)]
pub(super) struct Backing {
    file: File,
    /// Its length.
    bytes: u64,
    /// Where it is encrypted: what opens it.
    reader: Option<Reader>,
}

impl Backing {
    /// Looks what kind of file it is, and opens an encrypted one; `bytes` is its length.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub(super) fn of(file: File, bytes: u64, identities: &Identities, path: &Path) -> Result<Self> {
        let reader = Reader::open(&file, identities, &path.display().to_string())?;
        Ok(Self { file, bytes, reader })
    }

    /// The same with another file, which is a copy of this one.
    ///
    /// # Errors
    /// Where the system gives no second handle.
    pub(super) fn copied_to(&self, file: File) -> io::Result<Self> {
        let reader = self.reader.as_ref().map(|reader| reader.copied_to(&file)).transpose()?;
        Ok(Self { file, bytes: self.bytes, reader })
    }

    /// Whether the file is encrypted.
    pub(super) const fn is_encrypted(&self) -> bool {
        self.reader.is_some()
    }

    /// Bytes of the volume.
    pub(super) fn length(&self) -> u64 {
        self.reader.as_ref().map_or(self.bytes, Reader::length)
    }

    /// Bytes of the file.
    pub(super) const fn file_length(&self) -> u64 {
        self.bytes
    }

    /// Fills `buffer` with the bytes of the file at `offset`, encrypted or not.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn read_file(&self, buffer: &mut [u8], offset: u64, path: &Path) -> Result<()> {
        let length = buffer.len();
        self.file.read_exact_at(buffer, offset).map_err(|e| failure(e, length, offset, path))
    }

    /// Fills `buffer` with the bytes of the volume at `offset`, which lie within it.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where they are not what was encrypted, or not
    /// there; [`Kind::Io`](crate::model::Kind::Io) where the medium fails.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64, path: &Path) -> Result<()> {
        let Some(reader) = &self.reader else { return self.read_file(buffer, offset, path) };
        let length = buffer.len();
        reader.read_exact_at(buffer, offset).map_err(|fault| match fault.error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => changed(&fault, path),
            _ => failure(fault.error, length, offset, path),
        })
    }
}

fn failure(error: io::Error, length: usize, offset: u64, path: &Path) -> Error {
    let what = format!("cannot read {length} bytes at {offset} of {}", path.display());
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::damaged(what).because(error),
        _ => Error::io(what, error)
            .hint("the medium fails here: try another reader or copy of the bundle"),
    }
}

fn changed(fault: &Fault, path: &Path) -> Error {
    Error::damaged(format!(
        "{} is damaged: what is encrypted from byte {} of the file on, byte {} of the volume, was changed or cut off",
        path.display(),
        fault.stored,
        fault.offset
    ))
    .hint("copy it again, or read the stick in another port")
}
