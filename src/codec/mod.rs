//! Floor 1: bytes in, bytes out, and every length checked on the way.
//!
//! Nothing here knows an image, a bundle or a place. [`checked`] makes sure that what was read is
//! what was promised; [`compression`] opens and makes the compressed forms that layers and archives
//! come in; [`deflate`] finds out how other programs compressed, and makes the same bytes again;
//! [`frame`] packs and opens single zstd frames, with a prefix or without; [`tarball`] writes and
//! walks tars; [`split`] and [`chunk`] cut a tar into pieces that can be found again, [`stretches`] say
//! how to put it together; [`number`] spells numbers in tables; [`disk`] says what a disk can take, and [`imprint`] whether it gives it
//! back; [`atomic`] makes files that appear whole or not at all; [`owned`] tells
//! files that others can change; [`journal`] is a file that only grows, and shows where it was
//! changed; [`lanes`] does several things at once and keeps their order; [`encryption`] writes and
//! reads files for some eyes only; [`private`] reads those that only their owner may see.

pub mod atomic;
pub mod checked;
pub mod chunk;
pub mod compression;
pub mod deflate;
pub mod disk;
pub mod encryption;
pub mod frame;
pub mod imprint;
pub mod journal;
pub mod lanes;
pub mod number;
pub mod owned;
pub mod private;
pub mod split;
pub mod stretches;
pub mod tarball;
