//! Evidence: what was found out about a bundle, written down so that somebody can file it.
//!
//! A [`Case`] takes in what is known as a command learns it: files, keys, signatures, and once a
//! trusted key vouches for it, what the bundle holds. Whatever ends the command, the case then gives a
//! [`Report`] (what a person signs), an [`Entry`] (a line of the log) and, of an import, a
//! [`statement`]. Nothing here writes a file or looks at a clock.
//!
//! **What no trusted key vouches for is not shown as fact.** Of a bundle that is not authentic a case
//! knows its files, the digest of what lies where the manifest should be, and what became of the
//! signatures; it never sees what the manifest says.

mod arrival;
mod case;
mod entry;
mod files;
mod report;

pub use arrival::statement;
pub use case::{Case, Surroundings};
pub use entry::{Entry, Filed};
pub use files::SeenFile;
pub use report::{
    AttachedArtifact, BundleFacts, Finding, ImageFacts, Key, NotChecked, Report, RevokedKey,
    Signature, Verdict,
};
