//! Docker daemons, over the Engine API (v1.24 and later).
//!
//! [`DaemonFeed`] reads images as the daemon saves them, straight from the response. [`DaemonTarget`]
//! composes the archive that the daemon loads while it is being sent, leaving out what the daemon
//! has. Two kinds of image store are told apart: the classic one (a graph driver), whose image ID is
//! the digest of the configuration, and containerd's, whose image ID is the digest of the manifest
//! or index.
//!
//! Images are loaded without a name, checked, and only then named: a load that goes wrong changes
//! no tag.

mod body;
mod engine;
mod feed;
mod load;
mod store;
mod target;

pub use engine::Endpoint;
pub use feed::DaemonFeed;
pub use target::DaemonTarget;
