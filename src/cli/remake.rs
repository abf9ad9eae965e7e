//! `sealift export --only-volume`.

use serde_json::json;

use super::console::Console;
use super::output::{Output, size};
use super::{bases, places, request};
use crate::bundle::{Base, Bundle, Signed, files_of, volume_path};
use crate::model::{Digest, Error, ImageName, Kind, Location, Result};
use crate::operation::remake;
use crate::trust::{PublicKey, Trust};

pub(super) fn run(request: &request::Remake, console: &Console) -> Result<()> {
    let trust = trust(request)?;
    let identities = request.unlock.identities()?;
    let bundle = match &request.tail {
        Some(tail) => Bundle::open_set(&[], Some(tail), &identities)?,
        None => Bundle::open_set(&tail_files(request)?, None, &identities)?,
    };
    let signed = bundle.authenticate(&trust)?.signed();
    refuse_occupied(request, &signed)?;
    let locations = match &request.sources[..] {
        [] => sources_of(&signed)?,
        named => named.to_vec(),
    };
    let origins = places::origins(&locations, &request.connection)?;
    let base = match &request.bases[..] {
        [] => None,
        files => Base::new(&bases::known(files, &trust, &identities)?)?,
    };
    let progress = console.progress("export");
    request.connection.listener.to(&progress);
    let count = signed.volumes();
    let volume = remake::remake(
        remake::Request {
            signed,
            number: request.number,
            origins,
            output: request.output.clone(),
            base,
            threads: request.jobs.get(),
            read_back: request.read_back,
            temporary: &request.temporary,
        },
        &*progress,
    )
    .map_err(|error| name_sources(error, request))?;
    drop(progress);
    let mut out = Output::stdout();
    if request.json {
        return out.json(&json!({
            "volume": request.number,
            "of": count,
            "file": volume.path,
            "bytes": volume.bytes,
            "readBack": request.read_back,
        }));
    }
    out.line(format!(
        "{}: volume {} of {count}, {}, byte for byte as it was signed{}",
        volume.path.display(),
        request.number,
        size(volume.bytes),
        if request.read_back { ", read back from the medium" } else { "" },
    ))
}

/// What the volume will be called is known only now: a set of one is called as the bundle is.
fn refuse_occupied(request: &request::Remake, signed: &Signed) -> Result<()> {
    let path = volume_path(&request.output, request.number, signed.volumes());
    if request.force || path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Error::usage(format!("{} is already there", path.display()))
        .hint("add --force to replace it"))
}

/// Where the images were looked for under their own names, they may be elsewhere now.
fn name_sources(error: Error, request: &request::Remake) -> Error {
    if !request.sources.is_empty() || error.kind() != Kind::Remote {
        return error;
    }
    let elsewhere = "if the images are somewhere else now, name each as a SOURCE, as at the export";
    let hint = match error.get_hint() {
        Some(hint) => format!("{hint}; {elsewhere}"),
        None => elsewhere.to_owned(),
    };
    error.hint(hint)
}

/// Whose signature counts: the trusted keys, and one's own.
fn trust(request: &request::Remake) -> Result<Trust> {
    let own = request.own_key.iter().map(|file| PublicKey::load(file));
    Ok(request.trust.load()?.or_own(own.collect::<Result<Vec<_>>>()?.into_iter()))
}

/// The files of the set that are there.
fn tail_files(request: &request::Remake) -> Result<Vec<std::path::PathBuf>> {
    let files = files_of(&request.output)?;
    if files.is_empty() {
        return Err(Error::usage(format!("no volume of {} is there", request.output.display()))
            .hint("a volume is made by what was signed: put the last volume beside it, or name a receipt with --tail"));
    }
    Ok(files)
}

/// The images of a set at their registries, by the digests that were signed.
fn sources_of(signed: &Signed) -> Result<Vec<Location>> {
    let images = signed.manifest().images.iter();
    images
        .map(|image| match &image.name {
            Some(name) if !image.synthesized => pin(name, &image.root.digest),
            _ => Err(Error::usage(format!(
                "{} was not read from a registry",
                image
                    .name
                    .as_ref()
                    .map_or_else(|| image.root.digest.to_string(), ToString::to_string)
            ))
            .hint("name all sources, as when the bundle was exported")),
        })
        .collect()
}

/// A name that can mean one image alone.
fn pin(name: &ImageName, digest: &Digest) -> Result<Location> {
    let text = name.to_string();
    let (plain, _) = text.split_once('@').unwrap_or((&text, ""));
    Ok(Location::Registry(format!("{plain}@{digest}").parse()?))
}
