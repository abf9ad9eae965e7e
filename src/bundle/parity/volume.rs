//! A parity volume: a plain tar with text for people, the description, recovery shards, and the
//! description once more.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::bundle::volume::{self, BLOCK, END_BYTES, member_bytes};
use crate::model::{Error, Result};

/// Name of the member with the description.
pub(super) const DESCRIPTION: &str = "parity";

/// The text of the first member.
const README_TEXT: &str = "\
This is parity for a sealift bundle: it makes up for bytes of the bundle that
a medium has spoiled, cut off or lost. It is a plain tar.

  sealift repair BUNDLE -o NEW       the bundle as it was, in a new file
  sealift repair --check BUNDLE      how much is spoiled, how much can be made up for

Keep it beside the bundle; names do not matter. It holds nothing secret that the
bundle does not hold, and nobody has to trust it: what it gives back is compared
with the signature of the bundle.

The member `parity` lists the files that are covered and the SHA-256 of every
stretch of them; it stands at both ends of this file. The members below recovery/
are Reed-Solomon recovery shards. The format is described in docs/format.md of
sealift.
";

/// What a parity volume consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bytes of the description.
    pub(super) description: u64,
    /// Bytes of a shard.
    pub(super) shard: u64,
    /// The first recovery shard in it.
    pub(super) first: usize,
    /// How many there are in it.
    pub(super) count: usize,
}

impl Shape {
    /// How recovery shards are shared out among volumes of at most `limit` bytes; `None` where not
    /// even one fits.
    pub(super) fn share(
        description: u64,
        shard: u64,
        recovery: usize,
        limit: Option<u64>,
    ) -> Option<Vec<Self>> {
        let empty = Self { description, shard, first: 0, count: 0 }.bytes();
        let room = match limit {
            Some(limit) => limit.checked_sub(empty)? / member_bytes(shard),
            None => recovery as u64,
        };
        let each = usize::try_from(room).unwrap_or(recovery).min(recovery);
        if each == 0 {
            return None;
        }
        let shape = |first| Self { description, shard, first, count: each.min(recovery - first) };
        Some((0..recovery).step_by(each).map(shape).collect())
    }

    /// Length of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.shard_header(self.count) + member_bytes(self.description) + END_BYTES
    }

    /// Where the descriptions lie.
    pub(super) fn descriptions(&self) -> [u64; 2] {
        let first = member_bytes(README_TEXT.len() as u64) + BLOCK;
        [first, self.shard_header(self.count) + BLOCK]
    }

    /// Where a recovery shard lies, counted from the first in this volume.
    pub(super) fn shard_at(&self, number: usize) -> u64 {
        self.shard_header(number) + BLOCK
    }

    fn shard_header(&self, number: usize) -> u64 {
        member_bytes(README_TEXT.len() as u64)
            + member_bytes(self.description)
            + number as u64 * member_bytes(self.shard)
    }

    /// Everything but the content of `parity` and `recovery/`: offset and bytes.
    pub(super) fn frame(&self, time: u64) -> Vec<(u64, Vec<u8>)> {
        let readme = volume::header(volume::README, README_TEXT.len() as u64, time);
        let mut parts = vec![(0, [&readme[..], README_TEXT.as_bytes()].concat())];
        for at in self.descriptions() {
            let header = volume::header(DESCRIPTION, self.description, time);
            parts.push((at - BLOCK, header.to_vec()));
        }
        for number in 0..self.count {
            let name = format!("recovery/{:06}", self.first + number);
            let header = volume::header(&name, self.shard, time);
            parts.push((self.shard_header(number), header.to_vec()));
        }
        parts
    }
}

/// Where parity for a bundle is written, if nobody says otherwise: `app.parity.sealift` for
/// `app.sealift`, `app.sealift.age` and `app.001.sealift`.
pub fn beside(bundle: &Path) -> PathBuf {
    let name = bundle.file_name().and_then(|name| name.to_str()).unwrap_or("bundle");
    let stem = name.strip_suffix(".age").unwrap_or(name);
    let stem = stem.strip_suffix(".sealift").unwrap_or(stem);
    let stem = match stem.rsplit_once('.') {
        Some((stem, digits))
            if digits.len() >= 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            stem
        }
        _ => stem,
    };
    bundle.with_file_name(format!("{stem}.parity.sealift"))
}

