//! The index: which chunks there are, and how each blob is rebuilt from them.
//!
//! It is one zstd frame of plain binary tables; numbers are unsigned LEB128. Where a chunk lies is
//! never written down: chunks lie in packs one after another, so lengths alone say it, and gaps and
//! overlaps cannot be expressed.

use std::collections::HashMap;
use std::sync::Arc;

use super::recipe::{Body, Encoding, Recipe, Run};
use crate::codec::number::{Cursor, Odd, put};
use crate::codec::split::Stretch;
use crate::endpoint::Plain;
use crate::model::{Algorithm, Digest, Error, Result, limits};

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

    /// The unpacked bytes of the index.
    pub fn to_bytes(&self, pack_count: usize) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let mut counts = vec![0u64; pack_count];
        for chunk in &self.chunks {
            counts[chunk.pack as usize] += 1;
        }
        put(&mut out, pack_count as u64);
        for count in counts {
            put(&mut out, count);
        }
        for chunk in &self.chunks {
            put(&mut out, u64::from(chunk.length));
        }
        for id in &self.ids {
            out.extend_from_slice(id);
        }
        put(&mut out, self.borrowed.blobs.len() as u64);
        // They are in the order of their blobs.
        let mut pieces = &self.borrowed.pieces[..];
        for (number, blob) in (0u32..).zip(&self.borrowed.blobs) {
            put_head(&mut out, &blob.digest, blob.size, blob.plain.as_ref());
            let own;
            (own, pieces) = pieces.split_at(pieces.partition_point(|piece| piece.blob == number));
            put(&mut out, own.len() as u64);
            let mut end = 0;
            for piece in own {
                put(&mut out, piece.offset - end);
                put(&mut out, u64::from(piece.length));
                end = piece.offset + u64::from(piece.length);
            }
        }
        for prefix in &self.prefixes {
            put_runs(&mut out, prefix);
        }
        put(&mut out, self.blobs.len() as u64);
        for blob in &self.blobs {
            put_head(&mut out, &blob.digest, blob.size, blob.plain.as_ref());
            match &blob.recipe.encoding {
                Encoding::None => put(&mut out, ENCODING_NONE),
                Encoding::Gzip { recipe, corrections } => {
                    put(&mut out, ENCODING_GZIP);
                    put(&mut out, recipe.len() as u64);
                    out.extend_from_slice(recipe);
                    put_runs(&mut out, corrections);
                }
            }
            match &blob.recipe.body {
                Body::Inline(bytes) => {
                    put(&mut out, BODY_INLINE);
                    out.extend_from_slice(bytes);
                }
                Body::Base(number) => {
                    put(&mut out, BODY_BASE);
                    put(&mut out, u64::from(*number));
                }
                Body::Chunks(runs) => {
                    put(&mut out, BODY_CHUNKS);
                    put_runs(&mut out, runs);
                }
                Body::Tar { meta, content, stretches } => {
                    put(&mut out, BODY_TAR);
                    put_runs(&mut out, meta);
                    put_runs(&mut out, content);
                    put(&mut out, stretches.len() as u64);
                    for &(meta, content) in stretches {
                        put(&mut out, meta);
                        put(&mut out, content);
                    }
                }
            }
        }
        out
    }

    /// Reads the unpacked bytes. `packs` gives the content length of each pack.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) for anything that does not add up.
    pub fn parse(bytes: &[u8], packs: &[u64]) -> Result<Self> {
        // So there are less than 2^32 chunks and pieces: each takes two bytes and more.
        if bytes.len() as u64 > limits::INDEX_BYTES {
            return Err(bad("it is longer than it may be"));
        }
        let (rest, first) = match (bytes.strip_prefix(MAGIC), bytes.strip_prefix(MAGIC_1)) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Err(bad("it is of another type or version")),
        };
        let mut cursor = Cursor::new(rest);
        if cursor.number()? != packs.len() as u64 {
            return Err(bad("it counts other packs than the manifest"));
        }
        let mut index = Self::default();
        let counts = packs
            .iter()
            .map(|_| cursor.count(1 + CHUNK_ID_BYTES))
            .collect::<Result<Vec<_>, Odd>>()?;
        let total: usize = counts.iter().sum();
        if total > rest.len() / (1 + CHUNK_ID_BYTES) {
            return Err(bad("it counts more chunks than it holds"));
        }
        index.chunks.reserve_exact(total);
        for ((pack, &content), count) in (0u32..).zip(packs).zip(counts) {
            let mut offset = 0u64;
            for _ in 0..count {
                let length = cursor.number()?;
                if length == 0 || length > limits::CHUNK_BYTES || offset + length > content {
                    return Err(bad("a chunk is longer than it may be"));
                }
                index.chunks.push(ChunkAt { pack, offset: offset as u32, length: length as u32 });
                offset += length;
            }
            if offset != content {
                return Err(bad("the chunks of a pack do not fill it"));
            }
        }
        index.ids = cursor
            .take(total * CHUNK_ID_BYTES)?
            .chunks_exact(CHUNK_ID_BYTES)
            .map(|id| {
                let mut own = [0; CHUNK_ID_BYTES];
                own.copy_from_slice(id);
                own
            })
            .collect();
        if !first {
            index.parse_borrowed(&mut cursor)?;
        }
        index.before = running_sums(&index.chunks, &index.borrowed.pieces);
        for pack in 0..packs.len() {
            let prefix = if first { Vec::new() } else { index.runs(&mut cursor)? };
            index.check_prefix(pack, &prefix)?;
            index.prefixes.push(prefix);
        }
        let count = cursor.count(36)?;
        let mut covered = 0u64;
        for at in 0..count {
            let blob = index.parse_blob(&mut cursor)?;
            covered = add(covered, blob.recipe.chunks())?;
            if covered > limits::CHUNK_USES {
                return Err(bad("its blobs use more chunks than any real ones do"));
            }
            if index.by_digest.insert(blob.digest, at).is_some() {
                return Err(bad("a blob stands in it twice"));
            }
            index.blobs.push(blob);
        }
        if !cursor.is_empty() {
            return Err(bad("something follows its last blob"));
        }
        Ok(index)
    }

    fn parse_borrowed(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let blobs = cursor.count(36)?;
        for number in 0..blobs {
            let (digest, size, plain) = read_head(cursor)?;
            let end = plain.map_or(size, |plain| plain.size);
            let mut offset = 0u64;
            for _ in 0..cursor.count(2)? {
                offset = add(offset, cursor.number()?)?;
                let length = cursor.number()?;
                if length == 0 || length > limits::CHUNK_BYTES || add(offset, length)? > end {
                    return Err(bad("a piece lies outside its blob of the base"));
                }
                let piece = Piece { blob: number as u32, offset, length: length as u32 };
                self.borrowed.pieces.push(piece);
                offset += length;
            }
            self.borrowed.blobs.push(BaseBlob { digest, size, plain });
        }
        Ok(())
    }

    /// A prefix is no longer than it may be, and no frame waits for another that waits: what lies
    /// in packs of this bundle lies in earlier ones that have no prefix themselves.
    fn check_prefix(&self, pack: usize, prefix: &[Run]) -> Result<()> {
        if self.length(prefix)? > limits::PREFIX_BYTES {
            return Err(bad("the prefix of a pack is longer than it may be"));
        }
        let waits = |(_, own, _): (u32, u32, u32)| {
            own as usize >= pack || !self.prefixes[own as usize].is_empty()
        };
        if self.chunks_of(prefix).any(waits) {
            return Err(bad("the prefix of a pack lies where it may not"));
        }
        Ok(())
    }

    fn parse_blob(&self, cursor: &mut Cursor<'_>) -> Result<BlobEntry> {
        let (digest, size, plain) = read_head(cursor)?;
        let encoding = match cursor.number()? {
            ENCODING_NONE => Encoding::None,
            ENCODING_GZIP => {
                let length = cursor.count(1)?;
                if length as u64 > limits::RECIPE_BYTES {
                    return Err(bad("the recipe of a layer is longer than it may be"));
                }
                let recipe = Arc::from(cursor.take(length)?);
                Encoding::Gzip { recipe, corrections: self.runs(cursor)? }
            }
            other => {
                return Err(Error::malformed(format!("blob {digest} needs encoding {other}, which this version of sealift does not know"))
                    .hint("use a newer sealift"));
            }
        };
        // What the body must be as long as.
        let length = match (&encoding, &plain) {
            (Encoding::None, _) => size,
            (Encoding::Gzip { .. }, Some(plain)) => plain.size,
            (Encoding::Gzip { .. }, None) => {
                return Err(bad("a layer that is encoded has no plain form"));
            }
        };
        let body = match cursor.number()? {
            BODY_INLINE => {
                if length > limits::MANIFEST_BYTES {
                    return Err(bad("a blob in the index is longer than a manifest may be"));
                }
                Body::Inline(Arc::from(cursor.take(length as usize)?))
            }
            BODY_BASE => {
                let number = cursor.number()?;
                let base = usize::try_from(number).ok().and_then(|n| self.borrowed.blobs.get(n));
                let same = |base: &BaseBlob| (base.digest, base.size) == (digest, size);
                if !base.is_some_and(same) || encoding != Encoding::None {
                    return Err(bad("a blob is said to be another one of the base"));
                }
                Body::Base(number as u32)
            }
            BODY_CHUNKS => {
                let runs = self.runs(cursor)?;
                if self.length(&runs)? != length {
                    return Err(bad("the chunks of a blob are not as long as the blob"));
                }
                Body::Chunks(runs)
            }
            BODY_TAR => {
                let (meta, content) = (self.runs(cursor)?, self.runs(cursor)?);
                let count = cursor.count(2)?;
                let mut stretches: Vec<Stretch> = Vec::with_capacity(count);
                let mut sums = (0u64, 0u64);
                for _ in 0..count {
                    let (meta, content) = (cursor.number()?, cursor.number()?);
                    if (meta, content) == (0, 0) {
                        return Err(bad("a stretch of a tar is empty"));
                    }
                    sums = (add(sums.0, meta)?, add(sums.1, content)?);
                    stretches.push((meta, content));
                }
                if sums != (self.length(&meta)?, self.length(&content)?)
                    || add(sums.0, sums.1)? != length
                {
                    return Err(bad("the parts of a tar are not as long as the tar"));
                }
                Body::Tar { meta, content, stretches }
            }
            _ => return Err(bad("a blob is made of something unknown")),
        };
        Ok(BlobEntry { digest, size, plain, recipe: Recipe { body, encoding } })
    }

    fn runs(&self, cursor: &mut Cursor<'_>) -> Result<Vec<Run>> {
        let count = cursor.count(2)?;
        let mut runs = Vec::with_capacity(count);
        let mut expected = 0i64;
        for _ in 0..count {
            let step = cursor.number()?;
            // Zigzag: the distance from the end of the run before.
            let step = (step >> 1).cast_signed() ^ -((step & 1).cast_signed());
            let first = expected
                .checked_add(step)
                .and_then(|first| u32::try_from(first).ok())
                .ok_or_else(|| bad("a run begins nowhere"))?;
            let length = cursor.number()?;
            let end = u64::from(first)
                .checked_add(length)
                .filter(|&end| length > 0 && end < self.before.len() as u64);
            let end = end.ok_or_else(|| bad("a run leaves the chunk table"))?;
            expected = end.cast_signed();
            runs.push(Run { first, count: length as u32 });
        }
        Ok(runs)
    }

    fn length(&self, runs: &[Run]) -> Result<u64> {
        runs.iter().try_fold(0, |total, run| {
            let (first, end) = (run.first as usize, (run.first + run.count) as usize);
            add(total, self.before[end] - self.before[first])
        })
    }
}

