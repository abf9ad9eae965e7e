//! The manifest of a bundle: a line that names its type and version, then one JSON document.
//!
//! These exact bytes are signed. The line makes a signature over a manifest useless for anything
//! else, and is the first thing that is looked at after the signature holds.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::volume::{BLOCK, END_BYTES, member_bytes, volume_text};
use crate::model::{
    Algorithm, Descriptor, Digest, Error, ImageName, Platform, Position, Result, StreamName, json,
    limits, moment,
};

/// How long a frame of `content` bytes can be: zstd adds at most 1/256 and a few bytes to what it
/// cannot compress.
pub(super) const fn stored_limit(content: u64) -> u64 {
    content + content / 128 + 4096
}

/// The first line of the manifest member, with its line end.
pub(super) const TYPE_LINE: &str = "sealift manifest 1\n";

/// Everything that a bundle holds, small at any size of bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Features that a reader must know to read this bundle rightly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub critical: Vec<String>,
    /// Random name of the set of volumes: 32 hexadecimal digits.
    pub set: String,
    /// Seconds since 1970; also the time in every tar header.
    pub created: u64,
    /// The stream that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamName>,
    /// Its number in the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Seconds since 1970 from which on nobody is to take it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Program and version that wrote it.
    pub generator: String,
    /// The images.
    pub images: Vec<ImageEntry>,
    /// The bundle that this one adds to, where it is a delta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseEntry>,
    /// The volumes, in order.
    pub volumes: Vec<VolumeEntry>,
    /// The text of the first member.
    pub readme: Content,
    /// The packs, in the order in which they lie.
    pub packs: Vec<PackEntry>,
    /// The index.
    pub index: PackEntry,
    /// How chunks were cut and packs compressed; for people, no reader needs it.
    pub encoder: Encoder,
}

/// The feature of a bundle that needs another one.
pub(super) const BASE: &str = "base";

/// The bundle that a delta adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseEntry {
    /// Digest of its manifest member.
    pub digest: Digest,
    /// When it was made, in seconds since 1970: for people.
    pub created: u64,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageEntry {
    /// The name that it was asked for by, normalised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ImageName>,
    /// Its root manifest.
    #[serde(flatten)]
    pub root: Stored,
    /// What it runs on, as far as it says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// True where its root manifest was made by sealift because its source had none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub synthesized: bool,
    /// The index that it was taken out of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_index: Option<Digest>,
    /// Where it was read from, where that is another place than its name says: at a mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<ImageName>,
    /// What is attached to it, subjects before what is attached to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<Attached>,
}

/// Media type, digest and size of a manifest that the bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Media type.
    pub media_type: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Length of its bytes.
    pub size: u64,
}

impl Stored {
    /// As a descriptor.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest, self.size)
    }
}

impl From<&Descriptor> for Stored {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest,
            size: descriptor.size,
        }
    }
}

/// An artifact that is attached to an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attached {
    /// `tag`, `referrer` or `fallback-index`.
    pub kind: String,
    /// The tag in the image's repository, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The manifest that it is attached to.
    pub subject: Digest,
    /// Its root manifest.
    #[serde(flatten)]
    pub root: Stored,
}

/// A volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeEntry {
    /// Counted from 1.
    pub number: u64,
    /// Bytes of the volume; of the last one, the bytes before the header of the manifest.
    pub size: u64,
}

/// Length and digest of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Length in bytes.
    pub size: u64,
    /// Digest, SHA-256.
    pub digest: Digest,
}

/// A member that is one zstd frame: a pack or the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackEntry {
    /// The volume that holds it.
    pub volume: u64,
    /// Where its tar header begins there.
    pub offset: u64,
    /// Length of the frame.
    pub size: u64,
    /// Digest of the frame, SHA-256; also its file name.
    pub digest: Digest,
    /// Length of what is in the frame.
    pub content: u64,
}

impl PackEntry {
    /// Where the frame itself begins.
    pub fn data_offset(&self) -> u64 {
        self.offset + BLOCK
    }
}

/// How the bundle was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encoder {
    /// Version of zstd.
    pub zstd: String,
    /// Name of the [`Preset`](super::Preset).
    #[serde(default)]
    pub preset: String,
    /// Level for content.
    pub level: i32,
    /// Power of two of the window.
    pub window_log: u32,
    /// How streams are cut.
    pub chunker: String,
    /// Bytes that no volume is larger than, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_size: Option<u64>,
    /// Content of a full pack, where that is another than the preset says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack_content: Option<u64>,
}

impl Manifest {
    /// Its place in its stream, where it is of one.
    pub fn position(&self) -> Option<Position> {
        let (stream, sequence) = (self.stream.clone()?, self.sequence?);
        Some(Position { stream, sequence })
    }

