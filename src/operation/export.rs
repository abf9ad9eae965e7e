//! Export: images of any places into one signed bundle.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::at_hand::AtHand;
use super::copy::{self, Surroundings};
use super::freshness::Dating;
use super::gather::{Wanted, display_name, gather};
use super::parity;
use super::sources::Sources;
use super::space::{self, Need};
use crate::bundle::parity::{Written, beside, named_after};
use crate::bundle::{
    Base, BundleTarget, Occupied, Partial, Sealed, SealedVolume, Writer, WriterOptions,
};
use crate::codec::disk::Disk;
use crate::codec::encryption::Recipients;
use crate::codec::imprint::Imprint;
use crate::endpoint::{
    Action, BlobStep, Event, Fed, Feed, Form, Intake, Origin, Parcel, Plan, Progress, Satellite,
    Source, Target as _, Transfers,
};
use crate::model::graph::distinct_leaves;
use crate::model::{Digest, Error, Graph, ImageName, Kind, Result, Role, limits};
use crate::trust::SecretKey;

/// What an export is at, for people, while images come in,
const FETCHING: &str = "fetching";

/// and when the last of them are there.
const PACKING: &str = "packing";

/// What is to be exported, and how.
pub struct Request<'a> {
    /// The places, in the order in which the user named them.
    pub origins: Vec<Origin>,
    /// What is wanted of each image.
    pub wanted: Wanted,
    /// The bundle.
    pub output: PathBuf,
    /// Who signs it; at least one.
    pub signers: Vec<SecretKey>,
    /// Time and name of the set, and how many threads pack.
    pub writer: WriterOptions,
    /// For whom the bundle is encrypted, if it is.
    pub recipients: Option<Recipients>,
    /// What the far side has already; nothing for a bundle that is whole by itself.
    pub base: Option<Base>,
    /// What it says about its age.
    pub dating: Dating,
    /// Whether to go on from what interrupted exports to the same file have left. One that is
    /// encrypted leaves nothing.
    pub resume: bool,
    /// Parity to be made beside it.
    pub parity: Option<parity::Wanted>,
    /// Takes temporary files.
    pub temporary: &'a Path,
}

/// What an export will do: everything that can be known before it runs.
#[derive(Debug)]
pub struct Preview {
    /// The images whose parts are known.
    pub parcels: Vec<Parcel>,
    /// Their blobs.
    pub plan: Plan,
    /// Images that a daemon will deliver as one stream: name and its own estimate of bytes.
    pub announced: Vec<(String, u64)>,
}

/// What an export did.
#[derive(Debug)]
pub struct Report {
    /// The bundle.
    pub sealed: Sealed,
    /// Its images.
    pub parcels: Vec<Parcel>,
    /// Bytes of all distinct blobs and manifests, as they were at their sources.
    pub content: u64,
    /// How many blobs came from an interrupted export, and their bytes.
    pub at_hand: (usize, u64),
    /// Files of the bundle that this one took the place of, which no file of this one replaced.
    pub removed: Vec<PathBuf>,
    /// Parity that was made.
    pub parity: Option<parity::Made>,
    /// Parity beside the bundle that was there before, and is for an earlier one.
    pub stale_parity: Vec<PathBuf>,
}

/// Says what an export would do. Asks the places, writes nothing. Of what blobs share with the base
/// only what it holds whole is known beforehand.
pub fn preview(
    origins: &[Origin],
    wanted: &Wanted,
    base: Option<&Base>,
    progress: &dyn Progress,
) -> Result<Preview> {
    progress.event(Event::Phase { title: "reading what the images consist of", total: None });
    let mut announced = Vec::new();
    let mut sources: Vec<&dyn Source> = Vec::new();
    for origin in origins {
        match origin {
            Origin::Source(source) => sources.push(&**source),
            Origin::Feed(feed) => announced.extend(feed.announce()?),
        }
    }
    let parcels = gather(sources.iter().copied(), wanted)?;
    for source in sources {
        tell(source, progress);
    }
    let parcels: Vec<Parcel> = parcels.into_iter().flatten().collect();
    let mut plan = Plan::default();
    for leaf in distinct_leaves(parcels.iter().flat_map(Parcel::graphs)) {
        // Configurations travel with every bundle.
        let left_out = leaf.role != Role::Config
            && base.is_some_and(|base| base.holds(&leaf.descriptor.digest));
        plan.blobs.push(BlobStep {
            descriptor: leaf.descriptor.clone(),
            form: Form::Exact,
            bytes: leaf.descriptor.size,
            place: String::new(),
            action: if left_out { Action::Present } else { Action::Send },
        });
    }
    Ok(Preview { parcels, plan, announced })
}

