//! The levels: how each finds its matches. Levels 1 to 6 look up places in tables by a hash of the
//! next bytes; levels 7 to 9 ([`lazy`]) follow chains of places.

mod five;
mod four;
mod lazy;
mod six;
mod sparse;
mod three;

pub(super) use lazy::Lazy;

use five::Five;
use four::Four;
use six::Six;
use sparse::Sparse;
use three::Three;

use super::history::{History, common, load32, load64};
use super::tokens::Tokens;
use super::{Generation, Level};
use crate::codec::deflate::codes::{MAX_MATCH, WINDOW};

/// How many bytes before the end of a chunk no match begins.
const END_MARGIN: usize = 11;

/// Chunks below this are not searched.
const SHORTEST: usize = END_MARGIN + 2;

/// Finds matches with tables that live from chunk to chunk.
pub(super) trait Parse: Send {
    /// Turns what follows `start` in the history into tokens, and tells up to where: the rest are
    /// literals.
    fn parse(&mut self, history: &History, start: usize, tokens: &mut Tokens) -> usize;

    /// Takes `excess` from every stamp; those below become 0.
    fn renumber(&mut self, excess: u32);
}

/// What finds the matches of a level from 1 to 6.
pub(super) fn parser(level: Level, generation: Generation) -> Box<dyn Parse> {
    match level {
        1 => Box::new(Sparse::one(generation)),
        2 => Box::new(Sparse::two(generation)),
        3 => Box::new(Three::new(generation)),
        4 => Box::new(Four::new(generation)),
        5 => Box::new(Five::new(generation)),
        _ => Box::new(Six::new(generation)),
    }
}

/// Adds a chunk to the history and its tokens to `tokens`: none if there is no match in it.
pub(super) fn parse_chunk(
    parser: &mut dyn Parse,
    history: &mut History,
    chunk: &[u8],
    tokens: &mut Tokens,
) {
    if let Some(excess) = history.renumber() {
        parser.renumber(excess);
    }
    let start = history.append(chunk);
    if chunk.len() < SHORTEST {
        return;
    }
    let done = parser.parse(history, start, tokens);
    if tokens.count() > 0 {
        tokens.push_literals(&history.bytes()[done..]);
    }
}

/// The last place of each hash below `N`, a stamp.
struct Places<const N: usize>(Box<[u32; N]>);

impl<const N: usize> Places<N> {
    fn new() -> Self {
        Self(Box::new([0; N]))
    }

    #[inline]
    fn get(&self, hash: usize) -> u32 {
        self.0[hash]
    }

    #[inline]
    fn note(&mut self, hash: usize, stamp: u32) {
        self.0[hash] = stamp;
    }

    fn renumber(&mut self, excess: u32) {
        for stamp in self.0.iter_mut() {
            *stamp = stamp.saturating_sub(excess);
        }
    }
}

/// The last two places of each hash below `N`, the later first.
struct Pairs<const N: usize>(Box<[[u32; 2]; N]>);

impl<const N: usize> Pairs<N> {
    fn new() -> Self {
        Self(Box::new([[0; 2]; N]))
    }

    #[inline]
    fn get(&self, hash: usize) -> [u32; 2] {
        self.0[hash]
    }

    #[inline]
    fn note(&mut self, hash: usize, stamp: u32) {
        let pair = &mut self.0[hash];
        *pair = [stamp, pair[0]];
    }

    fn renumber(&mut self, excess: u32) {
        for stamp in self.0.as_flattened_mut() {
            *stamp = stamp.saturating_sub(excess);
        }
    }
}

/// A place for which a match is sought.
#[derive(Clone, Copy)]
struct Site<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The bytes there, at least as many as are hashed.
    word: u64,
    stamp: u32,
}

impl<'a> Site<'a> {
    #[inline]
    fn new(bytes: &'a [u8], base: u32, at: usize) -> Self {
        Self::of(bytes, base, at, load64(bytes, at))
    }

    #[inline]
    fn of(bytes: &'a [u8], base: u32, at: usize, word: u64) -> Self {
        Self { bytes, at, word, stamp: base + at as u32 }
    }

    /// The byte after this.
    #[inline]
    fn next(self) -> Self {
        Self { at: self.at + 1, word: self.word >> 8, stamp: self.stamp + 1, ..self }
    }

    /// Distance to an earlier place; to a later one, more than any distance.
    #[inline]
    fn back_to(&self, stamp: u32) -> usize {
        self.stamp.wrapping_sub(stamp) as usize
    }

    /// Distance to an earlier place that is near enough.
    #[inline]
    fn reach(&self, stamp: u32) -> Option<usize> {
        Some(self.back_to(stamp)).filter(|&distance| distance < WINDOW)
    }

    /// Whether the four bytes so far back are the same.
    #[inline]
    fn agrees(&self, distance: usize) -> bool {
        load32(self.bytes, self.at - distance) == self.word as u32
    }

    /// Distance to an earlier place that is near enough and has the same four bytes.
    #[inline]
    fn matching(&self, stamp: u32) -> Option<usize> {
        self.reach(stamp).filter(|&distance| self.agrees(distance))
    }

    /// Length of a match of which four bytes are known, as long as one token can be.
    #[inline]
    fn up_to_longest(&self, distance: usize) -> usize {
        let end = (self.at + MAX_MATCH).min(self.bytes.len());
        4 + common(self.bytes, self.at + 4, self.at + 4 - distance, end)
    }
}
