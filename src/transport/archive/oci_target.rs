//! Images into an OCI archive: a layout inside a tar, `index.json` last.

use std::io::Read;
use std::path::Path;

use super::file::TarFile;
use crate::endpoint::{BlobStep, Local, ManifestStep, Parcel, Plan, TagStep, Target};
use crate::model::{Result, graph};
use crate::transport::layout::plan::{index_entries, plan_originals};
use crate::transport::layout::{INDEX, MARKER, MARKER_BYTES, blob_path};

/// `oci-archive:FILE` as a target. Holds everything in its original form, attachments included;
/// names are written as in a layout.
pub struct OciArchiveTarget {
    tar: TarFile,
    shown: String,
}

impl OciArchiveTarget {
    /// The archive that will be `path`; a file that is there is replaced when the new one is whole.
    pub fn create(path: &Path) -> Self {
        Self { tar: TarFile::new(path), shown: format!("oci-archive:{}", path.display()) }
    }
}

impl Target for OciArchiveTarget {
    fn local(&self) -> Option<Local<'_>> {
        Some(Local { path: self.tar.path(), is_file: true })
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn plan(&self, parcels: &[Parcel]) -> Result<Plan> {
        plan_originals(parcels, &mut |_| Ok(false), &|_| None)
    }

    fn begin(&self, _: &Plan) -> Result<()> {
        self.tar.begin()?;
        self.tar.put(MARKER, MARKER_BYTES.len() as u64, &mut &*MARKER_BYTES)
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        open: &mut dyn FnMut() -> Result<Box<dyn Read + Send>>,
    ) -> Result<()> {
        self.tar.put(&blob_path(&step.descriptor.digest), step.bytes, &mut open()?)
    }

    fn put_manifest(&self, step: &ManifestStep) -> Result<()> {
        let path = blob_path(&step.descriptor.digest);
        self.tar.put(&path, step.raw.len() as u64, &mut &step.raw[..])
    }

    fn put_tag(&self, _: &TagStep) -> Result<()> {
        // Names stand in index.json, which comes last.
        Ok(())
    }

    fn finish(&self, plan: &Plan) -> Result<()> {
        let index = graph::layout_index(&index_entries(plan));
        self.tar.put(INDEX, index.len() as u64, &mut &index[..])?;
        self.tar.finish()
    }
}
