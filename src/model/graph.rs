//! The graph of an image: from its root manifest down to every blob.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::digest::Digest;
use super::error::{Error, Result};
use super::limits;
use super::manifest::{Descriptor, Manifest, media};
use super::platform::Platform;

/// A manifest in the graph, with its exact bytes.
#[derive(Clone, Debug)]
pub struct Node {
    /// How its parent (or the registry) describes it.
    pub descriptor: Descriptor,
    /// The exact bytes.
    pub raw: Arc<[u8]>,
    /// The view of them.
    pub manifest: Manifest,
}

/// What a blob is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Configuration of an image or artifact.
    Config,
    /// Layer of a runnable image: a tar, perhaps compressed.
    Layer,
    /// Content of an artifact, or a blob that an index lists: carried verbatim, never unpacked.
    Opaque,
}

/// A blob at the end of a branch.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// What it is.
    pub descriptor: Descriptor,
    /// What it is for, where it was met first.
    pub role: Role,
}

/// Everything that an image consists of, each thing once.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Manifests, children before parents; the root is last.
    pub nodes: Vec<Node>,
    /// Blobs that are carried, in the order in which they are met.
    pub leaves: Vec<Leaf>,
    /// Foreign layers: listed, but their bytes lie elsewhere and are not carried.
    pub omitted: Vec<Descriptor>,
}

impl Graph {
    /// Walks from `root`, asking `fetch` for the bytes of each manifest once. `fetch` vouches for
    /// digest and size.
    ///
    /// # Errors
    /// What `fetch` reports, and [`Kind::Malformed`](super::Kind::Malformed) for manifests that
    /// cannot be followed, nest too deep, are too many, or contradict each other about a size.
    pub fn walk(
        root: &Descriptor,
        fetch: &mut dyn FnMut(&Descriptor) -> Result<Arc<[u8]>>,
    ) -> Result<Self> {
        let mut walk = Walk {
            fetch,
            graph: Self { nodes: Vec::new(), leaves: Vec::new(), omitted: Vec::new() },
            seen: HashMap::new(),
            bytes: 0,
        };
        walk.manifest(root, 0)?;
        Ok(walk.graph)
    }

    /// The root manifest.
    ///
    /// # Panics
    /// Never: a walk that succeeds has at least its root.
    pub fn root(&self) -> &Node {
        self.nodes.last().expect("a graph has a root")
    }

    /// Bytes of every manifest and blob, each once.
    pub fn bytes(&self) -> u64 {
        // Every size is below `BLOB_BYTES`, and there are not enough of them to overflow.
        let nodes = self.nodes.iter().map(|node| node.descriptor.size);
        let leaves = self.leaves.iter().map(|leaf| leaf.descriptor.size);
        nodes.chain(leaves).sum()
    }

    /// The runnable images in the graph with the platform that an index gives them; a root that is
    /// itself an image has no index to say so and comes with `None`.
    pub fn images(&self) -> Vec<(&Node, Option<&Platform>)> {
        let mut platforms: HashMap<Digest, &Platform> = HashMap::new();
        for node in &self.nodes {
            if let Manifest::Index(index) = &node.manifest {
                for child in &index.manifests {
                    if let Some(platform) = &child.platform {
                        platforms.entry(child.digest).or_insert(platform);
                    }
                }
            }
        }
        self.nodes
            .iter()
            .filter(|node| matches!(&node.manifest, Manifest::Image(image) if image.is_image()))
            .map(|node| (node, platforms.get(&node.descriptor.digest).copied()))
            .filter(|(_, platform)| !platform.is_some_and(Platform::is_unknown))
            .collect()
    }
}

struct Walk<'a> {
    fetch: &'a mut dyn FnMut(&Descriptor) -> Result<Arc<[u8]>>,
    graph: Graph,
    /// Size by digest of everything met, to catch two descriptors that disagree.
    seen: HashMap<Digest, u64>,
    /// Bytes of manifests read.
    bytes: u64,
}

