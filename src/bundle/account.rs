//! Accounts for every byte of a volume that belongs to no pack: headers, padding, README, index, the end.

use std::iter::once_with;
use std::path::PathBuf;

use super::examine::{Finding, Subject};
use super::reader::{Authentic, Bundle};
use super::search::Candidate;
use super::set::read_hashed;
use super::tail::Tail;
use super::volume::{self, END_BYTES, Volume};
use crate::model::{Digest, Error, Result};
use crate::trust::KeyId;

/// Something wrong, and where in the file.
type Wrong = (Option<u64>, Error);

impl Bundle<Authentic> {
    /// Compares every header, every padding and the README of every volume with what must be there, and
    /// hashes the index. A volume that is missing is a finding, and one of which several files are there
    /// and none is whole.
    pub fn examine_frame(&self) -> Vec<Finding> {
        let missing = self.missing_findings(&self.volumes.missing());
        let volumes = 1..=self.contents().manifest.volumes.len() as u64;
        let mut findings: Vec<Finding> =
            volumes.flat_map(|number| self.frame_of(number)).chain(missing).collect();
        findings.sort_by_key(|finding| finding.volume);
        findings
    }

    /// The same for one volume, counted from 1.
    pub fn examine_frame_of(&self, number: u64) -> Vec<Finding> {
        if self.volumes.candidates(number).is_empty() {
            return self.missing_findings(&[number]);
        }
        self.frame_of(number)
    }

    /// The same; nothing where the volume is missing.
    fn frame_of(&self, number: u64) -> Vec<Finding> {
        self.choose_copy(number, &|_| ());
        if let Some((count, wrong)) = self.volumes.split(number) {
            return vec![self.split_finding(number, count, &wrong)];
        }
        let candidates = self.volumes.candidates(number);
        let Some(file) = candidates.first() else { return Vec::new() };
        let finding = |(offset, error)| Finding {
            subject: Subject::Frame,
            volume: number,
            file: Some(file.path.clone()),
            offset,
            blobs: Vec::new(),
            error,
        };
        match self.volumes.open(file) {
            Ok(volume) => self.wrong_in(number, file, &volume).map(finding).collect(),
            Err(error) => vec![finding((None, error))],
        }
    }

    /// What is wrong with a file as this volume, packs aside; nothing is read before it is asked for.
    pub(super) fn wrong_in<'a>(
        &'a self,
        number: u64,
        file: &'a Candidate,
        volume: &'a Volume,
    ) -> impl Iterator<Item = Wrong> + 'a {
        let check = Check { volume, time: self.tail.time };
        let manifest = &self.contents().manifest;
        let text = volume::volume_text(&manifest.set, number);
        let at = volume::member_bytes(manifest.readme.size);
        let packs = manifest.packs.iter().filter(move |pack| pack.volume == number);
        let index = Some(&manifest.index).filter(|index| index.volume == number);
        let frames = packs.map(|pack| ("packs", pack)).chain(index.map(|index| ("index", index)));
        let size = manifest.volumes[number as usize - 1].size;
        let is_last = number == manifest.volumes.len() as u64;
        let readme = move || (0, check.readme(manifest.readme.size, manifest.readme.digest));
        let said = move || {
            let header = check.member(at, volume::VOLUME, text.len() as u64);
            (at, header.and_then(|()| check.content(at, volume::VOLUME, text.as_bytes())))
        };
        let headers = frames.map(move |(folder, entry)| {
            let name = format!("{folder}/{}.zst", entry.digest.hex());
            (entry.offset, check.member(entry.offset, &name, entry.size))
        });
        // When the manifest was read the index was too, but maybe from another file.
        let index = index.into_iter().map(move |index| {
            let what = format!("the index of {}", volume.path().display());
            (index.offset, read_hashed(volume, index, &what).map(drop))
        });
        let end = move || {
            if !is_last {
                (size.saturating_sub(END_BYTES), check.end(size))
            } else if self.volumes.has_manifest(file) {
                (size, Ok(()))
            } else {
                (size, self.same_tail(volume, size))
            }
        };
        once_with(readme)
            .chain(once_with(said))
            .chain(headers)
            .chain(index)
            .chain(once_with(end))
            .filter_map(|(at, result)| Some((Some(at), result.err()?)))
    }

    /// A last volume that is not the file which the manifest was read from ends in the same one, at the
    /// place where it belongs: nothing lies before it that nobody signed. Its signatures are those that
    /// count, unless a receipt brought them.
    fn same_tail(&self, volume: &Volume, size: u64) -> Result<()> {
        let path = volume.path().display();
        let tail =
            Tail::find(volume)?.filter(|tail| tail.manifest == self.tail.manifest).ok_or_else(
                || Error::damaged(format!("{path} does not end in the manifest that was signed")),
            )?;
        if tail.manifest_at != size {
            return Err(Error::damaged(format!(
                "the manifest of {path} lies at {}, not at {size} where it belongs: bytes were lost or added before it",
                tail.manifest_at
            ))
            .hint("copy the volume again"));
        }
        if tail.time != self.tail.time {
            return Err(Error::damaged(format!(
                "the tar headers at the end of {path} have another time than its manifest"
            ))
            .hint("copy the volume again"));
        }
        if self.volumes.has_last() && !self.has_what_counts(&tail) {
            return Err(Error::untrusted(format!(
                "{path} does not have the signatures that count: they are in {}",
                self.path().display()
            ))
            .hint("copy the volume again, or name the one with the signatures alone"));
        }
        Ok(())
    }

    /// Whether all signatures are in a tail that count in that of the bundle.
    fn has_what_counts(&self, tail: &Tail) -> bool {
        let counts = |id: &KeyId| {
            self.signers().iter().any(|signer| signer.trusted.is_some() && signer.id == *id)
        };
        let signatures = self.tail.signatures.iter();
        signatures.filter(|(id, _)| counts(id)).all(|known| tail.signatures.contains(known))
    }

    /// The file of the last volume, where a receipt brought the signatures that were judged and they are
    /// not in that file: then nobody has judged its own.
    pub fn not_judged(&self) -> Option<PathBuf> {
        let last = self.contents().manifest.volumes.len() as u64;
        let file = self.volumes.candidates(last).first().cloned();
        let file = file.filter(|_| !self.volumes.has_last())?;
        let tail = self.volumes.open(&file).and_then(|volume| Tail::find(&volume));
        let has = matches!(tail, Ok(Some(tail)) if self.has_what_counts(&tail));
        (!has).then(|| file.path.clone())
    }

    /// That volumes are missing, and what that hits.
    fn missing_findings(&self, numbers: &[u64]) -> Vec<Finding> {
        if numbers.is_empty() {
            return Vec::new();
        }
        let manifest = &self.contents().manifest;
        let volume = |pack: u32| Some(manifest.packs[pack as usize].volume);
        let mut hit = self.hit_by(|pack| volume(pack).filter(|volume| numbers.contains(volume)));
        let finding = |&number: &u64| Finding {
            subject: Subject::Volume(number),
            volume: number,
            file: None,
            offset: None,
            blobs: hit.remove(&number).unwrap_or_default(),
            error: self.volumes.lacking(number, manifest),
        };
        numbers.iter().map(finding).collect()
    }
}

/// Compares parts of one file.
#[derive(Clone, Copy)]
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
