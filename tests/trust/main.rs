//! Who may sign what, and what is still fresh: as people meet it at the command line, word for word.

#[path = "../support/mod.rs"]
mod support;

mod desk;
mod policy;
mod rotation;
mod signing;
mod state;
mod streams;
