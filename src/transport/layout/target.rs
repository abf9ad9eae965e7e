//! Images into a layout directory.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::index::Listing;
use super::plan::{index_entries, merge_index, plan_originals};
use super::source::open_inside;
use super::{INDEX, MARKER, MARKER_BYTES, blob_path, check_marker};
use crate::codec::atomic::{AtomicFile, write_file};
use crate::codec::checked::{VerifiedReader, read_bounded};
use crate::codec::compression;
use crate::endpoint::{
    BlobStep, Local, ManifestStep, Parcel, Plan, Recalled, TagStep, Take, Target,
};
use crate::model::{Descriptor, Error, ImageName, Kind, Result, graph, limits};

const MODE: u32 = 0o644;

/// An OCI image layout directory as a target: made if it is not there, added to if it is.
///
/// A blob gets its name when its last byte has been read and found right; `index.json` is replaced
/// once, at the end. A run that is cut off leaves the images that were there, and perhaps blobs
/// that nothing names.
pub struct LayoutTarget {
    directory: PathBuf,
    shown: String,
    /// Bytes of the `index.json` that was found.
    existing: Option<Vec<u8>>,
}

impl LayoutTarget {
    /// Looks at `directory`, which is a layout, or empty, or not there yet. Changes nothing.
    ///
    /// # Errors
    /// [`Kind::Usage`] where something else is there.
    pub fn create(directory: &Path) -> Result<Self> {
        let shown = format!("oci:{}", directory.display());
        let what = || format!("cannot read {}", directory.display());
        let existing = match std::fs::read_dir(directory) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io(what(), e)),
            Ok(mut entries) => match entries.next() {
                None => None,
                Some(_) => read_existing(directory, &shown)?,
            },
        };
        Ok(Self { directory: directory.to_owned(), shown, existing })
    }

    /// Whether a blob is there and whole: its bytes are read, whatever its name says.
    fn has(&self, descriptor: &Descriptor) -> Result<bool> {
        let Ok(real) = std::fs::canonicalize(&self.directory) else { return Ok(false) };
        let Ok(file) = open_inside(&real, &blob_path(&descriptor.digest)) else { return Ok(false) };
        let mut reader =
            VerifiedReader::new(file, descriptor.digest, descriptor.size, self.shown.clone());
        match io::copy(&mut reader, &mut io::sink()) {
            Ok(_) => Ok(true),
            Err(e) => match Error::from_io(format!("cannot read {}", self.shown), e) {
                e if e.kind() == Kind::Damaged => Ok(false),
                e => Err(e),
            },
        }
    }

    fn write(&self, descriptor: &Descriptor, content: &mut dyn Read) -> Result<()> {
        let path = self.directory.join(blob_path(&descriptor.digest));
        let mut file = AtomicFile::create(&path, MODE)?;
        let written = io::copy(content, &mut file)
            .map_err(|e| Error::from_io(format!("cannot write {}", path.display()), e))?;
        if written != descriptor.size {
            return Err(Error::damaged(format!(
                "{} came with {written} bytes, {} were described",
                descriptor.digest, descriptor.size
            )));
        }
        file.commit()
    }

    fn make_directory(&self, relative: &str) -> Result<()> {
        let path = self.directory.join(relative);
        std::fs::create_dir_all(&path)
            .map_err(|e| Error::io(format!("cannot make the directory {}", path.display()), e))
    }
}

/// The `index.json` of a directory that is not empty.
fn read_existing(directory: &Path, shown: &str) -> Result<Option<Vec<u8>>> {
    let real = std::fs::canonicalize(directory)
        .map_err(|e| Error::io(format!("cannot read {}", directory.display()), e))?;
    let marker = open_inside(&real, MARKER).map_err(|e| {
        Error::usage(format!("{} is not empty and is no OCI image layout", directory.display()))
            .because(e)
            .hint("choose another directory, or one that is not there yet")
    })?;
    check_marker(&read_bounded(marker, limits::MANIFEST_BYTES, MARKER)?, shown)?;
    if !real.join(INDEX).exists() {
        return Ok(None);
    }
    let index = read_bounded(open_inside(&real, INDEX)?, limits::LAYOUT_INDEX_BYTES, INDEX)?;
    Ok(Some(index))
}

impl Target for LayoutTarget {
    fn local(&self) -> Option<Local<'_>> {
        Some(Local { path: &self.directory, is_file: false })
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn plan(&self, parcels: &[Parcel]) -> Result<Plan> {
        let listing = match &self.existing {
            Some(bytes) => Some(Listing::parse(bytes, &self.shown, "image")?),
            None => None,
        };
        let named = |name: &ImageName| {
            let entries = listing.as_ref()?.entries();
            entries
                .iter()
                .find(|entry| entry.name.as_ref() == Some(name))
                .map(|entry| entry.descriptor.digest)
        };
        plan_originals(parcels, &mut |descriptor| self.has(descriptor), &named)
    }

    fn recall(&self, _: &Plan, wanted: &[Recalled], _: &Path, take: &mut Take<'_>) -> Result<()> {
        for (number, blob) in wanted.iter().enumerate() {
            let Ok(directory) = std::fs::canonicalize(&self.directory) else { return Ok(()) };
            if !directory.join(blob_path(&blob.digest)).exists() {
                continue;
            }
            let mut file = open_inside(&directory, &blob_path(&blob.digest))?;
            if blob.plain.is_none() {
                take(number, &mut file)?;
                continue;
            }
            let (_, mut opened) = compression::open_detected(file).map_err(|e| {
                Error::io(format!("cannot open {} of {}", blob.digest, self.shown), e)
            })?;
            take(number, &mut opened)?;
        }
        Ok(())
    }

    fn lanes(&self) -> usize {
        // Hashing and syncing overlap; more lanes only make a disk seek.
        4
    }

    fn begin(&self, plan: &Plan) -> Result<()> {
        self.make_directory("")?;
        let descriptors = plan.blobs.iter().map(|step| &step.descriptor);
        let manifests = plan.manifests.iter().map(|step| &step.descriptor);
        let mut algorithms: Vec<_> =
            descriptors.chain(manifests).map(|d| d.digest.algorithm()).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        for algorithm in algorithms {
            self.make_directory(&format!("blobs/{}", algorithm.name()))?;
        }
        let marker = self.directory.join(MARKER);
        if marker.exists() { Ok(()) } else { write_file(&marker, MODE, MARKER_BYTES) }
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        open: &mut dyn FnMut() -> Result<Box<dyn Read + Send>>,
    ) -> Result<()> {
        self.write(&step.descriptor, &mut open()?)
    }

    fn put_manifest(&self, step: &ManifestStep) -> Result<()> {
        self.write(&step.descriptor, &mut &step.raw[..])
    }

    fn put_tag(&self, _: &TagStep) -> Result<()> {
        // All names appear together, in `finish`.
        Ok(())
    }

    fn finish(&self, plan: &Plan) -> Result<()> {
        let entries = index_entries(plan);
        let bytes = match &self.existing {
            Some(existing) => merge_index(existing, &entries, &self.shown)?,
            None => graph::layout_index(&entries),
        };
        write_file(&self.directory.join(INDEX), MODE, &bytes)
    }
}
