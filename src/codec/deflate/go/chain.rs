//! Levels 2 to 9: matches from the places with the same hash; from level 4 on, a match is only
//! taken when the next byte begins no longer one.

use super::block::{Block, Choice};
use super::buffer::{Buffer, HELD, zeros};
use super::finder::{Bounds, Match, Places, SHORTEST};
use crate::codec::deflate::codes::{MAX_MATCH, WINDOW};
use crate::codec::deflate::{BitWriter, Encoder};

/// Tokens in a full block.
const BLOCK_TOKENS: usize = 1 << 14;
/// With less than this ahead Go waits for more input, or for the end.
const AHEAD: usize = MAX_MATCH + SHORTEST;
/// Where in Go's window there is less than that ahead.
const LATE: u64 = (2 * WINDOW - AHEAD + 1) as u64;
/// A block that covers more is never stored.
const STORED_MAX: usize = super::block::STORED_MAX;

/// How often places are tidied up.
const TIDY: usize = WINDOW - 2 * MAX_MATCH;

/// What a level asks for.
struct Level {
    /// With a match of this length at hand no longer one is looked for at the next byte; 0 where
    /// matches are taken at once.
    lazy: usize,
    nice: usize,
    tries: usize,
    /// Longer matches leave no places behind.
    thorough: usize,
}

const fn level(lazy: usize, nice: usize, tries: usize, thorough: usize) -> Level {
    Level { lazy, nice, tries, thorough }
}

/// From level 2 on.
static LEVELS: [Level; 8] = [
    level(0, 16, 8, 5),
    level(0, 32, 32, 6),
    level(4, 16, 16, MAX_MATCH),
    level(16, 32, 32, MAX_MATCH),
    level(16, 128, 128, MAX_MATCH),
    level(32, 128, 256, MAX_MATCH),
    level(128, 258, 1024, MAX_MATCH),
    level(258, 258, 4096, MAX_MATCH),
];

/// The encoder of levels 2 to 9.
pub(super) struct Chain<P> {
    level: &'static Level,
    /// Bytes of the window and of the block, then those to come.
    buffer: Box<Buffer>,
    end: usize,
    /// Place in the buffer of the next byte to look at.
    at: usize,
    /// Plain bytes before the buffer.
    before: u64,
    /// From where on places are to be tidied up.
    untidy: usize,
    /// Where Go's window begins, in plain bytes.
    window: u64,
    /// Where the block begins, in plain bytes; none if Go has forgotten it.
    block_start: Option<u64>,
    block: Block,
    places: P,
    /// Places before `at` that are not in the finder for want of the bytes behind them.
    owed: usize,
    /// The byte before `at` belongs to no token yet: it is a literal, or begins the match at hand.
    pending: bool,
    at_hand: Match,
}

impl<P: Places> Chain<P> {
    /// A stream from its beginning.
    pub(super) fn new(level: u8) -> Self {
        Self {
            level: &LEVELS[level as usize - 2],
            buffer: zeros(),
            end: 0,
            at: 0,
            before: 0,
            untidy: TIDY,
            window: 0,
            block_start: Some(0),
            block: Block::new(),
            places: P::new(),
            owed: 0,
            pending: false,
            at_hand: Match::NONE,
        }
    }

    /// A stream from a mark on, at a level that leaves every place behind.
    pub(super) fn resume(level: u8, plain: u64, history: &[u8]) -> Option<Self> {
        if history.len() as u64 != plain.min(WINDOW as u64) {
            return None;
        }
        let mut new = Self::new(level);
        new.buffer[..history.len()].copy_from_slice(history);
        (new.end, new.at, new.untidy) = (history.len(), history.len(), history.len());
        new.before = plain - history.len() as u64;
        // Here Go has moved its window for certain; whether it has moved on is found out at the
        // first byte.
        let half = WINDOW as u64;
        new.window = plain.saturating_sub(half + 1) / half * half;
        new.block_start = Some(plain);
        new.owed = history.len();
        Some(new)
    }

    /// Adds places up to, but without, `to`; those without four bytes left are never added.
    fn insert_to(&mut self, from: usize, to: usize) {
        for at in from..to.min((self.end + 1).saturating_sub(SHORTEST)) {
            self.places.insert(&self.buffer, at);
        }
    }

    /// Looks at bytes as long as there are enough ahead, or to the end.
    fn run(&mut self, last: bool, out: &mut BitWriter) {
        let stop = if last { self.end } else { (self.end + 1).saturating_sub(AHEAD) };
        while self.at < stop {
            let until = stop.min(self.tidy()).min(self.slide());
            match (self.level.lazy, last) {
                (0, _) => self.advance_greedily(until),
                (_, false) => self.advance::<false>(until),
                (_, true) => self.advance::<true>(until),
            }
            if self.block.len() == BLOCK_TOKENS {
                // What was found at a pending byte depends on nothing before, so it is found again
                // from the mark on.
                let end = self.at - usize::from(self.pending);
                self.write_block(end, out);
                if self.level.thorough == MAX_MATCH {
                    out.mark(self.before + end as u64, Vec::new());
                }
            }
        }
    }

