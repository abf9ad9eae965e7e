//! Diff: what a delta from one bundle to another would carry.

use crate::bundle::{Base, Contents, Difference, News};
use crate::model::{Digest, Result};

use super::inspect::Graphs;

/// An image of the new bundle, beside the old one.
#[derive(Debug)]
pub struct Image {
    /// Its name, or its digest where it has none.
    pub name: String,
    /// Its root digest.
    pub digest: Digest,
    /// Blobs and manifests that the old bundle has.
    pub same: usize,
    /// Those that it has not.
    pub new: usize,
    /// What is new, beyond what images before this one bring.
    pub news: News,
}

/// Compares the images of `new` with what `old` has, in the order of the new bundle. What two
/// images bring is counted with the first.
///
/// # Errors
/// What is wrong with the images of the new bundle.
pub fn diff(old: &Base, new: &Contents) -> Result<Vec<Image>> {
    let mut graphs = Graphs::new(&new.index);
    let mut difference = Difference::new(old, new);
    let mut counted = std::collections::HashSet::new();
    let mut images = Vec::new();
    for entry in &new.manifest.images {
        let name =
            entry.name.as_ref().map_or_else(|| entry.root.digest.to_string(), ToString::to_string);
        let mut image =
            Image { name, digest: entry.root.digest, same: 0, new: 0, news: News::default() };
        let mut seen = std::collections::HashSet::new();
        for graph in graphs.of(entry)? {
            let manifests = graph.nodes.iter().map(|node| node.descriptor.digest);
            let leaves = graph.leaves.iter().map(|leaf| leaf.descriptor.digest);
            for digest in manifests.chain(leaves).filter(|digest| seen.insert(*digest)) {
                let Some(blob) = new.index.blob(&digest) else { continue };
                let Some(news) = difference.of(blob) else {
                    image.same += 1;
                    continue;
                };
                image.new += 1;
                if counted.insert(digest) {
                    image.news.size += news.size;
                    image.news.content += news.content;
                    image.news.stored += news.stored;
                }
            }
        }
        images.push(image);
    }
    Ok(images)
}
