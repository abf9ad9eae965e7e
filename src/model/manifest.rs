//! Image manifests and indexes, OCI and Docker schema 2, as thin views over raw bytes.
//!
//! The raw bytes are the truth: nothing here is ever written back out. The views keep what sealift
//! needs to walk from a root to its blobs and ignore the rest. Sources: OCI image specification
//! 1.1 (manifest.md, image-index.md, descriptor.md), Docker image manifest version 2, schema 2.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::error::{Error, Result};
use super::limits;
use super::platform::Platform;

/// Media types that sealift has to know by name.
pub mod media {
    /// OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI artifact manifest of the 1.1 release candidates; still found in registries.
    pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
    /// OCI image configuration.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// OCI layer, plain tar.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// OCI layer, gzip.
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker image manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker image configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker layer, plain tar.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

    /// What a registry is told that we accept, most wanted first.
    pub const MANIFESTS: [&str; 5] =
        [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, OCI_ARTIFACT];

    /// Whether a blob of this type is a manifest that is to be followed.
    pub fn is_manifest(media_type: &str) -> bool {
        MANIFESTS.contains(&media_type)
    }

    /// Whether a blob of this type lists other manifests.
    pub fn is_index(media_type: &str) -> bool {
        matches!(media_type, OCI_INDEX | DOCKER_LIST)
    }

    /// Whether a blob of this type configures a runnable image.
    pub fn is_image_config(media_type: &str) -> bool {
        matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
    }

    /// Whether the bytes of such a layer may be withheld by a registry and lie behind `urls`.
    pub fn is_foreign(media_type: &str) -> bool {
        media_type.contains(".foreign.") || media_type.contains(".nondistributable.")
    }
}

/// A descriptor: what a blob is, its digest and its size in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// IANA media type.
    pub media_type: String,
    /// Digest of the bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// What it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Type of artifact, in a list of referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Where the bytes are said to be, for foreign layers. Never fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

impl Descriptor {
    /// A bare descriptor.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
            urls: Vec::new(),
        }
    }

    /// The descriptor of bytes at hand.
    pub fn of(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// Whether it names a manifest that is to be followed.
    pub fn is_manifest(&self) -> bool {
        media::is_manifest(&self.media_type)
    }

    /// Whether the bytes lie elsewhere (`urls` on a foreign layer) and are not carried.
    pub fn is_foreign(&self) -> bool {
        !self.urls.is_empty() && media::is_foreign(&self.media_type)
    }
}

/// A manifest of either kind.
#[allow(clippy::large_enum_variant, reason = "there are few of them, and each is matched often")]
#[derive(Clone, Debug)]
pub enum Manifest {
    /// An index or manifest list.
    Index(Index),
    /// An image or artifact manifest.
    Image(ImageManifest),
}

/// An index or manifest list.
#[derive(Clone, Debug)]
pub struct Index {
    /// What it lists, in order.
    pub manifests: Vec<Descriptor>,
    /// The manifest that it is attached to.
    pub subject: Option<Descriptor>,
}

/// An image or artifact manifest.
#[derive(Clone, Debug)]
pub struct ImageManifest {
    /// The configuration; artifact manifests of the release candidates have none.
    pub config: Option<Descriptor>,
    /// Layers in order, base first; the same one may stand twice.
    pub layers: Vec<Descriptor>,
    /// The manifest that it is attached to.
    pub subject: Option<Descriptor>,
    /// Type of artifact.
    pub artifact_type: Option<String>,
}

impl ImageManifest {
    /// Whether it is a runnable image rather than an artifact.
    pub fn is_image(&self) -> bool {
        self.config.as_ref().is_some_and(|config| media::is_image_config(&config.media_type))
    }
}

