//! Gives back the bytes of files, from what was found of them and of their parity.
//!
//! Nothing is believed on the way: each shard that is copied is hashed once more while it is
//! copied, and each that is made again is compared with the table before anybody gets the file.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::code;
use super::scan::is;
use super::survey::Survey;
use crate::codec::atomic::AtomicFile;
use crate::model::{Error, Result};

/// Bytes that are copied at once.
const PIECE: usize = 1 << 20;

impl Survey<'_> {
    /// How many bytes [`mend`](Self::mend) reads for these files.
    pub fn work(&self, files: &[usize]) -> u64 {
        let layout = self.description().layout();
        let copied: u64 = files.iter().map(|&file| layout.files()[file].length).sum();
        let decoded = layout.data() as u64 * layout.shard();
        copied + if self.lost_count() > 0 { decoded } else { 0 }
    }

    /// Writes covered files, by number, as they were. All that are not whole must be among them.
    /// `advance` hears how many bytes were read.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where more is lost than can be made up for, or
    /// media change while they are read; [`Kind::Malformed`](crate::model::Kind::Malformed) where the
    /// parity is at odds with itself; [`Kind::Io`](crate::model::Kind::Io).
    pub fn mend(&self, outputs: &mut [(usize, AtomicFile)], advance: &dyn Fn(u64)) -> Result<()> {
        for (number, output) in &mut *outputs {
            self.copy(*number, output, advance)?;
        }
        let lost = self.lost();
        let helpers = self.helpers();
        let Some(helpers) = helpers.get(..lost.len()) else {
            return Err(Error::damaged("more is lost than the parity makes up for"));
        };
        if lost.is_empty() {
            return Ok(());
        }
        let layout = self.description().layout();
        let mut written: HashMap<usize, (&File, &Path)> = HashMap::new();
        for (number, output) in outputs {
            let (file, path) = output.parts();
            written.insert(*number, (file, path));
        }
        let mut hashes: HashMap<usize, Sha256> =
            lost.iter().map(|&shard| (shard, Sha256::new())).collect();
        code::decode(
            layout,
            &lost,
            helpers,
            |shard, at, buffer| {
                advance(if shard < layout.data() { buffer.len() as u64 } else { 0 });
                // What was copied already is nearer than the medium that it came from.
                let place = (shard < layout.data()).then(|| layout.place(shard));
                if let Some(place) = place
                    && let Some((file, path)) = written.get(&place.file)
                {
                    let there = place.length.saturating_sub(at).min(buffer.len() as u64) as usize;
                    let (there, behind) = buffer.split_at_mut(there);
                    behind.fill(0);
                    return file
                        .read_exact_at(there, place.offset + at)
                        .map_err(|e| Error::io(format!("cannot read back {}", path.display()), e));
                }
                self.read(shard, at, buffer);
                Ok(())
            },
            |shard, at, bytes| {
                if let Some(hash) = hashes.get_mut(&shard) {
                    hash.update(bytes);
                }
                let place = layout.place(shard);
                let there = place.length.saturating_sub(at).min(bytes.len() as u64) as usize;
                match written.get(&place.file) {
                    Some((file, path)) => file
                        .write_all_at(&bytes[..there], place.offset + at)
                        .map_err(|e| Error::io(format!("cannot write {}", path.display()), e)),
                    None => Ok(()),
                }
            },
        )?;
        for (shard, hash) in hashes {
            if !is(hash, &self.description().marks[shard]) {
                return Err(Error::malformed(
                    "the parity is at odds with itself: what it gives back is not what its table says",
                )
                .hint("it may have been made by somebody else: copy bundle and parity again from where they come"));
            }
        }
        Ok(())
    }

    /// Bytes of a shard that was found: zeros where a covered file has ended.
    fn read(&self, shard: usize, at: u64, buffer: &mut [u8]) {
        let layout = self.description().layout();
        let length =
            if shard < layout.data() { layout.place(shard).length } else { layout.shard() };
        let there = length.saturating_sub(at).min(buffer.len() as u64) as usize;
        let (there, behind) = buffer.split_at_mut(there);
        behind.fill(0);
        match self.finds().spots[shard] {
            Some(spot) => self.media().read(spot.medium, spot.offset + at, there),
            None => there.fill(0),
        }
    }

    /// Copies all shards of a covered file that were found.
    fn copy(&self, number: usize, output: &mut AtomicFile, advance: &dyn Fn(u64)) -> Result<()> {
        let layout = self.description().layout();
        let (file, path) = output.parts();
        let cannot = |e| Error::io(format!("cannot write {}", path.display()), e);
        file.set_len(layout.files()[number].length).map_err(cannot)?;
        let mut buffer = vec![0; PIECE];
        for shard in layout.shards_of(number) {
            let place = layout.place(shard);
            let Some(spot) = self.finds().spots[shard] else {
                advance(place.length);
                continue;
            };
            let mut hash = Sha256::new();
            for at in (0..layout.shard()).step_by(PIECE) {
                let width = (layout.shard() - at).min(PIECE as u64) as usize;
                self.read(shard, at, &mut buffer[..width]);
                hash.update(&buffer[..width]);
                let there = place.length.saturating_sub(at).min(width as u64) as usize;
                file.write_all_at(&buffer[..there], place.offset + at).map_err(cannot)?;
                advance(there as u64);
            }
            if !is(hash, &self.description().marks[shard]) {
                let medium = self.media().files()[spot.medium].path.display();
                return Err(Error::damaged(format!(
                    "{medium} gives other bytes at {} each time it is read",
                    spot.offset
                ))
                .hint(
                    "the medium is failing: copy what can be read to another one, and repair there",
                ));
            }
        }
        Ok(())
    }
}
