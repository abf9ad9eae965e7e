//! Several media, one after another: what is missing is asked for by name.
//!
//! A medium is changed where it is mounted, so nothing of the old one may be open when the next one
//! is asked for. What it had of the bundle is copied first, into files without a name that vanish
//! with the process; each medium is then put in once. The last volume may come last: until it is
//! there nothing is known of the others but what they claim, and when it is, the copies are hashed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::claim::called;
use super::handles::Handles;
use super::reader::{Authentic, Bundle, Unverified};
use super::search::{Candidate, Search};
use super::selection::{Headless, Selection, select};
use super::volume::Volume;
use crate::codec::disk::Disk;
use crate::codec::encryption::Identities;
use crate::model::{Error, Result};

/// What to do where copies find no room.
const ELSEWHERE: &str = "copy all volumes into one folder that has room, or choose another place for what is kept with TMPDIR";

/// Bytes that are copied at once.
const PIECE: u64 = 1 << 20;

/// A volume that somebody is asked to bring.
#[derive(Debug)]
pub struct Wanted {
    /// Its number and how many there are; `None` for the last of a set, before it is known how many
    /// there are.
    pub number: Option<(u64, u64)>,
    /// The set, as people are told of it.
    pub set: String,
    /// What the file is probably called.
    pub file: Option<String>,
    /// Where it was looked for.
    pub places: Vec<PathBuf>,
    /// Why what was brought did not do.
    pub trouble: Option<Error>,
}

/// What somebody answers.
#[derive(Debug)]
pub enum Answer {
    /// Another medium is there.
    Look,
    /// It is in this folder.
    LookIn(PathBuf),
    /// It does not come.
    GiveUp,
}

/// Brings media; a person, as a rule.
pub trait Media {
    /// Asks for a volume. Nothing of the medium that is there is open.
    fn ask(&self, wanted: &Wanted) -> Answer;

    /// Hears that a copy of a volume is being made, of so many bytes.
    fn keeps(&self, file: &Path, bytes: u64);
}

/// Where copies go while media are changed, and who changes them.
#[derive(Clone, Copy)]
pub struct Changer<'a> {
    /// Who is asked.
    pub media: &'a dyn Media,
    /// Takes the copies.
    pub temporary: &'a Path,
}

impl Bundle<Unverified> {
    /// As [`open_set`](Self::open_set), and where the last volume is missing, asks for it.
    ///
    /// # Errors
    /// The same, and [`Kind::Io`](crate::model::Kind::Io) where the copies find no room.
    pub fn open_asking(
        paths: &[PathBuf],
        tail: Option<&Path>,
        identities: &Identities,
        changer: Option<Changer<'_>>,
    ) -> Result<Self> {
        let (Some(changer), None) = (changer, tail) else {
            return Self::open_set(paths, tail, identities);
        };
        let (mut search, handles) = (Search::of(paths, identities)?, Handles::with(identities));
        let mut set = match select(&mut search, &handles)? {
            Selection::Tails(tails) => return Self::with_tails(search, handles, tails),
            Selection::Headless(set) => set,
        };
        let mut trouble = None;
        loop {
            let mut kept = BTreeSet::new();
            let own = |candidate: &Candidate| {
                let claim = candidate.claim.as_ref();
                claim.is_some_and(|claim| claim.set == set.set && kept.insert(claim.number))
            };
            let (failed, _) = changer.keep(&mut search, &handles, own)?;
            let wanted = set.wanted(&search, trouble.take().or(failed));
            let more = match changer.media.ask(&wanted) {
                Answer::GiveUp => return Err(set.error()),
                Answer::Look => None,
                Answer::LookIn(folder) => Some(folder),
            };
            let selected = search.again(more).and_then(|()| select(&mut search, &handles));
            match selected {
                Ok(Selection::Tails(tails)) => return Self::with_tails(search, handles, tails),
                Ok(Selection::Headless(next)) => set = next,
                Err(error) => trouble = Some(error),
            }
        }
    }
}

impl Headless {
    fn wanted(&self, search: &Search, trouble: Option<Error>) -> Wanted {
        Wanted {
            number: None,
            set: called(self.title.as_deref(), &self.set),
            file: self.file.clone(),
            places: search.places(),
            trouble,
        }
    }
}

