//! The table of contents of an archive: which files it has, by name, and where.
//!
//! Names are only ever keys here; nothing is opened or made on a file system by them.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use crate::codec::compression::Compression;
use crate::codec::tarball::{Member, MemberKind};
use crate::endpoint::Plain;
use crate::model::manifest::{ImageConfig, Manifest};
use crate::model::{Digest, Error, Result, limits};

/// Links that are followed from one name; docker's point straight at a file.
const LINKS: usize = 4;

/// JSON of at most this many bytes is held while a stream goes by. Configurations and manifests
/// are never longer.
const DOCUMENT_BYTES: u64 = limits::MANIFEST_BYTES;

/// JSON under this size is held without asking what it is.
const SMALL_BYTES: u64 = 64 << 10;

/// Bytes up to which a file is read as a document.
pub(super) fn longest(path: &str) -> u64 {
    match path {
        crate::transport::layout::INDEX | super::docker_form::MANIFEST => {
            limits::LAYOUT_INDEX_BYTES
        }
        _ => DOCUMENT_BYTES,
    }
}

/// A file in the archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    /// Where its content begins, in bytes from the start of the tar.
    pub(super) at: u64,
    /// Bytes of content.
    pub(super) size: u64,
}

#[derive(Debug)]
enum Entry {
    File(Stored),
    Link(String),
}

/// What is known about the bytes of a file that is a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Bytes as stored.
    pub(super) size: u64,
    /// How they are compressed.
    pub(super) compression: Compression,
    /// Their digest, where they were hashed.
    pub(super) digest: Option<Digest>,
    /// What they are when opened, where that was looked at.
    pub(super) plain: Option<Plain>,
}

/// The files and links of an archive.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    entries: HashMap<String, Entry>,
    names: usize,
}

impl Catalog {
    /// Takes a member into account. Gives its name as it is known from now on, if it is a file
    /// whose content may matter and that has not been met before.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) for names that lead out of the archive,
    /// files that stand twice, and archives over the limits.
    pub(super) fn add(&mut self, member: &Member) -> Result<Option<String>> {
        let (entry, is_file) = match &member.kind {
            MemberKind::File => (Entry::File(Stored { at: member.at, size: member.size }), true),
            MemberKind::Symlink(to) => {
                let folder = member.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                (Entry::Link(format!("{folder}/{to}")), false)
            }
            MemberKind::HardLink(to) => (Entry::Link(to.clone()), false),
            MemberKind::Other => return Ok(None),
        };
        let path = normal(&member.path)?;
        if is_noise(&path) {
            return Ok(None);
        }
        self.names += path.len();
        if let Entry::Link(to) = &entry {
            self.names += to.len();
        }
        if self.entries.len() >= limits::ARCHIVE_ENTRIES || self.names > limits::ARCHIVE_NAMES_BYTES
        {
            return Err(Error::malformed("archive has too many entries"));
        }
        match self.entries.entry(path.clone()) {
            Slot::Vacant(slot) => {
                slot.insert(entry);
                Ok(is_file.then_some(path))
            }
            // The same blob twice is one blob: its name says what it must hold.
            Slot::Occupied(_) if blob_in(&path).is_some() => Ok(None),
            Slot::Occupied(_) => Err(Error::malformed(format!("archive has {path} twice"))
                .hint("readers disagree about which one counts: make the archive again")),
        }
    }

    /// The file that a name means, links followed inside the archive, and its own name.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) for links that lead out or in circles.
    pub(super) fn file(&self, name: &str) -> Result<Option<(String, Stored)>> {
        let mut name = normal(name)?;
        for _ in 0..=LINKS {
            match self.entries.get(&name) {
                None => return Ok(None),
                Some(Entry::File(stored)) => return Ok(Some((name, *stored))),
                Some(Entry::Link(to)) => name = normal(to)?,
            }
        }
        Err(Error::malformed(format!("archive has too long a chain of links at {name}")))
    }

    /// The file of a blob.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<(String, Stored)>> {
        self.file(&crate::transport::layout::blob_path(digest))
    }
}