    /// Brings places in order where it is time, and says where it will be next.
    fn tidy(&mut self) -> usize {
        while self.owed > 0 {
            let from = self.at - self.owed;
            let some = self.owed.min(TIDY);
            self.insert_to(from, from + some);
            self.places.tidy(from + some);
            self.owed -= some;
        }
        if self.at >= self.untidy {
            self.places.tidy(self.at);
            self.untidy = self.at + TIDY;
        }
        self.untidy
    }

    /// Moves Go's window on where it is time, and says where it could be next.
    fn slide(&mut self) -> usize {
        let (plain, known) = (self.before + self.at as u64, self.before + self.end as u64);
        if plain - self.window >= LATE {
            if known <= self.window + 2 * WINDOW as u64 {
                return self.end;
            }
            self.window += WINDOW as u64;
            self.block_start = self.block_start.filter(|start| *start >= self.window);
        }
        (self.window + LATE - self.before) as usize
    }

    /// How far back a match may reach from a place.
    #[inline]
    fn reach(&self, at: usize) -> usize {
        ((self.before.wrapping_add(at as u64)).wrapping_sub(self.window)).min(WINDOW as u64)
            as usize
    }

    /// Takes matches at once.
    fn advance_greedily(&mut self, until: usize) {
        while self.at < until && self.block.len() < BLOCK_TOKENS {
            let ahead = self.end - self.at;
            let mut found = Match::NONE;
            if ahead >= SHORTEST {
                let heads = self.places.insert(&self.buffer, self.at);
                let bounds = self.bounds(self.at, found, ahead.min(MAX_MATCH));
                found = self.places.search(&self.buffer, self.at, heads, &bounds);
            }
            let mut next = self.at + 1;
            if found.distance == 0 {
                self.block.literal(self.buffer[self.at]);
            } else {
                let length = found.length as usize;
                self.block.copy(length, found.distance as usize);
                next = self.at + length;
                if length <= self.level.thorough {
                    self.insert_to(self.at + 1, next);
                }
            }
            self.at = next;
        }
    }

    #[inline]
    fn bounds(&self, at: usize, at_hand: Match, most: usize) -> Bounds {
        let Level { nice, tries, .. } = *self.level;
        let longer_than = at_hand.length as usize;
        Bounds { longer_than, most, reach: self.reach(at), nice: nice.min(most), tries }
    }

    /// Takes a match when the next byte begins no longer one.
    fn advance<const LAST: bool>(&mut self, until: usize) {
        let Self { mut at, mut pending, mut at_hand, .. } = *self;
        let lazy = self.level.lazy;
        while at < until && self.block.len() < BLOCK_TOKENS {
            let ahead = if LAST { self.end - at } else { AHEAD };
            let mut found = Match::NONE;
            if !LAST || ahead >= SHORTEST {
                let heads = self.places.insert(&self.buffer, at);
                let held = at_hand.length as usize;
                if held < lazy && heads.four <= WINDOW && (!LAST || held < ahead) {
                    let bounds = self.bounds(at, at_hand, ahead.min(MAX_MATCH));
                    found = self.places.search(&self.buffer, at, heads, &bounds);
                }
            }
            if at_hand.distance > 0 && found.length <= at_hand.length {
                let length = at_hand.length as usize;
                self.block.copy(length, at_hand.distance as usize);
                let next = at.wrapping_add(length).wrapping_sub(1);
                self.insert_to(at.wrapping_add(1), next);
                at = next;
                pending = false;
                at_hand = Match::NONE;
            } else {
                if pending {
                    self.block.literal(self.buffer[at.wrapping_sub(1) % HELD]);
                }
                at = at.wrapping_add(1);
                pending = true;
                at_hand = found;
            }
        }
        (self.at, self.pending, self.at_hand) = (at, pending, at_hand);
    }

    /// Writes the block, which ends here.
    fn write_block(&mut self, end: usize, out: &mut BitWriter) {
        let plain = self.before + end as u64;
        let raw = self
            .block_start
            .map(|start| plain - start)
            .filter(|covered| *covered <= STORED_MAX as u64)
            .map(|covered| &self.buffer[end - covered as usize..end]);
        self.block.write(Choice::Smallest, raw, out);
        self.block_start = Some(plain);
    }

    /// Makes room for input by letting go of what nothing can ask for any more.
    fn make_room(&mut self) {
        let plain = self.before + self.at as u64;
        let covered = self.block_start.map_or(0, |start| plain - start);
        let block = if covered <= STORED_MAX as u64 { covered as usize } else { 0 };
        let gone = self.at - self.at.min(block.max(WINDOW));
        self.buffer.copy_within(gone..self.end, 0);
        self.places.forget(gone);
        self.before += gone as u64;
        self.at -= gone;
        self.untidy -= gone.min(self.untidy);
        self.end -= gone;
    }
}

impl<P: Places + Send> Encoder for Chain<P> {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            if self.end == HELD {
                self.make_room();
            }
            let (taken, rest) = plain.split_at(plain.len().min(HELD - self.end));
            self.buffer[self.end..][..taken.len()].copy_from_slice(taken);
            self.end += taken.len();
            plain = rest;
            self.run(false, out);
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.run(true, out);
        if self.pending {
            self.block.literal(self.buffer[self.at - 1]);
        }
        if self.block.len() > 0 {
            self.write_block(self.at, out);
        }
        super::write_end(out);
    }
}
