//! Archives that can only be read from front to back: compressed files, and what a daemon saves.
//!
//! A [`Pass`] walks the stream once. JSON documents are held, everything else is handed out as it
//! comes; what the documents mean is known at the end.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use super::catalog::{Catalog, Documents, Facts, blob_in};
use super::resolve::{Contents, Image, Shelf};
use crate::codec::compression::Compression;
use crate::codec::tarball::{Walker, has_checksum};
use crate::endpoint::{Fed, Intake};
use crate::model::{Digest, Error, Kind, Result};

/// Bytes that may follow the end mark: tars are padded to records of 10 KiB, some to more.
const TRAILING_BYTES: u64 = 1 << 20;

/// A file of the stream that is no document.
pub(super) struct Passing<'a> {
    /// Its name in the archive.
    pub(super) path: &'a str,
    /// Bytes of content.
    pub(super) size: u64,
    /// How it is compressed.
    pub(super) compression: Compression,
    /// Whether it looks like the layer of an image.
    pub(super) is_layer: bool,
    /// Its bytes, from the start.
    pub(super) content: &'a mut (dyn Read + Send),
}

/// What a stream held.
pub(super) struct Pass {
    pub(super) place: String,
    pub(super) catalog: Catalog,
    pub(super) documents: Documents,
    pub(super) facts: HashMap<String, Facts>,
}

