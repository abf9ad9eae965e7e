//! A gzip layer before it goes into packs: kept aside while an engine that makes its bytes again is
//! looked for and proved.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::codec::checked::HashingReader;
use crate::codec::compression::Compression;
use crate::codec::deflate::{Proof, prove};
use crate::model::{Algorithm, Digest, Error, Result};

/// Bytes of a layer that are kept in memory; longer ones go to a temporary file.
pub(super) const IN_MEMORY: u64 = 1 << 20;

/// A shorter layer is not worth opening: its recipe would be about as long as itself.
pub const SMALLEST_OPENED: u64 = 512;

/// A layer, whole, and what was found out about it.
pub(super) struct Prepared {
    /// Its digest, from its bytes.
    pub(super) digest: Digest,
    /// Its length.
    pub(super) size: u64,
    /// Its bytes.
    pub(super) content: Aside,
    /// How to make it again, and what it opens to; `None` where it is carried as it came.
    pub(super) proof: Option<Proof>,
}

/// How many layers may be looked at at once: each takes memory for the encoders that are tried.
pub(super) struct Permits {
    free: Mutex<usize>,
    freed: Condvar,
}

/// Leave to look at a layer.
struct Permit<'a>(&'a Permits);

impl Permits {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), freed: Condvar::new() }
    }

    fn take(&self) -> Permit<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_while(free, |free| *free == 0);
        *waited.unwrap_or_else(PoisonError::into_inner) -= 1;
        Permit(self)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

/// Takes a layer aside and looks for what made it. `folder` takes a temporary file without a name.
pub(super) fn prepare(
    content: &mut dyn Read,
    algorithm: Algorithm,
    folder: &Path,
    permits: &Permits,
) -> Result<Prepared> {
    let mut content = HashingReader::new(content, algorithm);
    let mut aside = Aside::take(&mut content, folder)?;
    let (digest, size) = content.finish();
    let mut head = [0; 4];
    let odd = |e| Error::io(format!("cannot read {digest} back from a temporary file"), e);
    let filled = aside.read(&mut head).map_err(odd)?;
    let is_gzip = Compression::detect(&head[..filled]) == Compression::Gzip;
    aside.rewind().map_err(odd)?;
    let proof = if is_gzip && size >= SMALLEST_OPENED {
        let permit = permits.take();
        let proof = prove(&mut aside).map_err(odd)?;
        drop(permit);
        aside.rewind().map_err(odd)?;
        Some(proof)
    } else {
        None
    };
    Ok(Prepared { digest, size, content: aside, proof })
}

/// Bytes that are kept aside: in memory while they are few, then in a file without a name.
pub(super) enum Aside {
    /// Few.
    Memory(Cursor<Vec<u8>>),
    /// Many.
    File(File),
}

impl Aside {
    fn take(content: &mut dyn Read, folder: &Path) -> Result<Self> {
        let unreadable = |e| Error::from_io("cannot read a blob", e);
        let mut head = Vec::new();
        content.take(IN_MEMORY + 1).read_to_end(&mut head).map_err(unreadable)?;
        if head.len() as u64 <= IN_MEMORY {
            return Ok(Self::Memory(Cursor::new(head)));
        }
        let full = |e| {
            Error::io(format!("cannot keep a layer in {}", folder.display()), e)
                .hint("the largest layers need as much room there; TMPDIR chooses another place")
        };
        let mut file = tempfile::tempfile_in(folder).map_err(full)?;
        file.write_all(&head).map_err(full)?;
        let mut piece = vec![0; 256 << 10];
        loop {
            match content.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => file.write_all(&piece[..n]).map_err(full)?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(unreadable(e)),
            }
        }
        file.rewind().map_err(full)?;
        Ok(Self::File(file))
    }
}

impl Read for Aside {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => bytes.read(buffer),
            Self::File(file) => file.read(buffer),
        }
    }
}

impl Seek for Aside {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Memory(bytes) => bytes.seek(to),
            Self::File(file) => file.seek(to),
        }
    }
}
