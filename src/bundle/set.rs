//! The volumes of a bundle that are at hand, by number.
//!
//! For each volume there may be several files that claim to be it: a copy beside the original, or
//! one on each of two sticks. What is read from one and does not have its digest is read from the
//! next, unless one was chosen. Where none claims to be a volume, one that begins with its first pack may serve: it may be
//! damaged in the very member that says which it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::choice::{Choice, Unused};
use super::claim::{Series, called, short};
use super::handles::Handles;
use super::manifest::{Manifest, PackEntry};
use super::search::{Candidate, Origin, Search};
use super::selection::{opened, titled};
use super::volume::{self, Volume};
use crate::model::shell::file;
use crate::model::{Digest, Error, Kind, Result};

/// A volume, as far as it is at hand.
#[derive(Clone, Debug)]
pub struct AtHand {
    /// Counted from 1.
    pub number: u64,
    /// Bytes that it has by the manifest; of the last one, those before the manifest.
    pub size: u64,
    /// Bytes of its file.
    pub length: Option<u64>,
    /// Its file; `None` where it is missing.
    pub file: Option<PathBuf>,
    /// What its file is probably called, where that is known.
    pub name: Option<String>,
}

/// The files of a set.
#[derive(Debug)]
pub(super) struct VolumeSet {
    pub(super) handles: Handles,
    pub(super) search: Mutex<Search>,
    /// For each volume, the files that may be it; those that count first come first.
    files: RwLock<Vec<Vec<Arc<Candidate>>>>,
    /// What came of looking for the one that is whole, of the volumes of which several are there.
    choices: RwLock<BTreeMap<u64, Choice>>,
    /// How they are called, and where the first lies that is called so; where names tell.
    series: RwLock<Option<(Series, PathBuf)>>,
    /// The file with the manifest, where it is a volume.
    last: Option<Mark>,
}

/// What a file is known again by, when another one may have come to its place.
type Mark = (PathBuf, u64, (u64, u64));

/// Whether a claim to one set may be a claim to another with a damaged byte: names of sets are random.
fn may_be_meant(claimed: &str, set: &str) -> bool {
    claimed.len() == set.len()
        && claimed.bytes().zip(set.bytes()).filter(|(one, other)| one != other).count() <= 1
}

/// The mark of the file that a manifest was read from.
fn mark(file: &Volume) -> Mark {
    (file.path().to_owned(), file.length(), file.identity())
}

impl VolumeSet {
    /// Nothing is known of the volumes before somebody says what the manifest is
    /// ([`settle`](Self::settle)). `last` is the file that it is in, unless that is a receipt.
    pub(super) fn new(search: Search, handles: Handles, last: Option<&Volume>) -> Self {
        let last = last.map(mark);
        Self {
            handles,
            search: Mutex::new(search),
            files: RwLock::default(),
            choices: RwLock::default(),
            series: RwLock::default(),
            last,
        }
    }

    /// The manifest that counts is in another file.
    pub(super) fn change_last(&mut self, last: Option<&Volume>) {
        self.last = last.map(mark);
    }

    /// Finds the files of all volumes; beside the named ones only where some are missing.
    ///
    /// # Errors
    /// As for a search.
    pub(super) fn settle(&self, manifest: &Manifest) -> Result<()> {
        let mut search = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = self.assigned(&search, manifest);
        if files.iter().any(Vec::is_empty) {
            search.beside()?;
            files = self.assigned(&search, manifest);
        }
        let numbered = (1..).zip(&files).flat_map(|(number, files)| {
            files.iter().map(move |candidate| (candidate.path.as_path(), number))
        });
        let series = Series::of_most(numbered);
        *self.series.write().unwrap_or_else(PoisonError::into_inner) = series;
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = files;
        self.choices.write().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Of the files of a volume only one is used from now on, the one at this place; all of them where
    /// there is none.
    pub(super) fn choose(&self, number: u64, at: Option<usize>, choice: Choice) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        if let (Some(at), Some(files)) = (at, files.get_mut(number as usize - 1)) {
            *files = files.drain(..).skip(at).take(1).collect();
        }
        self.choices.write().unwrap_or_else(PoisonError::into_inner).insert(number, choice);
    }

    /// Whether it was looked for a file of this volume that is whole.
    pub(super) fn has_choice(&self, number: u64) -> bool {
        self.choices.read().unwrap_or_else(PoisonError::into_inner).contains_key(&number)
    }

    /// How many files claim to be a volume of which none is whole, and what is wrong with the first.
    pub(super) fn split(&self, number: u64) -> Option<(usize, Vec<(Kind, String)>)> {
        let choices = self.choices.read().unwrap_or_else(PoisonError::into_inner);
        match choices.get(&number) {
            Some(Choice::None(count, wrong)) => Some((*count, wrong.clone())),
            _ => None,
        }
    }

