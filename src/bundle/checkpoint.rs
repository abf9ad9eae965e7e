//! Checkpoints: notes of what there is of a bundle while it is written, so that an export that was
//! interrupted can go on from it.
//!
//! A checkpoint is one file beside the unfinished bundle, replaced as a whole:
//!
//! ```text
//! frames    the content of the packs that are still open, each as a frame
//! head      where the packs of the unfinished bundle lie, how long the frames are, the index
//! end       a line, the length of the head, its SHA-256
//! ```
//!
//! It is nobody's format but that of the version that wrote it and of those that still know it, and
//! what is read from it is proved like what a registry sends.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::index::{BlobEntry, Index};
use super::manifest::{PackEntry, stored_limit};
use super::packs::Packs;
use super::recipe::Body;
use super::volume::Volume;
use crate::codec::atomic::AtomicFile;
use crate::codec::frame::Effort;
use crate::codec::number::{Cursor, Odd, put};
use crate::model::{Algorithm, Digest, Error, Result, limits};

/// The name of the file.
pub(super) const CHECKPOINT: &str = "checkpoint";

/// What the end begins with.
const LINE: &[u8] = b"sealift checkpoint 2\n";

/// The line, a length, a digest.
const END_BYTES: usize = LINE.len() + 8 + 32;

/// How the content of open packs is kept: it is for minutes, not for years.
const EFFORT: Effort = Effort { level: 1, long_distance: false };

/// A checkpoint may take this part of the time of an export.
const SHARE_OF_TIME: u32 = 30;

/// What was gathered since the last one is so many times as large as that was, or
const SHARE_OF_BYTES: u64 = 4;

/// this long ago: on a slow line a minute is all that is lost.
const LONGEST: Duration = Duration::from_mins(1);

/// Decides when checkpoints are due, and writes them.
pub(super) struct Checkpoints {
    path: PathBuf,
    last: Instant,
    took: Duration,
    size: u64,
    since: u64,
}

impl Checkpoints {
    /// None yet; they will lie in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        let path = folder.join(CHECKPOINT);
        Self { path, last: Instant::now(), took: Duration::ZERO, size: 0, since: 0 }
    }

    /// Whether one is due, now that another blob of `bytes` is there.
    pub(super) fn is_due(&mut self, bytes: u64) -> bool {
        self.since += bytes;
        let ago = self.last.elapsed();
        let much = self.since / SHARE_OF_BYTES >= self.size || ago >= LONGEST;
        much && ago >= self.took * SHARE_OF_TIME
    }

    /// Writes one. Where that fails, the last one is still there: the export itself does not fail
    /// for it.
    pub(super) fn write(&mut self, packs: &Packs, blobs: &[BlobEntry]) {
        if self.since == 0 {
            return;
        }
        let began = Instant::now();
        // In a thread of its own: whoever brings a blob would keep the memory that this takes.
        let written =
            std::thread::scope(|scope| scope.spawn(|| self.try_write(packs, blobs)).join());
        if let Ok(Ok(size)) = written {
            self.size = size;
        }
        (self.took, self.last, self.since) = (began.elapsed(), Instant::now(), 0);
    }

    fn try_write(&self, packs: &Packs, blobs: &[BlobEntry]) -> Result<u64> {
        let snapshot = packs.snapshot()?;
        let mut head = Vec::new();
        put(&mut head, snapshot.written.len() as u64);
        for pack in &snapshot.written {
            put(&mut head, pack.volume);
            put(&mut head, pack.offset);
            put_frame(&mut head, pack);
        }
        put(&mut head, snapshot.open.len() as u64);
        let mut file = AtomicFile::create(&self.path, 0o600)?;
        let failed = |e| Error::io("cannot write a checkpoint", e);
        let mut size = 0;
        for content in &snapshot.open {
            let stored = EFFORT.encode(content, &[]).map_err(failed)?;
            file.write_all(&stored).map_err(failed)?;
            let frame = PackEntry {
                volume: 1,
                offset: size,
                size: stored.len() as u64,
                digest: Digest::of(&stored),
                content: content.len() as u64,
            };
            put_frame(&mut head, &frame);
            size += frame.size;
        }
        let table = snapshot.table;
        // What the base has whole is not fetched and need not be at hand.
        let blobs = blobs.iter().filter(|blob| !matches!(blob.recipe.body, Body::Base(_)));
        let blobs = blobs.cloned().map(|mut blob| {
            table.settle(&mut blob.recipe);
            blob
        });
        let blobs = blobs.collect();
        let count = table.packs.len();
        let index = Index::new(&table.packs, table.prefixes, table.borrowed, blobs);
        head.extend(index.to_bytes(count));
        file.write_all(&head).map_err(failed)?;
        file.write_all(LINE).map_err(failed)?;
        file.write_all(&(head.len() as u64).to_le_bytes()).map_err(failed)?;
        file.write_all(Digest::of(&head).bytes()).map_err(failed)?;
        file.commit()?;
        Ok(size + head.len() as u64)
    }
}

