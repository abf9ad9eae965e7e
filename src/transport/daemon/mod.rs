//! The Docker Engine API: images out of a daemon and into one.
//!
//! ```text
//! DaemonFeed    GET /images/get ──▶ the stream parser of `archive` ──▶ intake
//! DaemonTarget  put_blob ──▶ tar, composed on the fly ──▶ POST /images/load, once or several times
//! ```
//!
//! Nothing is staged by us; the daemon keeps a copy of its own while it loads and saves. A classic
//! daemon takes a whole upload in before it unpacks anything, so images are shared out among
//! several ([`consign`]): one is unpacked while the next is sent ([`convoy`]). Each is a [`load`],
//! a tar in the body of a request that is written by hand ([`upload`]).
//!
//! A daemon has one of two stores. The **classic** one (graph driver) keeps unpacked layers and
//! configurations; the image ID is the digest of the configuration ([`classic`]). The
//! **containerd** store keeps the original blobs; the image ID is the digest of the manifest or
//! index ([`containerd`]). To both, images are loaded without a name; names are given when what
//! arrived was found right, so a load that fails leaves every name as it was.

mod api;
mod classic;
mod consign;
mod containerd;
mod convoy;
mod endpoint;
mod feed;
mod load;
mod recall;
mod target;
mod upload;

pub use endpoint::Endpoint;
pub use feed::DaemonFeed;
pub use target::DaemonTarget;
