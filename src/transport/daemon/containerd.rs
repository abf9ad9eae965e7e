//! The containerd store: original blobs, known by their digests.
//!
//! What is loaded is an OCI layout. Blobs that the daemon has may be left out of it; the API does
//! not list blobs, though, so what it has is inferred: everything below a manifest that it calls
//! available (API 1.48 and later), and, as a guess, the base layers that another image shares by
//! diff ID. A guess that fails is noticed after the load, and everything is sent again; where an
//! older daemon could hide the failure, in one image of an index, nothing is guessed.

use std::collections::HashSet;

use super::api::{About, Api};
use super::classic::Inventory;
use crate::endpoint::{Parcel, Plan};
use crate::model::{Descriptor, Digest, Error, Graph, ImageName, Manifest, Node, Platform, Result};
use crate::transport::archive::portion::{Portion, Stock};
use crate::transport::layout::plan::plan_originals;

/// Images that are to be brought to a containerd store.
pub(super) struct Shipment {
    parcels: Vec<Parcel>,
    inventory: Inventory,
    /// Manifests that the daemon has with everything below them.
    available: HashSet<Digest>,
    /// Whether the daemon can say what is available.
    can_tell: bool,
    notes: Vec<String>,
}

impl Shipment {
    /// Asks the daemon what it has. `platform` narrows an index to one image; without it the whole
    /// index is brought.
    pub(super) fn prepare(
        api: &Api,
        about: &About,
        parcels: &[Parcel],
        platform: Option<&Platform>,
    ) -> Result<Self> {
        let mut notes = Vec::new();
        let mut kept = Vec::new();
        for parcel in parcels {
            let shown = parcel.shown();
            if parcel.graph.images().is_empty() {
                notes.push(format!("{shown}: left out, it is no container image"));
                continue;
            }
            if !parcel.satellites.is_empty() {
                notes.push(format!(
                    "{shown}: its signatures and other attachments are left out, a daemon cannot hold them"
                ));
            }
            let mut parcel = Parcel { satellites: Vec::new(), ..parcel.clone() };
            if let Some(platform) = platform {
                narrow(&mut parcel, platform)?;
            }
            kept.push(parcel);
        }
        if kept.is_empty() && !parcels.is_empty() {
            return Err(Error::usage("nothing of this can be held by a daemon")
                .hint("use a registry, oci: or oci-archive:, which hold artifacts of any type"));
        }
        let can_tell = about.api >= (1, 48);
        let mut available = HashSet::new();
        let inventory = Inventory::take(api)?;
        if can_tell {
            let listed = api.images(true)?;
            let manifests =
                listed.into_iter().flat_map(|image| image.manifests.unwrap_or_default());
            available.extend(manifests.filter(|m| m.available).map(|m| m.id));
        }
        Ok(Self { parcels: kept, inventory, available, can_tell, notes })
    }

    /// Forgets what was only inferred, so that the next plan sends everything.
    pub(super) fn distrust(&mut self) {
        self.available.clear();
        self.inventory.chains.clear();
        self.inventory.images.clear();
    }

    pub(super) fn plan(&self) -> Result<Plan> {
        let mut present = HashSet::new();
        for parcel in &self.parcels {
            let whole = self.is_whole(parcel);
            for node in &parcel.graph.nodes {
                let Manifest::Image(image) = &node.manifest else {
                    if whole {
                        present.insert(node.descriptor.digest);
                    }
                    continue;
                };
                let available = self.available.contains(&node.descriptor.digest);
                if whole {
                    present.insert(node.descriptor.digest);
                }
                if whole || available {
                    present.extend(node.manifest.children().map(|child| child.digest));
                } else if self.can_tell || parcel.graph.nodes.len() == 1 {
                    let base = self.inventory.base_layers(diff_ids(parcel, &image.layers));
                    present.extend(image.layers.iter().take(base).map(|layer| layer.digest));
                }
            }
        }
        let named = |name: &ImageName| self.inventory.named(name);
        let mut plan = plan_originals(
            &self.parcels,
            &mut |descriptor| Ok(present.contains(&descriptor.digest)),
            &named,
        )?;
        for (arrival, parcel) in plan.arrivals.iter_mut().zip(&self.parcels) {
            match parcel.name().filter(|name| name.tag().is_some()) {
                Some(name) => arrival.target = name.without_digest().familiar(),
                None => plan
                    .notes
                    .push(format!("{} has no tag and stays without a name", arrival.image)),
            }
        }
        plan.notes.extend(self.notes.iter().cloned());
        Ok(plan)
    }

