//! Finds the matches that Go finds, by shorter ways: for encoders that leave every place behind.
//!
//! Go looks at a number of places with the hash of the four bytes at hand, the nearest first, and
//! takes the first of the longest matches. Here every place knows its rank among those of its hash,
//! which tells whether Go would have come as far. So the places can be reached in any way that
//! leaves out none that could win: those that share five bytes with what a match must have, the
//! last of which the match at hand does not reach.

use super::buffer::{Buffer, common, eight, four, zeros};
use super::finder::{Bounds, HASH_BITS, Heads, Match, NEAR, Places, SHORTEST, hash};
use crate::codec::deflate::codes::{MAX_MATCH, WINDOW};

const MASK: usize = WINDOW - 1;
/// Places after which their numbers come again.
const TURN: usize = 1 << 16;
/// Bytes of a gram.
const GRAM: usize = 5;
const GRAM_BITS: u32 = 15;
/// After so many places it is asked whether Go would have stopped.
const STRETCH: usize = 16;

/// Places by the hash of four bytes, ranked, and by that of five. Places are counted modulo 65,536.
pub(super) struct Ranked {
    /// The last place of each hash, or one that is out of reach.
    heads: Box<[u16; 1 << HASH_BITS]>,
    /// How far before each place of the window the one before it with its hash is, if it is in
    /// reach; more than the window if not.
    back: Box<[u16; WINDOW]>,
    /// Rises by one from each place to the next with its hash. There is room for the place that is
    /// just in reach beside the one that it is reached from.
    ranks: Box<[u16; TURN]>,
    /// The last place of each gram, or one that is out of reach.
    gram_heads: Box<[u16; 1 << GRAM_BITS]>,
    /// As `back`, for grams.
    gram_back: Box<[u16; WINDOW]>,
    /// Place of the first byte of the buffer.
    base: usize,
}

impl Ranked {
    #[inline]
    fn place(&self, at: usize) -> usize {
        self.base.wrapping_add(at) % TURN
    }

    /// Goes from gram to gram, and keeps the best match that Go would come to.
    fn follow(&self, buffer: &Buffer, at: usize, way: Way, bounds: &Bounds) -> Followed {
        let Way { shift, mut distance, end, mut best } = way;
        let place = self.place(at);
        let gram_place = place.wrapping_add(shift);
        let mut over = at.wrapping_add(best.length as usize).wrapping_sub(3);
        let mut tail = four(buffer, over);
        let mut left = 4 * (bounds.tries + STRETCH);
        while distance.wrapping_sub(1) < end {
            if four(buffer, over.wrapping_sub(distance)) == tail {
                let length = common(buffer, at.wrapping_sub(distance), at, MAX_MATCH);
                if length > best.length as usize {
                    if self.out_of_tries(place, distance, bounds.tries) {
                        break;
                    }
                    best = Match { length: length as u16, distance: distance as u16 };
                    if length >= bounds.nice {
                        break;
                    }
                    over = at.wrapping_add(length).wrapping_sub(3);
                    tail = four(buffer, over);
                }
            }
            left = left.wrapping_sub(1);
            if left.is_multiple_of(STRETCH) {
                let same = four(buffer, at.wrapping_sub(distance)) == four(buffer, at);
                if same && self.out_of_tries(place, distance, bounds.tries) {
                    break;
                }
                if left == 0 {
                    return Followed { best, next: Followed::LOST };
                }
            }
            let step = self.gram_back[gram_place.wrapping_sub(distance) & MASK];
            distance = distance.wrapping_add(step as usize);
        }
        Followed { best, next: if distance > end { distance } else { 0 } }
    }

    /// Whether Go would have stopped before it came to a place with the same hash.
    #[inline]
    fn out_of_tries(&self, place: usize, distance: usize, tries: usize) -> bool {
        let other = self.ranks[place.wrapping_sub(distance) % TURN];
        self.ranks[place].wrapping_sub(other) as usize > tries
    }

