//! pigz: blocks that threads encode side by side.

use super::super::bits::BitWriter;
use super::super::codes::WINDOW;
use super::super::{Encoder, Engine};
use super::setting::{Program, Rules, Setting};
use super::stream::Stream;

/// The size of a block unless `-b` says otherwise.
pub const DEFAULT_BLOCK: usize = 128 << 10;
/// The smallest size of a block that pigz takes.
pub const MIN_BLOCK: usize = WINDOW;
/// The largest size of a block that is taken here.
pub const MAX_BLOCK: usize = 512 << 20;

/// How the blocks of pigz hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// Several threads: each block begins a new encoder, primed with the 32 KiB before it.
    Primed,
    /// One thread (`-p 1`, or a machine with one core): one encoder, flushed after each block.
    Continued,
    /// `-i`: each block begins a new encoder that knows nothing, with any number of threads.
    Independent,
}

/// pigz with a setting; made by [`super::pigz()`].
#[derive(Clone, Copy)]
pub struct Pigz {
    rules: Rules,
    block: usize,
    blocks: Blocks,
}

impl Pigz {
    pub(super) fn new(level: u8, block: usize, blocks: Blocks) -> Option<Self> {
        let rules = Setting { program: Program::Zlib { mem_level: 8 }, level }.rules()?;
        (MIN_BLOCK..=MAX_BLOCK).contains(&block).then_some(Self { rules, block, blocks })
    }

    /// The bytes before a block that its encoder is primed with.
    fn primer(self, before: &[u8]) -> &[u8] {
        match self.blocks {
            Blocks::Primed => &before[before.len().saturating_sub(WINDOW)..],
            Blocks::Independent | Blocks::Continued => &[],
        }
    }
}

impl Engine for Pigz {
    fn begin(&self) -> Box<dyn Encoder> {
        Box::new(BlockEncoder::new(*self, 0, Stream::new(self.rules)))
    }

    fn resume(&self, plain: u64, history: &[u8], state: &[u8]) -> Option<Box<dyn Encoder>> {
        let stream = if self.blocks == Blocks::Continued {
            Stream::resumed(self.rules, plain, history, state)?
        } else {
            let at_block = plain.is_multiple_of(self.block as u64) && state.is_empty();
            if !at_block || history.len() as u64 != plain.min(WINDOW as u64) {
                return None;
            }
            let mut stream = Stream::new(self.rules);
            stream.restart_behind(self.primer(history));
            stream
        };
        Some(Box::new(BlockEncoder::new(*self, plain, stream)))
    }
}

struct BlockEncoder {
    pigz: Pigz,
    stream: Stream,
    /// Position in the whole stream of what comes next.
    plain: u64,
    /// How many bytes the block still takes.
    room: usize,
    /// The last bytes of the block: at least 32 KiB, or as many as there are.
    tail: Vec<u8>,
}

impl BlockEncoder {
    fn new(pigz: Pigz, plain: u64, mut stream: Stream) -> Self {
        stream.set_unmarked(match pigz.blocks {
            // The empty blocks behind a block are not written by the stream.
            Blocks::Continued => pigz.block as u64,
            Blocks::Primed | Blocks::Independent => 1,
        });
        let filled = (plain % pigz.block as u64) as usize;
        Self { pigz, stream, plain, room: pigz.block - filled, tail: Vec::new() }
    }

    /// Ends a block that is not the last one, and begins the next.
    fn next_block(&mut self, out: &mut BitWriter) {
        self.stream.drain(false, out);
        self.fill_byte(out);
        if self.pigz.blocks == Blocks::Continued {
            self.stream.mark(out);
        } else {
            self.stream.restart_behind(self.pigz.primer(&self.tail));
            out.mark(self.plain, Vec::new());
        }
        self.room = self.pigz.block;
    }

    /// Empty blocks up to the end of a byte: fixed ones of ten bits if these can reach it, else a
    /// stored one. Independent blocks are set apart by two stored ones.
    fn fill_byte(&self, out: &mut BitWriter) {
        let independent = self.pigz.blocks == Blocks::Independent;
        let stored = if independent { 2 } else { out.position() % 2 };
        for _ in 0..stored {
            out.put(0, 3);
            out.align();
            out.bytes(&[0, 0, 0xff, 0xff]);
        }
        while !out.position().is_multiple_of(8) {
            out.put(0b10, 10);
        }
    }

    fn keep(&mut self, plain: &[u8]) {
        if self.tail.len() + plain.len() > 4 * WINDOW {
            let kept = WINDOW.saturating_sub(plain.len());
            self.tail.drain(..self.tail.len().saturating_sub(kept));
        }
        self.tail.extend_from_slice(&plain[plain.len().saturating_sub(WINDOW)..]);
    }
}

impl Encoder for BlockEncoder {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            if self.room == 0 {
                self.next_block(out);
            }
            let (now, later) = plain.split_at(plain.len().min(self.room));
            self.stream.write(now, out);
            if self.pigz.blocks == Blocks::Primed {
                self.keep(now);
            }
            self.plain += now.len() as u64;
            self.room -= now.len();
            plain = later;
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.stream.drain(true, out);
    }
}