/// The fields of all kinds of manifest at once.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// Reads the view of a manifest whose descriptor says `media_type`.
    ///
    /// # Errors
    /// [`Kind::Malformed`](super::Kind::Malformed): too long, not JSON, schema 1, another type
    /// inside than outside, both `manifests` and `layers`, or too many entries.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self> {
        let bad =
            |why: &str| Error::malformed(format!("image manifest of type {media_type}: {why}"));
        if bytes.len() as u64 > limits::MANIFEST_BYTES {
            return Err(bad("longer than 4 MiB"));
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|e| bad("not readable").because(e))?;
        if raw.schema_version == Some(1) || raw.fs_layers.is_some() {
            return Err(bad("Docker schema 1 is not carried")
                .hint("push the image again with a current client, which writes schema 2"));
        }
        if raw.media_type.as_deref().is_some_and(|inner| inner != media_type) {
            return Err(bad("it says that it is of another type"));
        }
        if raw.manifests.is_some() && (raw.layers.is_some() || raw.config.is_some()) {
            return Err(bad("both an index and an image"));
        }
        let count = [&raw.manifests, &raw.layers, &raw.blobs]
            .into_iter()
            .flatten()
            .map(Vec::len)
            .sum::<usize>();
        let lists = [&raw.manifests, &raw.layers, &raw.blobs].into_iter().flatten().flatten();
        if lists.chain(&raw.config).any(|listed| listed.size > limits::BLOB_BYTES) {
            return Err(bad("claims a blob that is larger than any"));
        }
        if count > limits::DESCRIPTORS {
            return Err(bad("lists too many blobs"));
        }
        if media::is_index(media_type) {
            let manifests = raw.manifests.ok_or_else(|| bad("no manifests"))?;
            return Ok(Self::Index(Index { manifests, subject: raw.subject }));
        }
        if raw.manifests.is_some() {
            return Err(bad("an index inside"));
        }
        let layers = if media_type == media::OCI_ARTIFACT {
            raw.blobs.unwrap_or_default()
        } else {
            if raw.config.is_none() {
                return Err(bad("no config"));
            }
            raw.layers.ok_or_else(|| bad("no layers"))?
        };
        Ok(Self::Image(ImageManifest {
            config: raw.config,
            layers,
            subject: raw.subject,
            artifact_type: raw.artifact_type,
        }))
    }

    /// The media type that bytes of unknown type claim: their `mediaType`, else what their fields
    /// show them to be. `None` where they are no manifest.
    pub fn sniff(bytes: &[u8]) -> Option<String> {
        if bytes.len() as u64 > limits::MANIFEST_BYTES {
            return None;
        }
        let raw: Raw = serde_json::from_slice(bytes).ok()?;
        match raw {
            Raw { media_type: Some(media_type), .. } => Some(media_type),
            Raw { manifests: Some(_), .. } => Some(media::OCI_INDEX.to_owned()),
            Raw { config: Some(_), layers: Some(_), .. } => Some(media::OCI_MANIFEST.to_owned()),
            _ => None,
        }
    }

    /// Everything that it points to and that must travel with it, in order; the subject is not
    /// among them.
    pub fn children(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, list) = match self {
            Self::Index(index) => (None, &index.manifests),
            Self::Image(image) => (image.config.as_ref(), &image.layers),
        };
        config.into_iter().chain(list)
    }

    /// The manifest that it is attached to.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Index(index) => index.subject.as_ref(),
            Self::Image(image) => image.subject.as_ref(),
        }
    }
}

/// What sealift reads in an image configuration.
#[derive(Clone, Debug, Deserialize)]
pub struct ImageConfig {
    /// Operating system.
    #[serde(default)]
    pub os: String,
    /// Processor.
    #[serde(default)]
    pub architecture: String,
    /// Variant of the processor.
    #[serde(default)]
    pub variant: Option<String>,
    /// The layers, unpacked.
    #[serde(default)]
    pub rootfs: RootFs,
}

/// `rootfs` of an image configuration.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RootFs {
    /// Digests of the plain layers, base first.
    #[serde(default)]
    pub diff_ids: Vec<Digest>,
}

