//! Images into a daemon.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::api::{About, Api};
use super::classic::Inventory;
use super::containerd::Shipment;
use super::endpoint::Endpoint;
use super::load::{Load, refused};
use crate::endpoint::{
    Action, BlobStep, ManifestStep, Parcel, Plan, Recalled, TagStep, Take, Target,
};
use crate::model::{Digest, Error, Platform, Result, graph};
use crate::transport::archive::docker_form;
use crate::transport::archive::portion::{Portion, Stock, items, path_of, plan_portions, portions};
use crate::transport::layout::{INDEX, MARKER, MARKER_BYTES, blob_path};

/// A docker daemon as a target.
pub struct DaemonTarget {
    api: Arc<Api>,
    endpoint: Endpoint,
    platform: Option<Platform>,
    state: Mutex<State>,
}

/// What has been planned and how far it is.
#[derive(Default)]
struct State {
    cargo: Cargo,
    load: Option<Load>,
    /// An upload failed; the tar cannot be taken back, so there is no other.
    broken: bool,
    /// Everything was sent again already.
    again: bool,
}

#[derive(Default)]
enum Cargo {
    #[default]
    Unplanned,
    Classic {
        portions: Vec<Portion>,
        notes: Vec<String>,
        inventory: Inventory,
    },
    Containerd(Shipment),
}

impl Cargo {
    fn plan(&self) -> Result<Plan> {
        match self {
            Self::Unplanned => Ok(Plan::default()),
            Self::Classic { portions, notes, inventory } => {
                plan_portions(portions, notes.clone(), inventory)
            }
            Self::Containerd(shipment) => shipment.plan(),
        }
    }

    /// Forgets what was only inferred about the daemon's stock.
    fn distrust(&mut self) {
        match self {
            Self::Unplanned => {}
            Self::Classic { inventory, .. } => *inventory = inventory.without_layers(),
            Self::Containerd(shipment) => shipment.distrust(),
        }
    }
}

