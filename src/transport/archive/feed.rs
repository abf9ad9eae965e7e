//! Feeds: a compressed archive, read twice; a stream, read once.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek};

use super::ArchiveKind;
use super::catalog::Facts;
use super::resolve::{Contents, Question, Shelf, resolve};
use super::source::measure;
use super::stream::{Last, Pass, Tail, deliver, fed};
use crate::codec::checked::HashingReader;
use crate::codec::compression::{self, Compression};
use crate::endpoint::{Fed, Feed, Intake};
use crate::model::{Algorithm, Digest, Error, Result, Role};

/// A compressed archive. The first pass finds out what is in it, the second delivers only what the
/// chosen images need.
pub(super) struct WrappedFeed {
    file: File,
    compression: Compression,
    pass: Pass,
    contents: Contents,
}

impl WrappedFeed {
    /// Runs the first pass.
    pub(super) fn open(
        mut file: File,
        compression: Compression,
        place: &str,
        question: Question<'_>,
    ) -> Result<Self> {
        let look_into_layers = question.kind == ArchiveKind::Docker;
        let pass = walk(&mut file, compression, place, &mut |passing| {
            let mut facts = Facts {
                size: passing.size,
                compression: passing.compression,
                digest: None,
                plain: None,
            };
            if look_into_layers && passing.compression != Compression::None {
                let fail = |e| Error::from_io(format!("cannot read {}", passing.path), e);
                let mut exact = HashingReader::new(&mut *passing.content, Algorithm::Sha256);
                // An index may name it without anybody opening it, so this is no error yet.
                facts.plain = measure(&mut exact, passing.size, passing.compression).ok();
                std::io::copy(&mut exact, &mut std::io::sink()).map_err(fail)?;
                facts.digest = Some(exact.finish().0);
            }
            Ok(Some(facts))
        })?;
        let contents = resolve(&pass, question)?;
        Ok(Self { file, compression, pass, contents })
    }
}

fn walk(
    file: &mut File,
    compression: Compression,
    place: &str,
    take: &mut dyn FnMut(&mut super::stream::Passing<'_>) -> Result<Option<Facts>>,
) -> Result<Pass> {
    let fail = |e| Error::from_io(format!("cannot read {place}"), e);
    file.rewind().map_err(fail)?;
    let stream = std::io::BufReader::with_capacity(128 << 10, file);
    let stream = compression::open(compression, stream).map_err(fail)?;
    Pass::run(stream, place, take).map_err(|e| e.context(format!("cannot read {place}")))
}

impl Feed for WrappedFeed {
    fn describe(&self) -> String {
        self.pass.place.clone()
    }

    fn announce(&self) -> Result<Vec<(String, u64)>> {
        let images = self.contents.images.iter();
        Ok(images
            .map(|image| {
                let name = image.root.name.as_ref().map(ToString::to_string);
                let digest = || image.root.descriptor.digest.to_string();
                (name.unwrap_or_else(digest), image.graph.bytes())
            })
            .collect())
    }

    fn run(&mut self, intake: &mut dyn Intake) -> Result<Vec<Fed>> {
        let mut wanted: HashMap<String, (Digest, bool)> = HashMap::new();
        for leaf in self.contents.images.iter().flat_map(|image| &image.graph.leaves) {
            if let Some(path) = self.contents.files.get(&leaf.descriptor.digest) {
                wanted.insert(path.clone(), (leaf.descriptor.digest, leaf.role == Role::Layer));
            }
        }
        wanted.retain(|path, _| !matches!(self.pass.document(path), Ok(Some(_))));
        let mut came = HashSet::new();
        let place = self.pass.place.clone();
        walk(&mut self.file, self.compression, &place, &mut |passing| {
            if let Some((digest, is_layer)) = wanted.get(passing.path) {
                deliver(passing, Some(*digest), *is_layer, intake)?;
                came.insert(passing.path.to_owned());
            }
            Ok(None)
        })?;
        if came.len() != wanted.len() {
            return Err(Error::damaged(format!("{place} changed while it was read"))
                .hint("wait until whoever writes it is done"));
        }
        self.contents.images.iter().map(|image| fed(image, &self.contents, &self.pass)).collect()
    }
}

/// Reads a docker archive that comes once, as a daemon saves it: every layer goes to `intake` as
/// it comes. The images come in the order of the archive, names as it gives them.
///
/// # Errors
/// [`Kind::Remote`](crate::model::Kind::Remote) where the stream ends with the daemon's own
/// message, [`Kind::Damaged`](crate::model::Kind::Damaged) where it is cut short or something in
/// it is not what it should be.
pub(crate) fn read_saved(
    stream: impl Read + Send,
    place: &str,
    intake: &mut dyn Intake,
) -> Result<Vec<Fed>> {
    let last = Last::default();
    let pass = Pass::run(Tail::new(stream, &last), place, &mut |passing| {
        let (size, compression, is_layer) = (passing.size, passing.compression, passing.is_layer);
        let digest = deliver(passing, None, is_layer, intake)?;
        Ok(Some(Facts { size, compression, digest: Some(digest), plain: None }))
    })
    .map_err(|e| last.explain(e, place).context(format!("cannot read what {place} saves")))?;
    let question =
        Question { kind: ArchiveKind::Docker, which: None, home: "image", attachments: false };
    let contents = resolve(&pass, question)?;
    contents.images.iter().map(|image| fed(image, &contents, &pass)).collect()
}