    /// The files that are not used, since others are.
    pub(super) fn unused(&self) -> Vec<Unused> {
        let choices = self.choices.read().unwrap_or_else(PoisonError::into_inner);
        let unused = choices.values().flat_map(|choice| match choice {
            Choice::One(unused) => unused.as_slice(),
            Choice::None(..) => &[],
        });
        unused.cloned().collect()
    }

    /// Looks again, after a medium was changed, and into one more folder. The copies of volumes that
    /// are bad are let go.
    ///
    /// # Errors
    /// As for a search; what is kept is still there.
    pub(super) fn again(
        &self,
        more: Option<PathBuf>,
        manifest: &Manifest,
        bad: &BTreeSet<u64>,
    ) -> Result<()> {
        let looked = {
            let mut search = self.search.lock().unwrap_or_else(PoisonError::into_inner);
            let is_bad = |candidate: &Candidate| {
                bad.iter().any(|&number| candidate.is(&manifest.set, number))
            };
            search.found.retain(|candidate| !is_bad(candidate));
            search.again(more)
        };
        self.settle(manifest)?;
        looked
    }

    /// Where the volumes are looked for.
    pub(super) fn places(&self) -> Vec<PathBuf> {
        self.search.lock().unwrap_or_else(PoisonError::into_inner).places()
    }

    fn assigned(&self, search: &Search, manifest: &Manifest) -> Vec<Vec<Arc<Candidate>>> {
        let set = &manifest.set;
        let last = manifest.volumes.len() as u64;
        let of_volume = |number: u64| {
            let is_last = |candidate: &Candidate| number == last && self.has_manifest(candidate);
            let mut own: Vec<&Candidate> = search
                .found
                .iter()
                .filter(|candidate| candidate.is(set, number) || is_last(candidate))
                .collect();
            own.sort_by_key(|candidate| {
                (candidate.origin == Origin::Tail, !is_last(candidate), candidate.origin)
            });
            if own.first().is_some_and(|first| first.origin != Origin::Tail) {
                own.retain(|candidate| candidate.origin != Origin::Tail);
            }
            if own.first().is_some_and(|first| first.origin == Origin::Named) {
                own.retain(|candidate| candidate.origin != Origin::Beside);
            }
            if own.is_empty() {
                own = self.begun_as(number, search, manifest);
            }
            own.into_iter().cloned().map(Arc::new).collect()
        };
        manifest.volumes.iter().map(|volume| of_volume(volume.number)).collect()
    }

