//! What `sealift import` is asked for.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::connection::Connection;
use super::trusted;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::model::{Destination, Platform, Result};

/// `sealift import`.
#[derive(Debug)]
pub(in crate::cli) struct Import {
    /// The bundle.
    pub(in crate::cli) bundle: PathBuf,
    /// Bundles that a delta adds to.
    pub(in crate::cli) bases: Vec<PathBuf>,
    /// Where the images go.
    pub(in crate::cli) target: Destination,
    /// Trusted public keys, at least one.
    pub(in crate::cli) keys: Vec<PathBuf>,
    /// Names or digests of the images to bring, as typed; empty for all.
    pub(in crate::cli) images: Vec<String>,
    /// Platforms to take out of indexes; empty for everything.
    pub(in crate::cli) platforms: Vec<Platform>,
    /// Folder for temporary files.
    pub(in crate::cli) temporary: PathBuf,
    /// Plan only.
    pub(in crate::cli) dry_run: bool,
    /// Result as JSON.
    pub(in crate::cli) json: bool,
    /// How to get there.
    pub(in crate::cli) connection: Connection,
}

impl Import {
    pub(in crate::cli) fn resolve(
        args: args::ImportArgs,
        environment: &Environment,
    ) -> Result<Self> {
        let target: Destination = args.to.parse()?;
        let registries = match &target {
            Destination::Registry { host, .. } => [host.clone()].into(),
            _ => BTreeSet::new(),
        };
        Ok(Self {
            bundle: args.bundle,
            bases: args.base,
            target,
            keys: trusted(args.key, environment)?,
            images: args.image,
            platforms: args.platform.iter().map(|text| text.parse()).collect::<Result<_>>()?,
            temporary: environment.temporary.clone(),
            dry_run: args.dry_run,
            json: args.json,
            connection: Connection::resolve(args.registry, environment, &registries)?,
        })
    }
}
