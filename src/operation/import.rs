//! Import: images of an authentic bundle to a registry, a daemon, a directory or an archive.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::assign::{self, Choice};
use super::compress::compress;
use super::copy::{self, Surroundings};
use super::gather::display_name;
use super::recall::recall;
use super::space;
use super::twins::refuse_twins;
use crate::bundle::{Authentic, BlobEntry, Bundle, Held};
use crate::codec::lanes::in_order;
use crate::endpoint::{Action, Event, Gravity, Parcel, Plan, Progress, Source, Target};
use crate::model::{Digest, Error, Kind, Naming, Platform, Result, moment};
use crate::trust::Trust;

/// So many images are told by name where something is wrong with them.
const TOLD: usize = 8;

/// What is to be imported, and how.
pub struct Request<'a> {
    /// The bundle; that it is authentic was proved to get it.
    pub bundle: &'a Bundle<Authentic>,
    /// Who was believed, and for what.
    pub trust: &'a Trust,
    /// Bundles that a delta adds to, as far as they are at hand.
    pub bases: &'a [Arc<dyn Held>],
    /// Where the images go.
    pub target: &'a dyn Target,
    /// Names or digests of images to pick; empty for all.
    pub images: Vec<String>,
    /// Platforms to pick out of indexes; empty for everything.
    pub platforms: Vec<Platform>,
    /// Which names the images get there.
    pub naming: &'a Naming,
    /// Whether to stop after the plan.
    pub dry_run: bool,
    /// Whether to ask the target at the end what it has under each name.
    pub read_back: bool,
    /// Takes temporary files.
    pub temporary: &'a Path,
}

/// What was to be done, and was done unless it was a dry run.
#[derive(Debug)]
pub struct Report {
    /// The plan.
    pub plan: Plan,
    /// The images.
    pub parcels: Vec<Parcel>,
    /// What the target has under the name of each arrival of the plan, where it was asked and says.
    pub read_back: Vec<Option<Digest>>,
}

/// Plans, and unless it is a dry run, carries the plan out. What the target has against it is in
/// [`Plan::findings`] after a dry run; else notes are announced as warnings.
///
/// # Errors
/// [`Kind::Remote`] for a plan that the target hinders, with every
/// hindrance as a part, unless it is a dry run;
/// [`Kind::Usage`] for an image that the bundle does not hold, and for
/// names that cannot be, or that others who are trusted may count on;
/// [`Kind::Damaged`] where a volume is missing that the images need, or
/// a blob turns out bad, at the latest at its
/// end and before anything names it; what the target reports.
pub fn import(request: &Request<'_>, progress: &dyn Progress) -> Result<Report> {
    let bundle = request.bundle;
    let choice = Choice { images: &request.images, platforms: &request.platforms };
    let parcels = assign::parcels(bundle, &choice, request.naming)?;
    refuse_twins(&parcels, request.naming, request.trust, bundle.signers())?;
    complete(bundle, &parcels)?;
    at_hand(bundle, &parcels)?;
    let (compressed, parcels) = if request.target.wants_compressed_layers() {
        let (source, parcels) = compress(bundle, parcels, progress)?;
        (Some(source), parcels)
    } else {
        (None, parcels)
    };
    let source: &dyn Source =
        compressed.as_ref().map_or(bundle as &dyn Source, |compressed| compressed);
    progress.event(Event::Phase { title: "asking what is there", total: None });
    let mut plan = request.target.plan(&parcels)?;
    if !request.dry_run {
        for finding in plan.findings.iter().filter(|finding| finding.gravity == Gravity::Note) {
            progress.event(Event::Warning(&finding.sentence()));
        }
        hindered(request.target, &plan)?;
    }
    // Where something hinders, it may also hinder the base from being found.
    if plan.hindrances().next().is_none() {
        find_base(request, &plan, progress)?;
    }
    if !request.dry_run {
        if let Some(local) = request.target.local() {
            space::check_import(&local, &plan)?;
        }
        let around =
            Surroundings { progress, temporary: request.temporary, title: "importing", then: None };
        plan = copy::run(source, request.target, plan, &around)?;
    }
    let read_back = if request.read_back && !request.dry_run {
        progress.event(Event::Phase { title: "reading back", total: None });
        read_back(request.target, &plan)?
    } else {
        Vec::new()
    };
    if let Some(compressed) = &compressed {
        for arrival in &mut plan.arrivals {
            let original = compressed.original(&arrival.digest);
            if arrival.image == arrival.digest.to_string() {
                arrival.image = original.to_string();
            }
            arrival.digest = original;
        }
    }
    Ok(Report { plan, parcels, read_back })
}

/// Asks the target what it has under each name, now that all is done.
///
/// # Errors
/// [`Kind::Remote`] where it is something else.
fn read_back(target: &dyn Target, plan: &Plan) -> Result<Vec<Option<Digest>>> {
    in_order(&plan.arrivals, target.lanes(), |arrival| {
        let found = target.read_back(arrival)?;
        match found {
            Some(digest) if digest != arrival.target_digest => Err(Error::remote(format!(
                "{} was brought as {}, and is {digest} now",
                arrival.target, arrival.target_digest
            ))
            .hint("somebody else may be writing to the same name; import again")),
            found => Ok(found),
        }
    })
}

/// The volumes that it takes to bring the images that are chosen, by number.
///
/// # Errors
/// As for the choice in [`import`].
pub fn volumes_needed(
    bundle: &Bundle<Authentic>,
    images: &[String],
    platforms: &[Platform],
    naming: &Naming,
) -> Result<BTreeSet<u64>> {
    let parcels = assign::parcels(bundle, &Choice { images, platforms }, naming)?;
    Ok(parcels
        .iter()
        .flat_map(|parcel| blobs(bundle, parcel))
        .flat_map(|blob| bundle.volumes_of(blob))
        .collect())
}

