//! Inspect: what is in a bundle, from its tail alone.

use std::collections::HashMap;
use std::sync::Arc;

use crate::bundle::{
    BlobEntry, Body, Contents, Encoding, ImageEntry, Index, Preset, SMALLEST_OPENED, Stored,
};
use crate::codec::deflate::GzipRecipe;
use crate::model::manifest::Manifest as Document;
use crate::model::{Digest, Error, Graph, Platform, Result, limits};

/// An image of a bundle.
#[derive(Debug)]
pub struct Image {
    /// What the manifest says of it.
    pub entry: ImageEntry,
    /// Bytes of everything that belongs to it, attachments included.
    pub size: u64,
    /// Bytes that it would take in the bundle were it alone there, uncompressed.
    pub content: u64,
    /// Of these, bytes that another image of the bundle uses too.
    pub shared: u64,
    /// Its runnable images: platform and layers.
    pub variants: Vec<Variant>,
    /// How many foreign layers are listed and not carried.
    pub omitted: usize,
}

/// One platform of an image.
#[derive(Debug)]
pub struct Variant {
    /// The platform, where an index says it.
    pub platform: Option<Platform>,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its layers, base first.
    pub layers: Vec<Layer>,
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Digest as the manifest names it.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// Length when opened, where it is compressed.
    pub plain: Option<u64>,
    /// How it lies in the bundle, and why.
    pub stored_as: StoredAs,
    /// Its share of the packs: their length, by the part of their content that is its.
    pub stored: u64,
    /// How many images of the bundle have it.
    pub images: usize,
    /// Bytes of its content that other blobs of the bundle use too.
    pub shared: u64,
}

/// How a layer lies in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredAs {
    /// Opened, and made again by the encoders that made it; for people, as in `go 6`.
    Rebuilt {
        /// The encoders.
        encoders: String,
        /// Bytes of corrections that they need.
        corrections: u64,
    },
    /// It is plain, and cut into chunks.
    Plain,
    /// As it came; why.
    AsItCame(&'static str),
    /// In the index.
    Inline,
    /// Not here: in the base.
    InBase,
}

/// Bytes that a pack takes, and bytes that are in it.
type Rate = (u64, u64);

/// What is in a bundle.
#[derive(Debug)]
pub struct Report {
    /// The images.
    pub images: Vec<Image>,
    /// Bytes of all distinct blobs.
    pub blobs: u64,
    /// Number of distinct blobs.
    pub blob_count: usize,
    /// Bytes of distinct content.
    pub content: u64,
    /// Bytes of the packs.
    pub packs: u64,
}

/// Sums up the contents of a bundle. Reads nothing but what is at hand.
pub fn inspect(contents: &Contents) -> Result<Report> {
    let index = &contents.index;
    let mut reader = Graphs::new(index);
    let graphs: Vec<Vec<Arc<Graph>>> =
        contents.manifest.images.iter().map(|entry| reader.of(entry)).collect::<Result<_>>()?;
    let users = users(index, &graphs);
    let rates = rates(contents);
    let blob_users = blob_users(&graphs);
    let images = contents
        .manifest
        .images
        .iter()
        .zip(&graphs)
        .map(|(entry, graphs)| {
            let preset = &contents.manifest.encoder.preset;
            image(index, entry, graphs, preset, &users, &rates, &blob_users)
        })
        .collect();
    Ok(Report {
        images,
        blobs: index.blobs().iter().map(|blob| blob.size).sum(),
        blob_count: index.blobs().len(),
        content: contents.manifest.packs.iter().map(|pack| pack.content).sum(),
        packs: contents.manifest.packs.iter().map(|pack| pack.size).sum(),
    })
}

/// Reads graphs, each root once, and no more of them than a real bundle has.
pub(super) struct Graphs<'a> {
    index: &'a Index,
    known: HashMap<Digest, Arc<Graph>>,
    read: u64,
}

