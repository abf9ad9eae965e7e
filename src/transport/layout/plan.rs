//! What it takes to hold images in their original form: every blob and manifest once, and an
//! `index.json` that names the roots.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::index::{IMAGE_NAME, REF_NAME};
use crate::endpoint::{
    Action, Arrival, AttachmentKind, BlobStep, Form, ManifestStep, Parcel, Plan, TagStep,
};
use crate::model::{Descriptor, Digest, Error, ImageName, Result};
use crate::transport::naming::tell_apart;

/// The plan that brings `parcels` as they are. `have` says whether a blob or manifest is there;
/// `named` what a name points to now.
pub(crate) fn plan_originals(
    parcels: &[Parcel],
    have: &mut dyn FnMut(&Descriptor) -> Result<bool>,
    named: &dyn Fn(&ImageName) -> Option<Digest>,
) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut taken = Names::default();
    let mut action = |descriptor: &Descriptor| -> Result<Action> {
        Ok(if have(descriptor)? { Action::Present } else { Action::Send })
    };
    let manifests: HashSet<Digest> = parcels
        .iter()
        .flat_map(Parcel::graphs)
        .flat_map(|graph| graph.nodes.iter().map(|node| node.descriptor.digest))
        .collect();
    let mut seen = HashSet::new();
    for graph in parcels.iter().flat_map(Parcel::graphs) {
        for leaf in &graph.leaves {
            let descriptor = &leaf.descriptor;
            if !manifests.contains(&descriptor.digest) && seen.insert(descriptor.digest) {
                plan.blobs.push(BlobStep {
                    descriptor: descriptor.clone(),
                    form: Form::Exact,
                    bytes: descriptor.size,
                    place: String::new(),
                    action: action(descriptor)?,
                });
            }
        }
        for node in &graph.nodes {
            if seen.insert(node.descriptor.digest) {
                plan.manifests.push(ManifestStep {
                    descriptor: node.descriptor.clone(),
                    raw: node.raw.clone(),
                    place: String::new(),
                    subject: node.manifest.subject().map(|subject| subject.digest),
                    action: action(&node.descriptor)?,
                });
            }
        }
    }
    let tagged = |parcel: &Parcel| {
        let name = parcel.name().filter(|name| name.tag().is_some());
        name.map(ImageName::without_digest)
    };
    let mut names: Vec<Option<ImageName>> = parcels.iter().map(tagged).collect();
    plan.notes = tell_apart(&mut names, parcels)?;
    for (parcel, tagged) in parcels.iter().zip(names) {
        let root = &parcel.graph.root().descriptor;
        let name = parcel.name();
        if let Some(name) = &tagged {
            taken.take(name, root, named, &mut plan.tags)?;
        }
        for satellite in &parcel.satellites {
            if let (AttachmentKind::Tag(tag) | AttachmentKind::FallbackIndex(tag), Some(name)) =
                (&satellite.kind, name)
            {
                let descriptor = &satellite.graph.root().descriptor;
                taken.take(&name.with_tag(tag)?, descriptor, named, &mut plan.tags)?;
            }
        }
        plan.arrivals.push(Arrival {
            image: parcel.shown(),
            digest: root.digest,
            target: tagged.map_or_else(|| root.digest.to_string(), |name| name.to_string()),
            target_digest: root.digest,
        });
    }
    Ok(plan)
}

/// Names that have been given away, so that none is given to two images.
#[derive(Default)]
pub(crate) struct Names(HashMap<ImageName, Digest>);

impl Names {
    /// Adds the step that points `name` to `descriptor`, once.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where another image has the name already.
    pub(crate) fn take(
        &mut self,
        name: &ImageName,
        descriptor: &Descriptor,
        named: &dyn Fn(&ImageName) -> Option<Digest>,
        tags: &mut Vec<TagStep>,
    ) -> Result<()> {
        match self.0.insert(name.clone(), descriptor.digest) {
            Some(other) if other == descriptor.digest => return Ok(()),
            Some(other) => {
                return Err(Error::usage(format!(
                    "two images would be called {name}: {other} and {}",
                    descriptor.digest
                ))
                .hint("pick one of them, or give them different names"));
            }
            None => {}
        }
        let now = named(name);
        let present = now == Some(descriptor.digest);
        tags.push(TagStep {
            descriptor: descriptor.clone(),
            name: name.clone(),
            action: if present { Action::Present } else { Action::Send },
            replaces: now.filter(|_| !present),
        });
        Ok(())
    }
}

/// The entries of `index.json` that make what was planned reachable: one for each name, and one
/// without a name for each root or referrer that no name points to.
pub(crate) fn index_entries(plan: &Plan) -> Vec<Descriptor> {
    let mut entries = Vec::new();
    let mut reachable = HashSet::new();
    for tag in &plan.tags {
        reachable.insert(tag.descriptor.digest);
        let name = tag.name.to_string();
        let annotations =
            BTreeMap::from([(IMAGE_NAME.to_owned(), name.clone()), (REF_NAME.to_owned(), name)]);
        entries.push(Descriptor { annotations, ..bare(&tag.descriptor) });
    }
    for step in &plan.manifests {
        let digest = step.descriptor.digest;
        let arrives = plan.arrivals.iter().any(|arrival| arrival.digest == digest);
        if (arrives || step.subject.is_some()) && reachable.insert(digest) {
            entries.push(bare(&step.descriptor));
        }
    }
    entries
}

fn bare(descriptor: &Descriptor) -> Descriptor {
    Descriptor::new(descriptor.media_type.clone(), descriptor.digest, descriptor.size)
}

/// Adds `entries` to an existing `index.json`: an old entry of the same name gives way, everything
/// else stays as it is, whatever it holds.
pub(crate) fn merge_index(existing: &[u8], entries: &[Descriptor], place: &str) -> Result<Vec<u8>> {
    let bad = || Error::malformed(format!("index.json of {place} cannot be added to"));
    let mut index: Value = crate::model::json::parse_strict(existing, "index.json")?;
    let list = index.get_mut("manifests").and_then(Value::as_array_mut).ok_or_else(bad)?;
    let name_in = |value: &Value| {
        let annotation = |key| value.get("annotations").and_then(|a| a.get(key));
        let text = annotation(IMAGE_NAME).or_else(|| annotation(REF_NAME)).and_then(Value::as_str);
        text.map(|text| text.parse().map_or_else(|_| text.to_owned(), |n: ImageName| n.to_string()))
    };
    let digest_in = |value: &Value| value.get("digest").and_then(Value::as_str).map(str::to_owned);
    let new = entries
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| bad().because(e))?;
    let replaced: HashSet<(Option<String>, Option<String>)> = new
        .iter()
        .map(|value| match name_in(value) {
            Some(name) => (Some(name), None),
            None => (None, digest_in(value)),
        })
        .collect();
    list.retain(|value| {
        let key = match name_in(value) {
            Some(name) => (Some(name), None),
            None => (None, digest_in(value)),
        };
        !replaced.contains(&key)
    });
    list.extend(new);
    serde_json::to_vec(&index).map_err(|e| bad().because(e))
}
