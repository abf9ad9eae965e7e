//! Floor 1: who may seal a bundle.
//!
//! A bundle is sealed with raw Ed25519 signatures (RFC 8032) over the exact bytes of its manifest,
//! which begin with the line that names their type: a signature made for anything else never fits.
//! [`SecretKey`] makes them; a [`Trust`] — the public keys that the user put there, and nothing
//! that came with the bundle — judges them.

mod key;
mod policy;

pub use key::{KeyId, PublicKey, SIGNATURE_BYTES, SecretKey};
pub use policy::{Signer, Trust, Trusted};
