//! Writes an age file in one pass, and reads back what is written of it.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use age::stream::StreamWriter;

use super::key::Key;
use super::reader::{Chunks, Fault};
use super::recipients::Recipients;
use super::{CHUNK, STORED, TAG, stored_length};
use crate::model::{Error, Result};

/// Length of a file whose header and nonce have `header` bytes, and that has so much content.
pub const fn length_of(header: u64, content: u64) -> u64 {
    header.saturating_add(stored_length(content))
}

/// How much content a file of at most `length` bytes has room for.
pub const fn content_within(header: u64, length: u64) -> u64 {
    let stored = length.saturating_sub(header);
    stored / STORED * CHUNK + (stored % STORED).saturating_sub(TAG)
}

/// A file that is encrypted as it is written.
pub struct Encrypted<W: Write> {
    stream: StreamWriter<Counting<W>>,
    key: Key,
    header: u64,
    written: u64,
    tail: Arc<Mutex<Tail>>,
}

/// The content behind the last chunk that is in the file.
#[derive(Default)]
struct Tail {
    at: u64,
    bytes: Vec<u8>,
}

fn lock(tail: &Mutex<Tail>) -> MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Write> Encrypted<W> {
    /// Begins a file: its header is written, with a key of its own that nobody else has.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where it cannot be written;
    /// [`Kind::Usage`](crate::model::Kind::Usage) where the recipients do not go together.
    pub fn begin(inner: W, recipients: &Recipients) -> Result<Self> {
        let (encryptor, key) = recipients.encryptor()?;
        let count = Arc::new(AtomicU64::new(0));
        let stream = encryptor
            .wrap_output(Counting { inner, count: Arc::clone(&count) })
            .map_err(|e| Error::io("cannot write the header of an encrypted file", e))?;
        let header = count.load(Ordering::Relaxed);
        Ok(Self { stream, key, header, written: 0, tail: Arc::default() })
    }

    /// Bytes before the first chunk, for [`length_of`] and [`content_within`].
    pub fn header(&self) -> u64 {
        self.header
    }

    /// Reads back what is written of it.
    pub fn written_so_far(&self) -> WrittenSoFar {
        WrittenSoFar { key: self.key.clone(), header: self.header, tail: Arc::clone(&self.tail) }
    }

    /// Writes the last chunk. Without it, nobody takes the file for whole.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(self) -> io::Result<W> {
        let inner = self.stream.finish()?.inner;
        *lock(&self.tail) = Tail { at: self.written, bytes: Vec::new() };
        Ok(inner)
    }
}

impl<W: Write> Write for Encrypted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write_all(bytes)?;
        // The age crate keeps the last chunk until there is more, be it full.
        self.written += bytes.len() as u64;
        let at = self.written.saturating_sub(1) / CHUNK * CHUNK;
        let mut tail = lock(&self.tail);
        if at > tail.at {
            tail.bytes.clear();
            tail.bytes.extend_from_slice(&bytes[bytes.len() - (self.written - at) as usize..]);
            tail.at = at;
        } else {
            tail.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What is written of a file, whether it is finished or not. Takes little memory once it is.
#[derive(Clone)]
pub struct WrittenSoFar {
    key: Key,
    header: u64,
    tail: Arc<Mutex<Tail>>,
}

impl WrittenSoFar {
    /// Fills `buffer` with the content at `offset`, which was written to `file`.
    ///
    /// # Errors
    /// Which chunk failed, and how.
    pub fn read_exact_at(&self, file: File, buffer: &mut [u8], offset: u64) -> Result<(), Fault> {
        let end = offset + buffer.len() as u64;
        let stored = {
            let tail = lock(&self.tail);
            let from = tail.at.clamp(offset, end);
            let here = (from - offset) as usize;
            if from < end {
                let begin = (from - tail.at) as usize;
                let part = tail.bytes.get(begin..begin + buffer.len() - here);
                let part = part.ok_or_else(|| Fault {
                    offset: from,
                    stored: 0,
                    error: io::ErrorKind::UnexpectedEof.into(),
                })?;
                buffer[here..].copy_from_slice(part);
            }
            here
        };
        let chunks = Chunks::new(file, self.key.clone(), self.header);
        chunks.read(&mut buffer[..stored], offset, false)
    }
}

/// Counts what is written through it.
struct Counting<W> {
    inner: W,
    count: Arc<AtomicU64>,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
