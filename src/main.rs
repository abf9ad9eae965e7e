//! The sealift binary: everything is in the library.

use std::process::ExitCode;

/// Packs are allocated and let go by the megabyte, by many threads. The allocator of glibc keeps
/// twice as much as is in use then; this one gives back what is free.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sealift::cli::run()
}