    /// Files that do not claim to be a volume, and have its first pack where it belongs: what they
    /// claim is damaged, or was changed.
    fn begun_as<'a>(
        &self,
        number: u64,
        search: &'a Search,
        manifest: &Manifest,
    ) -> Vec<&'a Candidate> {
        let packs = &manifest.packs;
        let first = packs.partition_point(|pack| pack.volume < number);
        let Some(pack) = packs.get(first).filter(|pack| pack.volume == number) else {
            return Vec::new();
        };
        let name = format!("packs/{}.zst", pack.digest.hex());
        let header = volume::header(&name, pack.size, manifest.created);
        let begins = |candidate: &&Candidate| {
            let claim = candidate.claim.as_ref();
            if claim.is_some_and(|claim| !may_be_meant(&claim.set, &manifest.set)) {
                return false;
            }
            let file = match &candidate.copy {
                Some(copy) => Ok(Arc::clone(copy)),
                None => self.handles.peek(&candidate.path),
            };
            file.and_then(|file| file.block(pack.offset)).is_ok_and(|block| block == header)
        };
        search.found.iter().filter(begins).collect()
    }

    /// The files that may be a volume.
    pub(super) fn candidates(&self, number: u64) -> Vec<Arc<Candidate>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        at.and_then(|at| files.get(at)).cloned().unwrap_or_default()
    }

    /// The file of a volume; `None` where it is missing.
    pub(super) fn file(&self, number: u64) -> Option<PathBuf> {
        self.candidates(number).first().map(|candidate| candidate.path.clone())
    }

    /// Whether the manifest was read from this file.
    pub(super) fn has_manifest(&self, candidate: &Candidate) -> bool {
        self.last.as_ref().is_some_and(|last| candidate.is_marked(last))
    }

    /// Whether the manifest was read from a last volume, and not from a receipt.
    pub(super) fn has_last(&self) -> bool {
        self.last.is_some()
    }

    /// Bytes of all volumes that are there.
    pub(super) fn length(&self) -> u64 {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.iter().filter_map(|files| files.first()).map(|file| file.length).sum()
    }

    /// The numbers of the volumes that are missing.
    pub(super) fn missing(&self) -> Vec<u64> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let numbered = (1..).zip(files.iter());
        numbered.filter(|(_, files)| files.is_empty()).map(|(number, _)| number).collect()
    }

    /// The file of a volume that counts first, opened.
    ///
    /// # Errors
    /// Where it is missing.
    pub(super) fn first(&self, number: u64, manifest: &Manifest) -> Result<Arc<Volume>> {
        match self.candidates(number).first() {
            Some(candidate) => self.open(candidate),
            None => Err(self.lacking(number, manifest)),
        }
    }

    /// A file, opened.
    pub(super) fn open(&self, candidate: &Candidate) -> Result<Arc<Volume>> {
        opened(candidate, &self.handles)
    }

    /// The bytes of a frame that have its digest, from whichever file has them. `what` names it.
    ///
    /// # Errors
    /// [`Kind::Damaged`] where no file has them, as it is with the
    /// first.
    pub(super) fn read(
        &self,
        entry: &PackEntry,
        what: &str,
        manifest: &Manifest,
    ) -> Result<Vec<u8>> {
        let mut trouble = None;
        for candidate in self.candidates(entry.volume) {
            match self.open(&candidate).and_then(|volume| read_hashed(&volume, entry, what)) {
                Ok(stored) => return Ok(stored),
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        Err(match trouble {
            Some(error) => error,
            None => self.lacking(entry.volume, manifest).context(format!("{what} cannot be read")),
        })
    }

    /// What a volume is probably called.
    pub(super) fn probable_name(&self, number: u64) -> Option<String> {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        series.as_ref().map(|(series, _)| series.file(number))
    }

    /// What the set was called when it was written, as far as names tell.
    pub(super) fn name(&self, manifest: &Manifest) -> Option<String> {
        if let ([_], Some(file)) = (&manifest.volumes[..], self.file(1)) {
            return Some(file.display().to_string());
        }
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        series.as_ref().map(|(series, at)| titled(series, at))
    }

    /// What the whole set is called, for people.
    pub(super) fn title(&self, manifest: &Manifest) -> String {
        self.name(manifest).unwrap_or_else(|| called(None, &manifest.set))
    }

    /// How the sender makes a volume again that is nowhere any more.
    fn made_again(&self, number: u64, manifest: &Manifest) -> String {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let name = series.as_ref().map_or_else(|| "NAME.sealift".to_owned(), |(it, _)| it.set());
        let name = file(Path::new(name.strip_suffix(".age").unwrap_or(&name)));
        let base = if manifest.base.is_some() { ", with the same --base" } else { "" };
        format!(
            "the sender makes it again with sealift export --only-volume {number} -o {name}{base}"
        )
    }

    /// All volumes, there or not.
    pub(super) fn list(&self, manifest: &Manifest) -> Vec<AtHand> {
        let one = |number, size| {
            let file = self.candidates(number).first().cloned();
            AtHand {
                number,
                size,
                length: file.as_ref().map(|file| file.length),
                file: file.map(|file| file.path.clone()),
                name: self.probable_name(number),
            }
        };
        manifest.volumes.iter().map(|volume| one(volume.number, volume.size)).collect()
    }

    /// What is to be said of a volume that is missing:
    /// [`Kind::Untrusted`] where the file in its place belongs to
    /// another set, else [`Kind::Damaged`].
    pub(super) fn lacking(&self, number: u64, manifest: &Manifest) -> Error {
        let search = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        let name = self.probable_name(number);
        let has_name = |path: &Path| {
            name.as_deref().is_some_and(|name| path.file_name().is_some_and(|file| file == name))
        };
        let which = format!(
            "volume {number} of {} of {}",
            manifest.volumes.len(),
            called(self.name(manifest).as_deref(), &manifest.set)
        );
        let again = self.made_again(number, manifest);
        for candidate in &search.found {
            let Some(claim) = &candidate.claim else { continue };
            let stands_for_it = has_name(&candidate.path)
                || candidate.origin == Origin::Named && claim.number == number;
            if claim.set != manifest.set && stands_for_it {
                return Error::untrusted(format!(
                    "{} is not {which}: it belongs to another set, {}",
                    candidate.path.display(),
                    short(&claim.set)
                ))
                .hint(format!(
                    "bring the volume of this set: two exports were mixed up; or {again}"
                ));
            }
        }
        let called =
            name.as_ref().map_or_else(String::new, |name| format!(", probably called {name},"));
        let error = Error::damaged(format!("{which}{called} is not there"));
        match name.as_deref().and_then(|name| search.trouble_with(name)) {
            Some(why) => error
                .because(why.chain())
                .hint(format!("copy that file again, or read it in another way; or {again}")),
            None => error.hint(format!(
                "bring it to the other volumes, or name its file or folder too; or {again}"
            )),
        }
    }
}

/// Reads the bytes of a pack or index and compares their hash. Lengths were bounded when the
/// manifest was parsed.
pub(super) fn read_hashed(volume: &Volume, entry: &PackEntry, what: &str) -> Result<Vec<u8>> {
    let stored = volume.read(entry.data_offset(), entry.size)?;
    let found = Digest::of(&stored);
    if found != entry.digest {
        return Err(Error::damaged(format!("{what} is damaged: its digest is {found}, not {}", entry.digest))
            .hint("copy the bundle again, or read the stick in another port; the sender's copy can be checked with `sealift verify`"));
    }
    Ok(stored)
}
