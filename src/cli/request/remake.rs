//! What `sealift export --only-volume` is asked for.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::connection::Connection;
use super::faults::Faults;
use super::sources::{registries, sources};
use super::trust::Trust;
use super::unlock::Unlock;
use super::{own_public_key, refuse_folder};
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::model::{Error, Location, Result};

/// One volume of a bundle that is to be made again.
#[derive(Debug)]
pub(in crate::cli) struct Remake {
    /// Which, counted from 1.
    pub(in crate::cli) number: u64,
    /// Where the images are; empty for where they were.
    pub(in crate::cli) sources: Vec<Location>,
    /// The bundle.
    pub(in crate::cli) output: PathBuf,
    /// Whether the volume may take the place of a file that is there.
    pub(in crate::cli) force: bool,
    /// What holds its signed tail, where its last volume is not there.
    pub(in crate::cli) tail: Option<PathBuf>,
    /// Whose signature counts.
    pub(in crate::cli) trust: Trust,
    /// One's own public key, if it is there.
    pub(in crate::cli) own_key: Option<PathBuf>,
    /// What opens an encrypted base.
    pub(in crate::cli) unlock: Unlock,
    /// The bases of a delta.
    pub(in crate::cli) bases: Vec<PathBuf>,
    /// Threads.
    pub(in crate::cli) jobs: NonZeroUsize,
    /// Whether to read it from its medium afterwards.
    pub(in crate::cli) read_back: bool,
    /// Folder for temporary files.
    pub(in crate::cli) temporary: PathBuf,
    /// Result as JSON.
    pub(in crate::cli) json: bool,
    /// How to get there.
    pub(in crate::cli) connection: Connection,
}

/// The bundle that the volume is of.
fn bundle(output: Option<PathBuf>) -> Result<PathBuf> {
    let Some(output) = output else {
        return Err(Error::usage("--only-volume needs the name of the bundle")
            .hint("name it with -o, as when it was exported"));
    };
    refuse_folder(&output, "app.sealift")?;
    if output.extension().is_some_and(|extension| extension == "age") {
        return Err(Error::usage("an encrypted volume is never the same twice")
            .hint("name the bundle without .age: a volume that is not encrypted serves readers as well; age encrypts it"));
    }
    Ok(output)
}

impl Remake {
    pub(in crate::cli) fn resolve(
        number: u64,
        args: args::ExportArgs,
        environment: &Environment,
    ) -> Result<Self> {
        let mut faults = Faults::default();
        let sources = sources(&args.sources, &mut faults);
        let output = faults.or_default(bundle(args.output));
        faults.none()?;
        let registries = registries(&sources);
        let trust = args::TrustArgs { key: args.key, trust: None, threshold: None };
        Ok(Self {
            number,
            sources,
            output,
            force: args.force,
            tail: args.tail,
            trust: Trust::find(trust, environment)?,
            own_key: own_public_key(environment)?,
            unlock: Unlock::resolve(args.unlock, environment)?,
            bases: args.base,
            jobs: args.jobs.unwrap_or(environment.jobs),
            read_back: args.read_back,
            temporary: environment.temporary.clone(),
            json: args.json,
            connection: Connection::resolve(args.registry, environment, &registries)?
                .reading(args.mirrors),
        })
    }
}
