//! Looks for shards in a file: at their places, and where those do not fit, at every byte.
//!
//! A weak hash says where it is worth while to look closer; only a SHA-256 that is in the table
//! makes a stretch of bytes a shard. A hostile table can make the weak hash fit anywhere, and a shard
//! as long as it says, with nothing behind it but zeros. So what is hashed in vain, and what is hashed
//! of zeros that are in no file, is bounded by the bytes that there are.

use std::collections::{HashMap, HashSet};

use sha2::{Digest as _, Sha256};

use super::description::{Description, Mark};
use super::medium::Media;
use super::weak::{self, Rolling};
use crate::bundle::volume::BLOCK;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// For each byte of the files, so many may be hashed in vain or be zeros of no file. Where volumes are
/// cut as sealift does it, their ends take less than two.
const PATIENCE: u64 = 4;

/// As many more: what small files have is not spared.
const SPARE_PATIENCE: u64 = 1 << 20;

/// Zeros that are in no file.
const ZEROS: [u8; 4096] = [0; 4096];

/// The filter has so many bits, by the upper bits of the weak hash.
const FILTER_BITS: u32 = 20;

/// Where a shard was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Which of the files that were searched.
    pub(super) medium: usize,
    /// Where in it.
    pub(super) offset: u64,
}

/// The table, ready for looking things up.
pub(super) struct Lookup<'a> {
    description: &'a Description,
    by_digest: HashMap<[u8; 32], Vec<usize>>,
    weak: HashSet<u64>,
    filter: Vec<u64>,
    rolling: Rolling,
}

/// What was found in all files together.
#[derive(Debug)]
pub(super) struct Finds {
    /// For each shard of data, then each recovery shard: where it is.
    pub(super) spots: Vec<Option<Spot>>,
    /// For each covered file: a file that is it, byte for byte.
    pub(super) whole: Vec<Option<usize>>,
    /// Bytes that may still be hashed in vain, or be zeros of no file.
    patience: u64,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(description: &'a Description) -> Self {
        let mut by_digest: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
        let mut weak = HashSet::new();
        let mut filter = vec![0; 1 << (FILTER_BITS - 6)];
        for (number, mark) in description.marks.iter().enumerate() {
            by_digest.entry(mark.digest).or_default().push(number);
            weak.insert(mark.weak);
            let bit = mark.weak >> (64 - FILTER_BITS);
            filter[(bit / 64) as usize] |= 1 << (bit % 64);
        }
        let rolling = Rolling::new(description.layout.shard());
        Self { description, by_digest, weak, filter, rolling }
    }

    /// An empty result, before a search through files of so many bytes together.
    pub(super) fn nothing(&self, bytes: u64) -> Finds {
        Finds {
            spots: vec![None; self.description.marks.len()],
            whole: vec![None; self.description.layout.files().len()],
            patience: bytes.saturating_mul(PATIENCE).saturating_add(SPARE_PATIENCE),
        }
    }

    fn may_be(&self, weak: u64) -> bool {
        let bit = weak >> (64 - FILTER_BITS);
        self.filter[(bit / 64) as usize] >> (bit % 64) & 1 == 1 && self.weak.contains(&weak)
    }
}

/// A search through one file.
pub(super) struct Scan<'a> {
    lookup: &'a Lookup<'a>,
    media: &'a Media,
    number: usize,
    /// Length of the file.
    end: u64,
    finds: &'a mut Finds,
    /// For each covered file, how many of its shards lie where they belong.
    in_place: Vec<usize>,
    buffer: Vec<u8>,
}

impl<'a> Scan<'a> {
    /// Prepares to look through the file of this `number`.
    pub(super) fn new(
        lookup: &'a Lookup<'a>,
        media: &'a Media,
        number: usize,
        finds: &'a mut Finds,
    ) -> Self {
        let layout = &lookup.description.layout;
        let end = media.files()[number].length;
        Self {
            lookup,
            media,
            number,
            end,
            finds,
            in_place: vec![0; layout.files().len()],
            buffer: vec![0; PIECE],
        }
    }

