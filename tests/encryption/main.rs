//! Encrypted bundles, held against the real `age` and `age-keygen`: what sealift writes they open,
//! what they write sealift reads, and nothing that was changed gets through.

#[path = "../support/mod.rs"]
mod support;

mod arrival;
mod damage;
mod hands;
mod leftovers;
mod tools;
