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

/// How many images an error lists.
const LISTED: usize = 20;

/// The images that were asked for; all of them where none was.
fn pick(roots: Vec<Root>, images: &[String]) -> Result<Vec<Root>> {
    if images.is_empty() {
        return Ok(roots);
    }
    let mut picked = vec![false; roots.len()];
    for wish in images {
        let mut meant: Vec<bool> = roots.iter().map(|root| is_called(root, wish)).collect();
        // A name without a tag is that of a repository, if no image has just this name.
        if let (false, Some(repository)) = (meant.contains(&true), repository(wish)) {
            let of_it = |name: &ImageName| {
                (name.registry(), name.repository())
                    == (repository.registry(), repository.repository())
            };
            meant = roots.iter().map(|root| root.name.as_ref().is_some_and(of_it)).collect();
        }
        if !meant.contains(&true) {
            return Err(Error::usage(format!("the bundle holds no image {wish:?}"))
                .hint(format!("it holds {}", listed(&roots))));
        }
        picked.iter_mut().zip(meant).for_each(|(picked, meant)| *picked |= meant);
    }
    Ok(roots.into_iter().zip(picked).filter_map(|(root, picked)| picked.then_some(root)).collect())
}

/// Whether an image has this name, or this digest or the beginning of it.
fn is_called(root: &Root, wish: &str) -> bool {
    let digest = root.descriptor.digest;
    let digits = wish.split_once(':').map_or(wish, |(_, digits)| digits);
    let by_digest = digits.len() >= 12
        && (digest.to_string().starts_with(wish) || digest.hex().starts_with(wish));
    let by_name = root.name.as_ref().is_some_and(|own| {
        let name = wish.parse::<ImageName>();
        own.to_string() == wish || name.is_ok_and(|name| own.without_digest() == name)
    });
    by_digest || by_name
}

/// The repository that is meant where somebody wrote neither tag nor digest.
fn repository(wish: &str) -> Option<ImageName> {
    let last = wish.rsplit('/').next().unwrap_or(wish);
    if last.contains([':', '@']) { None } else { wish.parse().ok() }
}

/// What there is, for somebody who asked for something else.
fn listed(roots: &[Root]) -> String {
    let names: Vec<String> = roots.iter().map(display_name).take(LISTED).collect();
    let more = match roots.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more; sealift inspect lists them"),
    };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Descriptor;
    use crate::model::manifest::media;

    fn roots(names: &[&str]) -> Vec<Root> {
        let root = |name: &&str| Root {
            name: Some(name.parse().unwrap()),
            descriptor: Descriptor::of(media::OCI_MANIFEST, name.as_bytes()),
            synthesized: false,
            from_index: None,
            origin: None,
        };
        names.iter().map(root).collect()
    }

    fn picked(names: &[&str], wishes: &[&str]) -> Result<Vec<String>> {
        let wishes: Vec<String> = wishes.iter().map(|&wish| wish.to_owned()).collect();
        Ok(pick(roots(names), &wishes)?.iter().map(display_name).collect())
    }

    const THERE: [&str; 4] =
        ["h.example/a:1", "h.example/a:2", "h.example/a/b:1", "docker.io/library/nginx:1.27"];

    #[test]
    fn a_name_without_tag_is_that_of_a_repository() {
        assert_eq!(picked(&THERE, &["h.example/a"]).unwrap(), THERE[..2]);
        assert_eq!(picked(&THERE, &["nginx"]).unwrap(), THERE[3..]);
        assert_eq!(picked(&THERE, &["h.example/a/b", "h.example/a:2"]).unwrap(), THERE[1..3]);
        for wish in ["h.example/a:3", "h.example/a:latest", "a", "h.example", "NO", ""] {
            assert!(picked(&THERE, &[wish]).is_err(), "{wish}");
        }
    }

    #[test]
    fn just_this_name_goes_before_the_repository() {
        let there = ["h.example/a:1", "h.example/a:latest"];
        assert_eq!(picked(&there, &["h.example/a"]).unwrap(), there[1..]);
        assert_eq!(picked(&there, &["h.example/a:1"]).unwrap(), there[..1]);
    }

    #[test]
    fn a_digest_needs_no_name() {
        let digest = roots(&THERE)[2].descriptor.digest;
        for wish in [digest.to_string(), digest.hex(), digest.hex()[..12].to_owned()] {
            assert_eq!(picked(&THERE, &[&wish]).unwrap(), THERE[2..3]);
        }
        assert!(picked(&THERE, &[&digest.hex()[..11]]).is_err());
    }

    #[test]
    fn what_is_there_is_listed_within_bounds() {
        let names: Vec<String> = (0..50).map(|n| format!("h.example/a:{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let error = picked(&names, &["h.example/x"]).unwrap_err();
        let hint = error.get_hint().unwrap();
        assert!(hint.ends_with("h.example/a:19 and 30 more; sealift inspect lists them"), "{hint}");
    }
}
