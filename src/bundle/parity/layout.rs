//! How files are cut into shards: arithmetic alone, no bytes.
//!
//! The files that are covered lie one after another; each begins a new shard, and its last one is
//! filled with zeros. So a file that is lost, or comes back longer or shorter, moves no other.

use std::ops::Range;

use crate::model::{Error, Result, limits};

/// Every shard is a multiple of this: what media read and spoil at once.
const GRAIN: u64 = 4096;

/// The smallest shard that is made. Below it, the table and the tar headers (592 bytes a shard)
/// weigh more than a finer grain is worth.
const SMALLEST: u64 = 4 * GRAIN;

/// As many shards are made of the data, if the files are not more. A quarter of what the format
/// allows: a cold gigabyte takes 2.3 s to encode in place of 5.8 s, since the stretches that are
/// read at once are four times as long.
const WANTED_SHARDS: u64 = 4096;

/// A file that is covered, as it lies on the medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Its name, without any folder.
    pub name: String,
    /// Its length in bytes; not zero.
    pub length: u64,
}

/// Where a shard of data comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which of the covered files.
    pub(super) file: usize,
    /// Where in it.
    pub(super) offset: u64,
    /// How many bytes of the shard are the file's; zeros follow.
    pub(super) length: u64,
}

/// How many shards there are, how long, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    shard: u64,
    files: Vec<Covered>,
    /// The first shard of each file, and then how many there are.
    begins: Vec<usize>,
    recovery: usize,
}

impl Layout {
    /// What is made for these files, with so many hundredths of recovery data.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) for files that parity cannot cover.
    pub fn plan(files: Vec<Covered>, percent: u8) -> Result<Self> {
        let total: u64 = files.iter().map(|file| file.length.min(limits::BLOB_BYTES)).sum();
        let wanted = WANTED_SHARDS.max(2 * files.len() as u64).min(limits::PARITY_SHARDS as u64);
        let count = |shard: u64| -> u64 {
            files.iter().map(|file| file.length.min(limits::BLOB_BYTES).div_ceil(shard)).sum()
        };
        let mut shard = total.div_ceil(wanted).next_multiple_of(GRAIN).max(SMALLEST);
        let longest = longest_shard(&files);
        while count(shard) > wanted && shard < longest {
            shard = (shard + (shard / 64).next_multiple_of(GRAIN)).min(longest);
        }
        let recovery = (count(shard) * u64::from(percent)).div_ceil(100).max(1);
        Self::new(shard, files, recovery as usize).map_err(|odd| {
            Error::malformed(format!("parity cannot be made for these files: {odd}"))
        })
    }

    /// What a description says; the reason where it cannot be so.
    pub(super) fn new(
        shard: u64,
        files: Vec<Covered>,
        recovery: usize,
    ) -> Result<Self, &'static str> {
        if shard == 0 || !shard.is_multiple_of(GRAIN) || shard > limits::PARITY_SHARD_BYTES {
            return Err("a shard has an impossible size");
        }
        if files.is_empty() || files.len() > limits::VOLUMES {
            return Err("it covers no file, or too many");
        }
        if recovery == 0 || recovery > limits::PARITY_SHARDS {
            return Err("it has no recovery shards, or too many");
        }
        let mut begins = vec![0];
        let mut count = 0u64;
        for file in &files {
            if file.length == 0 || file.length > limits::BLOB_BYTES {
                return Err("a file that it covers has an impossible length");
            }
            if !is_plain_name(&file.name) {
                return Err("a file that it covers has a name that no volume has");
            }
            count += file.length.div_ceil(shard);
            if count > limits::PARITY_SHARDS as u64 {
                return Err("it has too many shards");
            }
            begins.push(count as usize);
        }
        if shard > longest_shard(&files) {
            return Err("a shard is longer than any file");
        }
        let mut names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("two files that it covers have one name");
        }
        Ok(Self { shard, files, begins, recovery })
    }

    /// Bytes of each shard.
    pub fn shard(&self) -> u64 {
        self.shard
    }

    /// The files that are covered, in the order of their shards.
    pub fn files(&self) -> &[Covered] {
        &self.files
    }

    /// How many shards of data there are.
    pub fn data(&self) -> usize {
        self.begins.last().copied().unwrap_or(0)
    }

    /// How many recovery shards there are: as many lost shards of data can be made again.
    pub fn recovery(&self) -> usize {
        self.recovery
    }

    /// The shards of a file.
    pub(super) fn shards_of(&self, file: usize) -> Range<usize> {
        self.begins[file]..self.begins[file + 1]
    }

    /// Where a shard of data comes from.
    pub(super) fn place(&self, shard: usize) -> Place {
        let file = self.begins.partition_point(|&begin| begin <= shard) - 1;
        let offset = (shard - self.begins[file]) as u64 * self.shard;
        Place { file, offset, length: self.shard.min(self.files[file].length - offset) }
    }
}

