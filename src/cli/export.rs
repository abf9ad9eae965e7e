//! `sealift export`.

use std::path::Path;

use serde_json::json;

use super::advice;
use super::bases;
use super::console::Console;
use super::output::{Align, Output, Table, count, names, size};
use super::places;
use super::repair;
use super::request::{self, Encryption, Sealing};
use crate::bundle::{Base, BaseEntry, Kept, LeftOut, WriterOptions};
use crate::endpoint::{Action, BlobStep, Parcel};
use crate::model::graph::distinct_leaves;
use crate::model::{Digest, Result};
use crate::operation::export::{self, Preview, Report};
use crate::operation::freshness::{Dating, Numbering};
use crate::operation::gather::{Wanted, display_name};
use crate::trust::{PublicKey, SecretKey};

pub(super) fn run(request: &request::Export, console: &Console) -> Result<()> {
    let wanted = Wanted { platforms: request.platforms.clone(), attachments: request.attachments };
    // Keys first: nobody should wait for a download to learn that the passphrase was wrong.
    let signers = match &request.sealing {
        Some(sealing) => signers(sealing)?,
        None => Vec::new(),
    };
    let recipients = match &request.sealing {
        Some(sealing) => sealing.encryption.as_ref().map(Encryption::recipients).transpose()?,
        None => None,
    };
    let origins = places::origins(&request.sources, &request.connection)?;
    let base = base(request, &signers)?;
    let Some(sealing) = &request.sealing else {
        let progress = console.progress("export");
        request.connection.listener.to(&progress);
        let preview = export::preview(&origins, &wanted, base.as_ref(), &*progress)?;
        drop(progress);
        return show_preview(&preview, request);
    };
    if let (Some(kept), false) = (Kept::find(&sealing.output), request.resume) {
        console.say(&format!(
            "an interrupted export has left {} in {}; --resume would go on from there, this one starts anew",
            size(kept.bytes),
            kept.folder.display()
        ));
    }
    let progress = console.progress("export");
    request.connection.listener.to(&progress);
    let result = export::export(
        export::Request {
            origins,
            wanted,
            output: sealing.output.clone(),
            signers,
            writer: WriterOptions {
                created: request.created,
                set: set_name(request)?,
                threads: request.jobs.get(),
                preset: request.preset,
                temporary: request.temporary.clone(),
                volume_size: request.volume_size,
                imprint: request.read_back,
            },
            recipients,
            base,
            dating: request.dating.clone(),
            resume: request.resume,
            parity: sealing.parity.clone(),
            temporary: &request.temporary,
        },
        &*progress,
    );
    drop(progress);
    let report = result.inspect_err(|_| {
        if let Some(kept) = Kept::find(&sealing.output) {
            console.warn(&is_kept(&kept.folder));
        }
    })?;
    show(&report, sealing, request, console)
}

/// What is said where an export ends early.
pub(super) fn is_kept(folder: &Path) -> String {
    format!(
        "what was gathered is kept in {}: the same command with --resume goes on from there",
        folder.display()
    )
}

/// The base of a delta. Who signs the delta, or would sign it, is trusted to have signed its base.
fn base(request: &request::Export, signers: &[SecretKey]) -> Result<Option<Base>> {
    if request.bases.is_empty() {
        return Ok(None);
    }
    let trust = request.trust.as_ref().map(request::Trust::load).transpose()?.unwrap_or_default();
    let mut own: Vec<PublicKey> = signers.iter().map(SecretKey::public).collect();
    if let (Some(file), true) = (&request.own_key, own.is_empty()) {
        own.push(PublicKey::load(file)?);
    }
    let trust = trust.or_own(own.into_iter());
    Base::new(&bases::known(&request.bases, &trust, &request.unlock.identities()?)?)
}

fn signers(sealing: &Sealing) -> Result<Vec<SecretKey>> {
    sealing
        .keys
        .iter()
        .map(|path| SecretKey::load(path, &mut || sealing.passphrase.of_key(path)))
        .collect()
}

