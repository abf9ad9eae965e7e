//! Several sources as one.

use std::collections::HashMap;
use std::io::Read;

use crate::endpoint::{Attachment, Form, Parcel, Plain, Root, Source};
use crate::model::{Descriptor, Digest, Error, Result};

/// Several sources as one: each blob is opened at the first place that lists it.
#[derive(Default)]
pub(super) struct Sources {
    places: Vec<Box<dyn Source>>,
    of: HashMap<Digest, usize>,
}

impl Sources {
    /// Adds a place that has these images.
    pub(super) fn add(&mut self, source: Box<dyn Source>, parcels: &[Parcel]) {
        let place = self.places.len();
        self.places.push(source);
        for graph in parcels.iter().flat_map(Parcel::graphs) {
            let nodes = graph.nodes.iter().map(|node| node.descriptor.digest);
            for digest in nodes.chain(graph.leaves.iter().map(|leaf| leaf.descriptor.digest)) {
                self.of.entry(digest).or_insert(place);
            }
        }
    }

    /// Whether an image came from one of them.
    pub(super) fn holds(&self, parcel: &Parcel) -> bool {
        self.of.contains_key(&parcel.root.descriptor.digest)
    }

    fn place(&self, digest: &Digest) -> Result<&dyn Source> {
        self.of
            .get(digest)
            .map(|&place| &*self.places[place])
            .ok_or_else(|| Error::damaged(format!("none of the sources has {digest}")))
    }
}

impl Source for Sources {
    fn describe(&self) -> String {
        match self.places.as_slice() {
            [one] => one.describe(),
            _ => "its source".to_owned(),
        }
    }

    fn roots(&self) -> Result<Vec<Root>> {
        self.places.iter().try_fold(Vec::new(), |mut all, place| {
            all.extend(place.roots()?);
            Ok(all)
        })
    }

    fn open(&self, blob: &Descriptor, form: Form) -> Result<Box<dyn Read + Send + '_>> {
        self.place(&blob.digest)?.open(blob, form)
    }

    fn plain(&self, layer: &Digest) -> Option<Plain> {
        self.place(layer).ok()?.plain(layer)
    }

    fn attachments(&self, subject: &Descriptor) -> Result<Vec<Attachment>> {
        self.place(&subject.digest)?.attachments(subject)
    }

    fn is_remote(&self) -> bool {
        self.places.iter().any(|place| place.is_remote())
    }

    fn notes(&self) -> Vec<String> {
        self.places.iter().flat_map(|place| place.notes()).collect()
    }
}
