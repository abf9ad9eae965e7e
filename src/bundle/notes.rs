//! Takes the notes of what there is of a bundle while it is written: when, and how. What they look
//! like, and how they are read, is in [`checkpoint`](super::checkpoint).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::checkpoint::{CHECKPOINT, LINE};
use super::index::{BlobEntry, Index};
use super::manifest::PackEntry;
use super::packs::Packs;
use super::recipe::Body;
use crate::codec::atomic::AtomicFile;
use crate::codec::frame::Effort;
use crate::codec::number::put;
use crate::model::{Digest, Error, Result};

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
