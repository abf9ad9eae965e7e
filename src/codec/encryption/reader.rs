//! Reads an age file at random, with any number of threads.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use age::stream::StreamReader;
use age::{DecryptError, Decryptor, Identity};

use super::header::Header;
use super::identities::Identities;
use super::key::Key;
use super::{CHUNK, STORED, content_length};
use crate::model::{Error, Result};

/// Read ahead of the age crate, which asks for whole chunks.
const AHEAD: usize = 4 << 10;

/// Readers that are kept for the next who reads; as many as threads read at once.
const IDLE: usize = 16;

/// An encrypted file that is open for reading.
pub struct Reader {
    chunks: Chunks,
    length: u64,
}

/// Why bytes could not be had.
#[derive(Debug)]
pub struct Fault {
    /// Where the chunk begins in the content.
    pub offset: u64,
    /// Where it begins in the file.
    pub stored: u64,
    /// What happened: [`io::ErrorKind::InvalidData`] and [`io::ErrorKind::UnexpectedEof`] where the
    /// chunk is not what was written, anything else where the medium fails.
    pub error: io::Error,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a file; `None` where it is no age file. `what` names it.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where no identity opens it;
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) where its header is of another version, or
    /// over a limit; [`Kind::Damaged`](crate::model::Kind::Damaged) where it was changed or cut off;
    /// [`Kind::Io`](crate::model::Kind::Io).
    pub fn open(file: &File, identities: &Identities, what: &str) -> Result<Option<Self>> {
        let cannot = |e| Error::io(format!("cannot read {what}"), e);
        let Some(header) = Header::read(file, what)? else { return Ok(None) };
        let bytes = file.metadata().map_err(cannot)?.len();
        let stored = bytes.saturating_sub(header.length());
        let length = content_length(stored).ok_or_else(|| {
            Error::damaged(format!("{what} is incomplete: it was cut off at byte {bytes}"))
                .hint("the copy was interrupted, or the medium was full or pulled too early: copy it again")
        })?;
        let key = identities.open(&header, what)?;
        let file = file.try_clone().map_err(cannot)?;
        Ok(Some(Self { chunks: Chunks::new(file, key, header.length()), length }))
    }

    /// Reads a copy of the file with what opened this one.
    ///
    /// # Errors
    /// Where the system gives no second handle.
    pub fn copied_to(&self, file: &File) -> io::Result<Self> {
        let chunks = Chunks::new(file.try_clone()?, self.chunks.key.clone(), self.chunks.begin);
        Ok(Self { chunks, length: self.length })
    }

    /// Length of the content.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Fills `buffer` with the content at `offset`. Nothing is given that is not proved.
    ///
    /// # Errors
    /// Which chunk failed, and how.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Fault> {
        let ends = offset + buffer.len() as u64 == self.length;
        self.chunks.read(buffer, offset, ends)
    }
}

/// The chunks of a file, and readers over them that were used before.
pub(super) struct Chunks {
    file: Arc<File>,
    key: Key,
    begin: u64,
    idle: Mutex<Vec<StreamReader<BufReader<Place>>>>,
}

impl Chunks {
    /// `begin` is where the chunks begin in the file.
    pub(super) fn new(file: File, key: Key, begin: u64) -> Self {
        Self { file: Arc::new(file), key, begin, idle: Mutex::default() }
    }

    /// Reads; `ends` says that the content ends with these bytes, so that the file must, too.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64, ends: bool) -> Result<(), Fault> {
        let mut done = 0;
        self.try_read(buffer, offset, ends, &mut done).map_err(|error| {
            let chunk = (offset + done as u64) / CHUNK;
            Fault { offset: chunk * CHUNK, stored: self.begin + chunk * STORED, error }
        })
    }

    fn try_read(
        &self,
        buffer: &mut [u8],
        offset: u64,
        ends: bool,
        done: &mut usize,
    ) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let mut reader = match kept {
            Some(reader) => reader,
            None => self.reader()?,
        };
        // To go to the first byte of a chunk, the age crate looks at the end of the file first. A
        // fault there is no reason to read nothing here, and a file that is being written has none.
        if offset.is_multiple_of(CHUNK) {
            reader.seek(SeekFrom::Start(offset + 1))?;
        }
        reader.seek(SeekFrom::Start(offset))?;
        while *done < buffer.len() {
            match reader.read(&mut buffer[*done..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => *done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        // That a full chunk is the last one is known only when nothing follows it.
        if ends && reader.read(&mut [0])? != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // One that failed is in no state to be used again.
        let mut idle = idle();
        if idle.len() < IDLE {
            idle.push(reader);
        }
        Ok(())
    }

    fn reader(&self) -> io::Result<StreamReader<BufReader<Place>>> {
        let place = Place { file: Arc::clone(&self.file), at: 0 };
        let opened = Decryptor::new_buffered(BufReader::with_capacity(AHEAD, place))
            .and_then(|file| file.decrypt(std::iter::once(&self.key as &dyn Identity)));
        opened.map_err(|e| match e {
            DecryptError::Io(e) => e,
            // It was another when the file was opened.
            other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
        })
    }
}

/// A place in a file that others read as well.
struct Place {
    file: Arc<File>,
    at: u64,
}

impl Read for Place {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Place {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.file.metadata()?.len(), by),
        };
        self.at = from.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
