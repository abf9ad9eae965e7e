//! Makes parity volumes for files that are finished.
//!
//! Every byte of the files is read once: in stripes that go through the code, and through a hash
//! for each shard, which waits for the next stripe. That a shard's hash is known only at the end is
//! why the descriptions are written last.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::description::{Description, Mark};
use super::layout::{Covered, Layout};
use super::volume::{Shape, numbered};
use super::written::Written;
use super::{code, weak};
use crate::bundle::volume::{BLOCK, VOLUME, member_bytes, parse_header, volume_text};
use crate::codec::atomic::AtomicFile;
use crate::model::{Error, Kind, Result};

/// A file that is to be covered. It may still have a temporary name.
#[derive(Clone, Debug)]
pub struct Input {
    /// The name that it has or will have, without any folder.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What is going to be made: names, lengths, how much.
#[derive(Debug)]
pub struct Plan {
    inputs: Vec<Input>,
    description: Description,
    shapes: Vec<Shape>,
    outputs: Vec<PathBuf>,
}

impl Plan {
    /// Works out parity for `inputs`, with so many hundredths of recovery data, as `output` or, where
    /// that would be longer than `limit`, as several files named after it.
    ///
    /// # Errors
    /// [`Kind::Io`]; [`Kind::Malformed`] for files that parity cannot cover; [`Kind::Usage`] where
    /// the limit is too tight.
    pub fn new(inputs: Vec<Input>, percent: u8, output: &Path, limit: Option<u64>) -> Result<Self> {
        let mut files = Vec::with_capacity(inputs.len());
        for Input { name, path } in &inputs {
            let length = path.metadata().map_err(|e| cannot_read(path, e))?.len();
            files.push(Covered { name: name.clone(), length });
        }
        let layout = Layout::plan(files, percent)?;
        let marks = vec![Mark::default(); layout.data() + layout.recovery()];
        let claims = inputs.first().and_then(|first| claims(&first.path));
        let set = claims.map(|(_, set)| set);
        let description = Description { set, layout, marks };
        let layout = &description.layout;
        let bytes = description.to_bytes().len() as u64;
        let shapes =
            Shape::share(bytes, layout.shard(), layout.recovery(), limit).ok_or_else(|| {
                Error::usage("no parity fits into volumes of this size")
                    .hint("allow larger volumes")
            })?;
        let outputs = numbered(output, shapes.len());
        Ok(Self { inputs, description, shapes, outputs })
    }

    /// The parity volumes.
    pub fn outputs(&self) -> &[PathBuf] {
        &self.outputs
    }

    /// How the files are cut.
    pub fn layout(&self) -> &Layout {
        &self.description.layout
    }

    /// Bytes of all parity volumes.
    pub fn bytes(&self) -> u64 {
        self.shapes.iter().map(Shape::bytes).sum()
    }

