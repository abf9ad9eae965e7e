//! The base of a delta, while the delta is written: what the far side has already.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::content::content;
use super::held::Held as _;
use super::index::{BaseBlob, ChunkId, Index, Piece, Place};
use super::manifest::BaseEntry;
use super::names::FileKey;
use super::reader::{Authentic, Bundle, Contents};
use super::recipe::Body;
use crate::codec::split::{Parts, Splitter};
use crate::model::{Digest, Error, Result};

/// A bundle that the far side is known to have got, or its receipt.
pub enum Known {
    /// The bundle itself: new content can be compressed against what is in it.
    Bundle(Arc<Bundle<Authentic>>),
    /// What it holds, without content.
    Receipt {
        /// Digest of its manifest.
        digest: Digest,
        /// Manifest and index.
        contents: Box<Contents>,
        /// The blobs that are known to have arrived, where an import says so; else all of them.
        held: Option<HashSet<Digest>>,
    },
}

impl Known {
    fn digest(&self) -> Digest {
        match self {
            Self::Bundle(bundle) => bundle.digest(),
            Self::Receipt { digest, .. } => *digest,
        }
    }

    fn contents(&self) -> &Contents {
        match self {
            Self::Bundle(bundle) => bundle.contents(),
            Self::Receipt { contents, .. } => contents,
        }
    }

    /// Whether the far side has a blob of it.
    fn has_arrived(&self, digest: &Digest) -> bool {
        match self {
            Self::Receipt { held: Some(held), .. } => held.contains(digest),
            _ => true,
        }
    }
}

/// What the far side has.
pub struct Base {
    entry: BaseEntry,
    blobs: Vec<BaseBlob>,
    by_digest: HashMap<Digest, u32>,
    chunks: HashMap<(ChunkId, u32), Piece>,
    files: HashMap<FileKey, Vec<(u64, Piece)>>,
    /// The bundle that is at hand, by the number of its first blob.
    content: Option<Arc<Bundle<Authentic>>>,
}

impl Base {
    /// The base that `known` make. The first is what the delta names; the others are the bases that
    /// it and they need in turn.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where one of them needs another that is not there.
    pub fn new(known: &[Known]) -> Result<Option<Self>> {
        let Some(first) = known.first() else { return Ok(None) };
        for own in known {
            let Some(base) = own.contents().manifest.base else { continue };
            if known.iter().all(|other| other.digest() != base.digest) {
                return Err(Error::usage(format!(
                    "the base {} is a delta itself, and needs {}",
                    own.digest(),
                    base.digest
                ))
                .hint("name that one too, with another --base"));
            }
        }
        let created = first.contents().manifest.created;
        let mut base = Self {
            entry: BaseEntry { digest: first.digest(), created },
            blobs: Vec::new(),
            by_digest: HashMap::new(),
            chunks: HashMap::new(),
            files: HashMap::new(),
            content: None,
        };
        // Chunks of a delta's base have no digest in the delta: the base gives it.
        let mut ids = HashMap::new();
        for own in known.iter().rev() {
            ids.extend(ids_of(&own.contents().index, &ids));
        }
        base.take(known, &ids);
        if let Known::Bundle(bundle) = first {
            base.find_files(bundle, known)?;
            base.content = Some(Arc::clone(bundle));
        }
        Ok(Some(base))
    }

    fn take(&mut self, known: &[Known], ids: &HashMap<(Digest, u64), ChunkId>) {
        for blob in known[0].contents().index.blobs() {
            if !known[0].has_arrived(&blob.digest) {
                continue;
            }
            // A delta that keeps a blob of its base does not know what is in it.
            let whole = known.iter().find_map(|own| {
                let index = &own.contents().index;
                let blob = index.blob(&blob.digest)?;
                (!matches!(blob.recipe.body, Body::Base(_))).then_some((index, blob))
            });
            let Some((index, blob)) = whole else { continue };
            let number = self.blobs.len() as u32;
            self.by_digest.insert(blob.digest, number);
            self.blobs.push(BaseBlob { digest: blob.digest, size: blob.size, plain: blob.plain });
            for (offset, length, _) in content(index, blob) {
                let Some(&id) = ids.get(&(blob.digest, offset)) else { continue };
                let piece = Piece { blob: number, offset, length };
                self.chunks.entry((id, length)).or_insert(piece);
            }
        }
    }

