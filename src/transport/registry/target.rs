//! A registry as a target: what it lacks is sent, and every name is read back.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::asking::in_parallel;
use super::client::{Client, Registry, lock};
use super::harbor::{self, Making, NewProjects};
use super::manifest::{Found, Held, Named};
use super::naming::{self, Place};
use super::preflight::Preflight;
use super::reason::project_of;
use super::scope::Scope;
use super::{blob, manifest, referrers, upload};
use crate::codec::compression;
use crate::endpoint::{
    Action, Arrival, AttachmentKind, BlobStep, Form, ManifestStep, Parcel, Plan, Recalled, TagStep,
    Take, Target,
};
use crate::model::{Descriptor, Digest, Error, Graph, ImageName, Leaf, Result};

/// Blobs that are sent at once: enough to fill a line while one of them waits for the registry to
/// write, few enough not to crowd out others.
const LANES: usize = 4;

/// A registry, and the path below which repositories are placed.
///
/// A name at the destination is `host/prefix/<repository at the source>:<tag>`.
///
/// Where the registry keeps no list of referrers, [`Target::finish`] keeps it under the tag
/// `sha256-<hex>` of the subject, after everything else has arrived: it reads the list that is
/// there, which may be one that came with the images, and writes it anew only where something is
/// missing.
pub struct RegistryTarget {
    client: Client,
    host: String,
    prefix: String,
    /// How projects of a Harbor are made that are missing, if they are.
    new_projects: Option<NewProjects>,
    /// Manifests of the accepted plan, for tags.
    manifests: Mutex<HashMap<Digest, Held>>,
    /// Repository and manifest where the registry said that it lists the manifest itself.
    listed: Mutex<HashSet<(String, Digest)>>,
}

impl RegistryTarget {
    /// The registry `host`, below `prefix`, which may be empty. Nothing is asked yet.
    pub fn new(client: Client, host: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self {
            client,
            host: host.into(),
            prefix: prefix.into(),
            new_projects: None,
            manifests: Mutex::default(),
            listed: Mutex::default(),
        }
    }

    /// Where the registry is a Harbor, its projects are made that are missing.
    #[must_use]
    pub fn creating_projects(mut self, wish: NewProjects) -> Self {
        self.new_projects = Some(wish);
        self
    }

    fn registry(&self) -> Result<Arc<Registry>> {
        self.client.registry(&self.host)
    }
}

impl RegistryTarget {
    fn make_projects(&self, projects: &[String]) -> Result<()> {
        let Some(wish) = self.new_projects.filter(|_| !projects.is_empty()) else { return Ok(()) };
        let registry = self.registry()?;
        for project in projects {
            if harbor::make(&registry, project, wish)? == Making::Forbidden {
                return Err(Error::remote(format!(
                    "only an administrator or a system robot may create projects at {}; nothing was sent",
                    registry.name()
                ))
                .hint(format!("ask an administrator for project {project}")));
            }
        }
        registry.forget_tokens();
        Ok(())
    }
}

/// Repository and digest.
type At = (String, Digest);

/// Things in the order in which they were met first, each once.
struct Once<T> {
    seen: HashSet<T>,
    order: Vec<T>,
}

impl<T: Hash + Eq + Clone> Once<T> {
    fn new() -> Self {
        Self { seen: HashSet::new(), order: Vec::new() }
    }

    fn add(&mut self, thing: T) -> bool {
        let new = self.seen.insert(thing.clone());
        if new {
            self.order.push(thing);
        }
        new
    }
}

/// Which blobs go where, the repository and digest of each once, in order.
fn wanted_blobs<'a>(parcels: &'a [Parcel], places: &[Place]) -> Vec<(At, &'a Leaf)> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::new();
    for (parcel, place) in parcels.iter().zip(places) {
        for leaf in parcel.graphs().flat_map(|graph| &graph.leaves) {
            let at = (place.repository().to_owned(), leaf.descriptor.digest);
            if seen.insert(at.clone()) {
                wanted.push((at, leaf));
            }
        }
    }
    wanted
}

