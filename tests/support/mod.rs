//! What tests need around sealift: real servers on loopback, and images made on the spot.

pub mod dockerd;
pub mod images;
pub mod registry;
