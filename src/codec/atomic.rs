//! Files that appear whole under their final name, or not at all.
//!
//! A file is written to a hidden temporary name in the same directory, synced, renamed, and the
//! directory synced. A temporary file that is dropped unfinished is removed; what an interrupt
//! leaves is removed by [`remove_unfinished`], which the command line's signal handler calls.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::model::{Error, Kind, Result};

static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished<T>(change: impl FnOnce(&mut Vec<PathBuf>) -> T) -> T {
    change(&mut UNFINISHED.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Removes every temporary file that this process has begun and not finished. For signal handlers:
/// the process must end right after it.
pub fn remove_unfinished() {
    unfinished(|paths| {
        for path in paths.drain(..) {
            let _ = std::fs::remove_file(path);
        }
    });
}

/// A file on its way to its final name.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    done: bool,
}

impl AtomicFile {
    /// Begins a file that will be `target`. An existing `target` stays as it is until
    /// [`commit`](Self::commit). `mode` is the permission of a new file before the umask.
    ///
    /// # Errors
    /// [`Kind::Io`]; a symbolic link or directory in place of `target` is
    /// refused.
    pub fn create(target: &Path, mode: u32) -> Result<Self> {
        let what = || format!("cannot write {}", target.display());
        match target.symlink_metadata() {
            Ok(meta) if !meta.is_file() => {
                return Err(Error::new(Kind::Io, what())
                    .because(format!("{} is there and is not a plain file", target.display()))
                    .hint("choose another name, or remove what is there"));
            }
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io(what(), e)),
            _ => {}
        }
        let name = target
            .file_name()
            .ok_or_else(|| Error::usage(format!("{} does not name a file", target.display())))?;
        let mut random = [0u8; 6];
        getrandom::fill(&mut random).map_err(|e| {
            Error::new(Kind::Io, "the system gives no random numbers").because(e.to_string())
        })?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.partial", hex::encode(random)));
        let temporary = target.with_file_name(hidden);
        // Registered first: an interrupt between the two then removes a file that may not exist.
        unfinished(|paths| paths.push(temporary.clone()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        match options.open(&temporary) {
            Ok(file) => Ok(Self { file, temporary, target: target.to_owned(), done: false }),
            Err(e) => {
                unfinished(|paths| paths.retain(|path| *path != temporary));
                Err(Error::io(what(), e))
            }
        }
    }

    /// The name that the file will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The file itself.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Syncs, gives the file its final name, and syncs the directory.
    pub fn commit(mut self) -> Result<()> {
        let what = || format!("cannot write {}", self.target.display());
        self.file.sync_all().map_err(|e| Error::io(what(), e))?;
        std::fs::rename(&self.temporary, &self.target).map_err(|e| Error::io(what(), e))?;
        self.done = true;
        unfinished(|paths| paths.retain(|path| *path != self.temporary));
        sync_directory(&self.target)
    }
}

/// Makes a rename in the directory of `path` survive a power cut.
fn sync_directory(path: &Path) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match File::open(directory).and_then(|handle| handle.sync_all()) {
        // Some file systems cannot sync a directory; the rename is then as safe as they make it.
        Err(e) if e.kind() != io::ErrorKind::InvalidInput => {
            Err(Error::io(format!("cannot sync {}", directory.display()), e))
        }
        _ => Ok(()),
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.done {
            let _ = std::fs::remove_file(&self.temporary);
            unfinished(|paths| paths.retain(|path| *path != self.temporary));
        }
    }
}

/// Writes a small file atomically.
pub fn write_file(target: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(target, mode)?;
    file.write_all(bytes)
        .map_err(|e| Error::io(format!("cannot write {}", target.display()), e))?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_name_holds_the_old_or_the_new() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        std::fs::write(&target, "old").unwrap();
        let mut file = AtomicFile::create(&target, 0o644).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        file.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        drop(AtomicFile::create(&target, 0o644).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_place_of_the_target_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        std::os::unix::fs::symlink("/etc/passwd", &target).unwrap();
        assert_eq!(AtomicFile::create(&target, 0o644).unwrap_err().kind(), Kind::Io);
    }
}
