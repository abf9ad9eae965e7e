//! Gives registry digests to images that have none.
//!
//! An image from a daemon's classic store, or from a docker-archive, is a configuration and plain
//! layers. Registries hold compressed layers, so on the way into one its layers are compressed, the
//! one way in which sealift compresses ([`compression::gzip`]), and a manifest is made that lists
//! them. The same image always gets the same digest.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::codec::checked::{HashingReader, VerifiedReader};
use crate::codec::compression;
use crate::endpoint::{
    Attachment, Event, Form, How, Parcel, Plain, Progress, Root, Source, Transfers,
};
use crate::model::manifest::{Manifest, media};
use crate::model::{Algorithm, Descriptor, Digest, Error, Graph, Result, Role};

/// A source whose synthesized images have compressed layers.
pub struct Compressed<'a> {
    inner: &'a dyn Source,
    /// The plain layer behind each compressed one.
    layers: HashMap<Digest, Descriptor>,
    /// The root that each new root was made from.
    roots: HashMap<Digest, Digest>,
}

impl Compressed<'_> {
    /// The digest that an image has at its source.
    pub fn original(&self, root: &Digest) -> Digest {
        self.roots.get(root).copied().unwrap_or(*root)
    }
}

/// Compresses the layers of every synthesized image once, to learn their digests, and returns the
/// images with manifests that list them. Other images stay as they are.
///
/// The compressed bytes are not kept: they are made again when they are sent.
pub fn compress<'a>(
    inner: &'a dyn Source,
    parcels: Vec<Parcel>,
    progress: &dyn Progress,
) -> Result<(Compressed<'a>, Vec<Parcel>)> {
    let plain: Vec<&Descriptor> = {
        let mut seen = std::collections::HashSet::new();
        let leaves = parcels
            .iter()
            .filter(|parcel| parcel.root.synthesized)
            .flat_map(|parcel| &parcel.graph.leaves);
        leaves
            .filter(|leaf| leaf.role == Role::Layer && seen.insert(leaf.descriptor.digest))
            .map(|leaf| &leaf.descriptor)
            .collect()
    };
    if !plain.is_empty() {
        let total = plain.iter().map(|layer| layer.size).sum();
        progress.event(Event::Phase { title: "compressing layers", total: Some(total) });
    }
    let packed = pack_all(inner, &plain, &Transfers::new(progress))?;
    let layers =
        plain.iter().map(|layer| (packed[&layer.digest].digest, (*layer).clone())).collect();
    let originals: Vec<Digest> =
        parcels.iter().map(|parcel| parcel.root.descriptor.digest).collect();
    let parcels: Vec<Parcel> =
        parcels
            .into_iter()
            .map(|parcel| {
                if parcel.root.synthesized {
                    with_packed_layers(parcel, &packed)
                } else {
                    Ok(parcel)
                }
            })
            .collect::<Result<_>>()?;
    let roots = parcels.iter().map(|parcel| parcel.root.descriptor.digest).zip(originals).collect();
    Ok((Compressed { inner, layers, roots }, parcels))
}

/// Opens a plain layer as compressed bytes.
fn packed_reader<'a>(
    inner: &'a dyn Source,
    layer: &Descriptor,
) -> Result<Box<dyn Read + Send + 'a>> {
    let plain = inner.open(layer, Form::Exact)?;
    Ok(compression::gzip(VerifiedReader::new(plain, layer.digest, layer.size, inner.describe())))
}

/// Digest and size of each layer, compressed.
fn pack_all(
    inner: &dyn Source,
    layers: &[&Descriptor],
    transfers: &Transfers<'_>,
) -> Result<HashMap<Digest, Descriptor>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(layers.len());
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let id = transfers.start(&layer.digest.short(), Some(layer.size));
                    let result = pack_one(inner, layer, transfers, id);
                    transfers.finish(id, if result.is_ok() { How::Moved } else { How::Failed });
                    results
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push(result.map(|packed| (layer.digest, packed)));
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).into_iter().collect()
}

fn pack_one(
    inner: &dyn Source,
    layer: &Descriptor,
    transfers: &Transfers<'_>,
    id: u64,
) -> Result<Descriptor> {
    let plain = VerifiedReader::new(
        inner.open(layer, Form::Exact)?,
        layer.digest,
        layer.size,
        inner.describe(),
    );
    let mut packed =
        HashingReader::new(compression::gzip(transfers.count(id, plain)), Algorithm::Sha256);
    std::io::copy(&mut packed, &mut std::io::sink())
        .map_err(|e| Error::from_io(format!("cannot compress layer {}", layer.digest), e))?;
    let (digest, size) = packed.finish();
    Ok(Descriptor::new(media::OCI_LAYER_GZIP, digest, size))
}

/// The same image with a manifest that lists compressed layers.
fn with_packed_layers(parcel: Parcel, packed: &HashMap<Digest, Descriptor>) -> Result<Parcel> {
    let root = parcel.graph.root();
    let Manifest::Image(image) = &root.manifest else {
        return Err(Error::malformed(format!(
            "{} is marked as made by sealift and is no image",
            root.descriptor.digest
        )));
    };
    let layers = image.layers.iter().map(|layer| {
        packed.get(&layer.digest).ok_or_else(|| {
            Error::malformed(format!("{} has a layer that is not carried", root.descriptor.digest))
        })
    });
    let raw = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media::OCI_MANIFEST,
        "config": image.config,
        "layers": layers.collect::<Result<Vec<_>>>()?,
    })
    .to_string()
    .into_bytes();
    let descriptor = Descriptor::of(media::OCI_MANIFEST, &raw);
    let graph = Graph::walk(&descriptor, &mut |_| Ok(raw.clone().into()))?;
    let plain = image.layers.iter().map(|layer| {
        (packed[&layer.digest].digest, Plain { digest: layer.digest, size: layer.size })
    });
    Ok(Parcel {
        plain: plain.collect(),
        root: Root { descriptor, ..parcel.root },
        graph,
        satellites: Vec::new(),
        assigned: parcel.assigned,
    })
}

impl Source for Compressed<'_> {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        self.inner.roots()
    }

    fn open(&self, blob: &Descriptor, form: Form) -> Result<Box<dyn Read + Send + '_>> {
        match (self.layers.get(&blob.digest), form) {
            (Some(plain), Form::Exact) => packed_reader(self.inner, plain),
            (Some(plain), Form::Plain) => self.inner.open(plain, Form::Exact),
            (None, form) => self.inner.open(blob, form),
        }
    }

    fn plain(&self, layer: &Digest) -> Option<Plain> {
        match self.layers.get(layer) {
            Some(plain) => Some(Plain { digest: plain.digest, size: plain.size }),
            None => self.inner.plain(layer),
        }
    }

    fn attachments(&self, subject: &Descriptor) -> Result<Vec<Attachment>> {
        self.inner.attachments(subject)
    }

    fn is_remote(&self) -> bool {
        self.inner.is_remote()
    }
}
