//! Binary decisions, written with as many bits as they surprise.
//!
//! A [`Bit`] remembers how likely a decision is to come out true. A [`Coder`] is asked about every
//! decision and answers with what it was: the [`Writer`] repeats what it is told and writes it
//! down, the [`Reader`] ignores what it is told and answers with what is written, the [`Meter`]
//! adds up what writing would cost. So each model is one piece of code for both directions.

use std::io::{ErrorKind, Read};

/// How likely a decision is to be true: 22 bits of probability above 10 bits that count decisions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bit(u32);

/// The greatest probability.
const MOST_LIKELY: u64 = (1 << 22) - 1;

/// From so many decisions on the memory of a [`Bit`] does not grow.
const PATIENCE: u32 = 255;

/// By how much of the way a probability moves, in 65536ths, after so many decisions.
const PACE: [u64; PATIENCE as usize + 1] = {
    let mut pace = [0; PATIENCE as usize + 1];
    let mut count = 0;
    while count <= PATIENCE as usize {
        pace[count] = (131_072 / (2 * count + 3)) as u64;
        count += 1;
    }
    pace
};

impl Bit {
    /// A decision that is true in `share` of 65536 cases, as if it had been seen `count` times.
    pub(super) const fn new(share: u16, count: u16) -> Self {
        Self((share as u32) << 16 | count as u32)
    }

    /// A decision of which nothing is known.
    pub(super) const EVEN: Self = Self::new(1 << 15, 0);
    /// A decision that is expected to be true.
    pub(super) const LIKELY: Self = Self::new(63000, 6);
    /// A decision that is expected to be false.
    pub(super) const UNLIKELY: Self = Self::new(2500, 6);

    /// In how many of 65536 cases it is true; never 0 and never all.
    #[inline]
    fn share(self) -> u64 {
        u64::from((self.0 >> 16).clamp(16, 65520))
    }

    #[inline]
    fn learn(&mut self, bit: bool) {
        let count = self.0 & 0x3ff;
        let now = u64::from(self.0 >> 10);
        let pace = PACE[count as usize];
        let moved = if bit {
            now + (((MOST_LIKELY - now) * pace) >> 16)
        } else {
            now - ((now * pace) >> 16)
        };
        self.0 = (moved as u32) << 10 | (count + 1).min(PATIENCE);
    }
}

/// Somebody who is asked about every decision.
pub(super) trait Coder {
    /// A decision whose likelihood is known, without learning from it.
    fn decide(&mut self, share: u64, bit: bool) -> bool;

    /// A decision that its model learns from.
    #[inline]
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool {
        let bit = self.decide(model.share(), bit);
        model.learn(bit);
        bit
    }

    /// A number of `count` bits of which nothing is known, from its highest bit.
    fn raw(&mut self, value: u32, count: u32) -> u32 {
        let mut found = 0;
        for at in (0..count).rev() {
            found = found << 1 | u32::from(self.decide(1 << 15, value >> at & 1 == 1));
        }
        found
    }
}

/// Writes decisions.
pub(super) struct Writer {
    low: u64,
    high: u64,
    bytes: Vec<u8>,
}

#[inline]
fn split(low: u64, high: u64, share: u64) -> u64 {
    let width = high - low;
    low + (width >> 16) * share + (((width & 0xffff) * share) >> 16)
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { low: 0, high: u64::MAX, bytes: Vec::new() }
    }

    /// What has been written since it was last taken.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Ends the writing: as few bytes as tell the decisions, given that zeros follow.
    pub(super) fn finish(mut self) -> Vec<u8> {
        for count in 0..=8 {
            let kept = if count == 0 { 0 } else { u64::MAX << (64 - 8 * count) };
            if self.high & kept >= self.low {
                self.bytes.extend_from_slice(&self.high.to_be_bytes()[..count]);
                break;
            }
        }
        self.bytes
    }
}