    /// Whether the image is there under its ID, with everything.
    fn is_whole(&self, parcel: &Parcel) -> bool {
        let root = &parcel.graph.root().descriptor;
        if !self.inventory.has_image(&root.digest) {
            return false;
        }
        if self.can_tell {
            return runnable(&parcel.graph).all(|node| self.is_available(node));
        }
        // An older daemon tells nothing about the parts of an index.
        matches!(parcel.graph.root().manifest, Manifest::Image(_))
    }

    fn is_available(&self, node: &Node) -> bool {
        self.available.contains(&node.descriptor.digest)
    }

    /// The roots that a load has to name, because their images are not there.
    pub(super) fn roots(&self) -> Vec<Descriptor> {
        let mut roots: Vec<Descriptor> = Vec::new();
        for parcel in self.parcels.iter().filter(|parcel| !self.is_whole(parcel)) {
            let root = &parcel.graph.root().descriptor;
            if !roots.iter().any(|known| known.digest == root.digest) {
                roots.push(Descriptor::new(root.media_type.clone(), root.digest, root.size));
            }
        }
        roots
    }

    /// Asks the daemon whether every image is there now; what is wrong, if anything.
    pub(super) fn verify(&self, api: &Api) -> Result<Option<String>> {
        let listed: HashSet<Digest> =
            api.images(false)?.into_iter().map(|image| image.id).collect();
        for parcel in &self.parcels {
            let id = parcel.graph.root().descriptor.digest;
            // An image whose content is missing can be known and is not listed; one for another
            // platform can be listed and not be known.
            if !listed.contains(&id) {
                return Ok(Some(format!("image {id} did not arrive whole")));
            }
            let Some(image) = api.inspect(&id.to_string(), self.can_tell)? else { continue };
            if image.id != id {
                return Ok(Some(format!("image {id} arrived as {}", image.id)));
            }
            if let Some(manifests) = image.manifests.filter(|_| self.can_tell) {
                let incomplete = runnable(&parcel.graph).find(|node| {
                    !manifests.iter().any(|m| m.id == node.descriptor.digest && m.available)
                });
                if let Some(node) = incomplete {
                    return Ok(Some(format!("{} arrived incomplete", node.descriptor.digest)));
                }
            }
        }
        Ok(None)
    }
}

/// The images in a graph that run somewhere.
fn runnable(graph: &Graph) -> impl Iterator<Item = &Node> {
    graph.images().into_iter().map(|(node, _)| node)
}

/// The diff IDs of the layers as far as they are known without a gap.
fn diff_ids(parcel: &Parcel, layers: &[Descriptor]) -> Vec<Digest> {
    let known = |layer: &Descriptor| {
        let plain = parcel.plain.iter().find(|(digest, _)| *digest == layer.digest);
        plain.map(|(_, plain)| plain.digest).or_else(|| {
            use crate::model::manifest::media;
            let plain = [media::OCI_LAYER, media::DOCKER_LAYER];
            plain.contains(&layer.media_type.as_str()).then_some(layer.digest)
        })
    };
    layers.iter().map_while(known).collect()
}

/// Reduces an index to its image for `platform`.
fn narrow(parcel: &mut Parcel, platform: &Platform) -> Result<()> {
    let Manifest::Index(_) = parcel.graph.root().manifest else { return Ok(()) };
    let Some(portion) = Portion::of(parcel, platform)? else { return Ok(()) };
    let index = parcel.graph.root().descriptor.digest;
    let nodes = std::mem::take(&mut parcel.graph.nodes);
    let raw = |digest: &Digest| {
        nodes.iter().find(|node| node.descriptor.digest == *digest).map(|node| node.raw.clone())
    };
    parcel.graph = Graph::walk(&portion.manifest, &mut |descriptor| {
        raw(&descriptor.digest).ok_or_else(|| {
            Error::malformed(format!("manifest {} is not in its index", descriptor.digest))
        })
    })?;
    parcel.root.descriptor = portion.manifest;
    parcel.root.from_index = Some(index);
    Ok(())
}
