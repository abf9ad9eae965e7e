//! The fault catalogue: everything that can happen to a bundle, or that somebody can do to one, and
//! what sealift says to it.
//!
//! [`catalogue`] runs every case through the real binary and keeps what it said in one snapshot,
//! case by case, to be read in one go. [`flips`] turns bits by the ten thousand, [`vectors`] holds
//! signatures against those of others, [`document`] keeps `docs/security.md` true, and [`peers`]
//! puts other tools through the same (`make peers`).

#![expect(
    clippy::print_stdout,
    reason = "tables and seeds, for who asks for them with --nocapture"
)]

#[path = "../support/mod.rs"]
mod support;

mod catalogue;
mod damage;
mod document;
mod flips;
mod freshness;
mod images;
mod local;
mod network;
mod parsers;
mod peers;
mod policy;
mod repair;
mod sample;
mod scene;
mod signatures;
mod vectors;
mod volumes;
