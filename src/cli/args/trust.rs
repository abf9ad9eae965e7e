//! Whose signature counts, as it is typed: the same for every command that checks one.

use std::path::PathBuf;

use clap::Args;

/// Whose signature counts.
#[derive(Args, Debug)]
#[command(next_help_heading = "Trust")]
pub(in crate::cli) struct TrustArgs {
    /// Trust only this public key (repeatable) [default: whom trust.toml names, else every *.pub, in
    /// ~/.config/sealift/trust and /etc/sealift/trust]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) key: Vec<PathBuf>,

    /// Trust whom this file names, as trust.toml does
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(in crate::cli) trust: Option<PathBuf>,

    /// So many different trusted keys must have signed; no less than trust.toml says [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(in crate::cli) threshold: Option<u8>,
}