impl DaemonTarget {
    /// The daemon at `endpoint`. Of an index, a daemon with the classic store gets the image for
    /// `platform`, by default its own; one with the containerd store gets the whole index, or with
    /// `platform` that image alone.
    ///
    /// # Errors
    /// [`Kind::Remote`](crate::model::Kind::Remote) where no client can be made; the daemon itself
    /// is first asked by [`plan`](Target::plan).
    pub fn new(endpoint: &Endpoint, platform: Option<Platform>) -> Result<Self> {
        let api = Arc::new(Api::new(endpoint)?);
        Ok(Self { api, endpoint: endpoint.clone(), platform, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cargo(&self, parcels: &[Parcel]) -> Result<Cargo> {
        let about = self.api.about()?;
        if about.containerd_store {
            let platform = self.platform.as_ref();
            return Shipment::prepare(&self.api, &about, parcels, platform).map(Cargo::Containerd);
        }
        let platform = self.platform.clone().unwrap_or_else(|| own_platform(&about));
        let (portions, notes) = portions(parcels, &platform, "a docker daemon")?;
        let inventory = Inventory::take(&self.api)?;
        Ok(Cargo::Classic { portions, notes, inventory })
    }

    /// Adds a file to the upload, which begins with the first one.
    fn put(&self, path: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut state = self.state();
        if state.broken {
            return Err(Error::remote(format!(
                "the upload to {} was given up after an error",
                self.api.shown()
            )));
        }
        let mut load = match state.load.take() {
            Some(load) => load,
            None => Load::start(&self.api)?,
        };
        // A load that is dropped here breaks its request, and the daemon forgets it.
        match load.file(path, size, content) {
            Ok(()) => {
                state.load = Some(load);
                Ok(())
            }
            Err(e) => {
                state.broken = true;
                Err(e)
            }
        }
    }

    /// Ends the upload with its table of contents; what the daemon found wrong, if anything.
    fn complete(cargo: &Cargo, mut load: Load) -> Result<Option<String>> {
        let mut bytes =
            |path: &str, bytes: &[u8]| load.file(path, bytes.len() as u64, &mut &*bytes);
        match cargo {
            Cargo::Unplanned => {}
            Cargo::Classic { portions, inventory, .. } => {
                let missing: Vec<Portion> = portions
                    .iter()
                    .filter(|portion| !inventory.has_image(&portion.config.digest))
                    .cloned()
                    .collect();
                bytes(docker_form::MANIFEST, &docker_form::write_items(&items(&missing, false)))?;
            }
            Cargo::Containerd(shipment) => {
                bytes(MARKER, MARKER_BYTES)?;
                bytes(INDEX, &graph::layout_index(&shipment.roots()))?;
            }
        }
        load.finish()
    }

    /// Asks whether everything is there; what is wrong, if anything.
    fn verify(&self, cargo: &Cargo) -> Result<Option<String>> {
        match cargo {
            Cargo::Unplanned => Ok(None),
            Cargo::Containerd(shipment) => shipment.verify(&self.api),
            Cargo::Classic { portions, .. } => {
                for portion in portions {
                    let id = portion.config.digest;
                    let found = self.api.inspect(&id.to_string(), false)?;
                    if found.is_none_or(|image| image.id != id) {
                        return Ok(Some(format!("image {id} did not arrive")));
                    }
                }
                Ok(None)
            }
        }
    }
}

fn own_platform(about: &About) -> Platform {
    Platform {
        os: about.os.clone(),
        architecture: about.architecture.clone(),
        variant: None,
        os_version: None,
    }
}

impl Target for DaemonTarget {
    fn describe(&self) -> String {
        self.api.shown().to_owned()
    }

    fn plan(&self, parcels: &[Parcel]) -> Result<Plan> {
        let cargo = self.cargo(parcels)?;
        let plan = cargo.plan()?;
        *self.state() = State { cargo, ..State::default() };
        Ok(plan)
    }

    fn recall(
        &self,
        _: &Plan,
        wanted: &[Recalled],
        folder: &Path,
        take: &mut Take<'_>,
    ) -> Result<()> {
        super::recall::recall(&self.api, &self.endpoint, wanted, folder, take)
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        open: &mut dyn FnMut() -> Result<Box<dyn Read + Send>>,
    ) -> Result<()> {
        let path = match &self.state().cargo {
            Cargo::Classic { portions, .. } => path_of(step, portions),
            _ => blob_path(&step.descriptor.digest),
        };
        self.put(&path, step.bytes, &mut open()?)
    }

    fn put_manifest(&self, step: &ManifestStep) -> Result<()> {
        let path = blob_path(&step.descriptor.digest);
        self.put(&path, step.raw.len() as u64, &mut &step.raw[..])
    }

    fn settle(&self, plan: &Plan) -> Result<Option<Plan>> {
        let mut state = self.state();
        let Some(load) = state.load.take() else {
            // Nothing was sent, so nothing but what the daemon said can be wrong.
            return Ok(None);
        };
        let wrong = match Self::complete(&state.cargo, load)? {
            Some(message) => Some(message),
            None => self.verify(&state.cargo)?,
        };
        let Some(message) = wrong else { return Ok(None) };
        let left_out = plan.blobs.iter().any(|step| step.action == Action::Present);
        if state.again || !left_out {
            return Err(refused(self.api.shown(), &message));
        }
        state.again = true;
        state.cargo.distrust();
        state.cargo.plan().map(Some)
    }

    fn put_tag(&self, step: &TagStep) -> Result<()> {
        let familiar = step.name.familiar();
        let tag = step.name.tag().unwrap_or("latest");
        let repository = familiar.strip_suffix(&format!(":{tag}")).unwrap_or(&familiar);
        let id: Digest = step.descriptor.digest;
        self.api.tag(&id, repository, tag)?;
        match self.api.inspect(&familiar, false)? {
            Some(image) if image.id == id => Ok(()),
            Some(image) => Err(Error::remote(format!(
                "{} says that {familiar} is {}, not {id}",
                self.api.shown(),
                image.id
            ))),
            None => Err(Error::remote(format!(
                "{} does not know {familiar} after naming it",
                self.api.shown()
            ))),
        }
    }

    fn finish(&self, _: &Plan) -> Result<()> {
        // Settled before the first tag, and each tag was read back.
        *self.state() = State::default();
        Ok(())
    }
}
