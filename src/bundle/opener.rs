//! Opens a compressed layer while it is stored as it came, to learn what it opens to.

use std::io::{BufReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::Receiver;

use crate::codec::checked::Hasher;
use crate::codec::compression::{self, Compression};
use crate::endpoint::Plain;
use crate::model::{Algorithm, limits};

/// Opens a compressed layer that comes in pieces and learns what it opens to; `None` where it does
/// not open, or grows past all measure.
pub(super) fn open_layer(form: Compression, pieces: Receiver<Vec<u8>>) -> Option<Plain> {
    let came = AtomicU64::new(0);
    let stream = Pieces { coming: pieces, piece: Vec::new(), at: 0, came: &came };
    let mut reader = compression::open(form, BufReader::with_capacity(256 << 10, stream)).ok()?;
    let bound = match form {
        Compression::Zstd => limits::ZSTD_EXPANSION,
        Compression::Gzip | Compression::None => limits::EXPANSION,
    };
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut size = 0u64;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Some(Plain { digest: hasher.finish(), size }),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                size += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
        if size / bound > came.load(Ordering::Relaxed) + (64 << 10) {
            return None;
        }
    }
}

/// Pieces from another thread as one stream.
struct Pieces<'a> {
    coming: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
    came: &'a AtomicU64,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.piece.len() {
            match self.coming.recv() {
                Ok(piece) => (self.piece, self.at) = (piece, 0),
                Err(_) => return Ok(0),
            }
        }
        let n = buffer.len().min(self.piece.len() - self.at);
        buffer[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        self.came.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
