//! Writing over volumes: packs go into the volume that has room for them, and where one has not,
//! the next begins.
//!
//! Which pack lies in which volume follows from their lengths and their order alone, so it depends
//! on nothing else. A volume only ever grows at its end: [`VolumeWriter`] is the one thing that its
//! bytes go through.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::manifest::{PackEntry, VolumeEntry};
use super::partial::Partial;
use super::sink::{Back, Recorded, Sink};
use super::volume::{self, END_BYTES, header, member_bytes, padding};
use crate::codec::atomic::{Synced, name_together};
use crate::codec::imprint::Imprint;
use crate::model::{Digest, Error, Result, limits};

/// The smallest volume that a bundle may be cut into, in bytes. The signed tail of a bundle of some
/// hundred packs fits.
pub const SMALLEST_VOLUME: u64 = 1 << 20;

/// The file of one volume while it is written: bytes are appended to it, and nothing else happens
/// to it.
pub(super) struct VolumeWriter {
    file: Sink,
    /// Bytes so far, which is where the next member begins.
    at: u64,
    time: u64,
}

impl VolumeWriter {
    /// Nothing yet. `time` is that of every header.
    pub(super) fn new(file: impl Into<Sink>, time: u64) -> Self {
        Self { file: file.into(), at: 0, time }
    }

    /// Where the next member begins.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// How long the file will be of a volume of `bytes`.
    fn file_length(&self, bytes: u64) -> u64 {
        self.file.file_length(bytes)
    }

    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| write_error(self.file.target(), self.at, e))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Appends a member with its header and padding.
    pub(super) fn member(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let size = content.len() as u64;
        self.append(&header(name, size, self.time))?;
        self.append(content)?;
        self.append(&[0; 512][..padding(size) as usize])
    }

    /// Appends what ends a tar, and syncs the file.
    pub(super) fn end(mut self) -> Result<Done> {
        self.append(&[0; END_BYTES as usize])?;
        let (target, file_bytes) = (self.file.target().to_owned(), self.file.file_length(self.at));
        let (file, imprint) = self.file.finish().map_err(|e| write_error(&target, self.at, e))?;
        Ok(Done { bytes: self.at, file_bytes, file: file.sync()?, imprint })
    }

    /// Ends it, and gives it the name that it was begun for.
    pub(super) fn commit(self) -> Result<()> {
        let name = self.file.target().to_owned();
        name_together(vec![(self.end()?.file, name)])
    }
}

/// Says what to do about a full disk or a file system that holds no larger file.
fn write_error(target: &Path, at: u64, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("free some space, or write the bundle to another disk")
        }
        io::ErrorKind::FileTooLarge => Some(
            "no larger file is allowed here: cut the bundle with --volume-size, or write it to another disk",
        ),
        _ => None,
    };
    let error =
        Error::io(format!("cannot write {} beyond byte {at} of a file", target.display()), error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A volume that is whole, and has no name yet.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) file: Synced,
    /// Length of the volume.
    pub(super) bytes: u64,
    /// Length of the file, which is longer where it is encrypted.
    pub(super) file_bytes: u64,
    pub(super) imprint: Option<Imprint>,
}

/// The set of volumes while packs are appended to it.
pub(super) struct Output {
    partial: Arc<Partial>,
    back: Arc<Back>,
    form: Form,
    done: Vec<Done>,
    current: VolumeWriter,
    /// How many packs there are.
    packs: usize,
    /// What each volume begins with, in bytes.
    head: u64,
}

impl Output {
    /// Begins the first volume of a set.
    pub(super) fn begin(partial: Arc<Partial>, form: Form) -> Result<Self> {
        let current = form.begin(&partial, 1)?;
        let back = Arc::new(Back::new(Arc::clone(&partial)));
        back.begin(&current.file);
        let head = current.at();
        Ok(Self { partial, back, form, done: Vec::new(), current, packs: 0, head })
    }

    /// Bytes that no volume is larger than.
    pub(super) fn largest(&self) -> Option<u64> {
        self.form.largest
    }

    /// The number of the volume that is being written.
    pub(super) fn number(&self) -> u64 {
        self.done.len() as u64 + 1
    }

