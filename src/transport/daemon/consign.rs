//! Shares images out among several uploads.
//!
//! A daemon first takes a whole upload in and only then unpacks it. With several uploads it unpacks
//! one while it takes in the next. The daemon looks for a layer when it unpacks, so a layer travels
//! in the first upload that needs it, and the others come to an end only when that one has been
//! unpacked.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::classic::{Inventory, chain_ids};
use crate::endpoint::{Action, BlobStep, Form, Plan};
use crate::model::{Descriptor, Digest, Result};
use crate::transport::archive::docker_form::{self, Item};
use crate::transport::archive::portion::{Portion, items, plan_portions};
use crate::transport::layout::blob_path;

/// Bytes up to which images share an upload: less is not worth one of its own.
pub(super) const SHARED: u64 = 64 << 20;

/// One upload.
#[derive(Clone, Debug)]
pub(super) struct Consignment {
    /// Its images, without names.
    items: Vec<Item>,
    /// What travels: configurations, and layers that the daemon will not have by then.
    pub(super) steps: Vec<(String, BlobStep)>,
    /// Earlier uploads whose layers it stands on, by their number.
    pub(super) after: BTreeSet<usize>,
}

impl Consignment {
    /// What comes last in an upload: before that the daemon cannot begin to unpack it.
    pub(super) fn contents(&self) -> (String, Vec<u8>) {
        (docker_form::MANIFEST.to_owned(), docker_form::write_items(&self.items))
    }
}

/// The plan that brings `portions` to a daemon that has `inventory`, and the uploads that it takes,
/// of up to `shared` bytes where an image does not need more. The steps that send are those of the
/// uploads, in their order.
pub(super) fn consign(
    portions: &[Portion],
    notes: Vec<String>,
    inventory: &Inventory,
    shared: u64,
) -> Result<(Plan, Vec<Consignment>)> {
    let mut plan = plan_portions(portions, notes, inventory)?;
    let uploads = share_out(portions, inventory, shared);
    plan.blobs.retain(|step| step.action != Action::Send);
    let sent = uploads.iter().flat_map(|upload| &upload.steps).map(|(_, step)| step.clone());
    plan.blobs = sent.chain(plan.blobs).collect();
    Ok((plan, uploads))
}

/// An image that is not there yet.
struct Missing<'a> {
    portion: &'a Portion,
    /// Its layers that the daemon lacks: number, and what the daemon will know it by. What a
    /// compressed layer holds may not be known; then it is taken by the name of its blob, which is
    /// as good between uploads.
    layers: Vec<(usize, Digest)>,
}

impl Missing<'_> {
    /// Bytes of its layers that are in no upload yet.
    fn bytes(&self, carried: &HashMap<Digest, usize>) -> u64 {
        let missing = self.layers.iter().filter(|(_, chain)| !carried.contains_key(chain));
        missing.map(|(number, _)| self.portion.layers[*number].bytes).sum()
    }
}

fn share_out(portions: &[Portion], inventory: &Inventory, shared: u64) -> Vec<Consignment> {
    let mut seen = HashSet::new();
    let mut waiting: Vec<Missing<'_>> = Vec::new();
    for portion in portions {
        let id = portion.config.digest;
        if inventory.images.contains(&id) || !seen.insert(id) {
            continue;
        }
        let base = inventory.base_layers(portion.layers.iter().map_while(|layer| layer.diff_id));
        let names = portion.layers.iter().map(|l| l.diff_id.unwrap_or(l.descriptor.digest));
        let layers = chain_ids(names).enumerate().skip(base).collect();
        waiting.push(Missing { portion, layers });
    }
    // In which upload a layer travels.
    let mut carried: HashMap<Digest, usize> = HashMap::new();
    let mut uploads: Vec<Consignment> = Vec::new();
    let mut filled = 0;
    // The one that adds least comes first: little passes before the daemon has something to unpack,
    // and what shares layers with an image comes after it.
    while let Some((at, bytes)) = waiting
        .iter()
        .map(|missing| missing.bytes(&carried))
        .enumerate()
        .min_by_key(|(_, bytes)| *bytes)
    {
        let missing = waiting.remove(at);
        if uploads.is_empty() || bytes > shared.saturating_sub(filled) {
            uploads.push(Consignment {
                items: Vec::new(),
                steps: Vec::new(),
                after: BTreeSet::new(),
            });
            filled = 0;
        }
        filled = filled.saturating_add(bytes);
        let number = uploads.len() - 1;
        uploads[number].add(number, &missing, &mut carried);
    }
    uploads
}

impl Consignment {
    fn add(&mut self, number: usize, missing: &Missing<'_>, carried: &mut HashMap<Digest, usize>) {
        let portion = missing.portion;
        self.items.extend(items(std::slice::from_ref(portion), false));
        let config = &portion.config;
        self.step(blob_path(&config.digest), config, Form::Exact, config.size);
        for (layer, chain) in &missing.layers {
            let carrier = *carried.entry(*chain).or_insert(number);
            if carrier != number {
                self.after.insert(carrier);
                continue;
            }
            let layer = &portion.layers[*layer];
            self.step(layer.path(), &layer.descriptor, layer.form, layer.bytes);
        }
    }

