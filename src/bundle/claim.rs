//! What the beginning of a file says that it is: which volume of which set. Only a claim, by which
//! files are found; what a volume must be is in the signed manifest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::naming::DIGITS;
use super::volume::{self, Volume, member_bytes};
use crate::model::{Result, limits};

/// What the member `volume` of a file says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    /// Name of the set.
    pub(super) set: String,
    /// Counted from 1.
    pub(super) number: u64,
}

impl Claim {
    /// What the file with this name claims; `None` where it cannot be read, too.
    pub(super) fn in_file(path: &Path) -> Option<Self> {
        Self::of(&Volume::open(path).ok()?)
    }

    /// Reads two headers and one short text; `None` where they are not those of a volume.
    pub(super) fn of(file: &Volume) -> Option<Self> {
        let (name, size, time) = volume::parse_header(&file.block(0).ok()?)?;
        if name != volume::README || size > limits::README_BYTES {
            return None;
        }
        let at = member_bytes(size);
        let (name, size, other) = volume::parse_header(&file.block(at).ok()?)?;
        if name != volume::VOLUME || size > volume::BLOCK || other != time {
            return None;
        }
        Self::parse(&file.read(at + volume::BLOCK, size).ok()?)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let lines = std::str::from_utf8(text).ok()?;
        let rest = lines.strip_prefix("sealift volume 1\nset ")?.strip_suffix('\n')?;
        let (set, number) = rest.split_once("\nnumber ")?;
        let number =
            number.parse().ok().filter(|number| (1..=limits::VOLUMES as u64).contains(number))?;
        let is_name =
            set.len() == 32 && set.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (is_name && volume::volume_text(set, number).as_bytes() == text)
            .then(|| Self { set: set.to_owned(), number })
    }
}

/// Name and content of the second member of a receipt, which tell it from a volume.
pub(super) const RECEIPT: &str = "receipt";
/// See [`RECEIPT`].
pub(super) const RECEIPT_TEXT: &[u8] = b"sealift receipt 1\n";

/// Where the member lies that makes a file a receipt.
pub(super) fn receipt_member(file: &Volume) -> Result<Option<u64>> {
    if file.length() < volume::BLOCK {
        return Ok(None);
    }
    let at = match volume::parse_header(&file.block(0)?) {
        Some((name, size, _)) if name == volume::README && size <= limits::README_BYTES => {
            member_bytes(size)
        }
        _ => return Ok(None),
    };
    if file.length() < at + volume::BLOCK {
        return Ok(None);
    }
    let member = volume::parse_header(&file.block(at)?);
    let is_one =
        member.is_some_and(|(name, size, _)| name == RECEIPT && size == RECEIPT_TEXT.len() as u64);
    Ok(is_one.then_some(at))
}

/// Whether a file begins as a receipt.
pub(super) fn begins_as_receipt(file: &Volume) -> Result<bool> {
    Ok(receipt_member(file)?.is_some())
}

/// The beginning of the name of a set, for people.
pub(super) fn short(set: &str) -> String {
    format!("{}…", set.get(..8).unwrap_or(set))
}

/// A set as people are told of it: as it was called, where its files still tell, and the beginning of
/// the name that it gives itself.
pub(super) fn called(title: Option<&str>, set: &str) -> String {
    match title {
        Some(title) => format!("{title} (set {})", short(set)),
        None => format!("the set {}", short(set)),
    }
}

/// How the files of a set are called, as far as the name of one of them tells. For messages alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Series {
    before: String,
    digits: usize,
    behind: String,
}