/// What is done about each wanted blob: what one repository has, or will have, another can link.
fn blob_steps(wanted: &[(At, &Leaf)], present: &[bool]) -> Vec<BlobStep> {
    let mut holders: HashMap<Digest, &str> = HashMap::new();
    for (((place, digest), _), present) in wanted.iter().zip(present) {
        if *present {
            holders.entry(*digest).or_insert(place);
        }
    }
    let steps = wanted.iter().zip(present).map(|(((place, digest), leaf), present)| {
        let action = if *present {
            Action::Present
        } else if let Some(holder) = holders.get(digest) {
            Action::Mount { from: (*holder).to_owned() }
        } else {
            holders.insert(*digest, place);
            Action::Send
        };
        BlobStep {
            descriptor: leaf.descriptor.clone(),
            form: Form::Exact,
            bytes: leaf.descriptor.size,
            place: place.clone(),
            action,
        }
    });
    steps.collect()
}

/// Manifests in the order in which they must arrive: children before parents, the image before
/// what is attached to it.
fn manifest_steps(parcels: &[Parcel], places: &[Place]) -> Vec<ManifestStep> {
    let mut seen = HashSet::new();
    let mut steps = Vec::new();
    for (parcel, place) in parcels.iter().zip(places) {
        for node in parcel.graphs().flat_map(|graph| &graph.nodes) {
            if seen.insert((place.repository().to_owned(), node.descriptor.digest)) {
                steps.push(ManifestStep {
                    descriptor: node.descriptor.clone(),
                    raw: Arc::clone(&node.raw),
                    place: place.repository().to_owned(),
                    subject: node.manifest.subject().map(|subject| subject.digest),
                    action: Action::Send,
                });
            }
        }
    }
    steps
}

/// Which names are to point where: those of the images, and those of what is attached by name.
fn wanted_tags(parcels: &[Parcel], places: &[Place]) -> Result<Vec<(ImageName, Descriptor)>> {
    let mut tags: Vec<(ImageName, Descriptor)> = Vec::new();
    let mut taken: HashMap<ImageName, Digest> = HashMap::new();
    let mut add = |name: ImageName, graph: &Graph| {
        let descriptor = &graph.root().descriptor;
        match taken.insert(name.clone(), descriptor.digest) {
            None => tags.push((name, descriptor.clone())),
            Some(digest) if digest == descriptor.digest => {}
            Some(digest) => {
                return Err(Error::usage(format!(
                    "{name} would have to be both {digest} and {}",
                    descriptor.digest
                ))
                .hint(
                    "nothing was sent; import the images apart, or one without its attachments",
                ));
            }
        }
        Ok(())
    };
    for (parcel, place) in parcels.iter().zip(places) {
        if let Some(name) = place.tag() {
            add(name.clone(), &parcel.graph)?;
        }
        for satellite in &parcel.satellites {
            match &satellite.kind {
                AttachmentKind::Tag(tag) | AttachmentKind::FallbackIndex(tag) => {
                    add(place.name.with_tag(tag)?, &satellite.graph)?;
                }
                AttachmentKind::Referrer => {}
            }
        }
    }
    Ok(tags)
}

impl Target for RegistryTarget {
    fn describe(&self) -> String {
        match self.prefix.as_str() {
            "" => format!("registry {}", self.host),
            prefix => format!("registry {}/{prefix}", self.host),
        }
    }

    fn plan(&self, parcels: &[Parcel]) -> Result<Plan> {
        // What can be refused without asking anybody is refused first.
        let (places, mut notes) = naming::places(&self.host, &self.prefix, parcels)?;
        let tags = wanted_tags(parcels, &places)?;
        let registry = self.registry()?;

        let repositories: BTreeSet<&str> = places.iter().map(Place::repository).collect();
        let preflight = Preflight::begin(&registry, &repositories, self.new_projects)?;
        let look = |repository: &str, named: Named<'_>| {
            let scope = Scope::push(repository);
            let found = preflight
                .ask(repository, || manifest::inquire(&registry, repository, named, &scope))?;
            Ok(found.unwrap_or(Found::Nothing))
        };

