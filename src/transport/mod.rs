//! Floor 2: the places of the container world, each a source, a feed or a target of images.
//!
//! [`registry`] speaks the OCI distribution protocol; [`daemon`] the Docker Engine API;
//! [`layout`] reads and writes OCI layout directories; [`archive`] the same and docker's own form
//! inside a tar. `naming` tells images apart that come under one name. None of them knows the
//! bundle, and the bundle knows none of them.

pub mod archive;
pub mod daemon;
pub mod layout;
pub(crate) mod naming;
pub mod registry;
