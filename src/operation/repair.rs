//! Repair: parity gives back what a medium has spoiled.
//!
//! A repair never changes what is there. It finds pieces by their content among the files that were
//! named and those beside them, gives back whole volumes in new files, and proves these as it
//! would any bundle that arrives before they get their names.

use std::path::{Path, PathBuf};

use super::parity::{Coverage, in_the_way, phase, require_room, synced};
use crate::bundle::parity::{FileState, Media, Medium, Parity, Survey};
use crate::bundle::{Authentic, Bundle, files_named};
use crate::codec::atomic::{AtomicFile, name_together};
use crate::codec::encryption::Identities;
use crate::endpoint::Progress;
use crate::model::{Error, Result, limits};
use crate::trust::Trust;

/// What an age file begins with: a volume that is encrypted as a whole.
const AGE: &[u8] = b"age-encryption.org/";

/// What there is of a set and of its parity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Files with a whole description of the parity.
    pub parity: Vec<PathBuf>,
    /// What the parity made up for when it was whole.
    pub coverage: Coverage,
    /// How many stretches it makes up for now.
    pub budget: usize,
    /// How many stretches are lost.
    pub lost: usize,
    /// The volumes.
    pub volumes: Vec<FileState>,
}

impl State {
    fn of(survey: &Survey<'_>) -> Self {
        Self {
            parity: survey.parity().files().to_vec(),
            coverage: Coverage::of(survey.parity().description().layout()),
            budget: survey.budget(),
            lost: survey.lost_count(),
            volumes: survey.files(),
        }
    }

    /// Whether every volume is there, byte for byte.
    pub fn is_whole(&self) -> bool {
        self.volumes.iter().all(|volume| volume.whole.is_some())
    }

    /// Whether the parity is not what it was.
    pub fn parity_is_damaged(&self) -> bool {
        self.budget < self.coverage.budget
    }

    /// Whether each of the files that were named is one of these volumes, whole, or of their parity.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where one is something else although all
    /// volumes are whole.
    fn accounts_for(&self, named: &[PathBuf]) -> Result<()> {
        let whole: Vec<PathBuf> =
            self.volumes.iter().filter_map(|volume| volume.whole.clone()).collect();
        let strange = |path: &&PathBuf| !whole.contains(path) && !self.parity.contains(path);
        match named.iter().find(strange) {
            None => Ok(()),
            Some(path) => Err(Error::damaged(format!(
                "{} is not as the parity in {} has it, and what that is for is whole: {}",
                path.display(),
                self.parity[0].display(),
                listed(&whole)
            ))
            .hint("take the whole copy; or name the parity that was made for this file")),
        }
    }

    /// Whether what is lost can be made up for.
    pub fn can_be_repaired(&self) -> bool {
        self.lost <= self.budget
    }
}

/// What was found among the places that were named.
struct Found {
    media: Media,
    /// Files that were named, and not only their folder.
    named: Vec<PathBuf>,
    parity: Parity,
}

/// Where parity is looked for in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// At both ends.
    Quick,
    /// At both ends, and if there is none anywhere, in all of every file.
    Thorough,
}

/// Looks for parity among these files and folders, and in the folders of the files.
fn find(places: &[PathBuf], effort: Effort) -> Result<Found> {
    let mut media = Media::default();
    let mut named = Vec::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    let places: Vec<PathBuf> =
        places.iter().map(|place| files_named(place)).collect::<Result<Vec<_>>>()?.concat();
    for place in &places {
        let folder = if place.is_dir() {
            place.clone()
        } else {
            let added = media.add(place).map_err(|error| {
                error.hint("check the path; where a file is gone, name the folder that it was in")
            })?;
            named.push(media.files()[added].path.clone());
            match place.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            }
        };
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    for folder in folders {
        add_folder(&mut media, &folder)?;
    }
    let mut all = match effort {
        Effort::Thorough => Parity::find(&media)?,
        Effort::Quick => Parity::find_quickly(&media),
    };
    if all.len() > 1 {
        let covers = |parity: &Parity| {
            let of_it = |medium: &&Medium| named.contains(&medium.path);
            let mut own = media.files().iter().filter(of_it);
            own.any(|medium| {
                parity.files().contains(&medium.path) || parity.covers(&medium.path, medium.length)
            })
        };
        if all.iter().any(covers) {
            all.retain(covers);
        }
    }
    let several = all.len() > 1;
    match all.pop() {
        None => Err(Error::damaged(format!("there is no parity at {}", listed(&places)))
            .hint("name the file or folder with the parity of this bundle too; without it, only another copy helps")),
        Some(_) if several => Err(Error::usage(format!(
            "there is parity of several bundles at {}",
            listed(&places)
        ))
        .hint("name the files of one bundle, or its parity")),
        Some(parity) => Ok(Found { media, named, parity }),
    }
}

