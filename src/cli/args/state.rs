//! Where it is kept what must be remembered from one run to the next, as it is typed: the same for
//! every command that remembers.

use std::path::PathBuf;

use clap::Args;

/// Where the state is.
#[derive(Args, Debug)]
#[command(next_help_heading = "State")]
pub(in crate::cli) struct StateArgs {
    /// Remember streams and what was done in this folder [default: ~/.local/state/sealift]
    #[arg(long, value_name = "DIR", conflicts_with = "no_state")]
    pub(in crate::cli) state: Option<PathBuf>,

    /// Remember nothing: on a machine that cannot be written to. Nobody notices then that a bundle is
    /// older than one that came before it
    #[arg(long)]
    pub(in crate::cli) no_state: bool,
}

/// What is done about a bundle that does not follow the one before it.
#[derive(Args, Debug)]
#[command(next_help_heading = "State")]
pub(in crate::cli) struct FreshnessArgs {
    /// Take a bundle whose number is absurdly far above that of the one before it in its stream: by
    /// more than 2^32 and by more than that number, or above 2^48 where it is the first. Every lower
    /// one is refused from then on
    #[arg(long)]
    pub(in crate::cli) accept_jump: bool,
}
