//! A registry as a source: one image, everything below it and everything attached to it.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, OnceLock};

use super::client::{Client, Registry, lock};
use super::manifest::{self, Held, Named};
use super::scope::Scope;
use super::{blob, referrers};
use crate::endpoint::{Attachment, AttachmentKind, Form, Root, Source};
use crate::model::{Descriptor, Digest, Error, ImageName, Result};

/// The suffixes of the tags under which cosign files signatures, attestations and SBOMs (cosign,
/// `specs/SIGNATURE_SPEC.md`).
const COSIGN_SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// One image at a registry.
///
/// Manifests that were read once are kept, so that nothing is fetched twice and a tag that moves
/// in the middle gives one consistent image.
pub struct RegistrySource {
    client: Client,
    name: ImageName,
    root: OnceLock<Descriptor>,
    held: Mutex<HashMap<Digest, Held>>,
    /// Whether the registry lists referrers itself; not known before it was asked.
    lists_referrers: OnceLock<bool>,
}

impl RegistrySource {
    /// The image `name`, read through `client`. Nothing is asked yet.
    pub fn new(client: Client, name: ImageName) -> Self {
        Self {
            client,
            name,
            root: OnceLock::new(),
            held: Mutex::default(),
            lists_referrers: OnceLock::new(),
        }
    }

    /// The image.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    fn registry(&self) -> Result<Arc<Registry>> {
        self.client.registry(self.name.registry())
    }

    /// Reads a manifest, or finds it among those that were read.
    fn manifest(&self, named: Named<'_>) -> Result<Option<Held>> {
        if let Named::Digest(digest) = named
            && let Some(held) = lock(&self.held).get(digest)
        {
            return Ok(Some(held.clone()));
        }
        let repository = self.name.repository();
        let registry = self.registry()?;
        let held = manifest::get(&registry, repository, named, Scope::pull(repository))?;
        if let Some(held) = &held {
            lock(&self.held).insert(held.descriptor.digest, held.clone());
        }
        Ok(held)
    }

    fn missing(&self, what: &str) -> Error {
        let host = self.name.registry();
        Error::remote(format!("{what} is not at registry {host}")).hint(format!(
            "check the name and the tag; if it is private, sign in with `sealift login {host}`"
        ))
    }

    fn resolve(&self) -> Result<Descriptor> {
        let named = match (self.name.digest(), self.name.tag()) {
            (Some(digest), _) => Named::Digest(digest),
            (None, Some(tag)) => Named::Tag(tag),
            (None, None) => Named::Tag("latest"),
        };
        let held = self.manifest(named)?.ok_or_else(|| self.missing(&self.name.to_string()))?;
        Ok(held.descriptor)
    }

    /// What is filed under a tag next to the image, if anything.
    fn tagged(
        &self,
        tag: String,
        subject: &Descriptor,
        kind: fn(String) -> AttachmentKind,
    ) -> Result<Option<Attachment>> {
        Ok(self.manifest(Named::Tag(&tag))?.map(|held| Attachment {
            kind: kind(tag),
            descriptor: held.descriptor,
            subject: subject.digest,
        }))
    }
}

impl Source for RegistrySource {
    fn describe(&self) -> String {
        format!("registry {}", self.name.registry())
    }

    fn roots(&self) -> Result<Vec<Root>> {
        let descriptor = if let Some(descriptor) = self.root.get() {
            descriptor.clone()
        } else {
            let found = self.resolve()?;
            self.root.get_or_init(|| found).clone()
        };
        Ok(vec![Root {
            name: Some(self.name.clone()),
            descriptor,
            synthesized: false,
            from_index: None,
        }])
    }

    fn open(&self, blob: &Descriptor, form: Form) -> Result<Box<dyn Read + Send + '_>> {
        if form == Form::Plain {
            return Err(Error::usage(format!(
                "a registry gives {} only as it is stored",
                blob.digest
            )));
        }
        if blob.is_manifest() {
            let held = self.manifest(Named::Digest(&blob.digest))?.ok_or_else(|| {
                self.missing(&format!("manifest {} of {}", blob.digest, self.name))
            })?;
            return Ok(Box::new(Cursor::new(held.raw)));
        }
        let registry = self.registry()?;
        Ok(Box::new(blob::open(&registry, self.name.repository(), blob)?))
    }

    /// The registry's own list of referrers, or the index under the tag `sha256-<hex>` where it
    /// keeps none; and cosign's tags.
    fn attachments(&self, subject: &Descriptor) -> Result<Vec<Attachment>> {
        let registry = self.registry()?;
        let repository = self.name.repository();
        let mut found = Vec::new();
        let listed = match self.lists_referrers.get() {
            Some(false) => None,
            _ => referrers::list(&registry, repository, &subject.digest)?,
        };
        self.lists_referrers.get_or_init(|| listed.is_some());
        match listed {
            Some(list) => found.extend(list.into_iter().map(|descriptor| Attachment {
                kind: AttachmentKind::Referrer,
                descriptor,
                subject: subject.digest,
            })),
            None => found.extend(
                self.tagged(subject.digest.as_tag(), subject, AttachmentKind::FallbackIndex)?
                    // An image may have such a name by chance; a list of referrers is an index.
                    .filter(|attachment| {
                        crate::model::manifest::media::is_index(&attachment.descriptor.media_type)
                    }),
            ),
        }
        for suffix in COSIGN_SUFFIXES {
            let tag = format!("{}{suffix}", subject.digest.as_tag());
            found.extend(self.tagged(tag, subject, AttachmentKind::Tag)?);
        }
        Ok(found)
    }

    fn is_remote(&self) -> bool {
        true
    }
}