fn listed(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    places.join(", ")
}

/// Adds the files of a folder. Hidden ones are somebody's unfinished work.
fn add_folder(media: &mut Media, folder: &Path) -> Result<()> {
    let cannot = |e| Error::io(format!("cannot read the folder {}", folder.display()), e);
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !is_hidden && entry.path().is_file() {
            paths.push(entry.path());
        }
        if paths.len() > limits::FOLDER_FILES {
            return Err(Error::usage(format!("{} has too many files", folder.display()))
                .hint("put bundle and parity into a folder of their own"));
        }
    }
    paths.sort();
    for path in paths {
        media.add(&path)?;
    }
    Ok(())
}

impl Found {
    /// Looks through the files: first those that were named or look like what is wanted.
    fn survey(&mut self, progress: &dyn Progress) -> Result<Survey<'_>> {
        let (parity, named) = (&self.parity, &self.named);
        let rank = |medium: &Medium| {
            let is_likely = named.contains(&medium.path)
                || parity.files().contains(&medium.path)
                || parity.covers(&medium.path, medium.length)
                || parity.resembles(&medium.path);
            u8::from(!is_likely)
        };
        self.media.sort_by_rank(rank);
        let likely = self.media.files().iter().take_while(|medium| rank(medium) == 0).count();
        let total = self.media.files()[..likely].iter().map(|medium| medium.length).sum();
        let survey = phase("looking for what is whole", total, progress, |advance| {
            Ok(Survey::new(&self.parity, &self.media, likely, advance))
        })?;
        for path in &self.named {
            let is_of_it = survey.uses(path) || self.parity.covers(path, u64::MAX);
            if !is_of_it {
                return Err(Error::damaged(format!(
                    "the parity in {} is not for {}, or nothing of that is left",
                    self.parity.files()[0].display(),
                    path.display()
                ))
                .hint("name the parity that was made for it"));
            }
        }
        Ok(survey)
    }
}

/// Says what there is of a set and of its parity.
///
/// # Errors
/// [`Kind::Damaged`](crate::model::Kind::Damaged) where there is no parity, or a file that was named
/// is not of it; [`Kind::Malformed`](crate::model::Kind::Malformed) for hostile parity; [`Kind::Io`](crate::model::Kind::Io).
pub fn look(places: &[PathBuf], progress: &dyn Progress) -> Result<State> {
    let mut found = find(places, Effort::Thorough)?;
    let named = found.named.clone();
    let state = State::of(&found.survey(progress)?);
    if state.is_whole() {
        state.accounts_for(&named)?;
    }
    Ok(state)
}

/// What parity beside a bundle can do for it, where there is some: for whoever has found damage.
pub fn outlook(places: &[PathBuf], progress: &dyn Progress) -> Option<State> {
    let mut found = find(places, Effort::Quick).ok()?;
    let survey = found.survey(progress).ok()?;
    Some(State::of(&survey))
}

/// Whether there is parity beside a bundle.
pub fn is_there(places: &[PathBuf]) -> bool {
    find(places, Effort::Quick).is_ok()
}