/// Exports. The bundle has its name when this returns, or does not exist.
///
/// An export from a registry that fails, or is interrupted, leaves what it has gathered beside the
/// bundle ([`Kept`](crate::bundle::Kept)). One that is to go on from it does all that any export
/// does, only that it need not fetch those blobs: so it makes the same bundle.
///
/// # Errors
/// [`Kind::Usage`] without a signer; whatever places and disk report.
pub fn export(request: Request<'_>, progress: &dyn Progress) -> Result<Report> {
    if request.signers.is_empty() {
        return Err(Error::usage("a bundle must be signed, and there is no key to sign with")
            .hint("make one with `sealift key generate`"));
    }
    let temporary = request.temporary;
    let around = Surroundings { progress, temporary, title: FETCHING, then: Some(PACKING) };
    if request.signers.len() > limits::SIGNATURES {
        return Err(Error::usage(format!(
            "a bundle has at most {} signatures, and there are {} keys",
            limits::SIGNATURES,
            request.signers.len()
        )));
    }
    if let Some(numbering) = &request.dating.numbering {
        numbering.prepare()?;
    }
    let mut options = request.writer;
    let (created, is_read_back) = (options.created, options.imprint);
    let disk = Disk::of(request.output.parent().unwrap_or(&request.output))?;
    options.volume_size = space::volume_size(&disk, options.volume_size, progress)?;
    let occupied = Occupied::find(&request.output)?;
    let mut announced = 0;
    // Everything that can be asked beforehand is asked before anything is written.
    progress.event(Event::Phase { title: "reading what the images consist of", total: None });
    let mut feeds: Vec<(usize, Box<dyn Feed>)> = Vec::new();
    let mut opened: Vec<(usize, Box<dyn Source>)> = Vec::new();
    for (place, origin) in request.origins.into_iter().enumerate() {
        match origin {
            Origin::Source(source) => opened.push((place, source)),
            Origin::Feed(feed) => {
                announced += feed.announce()?.iter().map(|(_, bytes)| bytes).sum::<u64>();
                feeds.push((place, feed));
            }
        }
    }
    let found = gather(opened.iter().map(|(_, source)| &**source), &request.wanted)?;
    let mut sources = Sources::default();
    let mut parcels: Vec<(usize, Parcel)> = Vec::new();
    for ((place, source), found) in opened.into_iter().zip(found) {
        tell(&*source, progress);
        sources.add(source, &found);
        parcels.extend(found.into_iter().map(|parcel| (place, parcel)));
    }
    let base = request.base.map(Arc::new);
    let known: Vec<&Parcel> = parcels.iter().map(|(_, parcel)| parcel).collect();
    let packing = (options.preset, options.threads);
    let need = Need::of_export(&known, announced, packing, base.as_deref())
        .with_parity(request.parity.as_ref().map_or(0, |parity| parity.percent));
    need.check(&disk, request.temporary, options.volume_size.is_none(), progress)?;
    let volume_size = options.volume_size;
    let partial = Partial::begin(&request.output)?.encrypted_to(request.recipients);
    let remains = if request.resume { partial.remains(base.as_ref()) } else { Vec::new() };
    let writer = Writer::create_in(partial, sources.is_remote(), options, base)?;
    let target = BundleTarget::new(request.output.display().to_string(), writer);
    let bring_all = || {
        for (place, mut feed) in feeds {
            let fed = run_feed(&mut *feed, &target, &request.wanted, progress)?;
            parcels.extend(fed.into_iter().map(|parcel| (place, parcel)));
        }
        parcels.sort_by_key(|(place, _)| *place);
        let parcels = merge(parcels.drain(..).map(|(_, parcel)| parcel));
        if parcels.is_empty() {
            return Err(Error::usage("there is no image in what was named"));
        }
        let carried: Vec<Parcel> =
            parcels.iter().filter(|parcel| sources.holds(parcel)).cloned().collect();
        let plan = target.plan(&carried)?;
        let at_hand = AtHand::new(&sources, &remains, &plan, progress);
        let copied = copy::run(&at_hand, &target, plan, &around);
        tell(&sources, progress);
        copied?;
        Ok((parcels, at_hand.amount()))
    };
    let explained = |error| need.explain(error, &disk);
    let (parcels, at_hand) = bring_all().inspect_err(|_| target.give_up()).map_err(explained)?;
    progress.event(Event::Phase { title: "packing the rest and sealing", total: None });
    let content = distinct_bytes(&parcels);
    // As late as can be: an export that fails uses up no number.
    let mut position = None;
    if let Some(numbering) = &request.dating.numbering {
        let (given, note) = numbering.settle(created)?;
        if let Some(note) = note {
            progress.event(Event::Warning(&note));
        }
        position = Some(given);
    }
    target.with(|writer| {
        writer.date(position, request.dating.expires);
        Ok(())
    })?;
    // From here on the volumes are whole; what is to be made of them is made before they are named.
    let finished = target.seal(&parcels, &request.signers).map_err(explained)?;
    let (made, beside) = match &request.parity {
        Some(wanted) => {
            let wanted = &parity::Wanted { limit: wanted.limit.or(volume_size), ..wanted.clone() };
            let (made, files) = parity::make_with(&finished, &request.output, wanted, progress)
                .map_err(explained)?;
            (Some(made), files)
        }
        None => (None, Vec::new()),
    };
    let sealed = finished.commit(beside).map_err(explained)?;
    read_back(&sealed.volumes, made.as_ref().filter(|_| is_read_back), progress)?;
    let removed = occupied.remove_others(&sealed);
    let stale_parity = stale_parity(&request.output, made.as_ref())?;
    Ok(Report { sealed, parcels, content, at_hand, removed, parity: made, stale_parity })
}

