//! Makes one volume of a set again, byte for byte, from where its images came from.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::copy::{self, Surroundings};
use super::export::{read_back, run_feed};
use super::gather::{Wanted, walk};
use super::sources::Sources;
use crate::bundle::{
    Base, BundleTarget, ImageEntry, Means, Partial, SealedVolume, Signed, Writer, volume_path,
};
use crate::endpoint::{
    Event, Feed, Origin, Parcel, Progress, Root, Satellite, Source, Target as _,
};
use crate::model::{Digest, Error, Kind, Result};

/// Which volume is to be made, and from what.
pub struct Request<'a> {
    /// What was signed of the set.
    pub signed: Signed,
    /// The volume, counted from 1.
    pub number: u64,
    /// Where its images are.
    pub origins: Vec<Origin>,
    /// The bundle; the volume is named after it.
    pub output: PathBuf,
    /// The base of a delta.
    pub base: Option<Base>,
    /// Threads that compress.
    pub threads: usize,
    /// Whether to read it from its medium afterwards.
    pub read_back: bool,
    /// Takes temporary files.
    pub temporary: &'a Path,
}

/// Makes it. The volume has its name when this returns, or does not exist.
///
/// # Errors
/// [`Kind::Usage`] for a volume that the set does not have, [`Kind::Damaged`] where something comes
/// out differently than it was signed, whatever places and disk report.
pub fn remake(request: Request<'_>, progress: &dyn Progress) -> Result<SealedVolume> {
    let Request { signed, number, output, .. } = request;
    let count = signed.volumes();
    if !(1..=count).contains(&number) {
        return Err(Error::usage(format!("the bundle has no volume {number}"))
            .hint(format!("its volumes are numbered from 1 to {count}")));
    }
    let temporary = request.temporary;
    let then = Some("packing it again");
    let around = Surroundings { progress, temporary, title: "fetching", then };
    progress.event(Event::Phase { title: "reading what the images consist of", total: None });
    let mut feeds: Vec<Box<dyn Feed>> = Vec::new();
    let mut places: Vec<Box<dyn Source>> = Vec::new();
    for origin in request.origins {
        match origin {
            Origin::Source(source) => {
                // Some places make the manifests of their images when they are asked for them.
                source.roots()?;
                places.push(source);
            }
            Origin::Feed(feed) => feeds.push(feed),
        }
    }
    let means = Means {
        threads: request.threads,
        temporary: request.temporary.to_owned(),
        imprint: request.read_back,
    };
    let path = volume_path(&output, number, count);
    let partial = Partial::begin(&path)?;
    let writer = Writer::again(partial, means, &signed, request.base.map(Arc::new))?;
    let target = BundleTarget::new(path.display().to_string(), writer);
    let mut fed: HashSet<Digest> = HashSet::new();
    for mut feed in feeds {
        let parcels = run_feed(&mut *feed, &target, &Wanted::default(), progress)?;
        fed.extend(parcels.iter().map(|parcel| parcel.root.descriptor.digest));
    }
    let mut of_place: Vec<Vec<Parcel>> = places.iter().map(|_| Vec::new()).collect();
    let mut parcels = Vec::new();
    let images = &signed.manifest().images;
    for (at, image) in images.iter().filter(|image| !fed.contains(&image.root.digest)).enumerate() {
        let (place, parcel) = find(image, &places, at)?;
        of_place[place].push(parcel.clone());
        parcels.push(parcel);
    }
    let mut sources = Sources::default();
    for (source, found) in places.into_iter().zip(of_place) {
        sources.add(source, &found);
    }
    let plan = target.plan(&parcels)?;
    copy::run(&sources, &target, plan, &around)?;
    progress.event(Event::Phase { title: "comparing", total: None });
    let volume = target.finish_again(&signed, number)?;
    read_back(std::slice::from_ref(&volume), None, progress)?;
    Ok(volume)
}

/// An image as it was signed, and which place has it. Most places are named in the order of the
/// images, so that the one at the same position is asked first.
fn find(
    image: &ImageEntry,
    places: &[Box<dyn Source>],
    position: usize,
) -> Result<(usize, Parcel)> {
    let name =
        image.name.as_ref().map_or_else(|| image.root.digest.to_string(), ToString::to_string);
    let first = position.min(places.len().saturating_sub(1));
    let order = std::iter::once(first).chain((0..places.len()).filter(|&place| place != first));
    let mut refused = None;
    for place in order.filter(|&place| place < places.len()) {
        match pinned(image, &*places[place]) {
            Ok(parcel) => return Ok((place, parcel)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let refused = refused.unwrap_or_else(|| Error::new(Kind::Usage, "no source was named"));
    let from = image
        .origin
        .as_ref()
        .map_or_else(String::new, |origin| format!("; it was read from {origin} then"));
    Err(refused.context(format!("cannot get {name} as it was, {}{from}", image.root.digest)))
}

/// An image with everything that was attached to it, by the digests that were signed.
fn pinned(image: &ImageEntry, source: &dyn Source) -> Result<Parcel> {
    let descriptor = image.root.descriptor();
    let graph = walk(source, &descriptor)?;
    let satellites = image.attached.iter().map(|attached| {
        let attachment = attached.attachment()?;
        let graph = walk(source, &attachment.descriptor)?;
        Ok(Satellite { kind: attachment.kind, subject: attachment.subject, graph })
    });
    let satellites = satellites.collect::<Result<_>>()?;
    let root = Root {
        name: image.name.clone(),
        descriptor,
        synthesized: image.synthesized,
        from_index: image.from_index,
        origin: image.origin.clone(),
    };
    Ok(Parcel { root, graph, satellites, plain: Vec::new(), assigned: None })
}
