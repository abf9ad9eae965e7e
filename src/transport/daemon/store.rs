//! What a daemon has, and what need not be sent to it.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use super::engine::{Engine, Image};
use crate::model::{Digest, Result};

/// The images of a daemon.
pub(super) struct Inventory {
    images: Vec<Image>,
    chains: HashSet<Digest>,
    complete: HashSet<String>,
}

/// The chain ID of a stack of layers (OCI image specification, config.md): the diff ID of a single
/// layer; of more, the digest of `CHAIN DIFFID`, the chain ID of those below and the top one's
/// diff ID. The `n`th entry is that of the lowest `n + 1` layers.
pub(super) fn chain_ids(layers: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::with_capacity(layers.len());
    for layer in layers {
        let chain = match chains.last() {
            None => *layer,
            Some(below) => Digest::Sha256(Sha256::digest(format!("{below} {layer}")).into()),
        };
        chains.push(chain);
    }
    chains
}

impl Inventory {
    /// Asks the daemon about every image that it lists.
    pub(super) fn take(engine: &Engine) -> Result<Self> {
        let mut images = Vec::new();
        for summary in engine.images()? {
            // One that went away between the two questions is none that we can count on.
            images.extend(engine.image(&summary.id)?);
        }
        let chains = images.iter().flat_map(|image| chain_ids(image.layers())).collect();
        let complete =
            images.iter().filter_map(Image::available).flatten().map(str::to_owned).collect();
        Ok(Self { images, chains, complete })
    }

    /// Whether there is an image with this ID.
    pub(super) fn has_image(&self, id: &Digest) -> bool {
        let id = id.to_string();
        self.images.iter().any(|image| image.id == id)
    }

    /// How many of these layers, from the base up, some image there has too.
    pub(super) fn base_layers(&self, layers: &[Digest]) -> usize {
        chain_ids(layers).iter().take_while(|chain| self.chains.contains(chain)).count()
    }

    /// Whether a manifest is there with all its content, as far as the daemon says.
    pub(super) fn has_manifest(&self, digest: &Digest) -> bool {
        self.complete.contains(&digest.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_follow_the_specification() {
        let layers = [Digest::of(b"a"), Digest::of(b"b")];
        let chains = chain_ids(&layers);
        assert_eq!(chains[0], layers[0]);
        assert_eq!(chains[1], Digest::of(format!("{} {}", layers[0], layers[1]).as_bytes()));
    }

    #[test]
    fn only_a_contiguous_base_counts() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|text| Digest::of(text));
        let inventory = Inventory {
            images: Vec::new(),
            chains: chain_ids(&[a, b]).into_iter().collect(),
            complete: HashSet::new(),
        };
        assert_eq!(inventory.base_layers(&[a, b, c]), 2);
        assert_eq!(inventory.base_layers(&[a, c, b]), 1);
        assert_eq!(inventory.base_layers(&[b, a]), 0);
        assert_eq!(inventory.base_layers(&[]), 0);
    }
}
