//! Level 6, the default of Go from 1.27 on: like level 5, with more care for what it finds.

use super::search::{END_MARGIN, Pairs, Parse, Places, Site};
use crate::codec::deflate::codes::{MAX_MATCH, WINDOW};
use crate::codec::deflate::klauspost::generation::Generation;
use crate::codec::deflate::klauspost::history::{History, common, hash4, hash7, load64};
use crate::codec::deflate::klauspost::tokens::Tokens;

const BITS: u32 = 15;

/// The tables of level 6.
pub(in super::super) struct Six {
    short: Places<{ 1 << BITS }>,
    long: Pairs<{ 1 << BITS }>,
    /// How many bytes of a match may differ in the match that is found from its end.
    lenient: usize,
}

/// A match that may be bettered.
#[derive(Clone, Copy)]
struct Found {
    at: usize,
    distance: usize,
    /// 0 where only the first four bytes are known.
    length: usize,
}

impl Six {
    pub(in super::super) fn new(generation: Generation) -> Self {
        let lenient = if generation >= Generation::V1_15_11 { 2 } else { 0 };
        Self { short: Places::new(), long: Pairs::new(), lenient }
    }

    #[inline]
    fn note(&mut self, word: u64, stamp: u32) {
        self.short.note(hash4(word, BITS), stamp);
        self.long.note(hash7(word, BITS), stamp);
    }

    /// A match at `here`, or at `there`, the place that is looked at next, if that has a longer one.
    /// Both are noted.
    #[inline]
    fn find(&mut self, here: Site, there: Site, repeat: usize) -> Option<Found> {
        let (short, long) = (hash4(here.word, BITS), hash7(here.word, BITS));
        let near = self.short.get(short);
        let candidates = self.long.get(long);
        self.short.note(short, here.stamp);
        self.long.note(long, here.stamp);
        let found = |site: Site, distance, length| Found { at: site.at, distance, length };

        if let Some(distance) = here.reach(candidates[0]) {
            let farther = here.matching(candidates[1]);
            if here.agrees(distance) {
                self.note(there.word, there.stamp);
                let Some(farther) = farther else {
                    return Some(found(here, distance, 0));
                };
                let length = here.up_to_longest(distance);
                let other = here.up_to_longest(farther);
                return Some(if other > length {
                    found(here, farther, other)
                } else {
                    found(here, distance, length)
                });
            }
            if let Some(farther) = farther {
                self.note(there.word, there.stamp);
                return Some(found(here, farther, 0));
            }
        }

        let distance = here.matching(near)?;
        let mut best = found(here, distance, here.up_to_longest(distance));
        let candidates = self.long.get(hash7(there.word, BITS));
        self.note(there.word, there.stamp);
        // The distance of the last match, from the next byte on.
        let after = here.next();
        if after.agrees(repeat) {
            let length = after.up_to_longest(repeat);
            if length > best.length {
                return Some(found(after, repeat, length));
            }
        }
        if there.reach(candidates[0]).is_some() {
            for candidate in candidates {
                if let Some(distance) = there.matching(candidate) {
                    let length = there.up_to_longest(distance);
                    if length > best.length {
                        best = found(there, distance, length);
                    }
                }
            }
        }
        Some(best)
    }

    /// What comes after a match may point to one that is longer.
    #[inline]
    fn beyond_its_end(&self, bytes: &[u8], base: u32, mut best: Found) -> Found {
        let start = best.at;
        let begin = start + self.lenient;
        let end = start + best.length;
        let candidates = self.long.get(hash7(load64(bytes, end), BITS));
        // Later places are no candidates, but do not keep the one before them from being one.
        if (WINDOW..1 << 31).contains(&Site::new(bytes, base, end).back_to(candidates[0])) {
            return best;
        }
        for candidate in candidates {
            // The second is counted from the end of what the first has led to.
            let end = base + (start + best.length) as u32;
            let distance = end.wrapping_sub(candidate) as usize;
            if (1..WINDOW).contains(&distance) && distance <= begin {
                let length = common(bytes, begin, begin - distance, bytes.len());
                if length > best.length {
                    best = Found { at: begin, distance, length };
                }
            }
        }
        best
    }
}

impl Parse for Six {
    fn parse(&mut self, history: &History, start: usize, tokens: &mut Tokens) -> usize {
        let (bytes, base) = (history.bytes(), history.base());
        let limit = bytes.len() - END_MARGIN;
        let mut done = start;
        let mut next = start;
        let mut repeat = 1;
        let mut there = Site::new(bytes, base, next);
        loop {
            // Go from byte to byte, in longer steps the longer nothing was found.
            let mut best = loop {
                let here = there;
                next = here.at + 1 + ((here.at - done) >> 7);
                if next > limit {
                    return done;
                }
                there = Site::new(bytes, base, next);
                if let Some(found) = self.find(here, there, repeat) {
                    break found;
                }
            };

            if best.length == 0 {
                let known = best.at + 4;
                best.length = 4 + common(bytes, known, known - best.distance, bytes.len());
            } else if best.length == MAX_MATCH {
                let end = best.at + best.length;
                best.length += common(bytes, end, end - best.distance, bytes.len());
            }
            if best.at + best.length < limit {
                best = self.beyond_its_end(bytes, base, best);
            }
            let Found { mut at, distance, mut length } = best;
            while at > done && at > distance && bytes[at - 1] == bytes[at - 1 - distance] {
                at -= 1;
                length += 1;
            }
            tokens.push_literals(&bytes[done..at]);
            tokens.push_long_match(length, distance);
            repeat = distance;
            done = at + length;
            at = if next >= done { next + 1 } else { done };

            if at >= limit {
                let mut inside = next + 1;
                while inside + 8 < bytes.len() {
                    self.note(load64(bytes, inside), base + inside as u32);
                    inside += 2;
                }
                return done;
            }
            let mut inside = next + 1;
            while inside < at - 1 {
                let (word, stamp) = (load64(bytes, inside), base + inside as u32);
                self.note(word, stamp);
                self.long.note(hash7(word >> 8, BITS), stamp + 1);
                inside += 2;
            }
            there = Site::new(bytes, base, at);
        }
    }

    fn renumber(&mut self, excess: u32) {
        self.short.renumber(excess);
        self.long.renumber(excess);
    }
}
