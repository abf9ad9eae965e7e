//! A volume of a set is made again: it was lost, and everything else is on its way already.
//!
//! What was signed says which packs there are and where they lie. All of them are made again, each is
//! compared with what was signed as soon as it is there, and one volume is kept. Nothing is signed
//! anew: the last volume gets the manifest and the signatures that there are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::base::Base;
use super::manifest::{Encoder, Manifest, PackEntry};
use super::output::{Done, Form, Given};
use super::partial::Partial;
use super::preset::Preset;
use super::reader::{Authentic, Bundle};
use super::seal::{CHUNKER, SealedVolume, Settled, index_name};
use super::volume;
use super::writer::{Writer, WriterOptions, form};
use crate::codec::atomic::name_together;
use crate::codec::frame;
use crate::model::{Digest, Error, Result};
use crate::trust::{KeyId, SIGNATURE_BYTES};

/// The signed tail of a set.
#[derive(Clone, Debug)]
pub struct Signed {
    manifest: Manifest,
    bytes: Vec<u8>,
    signatures: Vec<(KeyId, [u8; SIGNATURE_BYTES])>,
}

impl Bundle<Authentic> {
    /// What was signed, to make volumes by.
    pub fn signed(&self) -> Signed {
        Signed {
            manifest: self.contents().manifest.clone(),
            bytes: self.tail.manifest.clone(),
            signatures: self.tail.signatures.clone(),
        }
    }
}

impl Signed {
    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many volumes the set has.
    pub fn volumes(&self) -> u64 {
        self.manifest.volumes.len() as u64
    }

    /// How it was packed.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) where this version packs differently.
    pub fn preset(&self) -> Result<Preset> {
        let Encoder { preset, chunker, level, .. } = &self.manifest.encoder;
        let known = Preset::ALL.into_iter().find(|own| own.name() == preset);
        known.filter(|own| own.level() == *level && chunker == CHUNKER).ok_or_else(|| {
            Error::malformed(format!(
                "the bundle was packed in a way that this version of sealift does not pack: preset {preset:?}, level {level}, chunks {chunker:?}"
            ))
            .hint(format!("use the version that made it: {}", self.manifest.generator))
        })
    }

    /// What to do where something comes out differently.
    fn advice(&self) -> String {
        let Manifest { generator, encoder, base, .. } = &self.manifest;
        let own = frame::library_version();
        if encoder.zstd != own {
            return format!(
                "it was packed with zstd {}, and this sealift has {own}: use the version that made it, {generator}",
                encoder.zstd
            );
        }
        let base = if base.is_some() { " and the same --base, bundle or receipt," } else { "" };
        format!(
            "name the same sources in the same order{base} as when it was exported by {generator}"
        )
    }

    fn differs(&self, what: &str) -> Error {
        Error::damaged(format!("the volume cannot be made again: {what}")).hint(self.advice())
    }
}

/// Where temporary files are, and how many threads pack.
#[derive(Clone, Debug)]
pub struct Means {
    /// Threads that compress.
    pub threads: usize,
    /// Takes temporary files without a name, each no larger than a layer.
    pub temporary: PathBuf,
    /// Whether to remember what is written, so that it can be read back.
    pub imprint: bool,
}

impl Writer {
    /// Begins to make a set again, of which a volume will be what `partial` says.
    ///
    /// # Errors
    /// As for [`Signed::preset`]; [`Kind::Usage`](crate::model::Kind::Usage) where `base` is not the
    /// one that the set has; [`Kind::Io`](crate::model::Kind::Io).
    pub fn again(
        partial: Partial,
        means: Means,
        signed: &Signed,
        base: Option<Arc<Base>>,
    ) -> Result<Self> {
        let (manifest, preset) = (&signed.manifest, signed.preset()?);
        let wanted = manifest.base.map(|base| base.digest);
        if wanted != base.as_ref().map(|base| base.entry().digest) {
            return Err(match wanted {
                Some(digest) => {
                    Error::usage(format!("the bundle is a delta to {digest}, which was not named"))
                        .hint("name it with --base, as when it was exported")
                }
                None => Error::usage("the bundle is no delta: it needs no base")
                    .hint("leave out --base"),
            });
        }
        let options = WriterOptions {
            created: manifest.created,
            set: manifest.set.clone(),
            threads: means.threads,
            preset,
            temporary: means.temporary,
            volume_size: None,
            imprint: means.imprint,
        };
        let own = preset.pack_content(None);
        let content = manifest.encoder.pack_content.and_then(|content| content.try_into().ok());
        let given = Given { packs: manifest.packs.clone(), advice: signed.advice() };
        let form = Form { given: Some(Arc::new(given)), ..form(&options) };
        Self::begin(Arc::new(partial), None, options, content.unwrap_or(own).min(own), form, base)
    }

    /// Ends it, and gives the volume its name.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where it is not what was signed.
    pub fn finish_again(self, signed: &Signed, number: u64) -> Result<SealedVolume> {
        let Self { packs, blobs, kept, options, partial, .. } = self;
        let (press, table) = packs.finish(&kept)?;
        let Settled { content, stored, .. } = Settled::index(table, blobs, options.preset)?;
        let (mut output, made) = press.finish()?;
        let manifest = &signed.manifest;
        if made != manifest.packs {
            let counts = (made.len(), manifest.packs.len());
            return Err(signed.differs(&format!("there are {} packs, not {}", counts.0, counts.1)));
        }
        let is_last = number == signed.volumes();
        if is_last {
            while output.number() < number {
                output.next()?;
            }
            let index = PackEntry {
                volume: output.number(),
                offset: output.at(),
                size: stored.len() as u64,
                digest: Digest::of(&stored),
                content,
            };
            if index != manifest.index {
                return Err(signed.differs("its index came out differently"));
            }
            output.member(&index_name(&index), &stored)?;
            let manifest_at = output.at();
            output.member(volume::MANIFEST, &signed.bytes)?;
            for (id, signature) in &signed.signatures {
                output.member(&format!("signatures/{id}.sig"), signature)?;
            }
            output.member(volume::TAIL, volume::tail_text(manifest_at).as_bytes())?;
        }
        let at = number as usize - 1;
        let done = output.end()?.into_iter().nth(at);
        let size = manifest.volumes[at].size;
        let Some(Done { file, bytes: _, file_bytes, imprint }) =
            done.filter(|done| is_last || done.bytes == size)
        else {
            return Err(signed.differs("it has another length"));
        };
        let path = partial.target().to_owned();
        name_together(vec![(file, path.clone())])?;
        partial.clear();
        Ok(SealedVolume { path, bytes: file_bytes, imprint })
    }
}

/// The files that may hold the signed tail of a bundle: itself and the volumes of that name.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) where the folder cannot be read.
pub fn files_of(bundle: &Path) -> Result<Vec<PathBuf>> {
    let whole = bundle.is_file().then(|| bundle.to_owned());
    Ok(whole.into_iter().chain(super::naming::volumes_of(bundle)?).collect())
}
