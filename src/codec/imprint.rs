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
        let shown = path.display();
        let failing = "the medium is failing: write to another one";
        let cannot = |at: u64, e| {
            Error::io(format!("cannot read {shown} back at byte {at}"), e).hint(failing)
        };
        let mut file = File::open(path).map_err(|e| cannot(0, e))?;
        // Pages that are not on the medium yet cannot be dropped.
        file.sync_all().map_err(|e| cannot(0, e))?;
        fadvise(&file, 0, None, Advice::DontNeed).map_err(|e| cannot(0, e.into()))?;
        let mut found = Self::default();
        let mut buffer = vec![0; 1 << 20];
        let mut same = 0;
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(cannot(found.length, e)),
            };
            found.update(&buffer[..read]);
            advance(read as u64);
            while let Some(piece) = found.pieces.get(same) {
                if self.pieces.get(same) != Some(piece) {
                    return Err(self.differs(path, same));
                }
                same += 1;
            }
        }
        if (found.length, found.open.finalize()) == (self.length, self.open.clone().finalize()) {
            Ok(())
        } else {
            Err(self.differs(path, same))
        }
    }

    fn differs(&self, path: &Path, piece: usize) -> Error {
        let from = (piece * PIECE) as u64;
        let to = self.length.min(from + PIECE as u64);
        Error::damaged(format!(
            "{} is not what was written: the medium gives back something else between byte {from} and byte {to}",
            path.display()
        ))
        .hint("the medium is failing: write to another one")
    }
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