        let wanted = wanted_blobs(parcels, &places);
        let present = in_parallel(&wanted, |((place, digest), _)| {
            let ask = || blob::inquire(&registry, place, digest, Scope::push(place));
            Ok(preflight.ask(place, ask)?.unwrap_or(false))
        })?;
        let mut manifests = manifest_steps(parcels, &places);
        let found = in_parallel(&manifests, |step| {
            look(&step.place, Named::Digest(&step.descriptor.digest))
        })?;
        for (step, found) in manifests.iter_mut().zip(found) {
            if found == Found::This(step.descriptor.digest) {
                step.action = Action::Present;
            }
        }
        let pointed = in_parallel(&tags, |(name, _)| {
            look(name.repository(), Named::Tag(name.tag().unwrap_or_default()))
        })?;
        let tags: Vec<TagStep> = tags
            .into_iter()
            .zip(pointed)
            .map(|((name, descriptor), found)| {
                let (action, replaces) = match found {
                    Found::This(digest) if digest == descriptor.digest => (Action::Present, None),
                    Found::This(digest) => (Action::Send, Some(digest)),
                    Found::Nothing | Found::Untold => (Action::Send, None),
                };
                TagStep { descriptor, name, action, replaces }
            })
            .collect();
        notes.extend(replaced_lists(parcels, &tags));

        let mut arrivals = Once::new();
        let arrivals = parcels
            .iter()
            .zip(&places)
            .filter(|(parcel, place)| {
                arrivals.add((parcel.root.name.clone(), place.name.to_string()))
            })
            .map(|(parcel, place)| {
                let digest = parcel.graph.root().descriptor.digest;
                Arrival {
                    image: parcel.shown(),
                    digest,
                    target: place.name.to_string(),
                    target_digest: digest,
                }
            })
            .collect();
        let blobs = blob_steps(&wanted, &present);
        let mut plan = Plan { blobs, manifests, tags, arrivals, notes, ..Plan::default() };
        preflight.conclude(parcels, &mut plan)?;
        Ok(plan)
    }

    fn recall(
        &self,
        plan: &Plan,
        wanted: &[Recalled],
        _: &Path,
        take: &mut Take<'_>,
    ) -> Result<()> {
        let registry = self.registry()?;
        // A project that is still to be made has nothing to give.
        let is_there = |place: &&str| !plan.creates.iter().any(|name| project_of(place) == name);
        let places = plan.manifests.iter().map(|step| &*step.place).filter(is_there);
        let places: BTreeSet<&str> = places.collect();
        for (number, blob) in wanted.iter().enumerate() {
            for repository in &places {
                let descriptor = Descriptor::new("", blob.digest, blob.size);
                let found = blob::open_if_there(&registry, repository, &descriptor)?;
                let Some(mut reader) = found else { continue };
                if blob.plain.is_none() {
                    take(number, &mut reader)?;
                } else {
                    let (_, mut opened) = compression::open_detected(reader).map_err(|e| {
                        Error::from_io(format!("cannot open {} of {repository}", blob.digest), e)
                    })?;
                    take(number, &mut opened)?;
                }
                break;
            }
        }
        Ok(())
    }

    fn lanes(&self) -> usize {
        LANES
    }

    fn wants_compressed_layers(&self) -> bool {
        true
    }

    fn begin(&self, plan: &Plan) -> Result<()> {
        self.make_projects(&plan.creates)?;
        let manifests = plan.manifests.iter().map(|step| {
            let held = Held { descriptor: step.descriptor.clone(), raw: Arc::clone(&step.raw) };
            (held.descriptor.digest, held)
        });
        *lock(&self.manifests) = manifests.collect();
        lock(&self.listed).clear();
        Ok(())
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        open: &mut dyn FnMut() -> Result<Box<dyn Read + Send>>,
    ) -> Result<()> {
        upload::upload(&*self.registry()?, &step.place, &step.descriptor, open)
    }

    fn mount(&self, step: &BlobStep) -> Result<bool> {
        let Action::Mount { from } = &step.action else { return Ok(false) };
        upload::mount(&*self.registry()?, &step.place, &step.descriptor, from)
    }

    fn put_manifest(&self, step: &ManifestStep) -> Result<()> {
        let named = Named::Digest(&step.descriptor.digest);
        let registry = self.registry()?;
        let subject = manifest::put(&registry, &step.place, named, &step.descriptor, &step.raw)?;
        if subject.is_some() && subject == step.subject {
            lock(&self.listed).insert((step.place.clone(), step.descriptor.digest));
        }
        Ok(())
    }

    fn put_tag(&self, step: &TagStep) -> Result<()> {
        let registry = self.registry()?;
        let repository = step.name.repository();
        let tag = step.name.tag().ok_or_else(|| {
            Error::usage(format!("{} has no tag to point to {}", step.name, step.descriptor.digest))
        })?;
        let held = lock(&self.manifests).get(&step.descriptor.digest).cloned();
        let held = held.ok_or_else(|| {
            Error::usage(format!(
                "{} is to point to {}, which is not in the plan",
                step.name, step.descriptor.digest
            ))
        })?;
        manifest::put(&registry, repository, Named::Tag(tag), &held.descriptor, &held.raw)?;
        let scope = Scope::push(repository);
        match manifest::look(&registry, repository, Named::Tag(tag), &scope)? {
            Found::This(digest) if digest == step.descriptor.digest => Ok(()),
            // A policy that keeps images from being pulled until they were scanned.
            Found::Untold => Ok(()),
            found => Err(Error::remote(format!(
                "{} was pointed to {}, but {}",
                step.name,
                step.descriptor.digest,
                match found {
                    Found::This(digest) => format!("points to {digest}"),
                    _ => "is not there".to_owned(),
                }
            ))
            .hint("somebody else may be writing to the same name; try again")),
        }
    }

    fn finish(&self, plan: &Plan) -> Result<()> {
        let registry = self.registry()?;
        let mut lists: Vec<(At, Vec<Descriptor>)> = Vec::new();
        for step in &plan.manifests {
            let Some(subject) = step.subject else { continue };
            let listed = lock(&self.listed).contains(&(step.place.clone(), step.descriptor.digest));
            if listed {
                continue;
            }
            let entry = referrers::listing(&step.descriptor, &step.raw)?;
            let at = (step.place.clone(), subject);
            match lists.iter_mut().find(|(known, _)| *known == at) {
                Some((_, entries)) => entries.push(entry),
                None => lists.push((at, vec![entry])),
            }
        }
        let mut keeps_lists: HashMap<&str, bool> = HashMap::new();
        for ((place, subject), entries) in &lists {
            let keeps = match keeps_lists.get(place.as_str()) {
                Some(keeps) => *keeps,
                None => referrers::list(&registry, place, subject)?.is_some(),
            };
            keeps_lists.insert(place, keeps);
            if !keeps {
                referrers::enlist(&registry, place, subject, entries)?;
            }
        }
        Ok(())
    }

    fn read_back(&self, arrival: &Arrival) -> Result<Option<Digest>> {
        manifest::read_back(&*self.registry()?, &arrival.target.parse()?)
    }
}

