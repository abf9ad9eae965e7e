//! Streams: one writer from end to end, or one after another as pgzip runs them.

use super::generation::{Generation, Level};
use super::writer::Writer;
use crate::codec::deflate::{BitWriter, Encoder};

/// Plain bytes of a block of pgzip.
pub(super) const BLOCK: u64 = 1 << 20;
/// How many bytes of the block before prime a block of pgzip.
pub(super) const DICTIONARY: usize = 16 << 10;

/// One writer from end to end.
pub(super) struct Plain(Writer);

impl Plain {
    pub(super) fn new(generation: Generation, level: Level) -> Self {
        Self(Writer::new(generation, level))
    }
}

impl Encoder for Plain {
    fn write(&mut self, plain: &[u8], out: &mut BitWriter) {
        self.0.write(plain, out);
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.0.finish(out);
    }
}

/// A writer for each block, primed with the end of the block before and flushed at its end.
pub(super) struct Blockwise {
    writer: Writer,
    plain: u64,
    tail: Vec<u8>,
}

impl Blockwise {
    /// Begins after `plain` bytes, a multiple of [`BLOCK`], which end with `history`.
    pub(super) fn new(generation: Generation, level: Level, plain: u64, history: &[u8]) -> Self {
        let mut writer = Writer::new(generation, level);
        writer.restart(history);
        Self { writer, plain, tail: Vec::new() }
    }
}

impl Encoder for Blockwise {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            let left = (BLOCK - self.plain % BLOCK) as usize;
            let (now, later) = plain.split_at(plain.len().min(left));
            self.writer.write(now, out);
            self.plain += now.len() as u64;
            // The writer forgets more than the dictionary when what is held back is short.
            let keep = self.tail.len().min(DICTIONARY.saturating_sub(now.len()));
            self.tail.drain(..self.tail.len() - keep);
            self.tail.extend_from_slice(&now[now.len().saturating_sub(DICTIONARY)..]);
            if now.len() == left {
                self.writer.flush(out);
                self.writer.restart(&self.tail);
                out.mark(self.plain, Vec::new());
            }
            plain = later;
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.writer.flush(out);
        self.writer.finish(out);
    }
}