    /// Where the next member begins in it.
    pub(super) fn at(&self) -> u64 {
        self.current.at()
    }

    /// Reads back what was written.
    pub(super) fn back(&self) -> &Arc<Back> {
        &self.back
    }

    /// Whether the current volume has more than what each begins with.
    pub(super) fn has_packs(&self) -> bool {
        self.at() > self.head
    }

    /// Whether the current volume can take so many more bytes and then end.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let end = self.at().saturating_add(bytes).saturating_add(END_BYTES);
        self.form.largest.is_none_or(|largest| self.current.file_length(end) <= largest)
    }

    /// Ends the current volume and begins the next.
    pub(super) fn next(&mut self) -> Result<()> {
        let number = self.number() + 1;
        if number > limits::VOLUMES as u64 {
            return Err(Error::malformed(format!(
                "the bundle would have more than {} volumes",
                limits::VOLUMES
            ))
            .hint("make the volumes larger with --volume-size"));
        }
        let next = self.form.begin(&self.partial, number)?;
        self.head = next.at();
        self.back.begin(&next.file);
        let mut done = std::mem::replace(&mut self.current, next).end()?;
        // There may be more of them than a process may hold open; the first says for all that
        // somebody is at work.
        if number > 2 {
            done.file.close();
        }
        self.done.push(done);
        Ok(())
    }

    /// Appends a pack, in the volume where it fits, or where it is known to belong.
    pub(super) fn pack(
        &mut self,
        stored: &[u8],
        digest: Digest,
        content: u64,
    ) -> Result<PackEntry> {
        let size = stored.len() as u64;
        let given = self.form.given.clone();
        if let Some(given) = &given {
            let volume = given.packs.get(self.packs).map_or(1, |pack| pack.volume);
            while self.number() < volume {
                self.next()?;
            }
        } else if !self.has_room(member_bytes(size)) {
            self.next()?;
        }
        let entry = PackEntry { volume: self.number(), offset: self.at(), size, digest, content };
        if let Some(given) = given.filter(|given| given.packs.get(self.packs) != Some(&entry)) {
            let (number, count) = (self.packs + 1, given.packs.len());
            return Err(Error::damaged(format!(
                "the volume cannot be made again: pack {number} of {count} came out differently, as {digest}"
            ))
            .hint(&given.advice));
        }
        self.packs += 1;
        self.member(&format!("packs/{}.zst", digest.hex()), stored)?;
        Ok(entry)
    }

    /// Appends any other member to the current volume.
    pub(super) fn member(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.current.member(name, content)
    }

    /// The volumes as a manifest lists them that is to lie at `manifest_at` of the current one.
    pub(super) fn entries(&self, manifest_at: u64) -> Vec<VolumeEntry> {
        let sizes = self.done.iter().map(|volume| volume.bytes).chain([manifest_at]);
        sizes.zip(1..).map(|(size, number)| VolumeEntry { number, size }).collect()
    }

    /// Ends the last volume.
    pub(super) fn end(mut self) -> Result<Vec<Done>> {
        self.done.push(self.current.end()?);
        Ok(self.done)
    }
}

/// What all volumes of a set have in common.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// The name of the set.
    pub(super) set: String,
    /// The time of every header.
    pub(super) time: u64,
    /// Bytes that no volume is larger than.
    pub(super) largest: Option<u64>,
    /// Whether what is written is remembered, to be read back.
    pub(super) imprint: bool,
    /// The packs that there must be, where a set is made again.
    pub(super) given: Option<Arc<Given>>,
}

/// Packs that are known beforehand, and where they lie.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) packs: Vec<PackEntry>,
    /// What to do where another one comes.
    pub(super) advice: String,
}

impl Form {
    /// Begins a volume with what each begins with.
    fn begin(&self, partial: &Partial, number: u64) -> Result<VolumeWriter> {
        let file = Recorded::new(partial.create(number)?, self.imprint);
        let mut file = VolumeWriter::new(Sink::new(file, partial.recipients())?, self.time);
        file.member(volume::README, volume::README_TEXT.as_bytes())?;
        file.member(volume::VOLUME, volume::volume_text(&self.set, number).as_bytes())?;
        Ok(file)
    }
}
