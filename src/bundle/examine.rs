//! Examines an authentic bundle: every pack, every blob. The bytes around the packs are another
//! module's.
//!
//! Nothing stops at the first thing that is wrong: whoever has a damaged stick wants to know all
//! that is lost. Findings come in the order of the volumes.

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::blob::rebuild;
use super::index::BlobEntry;
use super::reader::{Authentic, Bundle};
use crate::codec::checked::VerifiedReader;
use crate::model::{Digest, Error, Result};

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A volume that is missing, by number.
    Volume(u64),
    /// Bytes of the file that belong to no pack: headers, padding, README.
    Frame,
    /// A pack, by number.
    Pack(u32),
    /// A blob.
    Blob(Digest),
}

/// Something that is wrong.
#[derive(Debug)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// The volume, counted from 1; of a blob whose packs are all right, the last, with its recipe.
    pub volume: u64,
    /// The file of the volume; `None` where it is missing.
    pub file: Option<PathBuf>,
    /// Where in the volume, where that can be said.
    pub offset: Option<u64>,
    /// The blobs that cannot be rebuilt because of it.
    pub blobs: Vec<Digest>,
    /// What is wrong.
    pub error: Error,
}

impl Bundle<Authentic> {
    /// Hashes these packs, in order; `advance` hears how many bytes were read. Volumes that are
    /// missing are left out: [`examine_frame`](Self::examine_frame) tells of them.
    pub fn examine_packs(
        &self,
        packs: impl IntoIterator<Item = u32>,
        advance: &(dyn Fn(u64) + Sync),
    ) -> Vec<Finding> {
        let missing = self.volumes.missing();
        let mut findings = Vec::new();
        for number in packs {
            let entry = &self.contents().manifest.packs[number as usize];
            if !missing.contains(&entry.volume)
                && let Err(error) = self.stored_pack(number, &self.pack_name(number))
            {
                findings.push(self.pack_finding(number, error));
            }
            advance(entry.size);
        }
        findings
    }

    /// Hashes the packs of one volume, counted from 1.
    pub fn examine_packs_of(&self, volume: u64, advance: &(dyn Fn(u64) + Sync)) -> Vec<Finding> {
        self.examine_packs(self.packs_in(volume), advance)
    }

    /// The packs that lie in a volume.
    pub fn packs_in(&self, volume: u64) -> Range<u32> {
        let packs = &self.contents().manifest.packs;
        // Volumes of successive packs do not descend.
        let begin = packs.partition_point(|pack| pack.volume < volume);
        let end = packs.partition_point(|pack| pack.volume <= volume);
        begin as u32..end as u32
    }

    /// How many packs there are.
    pub fn pack_count(&self) -> u32 {
        self.contents().manifest.packs.len() as u32
    }

    /// Rebuilds and hashes every blob with several threads, in the order of the file; packs are
    /// hashed as they are opened, those that no blob uses at the end. Blobs that need a volume which
    /// is missing are left out. `advance` hears how many bytes of blobs were rebuilt.
    pub fn examine_blobs(&self, threads: usize, advance: &(dyn Fn(u64) + Sync)) -> Vec<Finding> {
        let index = &self.contents().index;
        let blobs = index.blobs();
        let missing = self.volumes.missing();
        let is_lost = |blob: &BlobEntry| {
            !missing.is_empty()
                && self.volumes_of(blob).iter().any(|volume| missing.contains(volume))
        };
        let next = AtomicUsize::new(0);
        let findings = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if is_lost(blob) {
                            advance(blob.size);
                        } else if let Err(error) = self.examine_blob(blob, advance) {
                            let finding = self.blob_finding(blob, error);
                            findings
                                .lock()
                                .unwrap_or_else(std::sync::PoisonError::into_inner)
                                .push(finding);
                        }
                    }
                });
            }
        });
        let mut findings = findings.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let looked_at = blobs.iter().filter(|blob| !is_lost(blob));
        let mut touched: BTreeSet<u32> = looked_at.flat_map(|blob| self.packs_of(blob)).collect();
        // A blob stops at its first bad pack: the packs after it were not looked at.
        for finding in &findings {
            for blob in &finding.blobs {
                for pack in index.blob(blob).into_iter().flat_map(|blob| self.packs_of(blob)) {
                    touched.remove(&pack);
                }
            }
        }
        let untouched = (0..self.pack_count()).filter(|pack| !touched.contains(pack));
        for finding in self.examine_packs(untouched, &|_| ()) {
            if findings.iter().all(|known| known.subject != finding.subject) {
                findings.push(finding);
            }
        }
        merge(findings)
    }

    fn examine_blob(&self, blob: &BlobEntry, advance: &(dyn Fn(u64) + Sync)) -> Result<()> {
        let mut reader =
            VerifiedReader::new(rebuild(self, blob)?, blob.digest, blob.size, self.title());
        let mut buffer = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => advance(n as u64),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::from_io(format!("cannot rebuild {}", blob.digest), e)),
            }
        }
    }

    /// The packs that it takes to rebuild a blob: those that it is in, and those that these are
    /// packed against.
    fn packs_of(&self, blob: &BlobEntry) -> BTreeSet<u32> {
        let index = &self.contents().index;
        let own = blob.recipe.runs().flat_map(|runs| index.chunks_of(runs));
        let mut packs: BTreeSet<u32> = own.map(|(_, pack, _)| pack).collect();
        let prefixes = packs.iter().flat_map(|&pack| index.chunks_of(index.prefix(pack)));
        let prefixes: Vec<u32> = prefixes.map(|(_, pack, _)| pack).collect();
        packs.extend(prefixes);
        packs
    }

    /// The volumes that it takes to rebuild a blob.
    pub fn volumes_of(&self, blob: &BlobEntry) -> BTreeSet<u64> {
        let packs = &self.contents().manifest.packs;
        self.packs_of(blob).into_iter().map(|pack| packs[pack as usize].volume).collect()
    }

    fn pack_finding(&self, number: u32, error: Error) -> Finding {
        let entry = &self.contents().manifest.packs[number as usize];
        let blobs = self.contents().index.blobs().iter();
        let hit =
            blobs.filter(|blob| self.packs_of(blob).contains(&number)).map(|blob| blob.digest);
        Finding {
            subject: Subject::Pack(number),
            volume: entry.volume,
            file: self.volumes.file(entry.volume),
            offset: Some(entry.offset),
            blobs: hit.collect(),
            error,
        }
    }

    /// A blob that could not be rebuilt: because of a pack, where one of its packs is bad.
    fn blob_finding(&self, blob: &BlobEntry, error: Error) -> Finding {
        let bad = self.packs_of(blob).into_iter().find_map(|number| {
            self.stored_pack(number, &self.pack_name(number)).err().map(|error| (number, error))
        });
        match bad {
            Some((number, error)) => self.pack_finding(number, error),
            None => Finding {
                subject: Subject::Blob(blob.digest),
                volume: self.contents().manifest.index.volume,
                file: Some(self.path().to_owned()),
                offset: None,
                blobs: vec![blob.digest],
                error,
            },
        }
    }
}

/// One finding for each subject, in the order of the file.
fn merge(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.subject, finding.offset));
    findings.dedup_by(|next, kept| next.subject == kept.subject);
    findings
}
