//! The index: which chunks there are, and how each blob is rebuilt from them.
//!
//! It is one zstd frame of plain binary tables; numbers are unsigned LEB128. Where a chunk lies is
//! never written down: chunks lie in packs one after another, so lengths alone say it, and gaps and
//! overlaps cannot be expressed.

mod parse;
mod write;

use std::collections::HashMap;

use super::recipe::{Body, Recipe, Run};
use crate::endpoint::Plain;
use crate::model::Digest;

/// What the unpacked index begins with.
const MAGIC: &[u8] = b"sealift index 2\n";

/// The same for the first bundles, which knew neither bases nor prefixes.
const MAGIC_1: &[u8] = b"sealift index 1\n";

/// Bytes of a chunk's digest that the table keeps: enough to find it again in another bundle; the
/// digest of each blob is what proves content.
pub(super) const CHUNK_ID_BYTES: usize = 16;

/// The leading bytes of a chunk's SHA-256.
pub(super) type ChunkId = [u8; CHUNK_ID_BYTES];

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkAt {
    /// Number of the pack, counted from 0 over all volumes.
    pub(super) pack: u32,
    /// Offset in the content of the pack.
    pub(super) offset: u32,
    /// Length in bytes.
    pub(super) length: u32,
}

/// A blob of the base that a delta takes content from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// For a compressed layer: what it opens to. Offsets count there, else in the blob itself.
    pub plain: Option<Plain>,
}

/// A piece of the plain form of a blob of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    /// Number of the base blob.
    pub blob: u32,
    /// Offset in its plain form.
    pub offset: u64,
    /// Length in bytes.
    pub length: u32,
}

/// What of its base a delta needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Borrowed {
    /// The blobs.
    pub blobs: Vec<BaseBlob>,
    /// Pieces of them, by blob and offset. They are numbered after the chunks.
    pub pieces: Vec<Piece>,
}

/// How much of its images a delta leaves to its base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Blobs that the base holds whole,
    pub blobs: usize,
    /// and their bytes.
    pub bytes: u64,
    /// Bytes of content that blobs of the delta take from the base, in their plain form.
    pub content: u64,
}

/// Where the content of a chunk number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a pack.
    Own(ChunkAt),
    /// In the base.
    Base(Piece),
}

/// A blob and how it is rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobEntry {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// For a compressed layer: what it opens to.
    pub plain: Option<Plain>,
    /// How it is rebuilt.
    pub recipe: Recipe,
}

/// The tables of a bundle.
#[derive(Clone, Debug, Default)]
pub struct Index {
    pub(super) chunks: Vec<ChunkAt>,
    pub(super) ids: Vec<ChunkId>,
    /// What is taken from the base; nothing where there is none.
    pub(super) borrowed: Borrowed,
    /// For each pack, the chunks that its frame has as prefix.
    pub(super) prefixes: Vec<Vec<Run>>,
    /// Bytes of all chunks before each, and of all: the length of a run is one subtraction.
    before: Vec<u64>,
    blobs: Vec<BlobEntry>,
    by_digest: HashMap<Digest, usize>,
}

const ALGORITHM_SHA256: u8 = 1;
const ALGORITHM_SHA512: u8 = 2;
const ENCODING_NONE: u64 = 0;
const ENCODING_GZIP: u64 = 1;
const BODY_INLINE: u64 = 0;
const BODY_CHUNKS: u64 = 1;
const BODY_TAR: u64 = 2;
const BODY_BASE: u64 = 3;

impl Index {
    /// An index of these parts. `packs` lists, for each pack, the id and length of each chunk;
    /// `prefixes` for each pack what its frame has as prefix.
    pub(super) fn new(
        packs: &[Vec<(ChunkId, u32)>],
        prefixes: Vec<Vec<Run>>,
        borrowed: Borrowed,
        blobs: Vec<BlobEntry>,
    ) -> Self {
        let mut index = Self { borrowed, prefixes, ..Self::default() };
        for (pack, chunks) in (0u32..).zip(packs) {
            let mut offset = 0;
            for &(id, length) in chunks {
                index.chunks.push(ChunkAt { pack, offset, length });
                index.ids.push(id);
                offset += length;
            }
        }
        index.before = running_sums(&index.chunks, &index.borrowed.pieces);
        index.by_digest = blobs.iter().enumerate().map(|(at, blob)| (blob.digest, at)).collect();
        index.blobs = blobs;
        index
    }

    /// The blobs, in the order in which they were written: neighbours share packs.
    pub fn blobs(&self) -> &[BlobEntry] {
        &self.blobs
    }

    /// The blob with this digest.
    pub fn blob(&self, digest: &Digest) -> Option<&BlobEntry> {
        self.by_digest.get(digest).map(|&at| &self.blobs[at])
    }

    /// How many chunks there are.
    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// What of a base is needed; nothing where the bundle is whole by itself.
    pub fn borrowed(&self) -> &Borrowed {
        &self.borrowed
    }

    /// The chunks that the frame of a pack has as prefix; none for most.
    pub fn prefix(&self, pack: u32) -> &[Run] {
        self.prefixes.get(pack as usize).map_or(&[], Vec::as_slice)
    }

    /// Where the content of a chunk is.
    pub(super) fn place(&self, number: u32) -> Place {
        match self.chunks.get(number as usize) {
            Some(&at) => Place::Own(at),
            None => Place::Base(self.borrowed.pieces[number as usize - self.chunks.len()]),
        }
    }

    /// The chunks of some runs that lie in packs: number, pack and length of each.
    pub fn chunks_of<'a>(&'a self, runs: &'a [Run]) -> impl Iterator<Item = (u32, u32, u32)> + 'a {
        runs.iter().flat_map(move |run| {
            (run.first..run.first + run.count).filter_map(move |number| {
                let at = self.chunks.get(number as usize)?;
                Some((number, at.pack, at.length))
            })
        })
    }

    /// The pieces of the base in some runs, by number.
    pub(super) fn pieces_of<'a>(&'a self, runs: &'a [Run]) -> impl Iterator<Item = u32> + 'a {
        let own = self.chunks.len() as u32;
        runs.iter().flat_map(move |run| {
            (run.first.max(own)..(run.first + run.count).max(own)).map(move |number| number - own)
        })
    }

    /// How much is left to the base; nothing where there is none.
    pub fn left_out(&self) -> LeftOut {
        let mut left_out = LeftOut::default();
        for blob in &self.blobs {
            let runs = match &blob.recipe.body {
                Body::Base(_) => {
                    left_out.blobs += 1;
                    left_out.bytes += blob.size;
                    continue;
                }
                Body::Inline(_) => continue,
                Body::Chunks(runs) | Body::Tar { content: runs, .. } => runs,
            };
            let pieces = self.pieces_of(runs).map(|at| self.borrowed.pieces[at as usize]);
            left_out.content += pieces.map(|piece| u64::from(piece.length)).sum::<u64>();
        }
        left_out
    }
}

/// The sum of the lengths before each chunk and piece, and of all.
fn running_sums(chunks: &[ChunkAt], pieces: &[Piece]) -> Vec<u64> {
    let mut sum = 0;
    let lengths = chunks.iter().map(|chunk| chunk.length);
    let ends = lengths.chain(pieces.iter().map(|piece| piece.length)).map(|length| {
        sum += u64::from(length);
        sum
    });
    std::iter::once(0).chain(ends).collect()
}

#[cfg(test)]
mod tests;