impl Series {
    /// From the file of a volume; `None` where its number is not in its name.
    pub(super) fn of(path: &Path, number: u64) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let mut rest = name;
        loop {
            let end = rest.rfind(|c: char| c.is_ascii_digit())? + 1;
            let begin = rest[..end]
                .rfind(|c: char| !c.is_ascii_digit())
                .map_or(0, |at| at + rest[at..].chars().next().map_or(1, char::len_utf8));
            if rest[begin..end].parse() == Ok(number) {
                return Some(Self {
                    before: name[..begin].to_owned(),
                    digits: end - begin,
                    behind: name[end..].to_owned(),
                });
            }
            rest = &rest[..begin];
        }
    }

    /// How most of these files are called that have their number in their name; of several such ways,
    /// one that sealift would have chosen. And where the first of those files lies: a copy that
    /// somebody renamed says nothing of the others.
    pub(super) fn of_most<'a>(
        files: impl Iterator<Item = (&'a Path, u64)>,
    ) -> Option<(Self, PathBuf)> {
        let mut found: HashMap<Self, (usize, usize, &Path)> = HashMap::new();
        for (place, (path, number)) in files.enumerate() {
            if let Some(series) = Self::of(path, number) {
                found.entry(series).or_insert((0, place, path)).0 += 1;
            }
        }
        let weight = |(series, (count, place, _)): &(Self, (usize, usize, &Path))| {
            (*count, series.digits >= DIGITS, std::cmp::Reverse(*place))
        };
        let best = found.into_iter().max_by_key(weight);
        best.map(|(series, (.., path))| (series, path.to_owned()))
    }

    /// What the file of another volume is probably called.
    pub(super) fn file(&self, number: u64) -> String {
        format!("{}{number:0digits$}{}", self.before, self.behind, digits = self.digits)
    }

    /// What the set was probably called when it was written.
    pub(super) fn set(&self) -> String {
        let before = self.before.trim_end_matches(['.', '-', '_']);
        format!("{before}{}", self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_in_one_form_alone() {
        let set = "0123456789abcdef0123456789abcdef";
        let text = volume::volume_text(set, 12);
        let claim = Claim { set: set.to_owned(), number: 12 };
        assert_eq!(Claim::parse(text.as_bytes()), Some(claim));
        let others = [
            volume::volume_text(set, 0),
            volume::volume_text(set, 10_000),
            volume::volume_text(&set[1..], 1),
            volume::volume_text(&set.to_uppercase(), 1),
            text.replace("12", "012"),
            text.replace("12", "+12"),
            text.replace("12", "-1"),
            format!("{text}\n"),
            text.trim_end().to_owned(),
        ];
        for other in others {
            assert_eq!(Claim::parse(other.as_bytes()), None, "{other:?}");
        }
    }

    #[test]
    fn a_renamed_copy_does_not_name_the_set() {
        let most = |names: &[(&str, u64)]| {
            let files = names.iter().map(|(name, number)| (Path::new(*name), *number));
            Series::of_most(files).map(|(series, at)| (series.set(), at.display().to_string()))
        };
        let named = |set: &str, at: &str| Some((set.to_owned(), at.to_owned()));
        let names = [("copy1.bin", 1), ("Z", 2), ("m/app.004.sealift", 4)];
        assert_eq!(most(&names), named("app.sealift", "m/app.004.sealift"));
        let names = [("app.001.sealift", 1), ("b-2", 2), ("b-3", 3)];
        assert_eq!(most(&names), named("b", "b-2"));
        assert_eq!(most(&[("Z", 1), ("app.003.sealift", 2)]), None);
    }

    #[test]
    fn names_of_other_volumes_follow_from_one() {
        let series = |name: &str, number| Series::of(Path::new(name), number);
        let one = series("/m/app-2.1.003.sealift", 3).unwrap();
        assert_eq!(one.file(12), "app-2.1.012.sealift");
        assert_eq!(one.set(), "app-2.1.sealift");
        assert_eq!(one.file(12_345), "app-2.1.12345.sealift");
        let moved = series("3 of app-99.sealift", 3).unwrap();
        assert_eq!(moved.file(1), "1 of app-99.sealift");
        assert_eq!(series("ü003ü", 3).unwrap().file(4), "ü004ü");
        for (name, number) in [("app.sealift", 1), ("app.003.sealift", 2), ("", 1), ("/", 1)] {
            assert_eq!(series(name, number), None, "{name}");
        }
    }
}
