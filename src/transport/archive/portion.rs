//! What docker's own form can hold of an image: one platform, a configuration and layers.

use std::collections::HashSet;

use super::docker_form::Item;
use crate::endpoint::{Action, Arrival, BlobStep, Form, Parcel, Plan};
use crate::model::manifest::media;
use crate::model::{
    Algorithm, Descriptor, Digest, Error, ImageName, Manifest, Node, Platform, Result,
};
use crate::transport::layout::blob_path;
use crate::transport::layout::plan::Names;

/// One runnable image out of a parcel.
#[derive(Clone, Debug)]
pub(crate) struct Portion {
    /// Its name without digest, where it has a tag.
    pub(crate) name: Option<ImageName>,
    /// The image's manifest.
    pub(crate) manifest: Descriptor,
    /// Its configuration; the digest is the image ID.
    pub(crate) config: Descriptor,
    /// Its layers, base first.
    pub(crate) layers: Vec<Layer>,
    arrival: Arrival,
}

/// One layer, in the form in which it travels.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) descriptor: Descriptor,
    pub(crate) form: Form,
    /// Bytes in that form.
    pub(crate) bytes: u64,
    /// The plain digest, where it is known.
    pub(crate) diff_id: Option<Digest>,
}

impl Layer {
    /// The file that it travels as.
    pub(crate) fn path(&self) -> String {
        blob_path(&self.diff_id.unwrap_or(self.descriptor.digest))
    }
}

impl Portion {
    /// The image of `parcel` that runs on `platform`; `None` where the parcel is no runnable image.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where it has no image for the platform, or one
    /// that docker cannot hold.
    pub(crate) fn of(parcel: &Parcel, platform: &Platform) -> Result<Option<Self>> {
        let shown = parcel.shown();
        let Some(node) = choose(parcel, platform, &shown)? else { return Ok(None) };
        let Manifest::Image(image) = &node.manifest else { return Ok(None) };
        let Some(config) = &image.config else { return Ok(None) };
        if config.digest.algorithm() != Algorithm::Sha256 {
            return Err(Error::usage(format!("{shown} has a sha512 configuration")).hint(
                "docker knows images by sha256 only: use oci: or oci-archive: for this one",
            ));
        }
        let mut layers = Vec::new();
        for descriptor in &image.layers {
            if descriptor.is_foreign() {
                return Err(Error::usage(format!("{shown} has layers that lie elsewhere"))
                    .hint("docker loads whole images only: leave this one out"));
            }
            layers.push(layer(parcel, descriptor));
        }
        let name = parcel.name().filter(|name| name.tag().is_some());
        let name = name.map(ImageName::without_digest);
        let target = name.as_ref().map_or_else(|| config.digest.to_string(), ImageName::familiar);
        Ok(Some(Self {
            name,
            manifest: node.descriptor.clone(),
            config: config.clone(),
            layers,
            arrival: Arrival {
                image: shown,
                digest: parcel.graph.root().descriptor.digest,
                target,
                target_digest: config.digest,
            },
        }))
    }
}

fn layer(parcel: &Parcel, descriptor: &Descriptor) -> Layer {
    let known = parcel.plain.iter().find(|(digest, _)| *digest == descriptor.digest);
    let (form, bytes, diff_id) = match known {
        Some((_, plain)) => (Form::Plain, plain.size, Some(plain.digest)),
        None if matches!(
            descriptor.media_type.as_str(),
            media::OCI_LAYER | media::DOCKER_LAYER
        ) =>
        {
            (Form::Exact, descriptor.size, Some(descriptor.digest))
        }
        // docker opens gzip itself; its diff ID is then only known to it.
        None => (Form::Exact, descriptor.size, None),
    };
    Layer { descriptor: descriptor.clone(), form, bytes, diff_id }
}

fn choose<'a>(parcel: &'a Parcel, wish: &Platform, shown: &str) -> Result<Option<&'a Node>> {
    let images = parcel.graph.images();
    if let Manifest::Image(_) = parcel.graph.root().manifest {
        return Ok(images.first().map(|(node, _)| *node));
    }
    if images.is_empty() {
        return Ok(None);
    }
    let offered = || images.iter().filter_map(|(node, platform)| Some((*node, (*platform)?)));
    let exact = offered().find(|(_, platform)| *platform == wish);
    if let Some((node, _)) = exact.or_else(|| offered().find(|(_, p)| wish.accepts(p))) {
        return Ok(Some(node));
    }
    // An index that does not say what its only image runs on.
    if let [(node, None)] = images.as_slice() {
        return Ok(Some(node));
    }
    let mut platforms: Vec<String> = offered().map(|(_, platform)| platform.to_string()).collect();
    platforms.sort();
    platforms.dedup();
    Err(Error::usage(format!("{shown} has no image for {wish}")).hint(format!(
        "choose one of its platforms with --platform ({}), or keep them all with oci-archive:",
        platforms.join(", ")
    )))
}

