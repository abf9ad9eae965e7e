//! Where images go.
//!
//! First the target is asked for a [`Plan`]; that changes nothing and is all that a dry run does.
//! Then `operation::copy` carries the plan out: every [`BlobStep`] that sends, several at a time
//! where the target allows it; then manifests in plan order; then tags; then `finish`.

use std::io::Read;
use std::path::Path;

use super::source::{AttachmentKind, Form, Plain, Root};
use crate::model::{Descriptor, Digest, Graph, ImageName, Result};

/// An image to be delivered, whole.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The image as its source named it.
    pub root: Root,
    /// Everything that it consists of.
    pub graph: Graph,
    /// What is attached to it, subjects before what is attached to them.
    pub satellites: Vec<Satellite>,
    /// Plain forms of its compressed layers, by the layer's digest, where they are known.
    pub plain: Vec<(Digest, Plain)>,
    /// The name that was chosen for it; without one, the target goes by that of the source.
    pub assigned: Option<Assigned>,
}

/// A name that was chosen for an image at its target.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// The name: of a registry, the place there.
    pub name: ImageName,
    /// The rule that made it, as it was written, for messages.
    pub rule: Option<String>,
}

impl Parcel {
    /// The name that it is to have where names are kept whole: the one that was chosen for it,
    /// else the one that it came with.
    pub fn name(&self) -> Option<&ImageName> {
        self.assigned.as_ref().map(|assigned| &assigned.name).or(self.root.name.as_ref())
    }

    /// What to call it: the name that it came with, else its digest.
    pub fn shown(&self) -> String {
        let digest = || self.root.descriptor.digest.to_string();
        self.root.name.as_ref().map_or_else(digest, ToString::to_string)
    }

    /// The graph of the image and those of its satellites.
    pub fn graphs(&self) -> impl Iterator<Item = &Graph> {
        std::iter::once(&self.graph).chain(self.satellites.iter().map(|satellite| &satellite.graph))
    }
}

/// An attached artifact, whole.
#[derive(Clone, Debug)]
pub struct Satellite {
    /// How it is attached.
    pub kind: AttachmentKind,
    /// The manifest that it is attached to.
    pub subject: Digest,
    /// Everything that it consists of.
    pub graph: Graph,
}

/// What is to be done about one blob or manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The place has it; nothing is sent.
    Present,
    /// The place has it elsewhere and can link it: `from` is the other repository.
    Mount {
        /// Repository at the same registry that has the blob or will have it by then.
        from: String,
    },
    /// It is sent.
    Send,
}

/// One blob at one place.
#[derive(Clone, Debug)]
pub struct BlobStep {
    /// The blob.
    pub descriptor: Descriptor,
    /// The form in which the target takes it.
    pub form: Form,
    /// Bytes that travel if it is sent, in that form.
    pub bytes: u64,
    /// Where at the target: the repository; empty where the target has only one place.
    pub place: String,
    /// What is to be done.
    pub action: Action,
}

/// One manifest at one place, in the order in which manifests must arrive.
#[derive(Clone, Debug)]
pub struct ManifestStep {
    /// The manifest.
    pub descriptor: Descriptor,
    /// Its exact bytes.
    pub raw: std::sync::Arc<[u8]>,
    /// Where at the target: the repository; empty where the target has only one place.
    pub place: String,
    /// The subject that it refers to, if any; the target may have to keep a list of referrers.
    pub subject: Option<Digest>,
    /// [`Action::Present`] or [`Action::Send`].
    pub action: Action,
}

/// Where on a local disk a target writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local<'a> {
    /// The folder or file.
    pub path: &'a Path,
    /// Whether all of it goes into one file.
    pub is_file: bool,
}

/// One name that is to point to a manifest.
#[derive(Clone, Debug)]
pub struct TagStep {
    /// The manifest.
    pub descriptor: Descriptor,
    /// The name as the target spells it, for messages and for the tag itself.
    pub name: ImageName,
    /// [`Action::Present`] where it points there already.
    pub action: Action,
    /// What the name points to now, where it is known and something else.
    pub replaces: Option<Digest>,
}

/// Which image ends up where.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The image in the bundle: its name, or its digest where it has none.
    pub image: String,
    /// Its root digest in the bundle.
    pub digest: Digest,
    /// The name at the target, as people would write it there.
    pub target: String,
    /// The digest that it has there: the same, unless a target rebuilds it (a daemon's image ID).
    pub target_digest: Digest,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// The plan cannot be carried out as things are.
    Hinders,
    /// It can; the user should know all the same.
    Note,
}

/// Something about the target that speaks against a plan, found before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub gravity: Gravity,
    /// What was found, and where: a sentence without a full stop.
    pub what: String,
    /// What to do about it; empty where there is nothing to do.
    pub advice: String,
}

impl Finding {
    /// Something that hinders.
    pub fn hindrance(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { gravity: Gravity::Hinders, what: what.into(), advice: advice.into() }
    }

    /// Something to know.
    pub fn note(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { gravity: Gravity::Note, what: what.into(), advice: advice.into() }
    }

