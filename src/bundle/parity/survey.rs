//! What is there of a set that parity covers: found by content, whatever the files are called.

use std::path::{Path, PathBuf};

use super::description::{Description, Flaw, TYPE_LINE};
use super::medium::{Media, Medium};
use super::scan::{Finds, Lookup, Scan, Spot};
use super::volume::DESCRIPTION;
use crate::bundle::claim::Claim;
use crate::bundle::foreign::is_parity;
use crate::bundle::volume::{BLOCK, Volume, parse_header};
use crate::model::{Error, Result, limits};

/// As much is searched for a description at either end of a file: one of any size, and what stands
/// before or behind it.
const WINDOW: u64 = 2 * (limits::PARITY_DESCRIPTION_BYTES + (64 << 10));

/// Places in one file that look like the beginning of a description and are none. More are not
/// tried: each costs a hash.
const MOST_TRIES: usize = 64;

/// Parity that was found, and the files that hold a whole description of it.
#[derive(Debug)]
pub struct Parity {
    description: Description,
    files: Vec<PathBuf>,
}

impl Parity {
    /// Looks for parity in these files, at both ends of each, and if there is none, everywhere in
    /// them. One for each set, in the order in which they were found.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) where there is nothing but parity that
    /// cannot be meant.
    pub fn find(media: &Media) -> Result<Vec<Self>> {
        let (found, odd) = Self::search(media, false);
        if !found.is_empty() {
            return Ok(found);
        }
        let (found, odd_anywhere) = Self::search(media, true);
        match odd.or(odd_anywhere) {
            Some(odd) if found.is_empty() => Err(odd),
            _ => Ok(found),
        }
    }

    /// Looks at both ends of each file alone. What cannot be meant is none.
    pub fn find_quickly(media: &Media) -> Vec<Self> {
        Self::search(media, false).0
    }

    fn search(media: &Media, everywhere: bool) -> (Vec<Self>, Option<Error>) {
        let mut found: Vec<([u8; 32], Self)> = Vec::new();
        let mut odd = None;
        for (number, medium) in media.files().iter().enumerate() {
            match read_description(media, number, everywhere) {
                Ok(description) => {
                    let id = description.id();
                    let path = medium.path.clone();
                    if let Some((_, known)) = found.iter_mut().find(|(known, _)| *known == id) {
                        known.files.push(path);
                    } else {
                        found.push((id, Self { description, files: vec![path] }));
                    }
                }
                Err(Flaw::Damaged) => {}
                Err(Flaw::Malformed(what)) => {
                    let path = medium.path.display();
                    odd = Some(
                        Error::malformed(format!("the parity in {path} cannot be: {what}"))
                            .hint("another copy will not help: it was made like this"),
                    );
                }
            }
        }
        (found.into_iter().map(|(_, parity)| parity).collect(), odd)
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The files with a whole description.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether it covers a file of this name or, failing that, of this length.
    pub fn covers(&self, path: &Path, length: u64) -> bool {
        let files = self.description.layout().files();
        let name = path.file_name().and_then(|name| name.to_str());
        files.iter().any(|file| Some(file.name.as_str()) == name || file.length == length)
    }

    /// Whether a file seems to be one of those that it covers, or claims to be of their set.
    pub fn concerns(&self, medium: &Medium) -> bool {
        let set = self.description.set();
        self.covers(&medium.path, medium.length)
            || set.is_some() && Claim::in_file(&medium.path).map(|claim| claim.set) == set
    }

    /// Whether a file is called so that it may be a piece of what is covered, or its parity.
    pub fn resembles(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
        let files = self.description.layout().files();
        name.contains("sealift") || files.iter().any(|file| stem(&file.name) == stem(name))
    }
}

/// Whether a file may be parity: it is called so, or begins as such.
pub fn may_be_parity(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let begins = || Volume::open_plain(path).is_ok_and(|file| file.as_ref().is_some_and(is_parity));
    name.contains("parity") || begins()
}

/// What a name begins with, before any dot.
fn stem(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// The first whole description in a file.
fn read_description(media: &Media, number: usize, everywhere: bool) -> Result<Description, Flaw> {
    let length = media.files()[number].length;
    let mut odd = Flaw::Damaged;
    let mut tries = 0;
    let mut window = vec![0; WINDOW.min(length) as usize];
    let mut at = 0;
    loop {
        let window = &mut window[..WINDOW.min(length - at) as usize];
        media.read(number, at, window);
        let mut from = 0;
        while let Some(next) = position(&window[from..], TYPE_LINE) {
            let begin = from + next;
            from = begin + 1;
            tries += 1;
            if tries > MOST_TRIES {
                return Err(odd);
            }
            match Description::parse(member(window, begin)) {
                Ok(description) => return Ok(description),
                Err(Flaw::Damaged) => {}
                Err(flaw) => odd = flaw,
            }
        }
        if at + WINDOW >= length {
            return Err(odd);
        }
        // Half of it again: a description that the end of the window cut off stands there whole.
        let next = at + WINDOW / 2;
        at = if everywhere { next } else { next.max(length.saturating_sub(WINDOW)) };
    }
}

/// The bytes from `begin` on; no more than the member has, where its header is there.
fn member(window: &[u8], begin: usize) -> &[u8] {
    let header = begin.checked_sub(BLOCK as usize).and_then(|at| window[at..].first_chunk());
    let size = header.and_then(parse_header).filter(|(name, ..)| name == DESCRIPTION);
    let rest = &window[begin..];
    let size = size.map_or(u64::MAX, |(_, size, _)| size).min(limits::PARITY_DESCRIPTION_BYTES);
    &rest[..rest.len().min(size as usize)]
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(next) = bytes[from..].iter().position(|&byte| byte == wanted[0]) {
        from += next;
        if bytes[from..].starts_with(wanted) {
            return Some(from);
        }
        from += 1;
    }
    None
}

/// One of the covered files, and what there is of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Its name when parity was made.
    pub name: String,
    /// Its length.
    pub length: u64,
    /// How many shards it has.
    pub shards: usize,
    /// How many of them are nowhere.
    pub lost: usize,
    /// The file that is it, byte for byte.
    pub whole: Option<PathBuf>,
}

impl FileState {
    /// Whether nothing of it is there.
    pub fn is_missing(&self) -> bool {
        self.whole.is_none() && self.lost == self.shards
    }
}

/// Everything that was found of a set and its parity.
#[derive(Debug)]
pub struct Survey<'a> {
    parity: &'a Parity,
    media: &'a Media,
    finds: Finds,
}

