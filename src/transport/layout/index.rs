//! What an `index.json` says: which images it lists, under which names, and what is attached to
//! them.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;

use crate::endpoint::{Attachment, AttachmentKind, Root};
use crate::model::manifest::media;
use crate::model::{Descriptor, Digest, Error, ImageName, Manifest, Result, json, limits};

/// The name of an image, or its tag alone (OCI image specification, annotations.md).
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The whole name of an image, as containerd, docker and podman write it.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";

/// The blobs among which the listed manifests lie.
pub(crate) trait Blobs {
    /// Whether the blob is there.
    fn has(&self, digest: &Digest) -> bool;

    /// The bytes of a manifest, its size and digest checked.
    fn manifest(&self, descriptor: &Descriptor) -> Result<Arc<[u8]>>;
}

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// The manifest, without its annotations.
    pub(crate) descriptor: Descriptor,
    /// Its names as written.
    pub(crate) labels: Vec<String>,
    /// Its name as understood.
    pub(crate) name: Option<ImageName>,
}

/// The entries of one `index.json`.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    entries: Vec<Listed>,
    place: String,
}

#[derive(Deserialize)]
struct Raw {
    manifests: Vec<Descriptor>,
}

impl Listing {
    /// Reads an `index.json`. `place` is for messages; `home` is what images are called that have
    /// only a tag.
    pub(crate) fn parse(bytes: &[u8], place: &str, home: &str) -> Result<Self> {
        let raw: Raw = json::parse_strict(bytes, &format!("index.json of {place}"))?;
        if raw.manifests.len() > limits::LISTED_IMAGES {
            return Err(Error::malformed(format!("{place} lists too many images")));
        }
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        for mut descriptor in raw.manifests {
            let annotations = std::mem::take(&mut descriptor.annotations);
            let label = |key| annotations.get(key).filter(|text| !text.is_empty()).cloned();
            let labels: Vec<String> =
                [label(IMAGE_NAME), label(REF_NAME)].into_iter().flatten().collect();
            let name = name_of(label(IMAGE_NAME).as_deref(), label(REF_NAME).as_deref(), home);
            descriptor.urls.clear();
            if seen.insert((descriptor.digest, name.clone())) {
                entries.push(Listed { descriptor, labels, name });
            }
        }
        Ok(Self { entries, place: place.to_owned() })
    }

    /// Every entry.
    pub(crate) fn entries(&self) -> &[Listed] {
        &self.entries
    }

    /// The images that `which` means, all of them without it. With `attachments`, what is attached
    /// to another image of the listing is no image of its own, unless it is asked for.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where `which` is not listed.
    pub(crate) fn roots(
        &self,
        which: Option<&str>,
        attachments: bool,
        blobs: &dyn Blobs,
    ) -> Result<Vec<Root>> {
        let mut roots = Vec::new();
        for entry in self.selected(which, attachments, blobs)? {
            expand(entry, blobs, &self.place, &mut roots)?;
        }
        Ok(roots)
    }

    fn selected(
        &self,
        which: Option<&str>,
        attachments: bool,
        blobs: &dyn Blobs,
    ) -> Result<Vec<&Listed>> {
        let Some(which) = which else {
            let mut all = Vec::new();
            for entry in &self.entries {
                if !attachments || !Self::is_attached(entry, blobs)? {
                    all.push(entry);
                }
            }
            return Ok(all);
        };
        let found: Vec<&Listed> =
            self.entries.iter().filter(|entry| entry.answers_to(which)).collect();
        if found.is_empty() {
            return Err(self.not_found(which));
        }
        Ok(found)
    }

    /// The error for a name that is not there; the hint says what is.
    pub(crate) fn not_found(&self, which: &str) -> Error {
        let names = self.entries.iter().map(|entry| match (entry.labels.first(), &entry.name) {
            (Some(label), _) => label.clone(),
            (None, Some(name)) => name.to_string(),
            (None, None) => entry.descriptor.digest.to_string(),
        });
        no_such_image(which, &self.place, names)
    }

