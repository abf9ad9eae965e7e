//! A deflate stream taken apart (RFC 1951): blocks, how each is written down, and the tokens in it.
//!
//! What a plain inflater throws away is kept: which of two spellings a length has, how the code
//! lengths were run-length coded, padding that is not zero. From a [`Block`], its [`Token`]s and
//! the plain bytes the stream can be written again bit for bit. Every stream is taken that zlib's
//! inflate takes, and no other.
//!
//! [`Decoder`] is fed pieces and asked for steps; it holds the pieces that it has not used, and the
//! plain bytes until it is told to forget them.

use super::codes::{
    DISTANCES, END_OF_BLOCK, FIXED_LITERAL_LENGTHS, LENGTH_CODE_ORDER, LENGTH_CODES, LITERALS,
    MAX_MATCH,
};

mod history;
mod prefix;

pub use history::History;
use prefix::{Kind, Table, TableError};

/// A literal byte, or a copy of bytes from the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u32);

const ODD: u32 = 1 << 31;

impl Token {
    /// A byte that stands for itself.
    #[inline]
    pub fn literal(byte: u8) -> Self {
        Self(u32::from(byte))
    }

    /// `length` bytes (3 to 258) as they were `distance` bytes (1 to 32768) before.
    #[inline]
    pub fn copy(length: u32, distance: u32) -> Self {
        debug_assert!((3..=258).contains(&length) && (1..=32768).contains(&distance));
        Self(length << 16 | (distance - 1))
    }

    /// The same copy of 258 bytes, written as symbol 284 with 31 in its extra bits instead of
    /// symbol 285.
    #[inline]
    #[must_use]
    pub fn odd(self) -> Self {
        Self(self.0 | ODD)
    }

    /// Whether a length of 258 is written as symbol 284.
    #[inline]
    pub fn is_odd(self) -> bool {
        self.0 & ODD != 0
    }

    /// The token without its spelling.
    #[inline]
    #[must_use]
    pub fn plain(self) -> Self {
        Self(self.0 & !ODD)
    }

    /// Whether it is a byte that stands for itself.
    #[inline]
    pub fn is_literal(self) -> bool {
        self.0 < 1 << 16
    }

    /// Length of a copy; 0 for a literal.
    #[inline]
    pub fn length(self) -> u32 {
        self.0 >> 16 & 0x1ff
    }

    /// Distance of a copy.
    #[inline]
    pub fn distance(self) -> u32 {
        (self.0 & 0xffff) + 1
    }

    /// The byte of a literal.
    #[inline]
    pub fn byte(self) -> u8 {
        self.0 as u8
    }

    /// Plain bytes that it stands for.
    #[inline]
    pub fn span(self) -> usize {
        self.length().max(1) as usize
    }
}

/// One step in the run-length coding of code lengths: a symbol below 16 is that length, 16 to 18
/// repeat, `count` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthStep {
    /// Symbol 0 to 18.
    pub symbol: u8,
    /// How many code lengths it stands for.
    pub count: u8,
}

/// How a block with codes of its own writes them down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes {
    /// Number of literal and length codes, 257 to 286.
    pub literals: usize,
    /// Number of distance codes, 1 to 30.
    pub distances: usize,
    /// Number of codes of code lengths, 4 to 19.
    pub length_codes: usize,
    /// Lengths of the codes of code lengths, by symbol.
    pub length_code_lengths: [u8; LENGTH_CODES],
    /// Code lengths of literals, lengths, then distances, one after the other.
    pub lengths: Vec<u8>,
    /// The run-length coding by which they are written.
    pub steps: Vec<LengthStep>,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bytes as they are.
    Stored {
        /// How many.
        length: u16,
        /// The bits before the length that fill the byte, normally 0.
        padding: u8,
    },
    /// Tokens in the codes of the RFC.
    Fixed,
    /// Tokens in codes of its own.
    Dynamic(Box<Codes>),
}

/// The head of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whether it is the last one.
    pub last: bool,
    /// What it is.
    pub form: Form,
}

/// Why bytes are not a deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// A block type that does not exist.
    #[error("a deflate block has type 3, which does not exist")]
    BlockType,
    /// The length of a stored block and its complement do not fit.
    #[error("a stored deflate block has a broken length")]
    StoredLength,
    /// More codes than there can be.
    #[error("a deflate block claims too many codes")]
    TooManyCodes,
    /// Code lengths that make no code, lack the end of the block, or repeat nothing.
    #[error("a deflate block has broken code lengths")]
    CodeLengths,
    /// Bits that are no code.
    #[error("a deflate block holds bits that are no code")]
    NoCode,
    /// A distance to before the beginning.
    #[error("a deflate stream copies from before its beginning")]
    TooFarBack,
}

impl From<TableError> for TokenError {
    fn from(_: TableError) -> Self {
        Self::CodeLengths
    }
}

