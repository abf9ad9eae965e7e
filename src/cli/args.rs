//! The command line as it is typed. What it means is worked out in [`super::request`].
//!
//! The texts here are what `--help` prints, and snapshots in `tests/cli` hold them.

#![allow(
    rustdoc::broken_intra_doc_links,
    clippy::doc_markdown,
    clippy::struct_excessive_bools,
    reason = "the comments are what --help prints, and options are what they are"
)]

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  sealift key generate                                       once: make a signing key
  sealift export registry.example/app:1.2 -o app.sealift     gather and sign
  sealift verify app.sealift                                 prove it on arrival
  sealift import app.sealift --to harbor.example/mirror      bring it in

Places:
  registry.example/app:1.2, docker://registry.example/app:1.2   a registry
  docker-daemon:app:1.2                                         the local Docker daemon
  oci:DIR[:TAG], oci-archive:FILE[:TAG]                         an OCI layout, plain or in a tar
  docker-archive:FILE[:NAME]                                    what docker save writes

Exit codes:
  0  ok                       5  signed by no trusted key
  2  wrong use                6  older than what was seen, or expired
  3  local file or device     7  malformed, or over a limit
  4  damaged or incomplete    8  registry or daemon
";

const EXPORT_EXAMPLES: &str = "\
Examples:
  sealift export alpine:3.20 registry.example/app:1.2 -o release.sealift
  sealift export docker-daemon:app:1.2 -o app.sealift
  sealift export oci-archive:app.tar -o app.sealift
  sealift export --platform linux/amd64 --platform linux/arm64 nginx:1.27 -o nginx.sealift
  sealift export --dry-run registry.example/app:1.2       what would be carried, and how much
  sealift export registry.example/app:1.3 --base app.sealift -o update.sealift     a delta

Sign-ins are those of docker and podman: docker login registry.example
";

const VERIFY_EXAMPLES: &str = "\
Examples:
  sealift verify app.sealift                     every byte, every blob, every image
  sealift verify app.sealift --key vendor.pub    signed by this key and no other
  sealift verify app.sealift --quick             signature and stored bytes only
  sealift verify update.sealift --base app.sealift
  sealift verify app.sealift --json > evidence.json

Exit codes:
  0  whole, and signed by a trusted key    5  signed by no trusted key
  4  damaged or incomplete                 7  malformed, or over a limit
";

const IMPORT_EXAMPLES: &str = "\
Examples:
  sealift import app.sealift --to harbor.example/mirror
  sealift import app.sealift --to docker-daemon:
  sealift import app.sealift --to oci:layout --image registry.example/app:1.2
  sealift import app.sealift --to harbor.example/mirror --dry-run

Nothing is sent before the signature holds. Blobs go first, tags last; run it again after a
failure, and only what is missing is sent.
";

const INSPECT_EXAMPLES: &str = "\
Examples:
  sealift inspect app.sealift
  sealift inspect app.sealift --layers
  sealift inspect app.sealift --receipt app.receipt       for the next delta
  sealift inspect app.sealift --json | jq -r '.images[].name'

Reads only the end of the file. What it prints is what the bundle says of itself: sealift verify
proves it.
";

const DIFF_EXAMPLES: &str = "\
Examples:
  sealift diff app-1.2.sealift app-1.3.sealift
  sealift diff app-1.2.receipt app-1.3.sealift
";

const KEY_EXAMPLES: &str = "\
Keys are Ed25519 in PEM, as openssl writes them (openssl genpkey -algorithm ed25519).
The signing key stays with the sender. The receiver gets the .pub file by another way than the
bundle, and puts it into ~/.config/sealift/trust/ or /etc/sealift/trust/.
";

const GENERATE_EXAMPLES: &str = "\
Examples:
  sealift key generate                          signing.pem and signing.pub in ~/.config/sealift
  sealift key generate -o vendor.pem --passphrase
  sealift key generate -o vendor.pem --passphrase-file /run/secrets/passphrase

The passphrase can also come from the environment: SEALIFT_PASSPHRASE.
";

const SHOW_EXAMPLES: &str = "\
Examples:
  sealift key show vendor.pub
  sealift key show ~/.config/sealift/signing.pem > signing.pub
";

