//! Floor 1: who may seal a bundle.
//!
//! A bundle is sealed with raw Ed25519 signatures (RFC 8032) over the exact bytes of its manifest,
//! which begin with the line that names their type: a signature made for anything else never fits.
//! [`SecretKey`] makes them; a [`Trust`] — the public keys that the user put there, and nothing
//! that came with the bundle — judges them. A [`trust.toml`](mod@file) says of each key what it may sign
//! and how many of them must; without one, each is enough for everything. With an [`Endorsement`] a
//! key vouches for the one that follows it.

mod endorsement;
pub mod file;
mod key;
mod policy;
mod scope;

pub use endorsement::Endorsement;
pub use file::{Grant, POLICY_FILE, Revocation};
pub use key::{KeyId, PublicKey, SIGNATURE_BYTES, SecretKey};
pub use policy::{Signer, Trust, Trusted};
pub use scope::Scope;
