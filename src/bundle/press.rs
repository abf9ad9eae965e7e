//! The press: packs go in by number, are compressed by several threads, and are written in order.
//!
//! Which chunks share a pack and which pack follows which is decided before a pack comes here, by
//! one thread; here only time is saved. So the file does not depend on how many threads there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::cache::PackCache;
use super::manifest::PackEntry;
use super::output::Output;
use super::sink::{Back, other_bytes};
use crate::codec::frame::{self, Effort};
use crate::model::{Digest, Error, Kind, Result};

/// Packs that are kept after they were read back, in bytes.
const CACHE_BYTES: usize = 32 << 20;

/// A pack that is full.
struct Full {
    number: usize,
    content: Vec<u8>,
    prefix: Vec<u8>,
    effort: Effort,
}

/// A pack that is compressed.
struct Pressed {
    number: usize,
    stored: Vec<u8>,
    digest: Digest,
    content: u64,
}

/// The volumes, and the packs that were written to them.
type Written = (Output, Vec<PackEntry>);

/// Compresses and writes packs.
pub(super) struct Press {
    full: Option<Sender<Full>>,
    /// One token for each pack that is on its way; sending waits while there are too many.
    tokens: Sender<()>,
    workers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<Result<Written>>>,
    next: usize,
    shelf: Arc<Shelf>,
    /// Packs that were read back.
    cache: PackCache,
}

/// What was written so far, for reading it back.
struct Shelf {
    back: Arc<Back>,
    state: Mutex<ShelfState>,
    changed: Condvar,
}

#[derive(Default)]
struct ShelfState {
    entries: Vec<PackEntry>,
    /// The writer has ended.
    closed: bool,
}

impl Shelf {
    fn state(&self) -> MutexGuard<'_, ShelfState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a pack, once it is written; `None` where it never will be.
    fn entry(&self, pack: u32) -> Option<PackEntry> {
        let mut state = self.state();
        loop {
            match state.entries.get(pack as usize) {
                Some(entry) => return Some(*entry),
                None if state.closed => return None,
                None => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

/// Closes the shelf when the writer ends, however it ends.
struct Closing(Arc<Shelf>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_all();
    }
}

impl Press {
    /// Starts `threads` compressors and one writer that appends to `output`.
    pub(super) fn start(output: Output, threads: usize) -> Self {
        let threads = threads.max(1);
        let shelf = Arc::new(Shelf {
            back: Arc::clone(output.back()),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let (full, full_in) = bounded::<Full>(1);
        let (pressed, pressed_in) = bounded::<Result<Pressed>>(threads);
        let (tokens, tokens_in) = bounded::<()>(threads + 1);
        let workers = (0..threads)
            .map(|_| {
                let (full_in, pressed) = (full_in.clone(), pressed.clone());
                std::thread::spawn(move || compress(&full_in, &pressed))
            })
            .collect();
        let closing = Closing(Arc::clone(&shelf));
        let writer = std::thread::spawn(move || write(output, &pressed_in, &tokens_in, &closing.0));
        let cache = PackCache::new(CACHE_BYTES);
        Self { full: Some(full), tokens, workers, writer: Some(writer), next: 0, shelf, cache }
    }

    /// The content of a pack without a prefix that was handed over, read back from the file.
    pub(super) fn content(&self, pack: u32) -> Result<Arc<Vec<u8>>> {
        self.cache.get(pack, || {
            let entry = self.shelf.entry(pack).ok_or_else(died)?;
            let stored = self.shelf.back.read(&entry)?;
            if Digest::of(&stored) != entry.digest {
                return Err(other_bytes());
            }
            frame::decode(&stored, entry.content, &[], "a pack that was just written")
        })
    }

    /// Where the first `count` packs lie, which were handed over; waits until they are written.
    pub(super) fn written(&self, count: usize) -> Result<Vec<PackEntry>> {
        if let Some(last) = count.checked_sub(1) {
            self.shelf.entry(last as u32).ok_or_else(died)?;
        }
        Ok(self.shelf.state().entries[..count].to_vec())
    }

    /// Hands over a full pack; waits while too many are on their way. The number that it gets is
    /// its place in the order.
    pub(super) fn push(
        &mut self,
        content: Vec<u8>,
        prefix: Vec<u8>,
        effort: Effort,
    ) -> Result<usize> {
        let number = self.next;
        self.next += 1;
        let gone = self.tokens.send(()).is_err()
            || self
                .full
                .as_ref()
                .is_none_or(|full| full.send(Full { number, content, prefix, effort }).is_err());
        if gone { Err(self.failure()) } else { Ok(number) }
    }

    /// Waits for everything and gives the volumes back, with the packs that were written.
    pub(super) fn finish(mut self) -> Result<Written> {
        self.full = None;
        for worker in self.workers.drain(..) {
            // One that panicked has told the writer.
            let _ = worker.join();
        }
        match self.writer.take() {
            Some(writer) => writer.join().unwrap_or_else(|_| Err(died())),
            None => Err(died()),
        }
    }

    /// Why a thread went away.
    fn failure(&mut self) -> Error {
        self.full = None;
        let written =
            self.writer.take().map(|writer| writer.join().unwrap_or_else(|_| Err(died())));
        written.and_then(Result::err).unwrap_or_else(died)
    }
}

impl Drop for Press {
    /// Waits for the threads, so that the temporary file is gone when a failed export returns.
    fn drop(&mut self) {
        self.full = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn died() -> Error {
    Error::new(Kind::Io, "a thread that packs the bundle died")
        .hint("this is a bug in sealift: please report it")
}

/// One compressor. Whatever goes wrong is told to the writer, which ends everything: a pack that
/// never comes would be waited for.
fn compress(full: &Receiver<Full>, pressed: &Sender<Result<Pressed>>) {
    let guard = Guard(pressed);
    if let Err(error) = compress_all(full, pressed) {
        let _ = pressed.send(Err(error));
    }
    std::mem::forget(guard);
}

/// Tells the writer of a compressor that panics.
struct Guard<'a>(&'a Sender<Result<Pressed>>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let _ = self.0.send(Err(died()));
    }
}

fn compress_all(full: &Receiver<Full>, pressed: &Sender<Result<Pressed>>) -> Result<()> {
    for pack in full {
        let stored = pack
            .effort
            .encode(&pack.content, &pack.prefix)
            .map_err(|e| Error::io("zstd cannot compress a pack", e))?;
        let pressed_pack = Pressed {
            number: pack.number,
            digest: Digest::of(&stored),
            content: pack.content.len() as u64,
            stored,
        };
        if pressed.send(Ok(pressed_pack)).is_err() {
            // The writer has gone; it knows why.
            return Ok(());
        }
    }
    Ok(())
}

fn write(
    mut output: Output,
    pressed: &Receiver<Result<Pressed>>,
    tokens: &Receiver<()>,
    shelf: &Shelf,
) -> Result<Written> {
    let mut entries = Vec::new();
    let mut early = BTreeMap::new();
    for pack in pressed {
        let pack = pack?;
        early.insert(pack.number, pack);
        while let Some(pack) = early.remove(&entries.len()) {
            let entry = output.pack(&pack.stored, pack.digest, pack.content)?;
            entries.push(entry);
            shelf.state().entries.push(entry);
            shelf.changed.notify_all();
            let _ = tokens.recv();
        }
    }
    Ok((output, entries))
}
