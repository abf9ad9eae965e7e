//! Examines an authentic bundle: every pack, every blob. The bytes around the packs are another
//! module's.
//!
//! Nothing stops at the first thing that is wrong: whoever has a damaged stick wants to know all
//! that is lost. Findings come in the order of the volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blob::{Store, prefix, rebuild};
use super::index::{BlobEntry, Index, Piece};
use super::reader::{Authentic, Bundle};
use crate::codec::checked::VerifiedReader;
use crate::codec::deflate::Pool;
use crate::codec::frame;
use crate::endpoint::Form;
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
        self.pack_findings(self.bad_packs(packs, advance))
    }

    fn bad_packs(
        &self,
        packs: impl IntoIterator<Item = u32>,
        advance: &(dyn Fn(u64) + Sync),
    ) -> BTreeMap<u32, Error> {
        let missing = self.volumes.missing();
        let mut bad = BTreeMap::new();
        for number in packs {
            let entry = &self.contents().manifest.packs[number as usize];
            if !missing.contains(&entry.volume)
                && let Err(error) = self.stored_pack(number, &self.pack_name(number))
            {
                bad.insert(number, error);
            }
            advance(entry.size);
        }
        bad
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
        let blobs = self.contents().index.blobs();
        let missing = self.volumes.missing();
        let is_lost = |blob: &BlobEntry| {
            !missing.is_empty()
                && self.volumes_of(blob).iter().any(|volume| missing.contains(volume))
        };
        let looking = Looking { bundle: self, good: Mutex::default(), bad: Mutex::default() };
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if is_lost(blob) {
                            advance(blob.size);
                        } else if let Err(error) = looking.at(blob, advance) {
                            held(&failed).push((blob, error));
                        }
                    }
                });
            }
        });
        let good = looking.good.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut bad = looking.bad.into_inner().unwrap_or_else(PoisonError::into_inner);
        let untouched =
            (0..self.pack_count()).filter(|pack| !good.contains(pack) && !bad.contains_key(pack));
        let untouched: Vec<u32> = untouched.collect();
        bad.extend(self.bad_packs(untouched, &|_| ()));
        // A blob that needs a bad pack is told of with the pack.
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let odd = failed
            .into_iter()
            .filter(|(blob, _)| !self.packs_of(blob).iter().any(|pack| bad.contains_key(pack)));
        let mut findings: Vec<Finding> =
            odd.map(|(blob, error)| self.blob_finding(blob, error)).collect();
        findings.extend(self.pack_findings(bad));
        findings.sort_by_key(|finding| finding.subject);
        findings
    }

    /// That packs are bad, and what that hits; in the order of the file.
    fn pack_findings(&self, bad: BTreeMap<u32, Error>) -> Vec<Finding> {
        if bad.is_empty() {
            return Vec::new();
        }
        let mut hit = self.hit_by(|pack| bad.contains_key(&pack).then_some(pack));
        let finding = |(number, error)| {
            let entry = &self.contents().manifest.packs[number as usize];
            Finding {
                subject: Subject::Pack(number),
                volume: entry.volume,
                file: self.volumes.file(entry.volume),
                offset: Some(entry.offset),
                blobs: hit.remove(&number).unwrap_or_default(),
                error,
            }
        };
        bad.into_iter().map(finding).collect()
    }

    /// A blob that could not be rebuilt though its packs are right.
    fn blob_finding(&self, blob: &BlobEntry, error: Error) -> Finding {
        Finding {
            subject: Subject::Blob(blob.digest),
            volume: self.contents().manifest.index.volume,
            file: Some(self.file_in_use()),
            offset: None,
            blobs: vec![blob.digest],
            error,
        }
    }
}

/// Looks at blobs, and remembers of which packs it is known whether they are right: one that is bad is
/// read once, however many blobs need it.
struct Looking<'a> {
    bundle: &'a Bundle<Authentic>,
    good: Mutex<BTreeSet<u32>>,
    bad: Mutex<BTreeMap<u32, Error>>,
}

impl Looking<'_> {
    fn at(&self, blob: &BlobEntry, advance: &(dyn Fn(u64) + Sync)) -> Result<()> {
        let mut reader =
            VerifiedReader::new(rebuild(self, blob)?, blob.digest, blob.size, self.bundle.title());
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

    fn load(&self, pack: u32) -> Result<Vec<u8>> {
        let name = self.bundle.pack_name(pack);
        let is_bad = || Error::damaged(format!("{name} is damaged"));
        if held(&self.bad).contains_key(&pack) {
            return Err(is_bad());
        }
        let prefix =
            prefix(self, pack).map_err(|e| Error::from_io(format!("cannot open {name}"), e))?;
        match self.bundle.stored_pack(pack, &name) {
            Ok(stored) => {
                held(&self.good).insert(pack);
                let content = self.bundle.contents().manifest.packs[pack as usize].content;
                frame::decode(&stored, content, &prefix, &name)
            }
            Err(error) => {
                held(&self.bad).insert(pack, error);
                Err(is_bad())
            }
        }
    }
}

impl Store for Looking<'_> {
    fn tables(&self) -> &Index {
        self.bundle.tables()
    }

    fn opened(&self, pack: u32) -> Result<Arc<Vec<u8>>> {
        self.bundle.state.cache.get(pack, || self.load(pack))
    }

    fn of_base_piece(&self, piece: Piece) -> Result<Vec<u8>> {
        self.bundle.of_base_piece(piece)
    }

    fn of_base(&self, number: u32, form: Form) -> Result<Box<dyn Read + Send + '_>> {
        self.bundle.of_base(number, form)
    }

    fn pool(&self) -> &Arc<Pool> {
        self.bundle.pool()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