/// What a [`Decoder::step`] came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing; it needs more of the stream.
    Hungry,
    /// A block begins.
    Block(Block),
    /// Tokens were appended; whether the block ends behind them.
    Tokens {
        /// Whether the block ends here.
        ended: bool,
    },
    /// This many bytes of the stored block were appended to the plain bytes; the block ends when all
    /// of them were.
    Stored(usize),
    /// The stream has ended; the bits that fill its last byte, normally 0.
    End {
        /// Those bits.
        padding: u8,
    },
}

enum Phase {
    Head,
    Stored { left: usize },
    Codes,
    Ended,
}

/// Takes a deflate stream apart, piece by piece.
pub struct Decoder {
    input: Vec<u8>,
    /// The next bit of `input`.
    bit: usize,
    /// Bytes of the stream before `input`.
    before: u64,
    phase: Phase,
    last: bool,
    literals: Table,
    distances: Table,
    /// The plain bytes.
    pub history: History,
}

/// Bytes behind the input that may be read and mean nothing.
const SLACK: usize = 8;

impl Default for Decoder {
    fn default() -> Self {
        Self {
            input: vec![0; SLACK],
            bit: 0,
            before: 0,
            phase: Phase::Head,
            last: false,
            literals: Table::default(),
            distances: Table::default(),
            history: History::default(),
        }
    }
}

/// Bits of a piece of input, read ahead of a decision to take them.
struct Bits<'a> {
    input: &'a [u8],
    bit: usize,
}

impl Bits<'_> {
    #[inline]
    fn word(&self) -> u64 {
        word_at(self.input, self.bit)
    }

    /// Takes `count` bits, at most 32; behind the input they are 0.
    fn take(&mut self, count: usize) -> u32 {
        let bits = self.word() & ((1 << count) - 1);
        self.bit += count;
        bits as u32
    }
}

/// At least 57 bits from `bit` on; zeros behind the end.
#[inline]
fn word_at(input: &[u8], bit: usize) -> u64 {
    match input.get(bit / 8..bit / 8 + 8) {
        Some(bytes) => u64::from_le_bytes(bytes.try_into().unwrap_or_default()) >> (bit % 8),
        None => 0,
    }
}

impl Decoder {
    /// Takes more of the stream.
    pub fn feed(&mut self, compressed: &[u8]) {
        let used = (self.bit / 8).min(self.input.len() - SLACK);
        self.bit -= used * 8;
        self.before += used as u64;
        self.input.truncate(self.input.len() - SLACK);
        self.input.drain(..used);
        self.input.extend_from_slice(compressed);
        self.input.resize(self.input.len() + SLACK, 0);
    }

    /// Bytes that were fed and not used; once the stream has ended, those behind it.
    pub fn unused(&self) -> usize {
        self.input.len() - SLACK - self.bit.div_ceil(8)
    }

    /// Bits of the stream that were used.
    pub fn position(&self) -> u64 {
        self.before * 8 + self.bit as u64
    }

    /// Goes on: to the head of a block, to at most `limit` tokens of it, to some of its stored
    /// bytes.
    pub fn step(&mut self, tokens: &mut Vec<Token>, limit: usize) -> Result<Step, TokenError> {
        match self.phase {
            Phase::Head if self.last => {
                let bits = self.bit.next_multiple_of(8) - self.bit;
                let padding = (word_at(&self.input, self.bit) & ((1 << bits) - 1)) as u8;
                self.bit += bits;
                self.phase = Phase::Ended;
                Ok(Step::End { padding })
            }
            Phase::Head => self.head(),
            Phase::Stored { left } => Ok(self.stored(left)),
            Phase::Codes => self.tokens(tokens, limit),
            Phase::Ended => Ok(Step::Hungry),
        }
    }

    fn head(&mut self) -> Result<Step, TokenError> {
        let mut bits = Bits { input: &self.input, bit: self.bit };
        let last = bits.take(1) == 1;
        let kind = bits.take(2);
        let end = (self.input.len() - SLACK) * 8;
        if bits.bit > end {
            return Ok(Step::Hungry);
        }
        let form = match kind {
            0 => stored_head(&mut bits, end),
            1 => Ok(Form::Fixed),
            2 => dynamic_head(&mut bits),
            _ => Err(TokenError::BlockType),
        };
        // Zeros behind the end may look like an error.
        if bits.bit > end {
            return Ok(Step::Hungry);
        }
        let form = form?;
        self.phase = match &form {
            Form::Stored { length, .. } => Phase::Stored { left: usize::from(*length) },
            Form::Fixed => {
                self.literals.build(Kind::Literals, &FIXED_LITERAL_LENGTHS)?;
                self.distances.build(Kind::Distances, &[5; 32])?;
                Phase::Codes
            }
            Form::Dynamic(codes) => {
                let (literals, distances) = codes.lengths.split_at(codes.literals);
                self.literals.build(Kind::Literals, literals)?;
                self.distances.build(Kind::Distances, distances)?;
                Phase::Codes
            }
        };
        self.bit = bits.bit;
        self.last = last;
        Ok(Step::Block(Block { last, form }))
    }

