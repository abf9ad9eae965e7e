//! The classic store: unpacked layers, known by their chain IDs.
//!
//! A layer may be left out of what is loaded only if it and everything below it is there already
//! (moby, `image/tarexport/load.go`: a layer is looked up by its chain ID and its file is opened on
//! a miss only). What is there can be seen through images alone.

use std::collections::{HashMap, HashSet};

use super::api::Api;
use crate::model::{Digest, ImageName, Result};
use crate::transport::archive::portion::{Portion, Stock};

/// The chain IDs of a list of diff IDs, from the lowest layer up (OCI image specification,
/// config.md, "Layer `ChainID`").
pub(super) fn chain_ids(
    diff_ids: impl IntoIterator<Item = Digest>,
) -> impl Iterator<Item = Digest> {
    diff_ids.into_iter().scan(None, |below: &mut Option<Digest>, diff_id| {
        let chain = match below {
            None => diff_id,
            Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
        };
        *below = Some(chain);
        Some(chain)
    })
}

/// What a daemon has.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory {
    pub(super) images: HashSet<Digest>,
    pub(super) chains: HashSet<Digest>,
    names: HashMap<ImageName, Digest>,
}

impl Inventory {
    /// Asks for every image and its layers.
    pub(super) fn take(api: &Api) -> Result<Self> {
        let mut inventory = Self::default();
        for listed in api.images(false)? {
            // Between the two questions it may have been removed.
            let Some(image) = api.inspect(&listed.id.to_string(), false)? else { continue };
            inventory.images.insert(listed.id);
            let layers = image.root_fs.and_then(|root_fs| root_fs.layers).unwrap_or_default();
            inventory.chains.extend(chain_ids(layers));
            let tags = listed.repo_tags.into_iter().flatten();
            let names = tags.filter_map(|tag| tag.parse().ok());
            inventory.names.extend(names.map(|name: ImageName| (name, listed.id)));
        }
        Ok(inventory)
    }

    /// How many of these layers, from the lowest up, are there.
    pub(super) fn base_layers(&self, diff_ids: impl IntoIterator<Item = Digest>) -> usize {
        chain_ids(diff_ids).take_while(|chain| self.chains.contains(chain)).count()
    }

    /// The same without a view of the layers, for when that view turned out to be wrong.
    pub(super) fn without_layers(&self) -> Self {
        Self { chains: HashSet::new(), ..self.clone() }
    }
}

impl Stock for Inventory {
    fn has_image(&self, id: &Digest) -> bool {
        self.images.contains(id)
    }

    fn base_layers(&self, portion: &Portion) -> usize {
        Self::base_layers(self, portion.layers.iter().map_while(|layer| layer.diff_id))
    }

    fn named(&self, name: &ImageName) -> Option<Digest> {
        self.names.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_prefix_counts() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|text| Digest::of(text));
        let inventory = Inventory { chains: chain_ids([a, b]).collect(), ..Inventory::default() };
        assert_eq!(inventory.base_layers([a, b, c]), 2);
        assert_eq!(inventory.base_layers([a, c, b]), 1);
        assert_eq!(inventory.base_layers([b, a]), 0);
        let second = chain_ids([a, b]).nth(1).unwrap();
        assert_eq!(second, Digest::of(format!("{a} {b}").as_bytes()));
    }
}
