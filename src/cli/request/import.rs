//! What `sealift import` is asked for.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytesize::ByteSize;

use super::connection::Connection;
use super::filing::{Filing, Receipt};
use super::map::naming;
use super::state::State;
use super::trust::Trust;
use super::unlock::Unlock;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::model::{Destination, Error, Naming, Platform, Result};
use crate::transport::registry::NewProjects;

/// `sealift import`.
#[derive(Debug)]
pub(in crate::cli) struct Import {
    /// The bundle: files and folders.
    pub(in crate::cli) files: Vec<PathBuf>,
    /// Bundles that a delta adds to.
    pub(in crate::cli) bases: Vec<PathBuf>,
    /// Where the images go.
    pub(in crate::cli) target: Destination,
    /// Which names they get there.
    pub(in crate::cli) naming: Naming,
    /// Whose signature counts.
    pub(in crate::cli) trust: Trust,
    /// Names or digests of the images to bring, as typed; empty for all.
    pub(in crate::cli) images: Vec<String>,
    /// Platforms to take out of indexes; empty for everything.
    pub(in crate::cli) platforms: Vec<Platform>,
    /// Folder for temporary files.
    pub(in crate::cli) temporary: PathBuf,
    /// How projects of a Harbor are made that are missing, if they are.
    pub(in crate::cli) new_projects: Option<NewProjects>,
    /// The receipt, if one is wanted.
    pub(in crate::cli) receipt: Option<Receipt>,
    /// What is written down of it.
    pub(in crate::cli) filing: Filing,
    /// Where it is remembered what was seen.
    pub(in crate::cli) state: State,
    /// Seconds since 1970, by the clock.
    pub(in crate::cli) clock: u64,
    /// Whether the number in a stream may be absurdly high.
    pub(in crate::cli) accept_jump: bool,
    /// Plan only.
    pub(in crate::cli) dry_run: bool,
    /// Result as JSON.
    pub(in crate::cli) json: bool,
    /// How to get there.
    pub(in crate::cli) connection: Connection,
    /// What opens encrypted bundles.
    pub(in crate::cli) unlock: Unlock,
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
        if args.create_projects && !matches!(target, Destination::Registry { .. }) {
            return Err(Error::usage(format!("{} has no projects to create", args.to))
                .hint("leave out --create-projects: it is for Harbor registries"));
        }
        let quota = args.project_quota.as_deref().map(size).transpose()?;
        let state = State::resolve(args.state, environment);
        let wish = NewProjects { public: args.project_public, quota };
        Ok(Self {
            unlock: Unlock::resolve(args.unlock, environment)?,
            files: args.files,
            bases: args.base,
            naming: naming(&args.rules, &target)?,
            new_projects: args.create_projects.then_some(wish),
            target,
            trust: Trust::find(args.trust, environment)?,
            images: args.image,
            platforms: args.platform.iter().map(|text| text.parse()).collect::<Result<_>>()?,
            temporary: environment.temporary.clone(),
            receipt: Receipt::resolve(args.receipt, environment)?,
            filing: Filing::log_only(&state, environment)?,
            state,
            clock: environment.clock,
            accept_jump: args.freshness.accept_jump,
            dry_run: args.dry_run,
            json: args.json,
            connection: Connection::resolve(args.registry, environment, &registries)?,
        })
    }
}

/// A number of bytes, as people write it.
fn size(text: &str) -> Result<u64> {
    text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| {
        Error::usage(format!("not a size: {text:?}")).hint("write it as in 500MB, 50GiB or 2TiB")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_with_their_unit() {
        assert_eq!(size("50GiB").unwrap(), 50 << 30);
        assert_eq!(size("500 MB").unwrap(), 500_000_000);
        for text in ["", "x", "-1", "1 gibibyte"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