impl Walk<'_> {
    /// Whether it is met for the first time.
    fn meet(&mut self, descriptor: &Descriptor) -> Result<bool> {
        match self.seen.insert(descriptor.digest, descriptor.size) {
            None => Ok(true),
            Some(size) if size == descriptor.size => Ok(false),
            Some(size) => Err(Error::malformed(format!(
                "{} is described with two sizes, {size} and {}",
                descriptor.digest, descriptor.size
            ))),
        }
    }

    fn manifest(&mut self, descriptor: &Descriptor, depth: usize) -> Result<()> {
        if depth >= limits::GRAPH_DEPTH || self.seen.len() > limits::GRAPH_NODES * 16 {
            return Err(Error::malformed(format!(
                "{} nests too deep or holds too much",
                descriptor.digest
            )));
        }
        if !self.meet(descriptor)? {
            return Ok(());
        }
        let raw = (self.fetch)(descriptor)?;
        self.bytes += raw.len() as u64;
        if self.bytes > limits::GRAPH_BYTES {
            return Err(Error::malformed(format!(
                "the manifests of {} are longer than those of any image",
                descriptor.digest
            )));
        }
        let manifest = Manifest::parse(&descriptor.media_type, &raw)
            .map_err(|e| e.context(format!("cannot follow {}", descriptor.digest)))?;
        let runnable = matches!(&manifest, Manifest::Image(image) if image.is_image());
        let config = match &manifest {
            Manifest::Image(image) => image.config.as_ref().map(|config| config.digest),
            Manifest::Index(_) => None,
        };
        for child in manifest.children() {
            if matches!(manifest, Manifest::Index(_)) && child.is_manifest() {
                self.manifest(child, depth + 1)?;
            } else if self.meet(child)? {
                let role = match () {
                    () if config == Some(child.digest) => Role::Config,
                    () if runnable => Role::Layer,
                    () => Role::Opaque,
                };
                if child.is_foreign() {
                    self.graph.omitted.push(child.clone());
                } else {
                    self.graph.leaves.push(Leaf { descriptor: child.clone(), role });
                }
            }
        }
        if self.graph.nodes.len() >= limits::GRAPH_NODES {
            return Err(Error::malformed(format!(
                "more than {} manifests in one image",
                limits::GRAPH_NODES
            )));
        }
        self.graph.nodes.push(Node { descriptor: descriptor.clone(), raw, manifest });
        Ok(())
    }
}

/// The distinct blobs of several graphs, in order, so that each is moved once.
pub fn distinct_leaves<'a>(graphs: impl IntoIterator<Item = &'a Graph>) -> Vec<&'a Leaf> {
    let mut seen = HashSet::new();
    graphs
        .into_iter()
        .flat_map(|graph| &graph.leaves)
        .filter(|leaf| seen.insert(leaf.descriptor.digest))
        .collect()
}

