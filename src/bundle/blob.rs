//! Rebuilds blobs from chunks.

use std::io::{self, Read};
use std::sync::Arc;

use super::index::{BlobEntry, ChunkAt, Index, Piece, Place};
use super::reader::{Authentic, Bundle};
use super::recipe::{Body, Encoding, Run};
use crate::codec::checked::read_bounded;
use crate::codec::deflate::{GzipRecipe, Pool, Rebuilt};
use crate::codec::number::Odd;
use crate::codec::stretches::{self, Stretch};
use crate::endpoint::Form;
use crate::model::{Error, Result, limits};

/// What blobs are rebuilt from.
pub(super) trait Store: Send + Sync {
    /// The tables.
    fn tables(&self) -> &Index;

    /// The content of a pack that was opened: hashed, then decompressed against its prefix.
    fn opened(&self, pack: u32) -> Result<Arc<Vec<u8>>>;

    /// A piece of the base.
    fn of_base_piece(&self, piece: Piece) -> Result<Vec<u8>>;

    /// A blob of the base, whole.
    fn of_base(&self, number: u32, form: Form) -> Result<Box<dyn Read + Send + '_>>;

    /// The threads that make layers again.
    fn pool(&self) -> &Arc<Pool>;
}

/// Opens a blob: its bytes are rebuilt as they are read. The packs under them are hashed; that
/// the blob has its digest is for the reader to check.
///
/// # Errors
/// [`Kind::Malformed`](crate::model::Kind::Malformed) for a recipe that cannot be followed.
pub(super) fn rebuild<'a>(
    store: &'a dyn Store,
    blob: &'a BlobEntry,
) -> Result<Box<dyn Read + Send + 'a>> {
    if let Body::Base(number) = blob.recipe.body {
        return store.of_base(number, Form::Exact);
    }
    let body = body(store, blob)?;
    let Encoding::Gzip { recipe, corrections } = &blob.recipe.encoding else {
        return Ok(body);
    };
    let odd =
        |why: &str| Error::malformed(format!("layer {} cannot be rebuilt: {why}", blob.digest));
    let recipe = GzipRecipe::parse(recipe).map_err(|Odd(why)| odd(why))?;
    if recipe.plain() != body_bytes(blob) || recipe.packed() != blob.size {
        return Err(odd("its recipe is for a stream of another length"));
    }
    let what = format!("the corrections of {}", blob.digest);
    let corrections = ChunkReader::new(store, corrections);
    let wanted = recipe.corrections();
    let corrections = read_bounded(corrections, limits::CORRECTIONS_BYTES, &what)?;
    if corrections.len() as u64 != wanted {
        return Err(odd("its corrections have another length"));
    }
    Ok(Box::new(Rebuilt::new(body, recipe, corrections, Arc::clone(store.pool()))))
}

/// What the encoding of a blob works on: for a layer that is rebuilt, its plain form.
pub(super) fn body<'a>(
    store: &'a dyn Store,
    blob: &'a BlobEntry,
) -> Result<Box<dyn Read + Send + 'a>> {
    Ok(match &blob.recipe.body {
        Body::Base(number) => store.of_base(*number, Form::Plain)?,
        Body::Inline(bytes) => Box::new(&bytes[..]),
        Body::Chunks(runs) => Box::new(ChunkReader::new(store, runs)),
        Body::Tar { meta, content, stretches } => Box::new(TarReader {
            meta: ChunkReader::new(store, meta),
            content: ChunkReader::new(store, content),
            stretches: stretches.iter(),
            left: (0, 0),
        }),
    })
}

/// What a pack is compressed against. It was checked when the index was read: it ends, and its
/// length is bounded.
pub(super) fn prefix(store: &dyn Store, pack: u32) -> io::Result<Vec<u8>> {
    let mut prefix = Vec::new();
    ChunkReader::new(store, store.tables().prefix(pack)).read_to_end(&mut prefix)?;
    Ok(prefix)
}

/// Length of the body of a blob; the index was checked to make it so.
fn body_bytes(blob: &BlobEntry) -> u64 {
    match blob.recipe.encoding {
        Encoding::None => blob.size,
        Encoding::Gzip { .. } => blob.plain.map_or(0, |plain| plain.size),
    }
}

