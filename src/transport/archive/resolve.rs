//! From a table of contents to images.
//!
//! `index.json`, where there is one, gives the images with their original manifests;
//! `manifest.json` gives those that it does not list, with a manifest made for them. Every blob
//! that an image names must be in the archive, with the size that it is described with.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ArchiveKind;
use super::catalog::{Catalog, Facts, blob_in};
use super::docker_form::{self, Item};
use crate::codec::compression::Compression;
use crate::endpoint::{Plain, Root};
use crate::model::manifest::{ImageConfig, media};
use crate::model::{Descriptor, Digest, Error, Graph, ImageName, Manifest, Result, Role, limits};
use crate::transport::layout::index::{Blobs, Listing, no_such_image};
use crate::transport::layout::{INDEX, MARKER, check_marker};

/// What an archive has on its shelves.
pub(super) trait Shelf {
    /// What people call it.
    fn place(&self) -> &str;

    /// Its table of contents.
    fn catalog(&self) -> &Catalog;

    /// A small JSON file, by name; `None` where it is not there or is no such thing.
    fn document(&self, path: &str) -> Result<Option<Arc<[u8]>>>;

    /// What is known about a file that an image names as its layer.
    fn facts(&self, path: &str) -> Result<Option<Facts>>;
}

/// An image in the archive.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) root: Root,
    pub(super) graph: Arc<Graph>,
}

/// Everything that an archive was understood to hold.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) images: Vec<Image>,
    /// The file of each blob.
    pub(super) files: HashMap<Digest, String>,
    /// Manifests that were made here.
    pub(super) made: HashMap<Digest, Arc<[u8]>>,
    /// Plain forms of layers, where they are known.
    pub(super) plains: HashMap<Digest, Plain>,
    /// What `index.json` lists.
    pub(super) listing: Option<Listing>,
}

/// What is asked of an archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) kind: ArchiveKind,
    /// One image, by name, tag or digest.
    pub(super) which: Option<&'a str>,
    /// What images are called that have only a tag.
    pub(super) home: &'a str,
    /// Whether signatures and the like are told apart from images.
    pub(super) attachments: bool,
}

struct ShelfBlobs<'a>(&'a dyn Shelf);

impl Blobs for ShelfBlobs<'_> {
    fn has(&self, digest: &Digest) -> bool {
        matches!(self.0.catalog().blob(digest), Ok(Some(_)))
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Arc<[u8]>> {
        if descriptor.size > limits::MANIFEST_BYTES {
            return Err(Error::malformed(format!("manifest {} is too long", descriptor.digest)));
        }
        let place = self.0.place();
        let Some((path, _)) = self.0.catalog().blob(&descriptor.digest)? else {
            return Err(missing(&descriptor.digest, place));
        };
        let bytes = self.0.document(&path)?.ok_or_else(|| {
            Error::damaged(format!("manifest {} in {place} is not readable", descriptor.digest))
        })?;
        if bytes.len() as u64 != descriptor.size
            || descriptor.digest.of_same_kind(&bytes) != descriptor.digest
        {
            return Err(Error::damaged(format!(
                "{} in {place} is not what its digest says",
                descriptor.digest
            )));
        }
        Ok(bytes)
    }
}

fn missing(digest: &Digest, place: &str) -> Error {
    Error::damaged(format!("blob {digest} is named by an image in {place} and is not in it"))
        .hint("the archive is incomplete: make it again")
}

/// Understands an archive.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where `which` is not in it or it is of another kind,
/// [`Kind::Damaged`](crate::model::Kind::Damaged) where something is missing or is not what its
/// digest says, [`Kind::Malformed`](crate::model::Kind::Malformed) where it is no image archive.
pub(super) fn resolve(shelf: &dyn Shelf, question: Question<'_>) -> Result<Contents> {
    let place = shelf.place();
    let items = match shelf.document(docker_form::MANIFEST)? {
        Some(bytes) => Some(docker_form::parse_items(&bytes, place)?),
        None => None,
    };
    if let Some(marker) = shelf.document(MARKER)? {
        check_marker(&marker, place)?;
    }
    let listing = match shelf.document(INDEX)? {
        Some(bytes) => Some(Listing::parse(&bytes, place, question.home)?),
        None => None,
    };
    match (question.kind, &listing, &items) {
        (_, None, None) => {
            return Err(Error::malformed(format!(
                "{place} is no image archive: it has neither index.json nor manifest.json"
            ))
            .hint("archives older than docker 1.10 must be loaded and saved again by docker"));
        }
        (ArchiveKind::Oci, None, Some(_)) => {
            return Err(Error::usage(format!("{place} has no index.json"))
                .hint("it was written by docker save: use docker-archive: for it"));
        }
        _ => {}
    }
    let mut resolver = Resolver {
        shelf,
        contents: Contents {
            images: Vec::new(),
            files: HashMap::new(),
            made: HashMap::new(),
            plains: HashMap::new(),
            listing: None,
        },
        graphs: HashMap::new(),
    };
    let items = items.filter(|_| question.kind == ArchiveKind::Docker).unwrap_or_default();
    if let Some(listing) = &listing {
        resolver.take_listing(listing, &items, question)?;
    }
    for item in &items {
        resolver.take_item(item, question.which)?;
    }
    let mut contents = resolver.contents;
    if contents.images.is_empty() {
        return Err(match (question.which, listing) {
            (Some(which), Some(listing)) if !listing.entries().is_empty() => {
                listing.not_found(which)
            }
            (Some(which), _) => {
                let names = items.into_iter().flat_map(|item| item.repo_tags.unwrap_or_default());
                no_such_image(which, place, names)
            }
            (None, _) => Error::malformed(format!("{place} holds no images")),
        });
    }
    contents.listing = listing;
    Ok(contents)
}

