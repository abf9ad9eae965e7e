//! The command line as its users see it: help, refusals, exit codes.

#[path = "../support/mod.rs"]
mod support;

mod evidence;
mod export;
mod help;
mod interrupt;
mod mapping;
mod refusals;
mod repair;
mod sets;
