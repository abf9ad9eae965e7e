//! `sealift key`, as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::trust::TrustArgs;

pub(super) const KEY_EXAMPLES: &str = "\
Keys are Ed25519 in PEM, as openssl writes them (openssl genpkey -algorithm ed25519).
The signing key stays with the sender. The receiver gets the .pub file by another way than the
bundle, and puts it into ~/.config/sealift/trust/ or /etc/sealift/trust/. A file trust.toml there
says more: who must sign what, and whose key is revoked.
";

pub(super) const GENERATE_EXAMPLES: &str = "\
Examples:
  sealift key generate                          signing.pem and signing.pub in ~/.config/sealift
  sealift key generate -o vendor.pem --passphrase
  sealift key generate -o vendor.pem --passphrase-file /run/secrets/passphrase

The passphrase can also come from the environment: SEALIFT_PASSPHRASE.
";

pub(super) const SHOW_EXAMPLES: &str = "\
Examples:
  sealift key show vendor.pub
  sealift key show ~/.config/sealift/signing.pem > signing.pub
";

pub(super) const LIST_EXAMPLES: &str = "\
Examples:
  sealift key list
  sealift key list --trust trust.toml
";

pub(super) const ENDORSE_EXAMPLES: &str = "\
Examples:
  sealift key endorse new.pub --key old.pem -o new.endorsement
  sealift key endorse new.pub --key old.pem --retire -o new.endorsement

The file is not secret and may travel with a bundle. On the far side: sealift key accept.
";

pub(super) const ACCEPT_EXAMPLES: &str = "\
Examples:
  sealift key accept new.endorsement
  sealift key accept from-anna.endorsement from-ben.endorsement --name release-2027

As many trusted keys must endorse the new one as must sign a bundle. The new key may sign what those
may that endorse it.
";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Make a signing key and the public key that goes with it
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(GenerateArgs),

    /// Print the public key and its ID, of a public or a signing key
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),

    /// List the keys that are trusted here, what each may sign, and those that are revoked
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),

    /// Sign a new public key with an old key, for receivers who trust the old one
    #[command(after_help = ENDORSE_EXAMPLES)]
    Endorse(EndorseArgs),

    /// Trust a new public key here because trusted keys endorse it
    #[command(after_help = ACCEPT_EXAMPLES)]
    Accept(AcceptArgs),
}

#[derive(Args, Debug)]
pub(in crate::cli) struct GenerateArgs {
    /// The signing key to write; the public key goes next to it, as .pub
    /// [default: signing.pem in ~/.config/sealift]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// Protect the signing key with a passphrase, asked for unless it is given
    #[arg(long)]
    pub(in crate::cli) passphrase: bool,

    /// Protect the signing key with the passphrase in this file
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ShowArgs {
    /// A public key, or a signing key (its passphrase is asked for if it has one)
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,

    /// Read the key's passphrase from this file [default: SEALIFT_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ListArgs {
    /// Print it as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,

    #[command(flatten)]
    pub(in crate::cli) trust: TrustArgs,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct EndorseArgs {
    /// The new public key
    #[arg(value_name = "FILE")]
    pub(in crate::cli) public: PathBuf,

    /// The old signing key [default: signing.pem in ~/.config/sealift]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) key: Option<PathBuf>,

    /// Read the old key's passphrase from this file [default: SEALIFT_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,

    /// Say that the old key is not to be trusted any more once the new one is
    #[arg(long)]
    pub(in crate::cli) retire: bool,

    /// The endorsement to write
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: PathBuf,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct AcceptArgs {
    /// Endorsements of the same new key
    #[arg(required = true, value_name = "FILE")]
    pub(in crate::cli) endorsements: Vec<PathBuf>,

    /// Call the new key by this name [default: the beginning of its ID]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,

    /// Go by this file and add the key to it [default: trust.toml in ~/.config/sealift/trust or
    /// /etc/sealift/trust; without one, the .pub files there]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) trust: Option<PathBuf>,
}
