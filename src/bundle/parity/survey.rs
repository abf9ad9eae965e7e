//! What is there of a set that parity covers: found by content, whatever the files are called.

use std::collections::HashMap;
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

/// For each byte of a file, so many are hashed at most to see whether a description is whole.
const TRIED_BYTES: u64 = 4;

/// A set has at most as many parity volumes as recovery shards. Of so many copies of each it is
/// remembered where they are.
const COPIES: usize = 4;

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
        let mut found: Vec<Self> = Vec::new();
        let mut known: HashMap<[u8; 32], usize> = HashMap::new();
        let mut odd = None;
        for (number, medium) in media.files().iter().enumerate() {
            match read_description(media, number, everywhere) {
                Ok(description) => {
                    let at = *known.entry(description.id()).or_insert(found.len());
                    if at == found.len() {
                        found.push(Self { description, files: Vec::new() });
                    }
                    let parity = &mut found[at];
                    if parity.files.len() < COPIES * parity.description.layout.recovery() {
                        parity.files.push(medium.path.clone());
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
        (found, odd)
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The files with a whole description; of very many copies some.
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
    let (mut tries, mut bytes) = (0, length.saturating_mul(TRIED_BYTES));
    let mut window = vec![0; WINDOW.min(length) as usize];
    let mut at = 0;
    loop {
        let window = &mut window[..WINDOW.min(length - at) as usize];
        media.read(number, at, window);
        let mut from = 0;
        while let Some(next) = position(&window[from..], TYPE_LINE) {
            let begin = from + next;
            from = begin + 1;
            let member = member(window, begin);
            tries += 1;
            bytes = match bytes.checked_sub(member.len() as u64) {
                Some(left) if tries <= MOST_TRIES => left,
                _ => return Err(odd),
            };
            match Description::parse(member) {
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
        let layout = &parity.description.layout;
        let is_enough = |number: usize, spots: &[Option<Spot>]| {
            let lost = |spots: &[Option<_>]| spots.iter().filter(|spot| spot.is_none()).count();
            let missing = lost(&spots[..layout.data()]);
            number >= likely && missing <= layout.recovery() - lost(&spots[layout.data()..])
        };
        Self::until(parity, media, is_enough, advance)
    }

    /// Looks through files for recovery shards, until all were found.
    pub fn of_recovery(parity: &'a Parity, media: &'a Media, advance: &dyn Fn(u64)) -> Self {
        let data = parity.description.layout.data();
        let is_enough = |_, spots: &[Option<Spot>]| spots[data..].iter().all(Option::is_some);
        Self::until(parity, media, is_enough, advance)
    }

    /// Looks through one file after another, until it is enough.
    fn until(
        parity: &'a Parity,
        media: &'a Media,
        is_enough: impl Fn(usize, &[Option<Spot>]) -> bool,
        advance: &dyn Fn(u64),
    ) -> Self {
        let lookup = Lookup::new(&parity.description);
        let bytes = media.files().iter().map(|medium| medium.length);
        let mut finds = lookup.nothing(bytes.fold(0, u64::saturating_add));
        for number in 0..media.files().len() {
            if is_enough(number, &finds.spots) {
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

#[cfg(test)]
mod tests {
    use super::super::description::Mark;
    use super::super::layout::{Covered, Layout};
    use super::*;
    use sha2::{Digest as _, Sha256};

    fn description() -> Description {
        let files = vec![Covered { name: "app.sealift".to_owned(), length: 31_232 }];
        let layout = Layout::new(16_384, files, 1).unwrap();
        Description { set: None, layout, marks: vec![Mark::default(); 3] }
    }

    fn media(folder: &Path, files: &[Vec<u8>]) -> Media {
        let mut media = Media::default();
        for (number, bytes) in files.iter().enumerate() {
            let path = folder.join(number.to_string());
            std::fs::write(&path, bytes).unwrap();
            media.add(&path).unwrap();
        }
        media
    }

    #[test]
    fn of_very_many_copies_some_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let media = media(folder.path(), &vec![description().to_bytes(); 20]);
        let found = Parity::find_quickly(&media);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].files.len(), COPIES);
    }

    #[test]
    fn what_only_begins_as_a_description_is_tried_a_few_times() {
        let folder = tempfile::tempdir().unwrap();
        let good = description().to_bytes();
        let after =
            |tries: usize| [TYPE_LINE.repeat(tries), vec![0; 10_000], good.clone()].concat();
        let media = media(folder.path(), &[after(2), after(40)]);
        let found = Parity::find_quickly(&media);
        assert_eq!(found[0].files, [folder.path().join("0")]);
    }

    #[test]
    fn a_shard_that_is_longer_than_every_file_is_no_parity() {
        let mut bytes = TYPE_LINE.to_vec();
        for number in [0, 256 << 20, 1, 31_232, 1] {
            crate::codec::number::put(&mut bytes, number);
        }
        bytes.extend_from_slice(b"a\x01");
        bytes.extend_from_slice(&[1; 80]);
        let own: [u8; 32] = Sha256::digest(&bytes).into();
        bytes.extend_from_slice(&own);
        let flaw = Description::parse(&bytes).unwrap_err();
        assert_eq!(flaw, Flaw::Malformed("a shard is longer than any file"));
    }
}