impl Bundle<Authentic> {
    /// Asks for those of the wanted volumes that are missing, until they are there or somebody
    /// gives up: what is then still missing, or damaged, is left as it is.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where the copies find no room.
    pub fn fetch(&self, wanted: &BTreeSet<u64>, changer: Changer<'_>) -> Result<()> {
        let manifest = &self.contents().manifest;
        let mut trouble = None;
        // Copies that were hashed, and those that are not what was signed.
        let (mut hashed, mut bad) = (BTreeSet::new(), BTreeSet::new());
        loop {
            for &number in wanted {
                let copied = self.volumes.candidates(number).iter().any(|file| file.copy.is_some());
                if !copied || !hashed.insert(number) {
                    continue;
                }
                let mut findings = self.examine_frame_of(number);
                findings.extend(self.examine_packs_of(number, &|_| ()));
                if let Some(finding) = findings.into_iter().next() {
                    bad.insert(number);
                    trouble = Some(finding.error);
                }
            }
            let missing = self.volumes.missing();
            let mut lacking = wanted.iter().filter(|n| missing.contains(n) || bad.contains(n));
            let Some(&number) = lacking.next() else { return Ok(()) };
            let own: BTreeSet<PathBuf> =
                wanted.iter().filter_map(|&number| self.volumes.file(number)).collect();
            let (failed, copied) = {
                let search = self.volumes.search.lock();
                let mut search = search.unwrap_or_else(PoisonError::into_inner);
                let own = |candidate: &Candidate| own.contains(&candidate.path);
                changer.keep(&mut search, &self.volumes.handles, own)?
            };
            trouble = failed.or(trouble);
            self.volumes.settle(manifest)?;
            if copied > 0 {
                // What was copied is hashed while the medium that it came from is there.
                continue;
            }
            let wanted = Wanted {
                number: Some((number, manifest.volumes.len() as u64)),
                set: called(self.volumes.name(manifest).as_deref(), &manifest.set),
                file: self.volumes.probable_name(number),
                places: self.volumes.places(),
                trouble: trouble.take(),
            };
            // Of a bad copy, the other files that claim to be that volume were looked at too.
            self.volumes.handles.close();
            let more = match changer.media.ask(&wanted) {
                Answer::GiveUp => return Ok(()),
                Answer::Look => None,
                Answer::LookIn(folder) => Some(folder),
            };
            // A bad copy makes room for what is on the next medium.
            hashed.retain(|number| !bad.contains(number));
            trouble = self.volumes.again(more, manifest, &bad).err();
            bad.clear();
        }
    }
}

impl Changer<'_> {
    /// Copies the files that are wanted and not copied yet, and lets go of everything. A file that
    /// cannot be read is no longer among those that are at hand. Gives back the last such failure,
    /// and how many files were copied.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where there is not enough room.
    fn keep(
        &self,
        search: &mut Search,
        handles: &Handles,
        mut wanted: impl FnMut(&Candidate) -> bool,
    ) -> Result<(Option<Error>, usize)> {
        let chosen: Vec<usize> = (0..search.found.len())
            .filter(|&at| search.found[at].copy.is_none() && wanted(&search.found[at]))
            .collect();
        let bytes = chosen.iter().map(|&at| search.found[at].length).sum();
        self.expect_room(bytes)?;
        let (mut failed, mut lost) = (None, BTreeSet::new());
        let copied = chosen.len();
        for at in chosen {
            let candidate = &mut search.found[at];
            self.media.keeps(&candidate.path, candidate.length);
            let file = tempfile::tempfile_in(self.temporary).map_err(|e| self.full(e))?;
            let copied = handles
                .open(&candidate.path)
                .map_err(Failure::Read)
                .and_then(|volume| self.copy(&volume, file));
            match copied {
                Ok(copy) => candidate.copy = Some(Arc::new(copy)),
                Err(Failure::Write(error)) => return Err(error),
                Err(Failure::Read(error)) => {
                    failed = Some(error);
                    lost.insert(candidate.path.clone());
                }
            }
        }
        search
            .found
            .retain(|candidate| candidate.copy.is_some() || !lost.contains(&candidate.path));
        handles.close();
        Ok((failed, copied - lost.len()))
    }

    fn copy(&self, volume: &Volume, mut file: File) -> Result<Volume, Failure> {
        let mut at = 0;
        while at < volume.file_length() {
            let step = PIECE.min(volume.file_length() - at);
            let piece = volume.read_file(at, step).map_err(Failure::Read)?;
            file.write_all(&piece).map_err(|e| Failure::Write(self.full(e)))?;
            at += step;
        }
        volume.copied_to(file).map_err(Failure::Read)
    }

    /// Whether the copies have room.
    fn expect_room(&self, bytes: u64) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let disk = Disk::of(self.temporary)?;
        let room = disk.check_room("what is kept of volumes while media are changed", bytes, bytes);
        room.map(drop).map_err(|error| error.hint(ELSEWHERE))
    }

    fn full(&self, error: std::io::Error) -> Error {
        Error::io(format!("cannot keep volumes in {}", self.temporary.display()), error)
            .hint(ELSEWHERE)
    }
}

/// What can go wrong with a copy.
enum Failure {
    /// The medium.
    Read(Error),
    /// The place where copies go.
    Write(Error),
}
