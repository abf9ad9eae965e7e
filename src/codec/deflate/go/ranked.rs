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
const GRAM_BITS: u32 = 16;
/// After so many places it is asked whether Go would have stopped.
const STRETCH: usize = 16;

/// Places by the hash of four bytes, ranked, and by that of five. Places are counted modulo 65,536.
pub(super) struct Ranked {
    /// The last place of each hash. It may be so old that its number came again; then no place in
    /// reach has the hash, and nothing that is found instead has the bytes that are looked for.
    heads: Box<[u16; 1 << HASH_BITS]>,
    /// How far before each place of the window the one before it with its hash is; 0 for too far.
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
            match self.gram_back[gram_place.wrapping_sub(distance) & MASK] {
                0 => break,
                step => distance = distance.wrapping_add(step as usize),
            }
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
    #[inline]
    fn any(&self, buffer: &Buffer, at: usize, heads: Heads, bounds: &Bounds) -> Option<Match> {
        if heads.gram.wrapping_sub(1) < bounds.reach {
            let best = Match { length: GRAM as u16 - 1, distance: 0 };
            let way = Way { shift: 0, distance: heads.gram, end: bounds.reach, best };
            let best = self.follow(buffer, at, way, bounds).found()?;
            if best.distance > 0 {
                return Some(best);
            }
        }
        Some(self.shortest(buffer, at, heads.four, bounds))
    }

    /// Looks for a match that is longer than the one at hand.
    #[inline]
    fn longer(&self, buffer: &Buffer, at: usize, heads: Heads, bounds: &Bounds) -> Option<Match> {
        let best = Match { length: bounds.longer_than as u16, distance: 0 };
        let shift = bounds.longer_than + 1 - GRAM;
        // Nearer than `shift` the shifted gram is no place yet.
        if heads.gram.wrapping_sub(1) < bounds.reach.min(shift.max(1) - 1) || shift == 0 {
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

    /// Looks for a match of four bytes where there is none of five.
    #[inline]
    fn shortest(&self, buffer: &Buffer, at: usize, first: usize, bounds: &Bounds) -> Match {
        let end = bounds.reach.min(NEAR);
        let place = self.place(at);
        let start = four(buffer, at);
        let mut distance = first;
        for _ in 0..bounds.tries {
            if distance.wrapping_sub(1) >= end {
                break;
            }
            if four(buffer, at.wrapping_sub(distance)) == start {
                return Match { length: SHORTEST as u16, distance: distance as u16 };
            }
            match self.back[place.wrapping_sub(distance) & MASK] {
                0 => break,
                step => distance = distance.wrapping_add(step as usize),
            }
        }
        Match::NONE
    }

    /// Looks for a match in the same way as Go.
    #[cold]
    fn plainly(&self, buffer: &Buffer, at: usize, first: usize, bounds: &Bounds) -> Match {
        let mut best = Match { length: bounds.longer_than as u16, distance: 0 };
        let mut distance = first;
        for _ in 0..bounds.tries {
            if distance == 0 || distance > bounds.reach {
                break;
            }
            let length = common(buffer, at - distance, at, bounds.most);
            if length > best.length as usize && (length > SHORTEST || distance <= NEAR) {
                best = Match { length: length as u16, distance: distance as u16 };
                if length >= bounds.nice {
                    break;
                }
            }
            match self.back[self.place(at).wrapping_sub(distance) & MASK] {
                0 => break,
                step => distance += step as usize,
            }
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
        for head in self.gram_heads.iter_mut() {
            *head = place.wrapping_sub(place.wrapping_sub(*head).min(WINDOW as u16 + 1));
        }
    }

    #[inline]
    fn insert(&mut self, buffer: &Buffer, at: usize) -> Heads {
        let place = self.place(at);
        let bytes = eight(buffer, at);
        let head = &mut self.heads[hash(bytes as u32)];
        let distance = near(place, *head);
        *head = place as u16;
        self.back[place & MASK] = distance;
        // Where there is none in reach, any rank will do.
        self.ranks[place] =
            self.ranks[place.wrapping_sub(distance as usize) % TURN].wrapping_add(1);

        let head = &mut self.gram_heads[gram_hash(bytes)];
        let gram = near(place, *head);
        *head = place as u16;
        self.gram_back[place & MASK] = gram;
        Heads { four: distance as usize, gram: gram as usize }
    }

    #[inline]
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

/// How far a place is from the head of its hash; 0 for too far.
#[inline]
fn near(place: usize, head: u16) -> u16 {
    let distance = (place as u16).wrapping_sub(head);
    if distance > WINDOW as u16 { 0 } else { distance }
}

#[inline]
fn gram_hash(bytes: u64) -> usize {
    let gram = bytes << (64 - 8 * GRAM);
    (gram.wrapping_mul(0x9e37_79b1_85eb_ca87) >> (64 - GRAM_BITS)) as usize
}
