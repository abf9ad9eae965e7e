//! Floor 0: pure values, no I/O and no clock.
//!
//! Everything above speaks in these terms. They are parsed once, at the edge, and carry their own
//! rules from then on: a [`Digest`] is well formed, an [`ImageName`] is normalised, a
//! [`graph::Graph`] is complete and within limits.

pub mod digest;
pub mod error;
pub mod graph;
pub mod json;
pub mod limits;
pub mod location;
pub mod manifest;
pub mod mapping;
pub mod moment;
pub mod platform;
pub mod reference;
pub mod shell;
pub mod stream;

pub use digest::{Algorithm, Digest};
pub use error::{Error, Kind, Result};
pub use graph::{Graph, Leaf, Node, Role};
pub use location::{Destination, Location};
pub use manifest::{Descriptor, Manifest};
pub use mapping::{Mapping, Naming};
pub use platform::Platform;
pub use reference::ImageName;
pub use stream::{Position, StreamName};