    /// Looks for a match where there is none at hand.
    fn any(&self, buffer: &Buffer, at: usize, heads: Heads, bounds: &Bounds) -> Option<Match> {
        // Where nothing shares four bytes, nothing shares five.
        let distance = self.shortest(buffer, at, heads.four, bounds);
        if distance == 0 {
            return Some(Match::NONE);
        }
        if heads.gram <= bounds.reach {
            let best = Match { length: GRAM as u16 - 1, distance: 0 };
            let way = Way { shift: 0, distance: heads.gram, end: bounds.reach, best };
            let best = self.follow(buffer, at, way, bounds).found()?;
            if best.distance > 0 {
                return Some(best);
            }
        }
        let near = Match { length: SHORTEST as u16, distance: distance as u16 };
        Some(if distance <= NEAR { near } else { Match::NONE })
    }

    /// Looks for a match that is longer than the one at hand.
    fn longer(&self, buffer: &Buffer, at: usize, heads: Heads, bounds: &Bounds) -> Option<Match> {
        let best = Match { length: bounds.longer_than as u16, distance: 0 };
        let shift = bounds.longer_than + 1 - GRAM;
        // Nearer than `shift` the shifted gram is no place yet.
        if heads.gram < shift || shift == 0 {
            let way = Way { shift: 0, distance: heads.gram, end: bounds.reach, best };
            if shift == 0 {
                return self.follow(buffer, at, way, bounds).found();
            }
            let near = Way { end: bounds.reach.min(shift - 1), ..way };
            let Followed { best, next } = self.follow(buffer, at, near, bounds);
            if next == Followed::LOST {
                return None;
            }
            if best.distance > 0 {
                let way = Way { distance: next, best, ..way };
                return self.follow(buffer, at, way, bounds).found();
            }
        }
        let place = self.place(at.wrapping_add(shift));
        let head = self.gram_heads[gram_hash(eight(buffer, at.wrapping_add(shift)))];
        let distance = (place as u16).wrapping_sub(head) as usize;
        if distance < shift || distance > bounds.reach {
            return Some(best);
        }
        let way = Way { shift, distance, end: bounds.reach, best };
        self.follow(buffer, at, way, bounds).found()
    }

    /// How far the nearest place with the same four bytes is; 0 for none.
    #[inline]
    fn shortest(&self, buffer: &Buffer, at: usize, first: usize, bounds: &Bounds) -> usize {
        let place = self.place(at);
        let start = four(buffer, at);
        let mut distance = first;
        let mut left = bounds.tries;
        while distance.wrapping_sub(1) < bounds.reach && left > 0 {
            if four(buffer, at.wrapping_sub(distance)) == start {
                return distance;
            }
            let step = self.back[place.wrapping_sub(distance) & MASK];
            distance = distance.wrapping_add(step as usize);
            left = left.wrapping_sub(1);
        }
        0
    }

    /// Looks for a match in the same way as Go.
    #[cold]
    fn plainly(&self, buffer: &Buffer, at: usize, first: usize, bounds: &Bounds) -> Match {
        let mut best = Match { length: bounds.longer_than as u16, distance: 0 };
        let mut distance = first;
        for _ in 0..bounds.tries {
            if distance > bounds.reach {
                break;
            }
            let length = common(buffer, at - distance, at, bounds.most);
            if length > best.length as usize && (length > SHORTEST || distance <= NEAR) {
                best = Match { length: length as u16, distance: distance as u16 };
                if length >= bounds.nice {
                    break;
                }
            }
            distance += self.back[self.place(at).wrapping_sub(distance) & MASK] as usize;
        }
        best
    }
}

impl Places for Ranked {
    fn new() -> Self {
        Self {
            heads: zeros(),
            back: zeros(),
            ranks: zeros(),
            gram_heads: zeros(),
            gram_back: zeros(),
            base: WINDOW + 1,
        }
    }

    fn forget(&mut self, bytes: usize) {
        self.base = self.base.wrapping_add(bytes) % TURN;
    }

    fn tidy(&mut self, at: usize) {
        let place = self.place(at) as u16;
        for heads in [&mut self.heads[..], &mut self.gram_heads[..]] {
            for head in heads {
                *head = place.wrapping_sub(place.wrapping_sub(*head).min(WINDOW as u16 + 1));
            }
        }
    }