/// Whether parity that lies beside a bundle is as it was: how many stretches it makes up for, and
/// how many it did. The bundle itself is not read.
pub fn condition(places: &[PathBuf], progress: &dyn Progress) -> Option<(usize, usize)> {
    let found = find(places, Effort::Quick).ok()?;
    let own = |medium: &&Medium| found.named.contains(&medium.path);
    let mut named = found.media.files().iter().filter(own);
    if !found.named.is_empty()
        && !named.any(|medium| found.parity.covers(&medium.path, medium.length))
    {
        return None;
    }
    let mut media = Media::default();
    for path in found.parity.files() {
        media.add(path).ok()?;
    }
    let total = media.files().iter().map(|medium| medium.length).sum();
    let budget = phase("looking at the parity", total, progress, |advance| {
        Ok(Survey::new(&found.parity, &media, usize::MAX, advance).budget())
    });
    Some((budget.ok()?, found.parity.description().layout().recovery()))
}

/// What is to be repaired.
pub struct Request<'a> {
    /// Files and folders with what is left of the volumes, and of the parity.
    pub places: Vec<PathBuf>,
    /// A file for one volume, a folder for several.
    pub output: PathBuf,
    /// Whether volumes that are whole are written too.
    pub all: bool,
    /// Whether files that are there are replaced.
    pub force: bool,
    /// Whose signatures count; asked for when there is something to prove.
    pub trust: &'a dyn Fn() -> Result<Trust>,
}

/// What a repair has done.
#[derive(Debug)]
pub struct Report {
    /// What there was.
    pub state: State,
    /// The volumes that were written.
    pub written: Vec<PathBuf>,
    /// What vouches for them.
    pub proof: Proof,
    /// Whether the bundle itself is whole and signed, and only not what it was when its parity was
    /// made.
    pub outgrown: bool,
}

/// What vouches for what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing was written.
    Nothing,
    /// Signed by a trusted key, and every stored byte is the one that was signed.
    Signed,
    /// The table of the parity alone: the volumes are encrypted.
    Table,
}

/// Gives back the volumes that are damaged or missing.
///
/// # Errors
/// [`Kind::Damaged`](crate::model::Kind::Damaged) where more is lost than the parity makes up for; [`Kind::Untrusted`](crate::model::Kind::Untrusted) where what
/// comes out is not signed by a trusted key; as for [`look`]. Then nothing is written.
pub fn repair(request: &Request<'_>, progress: &dyn Progress) -> Result<Report> {
    let mut found = find(&request.places, Effort::Thorough)?;
    let named = found.named.clone();
    let survey = found.survey(progress)?;
    let state = State::of(&survey);
    let nothing = |state, outgrown| {
        Ok(Report { state, written: Vec::new(), proof: Proof::Nothing, outgrown })
    };
    if state.is_whole() && !request.all {
        state.accounts_for(&named)?;
        return nothing(state, false);
    }
    if !state.can_be_repaired() {
        return Err(too_much(&state));
    }
    // Whoever has no key should learn it before a long repair.
    let is_plain = |volume: &FileState| {
        Path::new(&volume.name).extension().is_none_or(|extension| extension != "age")
    };
    let any_is_plain = state.volumes.iter().any(is_plain);
    let trust = if any_is_plain { Some((request.trust)()?) } else { None };
    // Whoever signed it since should not lose that.
    let stands = |trust: &Trust| {
        let bundle = open(&request.places, trust);
        bundle.and_then(|bundle| every_byte(&bundle, progress)).is_ok()
    };
    if !request.all && trust.as_ref().is_some_and(stands) {
        return nothing(state, true);
    }
    let wanted = |(_, volume): &(usize, &FileState)| request.all || volume.whole.is_none();
    let wanted: Vec<usize> =
        state.volumes.iter().enumerate().filter(wanted).map(|(number, _)| number).collect();
    let targets = targets(&state, &wanted, request)?;
    let bytes = wanted.iter().map(|&number| state.volumes[number].length).sum();
    if let Some(first) = targets.first() {
        require_room(first, "what is repaired", bytes)?;
    }
    let mut outputs = Vec::new();
    for (&number, target) in wanted.iter().zip(&targets) {
        outputs.push((number, AtomicFile::create(target, 0o644)?));
    }
    phase("repairing", survey.work(&wanted), progress, |advance| {
        survey.mend(&mut outputs, advance)
    })?;
    let proof = prove(&state, &outputs, trust, request, progress)?;
    let files = outputs.into_iter().map(|(_, output)| output);
    name_together(synced(files, &targets)?)?;
    Ok(Report { state, written: targets, proof, outgrown: false })
}

