//! Several files that claim to be one volume, and the one that is used.
//!
//! Somebody brings two sticks, and one of them is bad. What is said of a volume has to be true of a file: so
//! one that is whole by itself is looked for, frame, index and packs, and from then on it alone is read.
//! Where there is none, that is a finding, though the files may have everything between them.

use std::path::PathBuf;

use super::choice::{Choice, Unused};
use super::examine::{Finding, Subject};
use super::reader::{Authentic, Bundle};
use super::search::Candidate;
use super::set::read_hashed;
use crate::model::{Error, Kind};

/// Files of which it is told one by one what is wrong with them.
const TOLD: usize = 8;

impl Bundle<Authentic> {
    /// The numbers of the volumes that several files claim to be, of which none was chosen yet, and how many
    /// bytes they have at most.
    pub fn copied(&self) -> (Vec<u64>, u64) {
        let (mut numbers, mut bytes) = (Vec::new(), 0);
        for number in 1..=self.contents().manifest.volumes.len() as u64 {
            let files = self.volumes.candidates(number).len();
            if files > 1 && !self.volumes.has_choice(number) {
                numbers.push(number);
                bytes += self.bytes_of_packs(number) * files as u64;
            }
        }
        (numbers, bytes)
    }

    /// Looks for a file of this volume that is whole, if several claim to be it: only that is read from
    /// then on. `advance` hears how many bytes of packs are done with.
    pub fn choose_copy(&self, number: u64, advance: &(dyn Fn(u64) + Sync)) {
        let files = self.volumes.candidates(number);
        if files.len() < 2 || self.volumes.has_choice(number) {
            return;
        }
        let each = self.bytes_of_packs(number);
        let mut damaged = Vec::new();
        let whole = files.iter().position(|file| {
            let wrong = self.first_wrong(number, file);
            advance(each);
            if let Some(error) = wrong {
                damaged.push((error.kind(), error.chain()));
                return false;
            }
            true
        });
        let Some(whole) = whole else {
            let count = damaged.len();
            damaged.truncate(TOLD);
            self.volumes.choose(number, None, Choice::None(count, damaged));
            return;
        };
        let mut problems = damaged.into_iter().map(|(_, problem)| problem);
        let others = (0..).zip(&files).filter(|(at, _)| *at != whole).map(|(_, file)| Unused {
            volume: number,
            file: file.path.clone(),
            problem: problems.next(),
        });
        let others = others.collect();
        advance(each * (files.len() - whole - 1) as u64);
        self.volumes.choose(number, Some(whole), Choice::One(others));
    }

    /// The files that claim to be a volume and are not used.
    pub fn unused_copies(&self) -> Vec<Unused> {
        self.volumes.unused()
    }

    /// The file to name for the bundle: the one that its manifest was read from, unless another copy of
    /// that is used.
    pub fn file_in_use(&self) -> PathBuf {
        let last = self.contents().manifest.volumes.len() as u64;
        let is_unused = self.unused_copies().iter().any(|unused| unused.file == self.path());
        self.volumes.file(last).filter(|_| is_unused).unwrap_or_else(|| self.path().to_owned())
    }

    /// That no file is whole which claims to be this volume.
    pub(super) fn split_finding(
        &self,
        number: u64,
        count: usize,
        wrong: &[(Kind, String)],
    ) -> Finding {
        let told = wrong.iter().map(|(kind, problem)| Error::new(*kind, problem)).collect();
        let kind = wrong.iter().map(|(kind, _)| *kind).min().unwrap_or(Kind::Damaged);
        let error = Error::new(
            kind,
            format!("of {count} files that claim to be volume {number}, none is whole"),
        );
        Finding {
            subject: Subject::Frame,
            volume: number,
            file: self.volumes.file(number),
            offset: None,
            blobs: Vec::new(),
            error: error.parts(told).hint(
                "copy that volume again; what the files hold between them can be imported all the same",
            ),
        }
    }

    /// The first thing that is wrong with a file as this volume.
    fn first_wrong(&self, number: u64, file: &Candidate) -> Option<Error> {
        let volume = match self.volumes.open(file) {
            Ok(volume) => volume,
            Err(error) => return Some(error),
        };
        if let Some((_, error)) = self.wrong_in(number, file, &volume).next() {
            return Some(error);
        }
        let shown = file.path.display().to_string();
        let mut packs = self.packs_in(number).map(|pack| {
            let entry = &self.contents().manifest.packs[pack as usize];
            read_hashed(&volume, entry, &self.pack_name_in(pack, &shown)).err()
        });
        packs.find_map(|wrong| wrong)
    }

    fn bytes_of_packs(&self, number: u64) -> u64 {
        let packs = &self.contents().manifest.packs;
        self.packs_in(number).map(|pack| packs[pack as usize].size).sum()
    }
}
