//! Writes a bundle in one pass.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::bounded;

use super::base::Base;
use super::class::Class;
use super::index::BlobEntry;
use super::layer::{self, Prepared};
use super::names::FileName;
use super::notes::Checkpoints;
use super::opener::open_layer;
use super::output::{Form, Output, SMALLEST_VOLUME};
use super::packs::Packs;
use super::partial::Partial;
use super::preset::Preset;
use super::press::Press;
use super::recipe::{Body, Encoding, Recipe, Run, push_chunk};
use crate::codec::checked::HashingReader;
use crate::codec::chunk::Chunker;
use crate::codec::compression::{self, Compression};
use crate::codec::deflate::Proof;
use crate::codec::split::{Parts, Splitter, is_tar};
use crate::endpoint::{Intake, Plain};
use crate::model::{Algorithm, Descriptor, Digest, Error, Kind, Position, Result, limits};

/// How a bundle is written.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Seconds since 1970 that the bundle says it was made at.
    pub created: u64,
    /// Name of the set: 32 hexadecimal digits.
    pub set: String,
    /// Threads that compress. The bytes do not depend on it.
    pub threads: usize,
    /// How hard to pack.
    pub preset: Preset,
    /// Takes temporary files without a name, each no larger than a layer.
    pub temporary: PathBuf,
    /// Bytes that no volume is larger than, at least [`SMALLEST_VOLUME`]; `None` for one volume of
    /// any length.
    pub volume_size: Option<u64>,
    /// Whether to remember what is written, so that it can be read back
    /// ([`SealedVolume::imprint`](super::SealedVolume::imprint)).
    pub imprint: bool,
}

/// What became of a blob.
#[derive(Clone, Copy, Debug)]
pub struct Added {
    /// Digest of the bytes that came.
    pub digest: Digest,
    /// How many came.
    pub size: u64,
    /// For a compressed layer: what it opens to.
    pub plain: Option<Plain>,
}

/// Pieces in which content that shares nothing is stored, where packs can hold them.
const OPAQUE_CHUNK: usize = limits::CHUNK_BYTES as usize;

/// How much of a blob is looked at to see whether it can be compressed.
const PROBE: usize = 64 << 10;

/// Writes one bundle. Dropped unfinished, it leaves nothing.
pub struct Writer {
    pub(super) packs: Packs,
    pub(super) blobs: Vec<BlobEntry>,
    by_digest: HashMap<Digest, usize>,
    chunker: Chunker,
    /// Blobs of the base that are needed whole.
    pub(super) kept: Vec<u32>,
    /// Content of a full pack.
    pub(super) pack_content: usize,
    opaque_chunk: usize,
    pub(super) options: WriterOptions,
    /// Its place in a stream, and when it expires.
    pub(super) position: Option<Position>,
    pub(super) expires: Option<u64>,
    /// For a bundle that takes long: notes of what there is of it.
    checkpoints: Option<Checkpoints>,
    /// Where it is written.
    pub(super) partial: Arc<Partial>,
}

impl Writer {
    /// Begins a bundle. With a `base`, only what the base lacks is written; with `checkpoints`,
    /// notes are taken of what there is of it, for the next export to go on from.
    ///
    /// # Errors
    /// [`Kind::Usage`] for volumes that are too small, [`Kind::Io`].
    pub fn create_in(
        partial: Partial,
        checkpoints: bool,
        options: WriterOptions,
        base: Option<Arc<Base>>,
    ) -> Result<Self> {
        let partial = Arc::new(partial);
        if options.volume_size.is_some_and(|size| size < SMALLEST_VOLUME) {
            return Err(Error::usage("a volume cannot be smaller than 1 MiB"));
        }
        let pack_content = options.preset.pack_content(options.volume_size);
        let checkpoints = (checkpoints && partial.recipients().is_none())
            .then(|| Checkpoints::new(partial.folder()));
        let form = form(&options);
        Self::begin(partial, checkpoints, options, pack_content, form, base)
    }

    /// Begins a bundle, or one that is to be the same as another.
    pub(super) fn begin(
        partial: Arc<Partial>,
        checkpoints: Option<Checkpoints>,
        options: WriterOptions,
        pack_content: usize,
        form: Form,
        base: Option<Arc<Base>>,
    ) -> Result<Self> {
        let output = Output::begin(Arc::clone(&partial), form)?;
        let press = Press::start(output, options.threads);
        Ok(Self {
            packs: Packs::new(press, options.preset, pack_content, base),
            blobs: Vec::new(),
            by_digest: HashMap::new(),
            chunker: Chunker::default(),
            kept: Vec::new(),
            opaque_chunk: pack_content.min(OPAQUE_CHUNK),
            pack_content,
            options,
            position: None,
            expires: None,
            checkpoints,
            partial,
        })
    }

