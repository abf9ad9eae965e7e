//! What `sealift import` is asked for.

use std::collections::BTreeSet;

use bytesize::ByteSize;

use super::arrival::Arrival;
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
    /// The bundle, and what it is judged by.
    pub(in crate::cli) arrival: Arrival,
    /// Where the images go.
    pub(in crate::cli) target: Destination,
    /// Which names they get there.
    pub(in crate::cli) naming: Naming,
    /// Names or digests of the images to bring, as typed; empty for all.
    pub(in crate::cli) images: Vec<String>,
    /// Platforms to take out of indexes; empty for everything.
    pub(in crate::cli) platforms: Vec<Platform>,
    /// How projects of a Harbor are made that are missing, if they are.
    pub(in crate::cli) new_projects: Option<NewProjects>,
    /// The receipt, if one is wanted.
    pub(in crate::cli) receipt: Option<Receipt>,
    /// What is written down of it.
    pub(in crate::cli) filing: Filing,
    /// Plan only.
    pub(in crate::cli) dry_run: bool,
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
        if args.create_projects && !matches!(target, Destination::Registry { .. }) {
            return Err(Error::usage(format!("{} has no projects to create", args.to))
                .hint("leave out --create-projects: it is for Harbor registries"));
        }
        let quota = args.project_quota.as_deref().map(size).transpose()?;
        let state = State::resolve(args.state, environment);
        let wish = NewProjects { public: args.project_public, quota };
        Ok(Self {
            filing: Filing::log_only(&state, environment)?,
            arrival: Arrival {
                files: args.files,
                bases: args.base,
                trust: Trust::find(args.trust, environment)?,
                unlock: Unlock::resolve(args.unlock, environment)?,
                state,
                clock: environment.clock,
                accept_jump: args.freshness.accept_jump,
                temporary: environment.temporary.clone(),
                json: args.json,
            },
            naming: naming(&args.rules, &target)?,
            new_projects: args.create_projects.then_some(wish),
            target,
            images: args.image,
            platforms: args.platform.iter().map(|text| text.parse()).collect::<Result<_>>()?,
            receipt: Receipt::resolve(args.receipt, environment)?,
            dry_run: args.dry_run,
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
