//! One flate writer: chunks in, blocks out.

use super::blocks::Blocks;
use super::generation::{Generation, Level};
use super::history::{CHUNK, History};
use super::levels::{Lazy, Parse, parse_chunk, parser};
use super::tokens::Tokens;
use crate::codec::deflate::BitWriter;

/// How many plain bytes a chunk holds where only literals are written.
const LITERAL_CHUNK: usize = 32 << 10;
/// Chunks below this that end a stream are not searched for matches.
const SMALL: usize = 128;
/// Chunks up to this that end a stream are stored.
const TINY: usize = 32;

/// A writer with what it holds back.
pub(super) struct Writer {
    blocks: Blocks,
    chunk: Vec<u8>,
    method: Method,
}

/// What becomes of the bytes of a chunk.
enum Method {
    Stored,
    Literals,
    Fast { history: History, parser: Box<dyn Parse>, tokens: Box<Tokens> },
    Lazy(Box<Lazy>),
}

impl Writer {
    pub(super) fn new(generation: Generation, level: Level) -> Self {
        let (method, reluctance) = match level {
            0 => (Method::Stored, 0),
            1..=6 => {
                let parser = parser(level, generation);
                let tokens = Box::new(Tokens::new(generation));
                (Method::Fast { history: History::new(), parser, tokens }, 7)
            }
            7.. => (Method::Lazy(Box::new(Lazy::new(generation, level))), 8),
            _ => (Method::Literals, 10),
        };
        Self { blocks: Blocks::new(generation, reluctance), chunk: Vec::new(), method }
    }

    /// Forgets everything, then takes `dictionary` as having been written before.
    pub(super) fn restart(&mut self, dictionary: &[u8]) {
        match &mut self.method {
            Method::Stored | Method::Literals => {}
            Method::Fast { history, parser, tokens } => {
                history.restart();
                parse_chunk(&mut **parser, history, dictionary, tokens);
                tokens.clear();
            }
            Method::Lazy(lazy) => lazy.restart(dictionary),
        }
    }

    /// Takes more bytes. A full chunk is kept until more follows: it is written otherwise if it is
    /// the last.
    pub(super) fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        let room = match &mut self.method {
            Method::Stored | Method::Fast { .. } => CHUNK,
            Method::Literals => LITERAL_CHUNK,
            Method::Lazy(lazy) => return lazy.write(plain, &mut self.blocks, out),
        };
        while !plain.is_empty() {
            if self.chunk.len() == room {
                self.step(false, out);
            }
            let (now, later) = plain.split_at(plain.len().min(room - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            plain = later;
        }
    }

    /// Writes what was held back, and goes on to the start of a byte.
    pub(super) fn flush(&mut self, out: &mut BitWriter) {
        self.step(true, out);
        self.blocks.flush(out);
    }

    /// Writes what was held back, and the last block.
    pub(super) fn finish(&mut self, out: &mut BitWriter) {
        self.step(true, out);
        self.blocks.finish(out);
    }

    fn step(&mut self, last: bool, out: &mut BitWriter) {
        let Self { blocks, chunk, method } = self;
        match method {
            Method::Lazy(lazy) => lazy.step(last, blocks, out),
            _ if chunk.is_empty() => {}
            Method::Stored => blocks.stored(chunk, out),
            Method::Literals => blocks.literals(chunk, last, out),
            Method::Fast { history, .. } if chunk.len() < SMALL => {
                if chunk.len() <= TINY {
                    blocks.stored(chunk, out);
                } else {
                    blocks.literals(chunk, true, out);
                }
                history.restart();
            }
            Method::Fast { history, parser, tokens } => {
                parse_chunk(&mut **parser, history, chunk, tokens);
                if tokens.count() == 0 {
                    blocks.stored(chunk, out);
                } else if tokens.count() > chunk.len() - (chunk.len() >> 4) {
                    blocks.literals(chunk, last, out);
                } else {
                    blocks.tokens(tokens, Some(chunk), last, out);
                }
                tokens.clear();
            }
        }
        chunk.clear();
    }
}
