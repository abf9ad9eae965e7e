//! `sealift login` and `sealift logout`, as they are typed.

use std::path::PathBuf;

use clap::Args;

use super::registry::RegistryArgs;

pub(super) const LOGIN_EXAMPLES: &str = "\
Examples:
  sealift login harbor.example                           asks for name and password
  sealift login harbor.example --username 'robot$team+ci' --password-file /run/secrets/robot
  sealift login docker.io --username me --password-stdin < token
  sealift login harbor.example --authfile auth.json      as podman login does

Write names with a $ in single quotes, or the shell takes it. The password is never an argument:
arguments can be read by every user of the machine.
";

pub(super) const LOGOUT_EXAMPLES: &str = "\
Examples:
  sealift logout harbor.example
  sealift logout docker.io
";

#[derive(Args, Debug)]
pub(in crate::cli) struct LoginArgs {
    /// The registry, as HOST or HOST:PORT; docker.io is Docker Hub
    #[arg(value_name = "REGISTRY")]
    pub(in crate::cli) name: String,

    #[command(flatten)]
    pub(in crate::cli) registry: RegistryArgs,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct LogoutArgs {
    /// The registry, as HOST or HOST:PORT; docker.io is Docker Hub
    #[arg(value_name = "REGISTRY")]
    pub(in crate::cli) name: String,

    /// Take it out of this file [default: REGISTRY_AUTH_FILE, else docker's config.json]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) authfile: Option<PathBuf>,
}
