//! A registry as a source: one image, everything below it and everything attached to it.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::{Mutex, OnceLock};

use super::client::{Client, lock};
use super::manifest::{self, Held, Named};
use super::route::Place;
use super::scope::Scope;
use super::{blob, referrers};
use crate::endpoint::{Attachment, AttachmentKind, Form, Root, Source};
use crate::model::{Descriptor, Digest, Error, ImageName, Kind, Result};

/// The suffixes of the tags under which cosign files signatures, attestations and SBOMs (cosign,
/// `specs/SIGNATURE_SPEC.md`).
const COSIGN_SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// One image at a registry.
///
/// Manifests that were read once are kept, so that nothing is fetched twice and a tag that moves
/// in the middle gives one consistent image.
///
/// An image is read from the first of its places that has it: mirrors in their order, then the
/// registry. What has a digest and is missing there is asked for at the places after it.
pub struct RegistrySource {
    client: Client,
    name: ImageName,
    /// The place that has it, and those after that.
    places: OnceLock<Vec<Place>>,
    notes: Mutex<Vec<String>>,
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
            places: OnceLock::new(),
            notes: Mutex::default(),
            root: OnceLock::new(),
            held: Mutex::default(),
            lists_referrers: OnceLock::new(),
        }
    }

    /// The image.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// The place that has the image, and those after it. Only where there are several is anything
    /// asked.
    fn places(&self) -> Result<&[Place]> {
        if let Some(places) = self.places.get() {
            return Ok(places);
        }
        let places = self.client.places(&self.name)?;
        if places.len() == 1 {
            return Ok(self.places.get_or_init(|| places));
        }
        self.find(places)?;
        Ok(self.places.get().map_or(&[], Vec::as_slice))
    }

    /// The place that has the image.
    fn place(&self) -> Result<&Place> {
        let first = self.places()?.first();
        first.ok_or_else(|| Error::usage(format!("{} has no place", self.name)))
    }

    /// Asks one place after the other, and stays with the first that has the image.
    fn find(&self, mut places: Vec<Place>) -> Result<Descriptor> {
        let mut failures = Vec::new();
        loop {
            let Some(place) = places.first() else {
                return Err(missing(&self.name, &self.name.to_string()));
            };
            let found = self.root_at(place);
            let Some(mirror) = &place.mirror else {
                let found = found.and_then(|held| {
                    held.ok_or_else(|| missing(&place.name, &place.name.to_string()))
                });
                let held = found.map_err(|error| with_mirrors(error, &failures))?;
                self.places.get_or_init(|| places);
                return Ok(held.descriptor);
            };
            let why = match found {
                Ok(Some(held)) => {
                    self.note(format!("reading from the mirror {mirror}"));
                    self.places.get_or_init(|| places);
                    return Ok(held.descriptor);
                }
                Ok(None) => format!("it does not have {}", place.name),
                Err(error) if is_passed_over(&error) => error.chain(),
                Err(error) => return Err(error),
            };
            self.note(format!("the mirror {mirror} is passed over: {why}"));
            failures.push(format!("mirror {}: {why}", mirror.location));
            places.remove(0);
        }
    }

    fn root_at(&self, place: &Place) -> Result<Option<Held>> {
        let named = match (self.name.digest(), self.name.tag()) {
            (Some(digest), _) => Named::Digest(digest),
            (None, Some(tag)) => Named::Tag(tag),
            (None, None) => Named::Tag("latest"),
        };
        self.manifest_at(place, named)
    }

    fn note(&self, text: String) {
        if self.client.is_news(&text) {
            lock(&self.notes).push(text);
        }
    }

    fn manifest_at(&self, place: &Place, named: Named<'_>) -> Result<Option<Held>> {
        let repository = place.name.repository();
        let registry = self.client.at(place)?;
        let held = manifest::get(&registry, repository, named, Scope::pull(repository))?;
        if let Some(held) = &held {
            lock(&self.held).insert(held.descriptor.digest, held.clone());
        }
        Ok(held)
    }

    /// Reads a manifest by its digest, or finds it among those that were read.
    fn manifest(&self, digest: &Digest) -> Result<Held> {
        if let Some(held) = lock(&self.held).get(digest) {
            return Ok(held.clone());
        }
        self.wherever(|place| {
            self.manifest_at(place, Named::Digest(digest))?.ok_or_else(|| {
                missing(&place.name, &format!("manifest {digest} of {}", place.name))
            })
        })
    }

    /// Reads what is named by its digest from the image's place, or from one of those after it.
    fn wherever<T>(&self, read: impl Fn(&Place) -> Result<T>) -> Result<T> {
        let mut places = self.places()?;
        loop {
            let place = places.first().ok_or_else(|| Error::usage("an image without a place"))?;
            match (read(place), &place.mirror) {
                (Err(error), Some(mirror)) if is_passed_over(&error) && places.len() > 1 => {
                    self.note(format!(
                        "the mirror {mirror} is passed over for a part: {}",
                        error.chain()
                    ));
                    places = &places[1..];
                }
                (read, _) => return read,
            }
        }
    }

    fn resolve(&self) -> Result<Descriptor> {
        if self.places.get().is_none() {
            let places = self.client.places(&self.name)?;
            return self.find(places);
        }
        let place = self.place()?;
        let held = self.root_at(place)?;
        let held = held.ok_or_else(|| missing(&place.name, &place.name.to_string()))?;
        Ok(held.descriptor)
    }

    /// What is filed under a tag next to the image, if anything.
    fn tagged(
        &self,
        tag: String,
        subject: &Descriptor,
        kind: fn(String) -> AttachmentKind,
    ) -> Result<Option<Attachment>> {
        Ok(self.manifest_at(self.place()?, Named::Tag(&tag))?.map(|held| Attachment {
            kind: kind(tag),
            descriptor: held.descriptor,
            subject: subject.digest,
        }))
    }
}

