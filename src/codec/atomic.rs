//! Files that appear whole under their final name, or not at all.
//!
//! A file is written to a hidden temporary name in the same directory, synced, renamed, and the
//! directory synced. A temporary file that is dropped unfinished is removed; what an interrupt
//! leaves is removed by [`remove_unfinished`], which the command line's signal handler calls; what
//! a process that was killed has left is removed when the same file is written again.
//!
//! A file that takes long may be written in a [`Workshop`] instead: a folder that is kept where its
//! owner has put something there that is worth going on from.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::model::{Error, Kind, Result};

/// What this process has begun and not finished.
struct Unfinished {
    path: PathBuf,
    /// For a folder: the file that makes it worth keeping.
    unless: Option<&'static str>,
}

impl Unfinished {
    /// Removes it. Gives back the folder around it where that holds something worth keeping.
    fn remove(&self) -> Option<PathBuf> {
        let Some(name) = self.unless else {
            let _ = std::fs::remove_file(&self.path);
            return None;
        };
        if !self.path.join(name).exists() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
        // It may hold the workshops of earlier runs too.
        let around = self.path.parent()?;
        let _ = std::fs::remove_dir(around);
        around.exists().then(|| around.to_owned())
    }
}

static UNFINISHED: Mutex<Vec<Unfinished>> = Mutex::new(Vec::new());

fn unfinished<T>(change: impl FnOnce(&mut Vec<Unfinished>) -> T) -> T {
    change(&mut UNFINISHED.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn forget(path: &Path) {
    unfinished(|all| all.retain(|one| one.path != path));
}

/// Removes every temporary file that this process has begun and not finished, and gives back the
/// folders that are worth keeping. For signal handlers: the process must end right after it.
pub fn remove_unfinished() -> Vec<PathBuf> {
    unfinished(|all| all.drain(..).filter_map(|one| one.remove()).collect())
}

/// Makes the folder in which a file with a secret is to lie, where it is not there: for its owner
/// alone.
///
/// # Errors
/// [`Kind::Io`] where it cannot be made.
pub fn make_private_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|e| Error::io(format!("cannot make the folder {}", folder.display()), e))
}

/// A folder for a file that takes long to write, in a folder that holds only such. Dropped, or left
/// by an interrupt, it stays only where it holds the file that makes it worth keeping; the one
/// around it goes when it is empty.
#[derive(Debug)]
pub struct Workshop {
    path: PathBuf,
}

impl Workshop {
    /// Takes over a folder that was just made. It is kept where it holds a file `unless`.
    pub fn new(path: PathBuf, unless: &'static str) -> Self {
        unfinished(|all| all.push(Unfinished { path: path.clone(), unless: Some(unless) }));
        Self { path }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        unfinished(|all| {
            all.retain(|one| {
                let own = one.path == self.path;
                if own {
                    one.remove();
                }
                !own
            });
        });
    }
}

