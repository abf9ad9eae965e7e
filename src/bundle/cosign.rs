//! Adds signatures to a bundle.
//!
//! Only what follows the manifest changes. The bundle is written anew all the same, to a temporary
//! name: a tail that is half written would make a good bundle a bad one. Every part is compared with
//! what was signed as it is copied, so a medium that fails cannot put a bad copy in place of a good
//! bundle.

use std::path::Path;

use super::output::VolumeWriter;
use super::reader::{Authentic, Bundle};
use super::volume::{self, BLOCK};
use crate::codec::atomic::AtomicFile;
use crate::model::{Digest, Error, Result, limits};
use crate::trust::{PublicKey, SIGNATURE_BYTES, SecretKey};

impl<State> Bundle<State> {
    /// Signs the manifest of the bundle. This alone changes nothing.
    pub fn signature_by(&self, key: &SecretKey) -> [u8; SIGNATURE_BYTES] {
        key.sign(&self.tail.manifest)
    }

    /// Whether it has this key's signature, and one that fits.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.tail
            .signatures
            .iter()
            .any(|(id, signature)| *id == key.id() && key.verifies(&self.tail.manifest, signature))
    }

    /// Takes another signature, in memory. One of the same key that does not fit is replaced.
    ///
    /// # Errors
    /// [`Kind::Untrusted`](crate::model::Kind::Untrusted) where it is not this key's over this
    /// bundle; [`Kind::Usage`](crate::model::Kind::Usage) where there are too many.
    pub fn add_signature(
        &mut self,
        key: &PublicKey,
        signature: [u8; SIGNATURE_BYTES],
    ) -> Result<()> {
        let id = key.id();
        if !key.verifies(&self.tail.manifest, &signature) {
            return Err(Error::untrusted(format!(
                "the signature is not one of {} over {}",
                id.short(),
                self.path().display()
            ))
            .hint("it must be over the exact bytes of the member manifest, and by the key that is named"));
        }
        self.tail.signatures.retain(|(known, _)| *known != id);
        if self.tail.signatures.len() == limits::SIGNATURES {
            return Err(Error::usage(format!(
                "{} has {} signatures, and no bundle has more",
                self.path().display(),
                limits::SIGNATURES
            )));
        }
        self.tail.signatures.push((id, signature));
        self.tail.signatures.sort_unstable_by_key(|(id, _)| *id);
        Ok(())
    }
}

impl Bundle<Authentic> {
    /// Writes the bundle, of a set its last volume, with the signatures that it has by now. A file
    /// `path` is replaced once the new one is whole; it may be the one that is read.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where something that is copied is not what was
    /// signed; [`Kind::Io`](crate::model::Kind::Io).
    pub fn write_signed(&self, path: &Path, advance: &dyn Fn(u64)) -> Result<()> {
        let manifest = &self.contents().manifest;
        let file = AtomicFile::create(path, 0o644)?;
        let mut output = VolumeWriter::new(file, self.tail.time);
        let number = manifest.volumes.len() as u64;
        let readme = self.volumes.first(number, manifest)?.read(BLOCK, manifest.readme.size)?;
        if Digest::of(&readme) != manifest.readme.digest {
            return Err(Error::damaged(format!(
                "the README of {} is not what was written",
                self.path().display()
            )));
        }
        output.member(volume::README, &readme)?;
        output.member(volume::VOLUME, volume::volume_text(&manifest.set, number).as_bytes())?;
        let packs = manifest.packs.iter().zip(0..).filter(|(pack, _)| pack.volume == number);
        for (pack, at) in packs {
            let stored = self.stored_pack(at, &self.pack_name(at))?;
            output.member(&format!("packs/{}.zst", pack.digest.hex()), &stored)?;
            advance(pack.size);
        }
        let stored = self.volumes.read(&manifest.index, "the index", manifest)?;
        output.member(&format!("index/{}.zst", manifest.index.digest.hex()), &stored)?;
        let manifest_at = output.at();
        output.member(volume::MANIFEST, &self.tail.manifest)?;
        for (id, signature) in &self.tail.signatures {
            output.member(&format!("signatures/{id}.sig"), signature)?;
        }
        output.member(volume::TAIL, volume::tail_text(manifest_at).as_bytes())?;
        output.commit()
    }
}
