//! Blobs that an interrupted export has left, in front of the places that they came from.

use std::collections::HashMap;
use std::io::Read;

use crate::bundle::Remains;
use crate::endpoint::{Action, Attachment, Event, Form, Plain, Plan, Progress, Root, Source};
use crate::model::{Descriptor, Digest, Result};

/// A source of which some blobs are at hand.
pub(super) struct AtHand<'a> {
    inner: &'a dyn Source,
    blobs: HashMap<Digest, &'a Remains>,
    bytes: u64,
}

impl<'a> AtHand<'a> {
    /// Finds out which blobs that the plan sends are at hand; what they are rebuilt from is hashed.
    pub(super) fn new(
        inner: &'a dyn Source,
        remains: &'a [Remains],
        plan: &Plan,
        progress: &dyn Progress,
    ) -> Self {
        let mut at_hand = Self { inner, blobs: HashMap::new(), bytes: 0 };
        if remains.is_empty() {
            return at_hand;
        }
        progress.event(Event::Phase { title: "checking what was gathered before", total: None });
        for step in plan.blobs.iter().filter(|step| step.action == Action::Send) {
            let blob = &step.descriptor;
            if let Some(holder) = remains.iter().find(|remains| remains.has(blob)) {
                at_hand.blobs.insert(blob.digest, holder);
                at_hand.bytes += blob.size;
            }
        }
        at_hand
    }

    /// How many blobs are at hand, and their bytes.
    pub(super) fn amount(&self) -> (usize, u64) {
        (self.blobs.len(), self.bytes)
    }
}

impl Source for AtHand<'_> {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        self.inner.roots()
    }

    fn open(&self, blob: &Descriptor, form: Form) -> Result<Box<dyn Read + Send + '_>> {
        match self.blobs.get(&blob.digest) {
            Some(holder) if form == Form::Exact => holder.open_blob(blob),
            _ => self.inner.open(blob, form),
        }
    }

    fn plain(&self, layer: &Digest) -> Option<Plain> {
        self.inner.plain(layer)
    }

    fn attachments(&self, subject: &Descriptor) -> Result<Vec<Attachment>> {
        self.inner.attachments(subject)
    }

    fn is_remote(&self) -> bool {
        self.inner.is_remote()
    }
}