/// The files that have a name of parity that would be written as `single`, in the order of their
/// names.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) where the folder cannot be read.
pub fn named_after(single: &Path) -> Result<Vec<PathBuf>> {
    let folder = match single.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let cannot = |e| Error::io(format!("cannot read {}", folder.display()), e);
    let is_one = |name: &OsString| {
        let path = single.with_file_name(name);
        let number = || -> Option<usize> {
            let stem = path.file_stem()?.to_str()?.strip_prefix(single.file_stem()?.to_str()?)?;
            stem.strip_prefix('-')?.parse().ok()
        };
        path == single || number().is_some_and(|number| one_of_several(single, number) == path)
    };
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name();
        if is_one(&name) {
            found.push(single.with_file_name(name));
        }
    }
    found.sort();
    Ok(found)
}

/// The first of the names that several parity volumes get.
pub fn first_of_several(single: &Path) -> PathBuf {
    numbered(single, 2).swap_remove(0)
}

/// The names of several parity volumes, given that of a single one: `app.parity-001.sealift` and so
/// on.
pub(super) fn numbered(single: &Path, count: usize) -> Vec<PathBuf> {
    if count == 1 {
        return vec![single.to_owned()];
    }
    (1..=count).map(|number| one_of_several(single, number)).collect()
}

fn one_of_several(single: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(single.file_stem().unwrap_or_default());
    name.push(format!("-{number:03}"));
    if let Some(extension) = single.extension() {
        name.push(".");
        name.push(extension);
    }
    single.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_those_of_the_bundle() {
        for bundle in ["d/app.sealift", "d/app.sealift.age", "d/app.001.sealift", "d/app"] {
            assert_eq!(beside(Path::new(bundle)), Path::new("d/app.parity.sealift"), "{bundle}");
        }
        let dated = beside(Path::new("app-1.20.sealift"));
        assert_eq!(dated, Path::new("app-1.20.parity.sealift"));
        let single = Path::new("d/app.parity.sealift");
        assert_eq!(numbered(single, 1), [single]);
        let names = ["d/app.parity-001.sealift", "d/app.parity-002.sealift"].map(PathBuf::from);
        assert_eq!(numbered(single, 2), names);
        assert_eq!(first_of_several(single), names[0]);
    }

    #[test]
    fn parity_of_an_earlier_bundle_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let own = ["a.parity-001.s", "a.parity-1000.s", "a.parity.s"];
        let others = ["a.parity-1.s", "a.parity-x.s", "a.parity-001.t", "a.s", "ab.parity.s"];
        for name in own.iter().chain(&others) {
            std::fs::write(path(name), "").unwrap();
        }
        assert_eq!(named_after(&path("a.parity.s")).unwrap(), own.map(path));
        assert_eq!(named_after(&path("none/a.s")).unwrap_err().kind(), crate::model::Kind::Io);
    }

    #[test]
    fn shards_are_shared_out_within_the_limit() {
        let share = |recovery, limit| Shape::share(1000, 16_384, recovery, limit);
        assert_eq!(share(10, None).unwrap().len(), 1);
        let all = share(10, Some(60_000)).unwrap();
        assert!(all.iter().all(|shape| shape.bytes() <= 60_000), "{all:?}");
        assert_eq!(all.iter().map(|shape| shape.count).sum::<usize>(), 10);
        assert!(all.windows(2).all(|pair| pair[1].first == pair[0].first + pair[0].count));
        for limit in [0, 10_000, 20_000] {
            assert_eq!(share(10, Some(limit)), None);
        }
    }

    #[test]
    fn nothing_in_it_overlaps() {
        let shape = Shape { description: 1000, shard: 4096, first: 3, count: 5 };
        let mut parts: Vec<(u64, u64)> =
            shape.frame(0).iter().map(|(at, bytes)| (*at, bytes.len() as u64)).collect();
        parts.extend(shape.descriptions().map(|at| (at, 1000)));
        parts.extend((0..5).map(|number| (shape.shard_at(number), 4096)));
        parts.sort_unstable();
        assert!(parts.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{parts:?}");
        let (at, length) = parts[parts.len() - 1];
        assert_eq!((at + length).next_multiple_of(512) + END_BYTES, shape.bytes());
    }
}
