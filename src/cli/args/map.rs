//! `sealift map`, and rules for names, as they are typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::registry::EVERY_HOST;
use super::trust::TrustArgs;
use super::unlock::UnlockArgs;

pub(super) const MAP_EXAMPLES: &str = "\
Examples:
  sealift map app.sealift --to harbor.example/mirror
  sealift map app.sealift --to harbor.example --map '*={registry}/{repository}' --json
  sealift map app.sealift --to harbor.example/mirror --format docker -o pull.sh
  sealift map app.sealift --to harbor.example/mirror --format hosts.toml -o certs.d
  sealift map app.sealift --to harbor.example/mirror --format registries.conf -o harbor.conf
  sealift map app.sealift --to harbor.example/mirror --format kustomize

Asks no registry: give it the --to, --map and --platform that import got. What a format cannot
express is left out, and said in a comment and on stderr.
";

/// Rules for names, for every command that makes names at a target.
#[derive(Args, Debug)]
#[command(next_help_heading = "Names")]
pub(in crate::cli) struct RuleArgs {
    /// Give images another name below the target (repeatable; the closest FROM counts).
    /// FROM is an image (registry.example/app:1.2), a repository (registry.example/app), a folder
    /// (registry.example/team/) or *. TO is a name below --to, outside of its prefix if it begins
    /// with /; a folder if it ends in /; and may hold {registry}, {repository}, {name} and {tag}
    #[arg(short, long, value_name = "FROM=TO")]
    pub(in crate::cli) map: Vec<String>,

    /// Read such rules from a file, one a line; # begins a comment, and ? a rule that may be for
    /// no image (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) map_file: Vec<PathBuf>,
}

/// In which form names are written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum MapFormat {
    /// For people
    Table,
    /// Everything, for programs
    Json,
    /// A line an image: the old name, and the new one with its digest
    List,
    /// A shell script that pulls the new names and gives the images their old ones
    Docker,
    /// For containerd: a mirror for each registry
    #[value(name = "hosts.toml")]
    HostsToml,
    /// For podman, skopeo, buildah and CRI-O: mirrors
    #[value(name = "registries.conf")]
    RegistriesConf,
    /// The images of a kustomization
    Kustomize,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct MapArgs {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub(in crate::cli) bundle: PathBuf,

    /// The registry that the images go to: HOST[:PORT][/PREFIX]
    #[arg(short, long, value_name = "TARGET")]
    pub(in crate::cli) to: String,

    /// How to write it
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(in crate::cli) format: MapFormat,

    /// Write it to this file; for hosts.toml, into this directory, a folder for each registry
    #[arg(short, long, value_name = "PATH")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// Replace files that are there
    #[arg(long, requires = "output")]
    pub(in crate::cli) force: bool,

    /// The registry, this one or any, speaks plain HTTP: for hosts.toml and registries.conf
    /// (repeatable)
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = EVERY_HOST,
    )]
    pub(in crate::cli) plain_http: Vec<String>,

    /// Only this image, by its name or digest in the bundle; without a tag, all tags of the
    /// repository (repeatable) [default: all]
    #[arg(short, long, value_name = "NAME")]
    pub(in crate::cli) image: Vec<String>,

    /// Only the images for this platform, as in linux/arm64 (repeatable) [default: all]
    #[arg(short, long, value_name = "OS/ARCH")]
    pub(in crate::cli) platform: Vec<String>,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub(in crate::cli) json: bool,

    #[command(flatten)]
    pub(in crate::cli) rules: RuleArgs,

    #[command(flatten)]
    pub(in crate::cli) trust: TrustArgs,

    #[command(flatten)]
    pub(in crate::cli) unlock: UnlockArgs,
}