/// The blobs of an image that the bundle has.
fn blobs<'a>(
    bundle: &'a Bundle<Authentic>,
    parcel: &'a Parcel,
) -> impl Iterator<Item = &'a BlobEntry> {
    let index = &bundle.contents().index;
    let leaves = parcel.graphs().flat_map(|graph| &graph.leaves);
    leaves.filter_map(|leaf| index.blob(&leaf.descriptor.digest))
}

/// Whether all volumes are there that the images need: known before anything is sent.
///
/// # Errors
/// [`Kind::Damaged`] with every volume that is missing as a part, or
/// [`Kind::Untrusted`] where what is in its place belongs to another
/// set.
fn at_hand(bundle: &Bundle<Authentic>, parcels: &[Parcel]) -> Result<()> {
    let mut missing = BTreeSet::new();
    let (mut hit, mut whole) = (Vec::new(), Vec::new());
    for parcel in parcels {
        let needed: BTreeSet<u64> =
            blobs(bundle, parcel).flat_map(|blob| bundle.missing_for(blob)).collect();
        let name = display_name(&parcel.root);
        if needed.is_empty() {
            whole.push(name);
        } else {
            hit.push(name);
        }
        missing.extend(needed);
    }
    let parts: Vec<Error> =
        missing.into_iter().map(|volume| bundle.lacking_volume(volume)).collect();
    let Some(kind) = parts.iter().map(Error::kind).max() else { return Ok(()) };
    let count = hit.len();
    let (hit, rest) = (hit[..count.min(TOLD)].join(", "), count.saturating_sub(TOLD));
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let message = format!(
        "{count} of {} images cannot be had whole, and nothing was sent: {hit}{more}",
        parcels.len()
    );
    let error = Error::new(kind, message).parts(parts);
    Err(match whole.first() {
        None => error,
        Some(first) => error.hint(format!(
            "images that need nothing of it can be imported alone, as with --image {first}"
        )),
    })
}

/// Whether a plan can be carried out.
///
/// # Errors
/// [`Kind::Remote`] where the target hinders it, with every hindrance as
/// a part.
fn hindered(target: &dyn Target, plan: &Plan) -> Result<()> {
    let parts: Vec<Error> = plan
        .hindrances()
        .map(|finding| match finding.advice.as_str() {
            "" => Error::remote(&finding.what),
            advice => Error::remote(&finding.what).hint(advice),
        })
        .collect();
    if parts.is_empty() {
        return Ok(());
    }
    let message = format!("{} does not take this import; nothing was sent", target.describe());
    Err(Error::remote(message).parts(parts))
}

/// Makes sure that what a delta needs of its base is there: in the bundles that were named, else at
/// the target itself.
///
/// # Errors
/// [`Kind::Damaged`] where something is not, before anything is sent.
fn find_base(request: &Request<'_>, plan: &Plan, progress: &dyn Progress) -> Result<()> {
    let bundle = request.bundle;
    let Some(base) = bundle.contents().manifest.base else { return Ok(()) };
    let sent = plan.blobs.iter().filter(|step| step.action == Action::Send);
    let index = &bundle.contents().index;
    let mut needs = bundle.needs(sent.filter_map(|step| index.blob(&step.descriptor.digest)));
    for held in request.bases {
        needs = needs.without(&**held);
    }
    if !needs.is_empty() {
        let store = recall(request.target, plan, &needs, request.temporary, progress)?;
        needs = needs.without(&store);
        bundle.set_recalled(Box::new(store));
    }
    let lacking: Vec<String> = needs.blobs().map(|blob| blob.digest.to_string()).collect();
    let Some(first) = lacking.first() else { return Ok(()) };
    let more = match lacking.len() {
        1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    let days = moment::spell(base.created);
    let places = match request.bases.len() {
        0 => format!("{} does not have", request.target.describe()),
        1 => format!("neither {} nor the base that was named has", request.target.describe()),
        named => {
            format!(
                "neither {} nor the {named} bases that were named have",
                request.target.describe()
            )
        }
    };
    Err(Error::damaged(format!(
        "{} is a delta, and {places} what it needs of its base: {first}{more}",
        bundle.title(),
    ))
    .hint(format!(
        "import its base first, or name its file with --base: the bundle {}, made {days}",
        base.digest
    )))
}

/// Every blob of every image is in the bundle, with the size that its manifest says: known before
/// anything is sent.
fn complete(bundle: &Bundle<Authentic>, parcels: &[Parcel]) -> Result<()> {
    for parcel in parcels {
        for leaf in parcel.graphs().flat_map(|graph| &graph.leaves) {
            let wrong = |kind, what: String| {
                let name = display_name(&parcel.root);
                Error::new(kind, format!("{name} is incomplete in the bundle: {what}"))
                    .hint("run `sealift verify` to see all that is wrong")
            };
            match bundle.contents().index.blob(&leaf.descriptor.digest) {
                None => {
                    let what = format!("{} is not in it", leaf.descriptor.digest);
                    return Err(wrong(Kind::Damaged, what));
                }
                Some(entry) if entry.size != leaf.descriptor.size => {
                    let what = format!(
                        "{} has {} bytes, its manifest says {}",
                        leaf.descriptor.digest, entry.size, leaf.descriptor.size
                    );
                    return Err(wrong(Kind::Malformed, what));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}
