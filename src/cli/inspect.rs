//! `sealift inspect`.

use serde_json::json;

use super::console::Console;
use super::freshness;
use super::landing::Landing;
use super::output::{Align, Output, Table, count, size};
use super::request;
use super::verify::volume;
use crate::bundle::{AtHand, Authentic, Bundle, Contents, Receipt, Unverified};
use crate::model::{Error, Kind, Result, moment};
use crate::operation::inspect::{self, Image, Layer, Report, StoredAs};
use crate::trust::{Signer, Trust};

pub(super) fn run(request: &request::Inspect, console: &Console) -> Result<()> {
    let trust = request.trust.load()?;
    let identities = request.unlock.identities()?;
    let receipt = match &request.files[..] {
        [file] if Receipt::is_one(file)? => Some(file.as_path()),
        _ => None,
    };
    let landing = receipt.map(|file| Landing::of(file, &trust)).transpose()?.flatten();
    let files = if receipt.is_some() { &[] } else { &request.files[..] };
    let bundle = Bundle::<Unverified>::open_set(files, receipt, &identities)?;
    let signers = bundle.signers(&trust);
    let (digest, encrypted) = (bundle.digest(), bundle.is_encrypted());
    let (length, volumes, report);
    let again = || Bundle::<Unverified>::open_set(files, receipt, &identities);
    let contents = match proved(again, &signers, &trust)? {
        Ok(bundle) => {
            if let Some(receipt) = &request.receipt {
                bundle.write_receipt(receipt)?;
            }
            report = inspect::inspect(bundle.contents())?;
            (length, volumes) = (bundle.length(), bundle.volumes());
            bundle.into_contents()
        }
        Err(why) => {
            if request.receipt.is_some() {
                return Err(Error::untrusted(format!("{why}: no receipt is made of it"))
                    .hint("name the sender's key with --key"));
            }
            console.warn(&format!("{why}: what follows is what it says of itself"));
            let contents = bundle.peek()?;
            report = inspect::inspect(&contents)?;
            (length, volumes) = (bundle.length(), bundle.claimed_volumes(&contents));
            contents
        }
    };
    let digest = digest.to_string();
    let is_receipt = receipt.is_some();
    let facts = Facts {
        is_receipt,
        length,
        encrypted,
        volumes,
        digest,
        signers,
        contents,
        report,
        landing,
    };
    if request.json { facts.json() } else { facts.print(request.layers) }
}

/// The bundle where those who are trusted signed it, or why they did not.
fn proved(
    open: impl FnOnce() -> Result<Bundle<Unverified>>,
    signers: &[Signer],
    trust: &Trust,
) -> Result<std::result::Result<Bundle<Authentic>, String>> {
    if signers.iter().all(|signer| signer.trusted.is_none()) {
        return Ok(Err("no trusted key signed this bundle".to_owned()));
    }
    match open()?.authenticate(trust) {
        // Too few of them, or not for these images.
        Err(error) if error.kind() == Kind::Untrusted => Ok(Err(error.to_string())),
        bundle => bundle.map(Ok),
    }
}

/// How a layer is stored, in a few words.
fn stored_as(stored: &StoredAs) -> String {
    match stored {
        StoredAs::Rebuilt { encoders, corrections: 0 } => format!("rebuilt by {encoders}"),
        StoredAs::Rebuilt { encoders, corrections } => {
            format!("rebuilt by {encoders} + {}", size(*corrections))
        }
        StoredAs::Plain => "plain".to_owned(),
        StoredAs::AsItCame(why) => format!("as it came ({why})"),
        StoredAs::Inline => "in the index".to_owned(),
        StoredAs::InBase => "in the base".to_owned(),
    }
}

struct Facts {
    is_receipt: bool,
    length: u64,
    encrypted: bool,
    volumes: Vec<AtHand>,
    digest: String,
    signers: Vec<Signer>,
    contents: Contents,
    report: Report,
    /// What a receipt says of an import.
    landing: Option<Landing>,
}

fn name(image: &Image) -> String {
    image
        .entry
        .name
        .as_ref()
        .map_or_else(|| image.entry.root.digest.to_string(), ToString::to_string)
}

fn platforms(image: &Image) -> String {
    let all: Vec<String> = image.entry.platforms.iter().map(ToString::to_string).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(",") }
}

impl Facts {
    fn json(&self) -> Result<()> {
        let manifest = &self.contents.manifest;
        let layer = |layer: &Layer| {
            json!({
                "digest": layer.digest,
                "size": layer.size,
                "plainSize": layer.plain,
                "storedAs": stored_as(&layer.stored_as),
                "storedSize": layer.stored,
                "sharedContent": layer.shared,
                "images": layer.images,
            })
        };
        let images: Vec<_> = self
            .report
            .images
            .iter()
            .map(|image| {
                json!({
                    "name": image.entry.name,
                    "digest": image.entry.root.digest,
                    "mediaType": image.entry.root.media_type,
                    "platforms": image.entry.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "size": image.size,
                    "content": image.content,
                    "sharedContent": image.shared,
                    "synthesized": image.entry.synthesized,
                    "fromIndex": image.entry.from_index,
                    "origin": image.entry.origin,
                    "omittedLayers": image.omitted,
                    "attached": image.entry.attached,
                    "variants": image.variants.iter().map(|variant| json!({
                        "platform": variant.platform.as_ref().map(ToString::to_string),
                        "digest": variant.digest,
                        "layers": variant.layers.iter().map(layer).collect::<Vec<_>>(),
                    })).collect::<Vec<_>>(),
                })
            })
            .collect();
        Output::stdout().json(&json!({
            "digest": self.digest,
            "bytes": self.length,
            "encrypted": self.encrypted,
            "set": manifest.set,
            "created": manifest.created,
            "stream": freshness::stream(manifest, None),
            "expires": manifest.expires,
            "generator": manifest.generator,
            "base": manifest.base.map(|base| base.digest),
            "compression": manifest.encoder.preset,
            "volumes": self.volumes.iter().map(volume).collect::<Vec<_>>(),
            "signatures": self.signers.iter().map(|signer| json!({
                "key": signer.id.to_string(), "trusted": signer.trusted.is_some(),
            })).collect::<Vec<_>>(),
            "blobs": self.report.blob_count,
            "blobBytes": self.report.blobs,
            "contentBytes": self.report.content,
            "packBytes": self.report.packs,
            "packs": manifest.packs.len(),
            "import": self.landing.as_ref().map(Landing::json),
            "images": images,
        }))
    }