struct Resolver<'a> {
    shelf: &'a dyn Shelf,
    contents: Contents,
    /// By root digest, so that an image with many names is walked once.
    graphs: HashMap<Digest, Arc<Graph>>,
}

impl Resolver<'_> {
    fn take_listing(
        &mut self,
        listing: &Listing,
        items: &[Item],
        question: Question<'_>,
    ) -> Result<()> {
        let blobs = ShelfBlobs(self.shelf);
        // A docker archive may carry an index without the manifests that it lists.
        let rooted = listing.entries().iter().all(|entry| blobs.has(&entry.descriptor.digest));
        if !rooted && !items.is_empty() {
            return Ok(());
        }
        let roots = match listing.roots(question.which, question.attachments, &blobs) {
            Ok(roots) => roots,
            // It may be one of those that only manifest.json lists.
            Err(e) if e.kind() == crate::model::Kind::Usage && !items.is_empty() => return Ok(()),
            Err(e) => return Err(e),
        };
        for mut root in roots {
            let graph = self.graph(&root.descriptor)?;
            root.synthesized = self.is_synthesized(&graph, items)?;
            self.contents.images.push(Image { root, graph });
        }
        Ok(())
    }

    /// The graph of an original manifest; every blob in it is found and measured.
    fn graph(&mut self, root: &Descriptor) -> Result<Arc<Graph>> {
        if let Some(graph) = self.graphs.get(&root.digest) {
            return Ok(graph.clone());
        }
        let blobs = ShelfBlobs(self.shelf);
        let graph = Arc::new(Graph::walk(root, &mut |descriptor| blobs.manifest(descriptor))?);
        let nodes = graph.nodes.iter().map(|node| &node.descriptor);
        for descriptor in graph.leaves.iter().map(|leaf| &leaf.descriptor).chain(nodes) {
            let place = self.shelf.place();
            let (path, stored) = self
                .shelf
                .catalog()
                .blob(&descriptor.digest)?
                .ok_or_else(|| missing(&descriptor.digest, place))?;
            if stored.size != descriptor.size {
                return Err(Error::damaged(format!(
                    "{} in {place} is {} bytes long, {} were described",
                    descriptor.digest, stored.size, descriptor.size
                )));
            }
            self.contents.files.insert(descriptor.digest, path);
        }
        self.graphs.insert(root.digest, graph.clone());
        Ok(graph)
    }

    /// Whether the manifest was made up by a daemon that saved an image which had none.
    fn is_synthesized(&self, graph: &Graph, items: &[Item]) -> Result<bool> {
        let Manifest::Image(image) = &graph.root().manifest else { return Ok(false) };
        let Some(config) = &image.config else { return Ok(false) };
        let from_classic_store = items.iter().any(|item| {
            item.is_from_classic_store() && blob_in(&item.config) == Some(config.digest)
        });
        if !from_classic_store {
            return Ok(false);
        }
        let path = crate::transport::layout::blob_path(&config.digest);
        let bytes = self.shelf.document(&path)?.ok_or_else(|| {
            Error::malformed(format!("configuration {} is not readable", config.digest))
        })?;
        let diff_ids = ImageConfig::parse(&bytes)?.rootfs.diff_ids;
        Ok(diff_ids.iter().eq(image.layers.iter().map(|layer| &layer.digest)))
    }

    /// An image that only `manifest.json` lists.
    fn take_item(&mut self, item: &Item, which: Option<&str>) -> Result<()> {
        let place = self.shelf.place();
        let config = self.shelf.document(&item.config)?.ok_or_else(|| {
            Error::damaged(format!("configuration {} is not in {place}", item.config))
                .hint("the archive is incomplete: make it again")
        })?;
        if config.len() as u64 > limits::CONFIG_BYTES {
            return Err(Error::malformed(format!("configuration {} is too long", item.config)));
        }
        let digest = self.config_digest(&item.config, &config)?;
        if self.knows_config(&digest) {
            return Ok(());
        }
        let names = names_of(item, which, &digest);
        if names.is_empty() {
            return Ok(());
        }
        let config_descriptor = Descriptor::new(media::OCI_CONFIG, digest, config.len() as u64);
        let layers = self.layers(item, &ImageConfig::parse(&config)?)?;
        if let Some((path, _)) = self.shelf.catalog().file(&item.config)? {
            self.contents.files.insert(digest, path);
        }
        let raw: Arc<[u8]> = docker_form::synthesize(&config_descriptor, &layers).into();
        let descriptor = Descriptor::of(media::OCI_MANIFEST, &raw);
        let graph = Arc::new(Graph::walk(&descriptor, &mut |_| Ok(raw.clone()))?);
        self.contents.made.insert(descriptor.digest, raw);
        for name in names {
            let root = Root {
                name,
                descriptor: descriptor.clone(),
                synthesized: true,
                from_index: None,
                origin: None,
            };
            self.contents.images.push(Image { root, graph: graph.clone() });
        }
        Ok(())
    }

    /// The digest of a configuration; docker's file names promise it.
    fn config_digest(&self, path: &str, bytes: &[u8]) -> Result<Digest> {
        let file = path.rsplit_once('/').map_or(path, |(_, file)| file);
        let stem = file.strip_suffix(".json").unwrap_or(file);
        let stem = stem.strip_prefix("sha256:").unwrap_or(stem);
        let promised: Option<Digest> =
            blob_in(path).or_else(|| format!("sha256:{stem}").parse().ok());
        let found = promised.as_ref().map_or_else(|| Digest::of(bytes), |d| d.of_same_kind(bytes));
        if promised.is_some_and(|promised| promised != found) {
            return Err(Error::damaged(format!(
                "configuration {path} in {} is not what its name says: its digest is {found}",
                self.shelf.place()
            ))
            .hint("the archive is damaged or was changed: make it again"));
        }
        Ok(found)
    }

    fn knows_config(&self, digest: &Digest) -> bool {
        self.contents.images.iter().filter(|image| !self.made_here(image)).any(|image| {
            image
                .graph
                .leaves
                .iter()
                .any(|leaf| leaf.role == Role::Config && leaf.descriptor.digest == *digest)
        })
    }

    fn made_here(&self, image: &Image) -> bool {
        self.contents.made.contains_key(&image.root.descriptor.digest)
    }

    /// The layers of an image without a manifest, each held against its diff ID.
    fn layers(&mut self, item: &Item, config: &ImageConfig) -> Result<Vec<Descriptor>> {
        let place = self.shelf.place();
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != item.layers.len() || diff_ids.len() > limits::DESCRIPTORS {
            return Err(Error::damaged(format!(
                "{} in {place} has {} layers, but its configuration has {}",
                item.config,
                item.layers.len(),
                diff_ids.len()
            )));
        }
        let mut layers = Vec::new();
        for (name, diff_id) in item.layers.iter().zip(diff_ids) {
            let gone = || {
                Error::damaged(format!("layer {name} ({diff_id}) is not in {place}"))
                    .hint("the archive is incomplete: make it again")
            };
            let (path, _) = self.shelf.catalog().file(name)?.ok_or_else(gone)?;
            let facts = self.shelf.facts(&path)?.ok_or_else(gone)?;
            let wrong = |found: Digest| {
                Error::damaged(format!(
                    "layer {name} in {place} is not what its image says: {found} instead of {diff_id}"
                ))
                .hint("the archive is damaged or was changed: make it again")
            };
            let stated = facts.digest.or_else(|| blob_in(&path));
            let descriptor = if facts.compression == Compression::None {
                if let Some(found) = stated.filter(|found| found != diff_id) {
                    return Err(wrong(found));
                }
                Descriptor::new(media::OCI_LAYER, *diff_id, facts.size)
            } else {
                let (Some(digest), Some(plain)) = (stated, facts.plain) else {
                    return Err(Error::malformed(format!(
                        "layer {name} in {place} is compressed where plain layers are due"
                    )));
                };
                if plain.digest != *diff_id {
                    return Err(wrong(plain.digest));
                }
                self.contents.plains.insert(digest, plain);
                let media_type = match facts.compression {
                    Compression::Zstd => media::OCI_LAYER_ZSTD,
                    _ => media::OCI_LAYER_GZIP,
                };
                Descriptor::new(media_type, digest, facts.size)
            };
            self.contents.files.insert(descriptor.digest, path);
            layers.push(descriptor);
        }
        Ok(layers)
    }
}

/// The names under which an image of `manifest.json` was asked for; `None` among them for an
/// untagged one.
fn names_of(item: &Item, which: Option<&str>, config: &Digest) -> Vec<Option<ImageName>> {
    let tags = item.repo_tags.iter().flatten();
    let names: Vec<Option<ImageName>> = tags.filter_map(|tag| tag.parse().ok()).map(Some).collect();
    let all = |names: Vec<Option<ImageName>>| {
        if names.is_empty() { vec![None] } else { names }
    };
    let Some(which) = which else { return all(names) };
    if which.trim_start_matches('@') == config.to_string() {
        return all(names);
    }
    let wanted: Option<ImageName> = which.parse().ok();
    let mut seen = HashSet::new();
    names
        .into_iter()
        .filter(|name| name.is_some() && *name == wanted && seen.insert(name.clone()))
        .collect()
}