    fn stored(&mut self, left: usize) -> Step {
        let from = self.bit / 8;
        let count = left.min(self.input.len() - SLACK - from);
        if count == 0 && left > 0 {
            return Step::Hungry;
        }
        self.history.extend(&self.input[from..from + count]);
        self.bit += count * 8;
        self.phase = if count == left { Phase::Head } else { Phase::Stored { left: left - count } };
        Step::Stored(count)
    }

    fn tokens(&mut self, tokens: &mut Vec<Token>, limit: usize) -> Result<Step, TokenError> {
        let end = (self.input.len() - SLACK) * 8;
        let before = tokens.len();
        while tokens.len() - before < limit {
            let mut word = word_at(&self.input, self.bit);
            let mut bit = self.bit;
            let entry = self.literals.find(word);
            bit += entry.bits();
            if bit > end {
                return Ok(pause(tokens.len() - before));
            }
            if entry.is_literal() {
                self.bit = bit;
                self.history.push(entry.value() as u8);
                tokens.push(Token::literal(entry.value() as u8));
                continue;
            }
            word >>= entry.bits();
            if entry.is_end() {
                self.bit = bit;
                self.phase = Phase::Head;
                return Ok(Step::Tokens { ended: true });
            }
            if !entry.is_base() {
                // Bits that are no code are at least one bit, which may lie behind the input.
                let more = entry.bits() == 0 && bit == end;
                return if more {
                    Ok(pause(tokens.len() - before))
                } else {
                    Err(TokenError::NoCode)
                };
            }
            let extra = entry.extra_bits();
            let length = entry.value() + (word & ((1 << extra) - 1)) as u32;
            let odd = extra > 0 && length == MAX_MATCH as u32;
            word >>= extra;
            let entry = self.distances.find(word);
            word >>= entry.bits();
            let far = entry.extra_bits();
            bit += extra + entry.bits() + far;
            if bit > end {
                return Ok(pause(tokens.len() - before));
            }
            if !entry.is_base() {
                let more = entry.bits() == 0 && bit == end;
                return if more {
                    Ok(pause(tokens.len() - before))
                } else {
                    Err(TokenError::NoCode)
                };
            }
            let distance = entry.value() + (word & ((1 << far) - 1)) as u32;
            if !self.history.copy(length as usize, distance as usize) {
                return Err(TokenError::TooFarBack);
            }
            self.bit = bit;
            let token = Token::copy(length, distance);
            tokens.push(if odd { token.odd() } else { token });
        }
        Ok(Step::Tokens { ended: false })
    }
}

fn pause(tokens: usize) -> Step {
    if tokens == 0 { Step::Hungry } else { Step::Tokens { ended: false } }
}

fn stored_head(bits: &mut Bits, end: usize) -> Result<Form, TokenError> {
    let rest = bits.bit.next_multiple_of(8) - bits.bit;
    let padding = bits.take(rest) as u8;
    let length = bits.take(16) as u16;
    let complement = bits.take(16) as u16;
    if bits.bit <= end && length != !complement {
        return Err(TokenError::StoredLength);
    }
    Ok(Form::Stored { length, padding })
}

fn dynamic_head(bits: &mut Bits) -> Result<Form, TokenError> {
    let literals = bits.take(5) as usize + 257;
    let distances = bits.take(5) as usize + 1;
    let length_codes = bits.take(4) as usize + 4;
    if literals > LITERALS || distances > DISTANCES {
        return Err(TokenError::TooManyCodes);
    }
    let mut length_code_lengths = [0; LENGTH_CODES];
    for &symbol in &LENGTH_CODE_ORDER[..length_codes] {
        length_code_lengths[usize::from(symbol)] = bits.take(3) as u8;
    }
    let mut table = Table::default();
    table.build(Kind::Lengths, &length_code_lengths)?;
    let mut lengths = Vec::with_capacity(literals + distances);
    let mut steps = Vec::with_capacity(160);
    while lengths.len() < literals + distances {
        let entry = table.find(bits.word());
        if !entry.is_base() {
            bits.bit += 1;
            return Err(TokenError::CodeLengths);
        }
        bits.bit += entry.bits();
        let symbol = entry.value() as u8;
        let (length, count) = match symbol {
            16 => (lengths.last().copied(), 3 + bits.take(2)),
            17 => (Some(0), 3 + bits.take(3)),
            18 => (Some(0), 11 + bits.take(7)),
            length => (Some(length), 1),
        };
        let length = length.ok_or(TokenError::CodeLengths)?;
        lengths.resize(lengths.len() + count as usize, length);
        steps.push(LengthStep { symbol, count: count as u8 });
    }
    if lengths.len() > literals + distances || lengths[END_OF_BLOCK] == 0 {
        return Err(TokenError::CodeLengths);
    }
    let codes = Codes { literals, distances, length_codes, length_code_lengths, lengths, steps };
    Ok(Form::Dynamic(Box::new(codes)))
}
