//! Levels 1 and 2: one place for each four or five bytes, looked up at every other byte or so.

use super::search::{END_MARGIN, Parse, Site, write_match};
use crate::codec::deflate::codes::WINDOW;
use crate::codec::deflate::klauspost::generation::Generation;
use crate::codec::deflate::klauspost::history::{History, hash4, hash5, load64};
use crate::codec::deflate::klauspost::tokens::Tokens;

/// The table of level 1 or 2.
pub(in super::super) struct Sparse {
    table: Vec<u32>,
    bits: u32,
    by: By,
    /// Level 2 also notes places within a match.
    within: bool,
}

/// How places are found.
#[derive(Clone, Copy)]
enum By {
    Five,
    Four,
    /// Four bytes and another factor.
    OldFour,
}

impl Sparse {
    pub(in super::super) fn one(generation: Generation) -> Self {
        let by = if generation >= Generation::V1_15_11 { By::Five } else { By::OldFour };
        Self { table: vec![0; 1 << 15], bits: 15, by, within: false }
    }

    pub(in super::super) fn two(generation: Generation) -> Self {
        let by = if generation >= Generation::V1_15_11 { By::Five } else { By::Four };
        Self { table: vec![0; 1 << 17], bits: 17, by, within: true }
    }

    #[inline]
    fn hash(&self, word: u64) -> usize {
        match self.by {
            By::Five => hash5(word, self.bits),
            By::Four => hash4(word, self.bits),
            By::OldFour => ((word as u32).wrapping_mul(0x1e35_a7bd) >> (32 - self.bits)) as usize,
        }
    }

    #[inline]
    fn note(&mut self, word: u64, stamp: u32) {
        let hash = self.hash(word);
        self.table[hash] = stamp;
    }

    /// What there was, and a note of this place.
    #[inline]
    fn exchange(&mut self, word: u64, stamp: u32) -> u32 {
        let hash = self.hash(word);
        std::mem::replace(&mut self.table[hash], stamp)
    }
}

impl Parse for Sparse {
    fn parse(&mut self, history: &History, start: usize, tokens: &mut Tokens) -> usize {
        let (bytes, base) = (history.bytes(), history.base());
        let limit = bytes.len() - END_MARGIN;
        let mut done = start;
        let mut next = start;
        let mut word = load64(bytes, next);
        loop {
            // Two looks in each round: at a byte after a step, and at the byte after that.
            let (mut at, mut distance) = loop {
                let here = Site::of(bytes, base, next, word);
                next = here.at + 2 + ((here.at - done) >> 5);
                if next > limit {
                    return done;
                }
                let candidate = self.exchange(word, here.stamp);
                word = load64(bytes, next);
                if let Some(distance) = here.matching(candidate) {
                    self.note(word, base + next as u32);
                    break (here.at, distance);
                }

                let here = Site::of(bytes, base, next, word);
                next += 1;
                let candidate = self.exchange(word, here.stamp);
                if let Some(distance) = here.matching(candidate) {
                    if !self.within {
                        // It means to note the next byte, but takes the hash of this one.
                        self.note(word, here.stamp + 1);
                    }
                    break (here.at, distance);
                }
                word >>= 8;
            };
            loop {
                let found = write_match(bytes, done, at, distance, tokens);
                let length = found.len();
                done = found.end;
                at = if next >= done { next + 1 } else { done };
                if at >= limit {
                    let needed = if matches!(self.by, By::Five) { 8 } else { 4 };
                    if at + length + needed < bytes.len() {
                        self.note(load64(bytes, at), base + at as u32);
                    }
                    return done;
                }

                if self.within {
                    let mut inside = at - length + 2;
                    while inside + 5 < at {
                        let (word, stamp) = (load64(bytes, inside), base + inside as u32);
                        for skip in [0, 2, 4] {
                            self.note(word >> (8 * skip), stamp + skip);
                        }
                        inside += 7;
                    }
                }
                let around = load64(bytes, at - 2);
                let stamp = base + at as u32;
                self.note(around, stamp - 2);
                if self.within {
                    self.note(around >> 8, stamp - 1);
                }
                let candidate = self.exchange(around >> 16, stamp);
                let here = Site::of(bytes, base, at, around >> 16);
                // Right after a match, the far end of the window is in reach.
                let back = here.back_to(candidate);
                if back <= WINDOW && here.agrees(back) {
                    distance = back;
                    continue;
                }
                next = at + 1;
                word = around >> 24;
                break;
            }
        }
    }

    fn renumber(&mut self, excess: u32) {
        for stamp in &mut self.table {
            *stamp = stamp.saturating_sub(excess);
        }
    }
}
