//! What is fuzzed: one function for each thing that is read from strangers.
//!
//! A body takes any bytes and returns, or panics where a promise is broken: reading ends, in bounds
//! and without a panic, and what was taken has one meaning and one spelling. `fuzz_targets` hands
//! these to libFuzzer; `tests/fuzz` runs them over the seeds in `testdata/fuzz`, and over mutants of
//! them, in every ordinary test run.

mod archive;
mod gzip;
mod places;
mod scratch;
mod sealed;
mod tables;
mod tars;
#[path = "../../tests/support/volume.rs"]
mod volume;

pub use archive::archive;
pub use gzip::{gzip_recipe, gzip_stream};
pub use places::{reference, registry, trust};
pub use sealed::{bundle, looked_at, sealed};
pub use tables::{index, manifest, parity};
pub use tars::tar;

/// A body: it takes any bytes and must return.
pub type Body = fn(&[u8]);

/// All bodies by name: that of the target, and of the folder with its seeds.
pub const BODIES: [(&str, Body); 12] = [
    ("archive", archive),
    ("bundle", bundle),
    ("gzip_recipe", gzip_recipe),
    ("gzip_stream", gzip_stream),
    ("index", index),
    ("manifest", manifest),
    ("parity", parity),
    ("reference", reference),
    ("registry", registry),
    ("sealed", sealed),
    ("tar", tar),
    ("trust", trust),
];

/// Takes `count` bytes off the front, or as many as there are.
pub(crate) fn take<'a>(data: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = data.split_at(count.min(data.len()));
    *data = rest;
    taken
}

/// Takes a length of two bytes, the lower first.
pub(crate) fn take_length(data: &mut &[u8]) -> usize {
    take(data, 2).iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}
