//! What a chunk of plain bytes has become: literals and matches, and how often each symbol occurs.

use super::generation::Generation;
use super::history::CHUNK;
use crate::codec::deflate::codes::{
    DISTANCE_BASE, DISTANCE_EXTRA, LENGTH_EXTRA, LENGTH_SYMBOL, MAX_MATCH, MIN_MATCH, WINDOW,
};

/// Symbols of the length alphabet, the end of a block among them as the first.
pub(super) const ENDS_AND_LENGTHS: usize = 30;

/// A literal or a match.
///
/// A match has the highest bit, then from the top its distance symbol (5 bits from bit 23), its
/// length less 3 (8 bits from bit 15) and its distance less 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(u32);

impl Token {
    const MATCH: u32 = 1 << 31;

    #[inline]
    pub(super) fn literal(self) -> Option<u8> {
        (self.0 & Self::MATCH == 0).then_some(self.0 as u8)
    }

    /// Length less 3.
    #[inline]
    pub(super) fn length(self) -> usize {
        (self.0 >> 15 & 0xff) as usize
    }

    #[inline]
    pub(super) fn distance_symbol(self) -> usize {
        (self.0 >> 23 & 31) as usize
    }

    /// Distance less 1.
    #[inline]
    pub(super) fn distance(self) -> u32 {
        self.0 & 0x7fff
    }
}

/// Tokens in order, with counts of their symbols.
#[derive(Debug)]
pub(super) struct Tokens {
    list: Vec<Token>,
    literals: [u16; 256],
    lengths: [u16; ENDS_AND_LENGTHS],
    distances: [u16; 30],
    end: bool,
    /// Whether matches beyond the longest are cut off at 255 rather than 258.
    early_cuts: bool,
}

impl Tokens {
    pub(super) fn new(generation: Generation) -> Self {
        Self {
            list: Vec::with_capacity(CHUNK + 1),
            literals: [0; 256],
            lengths: [0; ENDS_AND_LENGTHS],
            distances: [0; 30],
            end: false,
            early_cuts: generation < Generation::V1_15_0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.literals = [0; 256];
        self.lengths = [0; ENDS_AND_LENGTHS];
        self.distances = [0; 30];
        self.end = false;
    }

    #[inline]
    pub(super) fn push_literals(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.literals[byte as usize] += 1;
        }
        self.list.extend(bytes.iter().map(|&byte| Token(u32::from(byte))));
    }

    /// A match of a length from 3 to 258.
    #[inline]
    pub(super) fn push_match(&mut self, length: usize, distance: usize) {
        let symbol = symbol_of(distance);
        self.push_piece(length, distance, symbol);
    }

    /// A match of any length from 3 on, cut where it is longer than one can be.
    #[inline]
    pub(super) fn push_long_match(&mut self, mut length: usize, distance: usize) {
        let symbol = symbol_of(distance);
        while length > 0 {
            // What is left for the next piece must not be shorter than a match can be.
            let piece = if length <= MAX_MATCH {
                length
            } else if length > MAX_MATCH + MIN_MATCH && !self.early_cuts {
                MAX_MATCH
            } else {
                MAX_MATCH - MIN_MATCH
            };
            self.push_piece(piece, distance, symbol);
            length -= piece;
        }
    }

    #[inline]
    fn push_piece(&mut self, length: usize, distance: usize, symbol: u32) {
        let over = length - MIN_MATCH;
        self.lengths[1 + LENGTH_SYMBOL[over & 0xff] as usize] += 1;
        self.distances[symbol as usize] += 1;
        self.list
            .push(Token(Token::MATCH | symbol << 23 | (over as u32) << 15 | (distance - 1) as u32));
    }

    /// The block ends after these tokens. The end counts as one of them.
    pub(super) fn push_end(&mut self) {
        self.end = true;
        self.lengths[0] += 1;
    }

    pub(super) fn count(&self) -> usize {
        self.list.len() + usize::from(self.end)
    }

    pub(super) fn list(&self) -> &[Token] {
        &self.list
    }

    pub(super) fn literals(&self) -> &[u16; 256] {
        &self.literals
    }

    pub(super) fn lengths(&self) -> &[u16; ENDS_AND_LENGTHS] {
        &self.lengths
    }

    pub(super) fn distances(&self) -> &[u16; 30] {
        &self.distances
    }

    /// Bits beside the codes: where in the range of their symbols lengths and distances are.
    pub(super) fn extra_bits(&self) -> usize {
        let weigh = |counts: &[u16], extra: &[u8]| -> usize {
            counts.iter().zip(extra).map(|(&count, &bits)| count as usize * bits as usize).sum()
        };
        weigh(&self.lengths[1..], &LENGTH_EXTRA) + weigh(&self.distances, &DISTANCE_EXTRA)
    }

    /// About how many bits an ideal code would take: the entropy, in single precision, from an
    /// approximate logarithm. Each rounding shows in the choices made with it.
    pub(super) fn ideal_bits(&self) -> usize {
        let mut entropy = 0f32;
        let mut matches = 0u32;
        if self.count() > 0 {
            let share = 1.0 / self.count() as f32;
            let add = |entropy: f32, count: u16| {
                if count == 0 { entropy } else { entropy + weight(count, share) }
            };
            entropy = self.literals.iter().fold(entropy, |entropy, &count| add(entropy, count));
            // The end of the block.
            entropy += 15.0;
            entropy = self.lengths[1..].iter().fold(entropy, |entropy, &count| add(entropy, count));
            matches = self.lengths[1..].iter().map(|&count| u32::from(count)).sum();
        }
        if matches > 0 {
            let share = 1.0 / matches as f32;
            for &count in self.distances.iter().filter(|&&count| count > 0) {
                entropy += weight(count, share);
            }
        }
        // Far below 2 to the power of 32, and not negative.
        #[allow(clippy::cast_sign_loss)]
        let entropy = entropy as usize;
        entropy + self.extra_bits()
    }
}

/// Bits of a symbol that occurs `count` times where one occurrence is `share` of all.
fn weight(count: u16, share: f32) -> f32 {
    let count = f32::from(count);
    (-approximate_log2(count * share)).clamp(1.0, 15.0) * count
}

/// Logarithm of a positive number to base 2: the exponent, and a parabola over the mantissa.
fn approximate_log2(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = (bits >> 23 & 255) as f32 - 128.0;
    let mantissa = f32::from_bits(bits & 0x007f_ffff | 127 << 23);
    exponent + ((-0.344_848_43 * mantissa + 2.024_665_8) * mantissa - 0.674_877_6)
}

/// The distance symbols of near distances, then those of far ones in steps of 128.
const DISTANCE_SYMBOL: [u8; 512] = {
    let mut symbols = [0; 512];
    let mut symbol = 0;
    let mut below = 0;
    while below < WINDOW {
        while symbol < 29 && below + 1 >= DISTANCE_BASE[symbol + 1] as usize {
            symbol += 1;
        }
        symbols[if below < 256 { below } else { 256 + (below >> 7) }] = symbol as u8;
        below += 1;
    }
    symbols
};

#[inline]
fn symbol_of(distance: usize) -> u32 {
    let below = distance - 1;
    u32::from(DISTANCE_SYMBOL[if below < 256 { below } else { 256 + (below >> 7) } & 511])
}