impl<'a> Graphs<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        Self { index, known: HashMap::new(), read: 0 }
    }

    /// The graph of an image and those of what is attached to it.
    pub(super) fn of(&mut self, entry: &ImageEntry) -> Result<Vec<Arc<Graph>>> {
        let attached = entry.attached.iter().map(|attached| &attached.root);
        std::iter::once(&entry.root).chain(attached).map(|root| self.graph(root)).collect()
    }

    fn graph(&mut self, root: &Stored) -> Result<Arc<Graph>> {
        if let Some(graph) = self.known.get(&root.digest) {
            return Ok(Arc::clone(graph));
        }
        let Self { index, read, .. } = self;
        let graph = Graph::walk(&root.descriptor(), &mut |wanted| match index
            .blob(&wanted.digest)
            .map(|blob| &blob.recipe.body)
        {
            Some(Body::Inline(bytes)) => {
                *read += bytes.len() as u64;
                if *read > limits::INSPECT_BYTES {
                    return Err(Error::malformed(
                        "the bundle holds more manifests than are listed",
                    ));
                }
                Ok(Arc::clone(bytes))
            }
            _ => Err(Error::damaged(format!(
                "manifest {} is not in the index of the bundle",
                wanted.digest
            ))),
        })?;
        let graph = Arc::new(graph);
        self.known.insert(root.digest, Arc::clone(&graph));
        Ok(graph)
    }
}

/// Which image uses a chunk: one, or several.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    None,
    One(u32),
    Several,
}

/// For each chunk, the images and the blobs that use it.
struct ChunkUsers {
    images: Vec<Users>,
    blobs: Vec<Users>,
}

fn note(users: &mut Users, who: u32) {
    *users = match *users {
        Users::None => Users::One(who),
        Users::One(known) if known == who => Users::One(known),
        _ => Users::Several,
    };
}

fn users(index: &Index, graphs: &[Vec<Arc<Graph>>]) -> ChunkUsers {
    let mut users = ChunkUsers {
        images: vec![Users::None; index.chunk_count()],
        blobs: vec![Users::None; index.chunk_count()],
    };
    for (who, graphs) in (0u32..).zip(graphs) {
        for blob in graphs
            .iter()
            .flat_map(|graph| &graph.leaves)
            .filter_map(|leaf| index.blob(&leaf.descriptor.digest))
        {
            for (chunk, ..) in chunks(index, blob) {
                note(&mut users.images[chunk as usize], who);
            }
        }
    }
    for (who, blob) in (0u32..).zip(index.blobs()) {
        for (chunk, ..) in chunks(index, blob) {
            note(&mut users.blobs[chunk as usize], who);
        }
    }
    users
}

fn blob_users(graphs: &[Vec<Arc<Graph>>]) -> HashMap<Digest, usize> {
    let mut counts = HashMap::new();
    for graphs in graphs {
        for leaf in crate::model::graph::distinct_leaves(graphs.iter().map(|graph| &**graph)) {
            *counts.entry(leaf.descriptor.digest).or_insert(0) += 1;
        }
    }
    counts
}

/// Number, pack and length of each chunk of a blob; a chunk that it uses twice comes twice.
fn chunks<'a>(index: &'a Index, blob: &'a BlobEntry) -> impl Iterator<Item = (u32, u32, u32)> + 'a {
    blob.recipe.runs().flat_map(|runs| index.chunks_of(runs))
}

/// Stored and content bytes of each pack.
fn rates(contents: &Contents) -> Vec<Rate> {
    contents.manifest.packs.iter().map(|pack| (pack.size, pack.content)).collect()
}

