//! A tar that grows into a file which gets its name when it is whole.

use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::codec::atomic::AtomicFile;
use crate::codec::tarball::Writer;
use crate::model::{Error, Kind, Result};

/// The file of an archive that is being written; nothing is staged elsewhere.
pub(super) struct TarFile {
    path: PathBuf,
    writer: Mutex<Option<Writer<Named>>>,
}

/// The file, which names itself where it cannot be written: the tar in it knows its members only.
struct Named(AtomicFile);

impl Named {
    fn failed(&self, error: io::Error) -> io::Error {
        let full =
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let named = Error::io(format!("cannot write {}", self.0.target().display()), error);
        if full {
            named.hint("free some space, or write the archive to another disk")
        } else {
            named
        }
        .into_io()
    }
}

impl Write for Named {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|e| self.failed(e))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(|e| self.failed(e))
    }
}

impl TarFile {
    /// Nothing happens on disk before [`begin`](Self::begin).
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), writer: Mutex::new(None) }
    }

    /// What the file will be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> MutexGuard<'_, Option<Writer<Named>>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) -> Result<()> {
        *self.lock() = Some(Writer::new(Named(AtomicFile::create(&self.path, 0o644)?)));
        Ok(())
    }

    /// Adds a file. Where its content fails, the tar is taken back to where it was, so that the
    /// same file may be put again.
    pub(super) fn put(&self, name: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut slot = self.lock();
        let fail = |e| Error::io(format!("cannot write {}", self.path.display()), e);
        let Some(writer) = slot.as_mut() else { return Err(self.not_begun()) };
        let mark = writer.get_mut().0.stream_position().map_err(fail)?;
        let done = writer.file(name, size, content);
        if done.is_err() {
            let file = &mut writer.get_mut().0;
            let back = file.file().set_len(mark).and_then(|()| {
                file.seek(io::SeekFrom::Start(mark))?;
                Ok(())
            });
            if back.is_err() {
                // What is written is wrong and stays: no file is better than that one.
                *slot = None;
            }
        }
        done
    }

    /// Ends the tar and gives the file its name.
    pub(super) fn finish(&self) -> Result<()> {
        let Some(writer) = self.lock().take() else { return Err(self.not_begun()) };
        writer.finish()?.0.commit()
    }

    fn not_begun(&self) -> Error {
        Error::new(Kind::Io, format!("{} was given up after an error", self.path.display()))
    }
}
