//! A stream at work: which literals and matches it chooses.

use super::super::bits::BitWriter;
use super::super::codes::{MAX_MATCH, MIN_MATCH, WINDOW};
use super::block::Block;
use super::setting::{Ending, Rules};
use super::window::{FULL, LOOKAHEAD, REACH, SIZE, Search, Window};

/// A match of three bytes is not worth a distance beyond this.
const TOO_FAR: u16 = 4096;
/// Length where there is no match.
const NONE: usize = MIN_MATCH - 1;

/// Something found at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Match {
    length: usize,
    distance: usize,
}

const NO_MATCH: Match = Match { length: NONE, distance: 0 };

/// An encoder of the family. It takes plain bytes with [`Stream::write`] and decides about them
/// when its window is full, or with [`Stream::drain`].
pub(super) struct Stream {
    rules: Rules,
    window: Window,
    block: Block,
    /// The byte before the one that is looked at is not decided: it is a literal or the beginning
    /// of `found`. Only where the rules are not greedy.
    waiting: bool,
    /// What was found at the byte before the one that is looked at.
    found: Match,
    /// The waiting byte, which a resumed stream has not yet seen.
    unseen: bool,
    /// Nothing more is read: but for zlib, they look for the end only once.
    closed: bool,
    /// No mark is set at multiples of this.
    unmarked: u64,
}

