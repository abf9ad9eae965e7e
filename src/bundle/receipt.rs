//! A receipt: the signed tail of a bundle without its packs, small enough to keep for every bundle
//! that was sent. It says what the far side has got, which is all that the next delta needs to know.
//!
//! It is a tar like the bundle: a README, a member `receipt`, the index, the manifest and its
//! signatures.

use std::path::Path;

use super::base::Known;
use super::press::Output;
use super::reader::{Authentic, Bundle, Unverified, read_hashed};
use super::volume::{self, BLOCK, END_BYTES, Volume, member_bytes};
use crate::codec::atomic::AtomicFile;
use crate::codec::encryption::Identities;
use crate::model::{Digest, Error, Result, limits};
use crate::trust::Trust;

/// What tells a receipt from a bundle: its second member.
const NAME: &str = "receipt";
const TEXT: &[u8] = b"sealift receipt 1\n";

const README: &[u8] = b"This is the receipt of a sealift bundle: its signed manifest and its index, without content.\n\
It says what the bundle held, so that a later one can leave that out: sealift export --base RECEIPT\n";

/// A receipt that was opened; nothing of it is believed yet.
pub struct Receipt {
    bundle: Bundle<Unverified>,
}

impl Receipt {
    /// Whether the file is a receipt, by its first members. `identities` open it where it is an
    /// encrypted bundle.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where it cannot be read.
    pub fn is_one(path: &Path, identities: &Identities) -> Result<bool> {
        let volume = Volume::open_with(path, identities)?;
        if volume.length() < BLOCK {
            return Ok(false);
        }
        let at = match volume::parse_header(&volume.block(0)?) {
            Some((name, size, _)) if name == volume::README && size <= limits::README_BYTES => {
                member_bytes(size)
            }
            _ => return Ok(false),
        };
        if volume.length() < at + BLOCK {
            return Ok(false);
        }
        let member = volume::parse_header(&volume.block(at)?);
        Ok(member.is_some_and(|(name, size, _)| name == NAME && size == TEXT.len() as u64))
    }

    /// Opens a receipt.
    ///
    /// # Errors
    /// As for a bundle.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { bundle: Bundle::open(path)? })
    }

    /// Checks its signatures, then reads it.
    ///
    /// # Errors
    /// As for a bundle.
    pub fn authenticate(self, trust: &Trust) -> Result<Known> {
        let digest = self.bundle.digest();
        let contents = self.bundle.authentic_contents(trust, &|volume, manifest_at, index| {
            let at = manifest_at
                .checked_sub(member_bytes(index.size))
                .ok_or_else(|| Error::damaged(format!("{} ends early", volume.path().display())))?;
            Ok(super::manifest::PackEntry { offset: at, ..*index })
        })?;
        Ok(Known::Receipt { digest, contents: Box::new(contents) })
    }
}

impl Bundle<Authentic> {
    /// Writes the receipt of the bundle to a file that must not be there yet.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io), and whatever is wrong with the index.
    pub fn write_receipt(&self, path: &Path) -> Result<()> {
        let file = AtomicFile::create(path, 0o644)?;
        let mut output = Output { file, at: 0, time: self.time };
        let index = &self.contents().manifest.index;
        let stored = read_hashed(&self.volume, index, "the index")?;
        output.member(volume::README, README)?;
        output.member(NAME, TEXT)?;
        output.member(&format!("index/{}.zst", Digest::of(&stored).hex()), &stored)?;
        let manifest_at = output.at;
        output.member(volume::MANIFEST, &self.manifest_bytes)?;
        for (id, signature) in &self.signatures {
            output.member(&format!("signatures/{id}.sig"), signature)?;
        }
        output.member(volume::TAIL, volume::tail_text(manifest_at).as_bytes())?;
        std::io::Write::write_all(&mut output.file, &[0; END_BYTES as usize])
            .map_err(|e| super::press::write_error(&path.display().to_string(), e))?;
        output.file.commit()
    }
}
