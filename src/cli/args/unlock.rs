//! What opens an encrypted bundle, as it is typed.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub(in crate::cli) struct UnlockArgs {
    /// Open an encrypted bundle with the identity in this file, as age-keygen writes it (repeatable)
    /// [default: identity.txt in ~/.config/sealift]
    #[arg(long, value_name = "FILE", help_heading = "Encrypted bundles")]
    pub(in crate::cli) identity: Vec<PathBuf>,

    /// Read the passphrase of an encrypted bundle from this file
    /// [default: SEALIFT_BUNDLE_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE", help_heading = "Encrypted bundles")]
    pub(in crate::cli) bundle_passphrase_file: Option<PathBuf>,
}