    /// Both parts in one sentence.
    pub fn sentence(&self) -> String {
        match self.advice.as_str() {
            "" => self.what.clone(),
            advice => format!("{}; {advice}", self.what),
        }
    }
}

/// What has to be done so that every image is there.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Blobs, each once for each place.
    pub blobs: Vec<BlobStep>,
    /// Manifests, children before parents, subjects before what is attached to them.
    pub manifests: Vec<ManifestStep>,
    /// Names.
    pub tags: Vec<TagStep>,
    /// Images and where they go.
    pub arrivals: Vec<Arrival>,
    /// What the user should know, a sentence each: something that this target cannot hold.
    pub notes: Vec<String>,
    /// Projects of the target that are made in [`Target::begin`], by name.
    pub creates: Vec<String>,
    /// All that was found out about the target and speaks against the plan. A plan with a
    /// [hindrance](Plan::hindrances) is not carried out.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// The findings that keep the plan from being carried out.
    pub fn hindrances(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.gravity == Gravity::Hinders)
    }

    /// Bytes that will be sent.
    pub fn bytes_to_send(&self) -> u64 {
        self.blobs.iter().filter(|step| step.action == Action::Send).map(|step| step.bytes).sum()
    }

    /// Bytes of blobs that need not be sent.
    pub fn bytes_present(&self) -> u64 {
        self.blobs.iter().filter(|step| step.action != Action::Send).map(|step| step.bytes).sum()
    }
}

/// A blob that a place may have from before.
#[derive(Clone, Debug)]
pub struct Recalled {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// For a compressed layer: what it opens to.
    pub plain: Option<Plain>,
}

/// Takes the content of a blob that a place gives back, by its number among those wanted.
pub type Take<'a> = dyn FnMut(usize, &mut dyn Read) -> Result<()> + 'a;

/// A place that images are brought to.
pub trait Target: Send + Sync {
    /// What people call the place.
    fn describe(&self) -> String;

    /// Says what has to be done, asking the place what it has, and what speaks against it: all of
    /// it at once, as [`Plan::findings`]. Changes nothing.
    ///
    /// # Errors
    /// Where the place cannot be asked at all;
    /// [`Kind::Usage`](crate::model::Kind::Usage) where two images would get one name.
    fn plan(&self, parcels: &[Parcel]) -> Result<Plan>;

    /// Gives back blobs that the place has already, each once at most, in any order; those that it
    /// has not are left out. `take` gets the number of the blob in `wanted` and its content: its
    /// plain form if it has one, else its bytes. Nothing of it is checked yet. `folder` takes
    /// temporary files. A place that gives nothing back has nothing.
    fn recall(
        &self,
        _plan: &Plan,
        _wanted: &[Recalled],
        _folder: &Path,
        _take: &mut Take<'_>,
    ) -> Result<()> {
        Ok(())
    }

    /// Where on a local disk it writes, if it does: it is asked beforehand whether that has room.
    fn local(&self) -> Option<Local<'_>> {
        None
    }

    /// How many blobs may be put at once. Archives and daemons take one stream: 1.
    fn lanes(&self) -> usize {
        1
    }

    /// Whether layers must be compressed here: registries hold gzip layers, and an image without
    /// a registry digest is given one by compressing its layers.
    fn wants_compressed_layers(&self) -> bool {
        false
    }

    /// Called once before the first blob, after the plan was accepted. Nothing has been sent yet;
    /// what [`Plan::creates`] names is made here.
    fn begin(&self, _plan: &Plan) -> Result<()> {
        Ok(())
    }

    /// Puts one blob whose action is [`Action::Send`]. `open` gives its bytes from the start, in
    /// the form of the step, digest-checked: the reader fails at its end where they are wrong, and
    /// nothing may become visible at the target before that end. May be called again to retry.
    fn put_blob(
        &self,
        step: &BlobStep,
        open: &mut dyn FnMut() -> Result<Box<dyn Read + Send>>,
    ) -> Result<()>;

    /// Links a blob from elsewhere at the target. `Ok(false)` where it will not: the blob is then
    /// put.
    fn mount(&self, _step: &BlobStep) -> Result<bool> {
        Ok(false)
    }

    /// Puts one manifest, under its digest only.
    fn put_manifest(&self, step: &ManifestStep) -> Result<()>;

    /// Called when every blob and manifest has been put, before the first tag: makes sure that all
    /// of it arrived. `Some` where something that the plan took to be present turned out not to
    /// be: a plan that sends it after all, to be carried out in the same way from `begin` on, and
    /// to take the place of the first. A target asks for this once at most.
    fn settle(&self, _plan: &Plan) -> Result<Option<Plan>> {
        Ok(None)
    }

    /// Points a name to a manifest, and makes sure that it does.
    fn put_tag(&self, step: &TagStep) -> Result<()>;

    /// Completes and checks what was brought; what was private becomes visible here at the latest.
    fn finish(&self, plan: &Plan) -> Result<()>;

    /// What the place has under the name of an image that was brought, asked anew; `None` where it
    /// cannot be asked, or keeps that to itself.
    ///
    /// # Errors
    /// Where it has nothing under that name any more.
    fn read_back(&self, _arrival: &Arrival) -> Result<Option<Digest>> {
        Ok(None)
    }
}
