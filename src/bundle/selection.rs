//! Which bundle is meant, of all whose volumes are at hand, and where its signed tail is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::claim::{Claim, Series, begins_as_receipt, called};
use super::foreign::companion;
use super::handles::Handles;
use super::search::{Candidate, Origin, Search};
use super::tail::Tail;
use super::volume::Volume;
use crate::codec::encryption::Identities;
use crate::model::{Error, Result, limits};

/// A tail that nobody has proved yet.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) tail: Tail,
    pub(super) file: Arc<Volume>,
    /// Whether the file is a receipt: it has the index, but is no volume.
    pub(super) is_receipt: bool,
}

/// What was made out.
pub(super) enum Selection {
    /// One bundle, and its tails that differ. There is one in all but strange cases.
    Tails(Vec<Found>),
    /// Volumes of one set, without the last.
    Headless(Headless),
}

/// A set whose last volume is not at hand.
pub(super) struct Headless {
    pub(super) set: String,
    /// What the set is called, as far as names tell.
    pub(super) title: Option<String>,
    /// What the last volume may be called.
    pub(super) file: Option<String>,
    numbers: Vec<u64>,
    /// Why a file that may be the last volume cannot be opened.
    trouble: Option<String>,
}

impl Headless {
    fn of(search: &Search, set: &str) -> Self {
        let own = || search.found.iter().filter(|candidate| candidate.is_of(set));
        let number = |candidate: &Candidate| candidate.claim.as_ref().map(|claim| claim.number);
        let numbers: BTreeSet<u64> = own().filter_map(number).collect();
        let last = numbers.last().copied().unwrap_or_default();
        let series = series_of(own());
        let file = series.as_ref().map(|(series, _)| series.file(last + 1));
        Self {
            title: series.map(|(series, at)| titled(&series, &at)),
            trouble: file.as_ref().and_then(|file| Some(search.trouble_with(file)?.chain())),
            file,
            set: set.to_owned(),
            numbers: numbers.into_iter().collect(),
        }
    }

    /// Nothing can be done with such a set.
    pub(super) fn error(&self) -> Error {
        let file =
            self.file.as_ref().map_or_else(String::new, |file| format!(", {file} or a later one,"));
        let which = called(self.title.as_deref(), &self.set);
        let error = Error::damaged(format!(
            "the last volume of {which} is not there: it holds manifest and signatures, and without it nothing can be said of the others"
        ));
        let error = match &self.trouble {
            Some(why) => error.because(why.clone()),
            None => error,
        };
        error.hint(format!(
            "{} there: bring the last volume{file} to them, or name its file too",
            there(&self.numbers)
        ))
    }
}

fn there(numbers: &[u64]) -> String {
    match numbers {
        [one] => format!("volume {one} is"),
        many => format!("volumes {} are", spans(many)),
    }
}

/// Ascending numbers, in few words.
pub(super) fn spans(numbers: &[u64]) -> String {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first} to {last}"),
        })
        .collect();
    parts.join(", ")
}

/// How the files of a set are called, and where the first lies that is called so.
fn series_of<'a>(files: impl Iterator<Item = &'a Candidate>) -> Option<(Series, PathBuf)> {
    Series::of_most(
        files.filter_map(|file| Some((file.path.as_path(), file.claim.as_ref()?.number))),
    )
}

/// What a set is called for people, after how its files are called.
pub(super) fn titled(series: &Series, at: &Path) -> String {
    at.with_file_name(series.set()).display().to_string()
}

