//! Makes parity: with a bundle that is being exported, or later for one that is there.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::bundle::parity::{Input, Layout, Media, Parity, Plan, Written};
use crate::bundle::{Bundle, Finished, all_are_there, files_named, set_by_name, volume_path};
use crate::codec::atomic::{AtomicFile, Synced, name_together};
use crate::codec::disk::Disk;
use crate::codec::encryption::{Identities, is_encrypted};
use crate::endpoint::{Event, How, Progress, Transfers};
use crate::model::{Error, Result, limits};

/// What parity makes up for, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Bytes of a stretch: what is lost together.
    pub stretch: u64,
    /// How many stretches the volumes have.
    pub stretches: usize,
    /// How many of them may be lost.
    pub budget: usize,
    /// Bytes of each volume.
    pub volumes: Vec<u64>,
}

impl Coverage {
    pub(super) fn of(layout: &Layout) -> Self {
        Self {
            stretch: layout.shard(),
            stretches: layout.data(),
            budget: layout.recovery(),
            volumes: layout.files().iter().map(|file| file.length).collect(),
        }
    }

    /// How many whole volumes may be lost, the largest first.
    pub fn whole_volumes(&self) -> usize {
        let mut shards: Vec<u64> =
            self.volumes.iter().map(|bytes| bytes.div_ceil(self.stretch)).collect();
        shards.sort_unstable_by_key(|&shards| std::cmp::Reverse(shards));
        let mut left = self.budget as u64;
        let fits = |shards: &&u64| match left.checked_sub(**shards) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        shards.iter().take_while(fits).count()
    }
}

/// Parity that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its volumes.
    pub files: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
    /// Hundredths of recovery data that were asked for.
    pub percent: u8,
    /// What it makes up for.
    pub coverage: Coverage,
    /// What was written, to be compared with what the medium gives back.
    pub written: Vec<Written>,
}

/// How much parity to make, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Hundredths of recovery data, 1 to 100.
    pub percent: u8,
    /// The parity volume, or what several are named after.
    pub output: PathBuf,
    /// Bytes that no parity volume is longer than.
    pub limit: Option<u64>,
    /// Whether files of that name are replaced.
    pub force: bool,
}

/// Makes parity for volumes, in files that `create` begins and that have no names yet.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where a file is in the way; [`Kind::Io`](crate::model::Kind::Io).
pub fn make(
    volumes: Vec<Input>,
    wanted: &Wanted,
    create: impl FnMut(&Path) -> Result<AtomicFile>,
    progress: &dyn Progress,
) -> Result<(Made, Vec<AtomicFile>)> {
    let plan = Plan::new(volumes, wanted.percent, &wanted.output, wanted.limit)?;
    let outputs = plan.outputs().to_vec();
    if let (Some(there), false) = (outputs.iter().find(|path| path.exists()), wanted.force) {
        return Err(in_the_way(there));
    }
    let coverage = Coverage::of(plan.layout());
    let bytes = plan.bytes();
    let total: u64 = coverage.volumes.iter().sum();
    require_room(&wanted.output, "the parity", bytes)?;
    let (files, written) =
        phase("making parity", total, progress, |advance| plan.make(create, advance))?;
    Ok((Made { files: outputs, bytes, percent: wanted.percent, coverage, written }, files))
}

/// All volumes of the bundle that is named as `verify` takes it: a file, one volume of a set, several,
/// or their folder. Encrypted ones are told by their names alone, since nobody needs to open them.
///
/// # Errors
/// [`Kind::Damaged`](crate::model::Kind::Damaged) where a volume is missing, or what is there is not
/// whole enough to tell; [`Kind::Usage`](crate::model::Kind::Usage) where it is more than one bundle,
/// or none; [`Kind::Io`](crate::model::Kind::Io).
pub fn volumes_of(places: &[PathBuf]) -> Result<Vec<PathBuf>> {
    all_are_there(places)?;
    let mut encrypted: Vec<PathBuf> = Vec::new();
    let (folders, files): (Vec<&PathBuf>, Vec<&PathBuf>) =
        places.iter().partition(|place| place.is_dir());
    for file in &files {
        let named = files_named(file)?;
        encrypted.extend(named.into_iter().filter(|path| is_age(path)));
    }
    if files.len() > 1 && !encrypted.is_empty() {
        return Ok(encrypted);
    }
    if files.is_empty() {
        for folder in &folders {
            encrypted.extend(age_files(folder)?);
        }
    }
    let Some(first) = encrypted.first() else {
        return Bundle::open_set(places, None, &Identities::default())?.claimed_files();
    };
    let set = set_by_name(first)?;
    match encrypted.iter().find(|other| !set.contains(other)) {
        None => Ok(set),
        Some(other) => Err(Error::usage(format!(
            "{} and {} are of two encrypted bundles, by their names",
            first.display(),
            other.display()
        ))
        .hint("name the one that is meant, or all of its volumes")),
    }
}

