//! Floor 2: the bundle, the file that crosses the gap.
//!
//! A bundle is a set of volumes, each a plain POSIX tar; the last has index, manifest and what
//! follows. What is in it, in this order:
//!
//! ```text
//! README.txt              what this is, for whoever finds it
//! volume                  set and number of this volume
//! packs/<sha256>.zst …    content: single zstd frames of chunks
//! index/<sha256>.zst      chunk table, and for each blob how to rebuild it
//! manifest                names images, packs and index with lengths and digests
//! signatures/<key>.sig …  raw Ed25519 over the exact bytes of the manifest
//! tail                    where the manifest begins; a hint, believed by nobody
//! ```
//!
//! [`Writer`] makes it in one pass: blobs come in, gzip layers are opened and it is proved that they
//! can be made again ([`crate::codec::deflate`]), content is cut into chunks ([`crate::codec`]),
//! chunks that were seen before are not stored again, the rest fills packs by its class, and packs
//! are compressed by several threads and written in the order in which they filled. A pack may have
//! earlier content as prefix: what files of the same name held before. How hard all this tries is
//! the [`Preset`].
//!
//! With a [`Base`], a bundle or its [`Receipt`], the writer makes a delta: pieces of blobs of the
//! base stand for chunks, and blobs that the base holds stand for themselves. Whoever reads a delta
//! has to say where the base is ([`Held`]).
//!
//! What an import says of where it went is a [`Statement`]; it goes back in a receipt.
//!
//! Packs go into the volume that has room for them. When all is written there is a [`Finished`] bundle,
//! whose files get their names together. A volume that was lost can be made again by what was
//! [`Signed`]; [`Occupied`] are the names that a bundle takes the place of.
//!
//! A bundle that takes long is written in a [`Partial`], where notes are taken of what there is of
//! it. What an interrupted one left is read as [`Remains`].
//!
//! [`Bundle`] reads it. `Bundle<Unverified>` is bytes from a stick; only
//! [`Bundle::authenticate`](Bundle::authenticate) makes it a `Bundle<Authentic>`, and only that is
//! a [`Source`](crate::endpoint::Source). `docs/format.md` is the normative text.
//!
//! To read a set, files are looked at for what they claim to be, one bundle is selected with the tail
//! that is signed, and once that is proved the files are put in order by number; what is read is hashed
//! each time. To verify it, one of several files of a volume is chosen that is whole by itself. [`Media`]
//! brings volumes one after another. What is named and is none, it is said what it is: a receipt,
//! parity, an archive.

mod account;
mod backing;
mod base;
mod blob;
mod cache;
mod checkpoint;
mod choice;
mod claim;
mod class;
mod content;
mod copies;
mod cosign;
mod difference;
mod exact;
mod examine;
mod foreign;
mod handles;
mod held;
mod hits;
mod index;
mod layer;
mod lending;
mod manifest;
mod media;
mod names;
mod naming;
mod notes;
mod occupied;
mod opener;
mod output;
mod packs;
pub mod parity;
mod partial;
mod preset;
mod press;
mod reader;
mod receipt;
mod recipe;
mod remains;
mod remake;
mod seal;
mod search;
mod selection;
mod set;
mod sink;
mod source;
mod statement;
mod tail;
mod target;
mod turns;
mod volume;
mod writer;

pub use base::{Base, Known};
pub use choice::Unused;
pub use difference::{Difference, News};
pub use exact::is_closed;
pub use examine::{Finding, Subject};
pub use held::{Held, Needs};
pub use index::{BaseBlob, BlobEntry, Borrowed, Index, LeftOut, Piece};
pub use layer::SMALLEST_OPENED;
pub use manifest::{Attached, BaseEntry, ImageEntry, Manifest, PackEntry, Stored};
pub use media::{Answer, Changer, Media, Wanted};
pub use naming::{all_are_there, files_named, set_by_name, volume_path};
pub use occupied::Occupied;
pub use output::SMALLEST_VOLUME;
pub use partial::{Kept, Partial};
pub use preset::Preset;
pub use reader::{Authentic, Bundle, Contents, Unverified};
pub use receipt::Receipt;
pub use recipe::{Body, Encoding, Recipe, Run};
pub use remains::Remains;
pub use remake::{Means, Signed, files_of};
pub use seal::{Finished, Sealed, SealedVolume};
pub use selection::files_of_set;
pub use set::AtHand;
pub use statement::{Amount, Landed, Statement};
pub use target::BundleTarget;
pub use writer::{Added, Writer, WriterOptions};
