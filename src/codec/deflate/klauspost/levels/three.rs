//! Level 3: two places for each four or five bytes.

use super::search::{END_MARGIN, Pairs, Parse, Site, write_match};
use crate::codec::deflate::codes::WINDOW;
use crate::codec::deflate::klauspost::generation::Generation;
use crate::codec::deflate::klauspost::history::{History, common, hash4, hash5, load32, load64};
use crate::codec::deflate::klauspost::tokens::Tokens;

const BITS: u32 = 16;

/// Level 3 reaches a little less far than the window.
const REACH: usize = WINDOW - 4;

/// The table of level 3.
pub(in super::super) struct Three {
    table: Pairs<{ 1 << BITS }>,
    /// Places are found by four bytes rather than five.
    by_four: bool,
    margin: usize,
    /// Steps get longer after 2 to the power of this.
    patience: u32,
    /// Within a match, each so manyth place is noted.
    stride: usize,
}

impl Three {
    pub(in super::super) fn new(generation: Generation) -> Self {
        let by_four = generation < Generation::V1_15_11;
        let (margin, patience, stride) = if by_four { (7, 6, 5) } else { (END_MARGIN, 7, 6) };
        Self { table: Pairs::new(), by_four, margin, patience, stride }
    }

    #[inline]
    fn hash(&self, word: u64) -> usize {
        if self.by_four { hash4(word, BITS) } else { hash5(word, BITS) }
    }

    #[inline]
    fn look(&self, bytes: &[u8], at: usize) -> u64 {
        if self.by_four { u64::from(load32(bytes, at)) } else { load64(bytes, at) }
    }

    /// What there was, and a note of this place.
    #[inline]
    fn exchange(&mut self, word: u64, stamp: u32) -> [u32; 2] {
        let hash = self.hash(word);
        let before = self.table.get(hash);
        self.table.note(hash, stamp);
        before
    }

    /// Distance to the longer of two matches.
    #[inline]
    fn first(here: Site, candidates: [u32; 2]) -> Option<usize> {
        let [near, far] = candidates.map(|stamp| here.back_to(stamp));
        if near > REACH {
            return None;
        }
        if !here.agrees(near) {
            return (far < REACH && here.agrees(far)).then_some(far);
        }
        if far > REACH || !here.agrees(far) {
            return Some(near);
        }
        let length = |distance: usize| {
            let known = here.at + 4;
            common(here.bytes, known, known - distance, here.bytes.len())
        };
        Some(if length(far) > length(near) { far } else { near })
    }

    /// Distance to the nearer of two matches right after another.
    #[inline]
    fn again(here: Site, candidates: [u32; 2]) -> Option<usize> {
        let [near, far] = candidates.map(|stamp| here.back_to(stamp));
        if near >= REACH {
            None
        } else if here.agrees(near) {
            Some(near)
        } else {
            (far < REACH && here.agrees(far)).then_some(far)
        }
    }
}

impl Parse for Three {
    fn parse(&mut self, history: &History, start: usize, tokens: &mut Tokens) -> usize {
        let (bytes, base) = (history.bytes(), history.base());
        let limit = bytes.len() - self.margin;
        let mut done = start;
        let mut next = start;
        let mut word = self.look(bytes, next);
        loop {
            let (mut at, mut distance) = loop {
                let here = Site::of(bytes, base, next, word);
                next = here.at + 1 + ((here.at - done) >> self.patience);
                if next > limit {
                    return done;
                }
                let candidates = self.exchange(word, here.stamp);
                word = self.look(bytes, next);
                if let Some(distance) = Self::first(here, candidates) {
                    break (here.at, distance);
                }
            };
            loop {
                let found = write_match(bytes, done, at, distance, tokens);
                let length = found.len();
                done = found.end;
                at = if next >= done { next + 1 } else { done };
                if at >= limit {
                    let from = done - distance;
                    let needed = if self.by_four { 4 } else { 8 };
                    if from > 0 && from + needed < bytes.len() {
                        self.exchange(self.look(bytes, from), base + from as u32);
                    }
                    return done;
                }

                let mut inside = at - length + 2;
                while inside + 5 < at {
                    self.exchange(self.look(bytes, inside), base + inside as u32);
                    inside += self.stride;
                }
                let around = load64(bytes, at - 2);
                let stamp = base + at as u32;
                self.exchange(around, stamp - 2);
                self.exchange(around >> 8, stamp - 1);
                let candidates = self.exchange(around >> 16, stamp);
                let here = Site::of(bytes, base, at, around >> 16);
                if let Some(found) = Self::again(here, candidates) {
                    distance = found;
                    continue;
                }
                next = at + 1;
                word = around >> 24;
                break;
            }
        }
    }

    fn renumber(&mut self, excess: u32) {
        self.table.renumber(excess);
    }
}