    /// Makes them, in files that `create` begins; they are in the order of the names, and do not have
    /// those yet. Also gives what was written into each. `advance` hears how many bytes were read.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn make(
        mut self,
        mut create: impl FnMut(&Path) -> Result<AtomicFile>,
        advance: &dyn Fn(u64),
    ) -> Result<(Vec<AtomicFile>, Vec<Written>)> {
        let claims = self.inputs.first().and_then(|first| claims(&first.path));
        let time = claims.map_or(0, |(time, _)| time);
        let mut files = Vec::with_capacity(self.shapes.len());
        for (shape, path) in self.shapes.iter().zip(&self.outputs) {
            let mut file = create(path)?;
            // The zeros of padding and end are those of a file that was made longer.
            file.file().set_len(shape.bytes()).map_err(|e| cannot_write(path, e))?;
            for (at, bytes) in shape.frame(time) {
                put(&mut file, at, &bytes)?;
            }
            files.push(file);
        }
        let layout = &self.description.layout;
        let fresh = || (0u64, Sha256::new());
        let mut data: Vec<_> = (0..layout.data()).map(|_| fresh()).collect();
        let mut recovery: Vec<_> = (0..layout.recovery()).map(|_| fresh()).collect();
        let each = self.shapes[0].count;
        // There may be more files than a process may hold open; they are read in their order.
        let mut open: Option<(usize, File)> = None;
        code::encode(
            layout,
            |shard, at, buffer| {
                let place = layout.place(shard);
                let there = place.length.saturating_sub(at).min(buffer.len() as u64) as usize;
                let path = &self.inputs[place.file].path;
                let (there, behind) = buffer.split_at_mut(there);
                if open.as_ref().is_none_or(|(number, _)| *number != place.file) {
                    let file = File::open(path).map_err(|e| cannot_read(path, e))?;
                    open = Some((place.file, file));
                }
                if let Some((_, file)) = &open {
                    let read = file.read_exact_at(there, place.offset + at);
                    read.map_err(|e| cannot_read(path, e))?;
                }
                behind.fill(0);
                advance(there.len() as u64);
                note(&mut data[shard], buffer);
                Ok(())
            },
            |shard, at, bytes| {
                note(&mut recovery[shard], bytes);
                let (number, within) = (shard / each, shard % each);
                put(&mut files[number], self.shapes[number].shard_at(within) + at, bytes)
            },
        )?;
        let hashes = data.into_iter().chain(recovery);
        self.description.marks =
            hashes.map(|(weak, digest)| Mark { weak, digest: digest.finalize().into() }).collect();
        let description: Arc<[u8]> = self.description.to_bytes().into();
        for (shape, file) in self.shapes.iter().zip(&mut files) {
            for at in shape.descriptions() {
                put(file, at, &description)?;
            }
        }
        let recovery = &self.description.marks[self.description.layout.data()..];
        let written = self.shapes.into_iter().map(|shape| Written {
            shards: recovery[shape.first..shape.first + shape.count]
                .iter()
                .map(|mark| mark.digest)
                .collect(),
            shape,
            time,
            description: Arc::clone(&description),
        });
        Ok((files, written.collect()))
    }
}

fn note((weak, digest): &mut (u64, Sha256), bytes: &[u8]) {
    *weak = weak::extend(*weak, bytes);
    digest.update(bytes);
}

fn put(file: &mut AtomicFile, at: u64, bytes: &[u8]) -> Result<()> {
    let written = file.file().write_all_at(bytes, at);
    written.map_err(|e| cannot_write(file.target(), e))
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    let full = error.kind() == std::io::ErrorKind::StorageFull;
    let error = Error::io(format!("cannot write {}", path.display()), error);
    if full { error.hint("make room, or ask for less parity") } else { error }
}

fn cannot_read(path: &Path, error: std::io::Error) -> Error {
    let name = path.display();
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Error::new(Kind::Io, format!("{name} became shorter while parity was made for it"))
        }
        _ => Error::io(format!("cannot read {name} to make parity for it"), error),
    }
}

/// Time and name of the set, as the first two members of a volume claim them; `None` where it is no
/// plain volume. They are carried along for people.
fn claims(path: &Path) -> Option<(u64, [u8; 16])> {
    let file = File::open(path).ok()?;
    let mut block = [0; BLOCK as usize];
    file.read_exact_at(&mut block, 0).ok()?;
    let (_, size, time) = parse_header(&block)?;
    let at = member_bytes(size);
    file.read_exact_at(&mut block, at).ok()?;
    let (name, size, _) = parse_header(&block)?;
    if name != VOLUME || size > BLOCK {
        return None;
    }
    let mut text = vec![0; size as usize];
    file.read_exact_at(&mut text, at + BLOCK).ok()?;
    let text = String::from_utf8(text).ok()?;
    let set = text.strip_prefix("sealift volume 1\nset ")?.get(..32)?;
    let bytes = hex::decode(set).ok()?.try_into().ok()?;
    text.starts_with(volume_text(set, 1).split("number").next()?).then_some((time, bytes))
}
