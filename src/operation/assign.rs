//! Which images of a bundle are meant, and which names they get.

use super::gather::{Wanted, display_name, gather_root};
use crate::bundle::{Authentic, Bundle};
use crate::endpoint::{Assigned, Parcel, Root, Source};
use crate::model::mapping::Subject;
use crate::model::{Digest, Error, ImageName, Naming, Platform, Result};
use crate::transport::naming::refuse_shared;

/// Which images are meant.
pub(super) struct Choice<'a> {
    /// Names or digests of images; empty for all.
    pub(super) images: &'a [String],
    /// Platforms to pick out of indexes; empty for everything.
    pub(super) platforms: &'a [Platform],
}

/// The images that are meant, whole, each with its name.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) for an image or a platform that is not there, for a
/// rule that is for no image of the bundle, and for names that cannot be.
pub(super) fn parcels(
    bundle: &Bundle<Authentic>,
    choice: &Choice<'_>,
    naming: &Naming,
) -> Result<Vec<Parcel>> {
    let roots = bundle.roots()?;
    let digests: Vec<Vec<Digest>> = roots.iter().map(digests).collect();
    // A rule for an image that is not brought this time is no mistake.
    let subjects: Vec<Subject<'_>> = roots
        .iter()
        .zip(&digests)
        .map(|(root, digests)| Subject::new(root.name.as_ref(), digests))
        .collect();
    naming.mapping().refuse_idle(&subjects)?;
    let wanted = Wanted { platforms: choice.platforms.to_vec(), attachments: true };
    let mut parcels = Vec::new();
    for root in pick(roots, choice.images)? {
        parcels.extend(gather_root(bundle, root, &wanted)?);
    }
    for parcel in &mut parcels {
        assign(parcel, naming)?;
    }
    if !naming.mapping().is_empty() {
        refuse_shared(&parcels)?;
    }
    Ok(parcels)
}

/// The digests that an image is known by, its own first.
fn digests(root: &Root) -> Vec<Digest> {
    std::iter::once(root.descriptor.digest).chain(root.from_index).collect()
}

fn assign(parcel: &mut Parcel, naming: &Naming) -> Result<()> {
    let digests = digests(&parcel.root);
    let new = naming.name(&Subject::new(parcel.root.name.as_ref(), &digests))?;
    parcel.assigned =
        new.map(|new| Assigned { name: new.name, rule: new.rule.map(ToString::to_string) });
    Ok(())
}

/// The images that were asked for; all of them where none was.
fn pick(roots: Vec<Root>, images: &[String]) -> Result<Vec<Root>> {
    if images.is_empty() {
        return Ok(roots);
    }
    let mut picked = vec![false; roots.len()];
    for wish in images {
        let name: Option<ImageName> = wish.parse().ok();
        let digits = wish.split_once(':').map_or(wish.as_str(), |(_, digits)| digits);
        let mut found = false;
        for (root, picked) in roots.iter().zip(&mut picked) {
            let by_name =
                name.is_some() && root.name.as_ref().map(ImageName::without_digest) == name;
            let by_digest = digits.len() >= 12 && {
                let digest = root.descriptor.digest.to_string();
                digest.starts_with(wish) || root.descriptor.digest.hex().starts_with(wish)
            };
            if by_name
                || by_digest
                || root.name.as_ref().is_some_and(|own| own.to_string() == *wish)
            {
                (*picked, found) = (true, true);
            }
        }
        if !found {
            let there: Vec<String> = roots.iter().map(display_name).take(20).collect();
            return Err(Error::usage(format!("the bundle holds no image {wish:?}")).hint(format!(
                "it holds {}{}",
                there.join(", "),
                if roots.len() > 20 { " and more" } else { "" }
            )));
        }
    }
    Ok(roots.into_iter().zip(picked).filter_map(|(root, picked)| picked.then_some(root)).collect())
}
