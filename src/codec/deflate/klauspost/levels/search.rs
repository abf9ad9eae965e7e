//! What levels 1 to 6 share: tables of places, and the place for which a match is sought.

use std::ops::Range;

use crate::codec::deflate::codes::{MAX_MATCH, WINDOW};
use crate::codec::deflate::klauspost::generation::Generation;
use crate::codec::deflate::klauspost::history::{
    History, common, extend_back, hash4, hash7, load32, load64,
};
use crate::codec::deflate::klauspost::tokens::Tokens;

/// How many bytes before the end of a chunk no match begins.
pub(super) const END_MARGIN: usize = 11;

/// Finds matches with tables that live from chunk to chunk.
pub(in super::super) trait Parse: Send {
    /// Turns what follows `start` in the history into tokens, and tells up to where: the rest are
    /// literals.
    fn parse(&mut self, history: &History, start: usize, tokens: &mut Tokens) -> usize;

    /// Takes `excess` from every stamp; those below become 0.
    fn renumber(&mut self, excess: u32);
}

/// The last place of each hash below `N`, a stamp.
pub(super) struct Places<const N: usize>(Box<[u32; N]>);

impl<const N: usize> Places<N> {
    pub(super) fn new() -> Self {
        Self(Box::new([0; N]))
    }

    #[inline]
    pub(super) fn get(&self, hash: usize) -> u32 {
        self.0[hash]
    }

    #[inline]
    pub(super) fn note(&mut self, hash: usize, stamp: u32) {
        self.0[hash] = stamp;
    }

    pub(super) fn renumber(&mut self, excess: u32) {
        for stamp in self.0.iter_mut() {
            *stamp = stamp.saturating_sub(excess);
        }
    }
}

/// The last two places of each hash below `N`, the later first.
pub(super) struct Pairs<const N: usize>(Box<[[u32; 2]; N]>);

impl<const N: usize> Pairs<N> {
    pub(super) fn new() -> Self {
        Self(Box::new([[0; 2]; N]))
    }

    #[inline]
    pub(super) fn get(&self, hash: usize) -> [u32; 2] {
        self.0[hash]
    }

    #[inline]
    pub(super) fn note(&mut self, hash: usize, stamp: u32) {
        let pair = &mut self.0[hash];
        *pair = [stamp, pair[0]];
    }

    pub(super) fn renumber(&mut self, excess: u32) {
        for stamp in self.0.as_flattened_mut() {
            *stamp = stamp.saturating_sub(excess);
        }
    }
}

/// Bits of the hashes in [`ShortAndLong`].
pub(super) const BITS: u32 = 15;

/// What levels 5 and 6 look in: one place for each four bytes, two for each seven.
pub(super) struct ShortAndLong {
    pub(super) short: Places<{ 1 << BITS }>,
    pub(super) long: Pairs<{ 1 << BITS }>,
    /// How many bytes of a match may differ in the match that is found from its end.
    pub(super) lenient: usize,
}

impl ShortAndLong {
    pub(super) fn new(generation: Generation) -> Self {
        let lenient = if generation >= Generation::V1_15_11 { 2 } else { 0 };
        Self { short: Places::new(), long: Pairs::new(), lenient }
    }

    #[inline]
    pub(super) fn note(&mut self, word: u64, stamp: u32) {
        self.short.note(hash4(word, BITS), stamp);
        self.long.note(hash7(word, BITS), stamp);
    }

    pub(super) fn renumber(&mut self, excess: u32) {
        self.short.renumber(excess);
        self.long.renumber(excess);
    }
}

/// A place for which a match is sought.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// The bytes there, at least as many as are hashed.
    pub(super) word: u64,
    pub(super) stamp: u32,
}

impl<'a> Site<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8], base: u32, at: usize) -> Self {
        Self::of(bytes, base, at, load64(bytes, at))
    }

    #[inline]
    pub(super) fn of(bytes: &'a [u8], base: u32, at: usize, word: u64) -> Self {
        Self { bytes, at, word, stamp: base + at as u32 }
    }

    /// The byte after this.
    #[inline]
    pub(super) fn next(self) -> Self {
        Self { at: self.at + 1, word: self.word >> 8, stamp: self.stamp + 1, ..self }
    }

    /// Distance to an earlier place; to a later one, more than any distance.
    #[inline]
    pub(super) fn back_to(&self, stamp: u32) -> usize {
        self.stamp.wrapping_sub(stamp) as usize
    }

    /// Distance to an earlier place that is near enough.
    #[inline]
    pub(super) fn reach(&self, stamp: u32) -> Option<usize> {
        Some(self.back_to(stamp)).filter(|&distance| distance < WINDOW)
    }

    /// Whether the four bytes so far back are the same.
    #[inline]
    pub(super) fn agrees(&self, distance: usize) -> bool {
        load32(self.bytes, self.at - distance) == self.word as u32
    }

    /// Distance to an earlier place that is near enough and has the same four bytes.
    #[inline]
    pub(super) fn matching(&self, stamp: u32) -> Option<usize> {
        self.reach(stamp).filter(|&distance| self.agrees(distance))
    }

    /// Length of a match of which four bytes are known, as long as one token can be.
    #[inline]
    pub(super) fn up_to_longest(&self, distance: usize) -> usize {
        let end = (self.at + MAX_MATCH).min(self.bytes.len());
        4 + common(self.bytes, self.at + 4, self.at + 4 - distance, end)
    }
}

/// Writes a match of which four bytes are known, as far as it goes to both sides, and the literals
/// from `done` up to it. Gives what it covers.
#[inline]
pub(super) fn write_match(
    bytes: &[u8],
    done: usize,
    at: usize,
    distance: usize,
    tokens: &mut Tokens,
) -> Range<usize> {
    let known = at + 4;
    let end = known + common(bytes, known, known - distance, bytes.len());
    let begin = extend_back(bytes, at, distance, done);
    tokens.push_literals(&bytes[done..begin]);
    tokens.push_long_match(end - begin, distance);
    begin..end
}
