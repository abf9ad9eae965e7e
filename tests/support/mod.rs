//! What tests need around sealift: real servers on loopback, and images made on the spot.

pub(crate) mod dockerd;
pub(crate) mod images;
pub(crate) mod registry;