    /// What is attached to `subject`: by a tag made of its digest, or by the `subject` field.
    pub(crate) fn attachments(
        &self,
        subject: &Digest,
        blobs: &dyn Blobs,
    ) -> Result<Vec<Attachment>> {
        let mut found = Vec::new();
        for entry in &self.entries {
            let kind = match attached_by_tag(entry) {
                Some((digest_tag, kind)) if digest_tag == subject.as_tag() => kind,
                Some(_) => continue,
                None => match subject_of(entry, blobs)? {
                    Some(of) if of == *subject => AttachmentKind::Referrer,
                    _ => continue,
                },
            };
            if found.len() >= limits::ATTACHMENTS {
                return Err(Error::malformed(format!("too much is attached to {subject}")));
            }
            let descriptor = entry.descriptor.clone();
            found.push(Attachment { kind, descriptor, subject: *subject });
        }
        Ok(found)
    }

    /// Whether an entry only belongs to another manifest that is here too.
    fn is_attached(entry: &Listed, blobs: &dyn Blobs) -> Result<bool> {
        if let Some((digest_tag, _)) = attached_by_tag(entry) {
            let digest = digest_tag.replacen('-', ":", 1).parse::<Digest>();
            return Ok(digest.is_ok_and(|digest| blobs.has(&digest)));
        }
        Ok(subject_of(entry, blobs)?.is_some_and(|subject| blobs.has(&subject)))
    }
}

impl Listed {
    fn answers_to(&self, which: &str) -> bool {
        self.labels.iter().any(|label| label == which)
            || self.descriptor.digest.to_string() == which.trim_start_matches('@')
            || self.name.as_ref().is_some_and(|name| {
                name.tag() == Some(which) || which.parse::<ImageName>().is_ok_and(|w| w == *name)
            })
    }
}

/// The error for an image that a place does not hold.
pub(crate) fn no_such_image(
    which: &str,
    place: &str,
    names: impl Iterator<Item = String>,
) -> Error {
    const SHOWN: usize = 10;
    let mut names: Vec<String> = names.take(SHOWN + 1).collect();
    if names.len() > SHOWN {
        names.truncate(SHOWN);
        names.push("…".to_owned());
    }
    Error::usage(format!("{which} is not in {place}")).hint(if names.is_empty() {
        "it holds no images".to_owned()
    } else {
        format!("it holds {}", names.join(", "))
    })
}

fn name_of(whole: Option<&str>, reference: Option<&str>, home: &str) -> Option<ImageName> {
    if let Some(name) = whole.and_then(|text| text.parse().ok()) {
        return Some(name);
    }
    let reference = reference?;
    if reference.contains(['/', ':']) {
        return reference.parse().ok();
    }
    ImageName::from_parts("localhost", home, Some(reference), None).ok()
}

/// What images of a place are called that have only a tag: the last part of its path, reduced to
/// what a repository may be called.
pub(crate) fn home_of(path: &std::path::Path) -> String {
    let stem = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let stem = if stem.is_dir() { stem.file_name() } else { stem.file_stem() };
    let text = stem.map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let mut home = String::new();
    for part in text.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()) {
        if !part.is_empty() {
            if !home.is_empty() {
                home.push('-');
            }
            home.push_str(part);
        }
    }
    if home.is_empty() { "image".to_owned() } else { home }
}

/// The tag of the subject and the manner, where an entry is tagged as cosign and the referrers
/// fallback tag what belongs to a digest.
fn attached_by_tag(entry: &Listed) -> Option<(String, AttachmentKind)> {
    let tag = entry.name.as_ref()?.tag()?;
    let (stem, suffix) = tag.split_once('.').map_or((tag, None), |(stem, s)| (stem, Some(s)));
    let digest: Digest = stem.replacen('-', ":", 1).parse().ok()?;
    match suffix {
        None if media::is_index(&entry.descriptor.media_type) => {
            Some((digest.as_tag(), AttachmentKind::FallbackIndex(tag.to_owned())))
        }
        Some("sig" | "att" | "sbom") => {
            Some((digest.as_tag(), AttachmentKind::Tag(tag.to_owned())))
        }
        _ => None,
    }
}

/// The subject of an entry's manifest. Only entries without a name are looked into: what has a
/// name is an image that somebody wanted by that name.
fn subject_of(entry: &Listed, blobs: &dyn Blobs) -> Result<Option<Digest>> {
    if entry.name.is_some() || !entry.descriptor.is_manifest() {
        return Ok(None);
    }
    let raw = blobs.manifest(&entry.descriptor)?;
    let manifest = Manifest::parse(&entry.descriptor.media_type, &raw)?;
    Ok(manifest.subject().map(|subject| subject.digest))
}