impl Pass {
    /// Walks `stream` to its end; `take` gets each file that is no document and says what it found
    /// out about it.
    ///
    /// # Errors
    /// Those of `take` and of the stream; [`Kind::Damaged`] where it is cut short.
    pub(super) fn run<R: Read + Send>(
        stream: R,
        place: &str,
        take: &mut dyn FnMut(&mut Passing<'_>) -> Result<Option<Facts>>,
    ) -> Result<Self> {
        let mut pass = Self {
            place: place.to_owned(),
            catalog: Catalog::default(),
            documents: Documents::default(),
            facts: HashMap::new(),
        };
        let mut walker = Walker::over_stream(stream);
        while let Some(member) = walker.next_member()? {
            if let Some(path) = pass.catalog.add(&member)? {
                pass.file(&path, member.size, &mut walker.content(), take)?;
            }
        }
        if !walker.end_was_marked() {
            return Err(Error::damaged("the archive stops before its end mark")
                .hint("it was not written or transferred to its end: try again"));
        }
        // Reading on makes a decompressor check its own sums, and shows what follows.
        let mut rest = walker.into_inner().take(TRAILING_BYTES + 1);
        let mut buffer = [0; 8192];
        let mut trailing = 0;
        loop {
            let n = rest.read(&mut buffer).map_err(|e| Error::from_io("cannot read the tar", e))?;
            if n == 0 {
                return Ok(pass);
            }
            trailing += n as u64;
            if trailing > TRAILING_BYTES || buffer[..n].iter().any(|byte| *byte != 0) {
                return Err(Error::malformed("something follows the end of the archive"));
            }
        }
    }

    fn file(
        &mut self,
        path: &str,
        size: u64,
        content: &mut (dyn Read + Send),
        take: &mut dyn FnMut(&mut Passing<'_>) -> Result<Option<Facts>>,
    ) -> Result<()> {
        let whole = Documents::may_be(path, size);
        let mut head = Vec::new();
        content
            .take(if whole { size } else { 512 })
            .read_to_end(&mut head)
            .map_err(|e| Error::from_io(format!("cannot read {path}"), e))?;
        if whole && self.documents.offer(path, &head)? {
            return Ok(());
        }
        let compression = Compression::detect(&head);
        let is_layer = compression != Compression::None || looks_like_tar(&head);
        let mut content = head.as_slice().chain(content);
        let facts =
            take(&mut Passing { path, size, compression, is_layer, content: &mut content })?;
        if let Some(facts) = facts {
            self.facts.insert(path.to_owned(), facts);
        }
        Ok(())
    }
}

fn looks_like_tar(head: &[u8]) -> bool {
    match head.first_chunk::<512>() {
        Some(block) => block.iter().all(|byte| *byte == 0) || has_checksum(block),
        None => head.is_empty(),
    }
}

impl Shelf for Pass {
    fn place(&self) -> &str {
        &self.place
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn document(&self, path: &str) -> Result<Option<Arc<[u8]>>> {
        let file = self.catalog.file(path)?;
        Ok(file.and_then(|(path, _)| self.documents.get(&path)))
    }

    fn facts(&self, path: &str) -> Result<Option<Facts>> {
        let file = self.catalog.file(path)?;
        Ok(file.and_then(|(path, _)| self.facts.get(&path).copied()))
    }
}

/// Hands a passing file to the intake under the digest that its name promises, if it does.
pub(super) fn deliver(
    file: &mut Passing<'_>,
    expected: Option<Digest>,
    is_layer: bool,
    intake: &mut dyn Intake,
) -> Result<Digest> {
    let expected = expected.or_else(|| blob_in(file.path));
    let label = expected.map_or_else(|| file.path.to_owned(), |digest| digest.short());
    let found = intake.blob(&label, expected, file.size, is_layer, file.content)?;
    match expected {
        Some(expected) if expected != found && expected.algorithm() == found.algorithm() => {
            Err(Error::damaged(format!(
                "{} is not what it should be: its digest is {found} instead of {expected}",
                file.path
            ))
            .hint("the archive is damaged or was changed: make it again"))
        }
        _ => Ok(found),
    }
}

/// An image with everything that was held of it.
pub(super) fn fed(image: &Image, contents: &Contents, shelf: &dyn Shelf) -> Result<Fed> {
    let graph = &image.graph;
    let manifests =
        graph.nodes.iter().map(|node| (node.descriptor.clone(), node.raw.clone())).collect();
    let mut documents = Vec::new();
    for leaf in &graph.leaves {
        let Some(path) = contents.files.get(&leaf.descriptor.digest) else { continue };
        if let Some(bytes) = shelf.document(path)? {
            let descriptor = &leaf.descriptor;
            if descriptor.digest.of_same_kind(&bytes) != descriptor.digest {
                return Err(Error::damaged(format!(
                    "{path} in {} is not what its name says",
                    shelf.place()
                )));
            }
            documents.push((descriptor.clone(), bytes));
        }
    }
    Ok(Fed { root: image.root.clone(), manifests, documents })
}

/// Remembers the last bytes of a stream. A daemon that fails in the middle of a save writes its
/// message into the tar, after the status line said that all was well.
pub(super) struct Tail<R> {
    inner: R,
    last: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

/// How much of the end is kept: a message is a line or two.
const TAIL_BYTES: usize = 4096;

/// What a [`Tail`] saw last.
#[derive(Clone, Default)]
pub(super) struct Last(Arc<std::sync::Mutex<Vec<u8>>>);

impl<R: Read> Tail<R> {
    pub(super) fn new(inner: R, last: &Last) -> Self {
        Self { inner, last: last.0.clone() }
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let read = &buffer[..n];
        if n >= TAIL_BYTES {
            last.clear();
            last.extend_from_slice(&read[n - TAIL_BYTES..]);
        } else {
            let drop = (last.len() + n).saturating_sub(TAIL_BYTES);
            last.drain(..drop);
            last.extend_from_slice(read);
        }
        Ok(n)
    }
}

impl Last {
    /// The daemon's own message, where the stream ended with one.
    pub(super) fn message(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Line {
            #[serde(alias = "error")]
            message: String,
        }
        let last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let end = last.trim_ascii_end();
        let from = end.windows(2).rposition(|pair| pair == b"{\"")?;
        let line: Line = serde_json::from_slice(&end[from..]).ok()?;
        Some(line.message)
    }

    /// The error as it should be told: the daemon's message where there is one.
    pub(super) fn explain(&self, error: Error, place: &str) -> Error {
        let unreadable = matches!(error.kind(), Kind::Damaged | Kind::Malformed);
        match self.message().filter(|_| unreadable) {
            Some(message) => Error::remote(format!("{place} failed while it saved: {message}"))
                .because(error)
                .hint("the image could not be read there: check it with docker image inspect"),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tarball::Writer;

    fn run(bytes: &[u8]) -> Result<Pass> {
        Pass::run(bytes, "test", &mut |file| {
            io::copy(file.content, &mut io::sink()).map_err(|e| Error::from_io("reading", e))?;
            Ok(None)
        })
    }

    fn tar() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        writer.bytes("x/layer.tar", &[0; 1024]).unwrap();
        writer.bytes("manifest.json", b"[]").unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn a_whole_stream_passes_and_every_cut_is_an_error() {
        let bytes = tar();
        assert!(run(&bytes).unwrap().document("manifest.json").unwrap().is_some());
        for cut in (0..bytes.len() - 1024).step_by(64) {
            assert!(run(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_message_in_the_tar_is_found() {
        let message = br#"{"message":"open /x: no such file"}"#;
        for cut in [0, 512, 700, 2048] {
            let mut bytes = tar();
            bytes.truncate(cut);
            bytes.extend_from_slice(message);
            bytes.push(b'\n');
            let last = Last::default();
            let error = Pass::run(Tail::new(&bytes[..], &last), "test", &mut |file| {
                io::copy(file.content, &mut io::sink())
                    .map_err(|e| Error::from_io("reading", e))?;
                Ok(None)
            })
            .map(|_| ())
            .unwrap_err();
            let error = last.explain(error, "daemon");
            assert_eq!(error.kind(), Kind::Remote, "cut at {cut}: {error:?}");
            assert!(error.message().contains("no such file"));
        }
        let mut bytes = tar();
        bytes.extend_from_slice(message);
        assert!(run(&bytes).is_err());
    }
}