/// Parity of the name that parity for this bundle has, which was not made for it.
fn stale_parity(bundle: &Path, made: Option<&parity::Made>) -> Result<Vec<PathBuf>> {
    let mut found = named_after(&beside(bundle))?;
    found.retain(|path| made.is_none_or(|made| !made.files.contains(path)));
    Ok(found)
}

/// Compares a file with what was written, and tells how many bytes it has read.
type Compare<'a> = dyn Fn(&dyn Fn(u64)) -> Result<()> + 'a;

/// Reads the files that were written with an imprint from their medium, and this parity, and compares.
///
/// # Errors
/// [`Kind::Damaged`] where the medium gives back something else, [`Kind::Io`] where it gives
/// nothing.
pub(super) fn read_back(
    volumes: &[SealedVolume],
    parity: Option<&parity::Made>,
    progress: &dyn Progress,
) -> Result<()> {
    let imprinted: Vec<(&SealedVolume, &Imprint)> =
        volumes.iter().filter_map(|volume| Some((volume, volume.imprint.as_ref()?))).collect();
    let parity: Vec<(&PathBuf, &Written)> =
        parity.iter().flat_map(|made| made.files.iter().zip(&made.written)).collect();
    if imprinted.is_empty() && parity.is_empty() {
        return Ok(());
    }
    let total = imprinted.iter().map(|(volume, _)| volume.bytes).sum::<u64>()
        + parity.iter().map(|(_, written)| written.bytes()).sum::<u64>();
    progress.event(Event::Phase { title: "reading back", total: Some(total) });
    let transfers = Transfers::new(progress);
    let run = |path: &Path, bytes, compare: &Compare<'_>| {
        let label = path.file_name().unwrap_or_default().to_string_lossy();
        let id = transfers.start(&label, Some(bytes));
        let compared = compare(&|bytes| progress.event(Event::Advanced { id, bytes }));
        transfers.finish(id, copy::outcome(&compared));
        compared
    };
    for (volume, imprint) in imprinted {
        run(&volume.path, volume.bytes, &|advance| imprint.compare(&volume.path, advance))?;
    }
    for (path, written) in parity {
        run(path, written.bytes(), &|advance| written.compare(path, advance))?;
    }
    Ok(())
}

/// Tells how the images of a place were come by.
fn tell(source: &dyn Source, progress: &dyn Progress) {
    for note in source.notes() {
        progress.event(Event::Note(&note));
    }
}

/// The same image under the same name stands once, whatever places it came from.
fn merge(parcels: impl Iterator<Item = Parcel>) -> Vec<Parcel> {
    let mut merged: Vec<Parcel> = Vec::new();
    let mut places: HashMap<(Digest, Option<ImageName>), usize> = HashMap::new();
    for parcel in parcels {
        let key = (parcel.root.descriptor.digest, parcel.root.name.clone());
        match places.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(merged.len());
                merged.push(parcel);
            }
            // One place may know attachments that the other has not.
            Entry::Occupied(entry) => {
                let known = &mut merged[*entry.get()];
                for satellite in parcel.satellites {
                    let digest = |of: &Satellite| of.graph.root().descriptor.digest;
                    let has = |own: &Satellite| {
                        own.kind == satellite.kind && digest(own) == digest(&satellite)
                    };
                    if !known.satellites.iter().any(has) {
                        known.satellites.push(satellite);
                    }
                }
            }
        }
    }
    merged
}