/// The entry as one root; or, where it is an index of which only some children are here, those
/// children as images of their own.
fn expand(entry: &Listed, blobs: &dyn Blobs, place: &str, roots: &mut Vec<Root>) -> Result<()> {
    let missing = |digest: &Digest| {
        Error::damaged(format!("manifest {digest} is listed by {place} and is not in it"))
            .hint("the place is incomplete: make it again")
    };
    let root = |descriptor: &Descriptor, from_index| Root {
        name: entry.name.clone(),
        descriptor: Descriptor {
            annotations: std::collections::BTreeMap::new(),
            ..descriptor.clone()
        },
        synthesized: false,
        from_index,
        origin: None,
    };
    if !blobs.has(&entry.descriptor.digest) {
        return Err(missing(&entry.descriptor.digest));
    }
    let mut present = Vec::new();
    let mut complete = true;
    survey(&entry.descriptor, blobs, 0, &mut present, &mut complete)?;
    if complete {
        roots.push(root(&entry.descriptor, None));
        return Ok(());
    }
    if present.is_empty() {
        return Err(Error::damaged(format!(
            "index {} is in {place}, but none of the images that it lists is",
            entry.descriptor.digest
        ))
        .hint("the place is incomplete: make it again"));
    }
    roots.extend(present.iter().map(|child| root(child, Some(entry.descriptor.digest))));
    Ok(())
}