/// A file on its way to its final name.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    /// Whether it lies in a [`Workshop`], which decides what becomes of it.
    in_workshop: bool,
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
        let name = replaceable(target)?;
        remove_stale(target, name);
        let mut random = [0u8; 6];
        getrandom::fill(&mut random).map_err(|e| {
            Error::new(Kind::Io, "the system gives no random numbers").because(e.to_string())
        })?;
        let hidden = hidden(name, &format!(".{}{SUFFIX}", hex::encode(random)));
        let temporary = target.with_file_name(hidden);
        // Registered first: an interrupt between the two then removes a file that may not exist.
        unfinished(|all| all.push(Unfinished { path: temporary.clone(), unless: None }));
        Self::open(temporary.clone(), target, mode, false).inspect_err(|_| forget(&temporary))
    }

    /// Begins a file that will be `target`, in a workshop on the same file system.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn create_in(workshop: &Workshop, name: &str, target: &Path, mode: u32) -> Result<Self> {
        replaceable(target)?;
        Self::open(workshop.path.join(name), target, mode, true)
    }

    fn open(temporary: PathBuf, target: &Path, mode: u32, in_workshop: bool) -> Result<Self> {
        let what = |e| Error::io(format!("cannot write {}", target.display()), e);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        let file = options.open(&temporary).map_err(what)?;
        // Says that somebody is at work on it. A file system that knows no locks has none.
        let _ = file.try_lock();
        Ok(Self { file, temporary, target: target.to_owned(), in_workshop, done: false })
    }

    /// The name that the file will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The file itself.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The file, and the name that it will have.
    pub fn parts(&self) -> (&File, &Path) {
        (&self.file, &self.target)
    }

    /// The name that the file has until then.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Syncs, gives the file its final name, and syncs the directory.
    pub fn commit(self) -> Result<()> {
        let target = self.target.clone();
        name_together(vec![(self.sync()?, target)])
    }

    /// Syncs. The file is whole now and waits for its name.
    ///
    /// # Errors
    /// [`Kind::Io`] where the medium does not take it.
    pub fn sync(mut self) -> Result<Synced> {
        let what = || format!("cannot write {}", self.target.display());
        self.file.sync_all().map_err(|e| Error::io(what(), e))?;
        let lock = self.file.try_clone().map_err(|e| Error::io(what(), e))?;
        self.done = true;
        let temporary = std::mem::take(&mut self.temporary);
        Ok(Synced { temporary, lock: Some(lock), in_workshop: self.in_workshop })
    }
}

/// A file that is whole and safe on its medium, and waits for its name. Dropped, it goes like one
/// that was never finished.
#[derive(Debug)]
pub struct Synced {
    temporary: PathBuf,
    /// Keeps others from taking it for abandoned.
    lock: Option<File>,
    in_workshop: bool,
}

impl Synced {
    /// Where it lies until it has its name.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Closes it. It is no longer locked, so that something beside it must be.
    pub fn close(&mut self) {
        self.lock = None;
    }

    /// Takes a name; what had it before is gone.
    fn rename(&mut self, name: &Path) -> Result<()> {
        replaceable(name)?;
        std::fs::rename(&self.temporary, name)
            .map_err(|e| Error::io(format!("cannot write {}", name.display()), e))?;
        forget(&self.temporary);
        self.temporary = PathBuf::new();
        Ok(())
    }
}

impl Drop for Synced {
    fn drop(&mut self) {
        if !self.in_workshop && !self.temporary.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.temporary);
            forget(&self.temporary);
        }
    }
}

/// Gives files that belong together their names, in this order; the last is the one that makes the
/// others count, and gets its name when theirs are safe. Where that fails or is interrupted, those
/// that have theirs are removed.
///
/// # Errors
/// [`Kind::Io`], naming the file.
pub fn name_together(files: Vec<(Synced, PathBuf)>) -> Result<()> {
    let mut named = Named(Vec::new());
    let count = files.len();
    for (number, (mut file, name)) in files.into_iter().enumerate() {
        let is_last = number + 1 == count;
        if is_last && let Some(before) = named.0.last() {
            sync_directory(before)?;
        }
        file.rename(&name)?;
        unfinished(|all| all.push(Unfinished { path: name.clone(), unless: None }));
        named.0.push(name);
    }
    let last = named.0.last().cloned();
    // From here on they stay, whatever happens.
    for name in named.0.drain(..) {
        forget(&name);
    }
    last.map_or(Ok(()), |last| sync_directory(&last))
}

/// Files that have their names, of which not all have.
struct Named(Vec<PathBuf>);

impl Drop for Named {
    fn drop(&mut self) {
        for name in self.0.drain(..) {
            let _ = std::fs::remove_file(&name);
            forget(&name);
        }
    }
}

/// What the name of a temporary file ends with.
const SUFFIX: &str = ".partial";

/// `.NAME` and what follows it.
pub fn hidden(name: &std::ffi::OsStr, suffix: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(suffix);
    hidden
}