    /// Says which place in which stream the bundle has, and from when on, in seconds since 1970,
    /// nobody is to take it any more.
    pub fn date(&mut self, position: Option<Position>, expires: Option<u64>) {
        (self.position, self.expires) = (position, expires);
    }

    /// Notes what there is by now, before it is given up.
    pub fn give_up(&mut self) {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.write(&self.packs, &self.blobs);
        }
    }

    /// Whether the blob is in the bundle already.
    pub fn has(&self, digest: &Digest) -> bool {
        self.by_digest.contains_key(digest)
    }

    /// Whether the base holds the blob, so that it need not come.
    pub fn base_has(&self, digest: &Digest) -> bool {
        self.packs.base().is_some_and(|base| base.holds(digest))
    }

    /// Notes a blob that the base holds, if it does.
    pub fn keep(&mut self, digest: &Digest) {
        if self.has(digest) {
            return;
        }
        let Some(base) = self.packs.base() else { return };
        let Some(number) = base.number(digest) else { return };
        let blob = base.blob(number);
        self.kept.push(number);
        self.record(BlobEntry {
            digest: blob.digest,
            size: blob.size,
            plain: blob.plain,
            recipe: Body::Base(number).into(),
        });
    }

    /// Adds a manifest or configuration whose bytes are at hand. It is kept in the index, so that
    /// the tail of a bundle tells what is in it.
    pub fn add_document(&mut self, descriptor: &Descriptor, bytes: &Arc<[u8]>) {
        let recipe = Recipe::from(Body::Inline(Arc::clone(bytes)));
        match self.by_digest.get(&descriptor.digest) {
            // It came before as the content of some artifact.
            Some(&at) => self.blobs[at].recipe = recipe,
            None => self.record(BlobEntry {
                digest: descriptor.digest,
                size: bytes.len() as u64,
                plain: None,
                recipe,
            }),
        }
    }

    /// Adds a blob from its bytes. A blob that is there already is read all the same, since only
    /// its end tells its digest, and adds nothing.
    ///
    /// # Errors
    /// What `content` fails with, and [`Kind::Io`] where the bundle cannot
    /// be written.
    pub fn add_blob(
        &mut self,
        is_layer: bool,
        algorithm: Algorithm,
        content: &mut dyn Read,
    ) -> Result<Added> {
        let mut head = [0; 512];
        let filled = fill(content, &mut head)?;
        let form = Compression::detect(&head[..filled]);
        let mut content = HashingReader::new((&head[..filled]).chain(content), algorithm);
        let (body, plain) = if form == Compression::None {
            (self.body(&mut content)?, None)
        } else if is_layer {
            let (runs, plain) = self.compressed_layer(form, &mut content)?;
            (Body::Chunks(runs), plain)
        } else {
            (Body::Chunks(self.opaque(&mut content, |_| ())?), None)
        };
        let (digest, size) = content.finish();
        // A stream says only at its end what it was.
        self.keep(&digest);
        if !self.has(&digest) {
            self.record(BlobEntry { digest, size, plain, recipe: body.into() });
        }
        Ok(Added { digest, size, plain })
    }

    /// Adds a layer that was taken aside: opened where its bytes can be made again, else as it came.
    pub(super) fn add_prepared(&mut self, prepared: Prepared) -> Result<Added> {
        let Prepared { digest, size, mut content, proof } = prepared;
        self.keep(&digest);
        if let Some(&at) = self.by_digest.get(&digest) {
            return Ok(Added { digest, size, plain: self.blobs[at].plain });
        }
        let Some(Proof::Exact { recipe, corrections, digest: plain_digest }) = proof else {
            return self.add_blob(true, digest.algorithm(), &mut content);
        };
        let plain = Plain { digest: plain_digest, size: recipe.plain() };
        let opened = compression::open(Compression::Gzip, BufReader::new(content))
            .map_err(|e| Error::io(format!("cannot open layer {digest}"), e))?;
        // What follows the last member is in the recipe.
        let mut opened = HashingReader::new(opened.take(plain.size), Algorithm::Sha256);
        let body = self.body(&mut opened)?;
        let (found, length) = opened.finish();
        if (found, length) != (plain.digest, plain.size) {
            return Err(Error::new(Kind::Io, format!("layer {digest} read differently twice"))
                .hint("the temporary folder is not reliable: choose another with TMPDIR"));
        }
        let corrections = self.opaque(&mut &corrections[..], |_| ())?;
        let encoding = Encoding::Gzip { recipe: recipe.to_bytes().into(), corrections };
        let recipe = Recipe { body, encoding };
        self.record(BlobEntry { digest, size, plain: Some(plain), recipe });
        Ok(Added { digest, size, plain: Some(plain) })
    }

    /// Cuts plain content into chunks, a tar along its files.
    fn body(&mut self, content: &mut dyn Read) -> Result<Body> {
        let mut head = vec![0; PROBE];
        let filled = fill(content, &mut head)?;
        head.truncate(filled);
        let mut content = (&head[..]).chain(content);
        if is_tar(&head) {
            self.tar(&mut content)
        } else if shrinks(&head) {
            Ok(Body::Chunks(self.data(&mut content)?))
        } else {
            Ok(Body::Chunks(self.opaque(&mut content, |_| ())?))
        }
    }

    /// Threads that compress.
    pub(super) fn threads(&self) -> usize {
        self.options.threads
    }

    /// Where layers are to be kept while they are looked at; `None` where they are carried as they
    /// come.
    pub(super) fn aside(&self) -> Option<&Path> {
        self.options.preset.opens_layers().then_some(&*self.options.temporary)
    }

    fn record(&mut self, blob: BlobEntry) {
        let size = blob.size;
        self.by_digest.insert(blob.digest, self.blobs.len());
        self.blobs.push(blob);
        if let Some(checkpoints) = &mut self.checkpoints
            && checkpoints.is_due(size)
        {
            checkpoints.write(&self.packs, &self.blobs);
        }
    }

    /// Stores what shares nothing and shrinks no more, in pieces of one size; `tee` sees each.
    fn opaque(&mut self, content: &mut dyn Read, mut tee: impl FnMut(&[u8])) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        let (none, mut offset) = (FileName::new(b""), 0);
        let mut piece = vec![0; self.opaque_chunk];
        loop {
            let filled = fill(content, &mut piece)?;
            if filled == 0 {
                return Ok(runs);
            }
            tee(&piece[..filled]);
            let piece = &piece[..filled];
            push_chunk(&mut runs, self.packs.put(Class::Opaque, &none, offset, piece)?);
            offset += filled as u64;
        }
    }

    /// Stores a compressed layer as it came, and opens it on the side to learn its diff ID. A layer
    /// that does not open is carried all the same: its digest is all that was promised.
    fn compressed_layer(
        &mut self,
        form: Compression,
        content: &mut dyn Read,
    ) -> Result<(Vec<Run>, Option<Plain>)> {
        std::thread::scope(|scope| {
            let (pieces, pieces_in) = bounded::<Vec<u8>>(2);
            let opener = scope.spawn(move || open_layer(form, pieces_in));
            let runs = self.opaque(content, |piece| {
                // The opener stops listening where the layer turns out not to open.
                let _ = pieces.send(piece.to_vec());
            });
            drop(pieces);
            let plain = opener.join().unwrap_or(None);
            runs.map(|runs| (runs, plain))
        })
    }

    /// Stores content that is no tar but may shrink and be shared, such as an SBOM or a model.
    fn data(&mut self, content: &mut dyn Read) -> Result<Vec<Run>> {
        let mut file = File::new(FileName::new(b""));
        let Self { packs, chunker, .. } = self;
        let mut failed = None;
        let mut buffer = vec![0; PROBE];
        loop {
            let filled = fill(content, &mut buffer)?;
            if filled == 0 {
                break;
            }
            chunker.push(&buffer[..filled], &mut |chunk| {
                file.put(packs, &mut failed, chunk);
            });
            if let Some(error) = failed {
                return Err(error);
            }
        }
        chunker.end(&mut |chunk| file.put(packs, &mut failed, chunk));
        failed.map_or(Ok(file.runs), Err)
    }

    /// Takes a tar apart.
    fn tar(&mut self, content: &mut dyn Read) -> Result<Body> {
        let mut splitter = Splitter::default();
        let mut parts = TarParts {
            packs: &mut self.packs,
            content: &mut self.chunker,
            meta: Chunker::default(),
            described: File::describing(),
            file: File::new(FileName::new(b"")),
            failed: None,
        };
        let mut buffer = vec![0; 256 << 10];
        loop {
            let filled = fill(content, &mut buffer)?;
            if filled == 0 {
                break;
            }
            splitter.push(&buffer[..filled], &mut parts);
            if let Some(error) = parts.failed.take() {
                return Err(error);
            }
        }
        let stretches = splitter.finish(&mut parts);
        parts.end_meta();
        match parts.failed {
            Some(error) => Err(error),
            None => {
                Ok(Body::Tar { meta: parts.described.runs, content: parts.file.runs, stretches })
            }
        }
    }
}