/// The files that are written; none of them is one that was read.
fn targets(state: &State, wanted: &[usize], request: &Request<'_>) -> Result<Vec<PathBuf>> {
    let output = &request.output;
    let targets: Vec<PathBuf> = if state.volumes.len() == 1 && !output.is_dir() {
        vec![output.clone()]
    } else {
        std::fs::create_dir_all(output)
            .map_err(|e| Error::io(format!("cannot make the folder {}", output.display()), e))?;
        wanted.iter().map(|&number| output.join(&state.volumes[number].name)).collect()
    };
    let there = targets.iter().find(|target| target.symlink_metadata().is_ok());
    match there {
        Some(there) if !request.force => Err(in_the_way(there)),
        _ => Ok(targets),
    }
}

/// Proves what was written as anything that arrives, together with the volumes that were whole.
fn prove(
    state: &State,
    outputs: &[(usize, AtomicFile)],
    trust: Option<Trust>,
    request: &Request<'_>,
    progress: &dyn Progress,
) -> Result<Proof> {
    let mut files: Vec<PathBuf> = Vec::new();
    for (number, volume) in state.volumes.iter().enumerate() {
        let written = outputs.iter().find(|(wanted, _)| *wanted == number);
        let written = written.map(|(_, output)| output.temporary().to_owned());
        files.extend(written.or_else(|| volume.whole.clone()));
    }
    if files.iter().all(|path| is_age(path)) {
        return Ok(Proof::Table);
    }
    let trust = match trust {
        Some(trust) => trust,
        None => (request.trust)()?,
    };
    let proved = open(&files, &trust).and_then(|bundle| every_byte(&bundle, progress));
    proved.map(|()| Proof::Signed).map_err(|error| {
        error.context("what the parity gives back is not accepted, and nothing was written")
    })
}

fn open(files: &[PathBuf], trust: &Trust) -> Result<Bundle<Authentic>> {
    Bundle::open_set(files, None, &Identities::default())?.authenticate(trust)
}

/// Every byte of the volumes against what was signed; the first thing that is wrong.
fn every_byte(bundle: &Bundle<Authentic>, progress: &dyn Progress) -> Result<()> {
    let total = bundle.contents().manifest.packs.iter().map(|pack| pack.size).sum();
    phase("proving what was repaired", total, progress, |advance| {
        let mut findings = bundle.examine_frame();
        findings.extend(bundle.examine_packs(0..bundle.pack_count(), advance));
        match findings.into_iter().next() {
            Some(finding) => Err(finding.error),
            None => Ok(()),
        }
    })
}

fn is_age(path: &Path) -> bool {
    let mut begin = [0; AGE.len()];
    let read = std::fs::File::open(path).and_then(|mut file| {
        use std::io::Read;
        file.read_exact(&mut begin)
    });
    read.is_ok() && begin == AGE
}

/// More is lost than there is parity for.
fn too_much(state: &State) -> Error {
    let parts = state.volumes.iter().filter(|volume| volume.whole.is_none()).map(|volume| {
        let name = &volume.name;
        let (lost, shards) = (volume.lost, volume.shards);
        Error::damaged(if lost == shards {
            format!("{name} is missing: all its {shards} stretches are lost")
        } else {
            format!("{name}: {lost} of {shards} stretches are lost")
        })
    });
    let worn = if state.parity_is_damaged() {
        format!(", of {} when it was whole", state.coverage.budget)
    } else {
        String::new()
    };
    let parity = format!("{}{worn}", state.budget);
    Error::damaged(format!(
        "more is lost than the parity makes up for: {} stretches of {} bytes, and it is good for {parity}",
        state.lost, state.coverage.stretch
    ))
    .parts(parts.collect())
    .hint("bring another copy of any part, damaged or not, and name it too: what is whole in either is used")
}
