//! Looks for volumes: among the files that were named, in the folders that were named, and where it
//! takes that, in the folders of the named files.
//!
//! Files are found by what they begin with ([`Claim`]); their names mean nothing. What is found is
//! believed nothing: the last volume is taken for that by its signatures, the others by their
//! digests.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::claim::Claim;
use super::foreign;
use super::naming::files_named;
use super::volume::Volume;
use crate::codec::encryption::Identities;
use crate::model::{Error, Kind, Result, limits};

/// Files that cannot be opened of which it is told why, where there is no other.
const TOLD: usize = 8;

/// How a file came to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// It was named.
    Named,
    /// Its folder was named.
    Folder,
    /// A file in its folder was named.
    Beside,
    /// It was named for what is signed in it: it is a volume only where no other file is.
    Tail,
}

/// A file that may be a volume.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Where it is, or was before its medium was taken out.
    pub(super) path: PathBuf,
    /// Its bytes.
    pub(super) length: u64,
    /// What it says that it is.
    pub(super) claim: Option<Claim>,
    pub(super) origin: Origin,
    identity: (u64, u64),
    /// A copy that is kept while media are changed.
    pub(super) copy: Option<Arc<Volume>>,
}

impl Candidate {
    fn of(volume: &Volume, origin: Origin) -> Self {
        Self {
            path: volume.path().to_owned(),
            length: volume.length(),
            claim: Claim::of(volume),
            origin,
            identity: volume.identity(),
            copy: None,
        }
    }

    /// Whether it claims to be of this set.
    pub(super) fn is_of(&self, set: &str) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.set == set)
    }

    /// Whether it is the file with this path, length and identity.
    pub(super) fn is_marked(&self, (path, length, identity): &(PathBuf, u64, (u64, u64))) -> bool {
        self.path == *path && self.length == *length && self.identity == *identity
    }

    /// Whether it claims to be this volume.
    pub(super) fn is(&self, set: &str, number: u64) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.set == set && claim.number == number)
    }
}

/// Where volumes are looked for, and what was found.
#[derive(Debug)]
pub(super) struct Search {
    /// Files that were named.
    pub(super) files: Vec<PathBuf>,
    /// Folders that were named.
    pub(super) folders: Vec<PathBuf>,
    looked_beside: bool,
    /// What was found, in the order in which it counts.
    pub(super) found: Vec<Candidate>,
    /// Files of folders that could not be read.
    pub(super) unreadable: Vec<(PathBuf, Arc<Error>)>,
    /// Open those that are encrypted.
    identities: Identities,
}

impl Search {
    /// Looks at the files and into the folders.
    ///
    /// # Errors
    /// [`Kind::Io`] where one is not there or cannot be read, [`Kind::Usage`] for a folder with more
    /// files than are looked at.
    pub(super) fn of(paths: &[PathBuf], identities: &Identities) -> Result<Self> {
        let (folders, files): (Vec<_>, Vec<_>) =
            paths.iter().cloned().partition(|path: &PathBuf| path.is_dir());
        // Of a set, one leads to the others.
        let first = |path: PathBuf| -> Result<PathBuf> {
            Ok(files_named(&path)?.into_iter().next().unwrap_or(path))
        };
        let files = files.into_iter().map(first).collect::<Result<_>>()?;
        let mut search = Self {
            files,
            folders,
            looked_beside: false,
            found: Vec::new(),
            unreadable: Vec::new(),
            identities: identities.clone(),
        };
        for path in search.files.clone() {
            search.add(&Volume::open_with(&path, identities)?, Origin::Named);
        }
        for folder in search.folders.clone() {
            search.scan(&folder, Origin::Folder)?;
        }
        Ok(search)
    }

