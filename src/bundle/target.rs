//! A bundle that is being written is a target like any other.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::layer::{self, Provers};
use super::manifest::{Attached, ImageEntry};
use super::remake::Signed;
use super::seal::{Finished, SealedVolume};
use super::turns::Turns;
use super::writer::Writer;
use crate::endpoint::{
    Action, Arrival, Attachment, BlobStep, Form, Intake, ManifestStep, Parcel, Plan, TagStep,
    Target,
};
use crate::model::graph::distinct_leaves;
use crate::model::manifest::ImageConfig;
use crate::model::{Descriptor, Digest, Error, Kind, Manifest, Platform, Result, Role, limits};
use crate::trust::SecretKey;

/// Blobs that are fetched at once: small ones are waited for longer than they take to come.
const LANES: usize = 8;

/// Where a blob stands in the order.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    number: usize,
    /// How many must be done before it is fetched: a layer that goes into a file waits until no more
    /// of those before it are left than there may be at once.
    after: usize,
}

/// A bundle that images are brought to. [`BundleTarget::seal`] ends it.
pub struct BundleTarget {
    name: String,
    writer: Mutex<Option<Writer>>,
    /// Configurations that went by, to learn platforms from.
    configs: Mutex<Vec<(Digest, Option<Platform>)>>,
    /// Layers are prepared side by side and go into packs in the order of the plan, so that the
    /// bundle does not depend on which is ready first.
    turns: Turns,
    order: Mutex<HashMap<Digest, Place>>,
    lanes: usize,
    /// Layers that are kept in files at once.
    at_once: usize,
    provers: Provers,
    aside: Option<PathBuf>,
}

impl BundleTarget {
    /// Wraps a writer; `name` is the file, for messages.
    pub fn new(name: String, writer: Writer) -> Self {
        let aside = writer.aside().map(Path::to_path_buf);
        // One more than there are threads, so that one layer is fetched while others are proved.
        let at_once = writer.threads().max(1) + 1;
        Self {
            name,
            writer: Mutex::new(Some(writer)),
            configs: Mutex::default(),
            turns: Turns::default(),
            order: Mutex::default(),
            lanes: if aside.is_some() { at_once.max(LANES) } else { 1 },
            at_once,
            provers: Provers::start(if aside.is_some() { at_once - 1 } else { 0 }),
            aside,
        }
    }

    fn order(&self) -> MutexGuard<'_, HashMap<Digest, Place>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the writer, which is there until the bundle is sealed.
    pub fn with<T>(&self, act: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        match self.writer().as_mut() {
            Some(writer) => act(writer),
            None => Err(Error::new(Kind::Io, format!("{} is sealed already", self.name))),
        }
    }

    /// Takes a small document: inline, so that the tail of the bundle tells what is in it.
    pub fn document(
        &self,
        descriptor: &Descriptor,
        bytes: &std::sync::Arc<[u8]>,
        role: Role,
    ) -> Result<()> {
        if role == Role::Config {
            let platform = ImageConfig::parse(bytes).ok().and_then(|config| config.platform());
            self.configs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((descriptor.digest, platform));
        }
        self.with(|writer| {
            writer.add_document(descriptor, bytes);
            Ok(())
        })
    }

    /// Notes what was gathered, so that the next export can go on from it.
    pub fn give_up(&self) {
        if let Some(writer) = self.writer().as_mut() {
            writer.give_up();
        }
    }

    /// Writes index, manifest and signatures. [`Finished::commit`] gives the bundle its name.
    pub fn seal(self, parcels: &[Parcel], signers: &[SecretKey]) -> Result<Finished> {
        let images = parcels.iter().map(|parcel| self.entry(parcel)).collect();
        let writer = self.writer().take();
        match writer {
            Some(writer) => writer.finish(images, signers),
            None => Err(Error::new(Kind::Io, format!("{} is sealed already", self.name))),
        }
    }

    /// Ends a bundle that was begun by [`Writer::again`]: one volume of it gets its name.
    pub fn finish_again(self, signed: &Signed, number: u64) -> Result<SealedVolume> {
        let writer = self.writer().take();
        match writer {
            Some(writer) => writer.finish_again(signed, number),
            None => Err(Error::new(Kind::Io, format!("{} is finished already", self.name))),
        }
    }

    /// What the runnable images of a parcel run on: what an index says, else their configurations,
    /// which must have gone by.
    pub fn platforms(&self, parcel: &Parcel) -> Vec<Platform> {
        let configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut platforms: Vec<Platform> = Vec::new();
        for (node, platform) in parcel.graph.images() {
            let own = || match &node.manifest {
                Manifest::Image(image) => {
                    let config = image.config.as_ref()?.digest;
                    configs.iter().find(|(digest, _)| *digest == config)?.1.clone()
                }
                Manifest::Index(_) => None,
            };
            if let Some(platform) = platform.cloned().or_else(own)
                && !platforms.contains(&platform)
            {
                platforms.push(platform);
            }
        }
        platforms
    }

