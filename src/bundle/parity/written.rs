//! What was written into a parity volume, to be compared with what the medium gives back.
//!
//! Recovery shards are written in stripes, so nothing sees the file from its beginning to its end.
//! What is remembered of a shard is the digest that the table has of it; all else is known.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::volume::Shape;
use crate::codec::imprint::Reread;
use crate::model::Result;

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;

/// A parity volume as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub(super) shape: Shape,
    /// The time in its headers.
    pub(super) time: u64,
    pub(super) description: Arc<[u8]>,
    /// Digests of the recovery shards in it.
    pub(super) shards: Vec<[u8; 32]>,
}

/// What lies at a place.
enum Part<'a> {
    Bytes(Vec<u8>),
    Description(&'a [u8]),
    Shard(&'a [u8; 32]),
}

impl Written {
    /// Length of the file.
    pub fn bytes(&self) -> u64 {
        self.shape.bytes()
    }

    /// Reads the file from its medium, and compares. `advance` hears how many bytes were read.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where it is not what was written, saying
    /// where; [`Kind::Io`](crate::model::Kind::Io) where the medium gives nothing back.
    pub fn compare(&self, path: &Path, advance: &dyn Fn(u64)) -> Result<()> {
        let mut file = Reread::open(path)?;
        for (at, part) in self.parts() {
            expect_zeros(&mut file, at, advance)?;
            match part {
                Part::Bytes(bytes) => expect(&mut file, &bytes, advance)?,
                Part::Description(bytes) => expect(&mut file, bytes, advance)?,
                Part::Shard(digest) => {
                    let mut hash = Sha256::new();
                    let end = at + self.shape.shard;
                    while file.at() < end {
                        hash.update(next(&mut file, end, advance)?);
                    }
                    if <[u8; 32]>::from(hash.finalize()) != *digest {
                        return Err(file.differs(at, end));
                    }
                }
            }
        }
        expect_zeros(&mut file, self.bytes(), advance)?;
        match file.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(file.differs(self.bytes(), self.bytes() + 1)),
        }
    }

    /// Everything in it but the zeros between, in the order of the file.
    fn parts(&self) -> Vec<(u64, Part<'_>)> {
        let frame = self.shape.frame(self.time).into_iter();
        let mut parts: Vec<_> = frame.map(|(at, bytes)| (at, Part::Bytes(bytes))).collect();
        parts
            .extend(self.shape.descriptions().map(|at| (at, Part::Description(&self.description))));
        for (number, digest) in self.shards.iter().enumerate() {
            parts.push((self.shape.shard_at(number), Part::Shard(digest)));
        }
        parts.sort_by_key(|(at, _)| *at);
        parts
    }
}

/// The next bytes of the file, which has more before `end`.
fn next(file: &mut Reread<'_>, end: u64, advance: &dyn Fn(u64)) -> Result<Vec<u8>> {
    let from = file.at();
    let mut piece = vec![0; PIECE.min(end - from) as usize];
    let read = file.read(&mut piece)?;
    if read == 0 {
        return Err(file.differs(from, end));
    }
    piece.truncate(read);
    advance(read as u64);
    Ok(piece)
}

fn expect(file: &mut Reread<'_>, bytes: &[u8], advance: &dyn Fn(u64)) -> Result<()> {
    let (from, end) = (file.at(), file.at() + bytes.len() as u64);
    while file.at() < end {
        let at = (file.at() - from) as usize;
        let piece = next(file, end, advance)?;
        if bytes[at..at + piece.len()] != piece[..] {
            return Err(file.differs(from, end));
        }
    }
    Ok(())
}

fn expect_zeros(file: &mut Reread<'_>, end: u64, advance: &dyn Fn(u64)) -> Result<()> {
    let from = file.at();
    while file.at() < end {
        if next(file, end, advance)?.iter().any(|&byte| byte != 0) {
            return Err(file.differs(from, end));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::layout::Layout;
    use super::super::make::{Input, Plan};
    use super::*;
    use crate::codec::atomic::AtomicFile;
    use crate::model::Kind;

    #[test]
    fn every_byte_of_a_parity_volume_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sealift");
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(97) >> 3) as u8).collect();
        std::fs::write(&path, bytes).unwrap();
        let output = folder.path().join("app.parity.sealift");
        let input = Input { name: "app.sealift".to_owned(), path };
        let plan = Plan::new(vec![input], 30, &output, Some(40_000)).unwrap();
        let outputs = plan.outputs().to_vec();
        assert!(Layout::recovery(plan.layout()) > 1 && outputs.len() > 1, "several of both");
        let create = |path: &Path| AtomicFile::create(path, 0o644);
        let (files, written) = plan.make(create, &|_| ()).unwrap();
        files.into_iter().try_for_each(AtomicFile::commit).unwrap();
        for (path, written) in outputs.iter().zip(&written) {
            let good = std::fs::read(path).unwrap();
            let read = std::cell::Cell::new(0);
            written.compare(path, &|bytes| read.set(read.get() + bytes)).unwrap();
            assert_eq!((read.get(), written.bytes()), (good.len() as u64, good.len() as u64));
            for at in (0..good.len()).step_by(997).chain([good.len() - 1]) {
                let mut other = good.clone();
                other[at] ^= 1;
                std::fs::write(path, other).unwrap();
                let error = written.compare(path, &|_| ()).unwrap_err();
                assert_eq!(error.kind(), Kind::Damaged, "byte {at}");
            }
            for other in [&good[..good.len() - 1], &[&good[..], b"\0"].concat()] {
                std::fs::write(path, other).unwrap();
                let error = written.compare(path, &|_| ()).unwrap_err();
                assert_eq!(error.kind(), Kind::Damaged, "{} bytes", other.len());
            }
        }
    }
}