    /// Looks through the whole file. `advance` hears how far it came.
    pub(super) fn run(mut self, advance: &dyn Fn(u64)) {
        let shard = self.lookup.description.layout.shard();
        let mut at = 0;
        while at < self.end {
            let (found, next) = match self.at(at, shard) {
                Some(found) => (Some(found), at + shard),
                None => self.beyond(at, shard),
            };
            advance(next.min(self.end) - at);
            at = next;
            if let Some(found) = found {
                let next = self.behind(found, at, shard);
                advance(next.min(self.end).saturating_sub(at));
                at = next;
            }
        }
        let layout = &self.lookup.description.layout;
        for (file, covered) in layout.files().iter().enumerate() {
            let whole =
                self.in_place[file] == layout.shards_of(file).len() && covered.length == self.end;
            if whole && self.finds.whole[file].is_none() {
                self.finds.whole[file] = Some(self.number);
            }
        }
    }

    /// What often stands right behind a shard that was found: a recovery shard behind its tar header,
    /// or a last shard that is shorter. Gives back where to go on.
    fn behind(&mut self, found: usize, at: u64, shard: u64) -> u64 {
        let layout = &self.lookup.description.layout;
        if found >= layout.data() {
            let next = at + BLOCK;
            let is_next = next < self.end && self.at(next, shard).is_some();
            return if is_next { next + shard } else { at };
        }
        if found + 1 < layout.data() {
            let (this, next) = (layout.place(found), layout.place(found + 1));
            let is_short = next.file == this.file && next.length < shard;
            if is_short && at + next.length < self.end {
                let there = self.at(at, next.length).is_some();
                return if there { at + next.length } else { at };
            }
        }
        at
    }

    /// The shard that begins at `at`, of which `length` bytes are in the file, if there is one.
    fn at(&mut self, at: u64, length: u64) -> Option<usize> {
        let weak = self.weak(at, length);
        if self.lookup.may_be(weak) { self.strong(at, length) } else { None }
    }

    /// The weak hash of the shard whose first `length` bytes are at `at`, all others zeros.
    fn weak(&mut self, at: u64, length: u64) -> u64 {
        let there = length.min(self.end - at);
        let mut hash = 0;
        self.pieces(at, there, |piece| hash = weak::extend(hash, piece));
        weak::zeros(hash, self.lookup.description.layout.shard() - there)
    }

    /// Looks closer, as long as there is patience. Notes the shard, if it is one.
    fn strong(&mut self, at: u64, length: u64) -> Option<usize> {
        let lookup = self.lookup;
        let shard = lookup.description.layout.shard();
        if self.finds.patience < shard {
            return None;
        }
        let there = length.min(self.end - at);
        let mut hash = Sha256::new();
        self.pieces(at, there, |piece| hash.update(piece));
        let mut zeros = shard - there;
        while zeros > 0 {
            let width = zeros.min(ZEROS.len() as u64);
            hash.update(&ZEROS[..width as usize]);
            zeros -= width;
        }
        let mark: [u8; 32] = hash.finalize().into();
        let Some(all) = lookup.by_digest.get(&mark) else {
            self.finds.patience -= shard;
            return None;
        };
        self.finds.patience -= shard - there;
        // The same content may stand in the table many times: what is new is noted once, and each
        // later time only what would be in its place here.
        if self.finds.spots[all[0]].is_none() {
            for &number in all {
                self.finds.spots[number] = Some(Spot { medium: self.number, offset: at });
            }
        }
        let layout = &lookup.description.layout;
        if at.is_multiple_of(layout.shard()) {
            let nth = at / layout.shard();
            for file in 0..layout.files().len() {
                let range = layout.shards_of(file);
                if nth < range.len() as u64
                    && lookup.description.marks[range.start + nth as usize].digest == mark
                {
                    self.in_place[file] += 1;
                }
            }
        }
        all.first().copied()
    }

    /// Moves on from `at`, where nothing is, to the next shard, or to the end: what was found, and
    /// where to go on.
    fn beyond(&mut self, at: u64, shard: u64) -> (Option<usize>, u64) {
        if self.finds.patience < shard {
            return (None, at + shard);
        }
        let mut hash = self.weak(at, shard);
        let (mut out, mut into) = (vec![0; PIECE], vec![0; PIECE]);
        let mut from = at;
        let end = self.end;
        while from < end {
            let width = (end - from).min(PIECE as u64) as usize;
            self.media.read(self.number, from, &mut out[..width]);
            self.media.read(self.number, from + shard, &mut into[..width]);
            for (n, (&out, &into)) in out.iter().zip(&into).take(width).enumerate() {
                hash = self.lookup.rolling.roll(hash, out, into);
                if self.lookup.may_be(hash) {
                    let here = from + n as u64 + 1;
                    if here < end
                        && let Some(found) = self.strong(here, shard)
                    {
                        return (Some(found), here + shard);
                    }
                    if self.finds.patience < shard {
                        return (None, (at + shard).max(here));
                    }
                }
            }
            from += width as u64;
        }
        (None, end)
    }