/// No shard is longer than this for these files: what is longer than all of them is zeros.
fn longest_shard(files: &[Covered]) -> u64 {
    let longest = files.iter().map(|file| file.length.min(limits::BLOB_BYTES)).max();
    longest.unwrap_or(0).next_multiple_of(GRAIN).max(SMALLEST)
}

/// Whether a name stays in its folder and paints no terminal: what comes from a stick is written
/// under it.
fn is_plain_name(name: &str) -> bool {
    (1..=limits::PARITY_NAME_BYTES).contains(&name.len())
        && !name.starts_with('.')
        && !name.chars().any(|c| c == '/' || c == '\\' || c.is_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files(lengths: &[u64]) -> Vec<Covered> {
        let name = |(number, &length)| Covered { name: format!("a.{number}"), length };
        lengths.iter().enumerate().map(name).collect()
    }

    #[test]
    fn sizes_of_bundles_that_people_make() {
        let plan = |lengths: &[u64]| {
            let layout = Layout::plan(files(lengths), 10).unwrap();
            (layout.shard() >> 10, layout.data(), layout.recovery())
        };
        assert_eq!(plan(&[1]), (16, 1, 1));
        assert_eq!(plan(&[20_000]), (16, 2, 1));
        assert_eq!(plan(&[26 << 20]), (16, 1664, 167));
        assert_eq!(plan(&[300 << 20]), (76, 4043, 405));
        assert_eq!(plan(&[(4 << 30) - 1]), (1024, 4096, 410));
        assert_eq!(plan(&[(4 << 30) - 1; 10]).1, 4040);
    }

    #[test]
    fn no_shard_is_longer_than_the_longest_file() {
        for (shard, longest) in [(16_384, 1), (20_480, 16_385), (1 << 20, 1 << 20)] {
            assert!(Layout::new(shard, files(&[1, longest]), 1).is_ok(), "{shard}");
            assert!(Layout::new(shard + 4096, files(&[1, longest]), 1).is_err(), "{shard}");
        }
        // So many volumes of one length have a shard each.
        let most = Layout::plan(files(&vec![1 << 20; limits::VOLUMES]), 10).unwrap();
        assert_eq!((most.shard(), most.data()), (1 << 20, limits::VOLUMES));
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let good = || files(&[5000, 1]);
        assert!(Layout::new(4096, good(), 1).is_ok());
        for shard in [0, 1, 4095, 4097, limits::PARITY_SHARD_BYTES + 4096, u64::MAX] {
            assert!(Layout::new(shard, good(), 1).is_err(), "{shard}");
        }
        for recovery in [0, limits::PARITY_SHARDS + 1, usize::MAX] {
            assert!(Layout::new(4096, good(), recovery).is_err(), "{recovery}");
        }
        for length in [0, u64::MAX, limits::BLOB_BYTES + 1, limits::BLOB_BYTES] {
            assert!(Layout::new(4096, files(&[1, length]), 1).is_err(), "{length}");
        }
        assert!(Layout::new(4096, Vec::new(), 1).is_err());
        assert!(Layout::new(4096, files(&vec![1; limits::VOLUMES + 1]), 1).is_err());
        for name in ["", "a/b", "..", ".a", "a\n", "a\\b", "\u{1b}[2J", &"a".repeat(256)] {
            let one = vec![Covered { name: name.to_owned(), length: 1 }];
            assert!(Layout::new(4096, one, 1).is_err(), "{name:?}");
        }
        let twice = vec![Covered { name: "a".to_owned(), length: 1 }; 2];
        assert!(Layout::new(4096, twice, 1).is_err());
    }

    proptest! {
        #[test]
        fn every_byte_lies_in_one_shard(
            lengths in prop::collection::vec(1u64..10_000_000_000, 1..60), percent in 1u8..=100
        ) {
            let layout = Layout::plan(files(&lengths), percent).unwrap();
            prop_assert!(layout.data() <= limits::PARITY_SHARDS);
            prop_assert!(layout.recovery() >= 1 && layout.recovery() <= layout.data());
            let mut ends = vec![0; lengths.len()];
            for shard in 0..layout.data() {
                let place = layout.place(shard);
                prop_assert!(layout.shards_of(place.file).contains(&shard));
                prop_assert_eq!(place.offset, ends[place.file]);
                prop_assert!(place.length > 0 && place.length <= layout.shard());
                ends[place.file] += place.length;
            }
            prop_assert_eq!(ends, lengths);
        }
    }
}
