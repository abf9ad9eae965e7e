//! Names for images that come under one: several platforms that were taken out of one index.

use std::collections::{BTreeMap, HashSet};

use crate::endpoint::Parcel;
use crate::model::{Digest, Error, ImageName, Naming, Platform, Result};

/// Gives each of several images that share a name one of its own, with the platform in the tag;
/// `names` are those that the parcels would have, `None` for one that gets no name. Returns what
/// the user should know about it.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where two different images would get one name.
pub(crate) fn tell_apart(
    names: &mut [Option<ImageName>],
    parcels: &[Parcel],
) -> Result<Vec<String>> {
    let mut sharing: BTreeMap<ImageName, Vec<usize>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(name) = name {
            sharing.entry(name.clone()).or_default().push(index);
        }
    }
    let mut notes = Vec::new();
    for (name, sharers) in sharing {
        let digest = |index: usize| parcels[index].graph.root().descriptor.digest;
        let digests: HashSet<Digest> = sharers.iter().map(|index| digest(*index)).collect();
        if digests.len() < 2 {
            continue;
        }
        let Some(tags) = by_platform(&name, &sharers, parcels)? else {
            return Err(conflict(&name, &sharers, parcels));
        };
        notes.push(format!(
            "{} platforms were taken out of {name}, so each gets a tag of its own: {}",
            digests.len(),
            tags.iter().filter_map(|tag| tag.tag()).collect::<Vec<_>>().join(", ")
        ));
        for (index, tag) in sharers.iter().zip(tags) {
            names[*index] = Some(tag);
        }
    }
    refuse_doubles(names, parcels)?;
    Ok(notes)
}

/// Names with the platform in the tag, for parcels that were all taken out of one index. `None`
/// where they were not, or where a platform is not known.
fn by_platform(
    name: &ImageName,
    sharers: &[usize],
    parcels: &[Parcel],
) -> Result<Option<Vec<ImageName>>> {
    let index = parcels[sharers[0]].root.from_index;
    if index.is_none() || sharers.iter().any(|sharer| parcels[*sharer].root.from_index != index) {
        return Ok(None);
    }
    let platforms: Option<Vec<&Platform>> =
        sharers.iter().map(|sharer| parcels[*sharer].root.descriptor.platform.as_ref()).collect();
    let Some(platforms) = platforms else { return Ok(None) };
    // Windows images of one architecture differ by version alone.
    let plain: HashSet<String> =
        platforms.iter().map(|platform| platform_suffix(platform, false)).collect();
    let with_version = plain.len() < platforms.len();
    let names = platforms.iter().map(|platform| {
        let tag = name.tag().unwrap_or_default();
        name.with_tag(&format!("{tag}-{}", platform_suffix(platform, with_version)))
    });
    names.collect::<Result<Vec<_>>>().map(Some)
}

fn platform_suffix(platform: &Platform, with_version: bool) -> String {
    let version = platform.os_version.as_ref().filter(|_| with_version);
    [Some(&platform.os), Some(&platform.architecture), platform.variant.as_ref(), version]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("-")
}

/// A tag with a platform may be the tag of another image.
fn refuse_doubles(names: &[Option<ImageName>], parcels: &[Parcel]) -> Result<()> {
    let mut taken: BTreeMap<&ImageName, usize> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let Some(name) = name else { continue };
        let first = *taken.entry(name).or_insert(index);
        let digest = |index: usize| parcels[index].graph.root().descriptor.digest;
        if digest(first) != digest(index) {
            return Err(conflict(name, &[first, index], parcels));
        }
    }
    Ok(())
}

/// Refuses that a chosen name is for several different images, other than those of one index: what
/// becomes of these is for the target to say.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage), with the images and the rules.
pub(crate) fn refuse_shared(parcels: &[Parcel]) -> Result<()> {
    let mut sharing: BTreeMap<ImageName, Vec<usize>> = BTreeMap::new();
    for (index, parcel) in parcels.iter().enumerate() {
        if let Some(name) = parcel.name().filter(|name| name.tag().is_some()) {
            sharing.entry(name.without_digest()).or_default().push(index);
        }
    }
    for (name, sharers) in sharing {
        let roots = || sharers.iter().map(|index| &parcels[*index].root);
        let digests: HashSet<Digest> = roots().map(|root| root.descriptor.digest).collect();
        let indexes: HashSet<Option<Digest>> = roots().map(|root| root.from_index).collect();
        let siblings = indexes.len() == 1 && !indexes.contains(&None);
        if digests.len() > 1 && !siblings {
            return Err(conflict(&name, &sharers, parcels));
        }
    }
    Ok(())
}

fn conflict(name: &ImageName, sharers: &[usize], parcels: &[Parcel]) -> Error {
    let sources: Vec<String> = sharers
        .iter()
        .map(|index| {
            let parcel = &parcels[*index];
            let digest = parcel.graph.root().descriptor.digest.short();
            match parcel.assigned.as_ref().and_then(|assigned| assigned.rule.as_ref()) {
                Some(rule) => format!("{} ({digest}, by the rule {rule})", parcel.shown()),
                None => format!("{} ({digest})", parcel.shown()),
            }
        })
        .collect();
    let message = format!("different images would all be {name}: {}", sources.join(", "));
    Error::usage(message).hint(way_out(sharers, parcels))
}

/// What keeps images apart that would get one name.
fn way_out(sharers: &[usize], parcels: &[Parcel]) -> String {
    let named = sharers.iter().filter_map(|index| parcels[*index].root.name.as_ref());
    let named: Vec<&ImageName> = named.collect();
    let other = named.iter().skip(1).find(|name| **name != named[0]);
    match other.and_then(|name| Naming::way_out(name)) {
        Some(rule) => format!(
            "nothing was sent; give one of them another name, as with --map {rule}, or pick one \
             with --image"
        ),
        None => "nothing was sent; pick one with --image or --platform, and import the other \
                 elsewhere"
            .to_owned(),
    }
}
