//! What a place holds after an import: a line that names its type and version, then one JSON document.
//! It travels back in the receipt of the bundle, so that the next delta leaves out what really arrived,
//! and nothing else.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::index::Index;
use crate::model::{Digest, Error, Result, json, limits};

/// The first line of the member, with its line end. No manifest begins so, and no report.
const TYPE_LINE: &str = "sealift import 1\n";

/// What was imported of a bundle, to where. `docs/format.md`, section 6.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Digest of the manifest of the bundle.
    pub bundle: Digest,
    /// When the import was done, in seconds since 1970.
    pub imported: u64,
    /// Program and version that did it.
    pub generator: String,
    /// The machine on which it ran, as it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The place, as people call it.
    pub destination: String,
    /// The images that were brought.
    pub images: Vec<Landed>,
    /// Blobs that were sent.
    pub sent: Amount,
    /// Blobs that the place had.
    pub present: Amount,
    /// Blobs that the place had elsewhere and linked.
    pub linked: Amount,
    /// The blobs of the bundle that the place holds now, in ascending order.
    pub blobs: Vec<Digest>,
}

/// An image that was brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Landed {
    /// Its name in the bundle, or its digest where it has none.
    pub image: String,
    /// Its digest in the bundle.
    pub digest: Digest,
    /// Its name at the place.
    pub target: String,
    /// The digest that it was given there.
    pub target_digest: Digest,
    /// What the place said, asked once more at the end, that it has under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_back: Option<Digest>,
    /// Whether the name pointed there before.
    pub already: bool,
}

/// A number of blobs and their bytes, in the form in which the place takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// How many.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Statement {
    /// The bytes that are signed and stored.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) where they would pass the limit that
    /// readers hold them to.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = TYPE_LINE.as_bytes().to_vec();
        serde_json::to_writer_pretty(&mut bytes, self)
            .map_err(|e| Error::malformed("the import cannot be written down").because(e))?;
        bytes.push(b'\n');
        if bytes.len() as u64 > limits::STATEMENT_BYTES {
            return Err(Error::malformed("the receipt would have more than 16 MiB to say")
                .hint("import fewer images at once"));
        }
        Ok(bytes)
    }

    /// Reads the bytes back.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) for another type or version, and for what
    /// is no such document about the bundle with this digest.
    pub(super) fn parse(bytes: &[u8], bundle: &Digest) -> Result<Self> {
        let document = bytes.strip_prefix(TYPE_LINE.as_bytes()).ok_or_else(|| {
            Error::malformed("what the receipt says of an import is of another type or version")
                .hint("it may be from a newer sealift: use that version")
        })?;
        let statement: Self = json::parse_object(document, "what the receipt says of an import")?;
        if statement.bundle != *bundle {
            return Err(Error::malformed(format!(
                "the receipt speaks of an import of {}, and is of {bundle}",
                statement.bundle
            )));
        }
        if !statement.blobs.is_sorted_by(|a, b| a < b) {
            return Err(Error::malformed("the blobs that the receipt lists are out of order"));
        }
        Ok(statement)
    }

    /// The blobs that the place holds, all of which must be in the bundle.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) for one that is not.
    pub(super) fn held(&self, index: &Index) -> Result<HashSet<Digest>> {
        match self.blobs.iter().find(|digest| index.blob(digest).is_none()) {
            Some(digest) => Err(Error::malformed(format!(
                "the receipt lists {digest}, which is not in its bundle"
            ))),
            None => Ok(self.blobs.iter().copied().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::index::{BlobEntry, Borrowed};
    use crate::bundle::recipe::Body;
    use crate::model::Kind;

    fn sample() -> Statement {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let mut blobs = vec![digest("a"), digest("b")];
        blobs.sort();
        Statement {
            bundle: digest("bundle"),
            imported: 1000,
            generator: "sealift 1".into(),
            machine: None,
            destination: "registry.example/mirror".into(),
            images: vec![Landed {
                image: "registry.example/a:1".into(),
                digest: digest("root"),
                target: "registry.example/mirror/a:1".into(),
                target_digest: digest("root"),
                read_back: Some(digest("root")),
                already: false,
            }],
            sent: Amount { blobs: 2, bytes: 7 },
            present: Amount::default(),
            linked: Amount::default(),
            blobs,
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_for_its_bundle_only() {
        let (sample, bytes) = (sample(), sample().to_bytes().unwrap());
        assert_eq!(Statement::parse(&bytes, &sample.bundle).unwrap(), sample);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("sealift import 1\n{\n  \"bundle\": \"sha256:"), "{text}");
        let refused = |text: &str, bundle: &Digest| {
            Statement::parse(text.as_bytes(), bundle).unwrap_err().message().to_owned()
        };
        assert!(refused(&text, &Digest::of(b"x")).contains("speaks of an import of"));
        assert!(refused(&text.replace("import 1", "import 2"), &sample.bundle).contains("version"));
        let twice = text.replace("\"imported\": 1000", "\"imported\": 1000, \"imported\": 1001");
        assert!(refused(&twice, &sample.bundle).contains("not the JSON document"));
        let mut unsorted = sample.clone();
        unsorted.blobs.reverse();
        let bytes = unsorted.to_bytes().unwrap();
        let said = refused(&String::from_utf8(bytes).unwrap(), &sample.bundle);
        assert_eq!(said, "the blobs that the receipt lists are out of order");
        // All values in the right order, as the parser alone would take them.
        let document: serde_json::Value =
            serde_json::from_str(text.strip_prefix(TYPE_LINE).unwrap()).unwrap();
        let values: Vec<_> =
            ["bundle", "imported", "generator", "machine", "destination", "images"]
                .into_iter()
                .chain(["sent", "present", "linked", "blobs"])
                .map(|name| document[name].to_string())
                .collect();
        let array = format!("{TYPE_LINE}[{}]\n", values.join(","));
        let said = refused(&array, &sample.bundle);
        assert_eq!(said, "what the receipt says of an import is no JSON object");
    }

    #[test]
    fn none_is_written_that_no_reader_would_take() {
        let mut long = sample();
        long.destination = "x".repeat(17 << 20);
        let error = long.to_bytes().unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
        assert_eq!(error.get_hint(), Some("import fewer images at once"));
    }

    #[test]
    fn it_lists_blobs_of_its_bundle_alone() {
        let entry = |text: &str| BlobEntry {
            digest: Digest::of(text.as_bytes()),
            size: 1,
            plain: None,
            recipe: Body::Chunks(Vec::new()).into(),
        };
        let index = |names: &[&str]| {
            let blobs = names.iter().map(|name| entry(name)).collect();
            Index::new(&[], Vec::new(), Borrowed::default(), blobs)
        };
        let held = sample().held(&index(&["a", "b", "c"])).unwrap();
        assert_eq!(held, sample().blobs.into_iter().collect());
        let error = sample().held(&index(&["a", "c"])).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
        let missing = Digest::of(b"b");
        let says = format!("the receipt lists {missing}, which is not in its bundle");
        assert_eq!(error.message(), says);
    }
}
