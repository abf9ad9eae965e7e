//! What a volume is written into: a plain file, or one that is encrypted as it is written. What was
//! written can be read back while the rest still comes, as packs with a prefix need it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::manifest::PackEntry;
use super::partial::Partial;
use crate::codec::atomic::AtomicFile;
use crate::codec::encryption::{Encrypted, Recipients, WrittenSoFar, length_of};
use crate::codec::imprint::Imprint;
use crate::model::{Error, Kind, Result};

/// A file, and what is remembered of its bytes where it is to be read back.
pub(super) struct Recorded {
    file: AtomicFile,
    imprint: Option<Imprint>,
}

impl Recorded {
    /// Nothing is written yet; `imprint` says whether to remember what will be.
    pub(super) fn new(file: AtomicFile, imprint: bool) -> Self {
        Self { file, imprint: imprint.then(Imprint::default) }
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        if let Some(imprint) = &mut self.imprint {
            imprint.update(&bytes[..written]);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Takes the bytes of a volume.
pub(super) enum Sink {
    /// They are those of the file.
    Plain(Recorded),
    /// The file holds them encrypted.
    Encrypted {
        /// What encrypts.
        file: Box<Encrypted<Recorded>>,
        /// The name that the file will have.
        target: PathBuf,
    },
}

impl From<AtomicFile> for Sink {
    fn from(file: AtomicFile) -> Self {
        Self::Plain(Recorded::new(file, false))
    }
}

impl Sink {
    /// Into `file`, for the eyes of `recipients` where there are any.
    ///
    /// # Errors
    /// Where the header of an encrypted file cannot be written.
    pub(super) fn new(file: Recorded, recipients: Option<&Recipients>) -> Result<Self> {
        let Some(recipients) = recipients else { return Ok(Self::Plain(file)) };
        let target = file.file.target().to_owned();
        Ok(Self::Encrypted { file: Box::new(Encrypted::begin(file, recipients)?), target })
    }

    /// The name that the file will have.
    pub(super) fn target(&self) -> &Path {
        match self {
            Self::Plain(file) => file.file.target(),
            Self::Encrypted { target, .. } => target,
        }
    }

    /// How long the file will be of a volume of `bytes`.
    pub(super) fn file_length(&self, bytes: u64) -> u64 {
        match self {
            Self::Plain(_) => bytes,
            Self::Encrypted { file, .. } => length_of(file.header(), bytes),
        }
    }

    /// Reads it back; `None` where it needs no more than the file.
    fn written_so_far(&self) -> Option<WrittenSoFar> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted { file, .. } => Some(file.written_so_far()),
        }
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// Where the end of an encrypted file cannot be written.
    pub(super) fn finish(self) -> io::Result<(AtomicFile, Option<Imprint>)> {
        let Recorded { file, imprint } = match self {
            Self::Plain(file) => file,
            Self::Encrypted { file, .. } => file.finish()?,
        };
        Ok((file, imprint))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Encrypted { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Encrypted { file, .. } => file.flush(),
        }
    }
}

/// The volumes of a bundle as far as they are written.
pub(super) struct Back {
    partial: Arc<Partial>,
    /// One for each volume that was begun, where they are encrypted.
    encrypted: Mutex<Vec<WrittenSoFar>>,
}

impl Back {
    /// Nothing yet.
    pub(super) fn new(partial: Arc<Partial>) -> Self {
        Self { partial, encrypted: Mutex::default() }
    }

    /// The next volume was begun.
    pub(super) fn begin(&self, sink: &Sink) {
        let mut encrypted = self.encrypted.lock().unwrap_or_else(PoisonError::into_inner);
        encrypted.extend(sink.written_so_far());
    }

    /// The bytes of a pack that was written. Nobody has compared their digest yet.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub(super) fn read(&self, pack: &PackEntry) -> Result<Vec<u8>> {
        let what = "cannot read back what was written of the bundle";
        let file = File::open(self.partial.volume(pack.volume)).map_err(|e| Error::io(what, e))?;
        let encrypted = {
            let all = self.encrypted.lock().unwrap_or_else(PoisonError::into_inner);
            usize::try_from(pack.volume - 1).ok().and_then(|number| all.get(number).cloned())
        };
        let mut stored = vec![0; pack.size as usize];
        let read = match encrypted {
            None => file.read_exact_at(&mut stored, pack.data_offset()),
            Some(written) => written
                .read_exact_at(file, &mut stored, pack.data_offset())
                .map_err(|fault| fault.error),
        };
        match read {
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(other_bytes()),
            read => read.map(|()| stored).map_err(|e| Error::io(what, e)),
        }
    }
}

/// What was written does not come back.
pub(super) fn other_bytes() -> Error {
    Error::new(Kind::Io, "the disk gives back other bytes than were written")
        .hint("write the bundle to another disk")
}
