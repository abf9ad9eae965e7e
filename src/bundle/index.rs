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
const MAGIC: &[u8] = b"sealift index 1\n";

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

impl Index {
    /// An index of these parts. `packs` lists, for each pack, the id and length of each chunk.
    pub(super) fn new(packs: &[Vec<(ChunkId, u32)>], blobs: Vec<BlobEntry>) -> Self {
        let mut index = Self::default();
        for (pack, chunks) in (0u32..).zip(packs) {
            let mut offset = 0;
            for &(id, length) in chunks {
                index.chunks.push(ChunkAt { pack, offset, length });
                index.ids.push(id);
                offset += length;
            }
        }
        index.before = running_sums(&index.chunks);
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

    /// The chunks of some runs: number, pack and length of each.
    pub fn chunks_of<'a>(&'a self, runs: &'a [Run]) -> impl Iterator<Item = (u32, u32, u32)> + 'a {
        runs.iter().flat_map(move |run| {
            (run.first..run.first + run.count).map(move |number| {
                let at = self.chunks[number as usize];
                (number, at.pack, at.length)
            })
        })
    }

    /// The unpacked bytes of the index.
    pub(super) fn to_bytes(&self, pack_count: usize) -> Vec<u8> {
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
        put(&mut out, self.blobs.len() as u64);
        for blob in &self.blobs {
            put_digest(&mut out, &blob.digest);
            put(&mut out, blob.size);
            match &blob.plain {
                None => put(&mut out, 0),
                Some(plain) => {
                    put(&mut out, 1);
                    put_digest(&mut out, &plain.digest);
                    put(&mut out, plain.size);
                }
            }
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
    pub(super) fn parse(bytes: &[u8], packs: &[u64]) -> Result<Self> {
        let rest =
            bytes.strip_prefix(MAGIC).ok_or_else(|| bad("it is of another type or version"))?;
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
        if total > rest.len() / (1 + CHUNK_ID_BYTES) || u32::try_from(total).is_err() {
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
        index.before = running_sums(&index.chunks);
        index.ids = cursor
            .take(total * CHUNK_ID_BYTES)?
            .chunks_exact(CHUNK_ID_BYTES)
            .map(|id| {
                let mut own = [0; CHUNK_ID_BYTES];
                own.copy_from_slice(id);
                own
            })
            .collect();
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

    fn parse_blob(&self, cursor: &mut Cursor<'_>) -> Result<BlobEntry> {
        let digest = read_digest(cursor)?;
        let size = cursor.number()?;
        let plain = match cursor.number()? {
            0 => None,
            1 => Some(Plain { digest: read_digest(cursor)?, size: cursor.number()? }),
            _ => return Err(bad("a blob has a plain form of an unknown kind")),
        };
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
                .filter(|&end| length > 0 && end <= self.chunks.len() as u64);
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

/// The sum of the lengths before each chunk, and of all.
fn running_sums(chunks: &[ChunkAt]) -> Vec<u64> {
    let mut sum = 0;
    let ends = chunks.iter().map(|chunk| {
        sum += u64::from(chunk.length);
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

impl From<Odd> for Error {
    fn from(Odd(why): Odd) -> Self {
        bad(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> (Index, Vec<u64>) {
        let packs = vec![vec![([1; 16], 10), ([2; 16], 20)], vec![([3; 16], 5)]];
        let runs = |list: &[(u32, u32)]| {
            list.iter().map(|&(first, count)| Run { first, count }).collect::<Vec<_>>()
        };
        let blob = |text: &[u8], size, body: Body| BlobEntry {
            digest: Digest::of(text),
            size,
            plain: None,
            recipe: body.into(),
        };
        let mut layer = blob(
            b"c",
            45,
            Body::Tar {
                meta: runs(&[(0, 2)]),
                content: runs(&[(2, 1), (0, 1)]),
                stretches: vec![(12, 7), (18, 8)],
            },
        );
        layer.plain = Some(Plain { digest: Digest::Sha512([9; 64]), size: 1 << 40 });
        let mut rebuilt = blob(b"d", 7, Body::Chunks(runs(&[(1, 1)])));
        rebuilt.plain = Some(Plain { digest: Digest::of(b"plain"), size: 20 });
        rebuilt.recipe.encoding =
            Encoding::Gzip { recipe: Arc::from(&b"anything"[..]), corrections: runs(&[(2, 1)]) };
        let blobs = vec![
            rebuilt,
            blob(b"a", 3, Body::Inline(Arc::from(&b"abc"[..]))),
            blob(b"b", 35, Body::Chunks(runs(&[(2, 1), (0, 2)]))),
            layer,
            blob(b"", 0, Body::Chunks(Vec::new())),
        ];
        (Index::new(&packs, blobs), vec![30, 5])
    }

    #[test]
    fn an_index_reads_back() {
        let (index, packs) = sample();
        let again = Index::parse(&index.to_bytes(packs.len()), &packs).unwrap();
        assert_eq!((again.chunks, again.ids, again.blobs), (index.chunks, index.ids, index.blobs));
    }

    #[test]
    fn packs_that_differ_from_the_manifest_are_refused() {
        let (index, _) = sample();
        let bytes = index.to_bytes(2);
        for packs in [&[30u64, 6][..], &[29, 5], &[30], &[30, 5, 1], &[]] {
            assert!(Index::parse(&bytes, packs).is_err(), "{packs:?}");
        }
    }

    proptest! {
        /// Whatever stands in an index, reading it ends, in bounds, and gives one meaning to one
        /// spelling.
        #[test]
        fn no_index_does_harm(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut: prop::sample::Index) {
            let (index, packs) = sample();
            let mut bytes = index.to_bytes(2);
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            if let Ok(read) = Index::parse(&bytes, &packs) {
                prop_assert_eq!(read.to_bytes(2), bytes);
            }
        }
    }
}
