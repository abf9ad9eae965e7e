//! Image archives: OCI layouts and docker's own form, inside a tar.
//!
//! ```text
//! open ──▶ plain tar  ──▶ ArchiveSource   headers walked once, blobs read where they lie
//!      └─▶ gzip, zstd ──▶ WrappedFeed     pass 1 lists, pass 2 delivers what is needed
//! daemon's save stream ─▶ read_saved      one pass
//! ```
//!
//! All three understand an archive the same way ([`resolve`]): a table of contents ([`catalog`]),
//! small JSON documents, and what is known about each layer. Every form that docker has written is
//! read: a directory for each layer (until 24), an OCI layout beside `manifest.json` (from 25 and
//! from the containerd store), and files at the top (skopeo, podman, crane).
//!
//! [`OciArchiveTarget`] and [`DockerArchiveTarget`] write archives in one go into a file that gets
//! its name when it is whole.

mod catalog;
pub(crate) mod docker_form;
mod docker_target;
mod feed;
mod file;
mod oci_target;
pub(crate) mod portion;
mod resolve;
mod source;
mod stream;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::codec::compression::Compression;
use crate::endpoint::Origin;
use crate::model::{Error, Result};
use crate::transport::layout::index::home_of;

pub use docker_target::DockerArchiveTarget;
pub(crate) use feed::read_saved;
pub use oci_target::OciArchiveTarget;

/// Which form an archive is said to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// `oci-archive:`, an OCI layout.
    Oci,
    /// `docker-archive:`, what `docker save` writes, whichever version.
    Docker,
}

impl ArchiveKind {
    /// The name as it stands in front of the path.
    pub const fn transport(self) -> &'static str {
        match self {
            Self::Oci => "oci-archive",
            Self::Docker => "docker-archive",
        }
    }
}

/// Opens an archive; `which` picks one image by name, tag or digest. A plain tar is a source; one
/// that is compressed as a whole is read through once here, and once more when it is run.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) where the file cannot be read,
/// [`Kind::Usage`](crate::model::Kind::Usage) where `which` is not in it,
/// [`Kind::Damaged`](crate::model::Kind::Damaged) and
/// [`Kind::Malformed`](crate::model::Kind::Malformed) where it is not what it should be.
pub fn open(path: &Path, kind: ArchiveKind, which: Option<&str>) -> Result<Origin> {
    let place = format!("{}:{}", kind.transport(), path.display());
    let fail = |e| Error::io(format!("cannot read {}", path.display()), e);
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if !metadata.is_file() {
        return Err(Error::usage(format!("{} is not a plain file", path.display())).hint(
            if metadata.is_dir() {
                "use oci: for a layout directory"
            } else {
                "save it to a file first"
            },
        ));
    }
    let mut file = File::open(path).map_err(fail)?;
    let mut head = Vec::new();
    (&mut file).take(6).read_to_end(&mut head).map_err(fail)?;
    file.rewind().map_err(fail)?;
    let question = resolve::Question { kind, which, home: &home_of(path), attachments: true };
    match (Compression::detect(&head), head.as_slice()) {
        (Compression::None, [0xfd, b'7', b'z', b'X', b'Z', 0]) => Err(foreign(&place, "xz")),
        (Compression::None, [b'B', b'Z', b'h', ..]) => Err(foreign(&place, "bzip2")),
        (Compression::None, _) => {
            source::ArchiveSource::open(file, place, question).map(|s| Origin::Source(Box::new(s)))
        }
        (compression, _) => {
            // A feed has no second look, so signatures travel as images of their own.
            let question = resolve::Question { attachments: false, ..question };
            feed::WrappedFeed::open(file, compression, &place, question)
                .map(|feed| Origin::Feed(Box::new(feed)))
        }
    }
}

fn foreign(place: &str, tool: &str) -> Error {
    Error::malformed(format!("{place} is compressed with {tool}"))
        .hint(format!("unpack it first with {tool} -d; gzip and zstd are read as they are"))
}
