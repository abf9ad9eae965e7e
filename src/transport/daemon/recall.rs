//! Layers that a daemon has, read back out of what it saves.
//!
//! A daemon gives images, not layers: those that have a wanted layer are saved, and the layer is
//! known by its length before it comes, and by its digest when it has come.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::api::Api;
use super::endpoint::Endpoint;
use super::feed::DaemonFeed;
use crate::codec::checked::Hasher;
use crate::codec::compression;
use crate::endpoint::{Feed as _, Intake, Recalled, Take};
use crate::model::{Algorithm, Digest, Error, Result};

/// Gives the wanted blobs to `take`, as far as images of the daemon have them.
pub(super) fn recall(
    api: &Api,
    endpoint: &Endpoint,
    wanted: &[Recalled],
    folder: &Path,
    take: &mut Take<'_>,
) -> Result<()> {
    let mut missing: Vec<Digest> = wanted.iter().map(diff_id).collect();
    let mut images = Vec::new();
    for listed in api.images(false)? {
        let Some(image) = api.inspect(&listed.id.to_string(), false)? else { continue };
        let layers = image.root_fs.and_then(|root_fs| root_fs.layers).unwrap_or_default();
        let before = missing.len();
        missing.retain(|digest| !layers.contains(digest));
        if missing.len() < before {
            images.push(listed.id.to_string());
        }
    }
    if images.is_empty() {
        return Ok(());
    }
    let mut intake = Catch { wanted, taken: vec![false; wanted.len()], folder, take };
    DaemonFeed::new(endpoint, images)?.run(&mut intake).map(drop)
}

/// The digest of the plain form.
fn diff_id(blob: &Recalled) -> Digest {
    blob.plain.map_or(blob.digest, |plain| plain.digest)
}

/// Catches the wanted ones of the blobs that come by.
struct Catch<'a, 'b> {
    wanted: &'a [Recalled],
    taken: Vec<bool>,
    folder: &'a Path,
    take: &'a mut Take<'b>,
}

impl Catch<'_, '_> {
    fn find(&self, fits: impl Fn(&Recalled) -> bool) -> Option<usize> {
        let open = self.wanted.iter().zip(&self.taken);
        open.enumerate().find(|(_, (blob, taken))| !**taken && fits(blob)).map(|(at, _)| at)
    }

    fn give(&mut self, number: usize, mut file: File) -> Result<()> {
        file.rewind().map_err(|e| self.full(e))?;
        self.taken[number] = true;
        if self.wanted[number].plain.is_none() {
            return (self.take)(number, &mut file);
        }
        let (_, mut opened) = compression::open_detected(file).map_err(|e| self.full(e))?;
        (self.take)(number, &mut opened)
    }

    fn full(&self, error: std::io::Error) -> Error {
        Error::io(format!("cannot keep a layer in {}", self.folder.display()), error)
    }
}

impl Intake for Catch<'_, '_> {
    fn blob(
        &mut self,
        _: &str,
        expected: Option<Digest>,
        size: u64,
        _: bool,
        content: &mut dyn Read,
    ) -> Result<Digest> {
        // Plain as its diff ID says, or compressed as it came.
        let may_be = self.find(|blob| {
            let plain = blob.plain.map_or(blob.size, |plain| plain.size);
            size == plain || size == blob.size
        });
        let mut kept = match may_be {
            Some(_) => Some(tempfile::tempfile_in(self.folder).map_err(|e| self.full(e))?),
            None => None,
        };
        let algorithm = expected.map_or(Algorithm::Sha256, |digest| digest.algorithm());
        let mut hasher = Hasher::new(algorithm);
        let mut piece = vec![0; 256 << 10];
        loop {
            let n = match content.read(&mut piece) {
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::from_io("cannot read what the daemon saves", e)),
            };
            if n == 0 {
                break;
            }
            hasher.update(&piece[..n]);
            if let Some(file) = &mut kept {
                file.write_all(&piece[..n]).map_err(|e| self.full(e))?;
            }
        }
        let digest = hasher.finish();
        let found = self.find(|blob| diff_id(blob) == digest || blob.digest == digest);
        if let (Some(number), Some(file)) = (found, kept) {
            self.give(number, file)?;
        }
        Ok(digest)
    }
}
