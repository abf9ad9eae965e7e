//! The family of encoders that descends from Jean-loup Gailly's gzip: zlib, GNU gzip, `busybox gzip`,
//! and pigz, which puts zlib to work on several cores.
//!
//! One encoder serves them all. They share how matches are searched ([`window`], [`chains`]), chosen
//! ([`stream`]) and coded ([`block`], [`trees`]), and differ in a few numbers and in what they do at
//! the end of the input ([`setting`]). [`pigz`](mod@pigz) cuts the input and joins what comes out.
//!
//! None of the programs depends on how its input is cut, but for one case that is left out here:
//! where the input stalls so that exactly 65,274 bytes of the window are done while fewer than 262
//! wait, the originals move the window one byte earlier than otherwise, which can matter if a block
//! that cannot be compressed ends just there.
//!
//! # Marks
//! Levels 4 to 9 enter every position into the chains, so a fresh encoder that is given the 32 KiB
//! before knows all that the one before it knew: they set a mark after every block. Levels 1 to 3
//! set none. The state in a mark holds two-byte numbers, the lower byte first: the place in the
//! 64 KiB window of the first byte after the mark (how much lies before it, modulo 32 KiB, plus
//! 32 KiB where the window has not yet moved); and, where the encoder had already looked at that
//! byte, the length and the distance of the match it found there, 2 and 0 for none. pigz begins
//! anew at every block and marks it with an empty state, at all levels; with one thread it is like
//! zlib.

mod block;
mod chains;
pub mod pigz;
mod setting;
mod stream;
mod trees;
mod window;

pub use pigz::{Blocks, Pigz};
pub use setting::{Program, Setting};

use super::bits::BitWriter;
use super::{Encoder, Engine};
use setting::Rules;
use stream::Stream;

/// A member of the family with a setting; made by [`engine`].
#[derive(Clone, Copy)]
pub struct Family {
    rules: Rules,
}

/// The engine of a program at a level; `None` where the program has no such setting.
pub fn engine(setting: Setting) -> Option<Family> {
    Some(Family { rules: setting.rules()? })
}

/// The engine of pigz at a level from 1 to 9 with a block size in bytes; `None` where it has no such
/// setting.
pub fn pigz(level: u8, block: usize, blocks: Blocks) -> Option<Pigz> {
    Pigz::new(level, block, blocks)
}

impl Engine for Family {
    fn begin(&self) -> Box<dyn Encoder> {
        Box::new(Stream::new(self.rules))
    }

    fn resume(&self, plain: u64, history: &[u8], state: &[u8]) -> Option<Box<dyn Encoder>> {
        Some(Box::new(Stream::resumed(self.rules, plain, history, state)?))
    }
}

impl Encoder for Stream {
    fn write(&mut self, plain: &[u8], out: &mut BitWriter) {
        Stream::write(self, plain, out);
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.drain(true, out);
    }
}