    fn entry(&self, parcel: &Parcel) -> ImageEntry {
        let attached = parcel.satellites.iter().map(|satellite| {
            Attached::new(&Attachment {
                kind: satellite.kind.clone(),
                descriptor: satellite.graph.root().descriptor.clone(),
                subject: satellite.subject,
            })
        });
        ImageEntry {
            name: parcel.root.name.clone(),
            root: (&parcel.root.descriptor).into(),
            platforms: self.platforms(parcel),
            synthesized: parcel.root.synthesized,
            from_index: parcel.root.from_index,
            origin: parcel.root.origin.clone(),
            attached: attached.collect(),
        }
    }
}

/// Whether a blob is kept in the index.
fn is_document(role: Role, size: u64) -> bool {
    role == Role::Config && size <= limits::CONFIG_BYTES
}

impl Target for BundleTarget {
    fn describe(&self) -> String {
        format!("bundle {}", self.name)
    }

    fn plan(&self, parcels: &[Parcel]) -> Result<Plan> {
        let mut plan = Plan::default();
        for leaf in distinct_leaves(parcels.iter().flat_map(Parcel::graphs)) {
            let place = if is_document(leaf.role, leaf.descriptor.size) {
                "document"
            } else if leaf.role == Role::Layer {
                "layer"
            } else {
                "blob"
            };
            let digest = &leaf.descriptor.digest;
            let known = self.with(|writer| {
                Ok(writer.has(digest) || place != "document" && writer.base_has(digest))
            })?;
            plan.blobs.push(BlobStep {
                descriptor: leaf.descriptor.clone(),
                form: Form::Exact,
                bytes: leaf.descriptor.size,
                place: place.to_owned(),
                action: if known { Action::Present } else { Action::Send },
            });
        }
        for parcel in parcels {
            for node in parcel.graphs().flat_map(|graph| &graph.nodes) {
                plan.manifests.push(ManifestStep {
                    descriptor: node.descriptor.clone(),
                    raw: node.raw.clone(),
                    place: String::new(),
                    subject: node.manifest.subject().map(|subject| subject.digest),
                    action: Action::Send,
                });
            }
            let image = parcel
                .root
                .name
                .as_ref()
                .map_or_else(|| parcel.root.descriptor.digest.to_string(), ToString::to_string);
            plan.arrivals.push(Arrival {
                target: image.clone(),
                image,
                digest: parcel.root.descriptor.digest,
                target_digest: parcel.root.descriptor.digest,
            });
        }
        Ok(plan)
    }

    fn lanes(&self) -> usize {
        self.lanes
    }

    fn begin(&self, plan: &Plan) -> Result<()> {
        self.turns.reset();
        self.with(|writer| {
            let kept = plan.blobs.iter().filter(|step| step.action == Action::Present);
            kept.for_each(|step| writer.keep(&step.descriptor.digest));
            Ok(())
        })?;
        let sent = plan.blobs.iter().filter(|step| step.action == Action::Send);
        let mut large: Vec<usize> = Vec::new();
        let places = sent.zip(0..).map(|(step, number)| {
            let mut place = Place { number, after: 0 };
            if step.bytes > layer::IN_MEMORY {
                let before = large.len().checked_sub(self.at_once);
                place.after = before.map_or(0, |before| large[before] + 1);
                large.push(number);
            }
            (step.descriptor.digest, place)
        });
        *self.order() = places.collect();
        Ok(())
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        open: &mut dyn FnMut() -> Result<Box<dyn Read + Send>>,
    ) -> Result<()> {
        let place = self.order().get(&step.descriptor.digest).copied().unwrap_or_default();
        let turn = self.turns.enter(place.number);
        turn.wait_for(place.after)?;
        let mut content = open()?;
        if let (Some(folder), "layer") = (&self.aside, &*step.place) {
            let algorithm = step.descriptor.digest.algorithm();
            let prepared = layer::prepare(&mut content, algorithm, folder, Some(&self.provers))?;
            turn.wait()?;
            self.with(|writer| writer.add_prepared(prepared))?;
            turn.done();
            return Ok(());
        }
        turn.wait()?;
        if step.place == "document" {
            let bytes = crate::codec::checked::read_bounded(
                &mut content,
                limits::CONFIG_BYTES,
                &step.descriptor.digest.to_string(),
            )?;
            self.document(&step.descriptor, &bytes.into(), Role::Config)?;
            turn.done();
            return Ok(());
        }
        let label = step.descriptor.digest.to_string();
        self.with(|writer| {
            writer.blob(
                &label,
                Some(step.descriptor.digest),
                step.descriptor.size,
                step.place == "layer",
                &mut content,
            )
        })?;
        turn.done();
        Ok(())
    }

    fn put_manifest(&self, step: &ManifestStep) -> Result<()> {
        self.document(&step.descriptor, &step.raw, Role::Opaque)
    }

    fn put_tag(&self, _: &TagStep) -> Result<()> {
        Ok(())
    }

    fn finish(&self, _: &Plan) -> Result<()> {
        Ok(())
    }
}
