//! Brings images into a daemon: one archive, composed while it is sent, without what is there.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::engine::{Endpoint, Engine, StoreKind};
use super::load::Load;
use super::store::Inventory;
use crate::endpoint::{
    Action, Arrival, BlobStep, Form, ManifestStep, Parcel, Plain, Plan, TagStep, Target,
};
use crate::model::graph::layout_index;
use crate::model::manifest::ImageManifest;
use crate::model::{Descriptor, Digest, Error, Leaf, Manifest, Node, Platform, Result};

/// A daemon that images are brought to.
pub struct DaemonTarget {
    endpoint: Endpoint,
    engine: OnceLock<Arc<Engine>>,
    /// Set when leaving out layers went wrong once: everything is sent then.
    everything: AtomicBool,
    state: Mutex<State>,
}

/// What was planned, and how far it is.
#[derive(Default)]
struct State {
    images: Vec<Wanted>,
    /// Whether the plan counts on content that the daemon did not say it has in so many words.
    assumes: bool,
    load: Option<Load>,
}

/// An image as the daemon will have it.
struct Wanted {
    /// What people call it.
    name: String,
    /// Its ID there.
    id: Digest,
    /// Whether it has to be loaded.
    missing: bool,
    content: WantedContent,
}

enum WantedContent {
    /// For the classic store: configuration, and the paths of the layers in the archive.
    Classic { config: Digest, layers: Vec<String> },
    /// For containerd's: the root, and the manifests that must be complete.
    Containerd { root: Box<Descriptor>, manifests: Vec<Digest> },
}

/// Where a blob lies in the archive.
fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

impl DaemonTarget {
    /// The daemon at `endpoint`; it is asked when a plan is made.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            engine: OnceLock::new(),
            everything: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn engine(&self) -> Result<&Arc<Engine>> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let engine = Arc::new(Engine::connect(&self.endpoint)?);
        Ok(self.engine.get_or_init(|| engine))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The load, which begins with the first file.
    fn with_load(&self, act: impl FnOnce(&mut Load) -> Result<()>) -> Result<()> {
        let engine = Arc::clone(self.engine()?);
        act(self.state().load.get_or_insert_with(|| Load::begin(engine)))
    }
}

/// The layers of an image as plain tars: what the classic store takes.
fn plain_layers(
    image: &ImageManifest,
    plain: &HashMap<Digest, Plain>,
    name: &str,
) -> Result<Vec<(Descriptor, Plain)>> {
    let layers = image.layers.iter().map(|layer| {
        let compressed = layer.media_type.ends_with("gzip") || layer.media_type.ends_with("zstd");
        let opened = plain.get(&layer.digest).copied();
        match opened.or((!compressed).then_some(Plain { digest: layer.digest, size: layer.size })) {
            Some(_) if layer.is_foreign() => {
                Err(format!("layer {} is not in the bundle, only where to get it", layer.digest))
            }
            Some(plain) => Ok((layer.clone(), plain)),
            None => Err(format!("layer {} does not open", layer.digest)),
        }
    });
    layers.collect::<Result<_, _>>().map_err(|why| {
        Error::malformed(format!("{name} cannot be loaded into a daemon: {why}"))
            .hint("bring it into a registry or an OCI layout, which take it as it is")
    })
}

/// The image of a parcel that a daemon of this platform runs.
fn choose<'a>(
    parcel: &'a Parcel,
    own: &Platform,
    name: &str,
) -> Result<(&'a Node, &'a ImageManifest)> {
    let images = parcel.graph.images();
    let found = match images.as_slice() {
        [(only, _)] => Some(*only),
        _ => images
            .iter()
            .find(|(_, platform)| platform.is_some_and(|offered| own.accepts(offered)))
            .map(|(node, _)| *node),
    };
    if let Some((node, Manifest::Image(image))) = found.map(|node| (node, &node.manifest)) {
        Ok((node, image))
    } else {
        let offered: Vec<String> =
            images.iter().filter_map(|(_, platform)| platform.map(ToString::to_string)).collect();
        Err(Error::usage(format!("{name} has no image for {own}, which the daemon is")).hint(
            format!(
                "it is there for {}; leave it out with --image, or pick one with --platform",
                offered.join(", ")
            ),
        ))
    }
}

