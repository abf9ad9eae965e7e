//! Level 6, the default of Go from 1.27 on: like level 5, with more care for what it finds.

use super::search::{BITS, END_MARGIN, Parse, ShortAndLong, Site};
use crate::codec::deflate::codes::{MAX_MATCH, WINDOW};
use crate::codec::deflate::klauspost::generation::Generation;
use crate::codec::deflate::klauspost::history::{
    History, common, extend_back, hash4, hash7, load64,
};
use crate::codec::deflate::klauspost::tokens::Tokens;

/// Level 6 and its tables.
pub(in super::super) struct Six(ShortAndLong);

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
        Self(ShortAndLong::new(generation))
    }

    /// A match at `here`, or at `there`, the place that is looked at next, if that has a longer one.
    /// Both are noted.
    #[inline]
    fn find(&mut self, here: Site, there: Site, repeat: usize) -> Option<Found> {
        let (short, long) = (hash4(here.word, BITS), hash7(here.word, BITS));
        let near = self.0.short.get(short);
        let candidates = self.0.long.get(long);
        self.0.short.note(short, here.stamp);
        self.0.long.note(long, here.stamp);
        let found = |site: Site, distance, length| Found { at: site.at, distance, length };

        if let Some(distance) = here.reach(candidates[0]) {
            let farther = here.matching(candidates[1]);
            if here.agrees(distance) {
                self.0.note(there.word, there.stamp);
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
                self.0.note(there.word, there.stamp);
                return Some(found(here, farther, 0));
            }
        }

        let distance = here.matching(near)?;
        let mut best = found(here, distance, here.up_to_longest(distance));
        let candidates = self.0.long.get(hash7(there.word, BITS));
        self.0.note(there.word, there.stamp);
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
        let begin = start + self.0.lenient;
        let end = start + best.length;
        let candidates = self.0.long.get(hash7(load64(bytes, end), BITS));
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
            let Found { at: found, distance, mut length } = best;
            let mut at = extend_back(bytes, found, distance, done);
            length += found - at;
            tokens.push_literals(&bytes[done..at]);
            tokens.push_long_match(length, distance);
            repeat = distance;
            done = at + length;
            at = if next >= done { next + 1 } else { done };

            if at >= limit {
                let mut inside = next + 1;
                while inside + 8 < bytes.len() {
                    self.0.note(load64(bytes, inside), base + inside as u32);
                    inside += 2;
                }
                return done;
            }
            let mut inside = next + 1;
            while inside < at - 1 {
                let (word, stamp) = (load64(bytes, inside), base + inside as u32);
                self.0.note(word, stamp);
                self.0.long.note(hash7(word >> 8, BITS), stamp + 1);
                inside += 2;
            }
            there = Site::new(bytes, base, at);
        }
    }

    fn renumber(&mut self, excess: u32) {
        self.0.renumber(excess);
    }
}