    fn print(&self, layers: bool) -> Result<()> {
        let mut out = Output::stdout();
        let manifest = &self.contents.manifest;
        let created = moment::spell(manifest.created);
        if self.is_receipt {
            out.line(format!("receipt  of {}", self.digest))?;
        } else {
            out.line(format!("bundle   {} ({})", self.digest, size(self.length)))?;
        }
        if self.encrypted {
            out.line("file     encrypted, as age does")?;
        }
        out.line(format!("made     {created} by {}, set {}", manifest.generator, manifest.set))?;
        if let Some(position) = manifest.position() {
            out.line(format!("stream   {position}"))?;
        }
        if let Some(expires) = manifest.expires {
            out.line(format!("expires  {}", moment::spell(expires)))?;
        }
        if let Some(base) = manifest.base {
            out.line(format!("delta    of {}", base.digest))?;
        }
        for signer in &self.signers {
            let judged = match (&signer.trusted, &signer.revoked) {
                (Some(trusted), _) => format!("trusted ({})", trusted.path.display()),
                (None, Some(revoked)) => format!("revoked since {}", revoked.date),
                (None, None) => "not trusted here".to_owned(),
            };
            out.line(format!("signed   by {}, {judged}", signer.describe()))?;
        }
        out.line("")?;
        if self.volumes.len() > 1 && !self.is_receipt {
            self.print_volumes(&mut out)?;
        }
        let mut table = Table::new(&[
            ("IMAGE", Align::Left),
            ("DIGEST", Align::Left),
            ("PLATFORMS", Align::Left),
            ("SIZE", Align::Right),
            ("SHARED", Align::Right),
            ("ATTACHED", Align::Right),
        ]);
        for image in &self.report.images {
            table.row([
                name(image),
                image.entry.root.digest.to_string(),
                platforms(image),
                size(image.size),
                size(image.shared),
                image.entry.attached.len().to_string(),
            ]);
        }
        out.table(&table)?;
        let moved = self
            .report
            .images
            .iter()
            .filter_map(|image| Some((name(image), image.entry.origin.as_ref()?)));
        for (at, (image, origin)) in moved.enumerate() {
            if at == 0 {
                out.line("")?;
            }
            out.line(format!("{image} was read at {origin}"))?;
        }
        if layers {
            self.print_layers(&mut out)?;
        }
        out.line("")?;
        out.line(format!(
            "{}, {}; {} of distinct content in {}, {} stored",
            count(self.report.blob_count, "blob"),
            size(self.report.blobs),
            size(self.report.content),
            count(manifest.packs.len(), "pack"),
            size(self.report.packs),
        ))?;
        self.landing.as_ref().map_or(Ok(()), |landing| landing.print(&mut out))
    }

    fn print_volumes(&self, out: &mut Output) -> Result<()> {
        let mut table =
            Table::new(&[("VOLUME", Align::Right), ("SIZE", Align::Right), ("FILE", Align::Left)]);
        for volume in &self.volumes {
            let file = match (&volume.file, &volume.name) {
                (Some(file), _) => file.display().to_string(),
                (None, Some(name)) => format!("MISSING (probably {name})"),
                (None, None) => "MISSING".to_owned(),
            };
            let bytes = volume.length.unwrap_or(volume.size);
            table.row([volume.number.to_string(), size(bytes), file]);
        }
        out.table(&table)?;
        out.line("")
    }

    fn print_layers(&self, out: &mut Output) -> Result<()> {
        for image in &self.report.images {
            for variant in &image.variants {
                out.line("")?;
                let platform = variant
                    .platform
                    .as_ref()
                    .map_or(String::new(), |platform| format!(", {platform}"));
                out.line(format!("{}{platform}, {}", name(image), variant.digest))?;
                let mut table = Table::new(&[
                    ("LAYER", Align::Left),
                    ("SIZE", Align::Right),
                    ("OPENED", Align::Right),
                    ("STORED", Align::Right),
                    ("SHARED", Align::Right),
                    ("IMAGES", Align::Right),
                    ("AS", Align::Left),
                ]);
                for layer in &variant.layers {
                    table.row([
                        layer.digest.to_string(),
                        size(layer.size),
                        layer.plain.map_or_else(|| "-".to_owned(), size),
                        size(layer.stored),
                        size(layer.shared),
                        layer.images.to_string(),
                        stored_as(&layer.stored_as),
                    ]);
                }
                out.table(&table)?;
            }
            for attached in &image.entry.attached {
                let tag = attached.tag.as_deref().unwrap_or("by subject");
                out.line(format!(
                    "  attached: {} ({}, {tag})",
                    attached.root.digest, attached.kind
                ))?;
            }
            if image.omitted > 0 {
                out.line(format!(
                    "  not carried: {} of {}",
                    count(image.omitted, "foreign layer"),
                    name(image)
                ))?;
            }
        }
        Ok(())
    }
}