/// Puts together what a plan consists of.
struct Planner<'a> {
    store: StoreKind,
    own: Platform,
    inventory: Option<&'a Inventory>,
    /// Whether the daemon tells which manifests are complete.
    tells_manifests: bool,
    plan: Plan,
    state: State,
    blobs: HashMap<String, usize>,
    names: HashMap<String, Digest>,
}

impl Planner<'_> {
    /// Notes a blob once; sending wins over leaving out.
    fn blob(
        &mut self,
        descriptor: &Descriptor,
        form: Form,
        place: String,
        bytes: u64,
        action: Action,
    ) {
        if let Some(&at) = self.blobs.get(&place) {
            if action == Action::Send {
                self.plan.blobs[at].action = Action::Send;
            }
            return;
        }
        self.blobs.insert(place.clone(), self.plan.blobs.len());
        self.plan.blobs.push(BlobStep {
            descriptor: descriptor.clone(),
            form,
            bytes,
            place,
            action,
        });
    }

    fn parcel(
        &mut self,
        parcel: &Parcel,
        plain: &HashMap<Digest, Plain>,
        name: &str,
    ) -> Result<()> {
        if parcel.graph.images().is_empty() {
            self.plan.notes.push(format!(
                "{name} is no image but an artifact, which a Docker daemon cannot hold: left out"
            ));
            return Ok(());
        }
        let wanted = match self.store {
            StoreKind::Classic => self.classic(parcel, plain, name)?,
            StoreKind::Containerd => self.containerd(parcel, plain, name),
        };
        if !parcel.satellites.is_empty() {
            self.plan.notes.push(format!(
                "{} artifacts attached to {name} are left out: a Docker daemon cannot hold them",
                parcel.satellites.len()
            ));
        }
        let descriptor = Descriptor { digest: wanted.id, ..parcel.root.descriptor.clone() };
        let target = if let Some(tag) =
            parcel.root.name.as_ref().filter(|name| name.tag().is_some())
        {
            let tag = tag.without_digest();
            if self.names.insert(tag.to_string(), wanted.id).is_some_and(|other| other != wanted.id)
            {
                return Err(Error::usage(format!("two images of the bundle are named {tag}"))
                    .hint("pick one with --image or --platform"));
            }
            self.plan.tags.push(TagStep {
                descriptor,
                name: tag.clone(),
                action: Action::Send,
                replaces: None,
            });
            tag.familiar()
        } else {
            self.plan
                .notes
                .push(format!("{name} has no tag: it is loaded without a name, as {}", wanted.id));
            wanted.id.to_string()
        };
        self.plan.arrivals.push(Arrival {
            image: name.to_owned(),
            digest: parcel.root.descriptor.digest,
            target,
            target_digest: wanted.id,
        });
        self.state.images.push(wanted);
        Ok(())
    }

    /// For a graph driver: configuration and plain layers; the lowest ones may be there.
    fn classic(
        &mut self,
        parcel: &Parcel,
        plain: &HashMap<Digest, Plain>,
        name: &str,
    ) -> Result<Wanted> {
        let (_, image) = choose(parcel, &self.own, name)?;
        let layers = plain_layers(image, plain, name)?;
        let Some(config) = &image.config else {
            return Err(Error::malformed(format!("{name} has no configuration")));
        };
        let diff_ids: Vec<Digest> = layers.iter().map(|(_, plain)| plain.digest).collect();
        let there = self.inventory.is_some_and(|inventory| inventory.has_image(&config.digest));
        let base = self.inventory.map_or(0, |inventory| inventory.base_layers(&diff_ids));
        self.state.assumes |= base > 0 && !there;
        for (at, (layer, plain)) in layers.iter().enumerate() {
            let action = if there || at < base { Action::Present } else { Action::Send };
            self.blob(layer, Form::Plain, path(&plain.digest), plain.size, action);
        }
        let action = if there { Action::Present } else { Action::Send };
        self.blob(config, Form::Exact, path(&config.digest), config.size, action);
        Ok(Wanted {
            name: name.to_owned(),
            id: config.digest,
            missing: !there,
            content: WantedContent::Classic {
                config: config.digest,
                layers: diff_ids.iter().map(path).collect(),
            },
        })
    }

    /// For containerd's store: everything as it is in the registry, but for what it has.
    fn containerd(
        &mut self,
        parcel: &Parcel,
        plain: &HashMap<Digest, Plain>,
        name: &str,
    ) -> Wanted {
        let root = &parcel.root.descriptor;
        let images: Vec<Digest> =
            parcel.graph.images().iter().map(|(node, _)| node.descriptor.digest).collect();
        let there = self.inventory.is_some_and(|inventory| {
            inventory.has_image(&root.digest)
                && (!self.tells_manifests
                    || images.iter().all(|image| inventory.has_manifest(image)))
        });
        let mut present: HashSet<Digest> = HashSet::new();
        // An older daemon shows after a load whether one image is complete, but not which of several.
        let can_check = self.tells_manifests || images.len() == 1;
        if let Some(inventory) = self.inventory.filter(|_| can_check) {
            for node in &parcel.graph.nodes {
                let Manifest::Image(image) = &node.manifest else { continue };
                if inventory.has_manifest(&node.descriptor.digest) {
                    present.extend(node.manifest.children().map(|child| child.digest));
                    continue;
                }
                // Layers are the same content as those of an image that is there; whether they are
                // the same compressed bytes, only the load shows.
                let Ok(layers) = plain_layers(image, plain, name) else { continue };
                let diff_ids: Vec<Digest> = layers.iter().map(|(_, plain)| plain.digest).collect();
                let base = inventory.base_layers(&diff_ids);
                present.extend(layers[..base].iter().map(|(layer, _)| layer.digest));
                self.state.assumes |= base > 0 && !there;
            }
        }
        for Leaf { descriptor, .. } in &parcel.graph.leaves {
            let action = if there || present.contains(&descriptor.digest) {
                Action::Present
            } else {
                Action::Send
            };
            self.blob(descriptor, Form::Exact, path(&descriptor.digest), descriptor.size, action);
        }
        for node in &parcel.graph.nodes {
            self.plan.manifests.push(ManifestStep {
                descriptor: node.descriptor.clone(),
                raw: Arc::clone(&node.raw),
                place: path(&node.descriptor.digest),
                subject: None,
                action: if there { Action::Present } else { Action::Send },
            });
        }
        Wanted {
            name: name.to_owned(),
            id: root.digest,
            missing: !there,
            content: WantedContent::Containerd { root: Box::new(root.clone()), manifests: images },
        }
    }
}

