//! A file that may hold pieces of what is wanted, on a medium that may fail anywhere.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::model::{Error, Kind, Result};

/// What a medium gives or fails to give at once: where a read fails, it is tried again in pieces of
/// this size, and what cannot be read counts as zeros.
const SECTOR: usize = 4096;

/// A file that is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Medium {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// Device and number: a file with two names is one.
    identity: (u64, u64),
}

/// Files that are searched. Of all of them at most one is open.
#[derive(Debug, Default)]
pub struct Media {
    files: Vec<Medium>,
    open: RefCell<Option<(usize, File)>>,
}

impl Media {
    /// Adds a plain file, and says which it is; one that is there already is not added again.
    ///
    /// # Errors
    /// [`Kind::Io`] where it cannot be looked at or is no plain file.
    pub fn add(&mut self, path: &Path) -> Result<usize> {
        let what = || format!("cannot open {}", path.display());
        // A pipe would wait for a writer for ever.
        let meta = path.metadata().map_err(|e| Error::io(what(), e))?;
        if !meta.is_file() {
            return Err(Error::new(Kind::Io, what()).because("it is not a plain file"));
        }
        let identity = (meta.dev(), meta.ino());
        if let Some(known) = self.files.iter().position(|file| file.identity == identity) {
            return Ok(known);
        }
        self.files.push(Medium { path: path.to_owned(), length: meta.len(), identity });
        Ok(self.files.len() - 1)
    }

    /// The files, in the order in which they were added.
    pub fn files(&self) -> &[Medium] {
        &self.files
    }

    /// Only those files of which `keeps` says so.
    pub fn retain(&mut self, keeps: impl FnMut(&Medium) -> bool) {
        self.open.take();
        self.files.retain(keeps);
    }

    /// The same files in another order: those first of which `rank` says less.
    pub fn sort_by_rank(&mut self, rank: impl Fn(&Medium) -> u8) {
        self.open.take();
        self.files.sort_by_cached_key(rank);
    }

    /// Fills `buffer` with bytes of a file from `offset` on. What lies behind its end, or cannot be
    /// read, is zeros.
    pub(super) fn read(&self, number: usize, offset: u64, buffer: &mut [u8]) {
        let medium = &self.files[number];
        let there = medium.length.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let (there, behind) = buffer.split_at_mut(there);
        behind.fill(0);
        let mut open = self.open.borrow_mut();
        if open.as_ref().is_none_or(|(known, _)| *known != number) {
            *open = File::open(&medium.path).ok().map(|file| (number, file));
        }
        match &*open {
            Some((_, file)) => salvage(offset, there, |at, piece| file.read_exact_at(piece, at)),
            None => there.fill(0),
        }
    }
}

/// Reads what can be read.
fn salvage(offset: u64, buffer: &mut [u8], read: impl Fn(u64, &mut [u8]) -> io::Result<()>) {
    if buffer.is_empty() || read(offset, buffer).is_ok() {
        return;
    }
    let mut at = offset;
    for piece in buffer.chunks_mut(SECTOR) {
        if read(at, piece).is_err() {
            piece.fill(0);
        }
        at += piece.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_sector_costs_no_more_than_itself() {
        let read = |at: u64, piece: &mut [u8]| {
            piece.fill(1);
            let bad = 10_000;
            let hit = (at..at + piece.len() as u64).contains(&bad);
            if hit { Err(io::Error::other("medium")) } else { Ok(()) }
        };
        let mut buffer = vec![9; 3 * SECTOR];
        salvage(SECTOR as u64, &mut buffer, read);
        let sectors: Vec<u8> = buffer.chunks(SECTOR).map(|sector| sector[0]).collect();
        assert_eq!(sectors, [1, 0, 1]);
        assert!(buffer.chunks(SECTOR).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
    }

    #[test]
    fn behind_the_end_there_are_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, [5; 10]).unwrap();
        let mut media = Media::default();
        assert_eq!(media.add(&path).unwrap(), 0);
        std::fs::hard_link(&path, folder.path().join("b")).unwrap();
        assert_eq!(media.add(&folder.path().join("b")).unwrap(), 0);
        let mut buffer = [9; 8];
        media.read(0, 6, &mut buffer);
        assert_eq!(buffer, [5, 5, 5, 5, 0, 0, 0, 0]);
        media.read(0, u64::MAX, &mut buffer);
        assert_eq!(buffer, [0; 8]);
        assert!(media.add(folder.path()).is_err());
    }
}
