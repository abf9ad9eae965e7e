//! An authentic bundle is a source like any other.

use std::io::{BufReader, Read};

use super::blob::{body, rebuild};
use super::manifest::Attached;
use super::reader::{Authentic, Bundle};
use super::recipe::{Body, Encoding};
use crate::codec::checked::VerifiedReader;
use crate::codec::compression::{self, Compression};
use crate::endpoint::{Attachment, AttachmentKind, Form, Plain, Root, Source};
use crate::model::{Descriptor, Digest, Error, Result};

impl Attached {
    /// As the manifest of a bundle writes it.
    pub fn new(attachment: &Attachment) -> Self {
        let (kind, tag) = match &attachment.kind {
            AttachmentKind::Tag(tag) => ("tag", Some(tag)),
            AttachmentKind::Referrer => ("referrer", None),
            AttachmentKind::FallbackIndex(tag) => ("fallback-index", Some(tag)),
        };
        Self {
            kind: kind.to_owned(),
            tag: tag.cloned(),
            subject: attachment.subject,
            root: (&attachment.descriptor).into(),
        }
    }

    /// As it was at its source.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) for a kind that is not known.
    pub fn attachment(&self) -> Result<Attachment> {
        let kind = match (self.kind.as_str(), &self.tag) {
            ("tag", Some(tag)) => AttachmentKind::Tag(tag.clone()),
            ("referrer", None) => AttachmentKind::Referrer,
            ("fallback-index", Some(tag)) => AttachmentKind::FallbackIndex(tag.clone()),
            _ => {
                return Err(Error::malformed(format!(
                    "the bundle attaches {} in a way that this version of sealift does not know: {:?}",
                    self.root.digest, self.kind
                )));
            }
        };
        Ok(Attachment { kind, descriptor: self.root.descriptor(), subject: self.subject })
    }
}

impl Source for Bundle<Authentic> {
    fn describe(&self) -> String {
        format!("bundle {}", self.title())
    }

    fn roots(&self) -> Result<Vec<Root>> {
        let images = &self.contents().manifest.images;
        Ok(images
            .iter()
            .map(|image| Root {
                name: image.name.clone(),
                descriptor: Descriptor {
                    platform: match image.platforms.as_slice() {
                        [only] => Some(only.clone()),
                        _ => None,
                    },
                    ..image.root.descriptor()
                },
                synthesized: image.synthesized,
                from_index: image.from_index,
                origin: image.origin.clone(),
            })
            .collect())
    }

    fn open(&self, blob: &Descriptor, form: Form) -> Result<Box<dyn Read + Send + '_>> {
        let entry = self.contents().index.blob(&blob.digest).ok_or_else(|| {
            Error::damaged(format!("{} does not hold {}", self.describe(), blob.digest))
        })?;
        if form == Form::Plain
            && (matches!(entry.recipe.encoding, Encoding::Gzip { .. })
                || matches!(entry.recipe.body, Body::Base(_)))
        {
            return body(self, entry);
        }
        let exact = rebuild(self, entry)?;
        if form == Form::Exact || entry.plain.is_none() {
            return Ok(exact);
        }
        let exact = VerifiedReader::new(exact, entry.digest, entry.size, self.describe());
        let mut exact = BufReader::with_capacity(256 << 10, exact);
        let head = std::io::BufRead::fill_buf(&mut exact)
            .map_err(|e| Error::from_io(format!("cannot read {}", blob.digest), e))?;
        let form = Compression::detect(head);
        compression::open(form, exact)
            .map_err(|e| Error::io(format!("cannot open layer {}", blob.digest), e))
    }

    fn plain(&self, layer: &Digest) -> Option<Plain> {
        self.contents().index.blob(layer)?.plain
    }

    fn attachments(&self, subject: &Descriptor) -> Result<Vec<Attachment>> {
        let attached = self.contents().manifest.images.iter().flat_map(|image| &image.attached);
        let mut found: Vec<Attachment> = Vec::new();
        for entry in attached.filter(|entry| entry.subject == subject.digest) {
            let attachment = entry.attachment()?;
            let same = |known: &Attachment| {
                known.descriptor.digest == attachment.descriptor.digest
                    && known.kind == attachment.kind
            };
            if !found.iter().any(same) {
                found.push(attachment);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn what_is_attached_is_read_as_it_was_written() {
        let attachment = |kind| Attachment {
            kind,
            descriptor: Descriptor::of("a/b", b"attached"),
            subject: Digest::of(b"image"),
        };
        for kind in [
            AttachmentKind::Tag("t".into()),
            AttachmentKind::Referrer,
            AttachmentKind::FallbackIndex("f".into()),
        ] {
            let original = attachment(kind);
            let again = Attached::new(&original).attachment().unwrap();
            assert_eq!((again.kind, again.subject), (original.kind, original.subject));
            assert_eq!(again.descriptor, original.descriptor);
        }
        let good = Attached::new(&attachment(AttachmentKind::Referrer));
        let tag = || Some("t".to_owned());
        for (kind, tag) in [
            ("pigeon", None),
            ("referrer", tag()),
            ("tag", None),
            ("fallback-index", None),
            ("Tag", tag()),
        ] {
            let odd = Attached { kind: kind.into(), tag, ..good.clone() };
            let error = odd.attachment().unwrap_err();
            assert_eq!(error.kind(), Kind::Malformed);
            assert!(error.message().ends_with(&format!("does not know: {kind:?}")), "{error}");
        }
    }
}