/// The files that make up what was named, as far as they say so; for whoever has to list them. What
/// cannot be opened is listed as it was named.
pub fn files_of_set(paths: &[PathBuf], identities: &Identities) -> Vec<PathBuf> {
    let Ok(mut search) = Search::of(paths, identities) else { return paths.to_vec() };
    let single = |search: &Search| match &search.found[..] {
        [one] => Volume::open_with(&one.path, identities).is_ok_and(|file| Tail::is_hinted(&file)),
        _ => false,
    };
    let is_whole = single(&search) && search.found[0].claim.as_ref().is_none_or(|c| c.number == 1);
    if !is_whole && search.beside().is_err() {
        return paths.to_vec();
    }
    let claims = |origins: &[Origin]| -> BTreeSet<&Claim> {
        let own = search.found.iter().filter(|candidate| origins.contains(&candidate.origin));
        own.filter_map(|candidate| candidate.claim.as_ref()).collect()
    };
    let named = claims(&[Origin::Named]);
    let sets: BTreeSet<&str> =
        claims(&[Origin::Named, Origin::Folder]).iter().map(|claim| claim.set.as_str()).collect();
    let counts = |candidate: &&Candidate| match (candidate.origin, &candidate.claim) {
        (Origin::Named | Origin::Tail, _) | (Origin::Folder, Some(_)) => true,
        (_, None) => false,
        (Origin::Beside, Some(claim)) => {
            sets.contains(claim.set.as_str()) && !named.contains(claim)
        }
    };
    search.found.iter().filter(counts).map(|candidate| candidate.path.clone()).collect()
}

/// The tail in a file that was named for it: a last volume or a receipt.
pub(super) fn tail_in(path: &Path, handles: &Handles) -> Result<Found> {
    let file = handles.open(path)?;
    match Tail::find(&file)? {
        Some(tail) => Ok(Found { tail, is_receipt: begins_as_receipt(&file)?, file }),
        None => Err(Error::usage(format!("{} is not the last volume of its set", path.display()))
            .hint("name the last volume, or a receipt of the bundle, with --tail")),
    }
}

