//! `sealift parity` and `sealift repair`, as they are typed.

use std::path::PathBuf;

use clap::Args;

use super::trust::TrustArgs;
use super::unlock::UnlockArgs;

pub(super) const PARITY_EXAMPLES: &str = "\
Examples:
  sealift parity app.sealift                        10 % in app.parity.sealift
  sealift parity app.sealift --percent 25
  sealift parity /media/stick                       a set, by its folder

sealift export --parity makes it together with the bundle.
";

pub(super) const REPAIR_EXAMPLES: &str = "\
Examples:
  sealift repair --check app.sealift                         how bad it is
  sealift repair app.sealift -o app-repaired.sealift         one volume, into a new file
  sealift repair /media/stick -o repaired                    a set, into a folder
  sealift repair /media/stick1 /media/stick2 -o repaired     two bad copies make up for each other
  sealift repair app.sealift.age -o new.age --identity key.txt    encrypted, and proved all the same

Exit codes:
  0  repaired, or nothing was damaged      5  what came out is signed by no trusted key
  4  more is lost than parity makes up for 7  hostile parity
";

/// A number of hundredths, with or without its sign.
pub(super) fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    match number.parse() {
        Ok(number @ 1..=100) => Ok(number),
        _ => Err("a whole number from 1 to 100 is wanted, as in 10%".to_owned()),
    }
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ParityArgs {
    /// The bundle: its file, one of its volumes beside the others, all of them, or their folder
    #[arg(required = true, value_name = "FILE")]
    pub(in crate::cli) places: Vec<PathBuf>,

    /// How much: hundredths of the bundle, which is also how much of it may be damaged
    #[arg(short, long, value_name = "PERCENT", default_value = "10%", value_parser = percent)]
    pub(in crate::cli) percent: u8,

    /// The parity to write [default: beside the bundle, as in app.parity.sealift]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// Replace parity that is there
    #[arg(long)]
    pub(in crate::cli) force: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct RepairArgs {
    /// What is left of the bundle and its parity: files, or folders with them. They may be cut
    /// off, in pieces, or have other names. Parity in the same folder is found
    #[arg(required = true, value_name = "PATH")]
    pub(in crate::cli) places: Vec<PathBuf>,

    /// What to write: a file for one volume, a folder for a set
    #[arg(short, long, value_name = "OUT", required_unless_present = "check")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// Only say what is damaged and whether it can be made up for; write nothing
    #[arg(long, conflicts_with_all = ["output", "all", "force"])]
    pub(in crate::cli) check: bool,

    /// Write the volumes that are whole, too
    #[arg(long)]
    pub(in crate::cli) all: bool,

    /// Replace files that are there
    #[arg(long)]
    pub(in crate::cli) force: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,

    #[command(flatten)]
    pub(in crate::cli) trust: TrustArgs,

    #[command(flatten)]
    pub(in crate::cli) unlock: UnlockArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundredths_are_whole_and_at_least_one() {
        assert_eq!(["1", "10%", "25 %", "100"].map(percent), [Ok(1), Ok(10), Ok(25), Ok(100)]);
        for odd in ["", "%", "0", "101", "-1", "5.5", "ten", "10%%"] {
            assert!(percent(odd).is_err(), "{odd:?}");
        }
    }
}