impl Bundle<Authentic> {
    /// The describing side of a tar.
    pub(super) fn describing<'a>(&'a self, blob: &'a BlobEntry) -> impl Read + 'a {
        let runs: &[Run] = match &blob.recipe.body {
            Body::Tar { meta, .. } => meta,
            _ => &[],
        };
        ChunkReader::new(self, runs)
    }
}

impl Store for Bundle<Authentic> {
    fn tables(&self) -> &Index {
        &self.contents().index
    }

    fn opened(&self, pack: u32) -> Result<Arc<Vec<u8>>> {
        self.state.cache.get(pack, || {
            let prefix = prefix(self, pack)
                .map_err(|e| Error::from_io(format!("cannot open {}", self.pack_name(pack)), e))?;
            self.pack(pack, &prefix)
        })
    }

    fn of_base_piece(&self, piece: Piece) -> Result<Vec<u8>> {
        self.piece_of_base(piece)
    }

    fn of_base(&self, number: u32, form: Form) -> Result<Box<dyn Read + Send + '_>> {
        self.blob_of_base(number, form)
    }

    fn pool(&self) -> &Arc<Pool> {
        self.threads()
    }
}

/// Stands for a pack where content came from the base.
const NO_PACK: u32 = u32::MAX;

/// Chunks, one after another.
struct ChunkReader<'a> {
    store: &'a dyn Store,
    runs: std::slice::Iter<'a, Run>,
    run: std::ops::Range<u32>,
    pack: Option<(u32, Arc<Vec<u8>>)>,
    /// What is left of the current chunk, as a range in its pack.
    chunk: std::ops::Range<usize>,
}

impl<'a> ChunkReader<'a> {
    fn new(store: &'a dyn Store, runs: &'a [Run]) -> Self {
        Self { store, runs: runs.iter(), run: 0..0, pack: None, chunk: 0..0 }
    }

    /// Moves on to the next chunk; false at the end.
    fn next_chunk(&mut self) -> Result<bool> {
        let number = loop {
            if let Some(number) = self.run.next() {
                break number;
            }
            match self.runs.next() {
                Some(run) => self.run = run.first..run.first + run.count,
                None => return Ok(false),
            }
        };
        let at = match self.store.tables().place(number) {
            Place::Own(at) => at,
            Place::Base(piece) => {
                self.pack = None;
                let content = self.store.of_base_piece(piece)?;
                self.chunk = 0..content.len();
                self.pack = Some((NO_PACK, Arc::new(content)));
                return Ok(true);
            }
        };
        let ChunkAt { pack, offset, length } = at;
        if self.pack.as_ref().is_none_or(|(at, _)| *at != pack) {
            // Let go of the old one first: two at once would be one more than the budget knows.
            self.pack = None;
            let content = self.store.opened(pack)?;
            self.pack = Some((pack, content));
        }
        self.chunk = offset as usize..(offset + length) as usize;
        Ok(true)
    }
}

impl Read for ChunkReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.chunk.is_empty() {
            if !self.next_chunk().map_err(crate::model::Error::into_io)? {
                return Ok(0);
            }
        }
        let n = buffer.len().min(self.chunk.len());
        let Some((_, pack)) = &self.pack else { return Ok(0) };
        buffer[..n].copy_from_slice(&pack[self.chunk.start..self.chunk.start + n]);
        self.chunk.start += n;
        Ok(n)
    }
}

/// A tar, put together from its two sides.
struct TarReader<'a> {
    meta: ChunkReader<'a>,
    content: ChunkReader<'a>,
    stretches: stretches::Iter<'a>,
    left: Stretch,
}

impl Read for TarReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.left == (0, 0) {
            match self.stretches.next() {
                Some(stretch) => self.left = stretch,
                None => return Ok(0),
            }
        }
        let (side, left) = match &mut self.left {
            (0, content) => (&mut self.content, content),
            (meta, _) => (&mut self.meta, meta),
        };
        let bound = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let n = side.read(&mut buffer[..bound])?;
        if n == 0 {
            // The index was checked when it was read: the sides are as long as the stretches say.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= n as u64;
        Ok(n)
    }
}
