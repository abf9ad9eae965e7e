//! Images into a docker archive: configurations, plain layers, `manifest.json` last.
//!
//! The pure old form, without an OCI index beside it, is what every docker since 1.10, podman and
//! skopeo load. It holds one platform of an image and none of its manifests.

use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::docker_form;
use super::file::TarFile;
use super::portion::{Portion, Stock, host_platform, items, path_of, plan_portions, portions};
use crate::endpoint::{BlobStep, Local, ManifestStep, Parcel, Plan, TagStep, Target};
use crate::model::{Digest, ImageName, Platform, Result};

/// `docker-archive:FILE` as a target.
pub struct DockerArchiveTarget {
    tar: TarFile,
    shown: String,
    platform: Platform,
    portions: Mutex<Vec<Portion>>,
}

impl DockerArchiveTarget {
    /// The archive that will be `path`; a file that is there is replaced when the new one is whole.
    /// Of an image for several platforms the one for `platform` is taken, by default that of this
    /// machine.
    pub fn create(path: &Path, platform: Option<Platform>) -> Self {
        Self {
            tar: TarFile::new(path),
            shown: format!("docker-archive:{}", path.display()),
            platform: platform.unwrap_or_else(host_platform),
            portions: Mutex::default(),
        }
    }
}

/// A new archive has nothing.
struct Nothing;

impl Stock for Nothing {
    fn has_image(&self, _: &Digest) -> bool {
        false
    }
    fn base_layers(&self, _: &Portion) -> usize {
        0
    }
    fn named(&self, _: &ImageName) -> Option<Digest> {
        None
    }
}

impl Target for DockerArchiveTarget {
    fn local(&self) -> Option<Local<'_>> {
        Some(Local { path: self.tar.path(), is_file: true })
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn plan(&self, parcels: &[Parcel]) -> Result<Plan> {
        let (portions, notes) = portions(parcels, &self.platform, "a docker archive")?;
        let plan = plan_portions(&portions, notes, &Nothing)?;
        *self.portions.lock().unwrap_or_else(PoisonError::into_inner) = portions;
        Ok(plan)
    }

    fn begin(&self, _: &Plan) -> Result<()> {
        self.tar.begin()
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        open: &mut dyn FnMut() -> Result<Box<dyn Read + Send>>,
    ) -> Result<()> {
        let path = path_of(step, &self.portions.lock().unwrap_or_else(PoisonError::into_inner));
        self.tar.put(&path, step.bytes, &mut open()?)
    }

    fn put_manifest(&self, _: &ManifestStep) -> Result<()> {
        // The form has no place for manifests, and the plan has none.
        Ok(())
    }

    fn put_tag(&self, _: &TagStep) -> Result<()> {
        // Names stand in manifest.json, which comes last.
        Ok(())
    }

    fn finish(&self, _: &Plan) -> Result<()> {
        let items = items(&self.portions.lock().unwrap_or_else(PoisonError::into_inner), true);
        let manifest = docker_form::write_items(&items);
        self.tar.put(docker_form::MANIFEST, manifest.len() as u64, &mut &manifest[..])?;
        self.tar.finish()
    }
}
