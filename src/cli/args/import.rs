//! `sealift import`, as it is typed.

use std::path::PathBuf;

use clap::Args;

use super::filing::ReceiptArgs;
use super::map::RuleArgs;
use super::registry::RegistryArgs;
use super::state::{FreshnessArgs, StateArgs};
use super::trust::TrustArgs;
use super::unlock::UnlockArgs;

pub(super) const IMPORT_EXAMPLES: &str = "\
Examples:
  sealift import app.sealift --to harbor.example/mirror
  sealift import app.sealift --to docker-daemon:
  sealift import app.sealift --to oci:layout --image registry.example/app:1.2
  sealift import app.sealift --to harbor.example/mirror --dry-run
  sealift import app.sealift --to harbor.example/mirror --map registry.example/team/=apps/
  sealift import app.sealift --to harbor.example/mirror --receipt app.receipt
  sealift import app.sealift --to harbor.example --map '*={registry}/{repository}:{tag}'

Nothing is sent before the signature holds, nor while something is in the way at a registry:
sign-in, projects, rights, quotas and immutable tags are looked at first, and all that is found is
told at once. Blobs go first, tags last; run it again after a failure, and only what is missing is
sent.
";

#[derive(Args, Debug)]
pub(in crate::cli) struct ImportArgs {
    /// The bundle: its file, one of its volumes beside the others, all of them, or their folder
    #[arg(value_name = "FILE", required = true)]
    pub(in crate::cli) files: Vec<PathBuf>,

    /// For a delta: the bundle that it adds to (repeatable) [default: what the target has]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) base: Vec<PathBuf>,

    /// Where the images go: HOST[:PORT][/PREFIX], docker-daemon:, oci:DIR, oci-archive:FILE or
    /// docker-archive:FILE
    #[arg(short, long, value_name = "TARGET")]
    pub(in crate::cli) to: String,

    /// Bring only this image, by its name or digest in the bundle; without a tag, all tags of the
    /// repository (repeatable) [default: all]
    #[arg(short, long, value_name = "NAME")]
    pub(in crate::cli) image: Vec<String>,

    /// Bring only the images for this platform, as in linux/arm64 (repeatable) [default: all; for
    /// docker-archive, this machine's]
    #[arg(short, long, value_name = "OS/ARCH")]
    pub(in crate::cli) platform: Vec<String>,

    /// Harbor: create the projects that are missing, before anything is sent
    #[arg(long)]
    pub(in crate::cli) create_projects: bool,

    /// Let everybody pull from projects that are created [default: only their members]
    #[arg(long, requires = "create_projects")]
    pub(in crate::cli) project_public: bool,

    /// Quota of each project that is created, as in 50GiB; only an administrator's counts
    /// [default: what Harbor gives any project]
    #[arg(long, value_name = "SIZE", requires = "create_projects")]
    pub(in crate::cli) project_quota: Option<String>,

    /// Say what is there, what would be sent and how much, and send nothing
    #[arg(short = 'n', long)]
    pub(in crate::cli) dry_run: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,

    #[command(flatten)]
    pub(in crate::cli) rules: RuleArgs,

    #[command(flatten)]
    pub(in crate::cli) trust: TrustArgs,

    #[command(flatten)]
    pub(in crate::cli) receipt: ReceiptArgs,

    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,

    #[command(flatten)]
    pub(in crate::cli) freshness: FreshnessArgs,

    #[command(flatten)]
    pub(in crate::cli) registry: RegistryArgs,

    #[command(flatten)]
    pub(in crate::cli) unlock: UnlockArgs,
}
