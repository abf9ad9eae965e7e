//! `sealift key`, as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(super) const KEY_EXAMPLES: &str = "\
Keys are Ed25519 in PEM, as openssl writes them (openssl genpkey -algorithm ed25519).
The signing key stays with the sender. The receiver gets the .pub file by another way than the
bundle, and puts it into ~/.config/sealift/trust/ or /etc/sealift/trust/.
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

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Make a signing key and the public key that goes with it
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(GenerateArgs),

    /// Print the public key and its ID, of a public or a signing key
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
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