fn put_frame(out: &mut Vec<u8>, frame: &PackEntry) {
    put(out, frame.size);
    put(out, frame.content);
    out.extend_from_slice(frame.digest.bytes());
}

/// A frame, and which file it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The volume of the unfinished bundle that it is in, else it is in the checkpoint.
    pub(super) volume: Option<u64>,
    /// Where its bytes begin there.
    pub(super) offset: u64,
    /// Length of its bytes.
    pub(super) size: u64,
    /// Their digest.
    pub(super) digest: Digest,
    /// What it opens to.
    pub(super) content: u64,
}

/// Reads a checkpoint: its frames and its tables.
///
/// # Errors
/// Where it is torn, damaged or of another version.
pub(super) fn read(file: &Volume) -> Result<(Vec<Frame>, Index)> {
    let odd = || Error::damaged(format!("{} is no checkpoint", file.path().display()));
    let end_at = file.length().checked_sub(END_BYTES as u64).ok_or_else(odd)?;
    let end = file.read(end_at, END_BYTES as u64)?;
    let rest = end.strip_prefix(LINE).ok_or_else(odd)?;
    let (length, digest) = rest.split_first_chunk::<8>().ok_or_else(odd)?;
    let length = u64::from_le_bytes(*length);
    if length > limits::INDEX_BYTES {
        return Err(odd());
    }
    let head_at = end_at.checked_sub(length).ok_or_else(odd)?;
    let head = file.read(head_at, length)?;
    if Digest::of(&head).bytes() != digest {
        return Err(odd());
    }
    let mut cursor = Cursor::new(&head);
    let mut frames = Vec::new();
    for _ in 0..cursor.count(36)? {
        let volume = cursor.number()?;
        if volume == 0 || volume > limits::VOLUMES as u64 {
            return Err(odd());
        }
        let offset = cursor.number()?;
        let offset = offset.checked_add(super::volume::BLOCK).ok_or_else(odd)?;
        frames.push(read_frame(&mut cursor, Some(volume), offset)?);
    }
    let mut offset = 0;
    for _ in 0..cursor.count(34)? {
        let frame = read_frame(&mut cursor, None, offset)?;
        offset += frame.size;
        frames.push(frame);
    }
    let contents: Vec<u64> = frames.iter().map(|frame| frame.content).collect();
    let index = Index::parse(cursor.rest(), &contents)?;
    Ok((frames, index))
}

fn read_frame(cursor: &mut Cursor<'_>, volume: Option<u64>, offset: u64) -> Result<Frame, Odd> {
    let (size, content) = (cursor.number()?, cursor.number()?);
    if content == 0 || content > limits::PACK_CONTENT_BYTES || size > stored_limit(content) {
        return Err(Odd("a pack is longer than it may be"));
    }
    let digest = Digest::from_bytes(Algorithm::Sha256, cursor.take(32)?);
    let digest = digest.ok_or(Odd("a digest has another length"))?;
    Ok(Frame { volume, offset, size, digest, content })
}
