//! The end of a bundle: index, manifest, signatures and tail, and then the names of its volumes.
//!
//! All of it lies in the last volume, behind its packs where there is room, else in a volume of its
//! own. That volume gets its name last: whatever happens, there is no signed bundle of which a
//! volume was not safe before.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::base::Base;
use super::class::Class;
use super::index::{BlobEntry, Index, LeftOut};
use super::manifest::{self, Content, Encoder, ImageEntry, Manifest, PackEntry};
use super::naming::volume_path;
use super::output::{Done, Output};
use super::packs::Table;
use super::partial::Partial;
use super::preset::Preset;
use super::volume::{self, TAIL_TEXT_BYTES, member_bytes};
use super::writer::Writer;
use crate::codec::atomic::{AtomicFile, Synced, name_together};
use crate::codec::frame;
use crate::codec::imprint::Imprint;
use crate::model::{Digest, Error, Result, limits};
use crate::trust::{SIGNATURE_BYTES, SecretKey};

/// How streams are cut, as manifests say it.
pub(super) const CHUNKER: &str = "fastcdc-2020 16/64/256 KiB, files to 64 KiB whole";

/// A finished bundle.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Its manifest.
    pub manifest: Manifest,
    /// Digest of the manifest member: names the bundle.
    pub digest: Digest,
    /// Length of all volumes together.
    pub bytes: u64,
    /// What it leaves to its base.
    pub left_out: LeftOut,
    /// Its volumes, in order.
    pub volumes: Vec<SealedVolume>,
}

/// A file of a finished bundle.
#[derive(Clone, Debug)]
pub struct SealedVolume {
    /// Where it lies.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What was written, where it is to be read back.
    pub imprint: Option<Imprint>,
}

/// A bundle of which every volume is whole and safe on its medium, and none has its name yet.
/// Dropped, it leaves nothing.
pub struct Finished {
    partial: Arc<Partial>,
    volumes: Vec<Done>,
    manifest: Manifest,
    digest: Digest,
    left_out: LeftOut,
}

impl Finished {
    /// The volumes, in order: where each lies until it has its name, and its length.
    pub fn volumes(&self) -> impl ExactSizeIterator<Item = (&Path, u64)> {
        self.volumes.iter().map(|volume| (volume.file.path(), volume.file_bytes))
    }

    /// Begins a file that is to get its name with the volumes. `name` is what it is called until
    /// then, and must be no other file's.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io).
    pub fn create_beside(&self, name: &str) -> Result<AtomicFile> {
        self.partial.create_beside(name)
    }

    /// Gives every file its name: the volumes but the last, then what is `beside` them, then the
    /// last, which alone makes a bundle of them.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io); then none of them is there.
    pub fn commit(self, beside: Vec<(Synced, PathBuf)>) -> Result<Sealed> {
        let Self { partial, volumes, manifest, digest, left_out } = self;
        let count = volumes.len() as u64;
        let mut named = Vec::new();
        let mut files = Vec::new();
        for (volume, number) in volumes.into_iter().zip(1..) {
            let path = volume_path(partial.target(), number, count);
            let Done { file, bytes: _, file_bytes, imprint } = volume;
            named.push(SealedVolume { path: path.clone(), bytes: file_bytes, imprint });
            files.push((file, path));
        }
        if count > 1 {
            let lengths: Vec<u64> = named.iter().map(|volume| volume.bytes).collect();
            partial.note_names(&manifest.set, &lengths)?;
        }
        let last = files.len().saturating_sub(1);
        files.splice(last..last, beside);
        name_together(files)?;
        partial.clear();
        let bytes = named.iter().map(|volume| volume.bytes).sum();
        Ok(Sealed { manifest, digest, bytes, left_out, volumes: named })
    }
}

