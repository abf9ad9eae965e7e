//! Level 5, the default: one place for each four bytes, two for each seven.

use super::search::{BITS, END_MARGIN, Parse, ShortAndLong, Site};
use crate::codec::deflate::codes::MAX_MATCH;
use crate::codec::deflate::klauspost::generation::Generation;
use crate::codec::deflate::klauspost::history::{
    History, common, extend_back, hash4, hash7, load64,
};
use crate::codec::deflate::klauspost::tokens::Tokens;

/// Matches from so long on are not tried to be bettered from their end.
const LONG_ENOUGH: usize = 30;

/// Level 5 and its tables.
pub(in super::super) struct Five(ShortAndLong);

impl Five {
    pub(in super::super) fn new(generation: Generation) -> Self {
        Self(ShortAndLong::new(generation))
    }
}

impl Parse for Five {
    fn parse(&mut self, history: &History, start: usize, tokens: &mut Tokens) -> usize {
        let (bytes, base) = (history.bytes(), history.base());
        let limit = bytes.len() - END_MARGIN;
        let mut done = start;
        let mut at = start;
        'matches: loop {
            // Go from byte to byte, in longer steps the longer nothing was found.
            let mut next = at;
            let mut word = load64(bytes, at);
            let (mut site, mut length);
            loop {
                at = next;
                next = at + 1 + ((at - done) >> 6);
                if next > limit {
                    break 'matches;
                }
                let here = Site::of(bytes, base, at, word);
                let (short, long) = (hash4(word, BITS), hash7(word, BITS));
                let near = self.0.short.get(short);
                let candidates = self.0.long.get(long);
                self.0.short.note(short, here.stamp);
                self.0.long.note(long, here.stamp);
                let following = load64(bytes, next);
                let there = Site::of(bytes, base, next, following);

                if let Some(distance) = here.reach(candidates[0])
                    && here.agrees(distance)
                {
                    self.0.note(following, there.stamp);
                    (site, length) = ((at, distance), 0);
                    if let Some(farther) = here.matching(candidates[1]) {
                        length = here.up_to_longest(distance);
                        let other = here.up_to_longest(farther);
                        if other > length {
                            (site, length) = ((at, farther), other);
                        }
                    }
                    break;
                }
                if here.reach(candidates[0]).is_some()
                    && let Some(farther) = here.matching(candidates[1])
                {
                    self.0.note(following, there.stamp);
                    (site, length) = ((at, farther), 0);
                    break;
                }
                if let Some(distance) = here.matching(near) {
                    (site, length) = ((at, distance), here.up_to_longest(distance));
                    // The seven bytes that follow may have a longer one.
                    let candidates = self.0.long.get(hash7(following, BITS));
                    self.0.note(following, there.stamp);
                    if there.reach(candidates[0]).is_some() {
                        for candidate in candidates {
                            if let Some(distance) = there.matching(candidate) {
                                let other = there.up_to_longest(distance);
                                if other > length {
                                    (site, length) = ((next, distance), other);
                                    break;
                                }
                            }
                        }
                    }
                    break;
                }
                word = following;
            }

            let (mut place, mut distance) = site;
            if length == 0 {
                length = 4 + common(bytes, place + 4, place + 4 - distance, bytes.len());
            } else if length == MAX_MATCH {
                let end = place + length;
                length += common(bytes, end, end - distance, bytes.len());
            }

            // What comes after the match may point to one that is longer.
            let end = place + length;
            if length < LONG_ENOUGH && end < limit {
                let after = load64(bytes, end);
                let candidate = self.0.long.get(hash7(after, BITS))[0];
                if let Some(other) = Site::of(bytes, base, end, after).reach(candidate) {
                    let begin = place + self.0.lenient;
                    if other > 0 && begin >= other {
                        let longer = common(bytes, begin, begin - other, bytes.len());
                        if longer > length {
                            (place, distance, length) = (begin, other, longer);
                        }
                    }
                }
            }

            let begin = extend_back(bytes, place, distance, done);
            length += place - begin;
            place = begin;
            tokens.push_literals(&bytes[done..place]);
            tokens.push_long_match(length, distance);
            done = place + length;
            at = if next >= done { next + 1 } else { done };
            if at >= limit {
                break;
            }

            // Some places within the match.
            let last = at - 1;
            let mut inside = at - length + 1;
            if inside < last {
                let stamp = base + inside as u32;
                let word = load64(bytes, inside);
                self.0.note(word, stamp);
                self.0.long.note(hash7(word >> 8, BITS), stamp + 1);
                self.0.short.note(hash4(word >> 16, BITS), stamp + 2);
                inside += 4;
                while inside < last {
                    let stamp = base + inside as u32;
                    let word = load64(bytes, inside);
                    self.0.long.note(hash7(word, BITS), stamp);
                    self.0.short.note(hash4(word >> 8, BITS), stamp + 1);
                    inside += 3;
                }
            }
            self.0.note(load64(bytes, last), base + last as u32);
        }
        done
    }

    fn renumber(&mut self, excess: u32) {
        self.0.renumber(excess);
    }
}