impl Source for RegistrySource {
    fn describe(&self) -> String {
        match self.places.get().and_then(|places| places.first()) {
            Some(Place { name, mirror: Some(_) }) => format!("mirror {}", name.registry()),
            Some(Place { name, mirror: None }) => format!("registry {}", name.registry()),
            None => format!("registry {}", self.name.registry()),
        }
    }

    fn roots(&self) -> Result<Vec<Root>> {
        let descriptor = if let Some(descriptor) = self.root.get() {
            descriptor.clone()
        } else {
            let found = self.resolve()?;
            self.root.get_or_init(|| found).clone()
        };
        let place = &self.place()?.name;
        Ok(vec![Root {
            name: Some(self.name.clone()),
            descriptor,
            synthesized: false,
            from_index: None,
            origin: (*place != self.name).then(|| place.clone()),
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
            return Ok(Box::new(Cursor::new(self.manifest(&blob.digest)?.raw)));
        }
        self.wherever(|place| -> Result<Box<dyn Read + Send>> {
            let registry = self.client.at(place)?;
            Ok(Box::new(blob::open(&registry, place.name.repository(), blob)?))
        })
    }

    /// The registry's own list of referrers, or the index under the tag `sha256-<hex>` where it
    /// keeps none; and cosign's tags.
    fn attachments(&self, subject: &Descriptor) -> Result<Vec<Attachment>> {
        let place = self.place()?;
        let registry = self.client.at(place)?;
        let repository = place.name.repository();
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

    fn notes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.notes))
    }
}

/// The error for something that a place does not have.
fn missing(place: &ImageName, what: &str) -> Error {
    let host = place.registry();
    Error::remote(format!("{what} is not at registry {host}")).hint(format!(
        "check the name and the tag; if it is private, sign in with `sealift login {host}`"
    ))
}

/// Whether another place may do better. What is wrong on this machine stays wrong.
fn is_passed_over(error: &Error) -> bool {
    !matches!(error.kind(), Kind::Usage | Kind::Io)
}

/// An error of the registry itself, after its mirrors had failed.
fn with_mirrors(error: Error, failures: &[String]) -> Error {
    if failures.is_empty() {
        return error;
    }
    let told = Error::new(
        error.kind(),
        format!("{}; before that, {}", error.chain(), failures.join("; ")),
    );
    match error.get_hint() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}