    /// Notes which files the layers of the first of `known` hold, to find the old content of a new
    /// one. A layer that it only keeps is looked into where it came from.
    fn find_files(&mut self, first: &Bundle<Authentic>, known: &[Known]) -> Result<()> {
        for kept in first.contents().index.blobs() {
            let Some(number) = self.number(&kept.digest) else { continue };
            let holder = known.iter().find_map(|known| match known {
                Known::Bundle(bundle) => {
                    let blob = bundle.contents().index.blob(&kept.digest)?;
                    let Body::Tar { stretches, .. } = &blob.recipe.body else { return None };
                    Some((bundle, blob, stretches))
                }
                Known::Receipt { .. } => None,
            });
            let Some((bundle, blob, stretches)) = holder else { continue };
            let index = &bundle.contents().index;
            let lies_in = self.blob(number);
            // Of a chain that is not at hand whole, some content cannot be had.
            let readable = |piece: &Piece| first.has(&lies_in, Some(*piece));
            let mut chunks = content(index, blob).peekable();
            let mut meta = bundle.describing(blob);
            let (mut splitter, mut names) = (Splitter::default(), Names::default());
            let mut offset = 0u64;
            let mut bytes = Vec::new();
            for (before, inside) in stretches {
                bytes.clear();
                std::io::Read::read_to_end(&mut std::io::Read::take(&mut meta, before), &mut bytes)
                    .map_err(|e| Error::from_io("cannot read the base", e))?;
                splitter.push(&bytes, &mut names);
                offset += before;
                let start = offset;
                // The splitter asks only how much content there is.
                let mut left = inside;
                while left > 0 {
                    let piece = left.min(NOTHING.len() as u64);
                    splitter.push(&NOTHING[..piece as usize], &mut names);
                    left -= piece;
                }
                offset += inside;
                while let Some(&(at, length, _)) = chunks.peek().filter(|chunk| chunk.0 < offset) {
                    let piece = Piece { blob: number, offset: at, length };
                    if readable(&piece) {
                        for key in names.keys.into_iter().flatten() {
                            self.files.entry(key).or_default().push((at - start, piece));
                        }
                    }
                    chunks.next();
                }
            }
        }
        Ok(())
    }

    /// What the manifest of the delta says of its base.
    pub(super) fn entry(&self) -> BaseEntry {
        self.entry
    }

    /// Whether the base holds a blob whole.
    pub fn holds(&self, digest: &Digest) -> bool {
        self.by_digest.contains_key(digest)
    }

    /// The number of a blob that the base holds.
    pub(super) fn number(&self, digest: &Digest) -> Option<u32> {
        self.by_digest.get(digest).copied()
    }

    /// A blob by its number.
    pub(super) fn blob(&self, number: u32) -> BaseBlob {
        self.blobs[number as usize].clone()
    }

    /// Where the base has a chunk.
    pub(super) fn piece(&self, id: &ChunkId, length: usize) -> Option<Piece> {
        self.chunks.get(&(*id, u32::try_from(length).ok()?)).copied()
    }

    /// The content of the files with a key, the newest first, each piece with its offset in the
    /// file.
    pub(super) fn of_file(&self, key: FileKey) -> impl Iterator<Item = (u64, Piece)> + '_ {
        self.files.get(&key).into_iter().flatten().rev().copied()
    }

    /// Whether the content of a piece of a blob can be read.
    pub(super) fn has(&self, blob: &BaseBlob, piece: Piece) -> bool {
        self.content.as_ref().is_some_and(|bundle| bundle.has(blob, Some(piece)))
    }

    /// The content of a piece of a blob.
    pub(super) fn content(&self, blob: &BaseBlob, piece: Piece) -> Result<Vec<u8>> {
        let content = self.content.as_ref().map(|bundle| bundle.piece(blob, piece));
        content.unwrap_or_else(|| Err(Error::usage("the base is not at hand")))
    }

    /// Appends the content of a piece, which a bundle at hand has.
    pub(super) fn read(&self, piece: Piece, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.content(&self.blobs[piece.blob as usize], piece)?);
        Ok(())
    }
}

/// Stands for content that nobody looks at.
static NOTHING: [u8; 64 << 10] = [0; 64 << 10];

/// Remembers the name of the last file.
#[derive(Default)]
struct Names {
    keys: Option<[FileKey; 2]>,
}

impl Parts for Names {
    fn meta(&mut self, _: &[u8]) {}

    fn file_begin(&mut self, path: &[u8], _: u64) {
        self.keys = Some([FileKey::exact(path), FileKey::of(path)]);
    }

    fn content(&mut self, _: &[u8]) {}

    fn file_end(&mut self) {}
}

/// The digests of the chunks of a bundle by where they lie, with the help of those of its base.
fn ids_of(
    index: &Index,
    known: &HashMap<(Digest, u64), ChunkId>,
) -> HashMap<(Digest, u64), ChunkId> {
    let mut ids = HashMap::new();
    for blob in index.blobs() {
        for (offset, _, number) in content(index, blob) {
            let id = match index.place(number) {
                Place::Own(_) => Some(index.ids[number as usize]),
                Place::Base(piece) => {
                    let base = &index.borrowed.blobs[piece.blob as usize];
                    known.get(&(base.digest, piece.offset)).copied()
                }
            };
            if let Some(id) = id {
                ids.insert((blob.digest, offset), id);
            }
        }
    }
    ids
}
