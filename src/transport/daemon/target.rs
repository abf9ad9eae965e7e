//! Images into a daemon.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::api::{About, Api};
use super::classic::Inventory;
use super::consign::{Consignment, SHARED, consign};
use super::containerd::Shipment;
use super::convoy::{Convoy, may_be_repeated};
use super::endpoint::Endpoint;
use super::load::refused;
use crate::endpoint::{
    Action, Arrival, BlobStep, ManifestStep, Parcel, Plan, Recalled, TagStep, Take, Target,
};
use crate::model::{Digest, Error, Platform, Result, graph};
use crate::transport::archive::portion::{Portion, portions};
use crate::transport::layout::{INDEX, MARKER, MARKER_BYTES, blob_path};

/// A docker daemon as a target.
pub struct DaemonTarget {
    api: Arc<Api>,
    endpoint: Endpoint,
    platform: Option<Platform>,
    shared: u64,
    state: Mutex<State>,
}

/// What has been planned and how far it is.
#[derive(Default)]
struct State {
    cargo: Cargo,
    convoy: Option<Convoy>,
    /// Whether everything can be sent once more, because something was left out that the daemon
    /// seemed to have or to get.
    again: bool,
}

#[derive(Default)]
enum Cargo {
    #[default]
    Unplanned,
    Classic {
        portions: Vec<Portion>,
        notes: Vec<String>,
        uploads: Vec<Consignment>,
        /// The upload and the file in it that come next.
        next: (usize, usize),
    },
    Containerd(Shipment),
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
        let (endpoint, state) = (endpoint.clone(), Mutex::default());
        Ok(Self { api, endpoint, platform, shared: SHARED, state })
    }

    /// Sends several images in one upload only up to `bytes`. The containerd store always gets one
    /// upload.
    #[must_use]
    pub fn in_uploads_of(mut self, bytes: u64) -> Self {
        self.shared = bytes;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the daemon what it has, and plans what it gets.
    fn prepare(&self, parcels: &[Parcel]) -> Result<(Cargo, Plan)> {
        let about = self.api.about()?;
        if about.containerd_store {
            let platform = self.platform.as_ref();
            let shipment = Shipment::prepare(&self.api, &about, parcels, platform)?;
            let plan = shipment.plan()?;
            return Ok((Cargo::Containerd(shipment), plan));
        }
        let platform = self.platform.clone().unwrap_or_else(|| own_platform(&about));
        let (portions, notes) = portions(parcels, &platform, "a docker daemon")?;
        let inventory = Inventory::take(&self.api)?;
        Self::classic(portions, notes, &inventory, self.shared)
    }

    fn classic(
        portions: Vec<Portion>,
        notes: Vec<String>,
        inventory: &Inventory,
        shared: u64,
    ) -> Result<(Cargo, Plan)> {
        let (plan, uploads) = consign(&portions, notes.clone(), inventory, shared)?;
        Ok((Cargo::Classic { portions, notes, uploads, next: (0, 0) }, plan))
    }

    /// The same once more, without what was only inferred about the daemon's stock; and in one
    /// upload, which stands on nothing.
    fn prepare_again(&self, cargo: Cargo) -> Result<(Cargo, Plan)> {
        match cargo {
            Cargo::Unplanned => Ok((cargo, Plan::default())),
            Cargo::Classic { portions, notes, .. } => {
                let inventory = Inventory::take(&self.api)?.without_layers();
                Self::classic(portions, notes, &inventory, u64::MAX)
            }
            Cargo::Containerd(mut shipment) => {
                shipment.distrust();
                let plan = shipment.plan()?;
                Ok((Cargo::Containerd(shipment), plan))
            }
        }
    }

    /// Sends a file. After something went wrong with the daemon nothing is sent any more: where
    /// all of it may be sent again, [`settle`](Target::settle) sees to that.
    fn put(
        &self,
        state: &mut State,
        path: &str,
        size: u64,
        open: &mut dyn FnMut() -> Result<Box<dyn Read + Send>>,
    ) -> Result<()> {
        let convoy = state.convoy.get_or_insert_with(|| Convoy::new(&self.api));
        if !convoy.is_wrong() && convoy.file(path, size, &mut open()?)? {
            return Ok(());
        }
        if state.again && convoy.is_worth_repeating() { Ok(()) } else { Err(convoy.why()) }
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

fn out_of_order(step: &BlobStep) -> Error {
    Error::usage(format!("{} is not what the daemon has to get next", step.descriptor.digest))
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
        let (cargo, plan) = self.prepare(parcels)?;
        let left_out = plan.blobs.iter().any(|step| step.action == Action::Present);
        let several = matches!(&cargo, Cargo::Classic { uploads, .. } if uploads.len() > 1);
        *self.state() = State { cargo, convoy: None, again: left_out || several };
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
        let mut state = self.state();
        let Cargo::Classic { uploads, next, .. } = &mut state.cargo else {
            let path = blob_path(&step.descriptor.digest);
            return self.put(&mut state, &path, step.bytes, open);
        };
        let upload = uploads.get(next.0).filter(|upload| next.1 < upload.steps.len());
        let Some((upload, (path, planned))) = upload.map(|u| (u, &u.steps[next.1])) else {
            return Err(out_of_order(step));
        };
        if planned.descriptor.digest != step.descriptor.digest || planned.form != step.form {
            return Err(out_of_order(step));
        }
        let path = path.clone();
        let is_last = next.1 + 1 == upload.steps.len();
        let end = is_last.then(|| (vec![upload.contents()], upload.after.clone()));
        *next = if is_last { (next.0 + 1, 0) } else { (next.0, next.1 + 1) };
        self.put(&mut state, &path, step.bytes, open)?;
        match (end, &mut state.convoy) {
            (Some((contents, after)), Some(convoy)) => convoy.seal(contents, after),
            _ => Ok(()),
        }
    }

    fn put_manifest(&self, step: &ManifestStep) -> Result<()> {
        let (path, raw) = (blob_path(&step.descriptor.digest), step.raw.clone());
        let mut open = || Ok(Box::new(std::io::Cursor::new(raw.clone())) as Box<dyn Read + Send>);
        self.put(&mut self.state(), &path, step.raw.len() as u64, &mut open)
    }

    fn settle(&self, _: &Plan) -> Result<Option<Plan>> {
        let mut state = self.state();
        let Some(mut convoy) = state.convoy.take() else {
            // Nothing was sent, so nothing but what the daemon said can be wrong.
            return Ok(None);
        };
        if let Cargo::Containerd(shipment) = &state.cargo {
            let index = graph::layout_index(&shipment.roots());
            let contents =
                vec![(MARKER.to_owned(), MARKER_BYTES.to_vec()), (INDEX.to_owned(), index)];
            convoy.seal(contents, BTreeSet::new())?;
        }
        let wrong = match convoy.land()? {
            Some(message) => Some(message),
            None => self.verify(&state.cargo)?,
        };
        let Some(message) = wrong else { return Ok(None) };
        if !(std::mem::take(&mut state.again) && may_be_repeated(&message)) {
            return Err(refused(self.api.shown(), &message));
        }
        let (cargo, plan) = self.prepare_again(std::mem::take(&mut state.cargo))?;
        state.cargo = cargo;
        Ok(Some(plan))
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

    fn read_back(&self, arrival: &Arrival) -> Result<Option<Digest>> {
        let there = self.api.inspect(&arrival.target, false)?.map(|image| image.id);
        let gone = || {
            let daemon = self.api.shown();
            Error::remote(format!("{daemon} does not know {} any more", arrival.target))
        };
        there.map(Some).ok_or_else(gone)
    }
}