impl ImageConfig {
    /// Reads a configuration.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map_err(|e| Error::malformed("image configuration is not readable").because(e))
    }

    /// What the image runs on, where the configuration says.
    pub fn platform(&self) -> Option<Platform> {
        (!self.os.is_empty() && !self.architecture.is_empty()).then(|| Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone().filter(|v| !v.is_empty()),
            os_version: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = r#"{"mediaType":"x/y","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}"#;

    #[test]
    fn an_image_and_an_index_list_their_children() {
        let text = format!(r#"{{"schemaVersion":2,"config":{D},"layers":[{D},{D}]}}"#);
        let image = Manifest::parse(media::OCI_MANIFEST, text.as_bytes()).unwrap();
        assert_eq!(image.children().count(), 3);
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{D}],"subject":{D}}}"#);
        let index = Manifest::parse(media::OCI_INDEX, text.as_bytes()).unwrap();
        assert_eq!(index.children().count(), 1);
        assert!(index.subject().is_some());
    }

    #[test]
    fn confusion_is_refused() {
        for (media_type, text) in [
            (media::OCI_MANIFEST, format!(r#"{{"manifests":[{D}],"layers":[{D}]}}"#)),
            (media::OCI_MANIFEST, format!(r#"{{"manifests":[{D}]}}"#)),
            (media::OCI_INDEX, format!(r#"{{"config":{D},"layers":[{D}]}}"#)),
            (
                media::OCI_INDEX,
                format!(r#"{{"mediaType":"{}","manifests":[{D}]}}"#, media::OCI_MANIFEST),
            ),
            (media::DOCKER_MANIFEST, r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned()),
            (media::OCI_MANIFEST, "[]".to_owned()),
        ] {
            assert!(Manifest::parse(media_type, text.as_bytes()).is_err(), "{text} was taken");
        }
    }

    #[test]
    fn what_is_over_a_limit_or_lacks_something_is_refused_with_its_reason() {
        let many = vec![D; limits::DESCRIPTORS + 1].join(",");
        let large = D.replace("\"size\":0", &format!("\"size\":{}", limits::BLOB_BYTES + 1));
        for (media_type, text, says) in [
            (media::OCI_MANIFEST, " ".repeat(5 << 20), "longer than 4 MiB"),
            (media::OCI_MANIFEST, "{".to_owned(), "not readable"),
            (media::OCI_MANIFEST, format!(r#"{{"layers":[{D}]}}"#), "no config"),
            (media::OCI_MANIFEST, format!(r#"{{"config":{D}}}"#), "no layers"),
            (media::OCI_INDEX, "{}".to_owned(), "no manifests"),
            (media::OCI_INDEX, format!(r#"{{"manifests":[{many}]}}"#), "lists too many blobs"),
            (media::OCI_ARTIFACT, format!(r#"{{"blobs":[{many}]}}"#), "lists too many blobs"),
            (media::OCI_ARTIFACT, format!(r#"{{"blobs":[{large}]}}"#), "larger than any"),
            (
                media::OCI_MANIFEST,
                format!(r#"{{"config":{large},"layers":[]}}"#),
                "larger than any",
            ),
        ] {
            let error = Manifest::parse(media_type, text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), crate::model::Kind::Malformed, "{says}");
            assert!(error.message().ends_with(says), "{error}");
        }
        let artifact = format!(r#"{{"blobs":[{D},{D}],"subject":{D}}}"#);
        let artifact = Manifest::parse(media::OCI_ARTIFACT, artifact.as_bytes()).unwrap();
        assert_eq!((artifact.children().count(), artifact.subject().is_some()), (2, true));
    }

    #[test]
    fn bytes_of_unknown_type_say_what_they_are() {
        let sniff = |text: String| Manifest::sniff(text.as_bytes());
        let image = format!(r#"{{"config":{D},"layers":[]}}"#);
        assert_eq!(sniff(image).as_deref(), Some(media::OCI_MANIFEST));
        assert_eq!(sniff(format!(r#"{{"manifests":[{D}]}}"#)).as_deref(), Some(media::OCI_INDEX));
        assert_eq!(sniff(r#"{"mediaType":"a/b"}"#.to_owned()).as_deref(), Some("a/b"));
        for text in ["{}", "[]", "", &" ".repeat(5 << 20)] {
            assert_eq!(sniff(text.to_owned()), None);
        }
    }
}
