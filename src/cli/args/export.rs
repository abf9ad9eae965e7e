//! `sealift export`, as it is typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::registry::{MirrorArgs, RegistryArgs};
use super::state::StateArgs;
use super::unlock::UnlockArgs;

pub(super) const EXPORT_EXAMPLES: &str = "\
Examples:
  sealift export alpine:3.20 registry.example/app:1.2 -o release.sealift
  sealift export docker-daemon:app:1.2 -o app.sealift
  sealift export oci-archive:app.tar -o app.sealift
  sealift export --platform linux/amd64 --platform linux/arm64 nginx:1.27 -o nginx.sealift
  sealift export nginx:1.27 -o /media/stick/nginx.sealift --volume-size fat32 --read-back
  sealift export --dry-run registry.example/app:1.2       what would be carried, and how much
  sealift export alpine:3.20 -o alpine.sealift --parity 10%    a tenth may get damaged
  sealift export registry.example/app:1.3 --base app.sealift -o update.sealift     a delta
  sealift export app:1.2 -o app.sealift.age --encrypt-to @recipients.txt
  sealift export registry.example/app:1.3 -o app.sealift --stream prod --expires 30d

Sign-ins are those of sealift login, docker login and podman login.
";

/// How hard a bundle is packed, as the user spells it.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Preset {
    Fast,
    Balanced,
    Max,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ExportArgs {
    /// Images to carry, written as registry/name:tag, docker-daemon:NAME, oci:DIR[:TAG],
    /// oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]
    #[arg(required_unless_present = "only_volume", value_name = "SOURCE")]
    pub(in crate::cli) sources: Vec<String>,

    /// The bundle to write: a file, as in app.sealift
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// Replace the bundle if it is there
    #[arg(long)]
    pub(in crate::cli) force: bool,

    /// Sign with this key (repeatable) [default: signing.pem in ~/.config/sealift]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) key: Vec<PathBuf>,

    /// Read the key's passphrase from this file [default: SEALIFT_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,

    /// Take only the images for this platform, as in linux/arm64 (repeatable) [default: all]
    #[arg(short, long, value_name = "OS/ARCH")]
    pub(in crate::cli) platform: Vec<String>,

    /// Leave out signatures, attestations and SBOMs that are attached to the images
    #[arg(long)]
    pub(in crate::cli) no_attachments: bool,

    /// Cut the bundle into volumes, files of at most this size, as in 700MB or 4GiB (at least 1MiB),
    /// or fat32 (4 GiB − 1) or dvd (one file on a disc): app.001.sealift and so on for -o
    /// app.sealift [default: one file; on a FAT file system fat32]
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli) volume_size: Option<String>,

    /// When all is written, read it from the medium again and compare
    #[arg(long)]
    pub(in crate::cli) read_back: bool,

    /// Make volume N of the bundle -o again, because it was lost: byte for byte as it was signed.
    /// What was signed is read from the last volume, beside -o or named with --tail. Without SOURCE
    /// the images are read from where their names say; name all of them if they are elsewhere.
    /// Nothing is signed, and --key names a public key
    #[arg(long, value_name = "N", conflicts_with_all = ["encrypt_to", "encrypt_passphrase", "volume_size", "resume", "dry_run", "platform", "no_attachments", "compression", "passphrase_file"])]
    pub(in crate::cli) only_volume: Option<u64>,

    /// With --only-volume: the last volume, where it is not beside -o, or a receipt of the bundle
    #[arg(long, value_name = "FILE", requires = "only_volume")]
    pub(in crate::cli) tail: Option<PathBuf>,

    /// How hard to pack: fast carries gzip layers as they are; balanced and max open them, share
    /// what they have in common, and rebuild them byte for byte on the far side
    #[arg(short, long, value_name = "PRESET", default_value = "balanced")]
    pub(in crate::cli) compression: Preset,

    /// Write a delta: leave out what this bundle holds, or the bundle of this receipt. The far side
    /// needs that bundle, or what was imported from it. Repeat it for the bases of the base, the
    /// newest first
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) base: Vec<PathBuf>,

    /// Encrypt the bundle to this recipient, as age-keygen prints it (age1...), or to those in a
    /// file, as @FILE, one a line (repeatable). The name then ends in .age
    #[arg(long, value_name = "RECIPIENT", help_heading = "Encrypted bundles")]
    pub(in crate::cli) encrypt_to: Vec<String>,

    /// Encrypt the bundle with a passphrase, asked for unless it is given
    #[arg(long, conflicts_with = "encrypt_to", help_heading = "Encrypted bundles")]
    pub(in crate::cli) encrypt_passphrase: bool,

    /// Make parity too, in a file beside the bundle, as in 10%: so much of the bundle may get damaged,
    /// and sealift repair gives it back
    #[arg(long, value_name = "PERCENT", value_parser = super::repair::percent)]
    pub(in crate::cli) parity: Option<u8>,

    /// Go on from what an interrupted export to the same file has gathered; the bundle is the same
    /// as without
    #[arg(long)]
    pub(in crate::cli) resume: bool,

    /// Packs compressed at once; the bundle is the same with any number [default: the number of
    /// processors]
    #[arg(short, long, value_name = "N")]
    pub(in crate::cli) jobs: Option<NonZeroUsize>,

    /// Say what would be carried, and write nothing
    #[arg(short = 'n', long)]
    pub(in crate::cli) dry_run: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,

    #[command(flatten)]
    pub(in crate::cli) stream: StreamArgs,

    #[command(flatten)]
    pub(in crate::cli) state: StateArgs,

    #[command(flatten)]
    pub(in crate::cli) registry: RegistryArgs,

    #[command(flatten)]
    pub(in crate::cli) mirrors: MirrorArgs,

    #[command(flatten)]
    pub(in crate::cli) unlock: UnlockArgs,
}

/// What a receiver is told about the age of a bundle.
#[derive(Args, Debug)]
#[command(next_help_heading = "Freshness")]
pub(in crate::cli) struct StreamArgs {
    /// The bundle is the next of this stream: receivers refuse it once they have seen a later one
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) stream: Option<String>,

    /// Its number in the stream [default: one more than the last that was made here]
    #[arg(long, value_name = "N", requires = "stream")]
    pub(in crate::cli) sequence: Option<u64>,

    /// Receivers refuse the bundle after so many hours, days or weeks (12h, 30d, 8w), or after this
    /// day (2027-01-31, UTC)
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) expires: Option<String>,
}
