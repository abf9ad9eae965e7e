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
mod history;
mod levels;
mod prefix;
mod streams;
mod tokens;
mod writer;

use super::{Encoder, Engine};
use streams::{BLOCK, Blockwise, DICTIONARY, Plain};

/// Releases of `klauspost/compress` between which no output has changed, each named by the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// 1.14.3 and 1.14.4, from February 2022.
    V1_14_3,
    /// 1.15.0 to 1.15.9, from March 2022: podman 4.1 and 4.2.
    V1_15_0,
    /// 1.15.11 to 1.15.13, from October 2022: podman 4.3, the tools of Debian 12.
    V1_15_11,
    /// 1.15.15 to 1.17.11: levels 7 to 9 changed.
    V1_15_15,
    /// 1.18.0, from February 2025: level 4 changed. Up to podman 5.6, the tools of Debian 13.
    V1_18_0,
    /// 1.18.2 to 1.19.2, from the end of 2025.
    V1_18_2,
    /// 1.20.0 and later: levels 7 to 9 changed where there is a dictionary, as in pgzip.
    V1_20_0,
    /// `compress/flate` of Go itself from 1.27 on: docker, containerd, crane and kaniko, as
    /// soon as they are built with it. It differs from the one before at level 9 only.
    Go1_27,
}

impl Generation {
    /// All of them, the latest first.
    pub const ALL: [Self; 8] = [
        Self::Go1_27,
        Self::V1_20_0,
        Self::V1_18_2,
        Self::V1_18_0,
        Self::V1_15_15,
        Self::V1_15_11,
        Self::V1_15_0,
        Self::V1_14_3,
    ];
}

/// How hard to compress: as Go numbers it, from 0 to 9, or -2 for literals only.
type Level = i8;

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
            && history.len() >= DICTIONARY
            && state.is_empty();
        possible.then(|| {
            let dictionary = &history[history.len() - DICTIONARY..];
            let encoder = Blockwise::new(self.generation, self.level, plain, dictionary);
            Box::new(encoder) as Box<dyn Encoder>
        })
    }
}
