//! Level 4: one place for each four bytes, one for each seven.

use super::search::{END_MARGIN, Parse, Places, Site, write_match};
use crate::codec::deflate::klauspost::generation::Generation;
use crate::codec::deflate::klauspost::history::{History, common, hash4, hash7, load64};
use crate::codec::deflate::klauspost::tokens::Tokens;

const BITS: u32 = 15;

/// The tables of level 4.
pub(in super::super) struct Four {
    short: Places<{ 1 << BITS }>,
    long: Places<{ 1 << BITS }>,
    /// Since 1.18.0 a slip makes it measure the match at the next byte from a wrong place.
    slips: bool,
}

impl Four {
    pub(in super::super) fn new(generation: Generation) -> Self {
        let slips = generation >= Generation::V1_18_0;
        Self { short: Places::new(), long: Places::new(), slips }
    }

    #[inline]
    fn note(&mut self, word: u64, stamp: u32) {
        self.short.note(hash4(word, BITS), stamp);
        self.long.note(hash7(word, BITS), stamp);
    }

    /// Where a match begins, and its distance. `there` is the place that is looked at next.
    #[inline]
    fn find(&mut self, here: Site, there: Site) -> Option<(usize, usize)> {
        let near = self.short.get(hash4(here.word, BITS));
        let far = self.long.get(hash7(here.word, BITS));
        self.note(here.word, here.stamp);
        if let Some(distance) = here.matching(far) {
            return Some((here.at, distance));
        }
        let distance = here.matching(near)?;
        if let Some(other) = there.matching(self.long.get(hash7(there.word, BITS))) {
            let bytes = here.bytes;
            let length = common(bytes, here.at + 4, here.at + 4 - distance, bytes.len());
            let from = if self.slips { other } else { there.at - other };
            if common(bytes, there.at + 4, from + 4, bytes.len()) > length {
                return Some((there.at, other));
            }
        }
        Some((here.at, distance))
    }
}

impl Parse for Four {
    fn parse(&mut self, history: &History, start: usize, tokens: &mut Tokens) -> usize {
        let (bytes, base) = (history.bytes(), history.base());
        let limit = bytes.len() - END_MARGIN;
        let mut done = start;
        let mut next = start;
        let mut there = Site::new(bytes, base, next);
        loop {
            let (found, distance) = loop {
                let here = there;
                next = here.at + 1 + ((here.at - done) >> 6);
                if next > limit {
                    return done;
                }
                there = Site::new(bytes, base, next);
                if let Some(found) = self.find(here, there) {
                    break found;
                }
            };
            done = write_match(bytes, done, found, distance, tokens).end;
            let at = if next >= done { next + 1 } else { done };

            if at >= limit {
                if at + 8 < bytes.len() {
                    self.note(load64(bytes, at), base + at as u32);
                }
                return done;
            }
            let mut inside = next;
            while inside < at - 1 {
                let (word, stamp) = (load64(bytes, inside), base + inside as u32);
                self.long.note(hash7(word, BITS), stamp);
                self.note(word >> 8, stamp + 1);
                inside += 3;
            }
            self.note(load64(bytes, at - 1), base + at as u32 - 1);
            there = Site::new(bytes, base, at);
        }
    }

    fn renumber(&mut self, excess: u32) {
        self.short.renumber(excess);
        self.long.renumber(excess);
    }
}
