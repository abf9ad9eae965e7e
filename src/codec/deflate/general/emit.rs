//! Blocks and tokens, written as deflate.

use super::super::bits::BitWriter;
use super::super::codes::{
    DISTANCE_BASE, DISTANCE_EXTRA, DISTANCES, END_OF_BLOCK, FIXED_LITERAL_LENGTHS, LENGTH_BASE,
    LENGTH_CODE_ORDER, LENGTH_CODES, LENGTH_EXTRA, LITERALS, canonical_codes, distance_symbol,
};
use super::super::tokens::{Block, Codes, Form, Token};
use super::heads::literal_symbol;
use super::model::Nonsense;

/// The codes in which tokens are written.
pub(super) struct Alphabet {
    literals: [(u16, u8); LITERALS],
    distances: [(u16, u8); DISTANCES],
}

/// Pairs codes with their lengths.
fn pair<const COUNT: usize>(lengths: &[u8]) -> [(u16, u8); COUNT] {
    // The codes that may not be used count too.
    let mut codes = [0; 288];
    canonical_codes(lengths, &mut codes[..lengths.len()]);
    let mut pairs = [(0, 0); COUNT];
    for (pair, (&code, &length)) in pairs.iter_mut().zip(codes.iter().zip(lengths)) {
        *pair = (code, length);
    }
    pairs
}

impl Alphabet {
    /// Writes the head of a block; the codes for its tokens, if it has any.
    pub(super) fn begin(block: &Block, out: &mut BitWriter) -> Option<Self> {
        let kind = match block.form {
            Form::Stored { .. } => 0,
            Form::Fixed => 1,
            Form::Dynamic(_) => 2,
        };
        out.put(u64::from(block.last) | kind << 1, 3);
        match &block.form {
            Form::Stored { length, padding } => {
                pad(out, *padding);
                out.bytes(&length.to_le_bytes());
                out.bytes(&(!length).to_le_bytes());
                None
            }
            Form::Fixed => {
                Some(Self { literals: pair(&FIXED_LITERAL_LENGTHS), distances: pair(&[5; 32]) })
            }
            Form::Dynamic(codes) => {
                describe(codes, out);
                let (literals, distances) = codes.lengths.split_at(codes.literals);
                Some(Self { literals: pair(literals), distances: pair(distances) })
            }
        }
    }

    /// Writes a token.
    #[inline]
    pub(super) fn token(&self, token: Token, out: &mut BitWriter) -> Result<(), Nonsense> {
        let symbol = literal_symbol(token);
        let (code, length) = self.literals[symbol];
        if length == 0 {
            return Err(Nonsense);
        }
        let (mut bits, mut count) = (u64::from(code), u32::from(length));
        if !token.is_literal() {
            let at = symbol - END_OF_BLOCK - 1;
            bits |= u64::from(token.length() - u32::from(LENGTH_BASE[at])) << count;
            count += u32::from(LENGTH_EXTRA[at]);
            let symbol = distance_symbol(token.distance());
            let (code, length) = self.distances[symbol];
            if length == 0 {
                return Err(Nonsense);
            }
            bits |= u64::from(code) << count;
            count += u32::from(length);
            bits |= u64::from(token.distance() - u32::from(DISTANCE_BASE[symbol])) << count;
            count += u32::from(DISTANCE_EXTRA[symbol]);
        }
        out.put(bits, count);
        Ok(())
    }

    /// Ends the block.
    pub(super) fn end(&self, out: &mut BitWriter) -> Result<(), Nonsense> {
        let (code, length) = self.literals[END_OF_BLOCK];
        if length == 0 {
            return Err(Nonsense);
        }
        out.put(u64::from(code), u32::from(length));
        Ok(())
    }
}

/// Fills the byte with these bits, as many as fit.
pub(super) fn pad(out: &mut BitWriter, padding: u8) {
    let count = (out.position().next_multiple_of(8) - out.position()) as u32;
    out.put(u64::from(padding) & ((1 << count) - 1), count);
}

/// Writes down the codes of a block.
fn describe(codes: &Codes, out: &mut BitWriter) {
    out.put(codes.literals as u64 - 257, 5);
    out.put(codes.distances as u64 - 1, 5);
    out.put(codes.length_codes as u64 - 4, 4);
    for &symbol in &LENGTH_CODE_ORDER[..codes.length_codes] {
        out.put(u64::from(codes.length_code_lengths[usize::from(symbol)]), 3);
    }
    let pairs: [(u16, u8); LENGTH_CODES] = pair(&codes.length_code_lengths);
    for step in &codes.steps {
        let (code, length) = pairs[usize::from(step.symbol)];
        out.put(u64::from(code), u32::from(length));
        match step.symbol {
            16 => out.put(u64::from(step.count - 3), 2),
            17 => out.put(u64::from(step.count - 3), 3),
            18 => out.put(u64::from(step.count - 11), 7),
            _ => {}
        }
    }
}
