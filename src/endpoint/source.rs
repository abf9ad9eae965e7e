//! Where images come from.

use std::io::Read;
use std::sync::Arc;

use crate::model::{Descriptor, Digest, Error, ImageName, Result};

/// An image as a place offers it.
#[derive(Clone, Debug)]
pub struct Root {
    /// The name it has or was asked for by; an untagged image in a daemon has none.
    pub name: Option<ImageName>,
    /// Its root manifest.
    pub descriptor: Descriptor,
    /// True where the place had no manifest and one was made from the image's configuration and
    /// plain layers (docker-archive, a daemon with the classic store). Such an image has no
    /// registry digest to keep, only an image ID.
    pub synthesized: bool,
    /// The index that it was taken out of, where only one platform of it is carried.
    pub from_index: Option<Digest>,
    /// Where it was read from, where that is another place than its name says: at a mirror.
    pub origin: Option<ImageName>,
}

/// What is attached to an image and travels with it.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// How it is attached.
    pub kind: AttachmentKind,
    /// Its root manifest.
    pub descriptor: Descriptor,
    /// The manifest that it is attached to.
    pub subject: Digest,
}

/// How an artifact is attached to its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachmentKind {
    /// By a tag next to the image: cosign's `sha256-<hex>.sig`, `.att` and `.sbom`.
    Tag(String),
    /// By the `subject` field, listed by the referrers API (OCI distribution 1.1).
    Referrer,
    /// The index under the tag `sha256-<hex>` that lists referrers where the API is missing.
    FallbackIndex(String),
}

/// In which form a blob is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The bytes that its digest names.
    Exact,
    /// A layer, decompressed.
    Plain,
}

/// The plain form of a compressed layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// The diff ID.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
}

/// A place that opens any of its blobs at any time.
pub trait Source: Send + Sync {
    /// What people call the place, for messages: `registry h.example`, `oci:dir`.
    fn describe(&self) -> String;

    /// The images that the location names, in a stable order.
    fn roots(&self) -> Result<Vec<Root>>;

    /// Opens a blob or manifest. The reader yields at least the described bytes or fails.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) for a form that the place cannot give.
    fn open(&self, blob: &Descriptor, form: Form) -> Result<Box<dyn Read + Send + '_>>;

    /// The plain form of a layer, where the place knows it without opening the layer.
    fn plain(&self, _layer: &Digest) -> Option<Plain> {
        None
    }

    /// What is attached to a manifest. Places that know no attachments have none.
    fn attachments(&self, _subject: &Descriptor) -> Result<Vec<Attachment>> {
        Ok(Vec::new())
    }

    /// Whether opening a blob waits for a network, so that fetching several at once pays.
    fn is_remote(&self) -> bool {
        false
    }

    /// What the user should know about how images were come by, a sentence each, and each told
    /// once.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Reads a small blob whole, and checks its size and digest.
///
/// # Errors
/// [`Kind::Malformed`](crate::model::Kind::Malformed) over `limit`,
/// [`Kind::Damaged`](crate::model::Kind::Damaged) where size or digest differ.
pub fn read_small(
    source: &(impl Source + ?Sized),
    blob: &Descriptor,
    limit: u64,
) -> Result<Arc<[u8]>> {
    if blob.size > limit {
        return Err(Error::malformed(format!(
            "{} is {} bytes long, more than the {limit} that are read of its kind",
            blob.digest, blob.size
        )));
    }
    let what = || format!("cannot read {} from {}", blob.digest, source.describe());
    let mut bytes = Vec::new();
    source
        .open(blob, Form::Exact)?
        .take(blob.size + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::from_io(what(), e))?;
    if bytes.len() as u64 != blob.size || blob.digest.of_same_kind(&bytes) != blob.digest {
        return Err(Error::damaged(format!(
            "{} from {} is not what its digest says ({} bytes came, {} were described)",
            blob.digest,
            source.describe(),
            bytes.len(),
            blob.size
        )));
    }
    Ok(bytes.into())
}

/// An image that a feed delivered.
#[derive(Clone, Debug)]
pub struct Fed {
    /// The image.
    pub root: Root,
    /// Every manifest of its graph that was in the stream, root included, with its exact bytes.
    pub manifests: Vec<(Descriptor, Arc<[u8]>)>,
    /// The same for its small JSON blobs (configurations) that the feed held back; they have not
    /// been given to the intake.
    pub documents: Vec<(Descriptor, Arc<[u8]>)>,
}

/// Takes blobs in the order in which a feed has them.
pub trait Intake {
    /// Takes one blob of `size` bytes and returns the digest that its bytes turned out to have.
    /// `label` is for progress and errors; `expected` is checked where it is known. `is_layer`
    /// says that the feed takes it for the layer of an image, plain or compressed.
    fn blob(
        &mut self,
        label: &str,
        expected: Option<Digest>,
        size: u64,
        is_layer: bool,
        content: &mut dyn Read,
    ) -> Result<Digest>;
}

/// A place that delivers its blobs once, in its own order.
pub trait Feed {
    /// What people call the place.
    fn describe(&self) -> String;

    /// The images that the feed is known to hold before it is run: a name as people write it, and
    /// the place's own estimate of its bytes. For plans; may be empty.
    fn announce(&self) -> Result<Vec<(String, u64)>>;

    /// Runs it: every layer and large blob goes to `intake` as it comes; small documents are held.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where the stream ends early or an image
    /// names a blob that never came.
    fn run(&mut self, intake: &mut dyn Intake) -> Result<Vec<Fed>>;
}

/// A place to take images from, of either sort.
pub enum Origin {
    /// It opens any blob at any time.
    Source(Box<dyn Source>),
    /// It delivers its blobs once, in its own order.
    Feed(Box<dyn Feed>),
}