/// Carry container images over an air gap.
///
/// On the connected side, export gathers images into one deduplicated, signed bundle. On the far
/// side, verify proves who sealed it and that every byte is there, and import brings the images
/// into a registry, a Docker daemon or a directory, every digest intact.
#[derive(Debug, Parser)]
#[command(name = "sealift", version, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Cli {
    /// No progress; only results, warnings and errors
    #[arg(short, long, global = true, display_order = 900)]
    pub(super) quiet: bool,

    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Gather images into one signed bundle
    #[command(visible_alias = "save", after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),

    /// Prove who sealed a bundle and that every byte is there
    ///
    /// The signature is checked first, then every stored byte, then every blob rebuilt and
    /// hashed, then every image complete. All findings are collected and listed. Writes nothing,
    /// and works on read-only media.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),

    /// Bring the images of a bundle into a registry, a daemon or a directory
    #[command(visible_alias = "load", after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),

    /// List what a bundle holds
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(InspectArgs),

    /// Say what a bundle has that another lacks: what a delta would carry
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),

    /// Make and show keys
    #[command(after_help = KEY_EXAMPLES)]
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a signing key and the public key that goes with it
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(GenerateArgs),

    /// Print the public key and its ID, of a public or a signing key
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
}

/// How registries are reached.
#[derive(Args, Debug)]
#[command(next_help_heading = "Registries")]
pub(super) struct RegistryArgs {
    /// Speak plain HTTP instead of HTTPS; only for registries on a network that you trust
    #[arg(long)]
    pub(super) plain_http: bool,

    /// Trust the certificate authorities in this PEM file too (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Vec<PathBuf>,

    /// Send the sign-in to this token service although it is not the registry's own (repeatable)
    #[arg(long, value_name = "HOST")]
    pub(super) token_host: Vec<String>,
}

/// How hard a bundle is packed, as the user spells it.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    Fast,
    Balanced,
    Max,
}