fn bad(why: &str) -> Error {
    Error::malformed(format!("the index of the bundle cannot be right: {why}"))
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

fn add(a: u64, b: u64) -> Result<u64> {
    a.checked_add(b).ok_or_else(|| bad("a length is larger than anything can be"))
}

fn put_digest(out: &mut Vec<u8>, digest: &Digest) {
    out.push(match digest.algorithm() {
        Algorithm::Sha256 => ALGORITHM_SHA256,
        Algorithm::Sha512 => ALGORITHM_SHA512,
    });
    out.extend_from_slice(digest.bytes());
}

fn put_head(out: &mut Vec<u8>, digest: &Digest, size: u64, plain: Option<&Plain>) {
    put_digest(out, digest);
    put(out, size);
    put(out, u64::from(plain.is_some()));
    if let Some(plain) = plain {
        put_digest(out, &plain.digest);
        put(out, plain.size);
    }
}

fn put_runs(out: &mut Vec<u8>, runs: &[Run]) {
    put(out, runs.len() as u64);
    let mut expected = 0i64;
    for run in runs {
        let step = i64::from(run.first) - expected;
        put(out, ((step << 1) ^ (step >> 63)).cast_unsigned());
        put(out, u64::from(run.count));
        expected = i64::from(run.first) + i64::from(run.count);
    }
}

fn read_digest(cursor: &mut Cursor<'_>) -> Result<Digest> {
    let algorithm = match cursor.byte()? {
        ALGORITHM_SHA256 => Algorithm::Sha256,
        ALGORITHM_SHA512 => Algorithm::Sha512,
        _ => return Err(bad("a digest has an unknown algorithm")),
    };
    Digest::from_bytes(algorithm, cursor.take(algorithm.digest_bytes())?)
        .ok_or_else(|| bad("a digest has another length"))
}

/// Digest, length and plain form.
fn read_head(cursor: &mut Cursor<'_>) -> Result<(Digest, u64, Option<Plain>)> {
    let (digest, size) = (read_digest(cursor)?, cursor.number()?);
    let plain = match cursor.number()? {
        0 => None,
        1 => Some(Plain { digest: read_digest(cursor)?, size: cursor.number()? }),
        _ => return Err(bad("a blob has a plain form of an unknown kind")),
    };
    Ok((digest, size, plain))
}

impl From<Odd> for Error {
    fn from(Odd(why): Odd) -> Self {
        bad(why)
    }
}

#[cfg(test)]
mod tests;