impl Intake for Writer {
    fn blob(
        &mut self,
        label: &str,
        expected: Option<Digest>,
        size: u64,
        is_layer: bool,
        content: &mut dyn Read,
    ) -> Result<Digest> {
        let algorithm = expected.map_or(Algorithm::Sha256, |digest| digest.algorithm());
        let added = match self.aside() {
            Some(folder) if is_layer => {
                let prepared = layer::prepare(content, algorithm, folder, None)?;
                self.add_prepared(prepared)?
            }
            _ => self.add_blob(is_layer, algorithm, content)?,
        };
        if added.size != size || expected.is_some_and(|expected| expected != added.digest) {
            return Err(Error::damaged(format!(
                "{label} is not what was announced: {} bytes with digest {} came",
                added.size, added.digest
            )));
        }
        Ok(added.digest)
    }
}

/// The two sides of a tar on their way into packs.
struct TarParts<'a> {
    packs: &'a mut Packs,
    content: &'a mut Chunker,
    meta: Chunker,
    described: File,
    file: File,
    failed: Option<Error>,
}

/// A file on its way into packs, and the chunks of it and of those before it.
struct File {
    name: FileName,
    class: Option<Class>,
    offset: u64,
    runs: Vec<Run>,
}

impl File {
    fn new(name: FileName) -> Self {
        Self { name, class: None, offset: 0, runs: Vec::new() }
    }

