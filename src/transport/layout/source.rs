//! Images out of a layout directory.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::{Blobs, Listing, home_of};
use super::{INDEX, MARKER, blob_path, check_marker};
use crate::codec::checked::read_bounded;
use crate::codec::compression;
use crate::endpoint::{Attachment, Form, Root, Source, read_small};
use crate::model::{Descriptor, Digest, Error, Kind, Result, limits};

/// An OCI image layout directory as a source.
pub struct LayoutSource {
    /// The directory without links in its path, so that a blob can be seen to lie inside.
    directory: PathBuf,
    shown: String,
    listing: Listing,
    which: Option<String>,
}

impl LayoutSource {
    /// Opens the layout in `directory`; `which` picks one image by tag, name or digest.
    ///
    /// # Errors
    /// [`Kind::Usage`] where `directory` is no layout, [`Kind::Malformed`] where it says that it is
    /// one and cannot be read.
    pub fn open(directory: &Path, which: Option<String>) -> Result<Self> {
        let shown = format!("oci:{}", directory.display());
        let real = std::fs::canonicalize(directory)
            .map_err(|e| Error::io(format!("cannot open {shown}"), e))?;
        let marker = open_inside(&real, MARKER).map_err(|e| {
            Error::usage(format!("{shown} is no OCI image layout"))
                .because(e)
                .hint("a layout is a directory with the files oci-layout and index.json")
        })?;
        check_marker(&read_bounded(marker, limits::MANIFEST_BYTES, MARKER)?, &shown)?;
        let index = open_inside(&real, INDEX)
            .map_err(|e| Error::damaged(format!("{shown} has no index.json")).because(e))?;
        let index = read_bounded(index, limits::LAYOUT_INDEX_BYTES, INDEX)?;
        let listing = Listing::parse(&index, &shown, &home_of(&real))?;
        Ok(Self { directory: real, shown, listing, which })
    }

    fn blob(&self, digest: &Digest) -> Result<File> {
        open_inside(&self.directory, &blob_path(digest)).map_err(|e| {
            Error::damaged(format!("blob {digest} is not in {}", self.shown))
                .because(e)
                .hint("the layout is incomplete: make it again")
        })
    }
}

/// Opens a plain file below `directory`, which must be canonical; a link may not lead out.
pub(super) fn open_inside(directory: &Path, relative: &str) -> Result<File> {
    let path = directory.join(relative);
    let what = || format!("cannot open {}", path.display());
    let real = std::fs::canonicalize(&path).map_err(|e| Error::io(what(), e))?;
    if !real.starts_with(directory) {
        return Err(Error::malformed(format!("{} leads out of its layout", path.display())));
    }
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if !real.metadata().map_err(|e| Error::io(what(), e))?.is_file() {
        return Err(Error::new(Kind::Io, format!("{} is not a plain file", path.display())));
    }
    File::open(&real).map_err(|e| Error::io(what(), e))
}

impl Blobs for LayoutSource {
    fn has(&self, digest: &Digest) -> bool {
        self.directory.join(blob_path(digest)).exists()
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Arc<[u8]>> {
        read_small(self, descriptor, limits::MANIFEST_BYTES)
    }
}

impl Source for LayoutSource {
    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        self.listing.roots(self.which.as_deref(), true, self)
    }

    fn open(&self, blob: &Descriptor, form: Form) -> Result<Box<dyn Read + Send + '_>> {
        let file = self.blob(&blob.digest)?;
        let what = || format!("cannot read {} from {}", blob.digest, self.shown);
        let length = file.metadata().map_err(|e| Error::io(what(), e))?.len();
        if length != blob.size {
            return Err(Error::damaged(format!(
                "{} from {} is {length} bytes long, {} were described",
                blob.digest, self.shown, blob.size
            )));
        }
        match form {
            Form::Exact => Ok(Box::new(file)),
            Form::Plain => compression::open_detected(file)
                .map(|(_, reader)| reader)
                .map_err(|e| Error::from_io(what(), e)),
        }
    }

    fn attachments(&self, subject: &Descriptor) -> Result<Vec<Attachment>> {
        self.listing.attachments(&subject.digest, self)
    }
}
