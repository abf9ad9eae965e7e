//! Which blobs are hit by what is bad or missing. All of them are found in one walk over the index, however
//! much is bad.

use std::collections::{BTreeMap, BTreeSet};

use super::index::BlobEntry;
use super::reader::{Authentic, Bundle};
use crate::model::Digest;

impl Bundle<Authentic> {
    /// The packs that it takes to rebuild a blob: those that it is in, and those that these are
    /// packed against.
    pub(super) fn packs_of(&self, blob: &BlobEntry) -> BTreeSet<u32> {
        let index = &self.contents().index;
        let own = blob.recipe.runs().flat_map(|runs| index.chunks_of(runs));
        let mut packs: BTreeSet<u32> = own.map(|(_, pack, _)| pack).collect();
        let prefixes = packs.iter().flat_map(|&pack| index.chunks_of(index.prefix(pack)));
        let prefixes: Vec<u32> = prefixes.map(|(_, pack, _)| pack).collect();
        packs.extend(prefixes);
        packs
    }

    /// The volumes that it takes to rebuild a blob.
    pub fn volumes_of(&self, blob: &BlobEntry) -> BTreeSet<u64> {
        let packs = &self.contents().manifest.packs;
        self.packs_of(blob).into_iter().map(|pack| packs[pack as usize].volume).collect()
    }

    /// For each cause that `cause` finds in a pack, the blobs that need such a pack, in the order of the
    /// index.
    pub(super) fn hit_by<Cause: Ord + Copy>(
        &self,
        cause: impl Fn(u32) -> Option<Cause>,
    ) -> BTreeMap<Cause, Vec<Digest>> {
        let index = &self.contents().index;
        // What is wrong with a pack itself, or with one that it is packed against.
        let causes: Vec<BTreeSet<Cause>> = (0..self.pack_count())
            .map(|pack| {
                let prefix = index.chunks_of(index.prefix(pack)).map(|(_, pack, _)| pack);
                prefix.chain([pack]).filter_map(&cause).collect()
            })
            .collect();
        let mut hit: BTreeMap<Cause, Vec<Digest>> = BTreeMap::new();
        for blob in index.blobs() {
            let mut found = BTreeSet::new();
            let mut last = None;
            for (_, pack, _) in blob.recipe.runs().flat_map(|runs| index.chunks_of(runs)) {
                if last.replace(pack) != Some(pack) {
                    found.extend(&causes[pack as usize]);
                }
            }
            for cause in found {
                hit.entry(cause).or_default().push(blob.digest);
            }
        }
        hit
    }
}