/// A list of referrers that came with an image takes the place of the one at the registry.
fn replaced_lists(parcels: &[Parcel], tags: &[TagStep]) -> Vec<String> {
    let lists: HashSet<Digest> = parcels
        .iter()
        .flat_map(|parcel| &parcel.satellites)
        .filter(|satellite| matches!(satellite.kind, AttachmentKind::FallbackIndex(_)))
        .map(|satellite| satellite.graph.root().descriptor.digest)
        .collect();
    tags.iter()
        .filter(|step| step.replaces.is_some() && lists.contains(&step.descriptor.digest))
        .map(|step| {
            format!("the list of referrers at {} is replaced by the one that is brought", step.name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    #[test]
    fn a_blob_is_sent_once_and_linked_elsewhere() {
        let leaf =
            |content: &[u8]| Leaf { descriptor: Descriptor::of("x", content), role: Role::Layer };
        let (a, b) = (leaf(b"a"), leaf(b"b"));
        let at = |place: &str, leaf: &Leaf| (place.to_owned(), leaf.descriptor.digest);
        let wanted =
            [(at("one", &a), &a), (at("two", &a), &a), (at("one", &b), &b), (at("two", &b), &b)];
        let steps = blob_steps(&wanted, &[false, false, false, true]);
        let actions: Vec<Action> = steps.into_iter().map(|step| step.action).collect();
        assert_eq!(
            actions,
            [
                Action::Send,
                Action::Mount { from: "one".into() },
                Action::Mount { from: "two".into() },
                Action::Present,
            ]
        );
    }
}
