//! What `sealift export` is asked for.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::connection::Connection;
use super::state::State;
use super::stream::dating;
use super::trust::Trust;
use super::{is_there, signing_keys};
use crate::bundle::Preset;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::cli::passphrase::Passphrase;
use crate::model::{Error, Location, Platform, Result};
use crate::operation::freshness::Dating;

/// Where a bundle is written and who signs it.
#[derive(Debug)]
pub(in crate::cli) struct Sealing {
    /// The bundle.
    pub(in crate::cli) output: PathBuf,
    /// Signing keys, at least one.
    pub(in crate::cli) keys: Vec<PathBuf>,
    /// For keys that need one.
    pub(in crate::cli) passphrase: Passphrase,
}

/// `sealift export`.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(in crate::cli) struct Export {
    /// Where the images are, in the order given; at least one.
    pub(in crate::cli) sources: Vec<Location>,
    /// The bundle; `None` for a dry run.
    pub(in crate::cli) sealing: Option<Sealing>,
    /// Platforms to take out of indexes; empty for everything.
    pub(in crate::cli) platforms: Vec<Platform>,
    /// Whether attached artifacts travel too.
    pub(in crate::cli) attachments: bool,
    /// How hard to pack.
    pub(in crate::cli) preset: Preset,
    /// Bundles or receipts whose content is left out, the newest first.
    pub(in crate::cli) bases: Vec<PathBuf>,
    /// Who may have signed those, beside oneself.
    pub(in crate::cli) trust: Option<Trust>,
    /// What is said about the age of the bundle.
    pub(in crate::cli) dating: Dating,
    /// Whether to go on from what an interrupted export has left.
    pub(in crate::cli) resume: bool,
    /// Threads.
    pub(in crate::cli) jobs: NonZeroUsize,
    /// Date of the bundle, seconds since 1970.
    pub(in crate::cli) created: u64,
    /// Whether the user pinned it.
    pub(in crate::cli) created_is_pinned: bool,
    /// Folder for temporary files.
    pub(in crate::cli) temporary: PathBuf,
    /// Result as JSON.
    pub(in crate::cli) json: bool,
    /// How to get there.
    pub(in crate::cli) connection: Connection,
}

impl Sealing {
    fn resolve(
        output: PathBuf,
        force: bool,
        keys: Vec<PathBuf>,
        passphrase: Passphrase,
        environment: &Environment,
    ) -> Result<Self> {
        if !force && is_there(&output)? {
            return Err(Error::usage(format!("{} is already there", output.display()))
                .hint("choose another name, or add --force to replace it"));
        }
        Ok(Self { output, keys: signing_keys(keys, environment)?, passphrase })
    }
}

impl Export {
    pub(in crate::cli) fn resolve(
        args: args::ExportArgs,
        environment: &Environment,
    ) -> Result<Self> {
        let sources: Vec<Location> =
            args.sources.iter().map(|text| text.parse()).collect::<Result<_>>()?;
        let registries = sources
            .iter()
            .filter_map(|source| match source {
                Location::Registry(name) => Some(name.registry().to_owned()),
                _ => None,
            })
            .collect();
        let platforms = args.platform.iter().map(|text| text.parse()).collect::<Result<_>>()?;
        let passphrase = Passphrase::resolve(args.passphrase_file, environment);
        let sealing = match args.output {
            Some(output) if !args.dry_run => {
                Some(Sealing::resolve(output, args.force, args.key, passphrase, environment)?)
            }
            _ => None,
        };
        Ok(Self {
            sources,
            sealing,
            platforms,
            attachments: !args.no_attachments,
            trust: if args.base.is_empty() {
                None
            } else {
                let none = args::TrustArgs { key: Vec::new(), trust: None, threshold: None };
                Some(Trust::find(none, environment)?)
            },
            dating: dating(&args.stream, &State::resolve(args.state, environment), environment)?,
            bases: args.base,
            preset: match args.compression {
                args::Preset::Fast => Preset::Fast,
                args::Preset::Balanced => Preset::Balanced,
                args::Preset::Max => Preset::Max,
            },
            resume: args.resume,
            jobs: args.jobs.unwrap_or(environment.jobs),
            created: environment.created,
            created_is_pinned: environment.created_is_pinned,
            temporary: environment.temporary.clone(),
            json: args.json,
            connection: Connection::resolve(args.registry, environment, &registries)?
                .reading(args.mirrors),
        })
    }
}
