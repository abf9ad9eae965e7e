//! From plain bytes and corrections back to the stream.

use std::io::Read;

use super::super::Encoder;
use super::super::bits::BitWriter;
use super::super::codes::WINDOW;
use super::super::tokens::{Block, Form, History, Token};
use super::VERSION;
use super::emit::{Alphabet, pad};
use super::matcher::View;
use super::model::{AHEAD, Allowance, LONG, Model, Nonsense, Run};
use super::range::{Coder, Reader};
use super::settings::{KNOWN, Settings};

/// Why a stream cannot be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The corrections have a version that is not known.
    #[error("corrections of version {0} are not known")]
    Version(u32),
    /// The corrections make no stream, or are not for these plain bytes.
    #[error("the corrections do not make a stream of the plain bytes")]
    Nonsense,
    /// The corrections are cut off.
    #[error("the corrections end too early")]
    Truncated,
    /// The plain bytes end before the stream does.
    #[error("the plain bytes end before their stream")]
    PlainEnds,
    /// The stream ends before the plain bytes do.
    #[error("the stream ends before its plain bytes")]
    PlainLeft,
    /// The corrections cannot be read.
    #[error("the corrections cannot be read")]
    Source(#[source] std::io::Error),
}

impl From<Nonsense> for Failure {
    fn from(_: Nonsense) -> Self {
        Self::Nonsense
    }
}

enum Phase {
    Start,
    Block,
    Run,
    Tokens { left: usize, ends: bool },
    Stored { left: usize },
    Padding,
    Ended,
}

/// Writes a stream again. Corrections that are not for the plain bytes make a wrong stream or a
/// [`Failure`]; the stream is at most 8 times as long as the plain bytes, and 64 KiB.
pub struct Rebuild {
    reader: Reader,
    model: Model,
    history: History,
    /// Position of the next plain byte.
    at: u64,
    phase: Phase,
    /// Whether the block at hand is the last.
    last: bool,
    /// Tokens of the block at hand that wait for its head.
    waiting: Vec<Token>,
    runs: usize,
    alphabet: Option<Alphabet>,
    allowance: Allowance,
    /// Where the block at hand began: plain bytes and bits.
    began: (u64, u64),
    failure: Option<Failure>,
}

impl Rebuild {
    /// Begins a stream that these corrections make of its plain bytes. They are read as they are
    /// needed.
    pub fn new(corrections: Box<dyn Read + Send>) -> Self {
        Self {
            reader: Reader::new(corrections),
            model: Model::new(KNOWN[0]),
            history: History::default(),
            at: 0,
            phase: Phase::Start,
            last: false,
            waiting: Vec::new(),
            runs: 0,
            alphabet: None,
            allowance: Allowance::default(),
            began: (0, 0),
            failure: None,
        }
    }