impl Target for DaemonTarget {
    fn describe(&self) -> String {
        format!("the daemon at {}", self.endpoint)
    }

    fn plan(&self, parcels: &[Parcel]) -> Result<Plan> {
        let engine = self.engine()?;
        let info = engine.info()?;
        let own: Platform = format!("{}/{}", info.os, info.architecture).parse()?;
        let inventory = if self.everything.load(Ordering::Relaxed) {
            None
        } else {
            Some(Inventory::take(engine)?)
        };
        let plain: HashMap<Digest, Plain> =
            parcels.iter().flat_map(|parcel| parcel.plain.iter().copied()).collect();
        let mut planner = Planner {
            store: info.store(),
            own,
            inventory: inventory.as_ref(),
            tells_manifests: engine.tells_manifests(),
            plan: Plan::default(),
            state: State::default(),
            blobs: HashMap::new(),
            names: HashMap::new(),
        };
        for parcel in parcels {
            let name = parcel
                .root
                .name
                .as_ref()
                .map_or_else(|| parcel.root.descriptor.digest.to_string(), ToString::to_string);
            let foreign = parcel
                .root
                .descriptor
                .platform
                .as_ref()
                .filter(|platform| !planner.own.accepts(platform));
            let shared = parcels
                .iter()
                .filter(|other| other.root.name.is_some() && other.root.name == parcel.root.name)
                .count()
                > 1;
            if let (Some(platform), true) = (foreign, shared) {
                planner.plan.notes.push(format!(
                    "{name} for {platform} is left out: the daemon runs {}",
                    planner.own
                ));
                continue;
            }
            planner.parcel(parcel, &plain, &name)?;
        }
        for tag in &mut planner.plan.tags {
            let now = engine.image(&tag.name.to_string())?;
            let now = now.and_then(|image| image.id.parse().ok());
            if now == Some(tag.descriptor.digest) {
                tag.action = Action::Present;
            } else {
                tag.replaces = now;
            }
        }
        *self.state() = planner.state;
        Ok(planner.plan)
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        open: &mut dyn FnMut() -> Result<Box<dyn Read + Send>>,
    ) -> Result<()> {
        let mut content = open()?;
        self.with_load(|load| load.file(&step.place, step.bytes, &mut content))
    }

