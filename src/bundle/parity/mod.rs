//! Parity: what makes up for bytes of a bundle that a medium has spoiled.
//!
//! It lies in files of its own, apart from the bundle, and covers every byte of every volume as it
//! lies on the medium, so that it can be made, lost and made again without touching what was
//! signed. It is unsigned and nobody trusts it: what it gives back is compared with its table, and
//! then looked at like any bundle that comes from a stick.
//!
//! ```text
//! layout       how files are cut into shards: arithmetic alone
//! code         the Reed–Solomon code, in stripes of bounded memory
//! weak         a hash that rolls
//! description  the table of all shards, and how it is spelled
//! volume       the plain tar that a parity volume is
//! make         files → parity volumes
//! written      a parity volume, read back from its medium
//! medium       a file that may fail anywhere
//! scan         finds shards in a file by content, at any offset
//! survey       what is there of a set
//! mend         what is there → files as they were
//! ```

mod code;
mod description;
mod layout;
mod make;
mod medium;
mod mend;
mod scan;
mod survey;
mod volume;
mod weak;
mod written;

pub use description::Description;
pub use layout::{Covered, Layout};
pub use make::{Input, Plan};
pub use medium::{Media, Medium};
pub use survey::{FileState, Parity, Survey, may_be_parity};
pub use volume::{beside, first_of_several, named_after};
pub use written::Written;
