//! Parity: made for a finished bundle, looked at, and used to give back what a medium has spoiled.
//!
//! A repair never changes what is there. It finds pieces by their content among the files that were
//! named and those beside them, gives back whole volumes in new files, and proves these as it
//! would any bundle that arrives before they get their names.

use std::path::{Path, PathBuf};

use crate::bundle::parity::{FileState, Input, Layout, Media, Medium, Parity, Plan, Survey};
use crate::bundle::{Authentic, Bundle};
use crate::codec::atomic::AtomicFile;
use crate::endpoint::{Event, How, Progress, Transfers};
use crate::model::{Error, Result, limits};
use crate::trust::Trust;

/// What an age file begins with: a volume that is encrypted as a whole.
const AGE: &[u8] = b"age-encryption.org/";

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
    fn of(layout: &Layout) -> Self {
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
    let files = phase("making parity", total, progress, |advance| plan.make(create, advance))?;
    Ok((Made { files: outputs, bytes, percent: wanted.percent, coverage }, files))
}

/// Makes parity for volumes that have their names, and gives it its own.
///
/// # Errors
/// As for [`make`]; [`Kind::Malformed`](crate::model::Kind::Malformed) for a file that is parity itself.
pub fn make_beside(volumes: &[PathBuf], wanted: &Wanted, progress: &dyn Progress) -> Result<Made> {
    let mut media = Media::default();
    let mut inputs = Vec::new();
    for path in volumes {
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
    files.into_iter().try_for_each(AtomicFile::commit)?;
    Ok(made)
}

fn in_the_way(path: &Path) -> Error {
    Error::usage(format!("{} is already there", path.display()))
        .hint("choose another name, or add --force to replace it")
}

/// Runs something long as a phase of its own; it is given whom to tell how many bytes it has done.
fn phase<T>(
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

/// Looks for parity among these files and folders, and in the folders of the files.
fn find(places: &[PathBuf]) -> Result<Found> {
    let mut media = Media::default();
    let mut named = Vec::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    for place in places {
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
    let mut all = Parity::find(&media)?;
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
        None => Err(Error::damaged(format!("there is no parity at {}", listed(places)))
            .hint("name the file or folder with the parity of this bundle too; without it, only another copy helps")),
        Some(_) if several => Err(Error::usage(format!(
            "there is parity of several bundles at {}",
            listed(places)
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
/// [`Kind::Damaged`](crate::model::Kind::Damaged) where there is no parity; [`Kind::Malformed`](crate::model::Kind::Malformed) for hostile parity; [`Kind::Io`](crate::model::Kind::Io).
pub fn look(places: &[PathBuf], progress: &dyn Progress) -> Result<State> {
    let mut found = find(places)?;
    Ok(State::of(&found.survey(progress)?))
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
    let mut found = find(&request.places)?;
    let survey = found.survey(progress)?;
    let state = State::of(&survey);
    if state.is_whole() && !request.all {
        return Ok(Report { state, written: Vec::new(), proof: Proof::Nothing });
    }
    if !state.can_be_repaired() {
        return Err(too_much(&state));
    }
    let wanted = |(_, volume): &(usize, &FileState)| request.all || volume.whole.is_none();
    let wanted: Vec<usize> =
        state.volumes.iter().enumerate().filter(wanted).map(|(number, _)| number).collect();
    // Whoever has no key should learn it before a long repair.
    let is_encrypted = |volume: &FileState| volume.name.ends_with(".age");
    let trust = match state.volumes.iter().all(is_encrypted) {
        true => None,
        false => Some((request.trust)()?),
    };
    let targets = targets(&state, &wanted, request)?;
    let mut outputs = Vec::new();
    for (&number, target) in wanted.iter().zip(&targets) {
        outputs.push((number, AtomicFile::create(target, 0o644)?));
    }
    phase("repairing", survey.work(&wanted), progress, |advance| {
        survey.mend(&mut outputs, advance)
    })?;
    let proof = prove(&state, &outputs, trust, request, progress)?;
    for (_, output) in outputs {
        output.commit()?;
    }
    Ok(Report { state, written: targets, proof })
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
    match files {
        [one] => Bundle::open(one)?.authenticate(trust),
        _ => Err(Error::malformed("this version of sealift reads bundles of one volume")),
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
    let parity = match state.parity_is_damaged() {
        true => format!(
            "{} of the {} that the parity made up for when it was whole",
            state.budget, state.coverage.budget
        ),
        false => format!("{}", state.budget),
    };
    Error::damaged(format!(
        "more is lost than the parity makes up for: {} stretches of {} bytes, and it is good for {parity}",
        state.lost, state.coverage.stretch
    ))
    .parts(parts.collect())
    .hint("bring another copy of any part, damaged or not, and name it too: what is whole in either is used")
}