    fn put_manifest(&self, step: &ManifestStep) -> Result<()> {
        self.with_load(|load| load.file(&step.place, step.raw.len() as u64, &mut &step.raw[..]))
    }

    /// Names wait until what they name is there: see [`finish`](Self::finish).
    fn put_tag(&self, _: &TagStep) -> Result<()> {
        Ok(())
    }

    /// Completes the archive, waits for the load, compares image IDs, and only then names images.
    fn finish(&self, plan: &Plan) -> Result<()> {
        let (images, load) = {
            let mut state = self.state();
            (std::mem::take(&mut state.images), state.load.take())
        };
        let engine = self.engine()?;
        let missing: Vec<&Wanted> = images.iter().filter(|image| image.missing).collect();
        if !missing.is_empty() {
            let mut load = load.unwrap_or_else(|| Load::begin(Arc::clone(engine)));
            for (name, content) in contents(&missing) {
                load.file(name, content.len() as u64, &mut &content[..])?;
            }
            load.end()?;
        }
        let listed: HashSet<String> = engine.images()?.into_iter().map(|image| image.id).collect();
        for image in &missing {
            check(engine, image, &listed)?;
        }
        for step in plan.tags.iter().filter(|step| step.action == Action::Send) {
            let repository = format!("{}/{}", step.name.registry(), step.name.repository());
            engine.tag(
                &step.descriptor.digest.to_string(),
                &repository,
                step.name.tag().unwrap_or("latest"),
            )?;
            let now = engine.image(&step.name.to_string())?.map(|image| image.id);
            if now.as_deref() != Some(&step.descriptor.digest.to_string()) {
                return Err(Error::remote(format!(
                    "{} should be {} in the daemon now, and is {now:?}",
                    step.name, step.descriptor.digest
                )));
            }
        }
        Ok(())
    }

    fn fallback(&self, parcels: &[Parcel]) -> Result<Option<Plan>> {
        let assumed = std::mem::take(&mut *self.state()).assumes;
        if self.everything.swap(true, Ordering::Relaxed) || !assumed {
            return Ok(None);
        }
        self.plan(parcels).map(Some)
    }
}

/// The tables of contents of an archive.
fn contents(images: &[&Wanted]) -> Vec<(&'static str, Vec<u8>)> {
    let mut classic = Vec::new();
    let mut roots: Vec<&Descriptor> = Vec::new();
    for image in images {
        match &image.content {
            WantedContent::Classic { config, layers } => {
                classic.push(
                    serde_json::json!({"Config": path(config), "RepoTags": null, "Layers": layers}),
                );
            }
            WantedContent::Containerd { root, .. } => {
                if roots.iter().all(|known| known.digest != root.digest) {
                    roots.push(root);
                }
            }
        }
    }
    let mut files = Vec::new();
    if !classic.is_empty() {
        files.push(("manifest.json", serde_json::Value::from(classic).to_string().into_bytes()));
    }
    if !roots.is_empty() {
        files.push(("index.json", layout_index(roots)));
        files.push(("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    }
    files
}

/// The image is there, with the ID that it must have, and complete.
fn check(engine: &Engine, image: &Wanted, listed: &HashSet<String>) -> Result<()> {
    let wrong = |what: String| {
        Error::remote(format!("{} was loaded into the daemon, but {what}; no name points to it", image.name))
            .hint("docker image prune removes what was loaded; the daemon's log may say why: journalctl -u docker")
    };
    let Some(found) = engine.image(&image.id.to_string())? else {
        return Err(wrong(format!("there is no image with the ID {}", image.id)));
    };
    if found.id != image.id.to_string() {
        return Err(wrong(format!("its ID is {}, not {}", found.id, image.id)));
    }
    // containerd's store knows an image whose content is missing, but does not list it.
    if !listed.contains(&found.id) {
        return Err(wrong("its content is not all there".to_owned()));
    }
    if let (WantedContent::Containerd { manifests, .. }, Some(available)) =
        (&image.content, found.available())
    {
        let available: HashSet<&str> = available.collect();
        for manifest in manifests {
            if !available.contains(manifest.to_string().as_str()) {
                return Err(wrong(format!("content of {manifest} is missing")));
            }
        }
    }
    Ok(())
}
