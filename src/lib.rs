//! sealift carries container images over an air gap.
//!
//! On the connected side images are gathered into one deduplicated, signed **bundle**; on the far
//! side the bundle is proved whole and authentic, and loaded into a registry, a local daemon or a
//! directory with every digest intact. This page is the map of the house; `docs/architecture.md`
//! tells the same story at length and `docs/format.md` is the normative text of the bundle.
//!
//! # The way the data flows
//!
//! ```text
//! export   transport (Source or Feed) ──copy──▶ bundle::Writer      packs, index, manifest, signatures
//! verify   bundle::Bundle<Unverified> ──keys──▶ Bundle<Authentic>   every pack, every blob, every graph
//! import   Bundle<Authentic> (Source) ──copy──▶ transport (Target)  blobs, manifests leaf to root, tags
//! ```
//!
//! Gzip layers are opened on the way in and made again, byte for byte, on the way out
//! ([`codec::deflate`]). A delta leaves out what an earlier bundle holds ([`bundle::Base`]); on the
//! far side that comes from the earlier bundle or from the target ([`bundle::Held`]). Parity lies in
//! files of its own beside a bundle ([`bundle::parity`]), and encryption around each of its files
//! ([`codec::encryption`]); neither changes what is signed.
//!
//! # The floors
//!
//! Each knows only those below it; `tests/architecture` reads the imports and fails where one
//! looks up.
//!
//! | Floor | Module | What lives there |
//! |---|---|---|
//! | 4 | [`cli`] | arguments, one function per command, progress drawing, rendering, exit codes |
//! | 3 | [`operation`] | export, verify, import, map, inspect, diff, sign, parity and repair; freshness and evidence; `copy`, the only transfer loop |
//! | 2 | [`bundle`] | the files: volumes and sets of them, packs, index, manifest, writer, reader, bases, receipts, parity |
//! | 2 | [`transport`] | the world: registries, daemons, layouts, archives |
//! | 1 | [`codec`] | checked readers, zstd frames, tar splitting, chunking, exact deflate, encryption, atomic files, the log |
//! | 1 | [`trust`] | keys and signatures, who may sign what, successors of keys |
//! | 1 | [`endpoint`] | the traits at which the floors above meet: `Source`, `Feed`, `Target`, `Progress` |
//! | 0 | [`model`] | pure values: digest, reference, location, platform, manifest graph, limits, errors |

pub mod bundle;
pub mod cli;
pub mod codec;
pub mod endpoint;
pub mod model;
pub mod operation;
pub mod transport;
pub mod trust;
