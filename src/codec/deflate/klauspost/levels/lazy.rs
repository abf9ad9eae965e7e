//! Levels 7 to 9: chains of places with the same four bytes; a match waits for what the next byte
//! has to offer.

use crate::codec::deflate::BitWriter;
use crate::codec::deflate::codes::{
    DISTANCE_EXTRA, LENGTH_EXTRA, LENGTH_SYMBOL, MAX_MATCH, MIN_MATCH, WINDOW, distance_symbol,
};
use crate::codec::deflate::klauspost::blocks::Blocks;
use crate::codec::deflate::klauspost::generation::Generation;
use crate::codec::deflate::klauspost::history::{common, hash4, load32};
use crate::codec::deflate::klauspost::prefix::Codes;
use crate::codec::deflate::klauspost::tokens::Tokens;

const HASH_BITS: u32 = 17;
/// The shortest match that is looked for.
const SHORTEST: usize = 4;
/// The longest match that is not one.
const NONE: usize = SHORTEST - 1;
/// Bytes that come together before they are searched; a window of them is kept.
const ROOM: usize = 2 * WINDOW;
/// The search waits for more when so few bytes are left.
const LOOKAHEAD: usize = SHORTEST + MAX_MATCH;
/// Tokens in a block.
const BLOCK: usize = 1 << 15;
/// A better match may begin so many bytes into the one that it replaces.
const LENIENT: usize = 2;
/// Stamps are renumbered when they get here.
const RENUMBER: u32 = 1 << 28;

/// What makes the levels differ.
#[derive(Clone, Copy)]
struct Effort {
    /// Matches of this length are not tried to be bettered.
    lazy: usize,
    /// Matches of this length end a search.
    nice: usize,
    /// Places that a search looks at.
    chain: usize,
}

/// A match, or none if its length is [`NONE`].
#[derive(Clone, Copy)]
struct Match {
    length: usize,
    distance: usize,
}

/// What it takes to choose matches by what they save.
struct Costs {
    /// Bits of the literals from the first place on up to each.
    literals: Vec<u32>,
    first: usize,
    /// How many of the bytes ahead are counted.
    counted: usize,
    /// Bits that the token of a match is taken to have beside its extra bits.
    token: u32,
    /// What a match has to save more than.
    threshold: u32,
    /// Bits that a literal has at least, even if none of its kind was counted.
    least: u32,
}

/// A search with its window.
pub(in super::super) struct Lazy {
    effort: Effort,
    costs: Option<Costs>,
    generation: Generation,
    room: Vec<u8>,
    /// Where in the window the search stands.
    at: usize,
    /// Where the block begins, unless that has left the window.
    block: Option<usize>,
    /// Stamp of the first byte in the window. The stamp 0 stands for none.
    base: u32,
    heads: Vec<u32>,
    previous: Vec<u32>,
    /// The place with the same bytes before the last that was noted.
    candidate: u32,
    /// Places up to here can be noted.
    notable: usize,
    found: Match,
    /// A byte waits for what the next has to offer.
    waiting: bool,
    /// Literals since the last match; begins anew after 65535.
    idle: u16,
    tokens: Tokens,
}

impl Lazy {
    pub(in super::super) fn new(generation: Generation, level: i8) -> Self {
        let effort = match level {
            7 => Effort { lazy: 12, nice: 16, chain: 24 },
            8 => Effort { lazy: 30, nice: 40, chain: 64 },
            _ => Effort { lazy: 258, nice: 258, chain: 1024 },
        };
        let costs = (level == 9).then(|| {
            let (token, threshold) =
                if generation >= Generation::V1_15_15 { (3, 4) } else { (6, 0) };
            let counted = if generation >= Generation::V1_18_2 { BLOCK } else { ROOM };
            let least = u32::from(generation >= Generation::Go1_27);
            let literals = Vec::with_capacity(ROOM + 1);
            Costs { literals, first: 0, counted, token, threshold, least }
        });
        Self {
            effort,
            costs,
            generation,
            room: Vec::with_capacity(ROOM),
            at: 0,
            block: Some(0),
            base: 1,
            heads: vec![0; 1 << HASH_BITS],
            previous: vec![0; WINDOW],
            candidate: 0,
            notable: 0,
            found: Match { length: NONE, distance: 0 },
            waiting: false,
            idle: 0,
            tokens: Tokens::new(generation),
        }
    }

    /// Forgets everything, then takes `dictionary` as having been written before.
    pub(in super::super) fn restart(&mut self, dictionary: &[u8]) {
        self.room.clear();
        self.room.extend_from_slice(dictionary);
        self.heads.fill(0);
        self.previous.fill(0);
        self.base = 1;
        for at in 0..dictionary.len().saturating_sub(NONE) {
            self.note(at);
        }
        self.at = dictionary.len();
        // The block was long taken to begin with the dictionary.
        self.block = Some(if self.generation >= Generation::V1_20_0 { self.at } else { 0 });
        (self.candidate, self.notable) = (0, 0);
        self.found = Match { length: NONE, distance: 0 };
        (self.waiting, self.idle) = (false, 0);
        self.tokens.clear();
    }