fn distinct_bytes(parcels: &[Parcel]) -> u64 {
    let mut sizes: HashMap<Digest, u64> = HashMap::new();
    for graph in parcels.iter().flat_map(Parcel::graphs) {
        sizes.extend(graph.nodes.iter().map(|node| (node.descriptor.digest, node.descriptor.size)));
        sizes
            .extend(graph.leaves.iter().map(|leaf| (leaf.descriptor.digest, leaf.descriptor.size)));
    }
    sizes.values().sum()
}

/// Runs a feed into the bundle and makes parcels of what it delivered.
pub(super) fn run_feed(
    feed: &mut dyn Feed,
    target: &BundleTarget,
    wanted: &Wanted,
    progress: &dyn Progress,
) -> Result<Vec<Parcel>> {
    let announced: u64 = feed.announce()?.iter().map(|(_, bytes)| bytes).sum();
    progress.event(Event::Phase { title: FETCHING, total: (announced > 0).then_some(announced) });
    progress.event(Event::Then(PACKING));
    let mut intake = FeedIntake { target, transfers: Transfers::new(progress) };
    let delivered = feed.run(&mut intake)?;
    let mut parcels = Vec::new();
    for image in delivered {
        parcels.push(fed_parcel(image, target, &feed.describe())?);
    }
    if !wanted.platforms.is_empty() {
        check_platforms(&parcels, target, wanted)?;
    }
    Ok(parcels)
}

/// A stream cannot be asked for a platform; what it delivered must be one of those wanted.
fn check_platforms(parcels: &[Parcel], target: &BundleTarget, wanted: &Wanted) -> Result<()> {
    for parcel in parcels {
        let other = target
            .platforms(parcel)
            .into_iter()
            .find(|platform| !wanted.platforms.iter().any(|wish| wish.accepts(platform)));
        if let Some(other) = other {
            return Err(Error::usage(format!("{} comes for {other}", display_name(&parcel.root)))
                .hint("a daemon or compressed archive delivers an image whole: leave out --platform, or export from a registry"));
        }
    }
    Ok(())
}

fn fed_parcel(image: Fed, target: &BundleTarget, from: &str) -> Result<Parcel> {
    let name = display_name(&image.root);
    let manifests: HashMap<Digest, &Arc<[u8]>> =
        image.manifests.iter().map(|(descriptor, raw)| (descriptor.digest, raw)).collect();
    let missing = |digest: &Digest| {
        Error::new(
            Kind::Damaged,
            format!("{name} from {from} is incomplete: {digest} is not there"),
        )
        .hint("the image may have been pulled or saved only in part: pull it again, then export")
    };
    let graph = Graph::walk(&image.root.descriptor, &mut |wanted| {
        manifests
            .get(&wanted.digest)
            .map(|raw| Arc::clone(raw))
            .ok_or_else(|| missing(&wanted.digest))
    })?;
    let roles: HashMap<Digest, Role> =
        graph.leaves.iter().map(|leaf| (leaf.descriptor.digest, leaf.role)).collect();
    for (descriptor, bytes) in &image.documents {
        let Some(role) = roles.get(&descriptor.digest) else { continue };
        if *role == Role::Config && descriptor.size <= limits::CONFIG_BYTES {
            target.document(descriptor, bytes, Role::Config)?;
        } else {
            let (label, layer) = (descriptor.digest.to_string(), *role == Role::Layer);
            target.with(|writer| {
                writer.blob(
                    &label,
                    Some(descriptor.digest),
                    descriptor.size,
                    layer,
                    &mut &bytes[..],
                )
            })?;
        }
    }
    for leaf in &graph.leaves {
        if !target.with(|writer| Ok(writer.has(&leaf.descriptor.digest)))? {
            return Err(missing(&leaf.descriptor.digest));
        }
    }
    for node in &graph.nodes {
        target.document(&node.descriptor, &node.raw, Role::Opaque)?;
    }
    Ok(Parcel {
        root: image.root,
        graph,
        satellites: Vec::new(),
        plain: Vec::new(),
        assigned: None,
    })
}

/// Counts what a feed delivers on its way into the bundle.
struct FeedIntake<'a> {
    target: &'a BundleTarget,
    transfers: Transfers<'a>,
}

impl Intake for FeedIntake<'_> {
    fn blob(
        &mut self,
        label: &str,
        expected: Option<Digest>,
        size: u64,
        is_layer: bool,
        content: &mut dyn Read,
    ) -> Result<Digest> {
        let id = self.transfers.start(label, Some(size));
        let mut counted = self.transfers.count(id, content);
        let result =
            self.target.with(|writer| writer.blob(label, expected, size, is_layer, &mut counted));
        self.transfers.finish(id, copy::outcome(&result));
        result
    }
}