    /// Gives bytes of the file in pieces.
    fn pieces(&mut self, at: u64, length: u64, mut take: impl FnMut(&[u8])) {
        let mut done = 0;
        while done < length {
            let width = (length - done).min(PIECE as u64) as usize;
            self.media.read(self.number, at + done, &mut self.buffer[..width]);
            take(&self.buffer[..width]);
            done += width as u64;
        }
    }
}

/// Whether bytes are the shard that a mark describes.
pub(super) fn is(digest: Sha256, mark: &Mark) -> bool {
    <[u8; 32]>::from(digest.finalize()) == mark.digest
}

#[cfg(test)]
mod tests {
    use super::super::layout::{Covered, Layout};
    use super::*;

    /// A table for one file of this length, whose shards all have this mark.
    fn table(shard: u64, length: u64, mark: Mark) -> Description {
        let files = vec![Covered { name: "app.sealift".to_owned(), length }];
        let layout = Layout::new(shard, files, 1).unwrap();
        let marks = vec![mark; layout.data() + 1];
        Description { set: None, layout, marks }
    }

    /// What is left of the patience, and what was found, after a search through such files.
    fn search(description: &Description, files: &[Vec<u8>]) -> (u64, u64, Finds) {
        let folder = tempfile::tempdir().unwrap();
        let mut media = Media::default();
        for (number, bytes) in files.iter().enumerate() {
            let path = folder.path().join(number.to_string());
            std::fs::write(&path, bytes).unwrap();
            media.add(&path).unwrap();
        }
        let lookup = Lookup::new(description);
        let bytes = files.iter().map(|file| file.len() as u64).sum();
        let mut finds = lookup.nothing(bytes);
        let before = finds.patience;
        for number in 0..files.len() {
            Scan::new(&lookup, &media, number, &mut finds).run(&|_| ());
        }
        (before, finds.patience, finds)
    }

    /// The weak hash of zeros is zero: it fits everywhere in these files.
    fn hostile() -> Mark {
        Mark { weak: 0, digest: [1; 32] }
    }

    /// A shard of 4 GiB that no file is long enough for would take seconds for each file.
    #[test]
    fn what_is_much_longer_than_all_files_is_not_hashed() {
        let description = table(4 << 30, 1 << 40, hostile());
        let (before, after, finds) = search(&description, &vec![vec![0; 180]; 8]);
        assert_eq!(before, after, "something was hashed");
        assert!(finds.spots.iter().all(Option::is_none));
    }

    #[test]
    fn what_is_hashed_in_vain_is_bounded_over_all_files_together() {
        let description = table(256 << 10, 1 << 30, hostile());
        let (before, after, _) = search(&description, &vec![vec![0; 100]; 50]);
        assert!(before - after >= 256 << 10, "nothing was tried");
        assert!(after < 256 << 10 && before < 2 << 20, "{after} of {before}");
    }

    /// A mark that is right costs as well, if nearly all of the shard is in no file.
    #[test]
    fn zeros_of_no_file_are_bounded_too() {
        let shard = 256u64 << 10;
        let zeros = Sha256::digest(vec![0; shard as usize]).into();
        let description = table(shard, 1 << 30, Mark { weak: 0, digest: zeros });
        let (before, after, finds) = search(&description, &vec![vec![0; 100]; 50]);
        assert!(finds.spots[0].is_some());
        assert!(after < shard && before < 2 << 20, "{after} of {before}");
    }

    #[test]
    fn the_short_end_of_a_file_is_found_in_a_long_shard() {
        let (shard, bytes) = (1u64 << 20, vec![7; 5000]);
        let mut filled = bytes.clone();
        filled.resize(shard as usize, 0);
        let digest = Sha256::digest(&filled).into();
        let mark = Mark { weak: weak::extend(0, &filled), digest };
        let (_, _, finds) = search(&table(shard, shard, mark), &[bytes]);
        assert_eq!(finds.spots[0], Some(Spot { medium: 0, offset: 0 }));
    }
}