/// Finds the tail of what is meant.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where several bundles are there, or volumes of several
/// without a last one; [`Kind::Io`](crate::model::Kind::Io) where there is none; else what is wrong
/// with the only file.
pub(super) fn select(search: &mut Search, handles: &Handles) -> Result<Selection> {
    let mut trouble = None;
    if let ([path], []) = (&search.files[..], &search.folders[..]) {
        // A file that was named alone and has a tail is what is meant. No other is looked at.
        let named = search.found.iter().find(|found| found.path == *path);
        let claimed = named.is_some_and(|found| found.claim.is_some());
        let file = match named {
            Some(candidate) => opened(candidate, handles)?,
            None => handles.open(path)?,
        };
        if let (false, Some(error)) = (claimed, companion(&file)) {
            return Err(error);
        }
        match Tail::find(&file) {
            Ok(Some(tail)) => {
                return Ok(Selection::Tails(vec![Found { tail, file, is_receipt: false }]));
            }
            Err(error) if !claimed => return Err(error),
            Err(error) => trouble = Some(error),
            Ok(None) if !claimed => {
                return Err(Error::damaged(format!(
                    "{} does not say which volume it is, and it is not the last of its set",
                    path.display()
                ))
                .hint("name the last volume of the set too, or copy this one again"));
            }
            Ok(None) => {}
        }
    }
    let considered = |search: &Search| -> BTreeSet<String> {
        let own = search.found.iter().filter(|candidate| candidate.origin != Origin::Beside);
        own.filter_map(|candidate| Some(candidate.claim.as_ref()?.set.clone())).collect()
    };
    let sets = considered(search);
    let mut with_tail = Vec::new();
    for looks_beside in [false, true] {
        if looks_beside {
            search.beside()?;
        }
        for set in &sets {
            match tails_of(search, set, handles) {
                Ok(tails) if !tails.is_empty() => with_tail.push((set, tails)),
                Ok(_) => {}
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        if !with_tail.is_empty() {
            break;
        }
    }
    if with_tail.len() > 1 {
        return Err(several(search, with_tail.iter().map(|(set, _)| set.as_str())));
    }
    if let Some((_, tails)) = with_tail.pop() {
        return Ok(Selection::Tails(tails));
    }
    if let Some(found) = unclaimed(search, handles)? {
        return Ok(Selection::Tails(vec![found]));
    }
    if let Some(error) = trouble {
        return Err(error);
    }
    let mut sets = sets.into_iter();
    match (sets.next(), sets.next()) {
        (Some(set), None) => Ok(Selection::Headless(Headless::of(search, &set))),
        (Some(first), Some(second)) => {
            let all: Vec<String> = [first, second].into_iter().chain(sets).collect();
            Err(several(search, all.iter().map(String::as_str)))
        }
        (None, _) => Err(search.nothing_there()),
    }
}

/// The tails of a set: those of its highest volumes that have one.
///
/// # Errors
/// What is wrong with its highest volume, where it has none and that is the reason.
fn tails_of(search: &Search, set: &str, handles: &Handles) -> Result<Vec<Found>> {
    let number = |candidate: &Candidate| candidate.claim.as_ref().map_or(0, |claim| claim.number);
    let own = || search.found.iter().filter(|candidate| candidate.is_of(set));
    let named: BTreeSet<u64> =
        own().filter(|candidate| candidate.origin == Origin::Named).map(number).collect();
    let least = named.last().copied().unwrap_or_default();
    let may_serve = |candidate: &&Candidate| {
        number(candidate) >= least
            && (candidate.origin != Origin::Beside || !named.contains(&number(candidate)))
    };
    let mut own: Vec<&Candidate> = own().filter(may_serve).collect();
    own.sort_by_key(|candidate| std::cmp::Reverse(number(candidate)));
    let mut tails: Vec<Found> = Vec::new();
    let mut trouble = None;
    for (at, candidate) in own.iter().enumerate() {
        if tails.first().is_some_and(|_| number(own[at - 1]) != number(candidate))
            || tails.len() == limits::TAILS
        {
            break;
        }
        let Ok(file) = opened(candidate, handles) else { continue };
        // Where the end is of no use, the members say where the manifest is; of a file that is the
        // highest.
        if !Tail::is_hinted(&file) && number(candidate) != number(own[0]) {
            continue;
        }
        match Tail::find(&file) {
            Ok(Some(tail)) => {
                if tails.iter().all(|known| known.tail != tail) {
                    tails.push(Found { tail, file, is_receipt: false });
                }
            }
            Ok(None) => {}
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    match trouble {
        Some(error) if tails.is_empty() => Err(error),
        _ => Ok(tails),
    }
}

/// The one last volume that does not say what it is.
fn unclaimed(search: &Search, handles: &Handles) -> Result<Option<Found>> {
    let mut found: Option<Found> = None;
    for candidate in search.found.iter().filter(|candidate| candidate.claim.is_none()) {
        let Ok(file) = opened(candidate, handles) else { continue };
        if !Tail::is_hinted(&file) || begins_as_receipt(&file)? {
            continue;
        }
        let Ok(Some(tail)) = Tail::find(&file) else { continue };
        if let Some(known) = &found {
            return Err(Error::usage(format!(
                "{} and {} are last volumes of two bundles",
                known.file.path().display(),
                file.path().display()
            ))
            .hint("name the one that is meant"));
        }
        found = Some(Found { tail, file, is_receipt: false });
    }
    Ok(found)
}

/// The file of a candidate, or the copy that is kept of it.
pub(super) fn opened(candidate: &Candidate, handles: &Handles) -> Result<Arc<Volume>> {
    match &candidate.copy {
        Some(copy) => Ok(Arc::clone(copy)),
        None => handles.open(&candidate.path),
    }
}

fn several<'a>(search: &Search, sets: impl Iterator<Item = &'a str>) -> Error {
    let part = |set: &str| {
        let own: Vec<&Candidate> =
            search.found.iter().filter(|candidate| candidate.is_of(set)).collect();
        let numbers: BTreeSet<u64> =
            own.iter().filter_map(|own| Some(own.claim.as_ref()?.number)).collect();
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let series = series_of(own.iter().copied());
        let title = series.map_or_else(String::new, |(series, at)| titled(&series, &at) + ": ");
        Error::usage(format!(
            "{title}{} of set {set}",
            match &numbers[..] {
                [one] => format!("volume {one}"),
                many => format!("volumes {}", spans(many)),
            }
        ))
    };
    Error::usage("more than one bundle is there, and it is not said which is meant")
        .parts(sets.map(part).collect())
        .hint("name a volume of the one that is meant")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_in_few_words() {
        assert_eq!(spans(&[1]), "1");
        assert_eq!(spans(&[1, 2]), "1, 2");
        assert_eq!(spans(&[1, 2, 3, 5, 7, 8, 9]), "1 to 3, 5, 7 to 9");
    }
}