/// Collects the runnable images that are here below an index, and whether any manifest is not.
fn survey(
    descriptor: &Descriptor,
    blobs: &dyn Blobs,
    depth: usize,
    present: &mut Vec<Descriptor>,
    complete: &mut bool,
) -> Result<()> {
    if !media::is_index(&descriptor.media_type) {
        return Ok(());
    }
    if depth >= limits::GRAPH_DEPTH || present.len() > limits::GRAPH_NODES {
        return Err(Error::malformed(format!("{} nests too deep", descriptor.digest)));
    }
    let raw = blobs.manifest(descriptor)?;
    let Manifest::Index(index) = Manifest::parse(&descriptor.media_type, &raw)? else {
        return Ok(());
    };
    for child in index.manifests.iter().filter(|child| child.is_manifest()) {
        if !blobs.has(&child.digest) {
            *complete = false;
        } else if media::is_index(&child.media_type) {
            survey(child, blobs, depth + 1, present, complete)?;
        } else if !child.platform.as_ref().is_some_and(crate::model::Platform::is_unknown)
            && !present.iter().any(|known| known.digest == child.digest)
        {
            present.push(child.clone());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[derive(Default)]
    struct Held(HashMap<Digest, Arc<[u8]>>);

    impl Held {
        fn add(&mut self, media_type: &str, value: &serde_json::Value) -> Descriptor {
            let bytes = value.to_string().into_bytes();
            let descriptor = Descriptor::of(media_type, &bytes);
            self.0.insert(descriptor.digest, bytes.into());
            descriptor
        }
    }

    impl Blobs for Held {
        fn has(&self, digest: &Digest) -> bool {
            self.0.contains_key(digest)
        }
        fn manifest(&self, descriptor: &Descriptor) -> Result<Arc<[u8]>> {
            Ok(self.0[&descriptor.digest].clone())
        }
    }

    fn image(held: &mut Held, seed: &str) -> Descriptor {
        let config = Descriptor::of(media::OCI_CONFIG, seed.as_bytes());
        held.add(
            media::OCI_MANIFEST,
            &serde_json::json!({"schemaVersion": 2, "config": config, "layers": []}),
        )
    }

    fn listing(entries: &[(&Descriptor, &[(&str, &str)])]) -> Listing {
        let manifests: Vec<Descriptor> = entries
            .iter()
            .map(|(descriptor, annotations)| {
                let mut descriptor = (*descriptor).clone();
                for (key, value) in *annotations {
                    descriptor.annotations.insert((*key).to_owned(), (*value).to_owned());
                }
                descriptor
            })
            .collect();
        let bytes = crate::model::graph::layout_index(&manifests);
        Listing::parse(&bytes, "oci:test", "home").unwrap()
    }

    /// Annotations, and the name that they give.
    type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);

    #[test]
    fn names_come_from_either_annotation() {
        let mut held = Held::default();
        let one = image(&mut held, "1");
        let cases: [Case<'_>; 6] = [
            (
                &[(IMAGE_NAME, "docker.io/library/app:2"), (REF_NAME, "2")],
                Some("docker.io/library/app:2"),
            ),
            (&[(REF_NAME, "h.example/a/b:1")], Some("h.example/a/b:1")),
            (&[(REF_NAME, "app:1")], Some("docker.io/library/app:1")),
            (&[(REF_NAME, "1.2")], Some("localhost/home:1.2")),
            (&[], None),
            (&[(REF_NAME, "a b")], None),
        ];
        for (annotations, expected) in cases {
            let listing = listing(&[(&one, annotations)]);
            let name = listing.entries()[0].name.as_ref().map(ToString::to_string);
            assert_eq!(name.as_deref(), expected);
        }
    }

    #[test]
    fn one_is_found_by_tag_name_or_digest_and_the_others_are_named_in_the_hint() {
        let mut held = Held::default();
        let (one, two) = (image(&mut held, "1"), image(&mut held, "2"));
        let listing =
            listing(&[(&one, &[(REF_NAME, "h.example/a:1")]), (&two, &[(REF_NAME, "2")])]);
        let digest = two.digest.to_string();
        for (which, expected) in [
            ("h.example/a:1", &one),
            ("1", &one),
            ("2", &two),
            ("localhost/home:2", &two),
            (&digest, &two),
        ] {
            let roots = listing.roots(Some(which), true, &held).unwrap();
            assert_eq!(roots.len(), 1, "{which}");
            assert_eq!(roots[0].descriptor.digest, expected.digest, "{which}");
        }
        let error = listing.roots(Some("3"), true, &held).unwrap_err();
        assert_eq!(error.get_hint(), Some("it holds h.example/a:1, 2"));
        assert_eq!(listing.roots(None, true, &held).unwrap().len(), 2);
    }

    #[test]
    fn signatures_are_attachments_and_no_images() {
        let mut held = Held::default();
        let one = image(&mut held, "1");
        let signature = image(&mut held, "sig");
        let config = Descriptor::of("application/vnd.example", b"{}");
        let referrer = held.add(
            media::OCI_MANIFEST,
            &serde_json::json!({"schemaVersion": 2, "config": config, "layers": [], "subject": one}),
        );
        let tag = format!("h.example/a:{}.sig", one.digest.as_tag());
        let listing = listing(&[
            (&one, &[(REF_NAME, "h.example/a:1")]),
            (&signature, &[(REF_NAME, &tag)]),
            (&referrer, &[]),
        ]);
        let roots = listing.roots(None, true, &held).unwrap();
        assert_eq!(roots.len(), 1);
        let attached = listing.attachments(&one.digest, &held).unwrap();
        assert_eq!(attached.len(), 2);
        assert_eq!(attached[1].kind, AttachmentKind::Referrer);
        held.0.remove(&one.digest);
        assert!(
            matches!(listing.roots(Some("1"), true, &held), Err(e) if e.kind() == crate::model::Kind::Damaged)
        );
    }

    #[test]
    fn a_sparse_index_gives_the_children_that_are_there() {
        let mut held = Held::default();
        let (here, gone) = (image(&mut held, "1"), image(&mut held, "2"));
        let index = held.add(
            media::OCI_INDEX,
            &serde_json::json!({"schemaVersion": 2, "manifests": [here, gone]}),
        );
        let listing = listing(&[(&index, &[(REF_NAME, "h.example/a:1")])]);
        assert_eq!(listing.roots(None, true, &held).unwrap()[0].from_index, None);
        held.0.remove(&gone.digest);
        let roots = listing.roots(None, true, &held).unwrap();
        assert_eq!(roots.len(), 1);
        assert_eq!(roots[0].from_index, Some(index.digest));
        assert_eq!(roots[0].descriptor.digest, here.digest);
        held.0.remove(&here.digest);
        assert!(listing.roots(None, true, &held).is_err());
    }

    #[test]
    fn a_home_is_a_fit_repository() {
        for (path, home) in
            [("/a/My Images.tar", "my-images"), ("/x/...", "image"), ("b_c/", "b-c")]
        {
            assert_eq!(home_of(std::path::Path::new(path)), home);
        }
    }
}