/// A one-image index written by us, for layouts and archives that need one to name their roots.
/// Shape: OCI image-layout.md, `index.json`.
pub fn layout_index<'a>(roots: impl IntoIterator<Item = &'a Descriptor>) -> Vec<u8> {
    let manifests: Vec<&Descriptor> = roots.into_iter().collect();
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media::OCI_INDEX,
        "manifests": manifests,
    });
    index.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(layer: &Descriptor) -> Vec<u8> {
        let config = Descriptor::of(media::OCI_CONFIG, b"{}");
        serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer, layer]})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn children_come_first_and_everything_once() {
        let layer = Descriptor::of(media::OCI_LAYER, b"layer");
        let child = image(&layer);
        let child_descriptor = Descriptor::of(media::OCI_MANIFEST, &child);
        let root = layout_index([&child_descriptor, &child_descriptor]);
        let root_descriptor = Descriptor::of(media::OCI_INDEX, &root);
        let graph = Graph::walk(&root_descriptor, &mut |wanted| {
            Ok(if wanted.digest == root_descriptor.digest { root.clone() } else { child.clone() }
                .into())
        })
        .unwrap();
        assert_eq!(graph.nodes.len(), 2);
        assert_eq!(graph.root().descriptor.digest, root_descriptor.digest);
        assert_eq!(
            graph.leaves.iter().map(|leaf| leaf.role).collect::<Vec<_>>(),
            [Role::Config, Role::Layer]
        );
    }

    #[test]
    fn two_sizes_for_one_digest_are_refused() {
        let mut layer = Descriptor::of(media::OCI_LAYER, b"layer");
        let first = layer.clone();
        layer.size += 1;
        let config = Descriptor::of(media::OCI_CONFIG, b"{}");
        let raw = serde_json::json!({"config": config, "layers": [first, layer]})
            .to_string()
            .into_bytes();
        let root = Descriptor::of(media::OCI_MANIFEST, &raw);
        assert!(Graph::walk(&root, &mut |_| Ok(raw.clone().into())).is_err());
    }

    #[test]
    fn foreign_layers_are_recorded_and_not_carried() {
        let mut layer =
            Descriptor::of("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", b"layer");
        layer.urls.push("http://169.254.169.254/".into());
        let raw = image(&layer);
        let root = Descriptor::of(media::OCI_MANIFEST, &raw);
        let graph = Graph::walk(&root, &mut |_| Ok(raw.clone().into())).unwrap();
        assert_eq!((graph.leaves.len(), graph.omitted.len()), (1, 1));
    }

    /// The graph of manifests that are found by their digests, the last of which is the root.
    fn walk(manifests: &[(&str, Vec<u8>)]) -> Result<Graph> {
        let found: HashMap<Digest, &Vec<u8>> =
            manifests.iter().map(|(_, bytes)| (Digest::of(bytes), bytes)).collect();
        let (media_type, root) = manifests.last().unwrap();
        Graph::walk(&Descriptor::of(*media_type, root), &mut |wanted| {
            Ok(found[&wanted.digest].clone().into())
        })
    }

    #[track_caller]
    fn refused(manifests: &[(&str, Vec<u8>)], says: &str) {
        let error = walk(manifests).unwrap_err();
        assert_eq!(error.kind(), crate::model::Kind::Malformed);
        assert!(error.message().contains(says), "{error}");
    }

    #[test]
    fn indexes_nest_as_deep_as_they_may() {
        let mut manifests = Vec::new();
        let mut inner = image(&Descriptor::of(media::OCI_LAYER, b"layer"));
        let mut kind = media::OCI_MANIFEST;
        for depth in 1..=limits::GRAPH_DEPTH {
            manifests.push((kind, inner.clone()));
            let graph = walk(&manifests).unwrap();
            assert_eq!(graph.nodes.len(), depth);
            assert_eq!(graph.root().descriptor.digest, Digest::of(&inner));
            inner = layout_index([&Descriptor::of(kind, &inner)]);
            kind = media::OCI_INDEX;
        }
        manifests.push((kind, inner));
        refused(&manifests, "nests too deep or holds too much");
    }

    #[test]
    fn more_manifests_than_an_image_has_are_refused() {
        // Two full indexes and their root are more than an image has, and each index is not.
        let mut manifests = Vec::new();
        let mut indexes = Vec::new();
        for half in 0..2 {
            let own: Vec<Vec<u8>> = (0..limits::GRAPH_NODES / 2)
                .map(|n| format!(r#"{{"manifests":[],"number":{n},"half":{half}}}"#).into_bytes())
                .collect();
            let listed: Vec<Descriptor> =
                own.iter().map(|bytes| Descriptor::of(media::OCI_INDEX, bytes)).collect();
            manifests.extend(own.into_iter().map(|bytes| (media::OCI_INDEX, bytes)));
            let index = layout_index(&listed);
            indexes.push(Descriptor::of(media::OCI_INDEX, &index));
            manifests.push((media::OCI_INDEX, index));
        }
        assert!(walk(&manifests).is_ok());
        manifests.push((media::OCI_INDEX, layout_index(&indexes)));
        refused(&manifests, "more than 4096 manifests in one image");
    }

    #[test]
    fn manifests_that_are_longer_than_all_of_an_image_are_refused() {
        let long = |n: u64| {
            let mut bytes = format!(r#"{{"manifests":[],"number":{n}}}"#).into_bytes();
            bytes.resize(limits::MANIFEST_BYTES as usize, b' ');
            (media::OCI_INDEX, bytes)
        };
        let mut manifests: Vec<_> =
            (0..=limits::GRAPH_BYTES / limits::MANIFEST_BYTES).map(long).collect();
        let listed: Vec<Descriptor> =
            manifests.iter().map(|(kind, bytes)| Descriptor::of(*kind, bytes)).collect();
        manifests.push((media::OCI_INDEX, layout_index(&listed)));
        refused(&manifests, "are longer than those of any image");
    }

    #[test]
    fn what_an_artifact_holds_is_opaque() {
        let blob = Descriptor::of("text/plain", b"blob");
        let artifact =
            serde_json::json!({"blobs": [blob], "artifactType": "a/b"}).to_string().into_bytes();
        let graph = walk(&[(media::OCI_ARTIFACT, artifact)]).unwrap();
        assert_eq!(graph.leaves[0].role, Role::Opaque);
        assert!(graph.images().is_empty());
    }
}