/// Thirty-two hexadecimal digits that name the set: random, or where the user pinned the date and
/// so wants the same bytes again, derived from what was asked for.
fn set_name(request: &request::Export) -> Result<String> {
    if request.created_is_pinned {
        let asked: Vec<String> = request.sources.iter().map(ToString::to_string).collect();
        let text = format!(
            "{} {:?} {} {} {asked:?}{}",
            request.created,
            request.platforms,
            request.attachments,
            request.preset.name(),
            request.volume_size.map_or_else(String::new, |size| format!(" {size}"))
        );
        let text = match &request.dating {
            Dating { numbering: None, expires: None } => text,
            Dating { numbering, expires } => {
                format!("{text} {:?} {expires:?}", numbering.as_ref().map(Numbering::known))
            }
        };
        return Ok(Digest::of(text.as_bytes()).hex()[..32].to_owned());
    }
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|e| {
        crate::model::Error::new(crate::model::Kind::Io, "the system gives no random numbers")
            .because(e.to_string())
    })?;
    Ok(hex::encode(random))
}

fn platforms(parcel: &Parcel) -> String {
    let found: Vec<String> = parcel
        .graph
        .images()
        .iter()
        .filter_map(|(_, platform)| platform.map(ToString::to_string))
        .collect();
    if found.is_empty() { "-".to_owned() } else { found.join(",") }
}

fn show_preview(preview: &Preview, request: &request::Export) -> Result<()> {
    let mut out = Output::stdout();
    let (sent, left_out): (Vec<&BlobStep>, Vec<&BlobStep>) =
        preview.plan.blobs.iter().partition(|step| step.action == Action::Send);
    let blobs = sent.len();
    let bytes = preview.plan.bytes_to_send();
    let bytes_left_out: u64 = left_out.iter().map(|step| step.bytes).sum();
    if request.json {
        let images: Vec<_> = preview
            .parcels
            .iter()
            .map(|parcel| {
                json!({
                    "name": parcel.root.name,
                    "origin": parcel.root.origin,
                    "digest": parcel.root.descriptor.digest,
                    "size": parcel.graph.bytes(),
                    "platforms": parcel.graph.images().iter().filter_map(|(_, platform)| platform.map(ToString::to_string)).collect::<Vec<_>>(),
                    "attached": parcel.satellites.len(),
                })
            })
            .collect();
        let announced: Vec<_> = preview
            .announced
            .iter()
            .map(|(name, bytes)| json!({"name": name, "size": bytes}))
            .collect();
        return out.json(&json!({
            "images": images,
            "streamed": announced,
            "blobs": blobs,
            "bytes": bytes,
            "leftOut": {"blobs": left_out.len(), "bytes": bytes_left_out},
        }));
    }
    let mut table = Table::new(&[
        ("IMAGE", Align::Left),
        ("DIGEST", Align::Left),
        ("SIZE", Align::Right),
        ("PLATFORMS", Align::Left),
        ("ATTACHED", Align::Right),
    ]);
    for parcel in &preview.parcels {
        table.row([
            display_name(&parcel.root),
            parcel.root.descriptor.digest.to_string(),
            size(parcel.graph.bytes()),
            platforms(parcel),
            parcel.satellites.len().to_string(),
        ]);
    }
    for (name, bytes) in &preview.announced {
        table.row([
            name.clone(),
            "known once it is read".to_owned(),
            size(*bytes),
            "-".to_owned(),
            "-".to_owned(),
        ]);
    }
    out.table(&table)?;
    let streamed: u64 = preview.announced.iter().map(|(_, bytes)| bytes).sum();
    out.line(format!(
        "would carry {}, {}; nothing was written",
        count(blobs, "blob"),
        size(bytes + streamed)
    ))?;
    match request.bases.first() {
        None => Ok(()),
        Some(base) => out.line(format!(
            "delta: {} ({}) would be left out, which {} holds; of the others, what is the same in them",
            count(left_out.len(), "blob"),
            size(bytes_left_out),
            base.display()
        )),
    }
}

/// What a delta lacks, and what it takes to import it.
fn delta(file: &Path, base: &BaseEntry, left_out: &LeftOut) -> String {
    let content = match left_out.content {
        0 => String::new(),
        bytes => format!(", and {} of the content of others", size(bytes)),
    };
    format!(
        "delta: needs {} ({}) at the destination, or named at the import with --base; it leaves out {} ({}){content}",
        file.display(),
        base.digest,
        count(left_out.blobs, "blob"),
        size(left_out.bytes),
    )
}