    pub(in super::super) fn write(
        &mut self,
        mut plain: &[u8],
        blocks: &mut Blocks,
        out: &mut BitWriter,
    ) {
        while !plain.is_empty() {
            if self.room.len() == ROOM {
                self.step(false, blocks, out);
            }
            if self.at >= ROOM - LOOKAHEAD {
                self.slide();
            }
            let (now, later) = plain.split_at(plain.len().min(ROOM - self.room.len()));
            self.room.extend_from_slice(now);
            plain = later;
        }
    }

    /// Drops the first half of the room.
    fn slide(&mut self) {
        self.room.drain(..WINDOW);
        self.at -= WINDOW;
        self.block = self.block.and_then(|block| block.checked_sub(WINDOW));
        self.base += WINDOW as u32;
        if self.base > RENUMBER {
            let excess = self.base - 1;
            self.base = 1;
            for stamp in self.heads.iter_mut().chain(&mut self.previous) {
                *stamp = stamp.saturating_sub(excess);
            }
            self.candidate = self.candidate.saturating_sub(excess);
        }
    }

    /// Where a stamp is, if it is at `least` or after it.
    #[inline]
    fn place(&self, stamp: u32, least: usize) -> Option<usize> {
        let place = stamp.checked_sub(self.base)? as usize;
        (place >= least).then_some(place)
    }

    #[inline]
    fn hash(&self, at: usize) -> usize {
        hash4(u64::from(load32(&self.room, at)), HASH_BITS)
    }

    /// Notes a place and gives the one before that has the same hash.
    #[inline]
    fn note(&mut self, at: usize) -> u32 {
        let hash = self.hash(at);
        let before = std::mem::replace(&mut self.heads[hash], self.base + at as u32);
        self.previous[at % WINDOW] = before;
        before
    }

    /// Notes where the search stands.
    fn note_here(&mut self) {
        if self.at < self.notable {
            self.candidate = self.note(self.at);
        }
    }

    /// Adds a byte; a block that gets full is written with what was searched up to now.
    fn push_literal(&mut self, at: usize, last: bool, blocks: &mut Blocks, out: &mut BitWriter) {
        self.tokens.push_literals(&self.room[at..=at]);
        self.end_full_block(last, blocks, out);
    }

    fn end_full_block(&mut self, last: bool, blocks: &mut Blocks, out: &mut BitWriter) {
        if self.tokens.count() == BLOCK {
            self.end_block(last, blocks, out);
        }
    }

    fn end_block(&mut self, last: bool, blocks: &mut Blocks, out: &mut BitWriter) {
        let plain = self.block.filter(|&block| block <= self.at);
        let plain = plain.map(|block| &self.room[block..self.at]);
        blocks.tokens(&mut self.tokens, plain, last, out);
        self.block = Some(self.at);
        self.tokens.clear();
    }

    /// Searches what there is; all of it if it is the `last`.
    pub(in super::super) fn step(&mut self, last: bool, blocks: &mut Blocks, out: &mut BitWriter) {
        let end = self.room.len();
        if end - self.at < LOOKAHEAD && !last {
            return;
        }
        if let Some(costs) = &mut self.costs
            && self.at < end
        {
            costs.count(&self.room, self.at);
        }
        self.notable = end.saturating_sub(NONE);
        loop {
            let ahead = end - self.at;
            if ahead < LOOKAHEAD && !last {
                return;
            }
            if ahead == 0 {
                if std::mem::take(&mut self.waiting) {
                    self.tokens.push_literals(&self.room[self.at - 1..self.at]);
                }
                if self.tokens.count() > 0 {
                    self.end_block(last, blocks, out);
                }
                return;
            }
            self.note_here();
            let waiting = self.found;
            self.found = Match { length: NONE, distance: 0 };
            let least = self.at.saturating_sub(WINDOW);
            if ahead > waiting.length
                && waiting.length < self.effort.lazy
                && let Some(candidate) = self.place(self.candidate, least)
                && let Some(found) = self.search(candidate, least, ahead)
            {
                self.found = found;
            }

            if waiting.length >= SHORTEST && self.found.length <= waiting.length {
                let chosen = self.beyond_its_end(waiting, least, ahead, last, blocks, out);
                self.tokens.push_match(chosen.length, chosen.distance);
                let after = self.at + chosen.length - 1;
                for at in self.at + 1..after.min(self.notable) {
                    self.note(at);
                }
                self.at = after;
                self.waiting = false;
                self.found.length = NONE;
                self.end_full_block(last, blocks, out);
                self.idle = 0;
                continue;
            }
            if self.found.length >= SHORTEST {
                self.idle = 0;
            }
            if self.waiting {
                self.idle = self.idle.wrapping_add(1);
                self.push_literal(self.at - 1, last, blocks, out);
                self.at += 1;
                self.hurry(end, last, blocks, out);
            } else {
                self.at += 1;
                self.waiting = true;
            }
        }
    }