    /// Not a file, but what describes files.
    fn describing() -> Self {
        Self { class: Some(Class::Meta), ..Self::new(FileName::new(b"")) }
    }

    /// The next file begins.
    fn begin(&mut self, name: FileName) {
        (self.name, self.class, self.offset) = (name, None, 0);
    }

    /// Puts the next chunk, or notes the failure. The first tells the class of the file.
    fn put(&mut self, packs: &mut Packs, failed: &mut Option<Error>, chunk: &[u8]) {
        let class = *self.class.get_or_insert_with(|| Class::of(self.name.path(), chunk));
        match packs.put(class, &self.name, self.offset, chunk) {
            Ok(number) => push_chunk(&mut self.runs, number),
            Err(error) => *failed = failed.take().or(Some(error)),
        }
        self.offset += chunk.len() as u64;
    }
}

impl TarParts<'_> {
    fn end_meta(&mut self) {
        let Self { packs, meta, described, failed, .. } = self;
        meta.end(&mut |chunk| described.put(packs, failed, chunk));
    }
}

impl Parts for TarParts<'_> {
    fn meta(&mut self, bytes: &[u8]) {
        let Self { packs, meta, described, failed, .. } = self;
        meta.push(bytes, &mut |chunk| described.put(packs, failed, chunk));
    }

    fn file_begin(&mut self, path: &[u8], _: u64) {
        self.file.begin(FileName::new(path));
    }

    fn content(&mut self, bytes: &[u8]) {
        let Self { packs, content, file, failed, .. } = self;
        content.push(bytes, &mut |chunk| file.put(packs, failed, chunk));
    }

    fn file_end(&mut self) {
        let Self { packs, content, file, failed, .. } = self;
        content.end(&mut |chunk| file.put(packs, failed, chunk));
    }
}

/// What all volumes have in common.
pub(super) fn form(options: &WriterOptions) -> Form {
    Form {
        set: options.set.clone(),
        time: options.created,
        largest: options.volume_size,
        imprint: options.imprint,
        given: None,
    }
}

/// Reads until `buffer` is full or the end, and says how much came.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::from_io("cannot read a blob", e)),
        }
    }
    Ok(filled)
}

/// Whether zstd makes these bytes noticeably smaller.
fn shrinks(head: &[u8]) -> bool {
    zstd::bulk::compress(head, 1).is_ok_and(|packed| packed.len() < head.len() - head.len() / 32)
}
