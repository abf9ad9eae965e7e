//! `sealift sign`, as it is typed.

use std::path::PathBuf;

use clap::Args;

pub(super) const SIGN_EXAMPLES: &str = "\
Examples:
  sealift sign app.sealift                              a second signature, by your own key
  sealift sign app.sealift --key second.pem -o /mnt/app.sealift

Where the bundle cannot be written, or who signs sits elsewhere with a copy of it:
  sealift sign app.sealift --key second.pem --detached second.sig     there: the signature alone
  sealift sign app.sealift --add second.sig --public second.pub       here: into the bundle
  openssl pkeyutl -sign -rawin -inkey second.pem -in manifest -out second.sig     the same, by hand

Signs only what a trusted key signed before and what is whole: signature, every stored byte. The
bundle is copied beside itself, or to -o, and gets its name when it is whole: so there must be room
for a copy. Of a set of volumes only the last one changes. Parity that was made before does not
cover the new signature: make it again.
";

#[derive(Args, Debug)]
pub(in crate::cli) struct SignArgs {
    /// The bundles
    #[arg(required = true, value_name = "FILE")]
    pub(in crate::cli) bundles: Vec<PathBuf>,

    /// Sign with this key (repeatable) [default: signing.pem in ~/.config/sealift]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) key: Vec<PathBuf>,

    /// Read the key's passphrase from this file [default: SEALIFT_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,

    /// Write the signed bundle to this file and leave the other one as it is
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// Replace the file that is written if it is there
    #[arg(long)]
    pub(in crate::cli) force: bool,

    /// Leave the bundle as it is and write the signature alone, 64 bytes, to this file. It counts
    /// once it is in the bundle: bring file and public key to where that is, and --add it
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(in crate::cli) detached: Option<PathBuf>,

    /// Put the signature in this file into the bundle: one that --detached or openssl wrote
    /// elsewhere. Needs no signing key
    #[arg(long, value_name = "FILE", requires = "public", conflicts_with_all = ["key", "detached"])]
    pub(in crate::cli) add: Option<PathBuf>,

    /// With --add: the public key of who made the signature
    #[arg(long, value_name = "FILE", requires = "add")]
    pub(in crate::cli) public: Option<PathBuf>,

    /// Sign although no trusted key signed it before
    #[arg(long)]
    pub(in crate::cli) unverified: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,

    /// It must be signed by this public key (repeatable) [default: by whom trust.toml names, else
    /// by any *.pub, in ~/.config/sealift/trust and /etc/sealift/trust]
    #[arg(long, value_name = "FILE", help_heading = "Trust", conflicts_with = "unverified")]
    pub(in crate::cli) signed_by: Vec<PathBuf>,

    /// Trust whom this file names, as trust.toml does
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Trust",
        conflicts_with_all = ["unverified", "signed_by"],
    )]
    pub(in crate::cli) trust: Option<PathBuf>,
}
