//! Looks for matches as Go does: through the places with the same hash, the nearest first.

use super::buffer::{Buffer, common, four, zeros};
use crate::codec::deflate::codes::WINDOW;

/// Bits of Go's hash of four bytes.
pub(super) const HASH_BITS: u32 = 17;
const MASK: usize = WINDOW - 1;
/// Places are moved down before they come so far; far below what overflows.
const REBASE: u32 = 1 << 30;
/// The base at first: from no place does a match reach back to 0, which stands for none.
const FIRST: u32 = WINDOW as u32 + 1;
/// Shortest match that is taken.
pub(super) const SHORTEST: usize = 4;
/// How far a shortest match may reach.
pub(super) const NEAR: usize = 4096;

/// A match, or none with length 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) length: u16,
    pub(super) distance: u16,
}

impl Match {
    pub(super) const NONE: Self = Self { length: SHORTEST as u16 - 1, distance: 0 };
}

/// What limits a search.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Only what is longer than this counts.
    pub(super) longer_than: usize,
    /// The longest match that the input has room for.
    pub(super) most: usize,
    /// How far back a match may reach.
    pub(super) reach: usize,
    /// The first match of this length is taken.
    pub(super) nice: usize,
    /// How many places are looked at.
    pub(super) tries: usize,
}

/// How far before a place the last ones are that share something with it; 0 or more than the window
/// where there is none in reach.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    /// The hash of four bytes.
    pub(super) four: usize,
    /// The hash of a gram, where there are grams.
    pub(super) gram: usize,
}

/// Where there may be matches.
pub(super) trait Places {
    fn new() -> Self;

    /// The buffer has lost so many bytes at its start.
    fn forget(&mut self, bytes: usize);

    /// Called at a place before as many as the window, less 2, were added since the last call.
    fn tidy(&mut self, at: usize);

    /// Adds a place.
    fn insert(&mut self, buffer: &Buffer, at: usize) -> Heads;

    /// The best match at a place that was just added, with what adding it gave.
    fn search(&self, buffer: &Buffer, at: usize, heads: Heads, bounds: &Bounds) -> Match;
}

/// Go's hash of four bytes.
#[inline]
pub(super) fn hash(four: u32) -> usize {
    (four.swap_bytes().wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS)) as usize
}

/// The places of every hash, as Go keeps them.
pub(super) struct Plain {
    /// The last place of each hash: an index into the buffer, plus `base`. 0 for none.
    heads: Box<[u32; 1 << HASH_BITS]>,
    /// How far before each place of the window the one before it with its hash is; 0 for none.
    back: Box<[u16; WINDOW]>,
    base: u32,
}

impl Places for Plain {
    fn new() -> Self {
        Self { heads: zeros(), back: zeros(), base: FIRST }
    }

    fn forget(&mut self, bytes: usize) {
        self.base += bytes as u32;
        if self.base > REBASE {
            // Whole windows, so that `back` stays in order.
            let down = (self.base - FIRST) / WINDOW as u32 * WINDOW as u32;
            self.heads.iter_mut().for_each(|place| *place = place.saturating_sub(down));
            self.base -= down;
        }
    }

    fn tidy(&mut self, _: usize) {}

    #[inline]
    fn insert(&mut self, buffer: &Buffer, at: usize) -> Heads {
        let hash = hash(four(buffer, at));
        let place = at as u32 + self.base;
        let distance = place - std::mem::replace(&mut self.heads[hash], place);
        let distance = if distance > WINDOW as u32 { 0 } else { distance as u16 };
        self.back[place as usize & MASK] = distance;
        Heads { four: distance as usize, gram: 0 }
    }

    #[inline]
    fn search(&self, buffer: &Buffer, at: usize, heads: Heads, bounds: &Bounds) -> Match {
        let mut best = Match { length: bounds.longer_than as u16, distance: 0 };
        let mut tail = four(buffer, at + best.length as usize - 3);
        let place = at + self.base as usize;
        let mut distance = heads.four;
        for _ in 0..bounds.tries {
            if distance == 0 || distance > bounds.reach {
                break;
            }
            let other = at - distance;
            if four(buffer, other + best.length as usize - 3) == tail {
                let length = common(buffer, other, at, bounds.most);
                if length > best.length as usize && (length > SHORTEST || distance <= NEAR) {
                    best = Match { length: length as u16, distance: distance as u16 };
                    if length >= bounds.nice {
                        break;
                    }
                    tail = four(buffer, at + length - 3);
                }
            }
            match self.back[(place - distance) & MASK] {
                0 => break,
                step => distance += step as usize,
            }
        }
        best
    }
}
