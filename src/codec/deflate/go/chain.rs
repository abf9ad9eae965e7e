//! Levels 2 to 9: matches from the places with the same hash; from level 4 on, a match is only
//! taken when the next byte begins no longer one.

use super::block::{Block, Choice};
use super::compare::SLACK;
use super::finder::{Bounds, Finder, Match, SHORTEST};
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
/// Bytes that are held at once, a multiple of what must be kept.
const ROOM: usize = 256 << 10;

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
pub(super) struct Chain {
    level: &'static Level,
    /// Bytes of the window and of the block, then those to come, then slack.
    buffer: Box<[u8]>,
    end: usize,
    /// Place in the buffer of the next byte to look at.
    at: usize,
    /// Plain bytes before the buffer.
    before: u64,
    /// Where Go's window begins, in plain bytes.
    window: u64,
    /// Where the block begins, in plain bytes; none if Go has forgotten it.
    block_start: Option<u64>,
    block: Block,
    finder: Finder,
    /// Places before `at` that are not in the finder for want of the bytes behind them.
    owed: usize,
    /// The byte before `at` belongs to no token yet: it is a literal or begins this match.
    pending: Option<Match>,
}

impl Chain {
    /// A stream from its beginning.
    pub(super) fn new(level: u8) -> Self {
        Self {
            level: &LEVELS[level as usize - 2],
            buffer: vec![0; ROOM + SLACK].into(),
            end: 0,
            at: 0,
            before: 0,
            window: 0,
            block_start: Some(0),
            block: Block::with_room(BLOCK_TOKENS),
            finder: Finder::new(),
            owed: 0,
            pending: None,
        }
    }

    /// A stream from a mark on, at a level that leaves every place behind.
    pub(super) fn resume(level: u8, plain: u64, history: &[u8]) -> Option<Self> {
        if history.len() as u64 != plain.min(WINDOW as u64) {
            return None;
        }
        let mut new = Self::new(level);
        new.buffer[..history.len()].copy_from_slice(history);
        (new.end, new.at) = (history.len(), history.len());
        new.before = plain - history.len() as u64;
        // Here Go has moved its window for certain; whether it has moved on is found out at the
        // first byte.
        let half = WINDOW as u64;
        new.window = plain.saturating_sub(half + 1) / half * half;
        new.block_start = Some(plain);
        new.owed = history.len();
        Some(new)
    }

    fn plain(&self) -> u64 {
        self.before + self.at as u64
    }

    /// Moves Go's window on where it is time.
    fn slide(&mut self) {
        let known = self.before + self.end as u64;
        let late = self.plain() - self.window >= LATE;
        if late && known > self.window + 2 * WINDOW as u64 {
            self.window += WINDOW as u64;
            self.block_start = self.block_start.filter(|start| *start >= self.window);
        }
    }

    /// Adds places up to, but without, `to`; those without four bytes left are never added.
    fn insert_to(&mut self, from: usize, to: usize) {
        for at in from..to.min((self.end + 1).saturating_sub(SHORTEST)) {
            self.finder.insert(&self.buffer, at);
        }
    }

    /// Looks at bytes as long as there are enough ahead, or to the end.
    fn run(&mut self, last: bool, out: &mut BitWriter) {
        let enough = if last { 1 } else { AHEAD };
        if self.end - self.at >= enough {
            self.insert_to(self.at - self.owed, self.at);
            self.owed = 0;
        }
        while self.end - self.at >= enough {
            self.slide();
            if self.level.lazy == 0 { self.step_greedy(out) } else { self.step_lazy(out) }
        }
    }

    /// The best match here that is longer than what is given; here becomes a place.
    #[inline]
    fn find(&mut self, longer_than: usize, wanted: bool) -> Match {
        let ahead = self.end - self.at;
        if ahead < SHORTEST {
            return Match::NONE;
        }
        let first = self.finder.insert(&self.buffer, self.at);
        if !wanted || ahead <= longer_than || first == 0 {
            return Match::NONE;
        }
        let most = ahead.min(MAX_MATCH);
        let bounds = Bounds {
            longer_than,
            most,
            reach: (self.plain() - self.window).min(WINDOW as u64) as usize,
            nice: most.min(self.level.nice),
            tries: self.level.tries,
        };
        self.finder.search(&self.buffer, self.at, first, bounds)
    }

    fn step_greedy(&mut self, out: &mut BitWriter) {
        let found = self.find(SHORTEST - 1, true);
        if found.distance == 0 {
            self.block.literal(self.buffer[self.at]);
            self.at += 1;
        } else {
            self.block.copy(found.length, found.distance);
            let next = self.at + found.length;
            if found.length <= self.level.thorough {
                self.insert_to(self.at + 1, next);
            }
            self.at = next;
        }
        if self.block.len() == BLOCK_TOKENS {
            self.write_block(out);
        }
    }

    fn step_lazy(&mut self, out: &mut BitWriter) {
        let before = self.pending.unwrap_or(Match::NONE);
        let found = self.find(before.length, before.length < self.level.lazy);
        if before.distance > 0 && found.length <= before.length {
            self.block.copy(before.length, before.distance);
            let next = self.at + before.length - 1;
            self.insert_to(self.at + 1, next);
            self.at = next;
            self.pending = None;
            if self.block.len() == BLOCK_TOKENS {
                self.write_block(out);
                out.mark(self.plain(), Vec::new());
            }
            return;
        }
        if self.pending.is_some() {
            self.block.literal(self.buffer[self.at - 1]);
            if self.block.len() == BLOCK_TOKENS {
                self.write_block(out);
                // What was found here depends on nothing before, so it is found again.
                out.mark(self.plain(), Vec::new());
            }
        }
        self.pending = Some(found);
        self.at += 1;
    }

    /// Writes the block, which ends here.
    fn write_block(&mut self, out: &mut BitWriter) {
        let start = self.block_start.map(|start| self.plain() - start);
        let raw = start
            .filter(|covered| *covered <= STORED_MAX as u64)
            .map(|covered| &self.buffer[self.at - covered as usize..self.at]);
        self.block.write(Choice::Smallest, raw, out);
        self.block_start = Some(self.plain());
    }

    /// Makes room for input by letting go of what nothing can ask for any more.
    fn make_room(&mut self) {
        let covered = self.block_start.map_or(0, |start| self.plain() - start);
        let block = if covered <= STORED_MAX as u64 { covered as usize } else { 0 };
        let gone = self.at - self.at.min(block.max(WINDOW));
        self.buffer.copy_within(gone..self.end, 0);
        self.finder.forget(gone);
        self.before += gone as u64;
        self.at -= gone;
        self.end -= gone;
    }
}

impl Encoder for Chain {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            if self.end == ROOM {
                self.make_room();
            }
            let (taken, rest) = plain.split_at(plain.len().min(ROOM - self.end));
            self.buffer[self.end..][..taken.len()].copy_from_slice(taken);
            self.end += taken.len();
            plain = rest;
            self.run(false, out);
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.run(true, out);
        if self.pending.take().is_some() {
            self.block.literal(self.buffer[self.at - 1]);
        }
        if self.block.len() > 0 {
            self.write_block(out);
        }
        super::write_end(out);
    }
}