impl Stream {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            window: Window::new(rules.hash_bits, !rules.greedy),
            block: Block::new(rules.capacity),
            waiting: false,
            found: NO_MATCH,
            unseen: false,
            closed: false,
            unmarked: 0,
        }
    }

    /// Sets no marks at multiples of a number.
    pub(super) fn set_unmarked(&mut self, multiples: u64) {
        self.unmarked = multiples;
    }

    /// Begins anew behind `history`, as an encoder that was given a preset dictionary. Nothing may be
    /// left to decide.
    pub(super) fn restart_behind(&mut self, history: &[u8]) {
        debug_assert!(self.block.is_empty() && !self.waiting);
        self.window.restart(0, history.len(), history);
    }

    /// Goes on where a mark was set; see [`Stream::state`]. `None` where no stream can be in this
    /// state.
    pub(super) fn resumed(rules: Rules, plain: u64, history: &[u8], state: &[u8]) -> Option<Self> {
        if rules.greedy || history.len() as u64 != plain.min(WINDOW as u64) {
            return None;
        }
        let word = |at: usize| usize::from(u16::from_le_bytes([state[at], state[at + 1]]));
        let waiting = match state.len() {
            2 => None,
            6 => Some(Match { length: word(2), distance: word(4) }),
            _ => return None,
        };
        let place = word(0);
        let base = plain.checked_sub(place as u64)?;
        let possible = base == 0 || base.is_multiple_of(WINDOW as u64) && place >= REACH;
        let found = waiting.unwrap_or(NO_MATCH);
        let sound = found == NO_MATCH
            || (MIN_MATCH..=MAX_MATCH).contains(&found.length)
                && (1..=REACH.min(place)).contains(&found.distance);
        if !possible || !sound {
            return None;
        }
        let mut stream = Self::new(rules);
        stream.window.restart(base, place, history);
        (stream.unseen, stream.found) = (waiting.is_some(), found);
        Some(stream)
    }

    /// The state between two blocks, of 2 or 6 bytes: two-byte numbers, the lower byte first.
    ///
    /// The first is the place in the window of the byte at the mark. Where this byte has already
    /// been looked at, the length and the distance of what was found follow; 2 and 0 for nothing.
    fn state(&self, looked_at: bool) -> Vec<u8> {
        let mut numbers = vec![self.window.at];
        if looked_at {
            let Match { length, distance } = match self.found {
                found @ Match { length: MIN_MATCH.., .. } => found,
                _ => NO_MATCH,
            };
            numbers.extend([length, distance]);
        }
        numbers.into_iter().flat_map(|number| (number as u16).to_le_bytes()).collect()
    }

    /// Notes that a fresh stream could go on here, where all before is decided.
    pub(super) fn mark(&self, out: &mut BitWriter) {
        if !self.rules.greedy {
            out.mark(self.window.position(), self.state(false));
        }
    }

    /// Notes that a fresh stream could go on behind the block that was just written.
    fn mark_block(&self, looked_at: bool, out: &mut BitWriter) {
        let plain = self.window.position();
        if !self.closed && !plain.is_multiple_of(self.unmarked) {
            out.mark(plain, self.state(looked_at));
        }
    }

    /// Takes plain bytes.
    pub(super) fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            if self.window.end == SIZE {
                self.encode(false, out);
                self.window.slide();
            }
            plain = &plain[self.window.fill(plain)..];
        }
    }

    /// Decides about all that was written and ends the block: the `last` one of the stream, or, if
    /// there is anything to write, another.
    pub(super) fn drain(&mut self, last: bool, out: &mut BitWriter) {
        if self.rules.ending != Ending::Clipped {
            self.window.let_old_bytes_show();
        }
        self.encode(true, out);
        if self.waiting {
            self.block.literal(self.window.byte_before(), self.window.covered());
        }
        (self.waiting, self.found) = (false, NO_MATCH);
        self.window.owe();
        if last || !self.block.is_empty() {
            self.flush(last, out);
        }
    }

    fn encode(&mut self, ended: bool, out: &mut BitWriter) {
        self.see_waiting();
        self.window.pay();
        if self.rules.greedy {
            self.encode_greedily(ended, out);
        } else {
            self.encode_lazily(ended, out);
        }
    }

    /// A resumed stream steps over the byte that waits. What its mark says was found there is only
    /// believed if it is there.
    fn see_waiting(&mut self) {
        if !self.unseen || self.window.ahead() == 0 {
            return;
        }
        let Match { length, distance } = self.found;
        if length > NONE && !self.window.repeats(distance, length) {
            self.found = NO_MATCH;
        }
        self.window.step_unentered();
        (self.unseen, self.waiting) = (false, true);
    }

    /// Whether there is another byte to look at, with enough of them behind it unless the input has
    /// ended.
    #[inline]
    fn goes_on(&mut self, ended: bool) -> bool {
        let ahead = self.window.ahead();
        ahead >= LOOKAHEAD || ended && self.goes_on_to_the_end()
    }

    fn goes_on_to_the_end(&mut self) -> bool {
        if !self.closed {
            if self.window.at >= FULL {
                self.window.slide();
            }
            self.closed = self.rules.ending != Ending::Clipped;
            if self.rules.ending == Ending::Guarded {
                self.window.blank_end();
            }
        }
        self.window.ahead() > 0
    }

    /// Enters the byte that is looked at into the chains, and finds the longest match that is
    /// longer than `longer_than`.
    #[inline]
    fn find(&mut self, longer_than: usize, wanted: bool) -> Match {
        let (at, ahead) = (self.window.at, self.window.ahead());
        if ahead < MIN_MATCH {
            return NO_MATCH;
        }
        let before = self.window.enter(at);
        let (rules, last) = (&self.rules, usize::from(before.three));
        if !wanted || last == 0 || at - last > REACH || at > FULL && rules.ending == Ending::Guarded
        {
            return NO_MATCH;
        }
        let nice = if rules.ending == Ending::Clipped { rules.nice.min(ahead) } else { rules.nice };
        let tries = if longer_than >= rules.good { rules.tries / 4 } else { rules.tries };
        let search = Search { longer_than, nice, tries };
        let best = if rules.greedy || ahead < LOOKAHEAD {
            self.window.search(before, search)
        } else {
            self.window.search_by_four(before, search, TOO_FAR)
        };
        match best {
            Some((length, place)) => {
                Match { length: length.min(ahead), distance: at - usize::from(place) }
            }
            None => NO_MATCH,
        }
    }

    /// Levels 4 to 9: a match is taken if the next byte does not begin a longer one.
    fn encode_lazily(&mut self, ended: bool, out: &mut BitWriter) {
        while self.goes_on(ended) {
            let before = self.found;
            let mut found = self.find(before.length, before.length < self.rules.lazy);
            if found.length == MIN_MATCH && found.distance > TOO_FAR.into() {
                found = NO_MATCH;
            }
            self.found = found;
            if before.length >= MIN_MATCH && found.length <= before.length {
                let covered = self.window.covered();
                let full = self.block.copy(before.length, before.distance, covered);
                // It began one byte ago, and this byte is entered.
                self.window.step_entering(before.length - 1, 1);
                (self.waiting, self.found) = (false, NO_MATCH);
                if full {
                    self.flush(false, out);
                    self.mark_block(false, out);
                }
                continue;
            }
            if self.waiting {
                let byte = self.window.byte_before();
                if self.block.literal(byte, self.window.covered()) {
                    self.flush(false, out);
                    self.mark_block(true, out);
                }
            }
            self.waiting = true;
            self.window.at += 1;
        }
    }

    /// Levels 1 to 3: every match is taken.
    fn encode_greedily(&mut self, ended: bool, out: &mut BitWriter) {
        while self.goes_on(ended) {
            let Match { length, distance } = self.find(NONE, true);
            let covered = self.window.covered();
            let full = if length >= MIN_MATCH {
                let full = self.block.copy(length, distance, covered);
                let after = self.window.ahead() - length;
                if length <= self.rules.lazy && after >= MIN_MATCH {
                    self.window.step_entering(length, 1);
                } else {
                    self.window.at += length;
                }
                full
            } else {
                let full = self.block.literal(self.window.byte(), covered);
                self.window.at += 1;
                full
            };
            if full {
                self.flush(false, out);
            }
        }
    }

    fn flush(&mut self, last: bool, out: &mut BitWriter) {
        self.block.flush(self.window.covered(), self.window.plain(), last, out);
        self.window.begin_block();
    }
}
