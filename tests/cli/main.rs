//! The command line as its users see it: help, refusals, exit codes.

#[path = "../support/coverage.rs"]
mod coverage;
mod evidence;
mod help;
mod interrupt;
mod mapping;
mod refusals;
mod repair;
