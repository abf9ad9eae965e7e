//! Where a bundle is written before it has its name, and what is kept there of one that never got
//! it.
//!
//! ```text
//! .NAME.partial/        beside the bundle
//!   1/                  an export that was interrupted
//!     bundle            its packs: the first volume
//!     bundle-2 …        those after it
//!     checkpoint        what is in them
//!     names             which set is being given its names, while it is, and how long its volumes are
//!   2/                  the export that is running
//! ```
//!
//! All of it goes when the bundle gets its name.
//!
//! The folder of the bundle may be one in which others write too. What somebody else has laid there
//! under such a name is neither read nor removed: see [`Own`].

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::base::Base;
use super::checkpoint::CHECKPOINT;
use super::claim::Claim;
use super::naming::volume_path;
use super::remains::{BUNDLE, Remains, volume_name};
use crate::codec::atomic::{self, AtomicFile, Workshop};
use crate::codec::encryption::Recipients;
use crate::model::{Error, Kind, Result, limits};

/// Interrupted exports of which something is kept. The second is for one that was interrupted
/// before it came as far as the first.
const MOST: usize = 2;

/// The name of the note of a set that is being given its names.
const NAMES: &str = "names";

/// What that note has at most: a set, and a length of up to 20 digits for each volume, a line each.
const NAMES_BYTES: u64 = 64 + 21 * limits::VOLUMES as u64;

/// What an interrupted export has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The folder.
    pub folder: PathBuf,
    /// How much is in it, in bytes.
    pub bytes: u64,
}

impl Kept {
    /// What interrupted exports to `target` have left; `None` where that is nothing.
    pub fn find(target: &Path) -> Option<Self> {
        let folder = home(target).ok()?;
        let whole = own_runs(&folder).into_iter().map(|(run, _)| run).filter(|run| is_whole(run));
        let lengths: Vec<u64> = whole.map(|run| length(&run)).collect();
        (!lengths.is_empty()).then(|| Self { folder, bytes: lengths.iter().sum() })
    }
}

/// The place of a bundle that is being written.
#[derive(Debug)]
pub struct Partial {
    target: PathBuf,
    home: PathBuf,
    workshop: Workshop,
    older: Vec<PathBuf>,
    recipients: Option<Recipients>,
}