impl Writer {
    /// Ends the bundle: index, manifest, signatures, tail. It gets its name by
    /// [`Finished::commit`].
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) where it is more than readers accept,
    /// [`Kind::Usage`](crate::model::Kind::Usage) where volumes are too small for what is signed.
    pub fn finish(self, images: Vec<ImageEntry>, signers: &[SecretKey]) -> Result<Finished> {
        let Self { packs, blobs, kept, options, position, expires, partial, pack_content, .. } =
            self;
        let base = packs.base().map(Base::entry);
        let (press, table) = packs.finish(&kept)?;
        let Settled { content, stored, left_out } = Settled::index(table, blobs, options.preset)?;
        let (mut output, packs) = press.finish()?;
        let readme = volume::README_TEXT.as_bytes();
        let mut manifest = Manifest {
            critical: base.iter().map(|_| manifest::BASE.to_owned()).collect(),
            base,
            set: options.set,
            created: options.created,
            sequence: position.as_ref().map(|position| position.sequence),
            stream: position.map(|position| position.stream),
            expires,
            generator: concat!("sealift ", env!("CARGO_PKG_VERSION")).to_owned(),
            images,
            volumes: Vec::new(),
            readme: Content { size: readme.len() as u64, digest: Digest::of(readme) },
            packs,
            index: PackEntry {
                volume: 1,
                offset: 0,
                size: stored.len() as u64,
                digest: Digest::of(&stored),
                content,
            },
            encoder: Encoder {
                zstd: frame::library_version().to_owned(),
                preset: options.preset.name().to_owned(),
                level: options.preset.level(),
                window_log: options.preset.window_log(pack_content),
                chunker: CHUNKER.to_owned(),
                volume_size: None,
                pack_content: Some(pack_content)
                    .filter(|&content| content != options.preset.pack_content(None))
                    .map(|content| content as u64),
            },
        };
        // One signature a key, in the order of the key names, however they were given.
        let mut ids: Vec<_> = signers.iter().map(|key| key.public().id()).collect();
        ids.sort_unstable();
        ids.dedup();
        let bytes = place_tail(&mut manifest, &mut output, ids.len())?;
        output.member(&index_name(&manifest.index), &stored)?;
        let manifest_at = output.at();
        output.member(volume::MANIFEST, &bytes)?;
        let mut signatures: Vec<_> =
            signers.iter().map(|key| (key.public().id(), key.sign(&bytes))).collect();
        signatures.sort_unstable();
        signatures.dedup();
        for (id, signature) in signatures {
            output.member(&format!("signatures/{id}.sig"), &signature)?;
        }
        output.member(volume::TAIL, volume::tail_text(manifest_at).as_bytes())?;
        let digest = Digest::of(&bytes);
        Ok(Finished { partial, volumes: output.end()?, digest, manifest, left_out })
    }
}

/// Decides which volume takes the signed tail, begins it where that is a new one, and gives the
/// bytes of the manifest, which says where all of it lies.
fn place_tail(manifest: &mut Manifest, output: &mut Output, signatures: usize) -> Result<Vec<u8>> {
    let index_bytes = member_bytes(manifest.index.size);
    let fixed = index_bytes
        + signatures as u64 * member_bytes(SIGNATURE_BYTES as u64)
        + member_bytes(TAIL_TEXT_BYTES);
    loop {
        (manifest.index.volume, manifest.index.offset) = (output.number(), output.at());
        manifest.volumes = output.entries(output.at() + index_bytes);
        // A bundle that fits into one volume is the same whatever a volume might have held.
        manifest.encoder.volume_size = output.largest().filter(|_| output.number() > 1);
        let bytes = manifest.to_bytes()?;
        let tail = fixed + member_bytes(bytes.len() as u64);
        if output.has_room(tail) {
            return Ok(bytes);
        }
        if !output.has_packs() {
            return Err(Error::usage(format!(
                "index, manifest and signatures take {tail} bytes, and no volume may be as large"
            ))
            .hint("make the volumes larger with --volume-size"));
        }
        output.next()?;
    }
}

/// The index of everything that was packed.
pub(super) struct Settled {
    /// Its length.
    pub(super) content: u64,
    /// How it is stored.
    pub(super) stored: Vec<u8>,
    /// What it leaves to the base.
    left_out: LeftOut,
}

impl Settled {
    /// Of these packs and blobs.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) where it is larger than readers accept.
    pub(super) fn index(table: Table, mut blobs: Vec<BlobEntry>, preset: Preset) -> Result<Self> {
        for blob in &mut blobs {
            table.settle(&mut blob.recipe);
        }
        let count = table.packs.len();
        let index = Index::new(&table.packs, table.prefixes, table.borrowed, blobs);
        let plain = index.to_bytes(count);
        let content = plain.len() as u64;
        if content > limits::INDEX_BYTES {
            return Err(Error::malformed(
                "the bundle would have a larger index than readers accept",
            )
            .hint("export fewer images into one bundle"));
        }
        let stored = preset
            .effort(Class::Meta)
            .encode(&plain, &[])
            .map_err(|e| Error::io("zstd cannot compress the index", e))?;
        Ok(Self { content, stored, left_out: index.left_out() })
    }
}

/// The name of the member that the index is.
pub(super) fn index_name(index: &PackEntry) -> String {
    format!("index/{}.zst", index.digest.hex())
}
