//! Map: what the images of an authentic bundle are called at a registry, without asking it.

use super::assign::{self, Choice};
use super::compress::compress;
use super::twins::refuse_twins;
use crate::bundle::{Authentic, Bundle};
use crate::endpoint::Progress;
use crate::model::{Destination, Digest, Error, ImageName, Naming, Platform, Result};
use crate::transport::registry;
use crate::trust::Trust;

/// What is to be mapped, and how.
pub struct Request<'a> {
    /// The bundle; that it is authentic was proved to get it.
    pub bundle: &'a Bundle<Authentic>,
    /// Who was believed, and for what.
    pub trust: &'a Trust,
    /// Where the images go: a registry.
    pub target: &'a Destination,
    /// Which names they get there.
    pub naming: &'a Naming,
    /// Names or digests of images to pick; empty for all.
    pub images: Vec<String>,
    /// Platforms to pick out of indexes; empty for everything.
    pub platforms: Vec<Platform>,
}

/// One image, before and after.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// The name in the bundle, if it has one.
    pub source: Option<ImageName>,
    /// The digest in the bundle.
    pub digest: Digest,
    /// The name at the registry, with a tag, or with a digest alone.
    pub target: ImageName,
    /// The digest there: the same, unless its layers are compressed for the registry.
    pub target_digest: Digest,
    /// The rule that made the name, as it was written.
    pub rule: Option<String>,
    /// Whether it is a container image, and no artifact of another kind.
    pub runnable: bool,
}

/// The images in the order of the bundle, and what the user should know.
#[derive(Debug)]
pub struct Report {
    /// The images.
    pub images: Vec<Mapped>,
    /// A sentence each.
    pub notes: Vec<String>,
}

/// Says what an import would call the images, and which digests they would have.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) for a target that is no registry, for an image that
/// the bundle does not hold, and for names that cannot be.
pub fn map(request: &Request<'_>, progress: &dyn Progress) -> Result<Report> {
    let Destination::Registry { host, prefix } = request.target else {
        return Err(Error::usage(format!("{} is no registry", request.target)).hint(
            "for other targets, sealift import --dry-run says what the images will be called",
        ));
    };
    let choice = Choice { images: &request.images, platforms: &request.platforms };
    let parcels = assign::parcels(request.bundle, &choice, request.naming)?;
    refuse_twins(&parcels, request.naming, request.trust, request.bundle.signers())?;
    let (compressed, parcels) = compress(request.bundle, parcels, progress)?;
    let (names, notes) = registry::names(host, prefix, &parcels)?;
    let images = parcels.iter().zip(names).map(|(parcel, target)| {
        let root = parcel.root.descriptor.digest;
        Mapped {
            source: parcel.root.name.clone(),
            digest: compressed.original(&root),
            target,
            target_digest: root,
            rule: parcel.assigned.as_ref().and_then(|assigned| assigned.rule.clone()),
            runnable: !parcel.graph.images().is_empty(),
        }
    });
    Ok(Report { images: images.collect(), notes })
}