impl Partial {
    /// Makes room for a bundle that will be `target`, and removes what killed processes have left
    /// that is of no use.
    ///
    /// # Errors
    /// [`Kind::Io`] where the folder cannot be made, is somebody else's, or another process is
    /// writing the same bundle.
    pub fn begin(target: &Path) -> Result<Self> {
        let home = home(target)?;
        let cannot = |e| Error::io(format!("cannot write {}", target.display()), e);
        match make_folder(&home) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.map_err(cannot)?,
        }
        let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        if !is_folder(&home) {
            return Err(Error::new(Kind::Io, format!("cannot write {}", target.display()))
                .because(format!("{} is there and is not a folder", home.display()))
                .hint("remove it, or choose another name for the bundle"));
        }
        // Before anything in it is read or removed.
        let strange = |path: &Path| {
            Error::new(Kind::Io, format!("cannot write {}", target.display()))
                .because(format!(
                    "{} belongs to somebody else, or others can write to it",
                    path.display()
                ))
                .hint("remove it, or choose another name for the bundle")
        };
        let own = Own::around(&home);
        if !own.holds(&home) {
            return Err(strange(&home));
        }
        let runs = runs(&home);
        if let Some((_, run)) = runs.iter().find(|(_, run)| !own.holds(run)) {
            return Err(strange(run));
        }
        let mut older = Vec::new();
        let mut number = 1;
        for (of_run, run) in runs {
            number = number.max(of_run + 1);
            for name in left_by(&run, &own, target) {
                let _ = std::fs::remove_file(name);
            }
            let bundle = run.join(BUNDLE);
            if bundle.exists() && !atomic::is_abandoned(&bundle) {
                return Err(Error::new(
                    Kind::Io,
                    format!("another export is writing {}", target.display()),
                )
                .hint("wait until it is done, or choose another name"));
            }
            if is_whole(&run) {
                older.push(run);
            } else {
                let _ = std::fs::remove_dir_all(&run);
            }
        }
        // Whoever never resumes does not fill the disk: what came furthest stays.
        older.sort_by_key(|run| std::cmp::Reverse(length(run)));
        for run in older.split_off(older.len().min(MOST)) {
            let _ = std::fs::remove_dir_all(run);
        }
        let folder = home.join(number.to_string());
        make_folder(&folder).map_err(cannot)?;
        let workshop = Workshop::new(folder, CHECKPOINT);
        Ok(Self { target: target.to_owned(), home, workshop, older, recipients: None })
    }

    /// The same, and the volumes are encrypted as they are written. Nothing else of the bundle lies
    /// here then: no notes are taken of what is in it.
    #[must_use]
    pub fn encrypted_to(self, recipients: Option<Recipients>) -> Self {
        Self { recipients, ..self }
    }

    /// For whom the volumes are encrypted, if they are.
    pub(super) fn recipients(&self) -> Option<&Recipients> {
        self.recipients.as_ref()
    }

    /// The volumes of a set that have their names although its last one never got it: an export was
    /// killed in that moment. They are removed when a bundle is written here again.
    pub(super) fn left_names(target: &Path) -> Vec<PathBuf> {
        let Ok(home) = home(target) else { return Vec::new() };
        own_runs(&home).into_iter().flat_map(|(run, own)| left_by(&run, &own, target)).collect()
    }

    /// Notes that the volumes of a set, which have these lengths, are about to get their names.
    pub(super) fn note_names(&self, set: &str, lengths: &[u64]) -> Result<()> {
        let lines = lengths.iter().map(|length| format!("{length}\n"));
        let text: String = std::iter::once(format!("{set}\n")).chain(lines).collect();
        atomic::write_file(&self.folder().join(NAMES), 0o600, text.as_bytes())
    }

    /// What interrupted exports have left: each has something that those before it have not. What
    /// is of no use is removed.
    pub fn remains(&self, base: Option<&Arc<Base>>) -> Vec<Remains> {
        let opened = |run: &PathBuf| {
            let remains = Remains::open(run, base.cloned());
            remains.inspect_err(|_| drop(std::fs::remove_dir_all(run))).ok()
        };
        let mut all: Vec<Remains> = self.older.iter().filter_map(opened).collect();
        all.sort_by_key(|remains| std::cmp::Reverse(remains.digests().count()));
        let mut useful: Vec<Remains> = Vec::new();
        for remains in all {
            let known = |digest| useful.iter().any(|other| other.lists(digest));
            if useful.len() < MOST && !remains.digests().all(known) {
                useful.push(remains);
            } else {
                let _ = std::fs::remove_dir_all(remains.folder());
            }
        }
        useful
    }

    /// The folder of this export.
    pub(super) fn folder(&self) -> &Path {
        self.workshop.path()
    }

    /// What the bundle will be.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Where a volume lies until it has its name.
    pub(super) fn volume(&self, number: u64) -> PathBuf {
        self.folder().join(volume_name(number))
    }

    /// Begins a volume.
    pub(super) fn create(&self, number: u64) -> Result<AtomicFile> {
        self.create_beside(&volume_name(number))
    }

    /// Begins another file that is to get its name with the bundle. `name` is the one that it has
    /// until then.
    pub(super) fn create_beside(&self, name: &str) -> Result<AtomicFile> {
        AtomicFile::create_in(&self.workshop, name, &self.target, 0o644)
    }

    /// Removes everything: the bundle has its name.
    pub(super) fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// What a run that was killed while it named its volumes has left: files that say that they are these
/// volumes, and are as long.
fn left_by(run: &Path, own: &Own, target: &Path) -> Vec<PathBuf> {
    let Some((set, lengths)) = noted(run, own) else { return Vec::new() };
    let count = lengths.len() as u64;
    let is_of_set = |number: u64, path: &Path| {
        let length = lengths.get(number as usize - 1);
        let meta = path.symlink_metadata().ok().filter(Metadata::is_file);
        meta.is_some_and(|meta| Some(&meta.len()) == length)
            && Claim::in_file(path).is_some_and(|own| own.set == set && own.number == number)
    };
    let mut names: Vec<(u64, PathBuf)> =
        (1..=count).map(|number| (number, volume_path(target, number, count))).collect();
    match names.pop() {
        // It had just come to its end: nothing is left but the folder.
        Some((number, last)) if is_of_set(number, &last) => Vec::new(),
        _ => {
            names.retain(|(number, name)| is_of_set(*number, name));
            names.into_iter().map(|(_, name)| name).collect()
        }
    }
}

