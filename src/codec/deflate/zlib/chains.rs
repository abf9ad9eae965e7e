//! Chains that lead from the first bytes of a position to where they occurred before.
//!
//! The originals chain positions by a hash of three bytes and look at a number of them. Most of
//! these cannot hold a longer match than the one that is there already. A second chain, by a hash
//! of four bytes, leaves them out, and comes to the same end: a match of four bytes or more lies on
//! both chains, and its rank tells how many positions the originals would have looked at before
//! they came to it.

use super::super::codes::WINDOW;

/// Bits of the hash of four bytes.
const FOUR_BITS: u32 = 16;

/// A boxed array, made where it stays.
pub(super) fn zeros<Array: TryFrom<Vec<Item>>, Item: Clone + Default>(length: usize) -> Array {
    let zeros = Array::try_from(vec![Item::default(); length]);
    zeros.unwrap_or_else(|_| unreachable!("the length is that of the array"))
}

/// Positions in the window, those with the same hash linked from the last to the first.
struct Chain {
    /// The last position with each hash, 0 for none.
    heads: Box<[u16; 1 << 16]>,
    /// For each position modulo 32768, the one before it.
    before: Box<[u16; WINDOW]>,
}

impl Chain {
    fn new() -> Self {
        Self { heads: zeros(1 << 16), before: zeros(WINDOW) }
    }

    #[inline]
    fn enter(&mut self, hash: u16, at: u16) -> u16 {
        let before = std::mem::replace(&mut self.heads[usize::from(hash)], at);
        self.before[usize::from(at) % WINDOW] = before;
        before
    }

    fn slide(&mut self, hash_bits: u32) {
        for positions in [&mut self.heads[..1 << hash_bits], &mut self.before[..]] {
            for position in positions {
                *position = position.saturating_sub(WINDOW as u16);
            }
        }
    }
}

/// The chains of a window.
pub(super) struct Chains {
    hash_bits: u32,
    three: Chain,
    four: Chain,
    /// For each position modulo 32768, how many have come before it on its chain of three; modulo
    /// 65536.
    ranks: Box<[u16; WINDOW]>,
}

impl Chains {
    pub(super) fn new(hash_bits: u32) -> Self {
        Self { hash_bits, three: Chain::new(), four: Chain::new(), ranks: zeros(WINDOW) }
    }

    pub(super) fn clear(&mut self) {
        self.three.heads.fill(0);
        self.four.heads.fill(0);
    }

    /// Moves all positions down by half a window; those in the lower half, and the first one above,
    /// are forgotten.
    pub(super) fn slide(&mut self, four: bool) {
        self.three.slide(self.hash_bits);
        if four {
            self.four.slide(FOUR_BITS);
        }
    }

    /// Enters a position into the chain of three, and gives the one before it, or 0. `bytes` are
    /// those at the position, the first one lowest.
    #[inline]
    pub(super) fn enter_three(&mut self, at: u16, bytes: u32) -> u16 {
        let shift = self.hash_bits.div_ceil(3);
        let [a, b, c, _] = bytes.to_le_bytes().map(u32::from);
        let hash = ((a << (2 * shift)) ^ (b << shift) ^ c) & ((1 << self.hash_bits) - 1);
        let before = self.three.enter(hash as u16, at);
        let rank = self.ranks[usize::from(before) % WINDOW].wrapping_add(1);
        self.ranks[usize::from(at) % WINDOW] = rank;
        before
    }

    /// Enters a position into the chain of four, and gives the one before it, or 0.
    #[inline]
    pub(super) fn enter_four(&mut self, at: u16, bytes: u32) -> u16 {
        self.four.enter((bytes.wrapping_mul(0x9e37_79b1) >> (32 - FOUR_BITS)) as u16, at)
    }

    /// The position before another on the chain of three, or 0.
    #[inline]
    pub(super) fn before_of_three(&self, place: u16) -> u16 {
        self.three.before[usize::from(place) % WINDOW]
    }

    /// The position before another on the chain of four, or 0.
    #[inline]
    pub(super) fn before_of_four(&self, place: u16) -> u16 {
        self.four.before[usize::from(place) % WINDOW]
    }

    /// How many steps on the chain of three lead from a position to an earlier one on it.
    #[inline]
    pub(super) fn steps(&self, at: u16, place: u16) -> u16 {
        self.ranks[usize::from(at) % WINDOW].wrapping_sub(self.ranks[usize::from(place) % WINDOW])
    }
}