fn show(
    report: &Report,
    sealing: &Sealing,
    request: &request::Export,
    console: &Console,
) -> Result<()> {
    let sealed = &report.sealed;
    let mut out = Output::stdout();
    let omitted: usize =
        report.parcels.iter().flat_map(Parcel::graphs).map(|graph| graph.omitted.len()).sum();
    if omitted > 0 {
        console.warn(&format!(
            "not in the bundle: {}; their registry only says where to get them, and sealift does not follow",
            count(omitted, "foreign layer"),
        ));
    }
    let (at_hand, bytes_at_hand) = report.at_hand;
    if at_hand > 0 {
        console.say(&format!(
            "{}, {}, came from the interrupted export",
            count(at_hand, "blob"),
            size(bytes_at_hand)
        ));
    }
    if !report.removed.is_empty() {
        let names: Vec<String> =
            report.removed.iter().map(|path| path.display().to_string()).collect();
        console.say(&format!(
            "removed what was left of the bundle that was replaced: {}",
            names.join(", ")
        ));
    }
    if !report.stale_parity.is_empty() {
        let old = names(&report.stale_parity);
        let again = advice::parity(std::slice::from_ref(&sealing.output), &[]);
        console.warn(&match report.parity {
            Some(_) => format!("{old} was made for an earlier bundle: remove it"),
            None => {
                format!("{old} was made for an earlier bundle: remove it, or make it anew: {again}")
            }
        });
    }
    let blobs = distinct_leaves(report.parcels.iter().flat_map(Parcel::graphs)).len();
    if request.json {
        let images: Vec<_> = report
            .parcels
            .iter()
            .map(|parcel| json!({"name": parcel.root.name, "digest": parcel.root.descriptor.digest, "attached": parcel.satellites.len()}))
            .collect();
        return out.json(&json!({
            "bundle": match &sealed.volumes[..] { [whole] => &whole.path, _ => &sealing.output },
            "digest": sealed.digest,
            "bytes": sealed.bytes,
            "volumes": sealed.volumes.iter().map(|volume| json!({"file": volume.path, "bytes": volume.bytes})).collect::<Vec<_>>(),
            "readBack": request.read_back,
            "removed": report.removed,
            "content": report.content,
            "images": images,
            "blobs": blobs,
            "delta": sealed.manifest.base.map(|base| json!({
                "base": base.digest,
                "blobs": sealed.left_out.blobs,
                "bytes": sealed.left_out.bytes,
                "content": sealed.left_out.content,
            })),
            "atHand": {"blobs": at_hand, "bytes": bytes_at_hand},
            "parity": report.parity.as_ref().map(repair::made_json),
            "staleParity": report.stale_parity,
        }));
    }
    let mut table =
        Table::new(&[("IMAGE", Align::Left), ("DIGEST", Align::Left), ("ATTACHED", Align::Right)]);
    for parcel in &report.parcels {
        table.row([
            display_name(&parcel.root),
            parcel.root.descriptor.digest.to_string(),
            parcel.satellites.len().to_string(),
        ]);
    }
    out.table(&table)?;
    if sealed.volumes.len() > 1 {
        let mut table = Table::new(&[("VOLUME", Align::Left), ("SIZE", Align::Right)]);
        for volume in &sealed.volumes {
            table.row([volume.path.display().to_string(), size(volume.bytes)]);
        }
        out.table(&table)?;
    }
    let share = (sealed.bytes * 100).checked_div(report.content).unwrap_or(100);
    out.line(format!(
        "{}: {} of images in {} ({share} %), {}, {}signed{}",
        sealing.output.display(),
        size(report.content),
        size(sealed.bytes),
        count(blobs, "blob"),
        match sealed.volumes.len() {
            1 => String::new(),
            several => format!("{several} volumes, "),
        },
        if request.read_back { ", read back from the medium" } else { "" },
    ))?;
    if let (Some(base), Some(file)) = (&sealed.manifest.base, request.bases.first()) {
        out.line(delta(file, base, &sealed.left_out))?;
    }
    match &report.parity {
        Some(made) => out.line(repair::sentence(made)),
        None => Ok(()),
    }
}
