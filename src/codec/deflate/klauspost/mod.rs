//! The flate encoder of `github.com/klauspost/compress`, alone or as `github.com/klauspost/pgzip`
//! drives it, and that of Go itself from 1.27 on, which was made from it.
//!
//! podman, buildah and skopeo compress layers with pgzip at its default level. pgzip cuts its input
//! into blocks of 1 MiB, and each is compressed by a flate writer of its own, primed with the last
//! 16 KiB of the block before; its stream ends with an empty stored block and therefore at a byte.
//! The stream ends with an empty block with fixed codes.
//!
//! A writer takes its input in chunks of 65535 bytes ([`writer`]). Each chunk becomes literals and
//! matches ([`levels`], [`tokens`]), and those go on in the block that is open or begin one
//! ([`blocks`]). What the encoder puts out has changed over its releases: see [`Generation`].

mod blocks;
mod generation;
mod history;
mod levels;
mod prefix;
mod streams;
mod tokens;
mod writer;

pub use generation::Generation;

use super::{Encoder, Engine};
use generation::Level;
use streams::{BLOCK, Blockwise, DICTIONARY, Plain};

/// More plain bytes than any stream has, and few enough that counting on is safe.
const LONGEST: u64 = 1 << 60;

/// What drives the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drive {
    Plain,
    Pgzip,
}

/// The encoder of a generation at a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Klauspost {
    generation: Generation,
    level: Level,
    drive: Drive,
}

impl Klauspost {
    /// The level of a program that asks klauspost/compress or pgzip for none.
    pub const DEFAULT_LEVEL: i8 = 5;
    /// The level of a program that asks Go, from 1.27 on, for none.
    pub const GO_DEFAULT_LEVEL: i8 = 6;
    /// The level without matches.
    pub const LITERALS_ONLY: i8 = -2;

    /// The encoder by itself: one writer from end to end. `None` for a level that does not exist.
    pub fn plain(generation: Generation, level: i8) -> Option<Self> {
        Self::new(generation, level, Drive::Plain)
    }

    /// The encoder as pgzip drives it. `None` for a level that does not exist.
    pub fn pgzip(generation: Generation, level: i8) -> Option<Self> {
        Self::new(generation, level, Drive::Pgzip)
    }

    fn new(generation: Generation, level: i8, drive: Drive) -> Option<Self> {
        let known = level == Self::LITERALS_ONLY || (0..=9).contains(&level);
        known.then_some(Self { generation, level, drive })
    }
}

impl Engine for Klauspost {
    fn begin(&self) -> Box<dyn Encoder> {
        let Self { generation, level, drive } = *self;
        match drive {
            Drive::Plain => Box::new(Plain::new(generation, level)),
            Drive::Pgzip => Box::new(Blockwise::new(generation, level, 0, &[])),
        }
    }

    /// Only pgzip's streams have marks, at each block; their state is empty.
    fn resume(&self, plain: u64, history: &[u8], state: &[u8]) -> Option<Box<dyn Encoder>> {
        let possible = self.drive == Drive::Pgzip
            && plain > 0
            && plain.is_multiple_of(BLOCK)
            && plain < LONGEST
            && history.len() >= DICTIONARY
            && state.is_empty();
        possible.then(|| {
            let dictionary = &history[history.len() - DICTIONARY..];
            let encoder = Blockwise::new(self.generation, self.level, plain, dictionary);
            Box::new(encoder) as Box<dyn Encoder>
        })
    }
}
