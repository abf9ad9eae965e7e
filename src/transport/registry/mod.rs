//! Registries: images over the OCI distribution protocol.
//!
//! A thin, blocking client of our own, because what an air gap needs is exactly what general
//! clients leave out: raw bytes that are never re-serialised, uploads that stream in one request,
//! credentials that stay where they belong, and errors that say what to do. Specification: OCI
//! distribution 1.1; tokens as in Docker's registry token authentication.
//!
//! ```text
//! source ──▶ manifest, blob, referrers ─┐            ┌─ authority ◀── token, challenge, credentials
//! target ──▶ naming, upload, the same ──┼─▶ client ──┼─ course ◀── exchange, limiter ◀── retry
//!    ├─────▶ preflight ──▶ harbor ──────┤            └─ wire ◀── tls, address ◀── route
//! login ────────────────────────────────┘   one `Registry` for each host
//! ```
//!
//! Before a target takes anything, [`preflight`] finds out all that speaks against it; [`harbor`]
//! asks the API of a Harbor for what the protocol does not tell.
//!
//! An `Ask` says what is wanted; a `Registry` sends it with the right authorization, follows
//! redirects without taking the authorization along, renews a refused token once and waits out a
//! registry that is busy: `course` counts the tries and tells a person, `limiter` lets fewer
//! requests through. A blob goes up in one request (`upload`) or, where that does not get through,
//! in several (`pieces`); it comes down with as many as it takes (`blob`). What comes back is
//! judged by whoever asked; `failure` turns an answer that was not hoped for into an error that
//! people understand, `reason` knows Harbor's words, and `unreached` says why there was no answer at
//! all. Modules know only those to their right; `address`, `scope`, `identity` and `retry` know
//! nobody. [`route`] holds what the machine is configured for: certificates, proxies, mirrors.
//!
//! Nothing here reads the environment: [`Options`] is pure data, filled in by the command line.

mod address;
mod asking;
mod authority;
mod blob;
mod challenge;
mod client;
mod course;
mod credentials;
mod exchange;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod harbor;
mod identity;
mod limiter;
mod login;
mod manifest;
mod naming;
mod outgoing;
mod peer;
mod pieces;
mod preflight;
mod reason;
mod referrers;
mod retry;
mod route;
mod scope;
mod session;
mod source;
mod target;
mod tls;
mod token;
mod unreached;
mod upload;
mod wire;

pub use client::Client;
pub use credentials::{CredentialPaths, CredentialStore, Keeper};
pub use harbor::NewProjects;
pub use identity::{Credentials, Secret};
pub use login::SignedIn;
pub use naming::names;
pub use retry::Patience;
pub use route::{CertificateFolders, Proxies, ProxySettings, RegistryRules, RuleFiles, Setting};
pub use source::RegistrySource;
pub use target::RegistryTarget;
pub use wire::Options;
