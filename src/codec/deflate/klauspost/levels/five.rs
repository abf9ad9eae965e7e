//! Level 5, the default: one place for each four bytes, two for each seven.

use super::search::{END_MARGIN, Pairs, Parse, Places, Site};
use crate::codec::deflate::codes::MAX_MATCH;
use crate::codec::deflate::klauspost::generation::Generation;
use crate::codec::deflate::klauspost::history::{History, common, hash4, hash7, load64};
use crate::codec::deflate::klauspost::tokens::Tokens;

const BITS: u32 = 15;

/// Matches from so long on are not tried to be bettered from their end.
const LONG_ENOUGH: usize = 30;

/// The tables of level 5.
pub(in super::super) struct Five {
    short: Places<{ 1 << BITS }>,
    long: Pairs<{ 1 << BITS }>,
    /// How many bytes of a match may differ in the match that is found from its end.
    lenient: usize,
}

impl Five {
    pub(in super::super) fn new(generation: Generation) -> Self {
        let lenient = if generation >= Generation::V1_15_11 { 2 } else { 0 };
        Self { short: Places::new(), long: Pairs::new(), lenient }
    }

    #[inline]
    fn note(&mut self, word: u64, stamp: u32) {
        self.short.note(hash4(word, BITS), stamp);
        self.long.note(hash7(word, BITS), stamp);
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
                let near = self.short.get(short);
                let candidates = self.long.get(long);
                self.short.note(short, here.stamp);
                self.long.note(long, here.stamp);
                let following = load64(bytes, next);
                let there = Site::of(bytes, base, next, following);

                if let Some(distance) = here.reach(candidates[0])
                    && here.agrees(distance)
                {
                    self.note(following, there.stamp);
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
                    self.note(following, there.stamp);
                    (site, length) = ((at, farther), 0);
                    break;
                }
                if let Some(distance) = here.matching(near) {
                    (site, length) = ((at, distance), here.up_to_longest(distance));
                    // The seven bytes that follow may have a longer one.
                    let candidates = self.long.get(hash7(following, BITS));
                    self.note(following, there.stamp);
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
                let candidate = self.long.get(hash7(after, BITS))[0];
                if let Some(other) = Site::of(bytes, base, end, after).reach(candidate) {
                    let begin = place + self.lenient;
                    if other > 0 && begin >= other {
                        let longer = common(bytes, begin, begin - other, bytes.len());
                        if longer > length {
                            (place, distance, length) = (begin, other, longer);
                        }
                    }
                }
            }

            while place > done
                && place > distance
                && bytes[place - 1] == bytes[place - 1 - distance]
            {
                place -= 1;
                length += 1;
            }
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
                self.note(word, stamp);
                self.long.note(hash7(word >> 8, BITS), stamp + 1);
                self.short.note(hash4(word >> 16, BITS), stamp + 2);
                inside += 4;
                while inside < last {
                    let stamp = base + inside as u32;
                    let word = load64(bytes, inside);
                    self.long.note(hash7(word, BITS), stamp);
                    self.short.note(hash4(word >> 8, BITS), stamp + 1);
                    inside += 3;
                }
            }
            self.note(load64(bytes, last), base + last as u32);
        }
        done
    }

    fn renumber(&mut self, excess: u32) {
        self.short.renumber(excess);
        self.long.renumber(excess);
    }
}