/// The name of a file that can be written: it is not there yet, or is a plain file.
fn replaceable(target: &Path) -> Result<&std::ffi::OsStr> {
    let what = || format!("cannot write {}", target.display());
    match target.symlink_metadata() {
        Ok(meta) if meta.is_dir() => {
            return Err(Error::new(Kind::Io, what())
                .because(format!("{} is a folder", target.display()))
                .hint("name the file that is to be written in it"));
        }
        Ok(meta) if !meta.is_file() => {
            return Err(Error::new(Kind::Io, what())
                .because(format!("{} is there and is not a plain file", target.display()))
                .hint("choose another name, or remove what is there"));
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io(what(), e)),
        _ => {}
    }
    target
        .file_name()
        .ok_or_else(|| Error::usage(format!("{} does not name a file", target.display())))
}

/// Removes what processes that were killed have left of the same file: nobody holds a lock on it.
fn remove_stale(target: &Path, name: &std::ffi::OsStr) {
    let begin = hidden(name, ".");
    let is_temporary = |name: &std::ffi::OsStr| {
        let rest = name.as_encoded_bytes().strip_prefix(begin.as_encoded_bytes());
        let random = rest.and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
        random.is_some_and(|random| random.len() == 12 && random.iter().all(u8::is_ascii_hexdigit))
    };
    let Ok(entries) = std::fs::read_dir(folder_of(target)) else { return };
    for entry in entries.flatten().filter(|entry| is_temporary(&entry.file_name())) {
        if is_abandoned(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether a file that was begun in this way has nobody any more who works on it.
pub fn is_abandoned(path: &Path) -> bool {
    let is_file = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    is_file && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// The folder that a path is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename in the directory of `path`, or a new file there, survive a power cut.
///
/// # Errors
/// [`Kind::Io`] where the folder cannot be synced.
pub fn sync_directory(path: &Path) -> Result<()> {
    let directory = folder_of(path);
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
        if !self.done && !self.in_workshop {
            let _ = std::fs::remove_file(&self.temporary);
            forget(&self.temporary);
        }
    }
}

/// Puts a small file in place of one that is there, for the same people to read and write.
///
/// # Errors
/// [`Kind::Io`].
pub fn replace_file(target: &Path, before: &Metadata, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let cannot = |e| Error::io(format!("cannot write {}", target.display()), e);
    let mut file = AtomicFile::create(target, 0o600)?;
    // Who may not give it to the group gives it to no group.
    let given = fchown(file.file(), None, Some(before.gid())).is_ok();
    let mode = before.mode() & if given { 0o777 } else { 0o707 };
    file.write_all(bytes).map_err(cannot)?;
    file.file().set_permissions(Permissions::from_mode(mode)).map_err(cannot)?;
    file.commit()
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
    fn what_a_killed_process_left_is_removed_and_what_is_being_written_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let names = [".x.0123456789ab.partial", ".x.0123456789.partial", ".y.0123456789ab.partial"];
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let at_work = AtomicFile::create(&target, 0o644).unwrap();
        assert!(!folder.path().join(names[0]).exists());
        assert!(names[1..].iter().all(|name| folder.path().join(name).exists()));
        let second = AtomicFile::create(&target, 0o644).unwrap();
        assert!(at_work.temporary.exists() && second.temporary.exists());
    }

    #[test]
    fn a_workshop_stays_where_there_is_something_to_go_on_from() {
        let folder = tempfile::tempdir().unwrap();
        for keep in [false, true] {
            let path = folder.path().join("around/workshop");
            std::fs::create_dir_all(&path).unwrap();
            let workshop = Workshop::new(path.clone(), "journal");
            let target = folder.path().join("x");
            let file = AtomicFile::create_in(&workshop, "file", &target, 0o644).unwrap();
            if keep {
                std::fs::write(path.join("journal"), "").unwrap();
            }
            drop(file);
            drop(workshop);
            assert_eq!(path.join("file").exists(), keep);
            assert_eq!(folder.path().join("around").exists(), keep);
        }
    }

    #[test]
    fn a_link_in_place_of_the_target_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        std::os::unix::fs::symlink("/etc/passwd", &target).unwrap();
        assert_eq!(AtomicFile::create(&target, 0o644).unwrap_err().kind(), Kind::Io);
    }
}
