//! What was written to a file, remembered to be compared with what the medium gives back.
//!
//! A stick that fails takes every byte and returns others. What was just written is still in memory,
//! so reading it proves nothing until the pages of the file are dropped.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{Advice, fadvise};
use sha2::{Digest as _, Sha256};

use crate::model::{Error, Result};

/// Bytes that one digest is taken of. A difference is found within as many; a file of 4 GiB has 32
/// KiB of digests.
const PIECE: usize = 4 << 20;

/// Digests of the pieces of a file, and its length.
#[derive(Clone, Debug, Default)]
pub struct Imprint {
    pieces: Vec<[u8; 32]>,
    open: Sha256,
    length: u64,
}

impl Imprint {
    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = PIECE - (self.length % PIECE as u64) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.open.update(now);
            self.length += now.len() as u64;
            if now.len() == room {
                self.pieces.push(self.open.finalize_reset().into());
            }
            bytes = later;
        }
    }

    /// Reads the file from its medium, and compares. `advance` hears how many bytes were read.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where it is not what was written, saying
    /// where; [`Kind::Io`](crate::model::Kind::Io) where the medium gives nothing back.
    pub fn compare(&self, path: &Path, advance: &dyn Fn(u64)) -> Result<()> {
        let mut file = Reread::open(path)?;
        let mut found = Self::default();
        let mut buffer = vec![0; 1 << 20];
        let mut same = 0;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            found.update(&buffer[..read]);
            advance(read as u64);
            while let Some(piece) = found.pieces.get(same) {
                if self.pieces.get(same) != Some(piece) {
                    return Err(self.differs(&file, same));
                }
                same += 1;
            }
        }
        if (found.length, found.open.finalize()) == (self.length, self.open.clone().finalize()) {
            Ok(())
        } else {
            Err(self.differs(&file, same))
        }
    }

    fn differs(&self, file: &Reread<'_>, piece: usize) -> Error {
        let from = (piece * PIECE) as u64;
        file.differs(from, self.length.min(from + PIECE as u64))
    }
}

/// What to do about a medium that gives back something else, or nothing.
const FAILING: &str = "the medium is failing: write to another one";

/// A file that was just written and is read from its medium, not from memory.
pub struct Reread<'a> {
    file: File,
    path: &'a Path,
    at: u64,
}

impl<'a> Reread<'a> {
    /// Has the system let go of what it knows of the file.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io).
    pub fn open(path: &'a Path) -> Result<Self> {
        let cannot = |e| cannot_read(path, 0, e);
        let file = File::open(path).map_err(cannot)?;
        // Pages that are not on the medium yet cannot be dropped.
        file.sync_all().map_err(cannot)?;
        fadvise(&file, 0, None, Advice::DontNeed).map_err(|e| cannot(e.into()))?;
        Ok(Self { file, path, at: 0 })
    }

    /// How many bytes were read.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Reads the next bytes; none at the end.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io).
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.file.read(buffer) {
                Ok(read) => {
                    self.at += read as u64;
                    return Ok(read);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(cannot_read(self.path, self.at, e)),
            }
        }
    }

    /// That what comes back between two places is not what was written there.
    pub fn differs(&self, from: u64, to: u64) -> Error {
        Error::damaged(format!(
            "{} is not what was written: the medium gives back something else between byte {from} and byte {to}",
            self.path.display()
        ))
        .hint(FAILING)
    }
}

fn cannot_read(path: &Path, at: u64, error: std::io::Error) -> Error {
    Error::io(format!("cannot read {} back at byte {at}", path.display()), error).hint(FAILING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn every_byte_and_the_length_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 77] {
            let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let mut imprint = Imprint::default();
            bytes.chunks(1_000_003).for_each(|piece| imprint.update(piece));
            std::fs::write(&path, &bytes).unwrap();
            imprint.compare(&path, &|_| ()).unwrap();
            let spots = [0, length / 2, length.wrapping_sub(1)];
            for at in spots.into_iter().filter(|&at| at < length) {
                let mut other = bytes.clone();
                other[at] ^= 1;
                std::fs::write(&path, other).unwrap();
                let error = imprint.compare(&path, &|_| ()).unwrap_err();
                assert_eq!(error.kind(), Kind::Damaged, "{length} {at}");
                let piece = at / PIECE * PIECE;
                assert!(error.message().contains(&format!("between byte {piece} ")), "{error}");
            }
            std::fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
            assert!(imprint.compare(&path, &|_| ()).is_err(), "{length}");
            if let Some((_, shorter)) = bytes.split_last() {
                std::fs::write(&path, shorter).unwrap();
                assert!(imprint.compare(&path, &|_| ()).is_err(), "{length}");
            }
        }
    }
}
