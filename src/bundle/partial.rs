//! Where a bundle is written before it has its name, and what is kept there of one that never got
//! it.
//!
//! ```text
//! .NAME.partial/        beside the bundle
//!   1/                  an export that was interrupted
//!     bundle            its packs: the first volume
//!     bundle-2 …        those after it
//!     checkpoint        what is in them
//!     names             which set is being given its names, while it is
//!   2/                  the export that is running
//! ```
//!
//! All of it goes when the bundle gets its name.

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
        let whole = runs(&folder).into_iter().filter(|(_, run)| is_whole(run));
        let lengths: Vec<u64> = whole.map(|(_, run)| length(&run)).collect();
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
        let mut older = Vec::new();
        let mut number = 1;
        for (own, run) in runs(&home) {
            number = number.max(own + 1);
            for name in left_by(&run, target) {
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
        if !same_owner(&home, workshop.path()) {
            return Err(Error::new(Kind::Io, format!("cannot write {}", target.display()))
                .because(format!("{} belongs to somebody else", home.display()))
                .hint("remove it, or choose another name for the bundle"));
        }
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
        runs(&home).into_iter().flat_map(|(_, run)| left_by(&run, target)).collect()
    }

    /// Notes that the volumes of a set are about to get their names.
    pub(super) fn note_names(&self, set: &str, count: u64) -> Result<()> {
        atomic::write_file(&self.folder().join(NAMES), 0o600, format!("{set} {count}").as_bytes())
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

/// What a run that was killed while it named its volumes has left.
fn left_by(run: &Path, target: &Path) -> Vec<PathBuf> {
    let noted = std::fs::read_to_string(run.join(NAMES)).ok();
    let noted = noted.as_deref().and_then(|text| text.split_once(' '));
    let Some((set, Ok(count))) = noted.map(|(set, count)| (set, count.parse::<u64>())) else {
        return Vec::new();
    };
    let is_of_set = |path: &PathBuf| Claim::in_file(path).is_some_and(|own| own.set == set);
    let count = count.min(limits::VOLUMES as u64);
    let mut names: Vec<PathBuf> =
        (1..=count).map(|number| volume_path(target, number, count)).collect();
    match names.pop() {
        // It had just come to its end: nothing is left but the folder.
        Some(last) if is_of_set(&last) => Vec::new(),
        _ => names.into_iter().filter(is_of_set).collect(),
    }
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

/// Whether two folders belong to one user; the second was just made by us.
fn same_owner(one: &Path, own: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (one.symlink_metadata(), own.symlink_metadata()) {
        (Ok(one), Ok(own)) => one.uid() == own.uid(),
        _ => false,
    }
}
