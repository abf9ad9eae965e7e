//! The command line as its users see it: help, refusals, exit codes.

mod evidence;
mod help;
mod interrupt;
mod mapping;
mod refusals;
mod repair;