    /// Looks into the folders of the named files too, once.
    pub(super) fn beside(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.looked_beside, true) {
            for folder in self.neighbours() {
                self.scan(&folder, Origin::Beside)?;
            }
        }
        Ok(())
    }

    /// Without what lies beside the named files: that is never looked at.
    pub(super) fn without_neighbours(mut self) -> Self {
        self.looked_beside = true;
        self
    }

    /// Looks again at everything, after a medium was changed, and into one more folder. Copies that
    /// are kept stay.
    pub(super) fn again(&mut self, more: Option<PathBuf>) -> Result<()> {
        self.found.retain(|candidate| candidate.copy.is_some());
        self.unreadable.clear();
        self.looked_beside = true;
        self.folders.extend(more);
        for path in self.files.clone() {
            if let Ok(volume) = Volume::open_with(&path, &self.identities) {
                self.add(&volume, Origin::Named);
            }
        }
        let folders = self.folders.iter().map(|folder| (folder.clone(), Origin::Folder));
        let beside = self.neighbours().into_iter().map(|folder| (folder, Origin::Beside));
        let all: Vec<_> = folders.chain(beside).collect();
        // Of several folders, all but one may be on media that are not in.
        let scanned = all.into_iter().map(|(folder, origin)| self.scan(&folder, origin));
        scanned.reduce(Result::or).unwrap_or(Ok(()))
    }

    /// Where somebody would put a volume that is missing.
    pub(super) fn places(&self) -> Vec<PathBuf> {
        let mut places = self.folders.clone();
        places.extend(self.neighbours());
        places
    }

    /// That there is no bundle, and why what is there is none.
    pub(super) fn nothing_there(&self) -> Error {
        if let Some(error) = foreign::folder(&self.folders) {
            return error;
        }
        let places: Vec<String> =
            self.places().iter().map(|path| path.display().to_string()).collect();
        let what = format!("there is no sealift bundle in {}", places.join(" or "));
        let of_folder = |candidate: &&Candidate| {
            candidate.origin == Origin::Folder && candidate.claim.is_none()
        };
        let spoiled = self.found.iter().filter(of_folder).filter_map(|candidate| {
            foreign::spoiled(Volume::open_plain(&candidate.path).ok().flatten().as_ref()?)
        });
        let closed = self.unreadable.iter().map(|(_, why)| retold(why));
        let reasons: Vec<Error> = closed.chain(spoiled).take(TOLD).collect();
        let worst = |kind: &Kind| (*kind == Kind::Damaged, *kind != Kind::Io);
        match reasons.iter().map(Error::kind).max_by_key(worst) {
            Some(kind) => Error::new(kind, format!("{what} that can be opened")).parts(reasons),
            None => Error::new(Kind::Io, what).hint("check the path; is the stick mounted?"),
        }
    }

    /// Why the file with this name could not be opened.
    pub(super) fn trouble_with(&self, name: &str) -> Option<Error> {
        let named = |path: &Path| path.file_name().is_some_and(|file| file == name);
        self.unreadable.iter().find(|(path, _)| named(path)).map(|(_, why)| retold(why))
    }

    /// The folders of the named files.
    fn neighbours(&self) -> BTreeSet<PathBuf> {
        let parent = |path: &PathBuf| match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        self.files.iter().map(parent).collect()
    }

    /// Takes in the file that was named for what is signed in it.
    pub(super) fn include(&mut self, volume: &Volume) {
        self.add(volume, Origin::Tail);
    }

    fn add(&mut self, volume: &Volume, origin: Origin) {
        if self
            .found
            .iter()
            .all(|known| known.identity != volume.identity() || known.copy.is_some())
        {
            self.found.push(Candidate::of(volume, origin));
        }
    }

    fn scan(&mut self, folder: &Path, origin: Origin) -> Result<()> {
        let cannot = |e| Error::io(format!("cannot read the folder {}", folder.display()), e);
        let mut names: Vec<(bool, OsString)> = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            if !is_file(&entry) {
                continue;
            }
            if names.len() == limits::FOLDER_FILES {
                return Err(Error::usage(format!(
                    "{} holds more than {} files: they are not looked at for volumes",
                    folder.display(),
                    limits::FOLDER_FILES
                ))
                .hint("put the volumes of the bundle into a folder of their own"));
            }
            // Hidden files come last: among them are those that another export has not finished.
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            names.push((hidden, entry.file_name()));
        }
        names.sort();
        // Nobody is asked for the passphrase of a file that only happens to lie there.
        let identities = match origin {
            Origin::Beside => self.identities.without_asking(),
            Origin::Named | Origin::Folder | Origin::Tail => self.identities.sparingly(),
        };
        for (_, name) in names {
            // As people write it: what lies in `.` has no folder before its name.
            let path = if folder == Path::new(".") { name.into() } else { folder.join(name) };
            match Volume::open_with(&path, &identities) {
                Ok(volume) if volume.length() > 0 => self.add(&volume, origin),
                Ok(_) => {}
                Err(error) => self.unreadable.push((path, Arc::new(error))),
            }
        }
        Ok(())
    }
}

/// An error that is told once more.
fn retold(error: &Error) -> Error {
    let again = Error::new(error.kind(), error.chain());
    match error.get_hint() {
        Some(hint) => again.hint(hint),
        None => again,
    }
}

/// Whether a name stands for a file, itself or as a link. Nothing is opened for that: opening a
/// device may do something.
fn is_file(entry: &std::fs::DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => {
            std::fs::metadata(entry.path()).is_ok_and(|meta| meta.is_file())
        }
        Ok(kind) => kind.is_file(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::volume::{self, README, VOLUME};

    fn begin_of(number: u64) -> Vec<u8> {
        let text = volume::volume_text(&"a".repeat(32), number);
        let mut bytes = volume::header(README, 3, 7).to_vec();
        bytes.extend(b"abc");
        bytes.resize(1024, 0);
        bytes.extend(volume::header(VOLUME, text.len() as u64, 7));
        bytes.extend(text.bytes());
        bytes.resize(2048, 0);
        bytes
    }

    #[test]
    fn a_folder_is_read_without_waiting_for_anybody() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("one"), begin_of(1)).unwrap();
        std::fs::write(path(".two"), begin_of(2)).unwrap();
        std::fs::write(path("empty"), "").unwrap();
        std::fs::write(path("short"), "README").unwrap();
        std::fs::create_dir(path("sub")).unwrap();
        let fifo = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path("fifo"), fifo).unwrap();
        for (to, name) in [("fifo", "a"), ("one", "b"), ("loop", "loop"), ("/dev/zero", "zero")] {
            std::os::unix::fs::symlink(to, path(name)).unwrap();
        }
        let search = Search::of(&[folder.path().to_owned()], &Identities::default()).unwrap();
        let claims: Vec<_> = search
            .found
            .iter()
            .map(|found| (found.path.file_name().unwrap().to_str().unwrap(), found.claim.as_ref()))
            .map(|(name, claim)| (name, claim.map(|claim| claim.number)))
            .collect();
        // A link to a file is that file, and is looked at once.
        assert_eq!(claims, [("b", Some(1)), ("short", None), (".two", Some(2))]);
        assert!(search.unreadable.is_empty());
        assert_eq!(
            Search::of(&[path("fifo")], &Identities::default()).unwrap_err().kind(),
            Kind::Io
        );
    }

    #[test]
    fn a_claim_of_a_huge_readme_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge");
        let mut bytes = begin_of(1);
        bytes[..512].copy_from_slice(&volume::header(README, (1 << 33) - 1, 7));
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Search::of(&[path], &Identities::default()).unwrap().found[0].claim, None);
    }
}
