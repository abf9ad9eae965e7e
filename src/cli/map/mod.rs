//! `sealift map`: the names of a bundle's images, before and after, for people and for programs.
//!
//! Each form but the table and JSON is a [`Piece`]: text that a program takes as it is, and what
//! could not be said in it. [`docker`] makes a shell script, [`containerd`] its `hosts.toml`,
//! [`containers`] the `registries.conf` of podman and its kin, [`kustomize`] the list of a
//! kustomization. [`piece`] sorts out what none of them can say.

mod containerd;
mod containers;
mod docker;
mod kustomize;
mod piece;

use std::path::{Path, PathBuf};

use serde_json::json;

use self::piece::{About, Piece};
use super::args::MapFormat;
use super::console::Console;
use super::output::{Align, Output, Table, json_text};
use super::request;
use crate::bundle::Bundle;
use crate::codec::atomic::write_file;
use crate::model::{Destination, Error, Result};
use crate::operation::map::{self, Mapped, Report};

/// Permissions of what is written, before the umask.
const MODE: u32 = 0o644;

/// What is left out of a piece is told one by one up to here; its comments have all of it.
const TOLD: usize = 8;

pub(super) fn run(request: &request::Map, console: &Console) -> Result<()> {
    let trust = request.trust.load()?;
    let identities = request.unlock.identities()?;
    let bundle = Bundle::open_set(std::slice::from_ref(&request.bundle), None, &identities)?
        .authenticate(&trust)?;
    let progress = console.progress("map");
    let report = map::map(
        &map::Request {
            bundle: &bundle,
            trust: &trust,
            target: &request.target,
            naming: &request.naming,
            images: request.images.clone(),
            platforms: request.platforms.clone(),
        },
        &*progress,
    )?;
    drop(progress);
    for note in &report.notes {
        console.warn(note);
    }
    let about = About {
        target: request.target.to_string(),
        host: match &request.target {
            Destination::Registry { host, .. } => host.clone(),
            other => other.to_string(),
        },
        bundle: bundle.digest().to_string(),
        plain_http: request.plain_http,
    };
    let (pieces, folders) = match request.format {
        MapFormat::Table => (vec![Piece::of(table(&report.images))], false),
        MapFormat::Json => (vec![Piece::of(json_text(&value(&report, &about))?)], false),
        MapFormat::List => (vec![list(&report.images)], false),
        MapFormat::Docker => (vec![docker::script(&report.images, &about)], false),
        MapFormat::RegistriesConf => (vec![containers::mirrors(&report.images, &about)], false),
        MapFormat::Kustomize => (vec![kustomize::images(&report.images, &about)], false),
        MapFormat::HostsToml => (containerd::hosts(&report.images, &about), true),
    };
    tell(&pieces, console);
    match &request.output {
        None => print(pieces, folders),
        Some(path) => write(path, &pieces, folders, request.force, console),
    }
}

/// Says what the pieces cannot.
fn tell(pieces: &[Piece], console: &Console) {
    let left_out: Vec<&String> = pieces.iter().flat_map(|piece| &piece.left_out).collect();
    for what in left_out.iter().take(TOLD) {
        console.warn(&format!("left out: {what}"));
    }
    if left_out.len() > TOLD {
        let more = left_out.len() - TOLD;
        console.warn(&format!("{more} more are left out, as the comments say"));
    }
}

fn print(pieces: Vec<Piece>, folders: bool) -> Result<()> {
    if folders && pieces.len() > 1 {
        let registries: Vec<&str> = pieces.iter().map(|piece| piece.folder.as_str()).collect();
        return Err(Error::usage(format!(
            "there is a hosts.toml for each of {} registries: {}",
            registries.len(),
            registries.join(", ")
        ))
        .hint("name a directory for them with -o, such as /etc/containerd/certs.d"));
    }
    let mut out = Output::stdout();
    pieces.into_iter().try_for_each(|piece| out.text(&piece.text))
}

fn write(
    path: &Path,
    pieces: &[Piece],
    folders: bool,
    force: bool,
    console: &Console,
) -> Result<()> {
    // There may be no registry that a mirror can be named for.
    let pieces: Vec<&Piece> =
        pieces.iter().filter(|piece| !folders || !piece.folder.is_empty()).collect();
    let place = |piece: &&Piece| {
        if folders { path.join(&piece.folder).join("hosts.toml") } else { path.to_owned() }
    };
    let places: Vec<PathBuf> = pieces.iter().map(place).collect();
    if let Some(there) = places.iter().find(|place| !force && place.symlink_metadata().is_ok()) {
        return Err(Error::usage(format!("{} is already there", there.display()))
            .hint("choose another name, or add --force to replace it"));
    }
    for (place, piece) in places.iter().zip(pieces) {
        if let (true, Some(folder)) = (folders, place.parent()) {
            std::fs::create_dir_all(folder).map_err(|e| {
                Error::io(format!("cannot make the directory {}", folder.display()), e)
            })?;
        }
        write_file(place, MODE, piece.text.as_bytes())?;
        console.say(&format!("{} written", place.display()));
    }
    Ok(())
}

fn shown(image: &Mapped) -> String {
    image.source.as_ref().map_or_else(|| image.digest.to_string(), ToString::to_string)
}

fn table(images: &[Mapped]) -> String {
    let mut table = Table::new(&[
        ("IMAGE", Align::Left),
        ("BECOMES", Align::Left),
        ("DIGEST THERE", Align::Left),
        ("RULE", Align::Left),
    ]);
    for image in images {
        table.row([
            shown(image),
            image.target.to_string(),
            image.target_digest.to_string(),
            image.rule.clone().unwrap_or_default(),
        ]);
    }
    table.render()
}

fn value(report: &Report, about: &About) -> serde_json::Value {
    json!({
        "bundle": about.bundle,
        "target": about.target,
        "images": report.images.iter().map(|image| json!({
            "image": shown(image),
            "digest": image.digest,
            "target": image.target,
            "targetDigest": image.target_digest,
            "rule": image.rule,
            "containerImage": image.runnable,
        })).collect::<Vec<_>>(),
        "notes": report.notes,
    })
}

/// A line an image: old name, new name with digest.
fn list(images: &[Mapped]) -> Piece {
    let mut piece = Piece::default();
    for image in images {
        piece.line(format!("{} {}", shown(image), piece::pinned(image)));
    }
    piece
}
