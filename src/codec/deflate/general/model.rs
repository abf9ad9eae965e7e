//! The order in which a stream is told, and the models of what is neither token nor code.

use super::super::tokens::{Block, Form, Token};
use super::guess::{Guess, NoSuchToken};
use super::heads::{Counts, Heads, NoSuchCodes};
use super::matcher::View;
use super::range::{Bit, Coder};
use super::settings::Settings;

/// Tokens are told in runs of so many.
pub(super) const RUN: usize = 4096;
/// Where a block goes on behind so many runs, its codes are told there, not at its end.
pub(super) const LONG: usize = 64;
/// So many bytes behind the place of a token must be known, or the end must be.
pub(super) const AHEAD: usize = 512;

/// What does not make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonsense;

impl From<NoSuchToken> for Nonsense {
    fn from(_: NoSuchToken) -> Self {
        Self
    }
}

impl From<NoSuchCodes> for Nonsense {
    fn from(_: NoSuchCodes) -> Self {
        Self
    }
}

/// How long a run is, and whether its block ends behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) count: usize,
    pub(super) ends: bool,
}

/// The model of a whole stream.
pub(super) struct Model {
    guess: Guess,
    heads: Heads,
    stored: [Bit; 2],
    was_stored: usize,
    last: [Bit; 2],
    fixed: Bit,
    ends: [Bit; 2],
    usual: Bit,
    /// Tokens of the latest block that had any.
    usual_tokens: usize,
    /// Tokens of the block at hand that are in runs behind us.
    told: usize,
    stored_usual: [Bit; 2],
    stored_length: u16,
    padding: Bit,
    /// Symbols of the block at hand.
    counts: Counts,
}

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            guess: Guess::new(settings),
            heads: Heads::default(),
            stored: [Bit::UNLIKELY; 2],
            was_stored: 0,
            last: [Bit::UNLIKELY; 2],
            fixed: Bit::UNLIKELY,
            ends: [Bit::UNLIKELY, Bit::LIKELY],
            usual: Bit::LIKELY,
            usual_tokens: 0,
            told: 0,
            stored_usual: [Bit::EVEN; 2],
            stored_length: 0,
            padding: Bit::UNLIKELY,
            counts: Counts::default(),
        }
    }

    /// Codes whether a block is stored.
    pub(super) fn is_stored(&mut self, coder: &mut impl Coder, stored: bool) -> bool {
        let stored = coder.bit(&mut self.stored[self.was_stored], stored);
        self.was_stored = usize::from(stored);
        self.told = 0;
        self.counts = Counts::default();
        stored
    }

    /// Codes the head of a stored block.
    pub(super) fn stored(
        &mut self,
        coder: &mut impl Coder,
        last: bool,
        length: u16,
        padding: u8,
    ) -> Block {
        let last = coder.bit(&mut self.last[0], last);
        let length = if coder.bit(&mut self.stored_usual[0], length == 0) {
            0
        } else if coder.bit(&mut self.stored_usual[1], length == self.stored_length) {
            self.stored_length
        } else {
            self.stored_length = coder.raw(u32::from(length), 16) as u16;
            self.stored_length
        };
        let padding = self.padding(coder, padding);
        Block { last, form: Form::Stored { length, padding } }
    }

    /// Codes bits that fill a byte.
    pub(super) fn padding(&mut self, coder: &mut impl Coder, padding: u8) -> u8 {
        if coder.bit(&mut self.padding, padding != 0) {
            coder.raw(u32::from(padding), 8) as u8
        } else {
            0
        }
    }

    /// Some bytes were stored.
    pub(super) fn pass(&mut self) {
        self.guess.pass();
    }

    /// Codes the length of the next run of tokens.
    pub(super) fn run(&mut self, coder: &mut impl Coder, run: Run) -> Result<Run, Nonsense> {
        let rest = self.usual_tokens.checked_sub(self.told).filter(|&rest| rest <= RUN);
        let ends = coder.bit(&mut self.ends[usize::from(rest.is_some())], run.ends);
        let count = match rest {
            _ if !ends => RUN,
            Some(rest) if coder.bit(&mut self.usual, run.count == rest) => rest,
            _ => coder.raw(run.count as u32, 13) as usize,
        };
        if count > RUN {
            return Err(Nonsense);
        }
        self.told += count;
        if ends {
            self.usual_tokens = self.told;
        }
        Ok(Run { count, ends })
    }

    /// Codes the token at `at`.
    #[inline]
    pub(super) fn token(
        &mut self,
        coder: &mut impl Coder,
        view: View,
        at: usize,
        token: Token,
    ) -> Result<Token, Nonsense> {
        let token = self.guess.token(coder, view, at, token)?;
        self.counts.add(token);
        Ok(token)
    }

    /// Codes the head of a block with tokens, all of which, or enough, have been coded.
    pub(super) fn head(
        &mut self,
        coder: &mut impl Coder,
        truth: Option<&Block>,
    ) -> Result<Block, Nonsense> {
        let last = coder.bit(&mut self.last[1], truth.is_some_and(|block| block.last));
        let fixed = truth.is_some_and(|block| block.form == Form::Fixed);
        if coder.bit(&mut self.fixed, fixed) {
            return Ok(Block { last, form: Form::Fixed });
        }
        let truth = truth.and_then(|block| match &block.form {
            Form::Dynamic(codes) => Some(&**codes),
            _ => None,
        });
        let codes = self.heads.code(coder, &self.counts, truth)?;
        Ok(Block { last, form: Form::Dynamic(Box::new(codes)) })
    }
}

/// Keeps the length of a stream in proportion: blocks without bytes come to an end.
pub(super) struct Allowance {
    left: u64,
}

/// At most so many bits for nothing.
const MOST: u64 = 64 << 13;

impl Default for Allowance {
    fn default() -> Self {
        Self { left: MOST }
    }
}

impl Allowance {
    /// Whether a block of so many bits is allowed for so many plain bytes: 64 bits for each byte, and
    /// what is left over from those before.
    pub(super) fn spend(&mut self, bits: u64, plain: u64) -> bool {
        let own = plain.saturating_mul(64);
        match self.left.saturating_add(own).checked_sub(bits) {
            Some(left) => {
                self.left = left.min(MOST);
                true
            }
            None => false,
        }
    }
}