    /// Takes more literals at once the longer nothing was found.
    fn hurry(&mut self, end: usize, last: bool, blocks: &mut Blocks, out: &mut BitWriter) {
        let Some(over) = usize::from(self.idle).checked_sub(self.effort.chain + 1) else {
            return;
        };
        for _ in 0..=(over + 1) >> 6 {
            if self.at + 1 >= end {
                break;
            }
            self.push_literal(self.at - 1, last, blocks, out);
            self.note_here();
            self.at += 1;
        }
        self.waiting = false;
        self.push_literal(self.at - 1, last, blocks, out);
    }

    /// The best match along the chain that begins with `candidate`.
    fn search(&self, candidate: usize, least: usize, ahead: usize) -> Option<Match> {
        let (room, at) = (&self.room[..], self.at);
        let longest = ahead.min(MAX_MATCH);
        let nice = self.effort.nice.min(longest);
        let mut best = None;
        let mut length = NONE;
        let mut saved = self.costs.as_ref().map_or(0, |costs| costs.threshold);
        let mut place = candidate;
        for _ in 0..self.effort.chain {
            if room[place + length] == room[at + length] {
                let other = common(room, at, place, at + longest);
                if other > length {
                    let found = Match { length: other, distance: at - place };
                    let saves = self.costs.as_ref().map(|costs| costs.saved(at, found));
                    if saves.is_none_or(|saves| saves > saved) {
                        saved = saves.unwrap_or(saved);
                        length = other;
                        best = Some(found);
                        if length >= nice {
                            break;
                        }
                    }
                }
            }
            if place <= least {
                break;
            }
            match self.place(self.previous[place % WINDOW], least) {
                Some(before) => place = before,
                None => break,
            }
        }
        best
    }

    /// What comes after a match may point to one that is longer.
    fn beyond_its_end(
        &mut self,
        chosen: Match,
        least: usize,
        ahead: usize,
        last: bool,
        blocks: &mut Blocks,
        out: &mut BitWriter,
    ) -> Match {
        let begin = self.at - 1;
        let Match { length, distance } = chosen;
        if self.generation < Generation::V1_15_15 {
            // The bytes looked up are the last two of the match and two more.
            let end = begin + length - LENIENT;
            if end + 2 * LENIENT >= self.notable {
                return chosen;
            }
            let from = self
                .place(self.heads[self.hash(end)], 0)
                .and_then(|place| (place + LENIENT).checked_sub(length))
                .filter(|&from| from > least);
            let Some(from) = from else {
                return chosen;
            };
            let longer = common(&self.room, begin, from, begin + ahead.min(MAX_MATCH));
            return if longer > length {
                Match { length: longer, distance: begin - from }
            } else {
                chosen
            };
        }

        if length >= MAX_MATCH - LENIENT || begin + length >= self.notable {
            return chosen;
        }
        let from = self
            .place(self.heads[self.hash(begin + length)], 0)
            .and_then(|place| place.checked_sub(length))
            .filter(|&from| from > least + LENIENT && begin - from != distance);
        let Some(from) = from else {
            return chosen;
        };
        let end = begin + ahead.min(MAX_MATCH + LENIENT);
        let mut longer = common(&self.room, begin + LENIENT, from + LENIENT, end);
        if longer <= length {
            return chosen;
        }
        for back in (0..LENIENT).rev() {
            if longer >= MAX_MATCH || self.room[begin + back] != self.room[from + back] {
                for skipped in begin..=begin + back {
                    self.push_literal(skipped, last, blocks, out);
                    self.at += 1;
                    self.note_here();
                }
                break;
            }
            longer += 1;
        }
        Match { length: longer, distance: begin - from }
    }
}

impl Costs {
    /// Fits literal codes to what is ahead.
    fn count(&mut self, room: &[u8], at: usize) {
        let mut counts = [0u16; 256];
        for &byte in room[at..].iter().take(self.counted) {
            // A whole room of one byte counts as nothing.
            counts[byte as usize] = counts[byte as usize].wrapping_add(1);
        }
        let mut codes = Codes::<256>::new();
        codes.fit(&counts, 15);
        self.first = at;
        self.literals.clear();
        self.literals.push(0);
        let mut sum = 0;
        self.literals.extend(room[at..].iter().map(|&byte| {
            sum += u32::from(codes.lengths()[byte as usize]).max(self.least);
            sum
        }));
    }

    /// About how many bits a match at `at` saves.
    fn saved(&self, at: usize, found: Match) -> u32 {
        let at = at - self.first;
        let literals = self.literals[at + found.length] - self.literals[at];
        let length = LENGTH_EXTRA[LENGTH_SYMBOL[found.length - MIN_MATCH] as usize];
        // The symbol is that of the next distance, and what is beyond the last wraps around.
        let distance = match found.distance {
            WINDOW => DISTANCE_EXTRA[14],
            distance => DISTANCE_EXTRA[distance_symbol(distance as u32 + 1)],
        };
        literals.saturating_sub(u32::from(distance) + u32::from(length) + self.token)
    }
}
