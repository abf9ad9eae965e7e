//! Accounts for every byte of a volume that belongs to no pack: headers, padding, README, the end.

use std::path::PathBuf;

use super::examine::{Finding, Subject};
use super::reader::{Authentic, Bundle};
use super::search::Candidate;
use super::tail::Tail;
use super::volume::{self, END_BYTES, Volume};
use crate::model::{Digest, Error, Result};

/// Something wrong, and where in the file.
type Wrong = (Option<u64>, Error);

impl Bundle<Authentic> {
    /// Compares every header, every padding and the README of every volume with what must be there.
    /// A volume that is missing is a finding.
    pub fn examine_frame(&self) -> Vec<Finding> {
        let volumes = self.contents().manifest.volumes.iter();
        volumes.flat_map(|volume| self.examine_frame_of(volume.number)).collect()
    }

    /// The same for one volume, counted from 1.
    pub fn examine_frame_of(&self, number: u64) -> Vec<Finding> {
        let candidates = self.volumes.candidates(number);
        let Some(first) = candidates.first() else {
            return vec![self.missing_finding(number)];
        };
        // One whole file is enough. Where there is none, the one that counts first is told of.
        let mut wrong = self.wrong_in(number, first);
        for other in &candidates[1..] {
            if !wrong.is_empty() && self.wrong_in(number, other).is_empty() {
                wrong.clear();
            }
        }
        let finding = |(offset, error)| Finding {
            subject: Subject::Frame,
            volume: number,
            file: Some(first.path.clone()),
            offset,
            blobs: Vec::new(),
            error,
        };
        wrong.into_iter().map(finding).collect()
    }

    /// What is wrong with a file as this volume, packs aside.
    fn wrong_in(&self, number: u64, candidate: &Candidate) -> Vec<Wrong> {
        let volume = match self.volumes.open(candidate) {
            Ok(volume) => volume,
            Err(error) => return vec![(None, error)],
        };
        let check = Check { volume: &volume, time: self.tail.time };
        let manifest = &self.contents().manifest;
        let text = volume::volume_text(&manifest.set, number);
        let at = volume::member_bytes(manifest.readme.size);
        let packs = manifest.packs.iter().filter(|pack| pack.volume == number);
        let index = Some(&manifest.index).filter(|index| index.volume == number);
        let frames = packs.map(|pack| ("packs", pack)).chain(index.map(|index| ("index", index)));
        let mut results = vec![
            (0, check.readme(manifest.readme.size, manifest.readme.digest)),
            (at, check.member(at, volume::VOLUME, text.len() as u64)),
            (at, check.content(at, volume::VOLUME, text.as_bytes())),
        ];
        results.extend(frames.map(|(folder, entry)| {
            let name = format!("{folder}/{}.zst", entry.digest.hex());
            (entry.offset, check.member(entry.offset, &name, entry.size))
        }));
        let size = manifest.volumes[number as usize - 1].size;
        if number < manifest.volumes.len() as u64 {
            results.push((size.saturating_sub(END_BYTES), check.end(size)));
        } else if !self.volumes.has_manifest(candidate) {
            results.push((size, self.same_tail(&volume)));
        }
        results.into_iter().filter_map(|(at, result)| Some((Some(at), result.err()?))).collect()
    }

    /// A last volume that is not the file which the manifest was read from ends in the same one.
    fn same_tail(&self, volume: &Volume) -> Result<()> {
        match Tail::find(volume)? {
            Some(tail) if tail.manifest == self.tail.manifest => Ok(()),
            _ => Err(Error::damaged(format!(
                "{} does not end in the manifest that was signed",
                volume.path().display()
            ))),
        }
    }

    /// That a volume is missing, and what that hits.
    fn missing_finding(&self, number: u64) -> Finding {
        let blobs = self.contents().index.blobs().iter();
        let lost = blobs.filter(|blob| self.volumes_of(blob).contains(&number));
        Finding {
            subject: Subject::Volume(number),
            volume: number,
            file: None::<PathBuf>,
            offset: None,
            blobs: lost.map(|blob| blob.digest).collect(),
            error: self.volumes.lacking(number, &self.contents().manifest),
        }
    }
}

/// Compares parts of one file.
struct Check<'a> {
    volume: &'a Volume,
    time: u64,
}

impl Check<'_> {
    /// The README is the text that was signed for; another version may write another one.
    fn readme(&self, size: u64, digest: Digest) -> Result<()> {
        self.member(0, volume::README, size)?;
        if Digest::of(&self.volume.read(volume::BLOCK, size)?) != digest {
            return Err(self.changed("content", volume::README, 0));
        }
        Ok(())
    }

    /// Header and padding of a member are those that were written.
    fn member(&self, at: u64, name: &str, size: u64) -> Result<()> {
        if self.volume.block(at)? != volume::header(name, size, self.time) {
            return Err(self.changed("tar header", name, at));
        }
        let padding = self.volume.read(at + volume::BLOCK + size, volume::padding(size))?;
        if padding.iter().any(|&byte| byte != 0) {
            return Err(self.changed("padding", name, at));
        }
        Ok(())
    }

    fn content(&self, at: u64, name: &str, content: &[u8]) -> Result<()> {
        if self.volume.read(at + volume::BLOCK, content.len() as u64)? != content {
            return Err(self.changed("content", name, at));
        }
        Ok(())
    }

    /// The end of a volume that is not the last: zeros, and then the file ends.
    fn end(&self, size: u64) -> Result<()> {
        let path = self.volume.path().display();
        if let Some(more) = self.volume.length().checked_sub(size + 1) {
            return Err(Error::malformed(format!(
                "{path}: {} bytes follow the end of the volume",
                more + 1
            ))
            .hint("something was appended to the file: copy it again"));
        }
        let end = self.volume.read(size.saturating_sub(END_BYTES), END_BYTES)?;
        if end.iter().any(|&byte| byte != 0) {
            return Err(Error::damaged(format!("the end of {path} is not what was written"))
                .hint("copy the volume again"));
        }
        Ok(())
    }

    fn changed(&self, part: &str, name: &str, at: u64) -> Error {
        Error::damaged(format!(
            "the {part} of {name} at byte {at} of {} is not what was written",
            self.volume.path().display()
        ))
    }
}
