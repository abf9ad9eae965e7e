//! The sealift binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealift::cli::run()
}
