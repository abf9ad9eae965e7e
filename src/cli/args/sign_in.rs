//! Who somebody is at a registry, as it is typed: the same for every command that talks to one.

use std::path::PathBuf;

use clap::Args;

/// Who we are at the registry of a command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Sign-in")]
pub(in crate::cli) struct SignInArgs {
    /// Sign in to the registry as NAME; write a robot's name in single quotes, as in
    /// 'robot$team+ci' [default: who is signed in; login asks]
    #[arg(short, long, value_name = "NAME")]
    pub(in crate::cli) username: Option<String>,

    /// Read the password from standard input [default: asked for]
    #[arg(long, requires = "username")]
    pub(in crate::cli) password_stdin: bool,

    /// Read the password from this file
    #[arg(long, value_name = "FILE", requires = "username", conflicts_with = "password_stdin")]
    pub(in crate::cli) password_file: Option<PathBuf>,

    /// Sign-ins are in this file and no other [default: REGISTRY_AUTH_FILE, else where podman and
    /// docker keep them]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) authfile: Option<PathBuf>,
}
