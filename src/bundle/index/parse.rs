//! Bytes that claim to be an index: everything in them is checked before it is believed.

use std::sync::Arc;

use super::{
    ALGORITHM_SHA256, ALGORITHM_SHA512, BODY_BASE, BODY_CHUNKS, BODY_INLINE, BODY_TAR, BaseBlob,
    BlobEntry, CHUNK_ID_BYTES, ChunkAt, ENCODING_GZIP, ENCODING_NONE, Index, MAGIC, MAGIC_1, Piece,
    running_sums,
};
use crate::bundle::recipe::{Body, Encoding, Recipe, Run};
use crate::codec::number::{Cursor, Odd};
use crate::codec::stretches::Stretches;
use crate::endpoint::Plain;
use crate::model::{Algorithm, Digest, Error, Result, limits};

impl Index {
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
        let mut covered = 0u64;
        let mut waiting = Vec::with_capacity(packs.len() + 1);
        waiting.push(0);
        for pack in (0u32..).take(packs.len()) {
            let prefix = if first { Vec::new() } else { index.runs(&mut cursor)? };
            index.check_prefix(pack, &prefix, &waiting)?;
            covered = used(covered, prefix.iter().map(|run| u64::from(run.count)).sum())?;
            let waits = u32::from(!prefix.is_empty() && packs[pack as usize] > 0);
            waiting.push(waiting[pack as usize] + waits);
            index.prefixes.push(prefix);
        }
        let count = cursor.count(36)?;
        for at in 0..count {
            let blob = index.parse_blob(&mut cursor)?;
            covered = used(covered, blob.recipe.chunks())?;
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
    ///
    /// `waiting` counts, for each pack up to this one, the packs before it that hold something and
    /// have a prefix: chunks follow each other from pack to pack, so both ends of a run tell all.
    fn check_prefix(&self, pack: u32, prefix: &[Run], waiting: &[u32]) -> Result<()> {
        if self.length(prefix)? > limits::PREFIX_BYTES {
            return Err(bad("the prefix of a pack is longer than it may be"));
        }
        let waits = |run: &Run| {
            let end = (run.first + run.count).min(self.chunks.len() as u32);
            let own = self.chunks.get(run.first as usize..end as usize);
            let own = own.unwrap_or_default();
            let (Some(first), Some(last)) = (own.first(), own.last()) else { return false };
            last.pack >= pack || waiting[last.pack as usize + 1] > waiting[first.pack as usize]
        };
        if prefix.iter().any(waits) {
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
                let mut stretches = Stretches::default();
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
                stretches.shrink();
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

/// Chunks that are used, and more of them: no more than any real bundle uses.
fn used(covered: u64, more: u64) -> Result<u64> {
    let covered = add(covered, more)?;
    if covered > limits::CHUNK_USES {
        return Err(bad("it uses more chunks than any real one does"));
    }
    Ok(covered)
}

fn add(a: u64, b: u64) -> Result<u64> {
    a.checked_add(b).ok_or_else(|| bad("a length is larger than anything can be"))
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