/// A name without `./`, doubled slashes and `..`.
fn normal(name: &str) -> Result<String> {
    let leads_out = || {
        Error::malformed(format!("archive entry {name:?} leads out of the archive"))
            .hint("no image tool writes that: do not trust where it comes from")
    };
    // A link is joined to its folder by a slash, which is then in front where the folder is empty.
    let rooted = name.strip_prefix('/').unwrap_or(name);
    let mut parts: Vec<&str> = Vec::new();
    for part in rooted.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(leads_out)?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// What old saves hold beside each layer, and nobody reads.
fn is_noise(path: &str) -> bool {
    path.ends_with("/VERSION") || path.ends_with("/json")
}

/// The digest that a name of the form `blobs/ALGORITHM/HEX` promises.
pub(super) fn blob_in(path: &str) -> Option<Digest> {
    let (algorithm, hex) = path.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// Small JSON files, held while a stream goes by.
#[derive(Debug, Default)]
pub(super) struct Documents {
    held: HashMap<String, Arc<[u8]>>,
    bytes: u64,
}

impl Documents {
    /// Whether a file of this size may be one at all, so that it is worth reading whole.
    pub(super) fn may_be(path: &str, size: u64) -> bool {
        size <= longest(path)
    }

    /// Holds `bytes` if they are a JSON document that may be needed to understand the archive.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) over [`limits::HELD_DOCUMENTS_BYTES`].
    pub(super) fn offer(&mut self, path: &str, bytes: &[u8]) -> Result<bool> {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if !matches!(first, Some(b'{' | b'['))
            || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_err()
        {
            return Ok(false);
        }
        // Big JSON blobs are mostly SBOMs and attestations: content, not table of contents.
        if bytes.len() as u64 > SMALL_BYTES && blob_in(path).is_some() && !is_structure(bytes) {
            return Ok(false);
        }
        self.bytes += bytes.len() as u64;
        if self.bytes > limits::HELD_DOCUMENTS_BYTES {
            return Err(Error::malformed(format!(
                "archive holds more than {} bytes of JSON",
                limits::HELD_DOCUMENTS_BYTES
            ))
            .hint("take fewer images at once"));
        }
        self.held.insert(path.to_owned(), bytes.into());
        Ok(true)
    }

    /// A document by its name.
    pub(super) fn get(&self, path: &str) -> Option<Arc<[u8]>> {
        self.held.get(path).cloned()
    }
}

fn is_structure(bytes: &[u8]) -> bool {
    Manifest::sniff(bytes).is_some()
        || ImageConfig::parse(bytes).is_ok_and(|config| !config.os.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn member(path: &str, kind: MemberKind) -> Member {
        Member { path: path.to_owned(), kind, size: 1, at: 512 }
    }

    #[test]
    fn links_stay_inside() {
        let mut catalog = Catalog::default();
        for (path, kind) in [
            ("./a/layer.tar", MemberKind::File),
            ("b/layer.tar", MemberKind::Symlink("../a/layer.tar".into())),
            ("c/layer.tar", MemberKind::HardLink("b/layer.tar".into())),
            ("out/layer.tar", MemberKind::Symlink("../../etc/passwd".into())),
            ("loop1", MemberKind::Symlink("loop2".into())),
            ("loop2", MemberKind::Symlink("loop1".into())),
        ] {
            catalog.add(&member(path, kind)).unwrap();
        }
        assert_eq!(catalog.file("c/layer.tar").unwrap().unwrap().0, "a/layer.tar");
        assert_eq!(catalog.file("out/layer.tar").unwrap_err().kind(), Kind::Malformed);
        assert_eq!(catalog.file("loop1").unwrap_err().kind(), Kind::Malformed);
        assert!(catalog.file("gone").unwrap().is_none());
    }

    #[test]
    fn names_that_lead_out_and_doubled_files_are_refused() {
        let mut catalog = Catalog::default();
        for path in ["../x", "a/../../x", "/../x"] {
            let error = catalog.add(&member(path, MemberKind::File)).unwrap_err();
            assert_eq!(error.kind(), Kind::Malformed, "{path}");
        }
        catalog.add(&member("manifest.json", MemberKind::File)).unwrap();
        assert!(catalog.add(&member("./manifest.json", MemberKind::File)).is_err());
        let blob = crate::transport::layout::blob_path(&Digest::of(b"x"));
        assert!(catalog.add(&member(&blob, MemberKind::File)).unwrap().is_some());
        assert!(catalog.add(&member(&blob, MemberKind::File)).unwrap().is_none());
    }

    #[test]
    fn only_json_is_held_and_not_without_end() {
        let mut documents = Documents::default();
        assert!(documents.offer("a", b" {\"x\":1}").unwrap());
        assert!(!documents.offer("b", b"{not json").unwrap());
        let sbom = format!("{{\"x\":\"{}\"}}", "y".repeat(100_000));
        let blob = crate::transport::layout::blob_path(&Digest::of(b"x"));
        assert!(!documents.offer(&blob, sbom.as_bytes()).unwrap());
        let big = format!("[\"{}\"]", "y".repeat(4_000_000));
        let refused =
            (0..20).any(|n| documents.offer(&format!("{n}.json"), big.as_bytes()).is_err());
        assert!(refused);
    }
}
