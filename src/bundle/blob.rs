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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::index::Borrowed;
    use crate::codec::deflate::{Coder, Member};
    use crate::endpoint::Plain;
    use crate::model::{Digest, Kind};

    /// One pack of the chunks `hello` and `world`.
    struct Shelf {
        index: Index,
        pool: Arc<Pool>,
    }

    impl Shelf {
        fn new() -> Self {
            let packs = [vec![([1; 16], 5), ([2; 16], 5)]];
            let index = Index::new(&packs, vec![Vec::new()], Borrowed::default(), Vec::new());
            Self { index, pool: Arc::new(Pool::new(1)) }
        }
    }

    impl Store for Shelf {
        fn tables(&self) -> &Index {
            &self.index
        }

        fn opened(&self, _: u32) -> Result<Arc<Vec<u8>>> {
            Ok(Arc::new(b"helloworld".to_vec()))
        }

        fn of_base_piece(&self, _: Piece) -> Result<Vec<u8>> {
            Err(Error::usage("there is no base"))
        }

        fn of_base(&self, _: u32, _: Form) -> Result<Box<dyn Read + Send + '_>> {
            Ok(Box::new(&b"from the base"[..]))
        }

        fn pool(&self) -> &Arc<Pool> {
            &self.pool
        }
    }

    fn runs(list: &[(u32, u32)]) -> Vec<Run> {
        list.iter().map(|&(first, count)| Run { first, count }).collect()
    }

    fn entry(body: Body, encoding: Encoding) -> BlobEntry {
        let digest = Digest::of(b"blob");
        let plain = Some(Plain { digest, size: 10 });
        let recipe = crate::bundle::recipe::Recipe { body, encoding };
        BlobEntry { digest, size: 40, plain, recipe }
    }

    fn read(blob: &BlobEntry) -> Vec<u8> {
        let (shelf, mut bytes) = (Shelf::new(), Vec::new());
        let mut reader = rebuild(&shelf, blob).unwrap();
        assert_eq!(reader.read(&mut []).unwrap(), 0);
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_body_is_put_together_from_whatever_it_is_in() {
        let chunks = Body::Chunks(runs(&[(1, 1), (0, 2)]));
        assert_eq!(read(&entry(chunks, Encoding::None)), b"worldhelloworld");
        let (meta, content) = (runs(&[(0, 1)]), runs(&[(1, 1)]));
        let tar =
            Body::Tar { meta, content, stretches: [(2, 4), (0, 1), (3, 0)].into_iter().collect() };
        assert_eq!(read(&entry(tar, Encoding::None)), b"heworldllo");
        assert_eq!(read(&entry(Body::Base(0), Encoding::None)), b"from the base");
        assert_eq!(read(&entry(Body::Inline((*b"abc").into()), Encoding::None)), b"abc");
    }

    #[test]
    fn sides_that_are_shorter_than_their_stretches_end_early() {
        let (meta, content) = (runs(&[(0, 1)]), Vec::new());
        let tar = entry(
            Body::Tar { meta, content, stretches: [(5, 1)].into_iter().collect() },
            Encoding::None,
        );
        let shelf = Shelf::new();
        let error = rebuild(&shelf, &tar).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_layer_is_made_again_from_what_fits_it_alone() {
        let recipe = |plain, packed, corrections| {
            let (header, coder) = (vec![0; 10], Coder::GENERAL);
            let marks = Vec::new();
            let member = Member { header, coder, plain, packed, trailer: None, corrections, marks };
            crate::codec::deflate::GzipRecipe { members: vec![member], rest: Vec::new() }.to_bytes()
        };
        // 40 bytes are a header of 10, the stream, and a trailer of 8.
        for (recipe, corrections, says) in [
            (vec![7], runs(&[]), "it counts more than it holds"),
            (recipe(11, 22, 0), runs(&[]), "its recipe is for a stream of another length"),
            (recipe(10, 23, 0), runs(&[]), "its recipe is for a stream of another length"),
            (recipe(10, 22, 4), runs(&[(0, 1)]), "its corrections have another length"),
        ] {
            let encoding = Encoding::Gzip { recipe: recipe.into(), corrections };
            let blob = entry(Body::Chunks(runs(&[(0, 2)])), encoding);
            let shelf = Shelf::new();
            let error = rebuild(&shelf, &blob).err().expect("it is refused");
            assert_eq!(error.kind(), Kind::Malformed);
            let told = format!("layer {} cannot be rebuilt: {says}", blob.digest);
            assert_eq!(error.message(), told);
        }
        let encoding =
            Encoding::Gzip { recipe: recipe(10, 22, 5).into(), corrections: runs(&[(0, 1)]) };
        let good = entry(Body::Chunks(runs(&[(0, 2)])), encoding);
        assert!(rebuild(&Shelf::new(), &good).is_ok());
    }
}
