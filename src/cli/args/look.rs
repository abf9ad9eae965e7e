//! `sealift verify`, `inspect` and `diff`, as they are typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::filing::ReportArgs;
use super::state::{FreshnessArgs, StateArgs};
use super::trust::TrustArgs;
use super::unlock::UnlockArgs;

pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  sealift verify app.sealift                     every byte, every blob, every image
  sealift verify app.sealift --key vendor.pub    signed by this key and no other
  sealift verify app.sealift --quick             signature and stored bytes only
  sealift verify app.sealift --key a.pub --key b.pub --threshold 2        signed by both
  sealift verify update.sealift --base app.sealift
  sealift verify app.sealift.age --identity key.txt
  sealift verify /media/usb                      the volumes in a folder
  sealift verify app.002.sealift --volume 2 --tail app.receipt
  sealift verify app.sealift --report app.html --report app.json    for the files

Exit codes:
  0  whole, and signed by a trusted key    5  signed by no trusted key
  4  damaged or incomplete                 6  older than one seen before, or expired
  7  malformed, or over a limit
";

pub(super) const INSPECT_EXAMPLES: &str = "\
Examples:
  sealift inspect app.sealift
  sealift inspect app.sealift --layers
  sealift inspect app.sealift --receipt app.receipt       for the next delta
  sealift inspect app.receipt                             and what an import has brought
  sealift inspect app.sealift --json | jq -r '.images[].name'

Reads only the end of the file. What it prints is what the bundle says of itself: sealift verify
proves it.
";

pub(super) const DIFF_EXAMPLES: &str = "\
Examples:
  sealift diff app-1.2.sealift app-1.3.sealift
  sealift diff app-1.2.receipt app-1.3.sealift
";

#[derive(Args, Debug)]
pub(in crate::cli) struct VerifyArgs {
    /// The bundle: its file, one of its volumes beside the others, all of them, or their folder
    #[arg(value_name = "FILE", required = true)]
    pub(in crate::cli) files: Vec<PathBuf>,

    /// For a delta: the bundle that it adds to (repeatable)
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) base: Vec<PathBuf>,

    /// Check the stored bytes of this volume alone, counted from 1
    #[arg(long, value_name = "N", conflicts_with = "base")]
    pub(in crate::cli) volume: Option<u64>,

    /// With --volume, where the last volume is not among the files: a file that holds what was
    /// signed, the last volume or a receipt of the bundle
    #[arg(long, value_name = "FILE", requires = "volume")]
    pub(in crate::cli) tail: Option<PathBuf>,

    /// Stop after signature and stored bytes; rebuild no blobs
    #[arg(long)]
    pub(in crate::cli) quick: bool,

    /// Blobs rebuilt at once [default: the number of processors]
    #[arg(short, long, value_name = "N")]
    pub(in crate::cli) jobs: Option<NonZeroUsize>,

    /// Print the findings as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,

    #[command(flatten)]
    pub(in crate::cli) trust: TrustArgs,

    #[command(flatten)]
    pub(in crate::cli) reports: ReportArgs,

    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,

    #[command(flatten)]
    pub(in crate::cli) freshness: FreshnessArgs,

    #[command(flatten)]
    pub(in crate::cli) unlock: UnlockArgs,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct InspectArgs {
    /// The bundle: its file, one of its volumes beside the others, all of them, or their folder
    #[arg(value_name = "FILE", required = true)]
    pub(in crate::cli) files: Vec<PathBuf>,

    /// List the layers of each image: size, stored size, sharing, how they are rebuilt
    #[arg(short, long)]
    pub(in crate::cli) layers: bool,

    /// Write a receipt: what the bundle holds, without content; a later export takes it as --base
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) receipt: Option<PathBuf>,

    /// Print it as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,

    #[command(flatten)]
    pub(in crate::cli) trust: TrustArgs,

    #[command(flatten)]
    pub(in crate::cli) unlock: UnlockArgs,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct DiffArgs {
    /// What is there already: a bundle, or the receipt of one. Of a set, one volume or the folder
    #[arg(value_name = "OLD")]
    pub(in crate::cli) old: PathBuf,

    /// The newer bundle, likewise
    #[arg(value_name = "NEW")]
    pub(in crate::cli) new: PathBuf,

    /// Where OLD is a delta: its base (repeatable, the newest first)
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) base: Vec<PathBuf>,

    /// Print it as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,

    #[command(flatten)]
    pub(in crate::cli) trust: TrustArgs,

    #[command(flatten)]
    pub(in crate::cli) unlock: UnlockArgs,
}
