//! How registries are reached, as it is typed: the same for every command that talks to one.

use std::path::PathBuf;

use clap::Args;

use super::sign_in::SignInArgs;

/// How registries are reached.
#[derive(Args, Debug)]
#[command(next_help_heading = "Registries")]
pub(in crate::cli) struct RegistryArgs {
    /// Speak plain HTTP instead of HTTPS; only for registries on a network that you trust
    #[arg(long)]
    pub(in crate::cli) plain_http: bool,

    /// Trust the certificate authorities in this PEM file too (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) ca_file: Vec<PathBuf>,

    /// Send the sign-in to this token service although it is not the registry's own (repeatable)
    #[arg(long, value_name = "HOST")]
    pub(in crate::cli) token_host: Vec<String>,

    #[command(flatten)]
    pub(in crate::cli) sign_in: SignInArgs,
}
