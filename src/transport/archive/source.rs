//! A plain archive: its headers are walked once, then any blob is read where it lies.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::catalog::{Catalog, Facts, Stored, blob_in, longest};
use super::resolve::{Contents, Question, Shelf, resolve};
use crate::codec::checked::{HashingReader, read_bounded};
use crate::codec::compression::{self, Compression};
use crate::codec::tarball::Walker;
use crate::endpoint::{Attachment, Form, Plain, Root, Source};
use crate::model::{Algorithm, Descriptor, Digest, Error, Result, limits};
use crate::transport::layout::index::Blobs;

/// The bytes of an archive, and where everything in it is.
struct Tar {
    file: Mutex<File>,
    catalog: Catalog,
    place: String,
    /// Facts about compressed layers, so that each is hashed once.
    facts: Mutex<HashMap<String, Facts>>,
}

/// An archive as a source.
pub(super) struct ArchiveSource {
    tar: Tar,
    contents: Contents,
}

impl ArchiveSource {
    /// Walks the headers of a plain tar.
    pub(super) fn open(file: File, place: String, question: Question<'_>) -> Result<Self> {
        let mut walker = Walker::over_file(io::BufReader::new(file));
        let mut catalog = Catalog::default();
        while let Some(member) =
            walker.next_member().map_err(|e| e.context(format!("cannot read {place}")))?
        {
            catalog.add(&member)?;
        }
        let file = Mutex::new(walker.into_inner().into_inner());
        let tar = Tar { file, catalog, place, facts: Mutex::default() };
        let contents = resolve(&tar, question)?;
        Ok(Self { tar, contents })
    }
}

impl Tar {
    fn window(&self, stored: Stored) -> Window<'_> {
        Window { file: &self.file, at: stored.at, end: stored.at + stored.size }
    }

    fn fail(&self, e: io::Error) -> Error {
        Error::from_io(format!("cannot read {}", self.place), e)
    }

    /// What a layer is that an image without a manifest names.
    fn look_at(&self, path: &str, stored: Stored) -> Result<Facts> {
        let mut head = [0; 4];
        let n = self.window(stored).read(&mut head).map_err(|e| self.fail(e))?;
        let compression = Compression::detect(&head[..n]);
        let mut facts = Facts { size: stored.size, compression, digest: None, plain: None };
        if compression == Compression::None {
            return Ok(facts);
        }
        // Its image knows it by its content, so it has to be opened once.
        let mut exact = HashingReader::new(self.window(stored), Algorithm::Sha256);
        facts.plain =
            Some(measure(&mut exact, stored.size, compression).map_err(|e| self.fail(e))?);
        io::copy(&mut exact, &mut io::sink()).map_err(|e| self.fail(e))?;
        let (digest, _) = exact.finish();
        if blob_in(path)
            .is_some_and(|promised| promised.algorithm() == Algorithm::Sha256 && promised != digest)
        {
            return Err(Error::damaged(format!(
                "{path} in {} is not what its name says: its digest is {digest}",
                self.place
            )));
        }
        facts.digest = Some(digest);
        Ok(facts)
    }
}

/// Opens a compressed layer and measures what is in it; a bomb is refused.
pub(super) fn measure(packed: impl Read + Send, size: u64, kind: Compression) -> io::Result<Plain> {
    let most = size.saturating_mul(limits::EXPANSION).max(64 << 20);
    let stream = io::BufReader::with_capacity(64 << 10, packed);
    let plain = compression::open(kind, stream)?.take(most + 1);
    let mut plain = HashingReader::new(plain, Algorithm::Sha256);
    let size = io::copy(&mut plain, &mut io::sink())?;
    if size > most {
        return Err(Error::malformed("layer grows without end when it is opened").into_io());
    }
    let (digest, size) = plain.finish();
    Ok(Plain { digest, size })
}

/// A stretch of a file that several readers share.
struct Window<'a> {
    file: &'a Mutex<File>,
    at: u64,
    end: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let n = file.read(&mut buffer[..most])?;
        self.at += n as u64;
        Ok(n)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf for Tar {
    fn place(&self) -> &str {
        &self.place
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn document(&self, path: &str) -> Result<Option<Arc<[u8]>>> {
        let Some((path, stored)) = self.catalog.file(path)? else { return Ok(None) };
        let what = format!("{path} in {}", self.place);
        read_bounded(self.window(stored), longest(&path), &what).map(|bytes| Some(bytes.into()))
    }

    fn facts(&self, path: &str) -> Result<Option<Facts>> {
        let Some((path, stored)) = self.catalog.file(path)? else { return Ok(None) };
        if let Some(facts) = locked(&self.facts).get(&path) {
            return Ok(Some(*facts));
        }
        let facts = self.look_at(&path, stored)?;
        locked(&self.facts).insert(path, facts);
        Ok(Some(facts))
    }
}

impl Blobs for ArchiveSource {
    fn has(&self, digest: &Digest) -> bool {
        self.contents.made.contains_key(digest)
            || matches!(self.tar.catalog.blob(digest), Ok(Some(_)))
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Arc<[u8]>> {
        crate::endpoint::read_small(self, descriptor, limits::MANIFEST_BYTES)
    }
}

impl Source for ArchiveSource {
    fn describe(&self) -> String {
        self.tar.place.clone()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        Ok(self.contents.images.iter().map(|image| image.root.clone()).collect())
    }

    fn open(&self, blob: &Descriptor, form: Form) -> Result<Box<dyn Read + Send + '_>> {
        if let Some(made) = self.contents.made.get(&blob.digest) {
            return Ok(Box::new(io::Cursor::new(made.clone())));
        }
        let known = self.contents.files.get(&blob.digest);
        let file = match known {
            Some(path) => self.tar.catalog.file(path)?,
            // What is attached to an image is only in the table of contents.
            None => self.tar.catalog.blob(&blob.digest)?,
        };
        let Some((path, stored)) = file else {
            return Err(Error::damaged(format!(
                "blob {} is not in {}",
                blob.digest, self.tar.place
            ))
            .hint("the archive is incomplete: make it again"));
        };
        if stored.size != blob.size {
            return Err(Error::damaged(format!(
                "{path} in {} is {} bytes long, {} were described",
                self.tar.place, stored.size, blob.size
            )));
        }
        let exact = self.tar.window(stored);
        match form {
            Form::Exact => Ok(Box::new(exact)),
            Form::Plain => compression::open_detected(exact)
                .map(|(_, reader)| reader)
                .map_err(|e| self.tar.fail(e)),
        }
    }

    fn plain(&self, layer: &Digest) -> Option<Plain> {
        self.contents.plains.get(layer).copied()
    }

    fn attachments(&self, subject: &Descriptor) -> Result<Vec<Attachment>> {
        match &self.contents.listing {
            Some(listing) => listing.attachments(&subject.digest, self),
            None => Ok(Vec::new()),
        }
    }
}
