//! Fetches ahead: while one blob goes into a target that takes them one by one, the next ones are
//! fetched from the network into temporary files that have no name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::model::{Error, Kind, Result};

/// Opens the content of a blob by its place in the order.
pub(super) type Open<'a> = dyn Fn(usize) -> Result<Box<dyn Read + Send + 'a>> + Sync + 'a;

/// Blobs of one copy, fetched in order by several threads, never further ahead than there are
/// threads: temporary files are bounded by the blobs in flight.
pub(super) struct Ahead<'a> {
    count: usize,
    reach: usize,
    folder: &'a Path,
    open: &'a Open<'a>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The next blob that nobody fetches yet. The first one is left to the target, which streams
    /// it while the threads get ahead of it.
    next: usize,
    /// How many blobs the target has taken; it works on the last of them.
    taken: usize,
    ready: HashMap<usize, Result<File>>,
    stopped: bool,
}

/// The content of a blob: fetched already, or being fetched as it is read.
pub(super) enum Content<'a> {
    Fetched(File),
    Direct(Box<dyn Read + Send + 'a>),
}

impl<'a> Ahead<'a> {
    /// Prepares to fetch `count` blobs with `reach` threads; `folder` takes the temporary files.
    pub(super) fn new(count: usize, reach: usize, folder: &'a Path, open: &'a Open<'a>) -> Self {
        let state = State { next: 1, taken: 0, ready: HashMap::new(), stopped: false };
        Self { count, reach, folder, open, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, state: MutexGuard<'g, State>) -> MutexGuard<'g, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// One fetching thread: runs until nothing is left or [`stop`](Self::stop).
    pub(super) fn fetch(&self) {
        let mut state = self.state();
        loop {
            if state.stopped || state.next >= self.count {
                return;
            }
            if state.next >= state.taken.max(1) + self.reach {
                state = self.wait(state);
                continue;
            }
            let at = state.next;
            state.next += 1;
            drop(state);
            let result = self.spool(at);
            state = self.state();
            state.ready.insert(at, result);
            self.changed.notify_all();
        }
    }

    fn spool(&self, at: usize) -> Result<File> {
        let what = || format!("cannot keep a blob in {}", self.folder.display());
        let mut content = (self.open)(at)?;
        let mut file = tempfile::tempfile_in(self.folder).map_err(|e| Error::io(what(), e))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let n = content.read(&mut buffer).map_err(|e| Error::from_io(what(), e))?;
            if n == 0 {
                break;
            }
            file.write_all(&buffer[..n]).map_err(|e| Error::io(what(), e))?;
            // What was asked for may not be wanted any more, and the rest of it may be long.
            if self.state().stopped {
                return Err(Error::new(Kind::Io, "fetching was stopped"));
            }
        }
        file.seek(SeekFrom::Start(0)).map_err(|e| Error::io(what(), e))?;
        Ok(file)
    }

    /// The content of the next blob in order.
    pub(super) fn take(&self, at: usize) -> Result<Content<'a>> {
        let mut state = self.state();
        if at == 0 || state.next == at {
            // A thread may be ahead of the first blob already.
            state.next = state.next.max(at + 1);
            state.taken = at + 1;
            self.changed.notify_all();
            drop(state);
            return (self.open)(at).map(Content::Direct);
        }
        loop {
            if let Some(result) = state.ready.remove(&at) {
                state.taken = at + 1;
                self.changed.notify_all();
                return result.map(Content::Fetched);
            }
            state = self.wait(state);
        }
    }

    /// Ends the fetching threads: everything was taken, or something failed.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_blob_is_fetched_once_and_comes_in_order() {
        let fetched = AtomicUsize::new(0);
        let folder = tempfile::tempdir().unwrap();
        let open = |at: usize| -> Result<Box<dyn Read + Send>> {
            fetched.fetch_add(1, Ordering::SeqCst);
            if at == 17 {
                return Err(Error::remote("blob 17 is gone"));
            }
            Ok(Box::new(std::io::Cursor::new(vec![at as u8; at * 100])))
        };
        let ahead = Ahead::new(20, 3, folder.path(), &open);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| ahead.fetch());
            }
            for at in 0..20 {
                let mut out = Vec::new();
                match ahead.take(at) {
                    Ok(Content::Fetched(mut file)) => file.read_to_end(&mut out).map(drop).unwrap(),
                    Ok(Content::Direct(mut reader)) => {
                        reader.read_to_end(&mut out).map(drop).unwrap();
                    }
                    Err(error) => {
                        assert_eq!((at, error.message()), (17, "blob 17 is gone"));
                        continue;
                    }
                }
                assert_eq!(out, vec![at as u8; at * 100]);
            }
            ahead.stop();
        });
        assert_eq!(fetched.load(Ordering::SeqCst), 20);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn threads_that_are_ahead_of_the_first_blob_stay_ahead() {
        let fetched = AtomicUsize::new(0);
        let folder = tempfile::tempdir().unwrap();
        let open = |_: usize| -> Result<Box<dyn Read + Send>> {
            fetched.fetch_add(1, Ordering::SeqCst);
            Ok(Box::new(&b"x"[..]))
        };
        let ahead = Ahead::new(6, 3, folder.path(), &open);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| ahead.fetch());
            }
            while fetched.load(Ordering::SeqCst) < 3 {
                std::thread::yield_now();
            }
            for at in 0..6 {
                ahead.take(at).map(drop).unwrap();
            }
            ahead.stop();
        });
        assert_eq!(fetched.load(Ordering::SeqCst), 6);
    }

    #[test]
    fn stopping_early_ends_the_threads() {
        let folder = tempfile::tempdir().unwrap();
        let open = |_: usize| -> Result<Box<dyn Read + Send>> { Ok(Box::new(&b"x"[..])) };
        let ahead = Ahead::new(1000, 3, folder.path(), &open);
        std::thread::scope(|scope| {
            scope.spawn(|| ahead.fetch());
            scope.spawn(|| ahead.fetch());
            ahead.take(0).map(drop).unwrap();
            ahead.stop();
        });
    }
}
