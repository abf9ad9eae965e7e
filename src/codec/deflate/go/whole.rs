//! Levels 0 and -2: every 65,535 bytes are a block of their own, stored or as literals.

use super::block::{STORED_MAX, write_literals, write_stored};
use crate::codec::deflate::{BitWriter, Encoder};

/// Blocks that know nothing of each other.
pub(super) struct Whole {
    stored: bool,
    held: Vec<u8>,
    /// Plain bytes in the blocks before.
    written: u64,
}

impl Whole {
    pub(super) fn new(stored: bool, written: u64) -> Self {
        Self { stored, held: Vec::with_capacity(STORED_MAX), written }
    }

    fn flush(&mut self, out: &mut BitWriter) {
        if self.stored {
            write_stored(&self.held, false, out);
        } else {
            write_literals(&self.held, out);
        }
        self.written += self.held.len() as u64;
        self.held.clear();
    }
}

impl Encoder for Whole {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            let (taken, rest) = plain.split_at(plain.len().min(STORED_MAX - self.held.len()));
            self.held.extend_from_slice(taken);
            plain = rest;
            if self.held.len() == STORED_MAX {
                self.flush(out);
                out.mark(self.written, Vec::new());
            }
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        if !self.held.is_empty() {
            self.flush(out);
        }
        super::write_end(out);
    }
}