/// The portions of several parcels, and what the user should know about the rest.
///
/// # Errors
/// As [`Portion::of`]; [`Kind::Usage`](crate::model::Kind::Usage) where nothing is left.
pub(crate) fn portions(
    parcels: &[Parcel],
    platform: &Platform,
    place: &str,
) -> Result<(Vec<Portion>, Vec<String>)> {
    let mut portions = Vec::new();
    let mut notes = Vec::new();
    for parcel in parcels {
        let shown = || parcel.shown();
        // Of several platforms that were taken out of one index, the place takes its own.
        let foreign = parcel.root.descriptor.platform.as_ref().filter(|own| !platform.accepts(own));
        let siblings = parcels.iter().filter(|other| {
            parcel.root.from_index.is_some() && other.root.from_index == parcel.root.from_index
        });
        if let (Some(own), true) = (foreign, siblings.count() > 1) {
            notes.push(format!(
                "{} for {own}: left out, {place} takes the one for {platform}",
                shown()
            ));
            continue;
        }
        match Portion::of(parcel, platform)? {
            Some(portion) => {
                if !parcel.satellites.is_empty() {
                    notes.push(format!(
                        "{}: its signatures and other attachments are left out, {place} cannot hold them",
                        shown()
                    ));
                }
                if parcel.graph.images().len() > 1 {
                    notes.push(format!("{}: only the image for {platform} is taken", shown()));
                }
                portions.push(portion);
            }
            None => notes.push(format!(
                "{}: left out, it is no container image that {place} could hold",
                shown()
            )),
        }
    }
    if portions.is_empty() && !parcels.is_empty() {
        return Err(Error::usage(format!("nothing of this can be held by {place}"))
            .hint("use a registry, oci: or oci-archive:, which hold artifacts of any type"));
    }
    Ok((portions, notes))
}

/// What is there already, as far as a place in docker's form can tell.
pub(crate) trait Stock {
    /// Whether the image is there.
    fn has_image(&self, id: &Digest) -> bool;
    /// How many base layers of the image are there and may be left out.
    fn base_layers(&self, portion: &Portion) -> usize;
    /// The ID that a name points to.
    fn named(&self, name: &ImageName) -> Option<Digest>;
}

/// The plan that brings `portions`: configurations, and layers that are not in stock.
pub(crate) fn plan_portions(
    portions: &[Portion],
    notes: Vec<String>,
    stock: &dyn Stock,
) -> Result<Plan> {
    let mut plan = Plan { notes, ..Plan::default() };
    let mut names = Names::default();
    // A layer that one image has in stock may be missing under another: decide first, list then.
    let mut sent = HashSet::new();
    for portion in portions.iter().filter(|portion| !stock.has_image(&portion.config.digest)) {
        let base = stock.base_layers(portion);
        sent.insert(blob_path(&portion.config.digest));
        sent.extend(portion.layers.iter().skip(base).map(Layer::path));
    }
    let mut listed = HashSet::new();
    for portion in portions {
        let mut step = |path: String, descriptor: &Descriptor, form, bytes| {
            if listed.insert(path.clone()) {
                let action = if sent.contains(&path) { Action::Send } else { Action::Present };
                let (descriptor, place) = (descriptor.clone(), String::new());
                plan.blobs.push(BlobStep { descriptor, form, bytes, place, action });
            }
        };
        let config = &portion.config;
        step(blob_path(&config.digest), config, Form::Exact, config.size);
        for layer in &portion.layers {
            step(layer.path(), &layer.descriptor, layer.form, layer.bytes);
        }
        if let Some(name) = &portion.name {
            names.take(name, config, &|name| stock.named(name), &mut plan.tags)?;
        } else {
            plan.notes
                .push(format!("{} has no tag and stays without a name", portion.arrival.image));
        }
        plan.arrivals.push(portion.arrival.clone());
    }
    Ok(plan)
}

/// The file as which a planned blob travels.
pub(crate) fn path_of(step: &BlobStep, portions: &[Portion]) -> String {
    portions
        .iter()
        .flat_map(|portion| &portion.layers)
        .find(|layer| layer.form == step.form && layer.descriptor.digest == step.descriptor.digest)
        .map_or_else(|| blob_path(&step.descriptor.digest), Layer::path)
}

/// The items of `manifest.json`, each image once, with its names or, without `named`, none.
pub(crate) fn items(portions: &[Portion], named: bool) -> Vec<Item> {
    let mut order: Vec<Digest> = Vec::new();
    for portion in portions {
        if !order.contains(&portion.config.digest) {
            order.push(portion.config.digest);
        }
    }
    let item = |id: &Digest| {
        let mut same = portions.iter().filter(|portion| portion.config.digest == *id).peekable();
        let layers = same.peek().map(|p| p.layers.iter().map(Layer::path).collect());
        let mut tags: Vec<String> = Vec::new();
        for name in same.filter_map(|portion| portion.name.as_ref()).filter(|_| named) {
            if !tags.contains(&name.to_string()) {
                tags.push(name.to_string());
            }
        }
        Item::new(blob_path(id), tags, layers.unwrap_or_default())
    };
    order.iter().map(item).collect()
}

/// The platform of this machine, with linux as the system: images run on it, wherever we do.
pub(crate) fn host_platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    };
    Platform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
        variant: None,
        os_version: None,
    }
}