    #[inline]
    fn insert(&mut self, buffer: &Buffer, at: usize) -> Heads {
        let place = self.place(at);
        let bytes = eight(buffer, at);
        let head = std::mem::replace(&mut self.heads[hash(bytes as u32)], place as u16);
        let distance = (place as u16).wrapping_sub(head);
        self.back[place & MASK] = distance;
        // Where there is none in reach, any rank will do.
        self.ranks[place] = self.ranks[head as usize].wrapping_add(1);

        let head = std::mem::replace(&mut self.gram_heads[gram_hash(bytes)], place as u16);
        let gram = (place as u16).wrapping_sub(head);
        self.gram_back[place & MASK] = gram;
        Heads { four: distance as usize, gram: gram as usize }
    }

    fn search(&self, buffer: &Buffer, at: usize, heads: Heads, bounds: &Bounds) -> Match {
        // At the end of the input a gram may reach over it.
        let found = if bounds.most < MAX_MATCH {
            None
        } else if bounds.longer_than < SHORTEST {
            self.any(buffer, at, heads, bounds)
        } else {
            self.longer(buffer, at, heads, bounds)
        };
        found.unwrap_or_else(|| self.plainly(buffer, at, heads.four, bounds))
    }
}

/// Places to be looked at, one after the other.
struct Way {
    /// How far behind each place the gram is that they share.
    shift: usize,
    /// How far the first is; 0 for none.
    distance: usize,
    /// How far the last may be.
    end: usize,
    /// What is to be surpassed.
    best: Match,
}

/// Where a way led to.
struct Followed {
    best: Match,
    /// How far the first place beyond the end is; 0 if nothing better comes there.
    next: usize,
}

impl Followed {
    /// There were too many places that share the hash of the gram and nothing else.
    const LOST: usize = usize::MAX;

    #[inline]
    fn found(self) -> Option<Match> {
        (self.next != Self::LOST).then_some(self.best)
    }
}

#[inline]
fn gram_hash(bytes: u64) -> usize {
    let gram = bytes << (64 - 8 * GRAM);
    (gram.wrapping_mul(0x9e37_79b1_85eb_ca87) >> (64 - GRAM_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares searches at every place of an input with Go's own way, and says how many of them
    /// found something.
    fn compare(input: impl Iterator<Item = u8>) -> usize {
        let mut buffer: Box<Buffer> = zeros();
        let mut end = 0;
        for (held, byte) in buffer.iter_mut().zip(input) {
            *held = byte;
            end += 1;
        }
        let mut places = Ranked::new();
        let mut found = 0;
        for at in 0..end - MAX_MATCH {
            if at % (WINDOW / 2) == 0 {
                places.tidy(at);
            }
            let heads = places.insert(&buffer, at);
            let reach = at.min(WINDOW - at % 3);
            for (longer_than, nice, tries) in
                [(3, 128, 128), (3, 16, 16), (4, 32, 32), (5 + at % 11, 128, 128), (20, 258, 4096)]
            {
                let bounds = Bounds { longer_than, most: MAX_MATCH, reach, nice, tries };
                let best = places.search(&buffer, at, heads, &bounds);
                let expected = places.plainly(&buffer, at, heads.four, &bounds);
                assert_eq!(best, expected, "at {at}, longer than {longer_than}, {tries} tries");
                found += usize::from(best.distance > 0);
            }
        }
        found
    }

    fn numbers(seed: u64) -> impl Iterator<Item = u64> {
        std::iter::successors(Some(seed), |last| {
            Some(last.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f))
        })
        .map(|number| number >> 24)
    }

    #[test]
    fn few_letters_and_records_are_found_as_go_finds_them() {
        let letters = numbers(1).take(90_000).map(|number| (number % 3) as u8);
        assert!(compare(letters) > 0);
        let records = numbers(2).take(9_000).enumerate().flat_map(|(at, number)| {
            let (at, number) = (at as u8, number as u8);
            [1, 2, 3, 4, 5, 6, 7, at, number % 4, number % 2, at / 16]
        });
        assert!(compare(records) > 0);
    }

    #[test]
    fn grams_that_share_a_hash_and_nothing_else_hide_no_match() {
        // Thousands of grams on one chain: it is left, and Go's own way is taken.
        let grams: Vec<u64> = numbers(3).filter(|gram| gram_hash(*gram) == 0).take(300).collect();
        let picked = numbers(4).take(12_000).flat_map(|number| {
            let gram = grams[number as usize % grams.len()].to_le_bytes();
            [gram[0], gram[1], gram[2], gram[3], gram[4]]
        });
        assert!(compare(picked) > 0);
    }
}