/// The set whose volumes were about to get their names, and how long they are.
fn noted(run: &Path, own: &Own) -> Option<(String, Vec<u64>)> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file: File = options.open(run.join(NAMES)).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || !own.has(&meta) || meta.len() > NAMES_BYTES {
        return None;
    }
    let mut text = String::new();
    file.take(NAMES_BYTES).read_to_string(&mut text).ok()?;
    let (set, lengths) = text.strip_suffix('\n')?.split_once('\n')?;
    let lengths: Option<Vec<u64>> = lengths.lines().map(|line| line.parse().ok()).collect();
    lengths.filter(|all| all.len() <= limits::VOLUMES).map(|all| (set.to_owned(), all))
}

fn home(target: &Path) -> Result<PathBuf> {
    let name = target
        .file_name()
        .ok_or_else(|| Error::usage(format!("{} does not name a file", target.display())))?;
    Ok(target.with_file_name(atomic::hidden(name, ".partial")))
}

/// The folders of exports, by number.
fn runs(home: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    let numbered =
        entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
    let mut runs: Vec<(u64, PathBuf)> = numbered.filter(|(number, _)| *number < 1 << 32).collect();
    runs.sort();
    runs
}

/// Whether there is something to go on from.
fn is_whole(run: &Path) -> bool {
    [BUNDLE, CHECKPOINT]
        .iter()
        .all(|name| run.join(name).symlink_metadata().is_ok_and(|meta| meta.is_file()))
}

/// Bytes of what there is to go on from.
fn length(run: &Path) -> u64 {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    entries.map(|entry| entry.metadata().map_or(0, |meta| meta.len())).sum()
}

/// A folder that others do not look into: what is in it has no signature yet.
fn make_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// The folders of our own exports.
fn own_runs(home: &Path) -> Vec<(PathBuf, Own)> {
    if home.symlink_metadata().is_err() {
        return Vec::new();
    }
    let own = Own::around(home);
    if !own.holds(home) {
        return Vec::new();
    }
    let runs = runs(home).into_iter().map(|(_, run)| run).filter(|run| own.holds(run));
    runs.map(|run| (run, own)).collect()
}

/// What tells our own folders from those that somebody else has laid there.
#[derive(Clone, Copy, Debug)]
struct Own {
    /// Whose our folders are: ours, unless the file system says that all is somebody's.
    owners: [u32; 2],
    /// Who may write to them beyond their owner: nobody, unless they may do what they like with
    /// everything in the folder around, as on a medium that knows no permissions.
    writers: u32,
}

/// Permission bits of who is not the owner, to write.
const OTHERS_WRITE: u32 = 0o022;

/// The bit of a folder in which everybody may only remove what is theirs.
const STICKY: u32 = 0o1000;

impl Own {
    fn around(home: &Path) -> Self {
        let folder = match home.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let user = rustix::process::geteuid().as_raw();
        let is_ours = home.symlink_metadata().is_ok_and(|meta| meta.uid() == user);
        // Some file systems give every file to one user, whoever makes it: a nameless one tells.
        let given = (!is_ours).then(|| tempfile::tempfile_in(folder).and_then(|f| f.metadata()));
        let given = given.and_then(std::io::Result::ok).map_or(user, |meta| meta.uid());
        let mode = folder.metadata().map_or(STICKY, |meta| meta.permissions().mode());
        let writers = if mode & STICKY == 0 { mode & OTHERS_WRITE } else { 0 };
        Self { owners: [user, given], writers }
    }

    fn has(&self, meta: &Metadata) -> bool {
        let writers = meta.permissions().mode() & OTHERS_WRITE;
        self.owners.contains(&meta.uid()) && writers & !self.writers == 0
    }

    /// Whether a folder is ours; a link is none.
    fn holds(&self, folder: &Path) -> bool {
        folder.symlink_metadata().is_ok_and(|meta| meta.is_dir() && self.has(&meta))
    }
}
