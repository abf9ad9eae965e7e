//! From a stream to its plain bytes and the corrections.

use std::collections::VecDeque;

use super::super::codes::WINDOW;
use super::super::tokens::{Block, Decoder, Form, Step, Token, TokenError};
use super::VERSION;
use super::choose::choose;
use super::matcher::View;
use super::model::{AHEAD, Allowance, LONG, Model, Nonsense, RUN, Run};
use super::piece::Piece;
use super::range::{Coder, Writer};

/// Why a stream has no corrections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnalysisError {
    /// It is no deflate stream.
    #[error(transparent)]
    Broken(#[from] TokenError),
    /// It ends before its last block does.
    #[error("the deflate stream is cut off")]
    Truncated,
    /// It is more than 8 times as long as its plain bytes, and 64 KiB.
    #[error("the deflate stream is far longer than what is in it")]
    TooLong,
    /// Something went wrong that cannot.
    #[error("the deflate stream cannot be told")]
    Untold,
}

impl From<Nonsense> for AnalysisError {
    fn from(_: Nonsense) -> Self {
        Self::Untold
    }
}

/// So many plain bytes are looked at before it is decided what is assumed about the encoder.
pub(super) const SAMPLE: u64 = 1 << 20;

/// Takes a stream apart and tells it by corrections.
pub struct Analysis {
    decoder: Decoder,
    /// The run at hand.
    tokens: Vec<Token>,
    /// The head of the block at hand, until it is told.
    block: Option<Block>,
    runs: usize,
    allowance: Allowance,
    /// Where the block at hand began: plain bytes and bits.
    began: (u64, u64),
    /// Bytes that are left of a stored block.
    stored: usize,
    ended: bool,
    /// Plain bytes that were given out.
    given: u64,
    pieces: VecDeque<Piece>,
    /// Position up to which the stream has been told.
    told: u64,
    writer: Writer,
    model: Option<Model>,
}

impl Default for Analysis {
    fn default() -> Self {
        Self::new()
    }
}

impl Analysis {
    /// Begins a stream.
    pub fn new() -> Self {
        Self {
            decoder: Decoder::default(),
            tokens: Vec::new(),
            block: None,
            runs: 0,
            allowance: Allowance::default(),
            began: (0, 0),
            stored: 0,
            ended: false,
            given: 0,
            pieces: VecDeque::new(),
            told: 0,
            writer: Writer::new(),
            model: None,
        }
    }

    /// Takes more of the stream and appends the plain bytes in it, up to 1032 for each byte. Answers how
    /// many of the bytes belong to the stream: fewer than there are once it has ended.
    pub fn write(
        &mut self,
        compressed: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<usize, AnalysisError> {
        if self.ended {
            return Ok(0);
        }
        self.decoder.feed(compressed);
        while !self.ended {
            let limit = RUN - self.tokens.len();
            let step = self.decoder.step(&mut self.tokens, limit)?;
            if step == Step::Hungry {
                break;
            }
            self.take_step(step)?;
            self.give(plain);
            self.tell()?;
        }
        self.give(plain);
        Ok(compressed.len() - if self.ended { self.decoder.unused() } else { 0 })
    }

    /// Whether the stream has come to its end.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The corrections since they were last taken.
    pub fn take(&mut self) -> Vec<u8> {
        self.writer.take()
    }

    /// The rest of the corrections.
    pub fn finish(self) -> Result<Vec<u8>, AnalysisError> {
        if self.ended { Ok(self.writer.finish()) } else { Err(AnalysisError::Truncated) }
    }

    fn take_step(&mut self, step: Step) -> Result<(), AnalysisError> {
        match step {
            Step::Hungry => {}
            Step::Block(block) => {
                self.pieces.push_back(match block.form {
                    Form::Stored { length, padding } => {
                        self.stored = usize::from(length);
                        Piece::Stored { last: block.last, length, padding }
                    }
                    _ => Piece::Begin,
                });
                self.block = Some(block);
                self.runs = 0;
            }
            Step::Stored(count) => {
                if count > 0 {
                    self.pieces.push_back(Piece::Bytes(count));
                }
                self.stored -= count;
                if self.stored == 0 {
                    self.end_block()?;
                }
            }
            Step::Tokens { ended } => {
                if ended || self.tokens.len() == RUN {
                    let tokens = std::mem::take(&mut self.tokens);
                    let end = self.decoder.history.end();
                    self.pieces.push_back(Piece::Run { tokens, ends: ended, end });
                    self.runs += 1;
                    if ended || self.runs == LONG {
                        self.pieces.extend(self.block.take().map(Piece::Head));
                    }
                }
                if ended {
                    self.end_block()?;
                }
            }
            Step::End { padding } => {
                self.pieces.push_back(Piece::End { padding });
                self.ended = true;
            }
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), AnalysisError> {
        let now = (self.decoder.history.end(), self.decoder.position());
        let (plain, bits) = (now.0 - self.began.0, now.1 - self.began.1);
        self.began = now;
        if self.allowance.spend(bits, plain) { Ok(()) } else { Err(AnalysisError::TooLong) }
    }

    /// Tells the pieces behind which enough is known.
    fn tell(&mut self) -> Result<(), AnalysisError> {
        let history = &self.decoder.history;
        let known = if self.ended { u64::MAX } else { history.end() };
        let model = match &mut self.model {
            Some(model) => model,
            None if known < SAMPLE => return Ok(()),
            none => {
                let settings = choose(&self.pieces, history.bytes(), self.ended);
                self.writer.raw(VERSION, 8);
                settings.code(&mut self.writer);
                none.insert(Model::new(settings))
            }
        };
        let writer = &mut self.writer;
        let view = View { bytes: history.bytes(), before: history.before() };
        while let Some(piece) = self.pieces.front() {
            match piece {
                Piece::Begin => {
                    model.is_stored(writer, false);
                }
                Piece::Stored { last, length, padding } => {
                    model.is_stored(writer, true);
                    model.stored(writer, *last, *length, *padding);
                }
                Piece::Bytes(count) => {
                    model.pass();
                    self.told += *count as u64;
                }
                Piece::Run { end, .. } if known.saturating_sub(AHEAD as u64) < *end => break,
                Piece::Run { tokens, ends, .. } => {
                    model.run(writer, Run { count: tokens.len(), ends: *ends })?;
                    for &token in tokens {
                        let at = (self.told - view.before) as usize;
                        model.token(writer, view, at, token)?;
                        self.told += token.span() as u64;
                    }
                }
                Piece::Head(block) => {
                    model.head(writer, Some(block))?;
                }
                Piece::End { padding } => {
                    model.padding(writer, *padding);
                }
            }
            self.pieces.pop_front();
        }
        self.decoder.history.forget(self.told.min(self.given).saturating_sub(WINDOW as u64));
        Ok(())
    }

    fn give(&mut self, plain: &mut Vec<u8>) {
        let history = &self.decoder.history;
        plain.extend_from_slice(&history.bytes()[(self.given - history.before()) as usize..]);
        self.given = history.end();
    }
}
