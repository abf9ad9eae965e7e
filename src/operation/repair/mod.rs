//! Repair: parity gives back what a medium has spoiled.
//!
//! A repair never changes what is there. It finds pieces by their content among the files that were
//! named and those beside them, gives back whole volumes in new files, and proves each of these to be a
//! volume that was signed before they get their names.

mod find;

use std::path::{Path, PathBuf};

use self::find::{Effort, find, listed};
use super::parity::{Coverage, in_the_way, is_age, phase, require_room, synced};
use crate::bundle::parity::{FileState, Media, Medium, Survey};
use crate::bundle::{Authentic, Bundle, is_closed};
use crate::codec::atomic::{AtomicFile, name_together};
use crate::codec::encryption::Identities;
use crate::endpoint::Progress;
use crate::model::{Error, Result};
use crate::trust::Trust;

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

/// Says what there is of a set and of its parity.
///
/// # Errors
/// [`Kind::Damaged`](crate::model::Kind::Damaged) where there is no parity, or a file that was named
/// is not of it; [`Kind::Malformed`](crate::model::Kind::Malformed) for hostile parity;
/// [`Kind::Io`](crate::model::Kind::Io).
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

/// Whether what was named is encrypted, as far as files were named.
pub fn is_encrypted(places: &[PathBuf]) -> bool {
    places.iter().any(|path| is_age(path))
}

/// Parity that lies beside a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// How many stretches it makes up for.
    pub left: usize,
    /// How many it did when it was made.
    pub whole: usize,
    /// Its files.
    pub files: Vec<PathBuf>,
}

/// Whether parity that lies beside a bundle is as it was. The bundle itself is not read.
pub fn condition(places: &[PathBuf], progress: &dyn Progress) -> Option<Condition> {
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
    let left = phase("looking at the parity", total, progress, |advance| {
        Ok(Survey::of_recovery(&found.parity, &media, advance).budget())
    });
    Some(Condition {
        left: left.ok()?,
        whole: found.parity.description().layout().recovery(),
        files: found.parity.files().to_vec(),
    })
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
    /// What opens an encrypted bundle.
    pub identities: Identities,
    /// Whether an encrypted bundle must be opened and proved, too. If not, and nothing that is here
    /// opens it, its parity alone vouches for it.
    pub must_open: bool,
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
    /// Each file is a volume that a trusted key signed, and every stored byte is the one that was
    /// signed.
    Signed,
    /// The table of the parity alone: the volumes are encrypted, and nothing that is here opens them
    /// or says who may have signed them.
    Table,
}

/// Gives back the volumes that are damaged or missing.
///
/// # Errors
/// [`Kind::Damaged`](crate::model::Kind::Damaged) where more is lost than the parity makes up for;
/// [`Kind::Untrusted`](crate::model::Kind::Untrusted) where what comes out is not signed by a trusted key,
/// or is no volume of what was signed; as for [`look`]. Then nothing is written.
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
    let any_is_plain = state.volumes.iter().any(is_plain);
    let trust = if any_is_plain || request.must_open {
        Some((request.trust)()?)
    } else if request.identities.is_empty() {
        None
    } else {
        (request.trust)().ok()
    };
    // Whoever signed it since should not lose that.
    let stands = |trust: &Trust| stands(request, trust, progress).is_ok();
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

/// Proves that what was written and the volumes that were whole are what was signed, each of them.
fn prove(
    state: &State,
    outputs: &[(usize, AtomicFile)],
    trust: Option<Trust>,
    request: &Request<'_>,
    progress: &dyn Progress,
) -> Result<Proof> {
    let file = |(number, volume): (usize, &FileState)| {
        let written = outputs.iter().find(|(wanted, _)| *wanted == number);
        let written = written.map(|(_, output)| output.temporary().to_owned());
        let file = written.or_else(|| volume.whole.clone());
        file.ok_or_else(|| Error::damaged(format!("{} is not there", volume.name)))
    };
    let files = state.volumes.iter().enumerate().map(file).collect::<Result<Vec<_>>>()?;
    let all_are_encrypted = files.iter().all(|path| is_age(path));
    if all_are_encrypted && !request.must_open {
        // Without an identity, nobody knows whether the parity was made of something whole. What one
        // opens of it has to be proved, and the rest too.
        let is_closed = request.identities.is_empty()
            || files.iter().all(|path| is_closed(path, &request.identities));
        if trust.is_none() || is_closed {
            return unproved(state);
        }
    }
    let trust = match trust {
        Some(trust) => trust,
        None => (request.trust)()?,
    };
    let names: Vec<&str> = state.volumes.iter().map(|volume| &*volume.name).collect();
    let proved = Bundle::open_exactly(&files, &request.identities)
        .and_then(|bundle| bundle.authenticate(&trust))
        .and_then(|bundle| {
            each_is_a_volume(&bundle, &files, &names)?;
            every_byte(&bundle, progress)
        });
    proved.map(|()| Proof::Signed).map_err(|error| {
        error.context("what the parity gives back is not accepted, and nothing was written")
    })
}

/// Whether a volume is not encrypted, by its name.
fn is_plain(volume: &FileState) -> bool {
    Path::new(&volume.name).extension().is_none_or(|extension| extension != "age")
}

/// Files for which the parity alone vouches: whoever made it chose their names too. None gets the
/// name of something that is not encrypted.
fn unproved(state: &State) -> Result<Proof> {
    match state.volumes.iter().find(|volume| is_plain(volume)) {
        None => Ok(Proof::Table),
        Some(volume) => Err(Error::untrusted(format!(
            "nobody vouches for {}: it is encrypted, and is not called so; nothing was written",
            volume.name
        ))
        .hint("name what opens the bundle with --identity: then it is proved")),
    }
}

/// Whether the bundle stands, signed and whole, in one file for each volume, whatever its parity says.
fn stands(request: &Request<'_>, trust: &Trust, progress: &dyn Progress) -> Result<()> {
    let identities = &request.identities;
    let bundle = Bundle::open_set(&request.places, None, identities)?.authenticate(trust)?;
    let files: Vec<PathBuf> =
        bundle.volumes().into_iter().filter_map(|volume| volume.file).collect();
    let bundle = Bundle::open_exactly(&files, identities)?.authenticate(trust)?;
    every_byte(&bundle, progress)
}

/// That each file is a volume of the bundle, and each volume one of the files. `names` are those
/// under which the parity has them.
fn each_is_a_volume(bundle: &Bundle<Authentic>, files: &[PathBuf], names: &[&str]) -> Result<()> {
    let strangers: Vec<&str> =
        bundle.strangers(files).into_iter().map(|number| names[number]).collect();
    if !strangers.is_empty() {
        return Err(Error::untrusted(format!(
            "no trusted key has signed all that the parity covers: {} is no volume of the bundle",
            strangers.join(", ")
        ))
        .hint("take parity that was made for this bundle alone, from where the bundle comes"));
    }
    let volumes = bundle.volumes();
    match volumes.iter().find(|volume| volume.file.is_none()) {
        None => Ok(()),
        Some(missing) => Err(Error::damaged(format!(
            "the parity does not cover volume {} of {}: the bundle cannot be proved without it",
            missing.number,
            volumes.len()
        ))
        .hint("take parity that was made for all volumes: sealift parity makes it where they are whole")),
    }
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