impl<'a> Survey<'a> {
    /// Looks through files for shards, in this order, until everything was found. Of those at
    /// `likely` or beyond it only as many are looked through as are needed to make up for what is
    /// lost. `advance` hears how many bytes were looked through.
    pub fn new(parity: &'a Parity, media: &'a Media, likely: usize, advance: &dyn Fn(u64)) -> Self {
        let description = &parity.description;
        let lookup = Lookup::new(description);
        let mut finds = lookup.nothing();
        for number in 0..media.files().len() {
            let data = description.layout.data();
            let lost = |spots: &[Option<_>]| spots.iter().filter(|spot| spot.is_none()).count();
            let missing = lost(&finds.spots[..data]);
            let helpers = description.layout.recovery() - lost(&finds.spots[data..]);
            if number >= likely && missing <= helpers {
                break;
            }
            Scan::new(&lookup, media, number, &mut finds).run(advance);
        }
        Self { parity, media, finds }
    }

    /// The parity.
    pub fn parity(&self) -> &Parity {
        self.parity
    }

    pub(super) fn description(&self) -> &Description {
        &self.parity.description
    }

    pub(super) fn media(&self) -> &'a Media {
        self.media
    }

    pub(super) fn finds(&self) -> &Finds {
        &self.finds
    }

    /// Each of the covered files.
    pub fn files(&self) -> Vec<FileState> {
        let layout = &self.parity.description.layout;
        let state = |(number, file): (usize, &super::layout::Covered)| {
            let shards = layout.shards_of(number);
            FileState {
                name: file.name.clone(),
                length: file.length,
                shards: shards.len(),
                lost: shards.filter(|&shard| self.finds.spots[shard].is_none()).count(),
                whole: self.finds.whole[number]
                    .map(|medium| self.media.files()[medium].path.clone()),
            }
        };
        layout.files().iter().enumerate().map(state).collect()
    }

    /// Shards of data that are nowhere, in ascending order.
    pub(super) fn lost(&self) -> Vec<usize> {
        let data = self.parity.description.layout.data();
        (0..data).filter(|&shard| self.finds.spots[shard].is_none()).collect()
    }

    /// How many shards of data are nowhere.
    pub fn lost_count(&self) -> usize {
        self.lost().len()
    }

    /// Recovery shards that are there.
    pub(super) fn helpers(&self) -> Vec<usize> {
        let layout = &self.parity.description.layout;
        (0..layout.recovery())
            .filter(|&shard| self.finds.spots[layout.data() + shard].is_some())
            .collect()
    }

    /// How many recovery shards are there: as many lost shards can be made up for.
    pub fn budget(&self) -> usize {
        self.helpers().len()
    }

    /// Whether something of this set, or of its parity, was found in a file.
    pub fn uses(&self, path: &Path) -> bool {
        let is_it = |spot: &Spot| self.media.files()[spot.medium].path == path;
        self.finds.spots.iter().flatten().any(is_it)
    }
}
