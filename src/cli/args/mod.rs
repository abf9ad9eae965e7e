//! The command line as it is typed. What it means is worked out in [`super::request`].
//!
//! The texts here are what `--help` prints, and snapshots in `tests/cli` hold them.

#![allow(
    rustdoc::broken_intra_doc_links,
    clippy::doc_markdown,
    clippy::struct_excessive_bools,
    reason = "the comments are what --help prints, and options are what they are"
)]

mod export;
mod filing;
mod import;
mod key;
mod login;
mod look;
mod map;
mod registry;
mod repair;
mod sign;
mod sign_in;
mod state;
mod trust;
mod unlock;

use clap::{Parser, Subcommand};

use self::export::EXPORT_EXAMPLES;
pub(super) use self::export::{ExportArgs, Preset, StreamArgs};
use self::filing::LOG_EXAMPLES;
pub(super) use self::filing::{LogArgs, ReceiptArgs, ReportArgs};
use self::import::IMPORT_EXAMPLES;
pub(super) use self::import::ImportArgs;
use self::key::KEY_EXAMPLES;
pub(super) use self::key::{AcceptArgs, EndorseArgs, GenerateArgs, KeyCommand, ListArgs, ShowArgs};
use self::login::{LOGIN_EXAMPLES, LOGOUT_EXAMPLES};
pub(super) use self::login::{LoginArgs, LogoutArgs};
use self::look::{DIFF_EXAMPLES, INSPECT_EXAMPLES, VERIFY_EXAMPLES};
pub(super) use self::look::{DiffArgs, InspectArgs, VerifyArgs};
use self::map::MAP_EXAMPLES;
pub(super) use self::map::{MapArgs, MapFormat, RuleArgs};
pub(super) use self::registry::{EVERY_HOST, MirrorArgs, RegistryArgs};
use self::repair::{PARITY_EXAMPLES, REPAIR_EXAMPLES};
pub(super) use self::repair::{ParityArgs, RepairArgs};
use self::sign::SIGN_EXAMPLES;
pub(super) use self::sign::SignArgs;
pub(super) use self::sign_in::SignInArgs;
pub(super) use self::state::StateArgs;
pub(super) use self::trust::TrustArgs;
pub(super) use self::unlock::UnlockArgs;

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
    /// hashed, then every image complete. All findings are collected and listed. Nothing is written
    /// to the medium; of a bundle that is whole and of a stream, it is remembered that it was here.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),

    /// Bring the images of a bundle into a registry, a daemon or a directory
    #[command(visible_alias = "load", after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),

    /// Say which names the images of a bundle get at a registry, for people and programs
    ///
    /// The old and the new name and the digest of every image, as a table, as JSON, or as a piece of
    /// configuration that makes docker, containerd, podman or Kubernetes find them.
    #[command(after_help = MAP_EXAMPLES)]
    Map(MapArgs),

    /// List what a bundle holds
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(InspectArgs),

    /// Say what a bundle has that another lacks: what a delta would carry
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),

    /// Make parity for a bundle, which makes up for damage on its way
    ///
    /// Parity lies in a file of its own, beside the bundle, which stays as it is. Ten per cent make
    /// up for any tenth of the bundle, wherever it is damaged. Encrypted bundles are covered too.
    #[command(after_help = PARITY_EXAMPLES)]
    Parity(ParityArgs),

    /// Give back what is damaged or missing of a bundle, from its parity
    ///
    /// Nothing is repaired in place: the volumes that are not whole are written anew, byte for byte
    /// as they were, and get their names only once they are proved to be signed by a trusted key.
    #[command(after_help = REPAIR_EXAMPLES)]
    Repair(RepairArgs),

    /// Add a signature to a bundle, so that two people vouch for it
    ///
    /// Checks first that a trusted key signed the bundle and that every stored byte is there, and
    /// shows what is signed. The signature goes into the bundle, or with --detached into a small file
    /// that somebody else adds to the bundle with --add.
    #[command(after_help = SIGN_EXAMPLES)]
    Sign(SignArgs),

    /// Show what was verified and imported on this machine, and prove that nothing of it was changed
    #[command(after_help = LOG_EXAMPLES)]
    Log(LogArgs),

    /// Sign in to a registry, as docker login does
    ///
    /// The registry is asked whether it takes the sign-in before it is written down. It is kept
    /// where docker keeps it: in ~/.docker/config.json (or below DOCKER_CONFIG), or by the
    /// credential helper that this file names. Docker, podman and skopeo read it there.
    #[command(after_help = LOGIN_EXAMPLES)]
    Login(LoginArgs),

    /// Forget the sign-in to a registry
    #[command(after_help = LOGOUT_EXAMPLES)]
    Logout(LogoutArgs),

    /// Make, show, list and replace keys
    #[command(after_help = KEY_EXAMPLES)]
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::key::{
        ACCEPT_EXAMPLES, ENDORSE_EXAMPLES, GENERATE_EXAMPLES, LIST_EXAMPLES, SHOW_EXAMPLES,
    };
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
        let documents =
            [include_str!("../../../README.md"), include_str!("../../../docs/guide.md")];
        let help = [
            EXAMPLES,
            EXPORT_EXAMPLES,
            VERIFY_EXAMPLES,
            IMPORT_EXAMPLES,
            MAP_EXAMPLES,
            INSPECT_EXAMPLES,
            DIFF_EXAMPLES,
            PARITY_EXAMPLES,
            REPAIR_EXAMPLES,
            SIGN_EXAMPLES,
            LOG_EXAMPLES,
            LOGIN_EXAMPLES,
            LOGOUT_EXAMPLES,
        ];
        let keys = [
            KEY_EXAMPLES,
            GENERATE_EXAMPLES,
            SHOW_EXAMPLES,
            LIST_EXAMPLES,
            ENDORSE_EXAMPLES,
            ACCEPT_EXAMPLES,
        ];
        let help = help.iter().chain(&keys);
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
            let command = command.split(['|', '>', '<']).next().unwrap_or(command);
            assert!(parse(command).is_ok(), "{command:?}: {:?}", parse(command).err());
            count += 1;
        }
        assert!(count > 30, "only {count} commands were found");
    }
}
