//! Level 1: blocks of 65,535 bytes, matches from a table of the last place of each hash.

use super::block::{Block, Choice, STORED_MAX, write_literals, write_stored};
use super::buffer::{Buffer, common, four, zeros};
use crate::codec::deflate::codes::{MAX_MATCH, WINDOW};
use crate::codec::deflate::{BitWriter, Encoder};

const TABLE_BITS: u32 = 14;
/// No match is looked for in so many last bytes of a block.
const MARGIN: usize = 15;
/// Places are moved down before they come so far; far below what overflows.
const REBASE: u32 = 1 << 30;
/// Stands in for the place of nothing: out of reach from everywhere.
const FIRST: u32 = 2 * WINDOW as u32;

/// The encoder of level 1.
pub(super) struct Fast {
    /// The window before the block, and the block.
    buffer: Box<Buffer>,
    /// Bytes in the block.
    held: usize,
    /// Place of each hash: an index into the block, plus `base`.
    table: Box<[u32; 1 << TABLE_BITS]>,
    base: u32,
    block: Block,
}

impl Fast {
    pub(super) fn new() -> Self {
        Self { buffer: zeros(), held: 0, table: zeros(), base: FIRST, block: Block::new() }
    }

    /// Ends the block that is held, and keeps its end as the window of the next.
    fn flush(&mut self, out: &mut BitWriter) {
        self.find_matches();
        let raw = &self.buffer[WINDOW..][..self.held];
        if self.block.len() > raw.len() - raw.len() / 16 {
            self.block.clear();
            write_literals(raw, out);
        } else {
            self.block.write(Choice::Quick, Some(raw), out);
        }
        self.buffer.copy_within(self.held..self.held + WINDOW, 0);
        self.base += self.held as u32;
        self.held = 0;
        if self.base > REBASE {
            let down = self.base - FIRST;
            self.table.iter_mut().for_each(|place| *place = place.saturating_sub(down));
            self.base = FIRST;
        }
    }

    /// Notes that `here` is the last place of its four bytes, and says how far back the place
    /// before is if a match can begin there.
    #[inline]
    fn note(&mut self, here: usize) -> Option<usize> {
        let own = four(&self.buffer, WINDOW + here);
        let place = here as u32 + self.base;
        let slot = (own.wrapping_mul(0x1e35_a7bd) >> (32 - TABLE_BITS)) as usize;
        let distance = (place - std::mem::replace(&mut self.table[slot], place)) as usize;
        let matches = distance <= WINDOW && four(&self.buffer, WINDOW + here - distance) == own;
        matches.then_some(distance)
    }

    fn literals(&mut self, from: usize, to: usize) {
        for &byte in &self.buffer[WINDOW + from..WINDOW + to] {
            self.block.literal(byte);
        }
    }

    fn find_matches(&mut self) {
        let end = self.held;
        let limit = end - MARGIN;
        let (mut here, mut emitted) = (0, 0);
        'block: loop {
            // The longer nothing is found, the larger are the steps.
            let mut pace = 32;
            let mut distance = loop {
                let step = pace >> 5;
                pace += step;
                if here + step > limit {
                    break 'block;
                }
                if let Some(distance) = self.note(here) {
                    break distance;
                }
                here += step;
            };
            self.literals(emitted, here);
            loop {
                let most = MAX_MATCH.min(end - here);
                let length = common(&self.buffer, WINDOW + here - distance, WINDOW + here, most);
                self.block.copy(length, distance);
                here += length;
                emitted = here;
                if here >= limit {
                    break 'block;
                }
                self.note(here - 1);
                match self.note(here) {
                    Some(found) => distance = found,
                    None => break,
                }
            }
            here += 1;
        }
        self.literals(emitted, end);
    }
}

impl Encoder for Fast {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            let (taken, rest) = plain.split_at(plain.len().min(STORED_MAX - self.held));
            self.buffer[WINDOW + self.held..][..taken.len()].copy_from_slice(taken);
            self.held += taken.len();
            plain = rest;
            if self.held == STORED_MAX {
                self.flush(out);
            }
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        let rest = &self.buffer[WINDOW..][..self.held];
        match rest.len() {
            0 => {}
            1..=16 => write_stored(rest, false, out),
            17..128 => write_literals(rest, out),
            _ => self.flush(out),
        }
        super::write_end(out);
    }
}
