//! What tests need around sealift: real servers on loopback, and images made on the spot.
// Each test binary uses a part of it.
#![allow(dead_code)]

pub(crate) mod authority;
pub(crate) mod carry;
pub(crate) mod command;
pub(crate) mod containerd;
pub(crate) mod coverage;
pub(crate) mod crowd;
pub(crate) mod dockerd;
pub(crate) mod faultline;
pub(crate) mod forge;
pub(crate) mod gallery;
pub(crate) mod harbor;
pub(crate) mod images;
pub(crate) mod judge;
pub(crate) mod mock;
pub(crate) mod nginx;
pub(crate) mod pictures;
pub(crate) mod port;
pub(crate) mod registry;
pub(crate) mod strike;
pub(crate) mod tinyproxy;
pub(crate) mod vault;
pub(crate) mod volume;