fn image(
    index: &Index,
    entry: &ImageEntry,
    graphs: &[Arc<Graph>],
    preset: &str,
    users: &ChunkUsers,
    rates: &[Rate],
    blob_users: &HashMap<Digest, usize>,
) -> Image {
    let (mut content, mut shared) = (0, 0);
    let mut counted = std::collections::HashSet::new();
    for blob in graphs
        .iter()
        .flat_map(|graph| &graph.leaves)
        .filter_map(|leaf| index.blob(&leaf.descriptor.digest))
    {
        for (chunk, _, length) in chunks(index, blob) {
            if counted.insert(chunk) {
                content += u64::from(length);
                if users.images[chunk as usize] == Users::Several {
                    shared += u64::from(length);
                }
            }
        }
    }
    let mut variants = Vec::new();
    for graph in graphs.iter().take(1) {
        for (node, platform) in graph.images() {
            let Document::Image(manifest) = &node.manifest else { continue };
            let platform = platform.cloned().or_else(|| match entry.platforms.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            });
            let layers = manifest.layers.iter().filter_map(|layer| {
                let why = why_as_it_came(preset, &layer.media_type, layer.size);
                Some(self::layer(index, index.blob(&layer.digest)?, why, users, rates, blob_users))
            });
            variants.push(Variant {
                platform,
                digest: node.descriptor.digest,
                layers: layers.collect(),
            });
        }
    }
    Image {
        entry: entry.clone(),
        size: graphs.iter().map(|graph| graph.bytes()).sum(),
        content,
        shared,
        variants,
        omitted: graphs.iter().map(|graph| graph.omitted.len()).sum(),
    }
}

/// Why a compressed layer was not opened.
fn why_as_it_came(preset: &str, media_type: &str, size: u64) -> &'static str {
    if media_type.ends_with("zstd") {
        "zstd"
    } else if preset == Preset::Fast.name() || preset.is_empty() {
        "not opened"
    } else if size < SMALLEST_OPENED {
        "too small"
    } else {
        "no known encoder"
    }
}

/// How a blob is stored.
fn stored_as(blob: &BlobEntry, why: &'static str) -> StoredAs {
    match (&blob.recipe.body, &blob.recipe.encoding) {
        (Body::Base(_), _) => StoredAs::InBase,
        (Body::Inline(_), _) => StoredAs::Inline,
        (_, Encoding::Gzip { recipe, .. }) => match GzipRecipe::parse(recipe) {
            Ok(recipe) => {
                let mut coders: Vec<_> = recipe.members.iter().map(|member| member.coder).collect();
                coders.sort_unstable();
                coders.dedup();
                let names: Vec<String> = coders.iter().take(3).map(|coder| coder.name()).collect();
                let more = if coders.len() > names.len() { " and others" } else { "" };
                StoredAs::Rebuilt {
                    encoders: format!("{}{more}", names.join(", ")),
                    corrections: recipe.corrections(),
                }
            }
            Err(_) => StoredAs::AsItCame("its recipe cannot be read"),
        },
        (Body::Chunks(_), _) if blob.plain.is_some() => StoredAs::AsItCame(why),
        (Body::Chunks(_) | Body::Tar { .. }, _) => StoredAs::Plain,
    }
}

fn layer(
    index: &Index,
    blob: &BlobEntry,
    why: &'static str,
    users: &ChunkUsers,
    rates: &[Rate],
    blob_users: &HashMap<Digest, usize>,
) -> Layer {
    let (mut stored, mut shared) = (0u128, 0);
    for (chunk, pack, length) in chunks(index, blob) {
        let (size, content) = rates[pack as usize];
        // In 1/256 of a byte: many chunks are smaller than what rounding would lose.
        stored += u128::from(length) * 256 * u128::from(size) / u128::from(content.max(1));
        if users.blobs[chunk as usize] == Users::Several {
            shared += u64::from(length);
        }
    }
    Layer {
        digest: blob.digest,
        size: blob.size,
        plain: blob.plain.map(|plain| plain.size),
        stored_as: stored_as(blob, why),
        stored: (stored / 256) as u64,
        images: blob_users.get(&blob.digest).copied().unwrap_or(0),
        shared,
    }
}