/// The encrypted files of a folder, in the order of their names. Hidden ones are somebody's
/// unfinished work.
fn age_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = |e| Error::io(format!("cannot read the folder {}", folder.display()), e);
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(cannot)?.take(limits::FOLDER_FILES) {
        let entry = entry.map_err(cannot)?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        if !is_hidden && path.is_file() && is_age(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file is encrypted as a whole.
pub(super) fn is_age(path: &Path) -> bool {
    let what = path.display().to_string();
    File::open(path).is_ok_and(|file| is_encrypted(&file, &what).unwrap_or(false))
}

/// Makes parity for volumes that have their names, and gives it its own.
///
/// # Errors
/// As for [`make`]; [`Kind::Usage`](crate::model::Kind::Usage) for a file that is parity itself.
pub fn make_beside(volumes: &[PathBuf], wanted: &Wanted, progress: &dyn Progress) -> Result<Made> {
    let mut media = Media::default();
    let mut inputs = Vec::new();
    let volumes: Vec<Vec<PathBuf>> =
        volumes.iter().map(|path| files_named(path)).collect::<Result<_>>()?;
    for path in volumes.iter().flatten() {
        if media.add(path)? != inputs.len() {
            return Err(Error::usage(format!("{} is named twice", path.display())));
        }
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            Error::usage(format!(
                "the name of {} is no text: parity cannot note it",
                path.display()
            ))
        })?;
        inputs.push(Input { name: name.to_owned(), path: path.clone() });
    }
    if let Some(parity) = Parity::find_quickly(&media).first() {
        return Err(Error::usage(format!("{} is parity already", parity.files()[0].display()))
            .hint("name the volumes of the bundle"));
    }
    let create = |path: &Path| AtomicFile::create(path, 0o644);
    let (made, files) = make(inputs, wanted, create, progress)?;
    let files = synced(files.into_iter(), &made.files)?;
    name_together(files)?;
    Ok(made)
}

/// Makes parity for a bundle that has no name yet. What is given back gets its names with it.
///
/// # Errors
/// As for [`make`].
pub fn make_with(
    bundle: &Finished,
    target: &Path,
    wanted: &Wanted,
    progress: &dyn Progress,
) -> Result<(Made, Vec<(Synced, PathBuf)>)> {
    let volumes = bundle.volumes();
    let count = volumes.len() as u64;
    let mut inputs = Vec::new();
    for ((path, _), number) in volumes.zip(1..) {
        let name = volume_path(target, number, count);
        inputs.push(Input { name: file_name(&name)?, path: path.to_owned() });
    }
    let mut number = 0;
    let create = |_: &Path| {
        number += 1;
        bundle.create_beside(&format!("parity-{number}"))
    };
    let (made, files) = make(inputs, wanted, create, progress)?;
    let files = synced(files.into_iter(), &made.files)?;
    Ok((made, files))
}

/// Whether there is room for so many bytes of `what` where a file is to be written.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) where there is not.
pub(super) fn require_room(output: &Path, what: &str, bytes: u64) -> Result<()> {
    let folder = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Disk::of(folder)?.check_room(what, bytes, bytes).map(drop)
}

fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(ToOwned::to_owned).ok_or_else(|| {
        Error::usage(format!("the name of {} is no text: parity cannot note it", path.display()))
    })
}

pub(super) fn synced(
    files: impl Iterator<Item = AtomicFile>,
    names: &[PathBuf],
) -> Result<Vec<(Synced, PathBuf)>> {
    files.zip(names).map(|(file, name)| Ok((file.sync()?, name.clone()))).collect()
}

pub(super) fn in_the_way(path: &Path) -> Error {
    Error::usage(format!("{} is already there", path.display()))
        .hint("choose another name, or add --force to replace it")
}

/// Runs something long as a phase of its own; it is given whom to tell how many bytes it has done.
pub(super) fn phase<T>(
    title: &str,
    total: u64,
    progress: &dyn Progress,
    run: impl FnOnce(&(dyn Fn(u64) + Sync)) -> Result<T>,
) -> Result<T> {
    progress.event(Event::Phase { title, total: Some(total) });
    let transfers = Transfers::new(progress);
    let id = transfers.start(title, Some(total));
    let result = run(&|bytes| progress.event(Event::Advanced { id, bytes }));
    transfers.finish(id, if result.is_ok() { How::Moved } else { How::Failed });
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn whole_volumes_count_from_the_largest() {
        let of = |budget, volumes: &[u64]| {
            let volumes = volumes.to_vec();
            Coverage { stretch: 10, stretches: 100, budget, volumes }.whole_volumes()
        };
        assert_eq!(of(3, &[40, 40]), 0);
        assert_eq!(of(4, &[40, 40]), 1);
        assert_eq!(of(8, &[40, 40]), 2);
        assert_eq!(of(4, &[5, 40]), 1);
        assert_eq!(of(3, &[5, 40]), 0);
    }

    #[test]
    fn what_does_not_fit_is_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("x");
        assert!(require_room(&output, "it", 1).is_ok());
        assert_eq!(require_room(&output, "it", u64::MAX).unwrap_err().kind(), Kind::Io);
    }
}
