//! How registries are reached, as it is typed: the same for every command that talks to one.

use std::path::PathBuf;

use clap::Args;

use super::sign_in::SignInArgs;
use crate::transport::registry::Patience;

/// What `--plain-http` says without a host.
pub(in crate::cli) const EVERY_HOST: &str = "*";

/// How registries are reached.
#[derive(Args, Debug)]
#[command(next_help_heading = "Registries")]
pub(in crate::cli) struct RegistryArgs {
    /// Speak plain HTTP instead of HTTPS, to this registry or to all (repeatable); only on a
    /// network that you trust
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = EVERY_HOST,
    )]
    pub(in crate::cli) plain_http: Vec<String>,

    /// Trust the certificate authorities in this PEM file too (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) ca_file: Vec<PathBuf>,

    /// Take certificates from this folder (*.crt, *.cert with *.key) instead of a folder for the
    /// registry in certs.d of containers or docker
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) cert_dir: Option<PathBuf>,

    /// Send the sign-in to this token service although it is not the registry's own (repeatable)
    #[arg(long, value_name = "HOST")]
    pub(in crate::cli) token_host: Vec<String>,

    /// How often a request is tried again that found the line broken or the registry busy; more
    /// for a bad line
    #[arg(long, value_name = "N", default_value_t = Patience::default().attempts - 1)]
    pub(in crate::cli) retries: u32,

    #[command(flatten)]
    pub(in crate::cli) sign_in: SignInArgs,
}

/// Where images are read from.
#[derive(Args, Debug)]
#[command(next_help_heading = "Registries")]
pub(in crate::cli) struct MirrorArgs {
    /// Read images below FROM at TO first, as in docker.io=mirror.example/hub (repeatable)
    #[arg(long, value_name = "FROM=TO")]
    pub(in crate::cli) mirror: Vec<String>,

    /// Read every image from where its name says, whatever registries.conf and daemon.json say
    #[arg(long, conflicts_with = "mirror")]
    pub(in crate::cli) no_mirrors: bool,
}