    /// The bytes that are signed and stored.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) where they would pass the limit that
    /// readers hold them to.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = TYPE_LINE.as_bytes().to_vec();
        serde_json::to_writer_pretty(&mut bytes, self).map_err(|e| {
            Error::malformed("the manifest of the bundle cannot be written").because(e)
        })?;
        bytes.push(b'\n');
        if bytes.len() as u64 > limits::BUNDLE_MANIFEST_BYTES {
            return Err(Error::malformed("the bundle would have a manifest of more than 16 MiB")
                .hint("export fewer images into one bundle"));
        }
        Ok(bytes)
    }

    /// Reads the bytes back. Call it only with bytes whose signature was checked, or to show what
    /// an unproved bundle claims.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed), for another type or version, an unknown
    /// critical feature, or numbers that cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let Some(document) = bytes.strip_prefix(TYPE_LINE.as_bytes()) else {
            let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
            let line = begin.lines().next().unwrap_or_default();
            return Err(Error::malformed(format!(
                "the manifest begins with {line:?}, not with \"sealift manifest 1\""
            ))
            .hint("the bundle may be from a newer sealift: use that version"));
        };
        let manifest: Self = json::parse_object(document, "the manifest of the bundle")?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<()> {
        let bad = |why: String| {
            Err(Error::malformed(format!("the manifest of the bundle cannot be right: {why}")))
        };
        if let Some(feature) = self.critical.iter().find(|&feature| feature != BASE) {
            return Err(Error::malformed(format!("the bundle needs the feature {feature:?}, which this version of sealift does not know"))
                .hint("use a newer sealift"));
        }
        if self.base.is_some() != self.critical.iter().any(|feature| feature == BASE) {
            return bad("its base is not named as a feature that readers must know".into());
        }
        if self.base.is_some_and(|base| base.digest.algorithm() != Algorithm::Sha256) {
            return bad("its base is not named by a SHA-256 digest".into());
        }
        if self.set.len() != 32 || self.set.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            return bad("its set is not named by 32 hexadecimal digits".into());
        }
        if self.stream.is_some() != self.sequence.is_some() || self.sequence == Some(0) {
            return bad(
                "it has a stream without a number in it, or a number without a stream".into()
            );
        }
        if self.expires.is_some_and(|end| end <= self.created || end >= moment::LATEST) {
            return bad("it expires before it was made, or never".into());
        }
        if self.volumes.is_empty() || self.volumes.len() > limits::VOLUMES {
            return bad(format!("{} volumes", self.volumes.len()));
        }
        if self.volumes.iter().zip(1..).any(|(volume, number)| volume.number != number) {
            return bad("its volumes are not numbered from 1".into());
        }
        if self.readme.size > limits::README_BYTES
            || !matches!(self.readme.digest, Digest::Sha256(_))
        {
            return bad(format!("a README of {} bytes", self.readme.size));
        }
        if self.index.content > limits::INDEX_BYTES
            || self.index.size > stored_limit(self.index.content)
        {
            return bad(format!("an index of {} bytes", self.index.content));
        }
        // Every volume is README, volume member, then packs (and in the last the index) without a
        // gap: offsets follow from sizes, and any other value is refused.
        let mut at = Vec::with_capacity(self.volumes.len());
        for volume in &self.volumes {
            at.push(
                member_bytes(self.readme.size)
                    + member_bytes(volume_text(&self.set, volume.number).len() as u64),
            );
        }
        let mut last = 1;
        let mut digests = HashSet::new();
        for pack in self.packs.iter().chain(std::iter::once(&self.index)) {
            if pack.size > limits::INDEX_BYTES * 2 || !matches!(pack.digest, Digest::Sha256(_)) {
                return bad(format!("a pack of {} bytes with digest {}", pack.size, pack.digest));
            }
            if pack.volume < last || !digests.insert(pack.digest) {
                return bad(format!("pack {} is out of order or stands twice", pack.digest));
            }
            last = pack.volume;
            let Some(next) = at.get_mut(pack.volume as usize - 1) else {
                return bad(format!(
                    "pack {} is in volume {}, which is not there",
                    pack.digest, pack.volume
                ));
            };
            if pack.offset != *next {
                return bad(format!(
                    "pack {} begins at {}, not at {next}",
                    pack.digest, pack.offset
                ));
            }
            // Sizes are bounded, and no manifest has room for 2^34 packs: the sum is, too.
            *next += member_bytes(pack.size);
        }
        if last != self.volumes.len() as u64 {
            return bad("its index is not in the last volume".into());
        }
        for pack in &self.packs {
            if pack.content == 0
                || pack.content > limits::PACK_CONTENT_BYTES
                || pack.size > stored_limit(pack.content)
            {
                return bad(format!("pack {} holds {} bytes", pack.digest, pack.content));
            }
        }
        for (volume, packs_end) in self.volumes.iter().zip(at) {
            let end = if volume.number == last { packs_end } else { packs_end + END_BYTES };
            if volume.size != end {
                return bad(format!(
                    "volume {} has {} bytes, not {end}",
                    volume.number, volume.size
                ));
            }
        }
        for image in &self.images {
            if image.attached.len() > limits::ATTACHMENTS {
                return bad(format!(
                    "{} artifacts attached to {}",
                    image.attached.len(),
                    image.root.digest
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