    /// Adds a file once.
    fn step(&mut self, path: String, descriptor: &Descriptor, form: Form, bytes: u64) {
        if !self.steps.iter().any(|(known, _)| *known == path) {
            let (descriptor, place) = (descriptor.clone(), String::new());
            let step = BlobStep { descriptor, form, bytes, place, action: Action::Send };
            self.steps.push((path, step));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Parcel, Plain, Root};
    use crate::model::{Graph, manifest::media};

    /// An image with these layers, each of the given number of bytes; `open` says that what they
    /// hold is known.
    fn portion(layers: &[(&str, u64)], open: bool) -> Portion {
        let blob = |name: &str| Digest::of(format!("gzip of {name}").as_bytes());
        let layer = |(name, size): &(&str, u64)| {
            Descriptor::new(media::OCI_LAYER_GZIP, blob(name), size / 2)
        };
        let note = format!("{:?}", layers.iter().map(|(name, _)| name).collect::<Vec<_>>());
        let config = Descriptor::of(media::OCI_CONFIG, note.as_bytes());
        let raw = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media::OCI_MANIFEST,
            "config": config,
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
        })
        .to_string();
        let descriptor = Descriptor::of(media::OCI_MANIFEST, raw.as_bytes());
        let graph = Graph::walk(&descriptor, &mut |_| Ok(raw.as_bytes().into())).expect("a graph");
        let plain = layers.iter().map(|(name, size)| {
            (blob(name), Plain { digest: Digest::of(name.as_bytes()), size: *size })
        });
        let plain = plain.filter(|_| open).collect();
        let root =
            Root { name: None, descriptor, synthesized: false, from_index: None, origin: None };
        let parcel = Parcel { root, assigned: None, graph, satellites: Vec::new(), plain };
        let platform = "linux/amd64".parse().unwrap();
        Portion::of(&parcel, &platform).unwrap().unwrap()
    }

    /// What travels in each upload, by size, and what each waits for.
    fn shares(
        portions: &[Portion],
        inventory: &Inventory,
        shared: u64,
    ) -> Vec<(Vec<u64>, Vec<usize>)> {
        let (plan, uploads) = consign(portions, Vec::new(), inventory, shared).unwrap();
        let sent: u64 = uploads.iter().flat_map(|u| &u.steps).map(|(_, step)| step.bytes).sum();
        assert_eq!(plan.bytes_to_send(), sent);
        let layers = |upload: &Consignment| {
            let layers =
                upload.steps.iter().filter(|(_, s)| s.descriptor.media_type != media::OCI_CONFIG);
            layers.map(|(_, step)| step.bytes).collect()
        };
        uploads.iter().map(|u| (layers(u), u.after.iter().copied().collect())).collect()
    }

    #[test]
    fn a_shared_base_travels_once_and_first() {
        let large = portion(&[("base", 100), ("large", 900)], true);
        let small = portion(&[("base", 100), ("small", 10)], true);
        let alone = portion(&[("alone", 500)], true);
        let on_top = portion(&[("base", 100), ("small", 10), ("top", 600)], true);
        let all = [large, small.clone(), alone, on_top, small];
        let nothing = Inventory::default();
        assert_eq!(
            shares(&all, &nothing, 0),
            [
                (vec![100, 10], vec![]),
                (vec![500], vec![]),
                (vec![600], vec![0]),
                (vec![900], vec![0]),
            ]
        );
        // What is little travels together, and what is there does not travel.
        assert_eq!(
            shares(&all, &nothing, 620),
            [(vec![100, 10, 500], vec![]), (vec![600], vec![0]), (vec![900], vec![0])]
        );
        assert_eq!(shares(&all, &nothing, u64::MAX).len(), 1);
        let base = Digest::of(b"base");
        let mut stock = Inventory::default();
        stock.chains.insert(base);
        assert_eq!(
            shares(&all, &stock, 0),
            [(vec![10], vec![]), (vec![500], vec![]), (vec![600], vec![0]), (vec![900], vec![])]
        );
    }

    #[test]
    fn a_layer_on_another_base_travels_again() {
        // The daemon knows it by what is below it.
        let one = portion(&[("one", 10), ("same", 50)], true);
        let two = portion(&[("two", 20), ("same", 50)], true);
        let nothing = Inventory::default();
        assert_eq!(
            shares(&[one.clone(), two.clone()], &nothing, 0),
            [(vec![10, 50], vec![]), (vec![20, 50], vec![])]
        );
        assert_eq!(shares(&[one, two], &nothing, 1000), [(vec![10, 50, 20], vec![])]);
    }

    #[test]
    fn layers_that_cannot_be_looked_into_are_shared_too() {
        let one = portion(&[("base", 100), ("one", 10)], false);
        let two = portion(&[("base", 100), ("two", 20)], false);
        assert_eq!(
            shares(&[one, two], &Inventory::default(), 0),
            [(vec![50, 5], vec![]), (vec![10], vec![0])]
        );
    }
}
