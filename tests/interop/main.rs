//! sealift against the real parts: docker-registry, dockerd and skopeo as Debian packages them,
//! started here on loopback and temporary folders, and stopped.

#[path = "../support/mod.rs"]
mod support;

mod archives;
mod daemon;
mod deltas;
mod evidence;
mod harbor;
mod kill;
mod many;
mod mapping;
mod registry;
mod resume;
mod round_trip;
mod routes;
mod sign_in;
mod uploads;
mod volumes;
