//! Examines an authentic bundle: every byte of the file, every pack, every blob.
//!
//! Nothing stops at the first thing that is wrong: whoever has a damaged stick wants to know all
//! that is lost. Findings come in the order of the file.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::blob::rebuild;
use super::index::BlobEntry;
use super::reader::{Authentic, Bundle, read_hashed};
use super::volume;
use crate::codec::checked::VerifiedReader;
use crate::model::{Digest, Error, Result};

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
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
    /// The volume, counted from 1.
    pub volume: u64,
    /// Where in the volume, where that can be said.
    pub offset: Option<u64>,
    /// The blobs that cannot be rebuilt because of it.
    pub blobs: Vec<Digest>,
    /// What is wrong.
    pub error: Error,
}

impl Bundle<Authentic> {
    /// Compares every header, every padding and the README with what must be there.
    pub fn examine_frame(&self) -> Vec<Finding> {
        let manifest = &self.contents().manifest;
        let volume_text = volume::volume_text(&manifest.set, 1);
        let volume_at = volume::member_bytes(manifest.readme.size);
        let volume_size = volume_text.len() as u64;
        let members = manifest.packs.iter().map(|pack| ("packs", pack));
        let frames = members.chain(std::iter::once(("index", &manifest.index)));
        let mut results = vec![
            (0, self.expect_readme()),
            (volume_at, self.expect_member(volume_at, volume::VOLUME, volume_size)),
            (volume_at, self.expect_content(volume_at, volume::VOLUME, volume_text.as_bytes())),
        ];
        results.extend(frames.map(|(folder, entry)| {
            let name = format!("{folder}/{}.zst", entry.digest.hex());
            (entry.offset, self.expect_member(entry.offset, &name, entry.size))
        }));
        let wrong = results.into_iter().filter_map(|(at, result)| Some((at, result.err()?)));
        wrong
            .map(|(at, error)| Finding {
                subject: Subject::Frame,
                volume: 1,
                offset: Some(at),
                blobs: Vec::new(),
                error,
            })
            .collect()
    }

    /// The README is the text that was signed for; another version may write another one.
    fn expect_readme(&self) -> Result<()> {
        let entry = self.contents().manifest.readme;
        self.expect_member(0, volume::README, entry.size)?;
        if Digest::of(&self.volume.read(volume::BLOCK, entry.size)?) != entry.digest {
            return Err(self.changed("content", volume::README, 0));
        }
        Ok(())
    }

    /// Header and padding of a member are those that were written.
    fn expect_member(&self, at: u64, name: &str, size: u64) -> Result<()> {
        if self.volume.block(at)? != volume::header(name, size, self.time) {
            return Err(self.changed("tar header", name, at));
        }
        let padding = self.volume.read(at + volume::BLOCK + size, volume::padding(size))?;
        if padding.iter().any(|&byte| byte != 0) {
            return Err(self.changed("padding", name, at));
        }
        Ok(())
    }

    fn expect_content(&self, at: u64, name: &str, content: &[u8]) -> Result<()> {
        if self.volume.read(at + volume::BLOCK, content.len() as u64)? != content {
            return Err(self.changed("content", name, at));
        }
        Ok(())
    }

    fn changed(&self, part: &str, name: &str, at: u64) -> Error {
        Error::damaged(format!(
            "the {part} of {name} at byte {at} of {} is not what was written",
            self.path().display()
        ))
    }

    /// Hashes these packs, in order; `advance` hears how many bytes were read.
    pub fn examine_packs(
        &self,
        packs: impl IntoIterator<Item = u32>,
        advance: &(dyn Fn(u64) + Sync),
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for number in packs {
            let entry = &self.contents().manifest.packs[number as usize];
            if let Err(error) = read_hashed(&self.volume, entry, &self.pack_name(number)) {
                findings.push(self.pack_finding(number, error));
            }
            advance(entry.size);
        }
        findings
    }

    /// How many packs there are.
    pub fn pack_count(&self) -> u32 {
        self.contents().manifest.packs.len() as u32
    }

    /// Rebuilds and hashes every blob with several threads, in the order of the file; packs are
    /// hashed as they are opened, those that no blob uses at the end. `advance` hears how many
    /// bytes of blobs were rebuilt.
    pub fn examine_blobs(&self, threads: usize, advance: &(dyn Fn(u64) + Sync)) -> Vec<Finding> {
        let index = &self.contents().index;
        let blobs = index.blobs();
        let next = AtomicUsize::new(0);
        let findings = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.examine_blob(blob, advance) {
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
        let mut touched: BTreeSet<u32> =
            blobs.iter().flat_map(|blob| self.packs_of(blob)).collect();
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
        let mut reader = VerifiedReader::new(
            rebuild(self, blob)?,
            blob.digest,
            blob.size,
            self.path().display().to_string(),
        );
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

    fn pack_finding(&self, number: u32, error: Error) -> Finding {
        let entry = &self.contents().manifest.packs[number as usize];
        let blobs = self.contents().index.blobs().iter();
        let hit =
            blobs.filter(|blob| self.packs_of(blob).contains(&number)).map(|blob| blob.digest);
        Finding {
            subject: Subject::Pack(number),
            volume: entry.volume,
            offset: Some(entry.offset),
            blobs: hit.collect(),
            error,
        }
    }

    /// A blob that could not be rebuilt: because of a pack, where one of its packs is bad.
    fn blob_finding(&self, blob: &BlobEntry, error: Error) -> Finding {
        let bad = self.packs_of(blob).into_iter().find_map(|number| {
            let entry = &self.contents().manifest.packs[number as usize];
            read_hashed(&self.volume, entry, &self.pack_name(number))
                .err()
                .map(|error| (number, error))
        });
        match bad {
            Some((number, error)) => self.pack_finding(number, error),
            None => Finding {
                subject: Subject::Blob(blob.digest),
                volume: 1,
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