#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// Images to carry, written as registry/name:tag, docker-daemon:NAME, oci:DIR[:TAG],
    /// oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]
    #[arg(required = true, value_name = "SOURCE")]
    pub(super) sources: Vec<String>,

    /// The bundle to write
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    pub(super) output: Option<PathBuf>,

    /// Replace the bundle if it is there
    #[arg(long)]
    pub(super) force: bool,

    /// Sign with this key (repeatable) [default: signing.pem in ~/.config/sealift]
    #[arg(short, long, value_name = "FILE")]
    pub(super) key: Vec<PathBuf>,

    /// Read the key's passphrase from this file [default: SEALIFT_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,

    /// Take only the images for this platform, as in linux/arm64 (repeatable) [default: all]
    #[arg(short, long, value_name = "OS/ARCH")]
    pub(super) platform: Vec<String>,

    /// Leave out signatures, attestations and SBOMs that are attached to the images
    #[arg(long)]
    pub(super) no_attachments: bool,

    /// How hard to pack: fast carries gzip layers as they are; balanced and max open them, share
    /// what they have in common, and rebuild them byte for byte on the far side
    #[arg(short, long, value_name = "PRESET", default_value = "balanced")]
    pub(super) compression: Preset,

    /// Leave out what this bundle holds, or the bundle of this receipt: what is written is a
    /// delta. Repeat it for the bases of the base, the newest first
    #[arg(short, long, value_name = "FILE")]
    pub(super) base: Vec<PathBuf>,

    /// Packs compressed at once; the bundle is the same with any number [default: the number of
    /// processors]
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,

    /// Say what would be carried, and write nothing
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub(super) bundle: PathBuf,

    /// Trust only this public key (repeatable) [default: every *.pub in ~/.config/sealift/trust
    /// and /etc/sealift/trust]
    #[arg(short, long, value_name = "FILE")]
    pub(super) key: Vec<PathBuf>,

    /// For a delta: the bundle that it adds to (repeatable)
    #[arg(short, long, value_name = "FILE")]
    pub(super) base: Vec<PathBuf>,

    /// Stop after signature and stored bytes; rebuild no blobs
    #[arg(long)]
    pub(super) quick: bool,

    /// Blobs rebuilt at once [default: the number of processors]
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,

    /// Print the findings as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub(super) bundle: PathBuf,

    /// For a delta: the bundle that it adds to (repeatable) [default: what the target has]
    #[arg(short, long, value_name = "FILE")]
    pub(super) base: Vec<PathBuf>,

    /// Where the images go: HOST[:PORT][/PREFIX], docker-daemon:, oci:DIR, oci-archive:FILE or
    /// docker-archive:FILE
    #[arg(short, long, value_name = "TARGET")]
    pub(super) to: String,

    /// Trust only this public key (repeatable) [default: every *.pub in ~/.config/sealift/trust
    /// and /etc/sealift/trust]
    #[arg(short, long, value_name = "FILE")]
    pub(super) key: Vec<PathBuf>,

    /// Bring only this image, by its name or digest in the bundle (repeatable) [default: all]
    #[arg(short, long, value_name = "NAME")]
    pub(super) image: Vec<String>,

    /// Bring only the images for this platform, as in linux/arm64 (repeatable) [default: all; for
    /// docker-archive, this machine's]
    #[arg(short, long, value_name = "OS/ARCH")]
    pub(super) platform: Vec<String>,

    /// Say what is there, what would be sent and how much, and send nothing
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub(super) bundle: PathBuf,

    /// List the layers of each image: size, stored size, sharing, how they are rebuilt
    #[arg(short, long)]
    pub(super) layers: bool,

    /// Write a receipt: what the bundle holds, without content; a later export takes it as --base
    #[arg(long, value_name = "FILE")]
    pub(super) receipt: Option<PathBuf>,

    /// Say whether this public key signed it (repeatable) [default: every *.pub in
    /// ~/.config/sealift/trust and /etc/sealift/trust]
    #[arg(short, long, value_name = "FILE")]
    pub(super) key: Vec<PathBuf>,

    /// Print it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// What is there already: a bundle, or the receipt of one
    #[arg(value_name = "OLD")]
    pub(super) old: PathBuf,

    /// The newer bundle
    #[arg(value_name = "NEW")]
    pub(super) new: PathBuf,

    /// Where OLD is a delta: its base (repeatable, the newest first)
    #[arg(short, long, value_name = "FILE")]
    pub(super) base: Vec<PathBuf>,

    /// Trust only this public key (repeatable) [default: every *.pub in ~/.config/sealift/trust
    /// and /etc/sealift/trust]
    #[arg(short, long, value_name = "FILE")]
    pub(super) key: Vec<PathBuf>,

    /// Print it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct GenerateArgs {
    /// The signing key to write; the public key goes next to it, as .pub
    /// [default: signing.pem in ~/.config/sealift]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Protect the signing key with a passphrase, asked for unless it is given
    #[arg(long)]
    pub(super) passphrase: bool,

    /// Protect the signing key with the passphrase in this file
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// A public key, or a signing key (its passphrase is asked for if it has one)
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,

    /// Read the key's passphrase from this file [default: SEALIFT_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn dockers_own_words_are_understood() {
        assert!(matches!(parse("sealift save a -o b").unwrap().command, Command::Export(_)));
        assert!(matches!(parse("sealift load b --to h:5000").unwrap().command, Command::Import(_)));
    }

    #[test]
    fn an_export_needs_an_output_unless_it_is_dry() {
        assert!(parse("sealift export a").is_err());
        assert!(parse("sealift export -n a").is_ok());
        assert!(parse("sealift export -o b").is_err());
    }

    #[test]
    fn quiet_is_taken_anywhere() {
        assert!(parse("sealift -q verify b").unwrap().quiet);
        assert!(parse("sealift verify b -q").unwrap().quiet);
    }

    #[test]
    fn no_jobs_at_all_is_refused() {
        assert!(parse("sealift export a -o b --jobs 0").is_err());
    }

    /// Every command that the documents show is one that this program understands.
    #[test]
    fn the_documents_show_commands_that_exist() {
        let documents = [include_str!("../../README.md"), include_str!("../../docs/guide.md")];
        let help = [EXAMPLES, EXPORT_EXAMPLES, VERIFY_EXAMPLES, IMPORT_EXAMPLES, INSPECT_EXAMPLES];
        let help = help.iter().chain(&[KEY_EXAMPLES, GENERATE_EXAMPLES, SHOW_EXAMPLES]);
        let shown = documents
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(|line| line.strip_prefix("$ ").filter(|line| line.starts_with("sealift ")));
        let examples = help
            .flat_map(|text| text.lines())
            .filter_map(|line| line.strip_prefix("  ").filter(|line| line.starts_with("sealift ")));
        let mut count = 0;
        for line in shown.chain(examples) {
            // What stands behind two spaces explains; what stands behind a pipe is another program's.
            let command = line.split("  ").next().unwrap_or(line);
            let command = command.split(['|', '>']).next().unwrap_or(command);
            assert!(parse(command).is_ok(), "{command:?}: {:?}", parse(command).err());
            count += 1;
        }
        assert!(count > 30, "only {count} commands were found");
    }
}