impl Coder for Writer {
    #[inline]
    fn decide(&mut self, share: u64, bit: bool) -> bool {
        let middle = split(self.low, self.high, share);
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while (self.low ^ self.high) >> 56 == 0 {
            self.bytes.push((self.high >> 56) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
        bit
    }
}

/// Reads what a [`Writer`] wrote, from anywhere.
pub(super) struct Reader {
    source: Box<dyn Read + Send>,
    held: Vec<u8>,
    at: usize,
    /// Bytes that were wanted behind the end.
    beyond: usize,
    low: u64,
    high: u64,
    code: u64,
    broken: Option<std::io::Error>,
}

const PIECE: usize = 8 << 10;

impl Reader {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Self {
        Self {
            source,
            held: Vec::new(),
            at: 0,
            beyond: 0,
            low: 0,
            high: u64::MAX,
            code: 0,
            broken: None,
        }
    }

    /// Reads what comes before the first decision.
    pub(super) fn start(&mut self) {
        for _ in 0..8 {
            self.code = self.code << 8 | u64::from(self.byte());
        }
    }

    fn byte(&mut self) -> u8 {
        if self.at == self.held.len() && self.beyond == 0 {
            self.refill();
        }
        if let Some(&byte) = self.held.get(self.at) {
            self.at += 1;
            return byte;
        }
        self.beyond += 1;
        0
    }

    fn refill(&mut self) {
        self.at = 0;
        self.held.resize(PIECE, 0);
        let count = loop {
            match self.source.read(&mut self.held) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.broken = Some(error);
                    break 0;
                }
                Ok(count) => break count.min(PIECE),
            }
        };
        self.held.truncate(count);
    }

    /// Whether more was read than a writer can have written.
    pub(super) fn is_exhausted(&self) -> bool {
        self.beyond > 8
    }

    /// What went wrong with the source, if anything.
    pub(super) fn take_error(&mut self) -> Option<std::io::Error> {
        self.broken.take()
    }
}

impl Coder for Reader {
    #[inline]
    fn decide(&mut self, share: u64, _: bool) -> bool {
        let middle = split(self.low, self.high, share);
        let bit = self.code <= middle;
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while (self.low ^ self.high) >> 56 == 0 {
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
            self.code = self.code << 8 | u64::from(self.byte());
        }
        bit
    }
}

/// Measures what decisions would cost.
#[derive(Default)]
pub(super) struct Meter {
    bits: f64,
}

impl Meter {
    /// The cost so far.
    pub(super) fn bits(&self) -> f64 {
        self.bits
    }
}

impl Coder for Meter {
    #[inline]
    fn decide(&mut self, share: u64, bit: bool) -> bool {
        let share = if bit { share } else { 65536 - share };
        self.bits += 16.0 - (share as f64).log2();
        bit
    }
}

/// A number of a fixed count of bits, bit by bit from the highest, each with what came before it as
/// context.
#[derive(Clone)]
pub(super) struct Tree<const NODES: usize>([Bit; NODES]);

impl<const NODES: usize> Default for Tree<NODES> {
    fn default() -> Self {
        Self([Bit::EVEN; NODES])
    }
}

impl<const NODES: usize> Tree<NODES> {
    /// Codes a number below `NODES`, which is a power of two.
    pub(super) fn code(&mut self, coder: &mut impl Coder, value: u32) -> u32 {
        let bits = NODES.ilog2();
        let mut node = 1;
        for at in (0..bits).rev() {
            node = node << 1 | usize::from(coder.bit(&mut self.0[node], value >> at & 1 == 1));
        }
        (node - NODES) as u32
    }
}

/// A number that is most often small: how many bits it has, as so many times "more", then those
/// below the highest; the first of them is learnt, the others are not.
#[derive(Clone)]
pub(super) struct Number {
    more: [Bit; 16],
    next: [Bit; 17],
}

impl Default for Number {
    fn default() -> Self {
        Self { more: [Bit::EVEN; 16], next: [Bit::EVEN; 17] }
    }
}

impl Number {
    /// Codes a number below 65535.
    pub(super) fn code(&mut self, coder: &mut impl Coder, value: u32) -> u32 {
        let over = value + 1;
        let size = over.ilog2();
        let mut bits = 0;
        while bits < 16 && coder.bit(&mut self.more[bits as usize], bits < size) {
            bits += 1;
        }
        if bits == 0 {
            return 0;
        }
        let low = bits - 1;
        let first = coder.bit(&mut self.next[bits as usize], over >> low & 1 == 1);
        let rest = coder.raw(over & ((1 << low) - 1), low);
        ((1 << bits) | u32::from(first) << low | rest) - 1
    }
}
