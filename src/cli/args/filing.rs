//! What is to be filed of a command, as it is typed; and `sealift log`.

use std::path::PathBuf;

use clap::Args;

use crate::model::Digest;

pub(super) const LOG_EXAMPLES: &str = "\
Examples:
  sealift log                        what was verified and imported on this machine
  sealift log --check                prove that no line was changed or taken out
  sealift log --json | jq -r '.[] | select(.exitCode != 0) | .sentence'

verify and import write a line each, whatever comes of them. Each line holds the digest of the one
before. Whoever notes the digest that --check prints can also tell whether lines were taken off the
end: sealift log --check --expect DIGEST

Exit codes:
  0  the chain holds    4  it is broken; the line is named
";

/// Reports of a check.
#[derive(Args, Debug)]
#[command(next_help_heading = "Evidence")]
pub(in crate::cli) struct ReportArgs {
    /// Write down what was checked and what came of it, for filing: FILE.json or FILE.html
    /// (repeatable). Whatever the outcome, and never over a file that is there
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) report: Vec<PathBuf>,

    /// Sign each report with this key: FILE.sig holds an Ed25519 signature, as openssl checks it
    #[arg(long, value_name = "KEY", requires = "report")]
    pub(in crate::cli) sign_report: Option<PathBuf>,

    /// Read that key's passphrase from this file [default: SEALIFT_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE", requires = "sign_report")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,
}

/// The receipt of an import.
#[derive(Args, Debug)]
#[command(next_help_heading = "Evidence")]
pub(in crate::cli) struct ReceiptArgs {
    /// Write a receipt: which images are at the target now, under which names and digests. Carried
    /// back to the sender it serves as --base of the next export
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(in crate::cli) receipt: Option<PathBuf>,

    /// Sign what the receipt says with this key (repeatable)
    #[arg(long, value_name = "KEY", requires = "receipt")]
    pub(in crate::cli) sign_receipt: Vec<PathBuf>,

    /// Read that key's passphrase from this file [default: SEALIFT_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE", requires = "sign_receipt")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,
}

/// `sealift log`.
#[derive(Args, Debug)]
pub(in crate::cli) struct LogArgs {
    /// Prove that the lines are those that were written, in their order
    #[arg(long)]
    pub(in crate::cli) check: bool,

    /// With --check: a line with this digest must be there
    #[arg(long, value_name = "DIGEST", requires = "check")]
    pub(in crate::cli) expect: Option<Digest>,

    /// Read the log in this folder [default: ~/.local/state/sealift]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) state: Option<PathBuf>,

    /// Print it as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
