//! Sign-ins as the container tools keep them: found, written down and taken away again.
//!
//! ```text
//! store ──▶ auth_file ──▶ helper        who are we at this registry, for this repository?
//! record ─▶ auth_file, edit, helper     `sealift login` and `sealift logout`
//!           paths                       which files there are, the first to be asked first
//! ```
//!
//! Nothing here looks into the environment: `paths` is filled in by the command line. A secret
//! leaves this folder as a `Secret` or into a file or helper of the user's own, never in a message.

mod auth_file;
mod edit;
mod helper;
mod paths;
mod record;
mod store;

pub use paths::CredentialPaths;
pub use record::Keeper;
pub use store::CredentialStore;