    /// Why the stream stopped, if it did: nothing is appended from then on.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    fn go_on(&mut self, finished: bool, out: &mut BitWriter) {
        if self.failure.is_some() {
            return;
        }
        let result = self.steps(finished, out);
        self.failure = match (self.reader.take_error(), result) {
            (Some(error), _) => Some(Failure::Source(error)),
            (None, Err(failure)) => Some(failure),
            (None, Ok(())) => None,
        };
        self.history.forget(self.at.saturating_sub(WINDOW as u64));
    }

    /// Takes steps as long as enough plain bytes are known.
    fn steps(&mut self, finished: bool, out: &mut BitWriter) -> Result<(), Failure> {
        loop {
            let known = (self.history.end() - self.at) as usize;
            match self.phase {
                Phase::Start => {
                    self.reader.start();
                    let version = self.reader.raw(0, 8);
                    if version != VERSION {
                        return Err(Failure::Version(version));
                    }
                    let settings = Settings::code(KNOWN[0], &mut self.reader);
                    self.model = Model::new(settings.ok_or(Failure::Nonsense)?);
                    self.phase = Phase::Block;
                }
                Phase::Block => self.block(out),
                Phase::Run => {
                    let run = self.model.run(&mut self.reader, Run { count: 0, ends: false })?;
                    self.phase = Phase::Tokens { left: run.count, ends: run.ends };
                }
                Phase::Tokens { left: 0, ends } => self.end_run(ends, out)?,
                Phase::Tokens { left, ends } => {
                    if known < AHEAD && !finished {
                        return Ok(());
                    }
                    let done = self.tokens(left, finished, out)?;
                    self.phase = Phase::Tokens { left: left - done, ends };
                }
                Phase::Stored { left: 0 } => self.end_block(out)?,
                Phase::Stored { left } => {
                    let count = left.min(known);
                    if count == 0 && !finished {
                        return Ok(());
                    }
                    if count == 0 {
                        return Err(Failure::PlainEnds);
                    }
                    self.stored(count, out);
                    self.phase = Phase::Stored { left: left - count };
                }
                Phase::Padding => {
                    pad(out, self.model.padding(&mut self.reader, 0));
                    self.phase = Phase::Ended;
                }
                Phase::Ended if known > 0 => return Err(Failure::PlainLeft),
                Phase::Ended => return Ok(()),
            }
            if self.reader.is_exhausted() {
                return Err(Failure::Truncated);
            }
        }
    }

    fn block(&mut self, out: &mut BitWriter) {
        self.began = (self.at, out.position());
        if !self.model.is_stored(&mut self.reader, false) {
            self.phase = Phase::Run;
            self.runs = 0;
            return;
        }
        let block = self.model.stored(&mut self.reader, false, 0, 0);
        self.alphabet = Alphabet::begin(&block, out);
        self.last = block.last;
        if let Form::Stored { length, .. } = block.form {
            self.phase = Phase::Stored { left: usize::from(length) };
        }
    }

    /// Takes up to `left` tokens; how many.
    fn tokens(
        &mut self,
        left: usize,
        finished: bool,
        out: &mut BitWriter,
    ) -> Result<usize, Failure> {
        let view = View { bytes: self.history.bytes(), before: self.history.before() };
        let mut at = (self.at - view.before) as usize;
        let mut done = 0;
        while done < left && (finished || view.bytes.len() - at >= AHEAD) {
            if at == view.bytes.len() {
                return Err(Failure::PlainEnds);
            }
            let none = Token::literal(0);
            let token = self.model.token(&mut self.reader, view, at, none)?;
            match &self.alphabet {
                Some(alphabet) => alphabet.token(token, out)?,
                None => self.waiting.push(token),
            }
            at += token.span();
            done += 1;
        }
        self.at = view.before + at as u64;
        Ok(done)
    }

    fn end_run(&mut self, ends: bool, out: &mut BitWriter) -> Result<(), Failure> {
        self.runs += 1;
        if self.alphabet.is_none() && (ends || self.runs == LONG) {
            let block: Block = self.model.head(&mut self.reader, None)?;
            self.last = block.last;
            self.alphabet = Alphabet::begin(&block, out);
            let alphabet = self.alphabet.as_ref().ok_or(Failure::Nonsense)?;
            for token in self.waiting.drain(..) {
                alphabet.token(token, out)?;
            }
        }
        self.phase = Phase::Run;
        match self.alphabet.take() {
            Some(alphabet) if ends => {
                alphabet.end(out)?;
                self.end_block(out)
            }
            alphabet => {
                self.alphabet = alphabet;
                Ok(())
            }
        }
    }

    fn stored(&mut self, count: usize, out: &mut BitWriter) {
        let view = View { bytes: self.history.bytes(), before: self.history.before() };
        let at = (self.at - view.before) as usize;
        out.bytes(&view.bytes[at..at + count]);
        self.model.pass();
        self.at += count as u64;
    }

    fn end_block(&mut self, out: &mut BitWriter) -> Result<(), Failure> {
        let (plain, bits) = (self.at - self.began.0, out.position() - self.began.1);
        if !self.allowance.spend(bits, plain) {
            return Err(Failure::Nonsense);
        }
        self.phase = if self.last { Phase::Padding } else { Phase::Block };
        Ok(())
    }
}

impl Encoder for Rebuild {
    fn write(&mut self, plain: &[u8], out: &mut BitWriter) {
        self.history.extend(plain);
        self.go_on(false, out);
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.go_on(true, out);
    }
}
