//! Prefix codes of limited length, made the way Go's encoders make them.

use crate::codec::deflate::codes::{
    DISTANCES, FIXED_LITERAL_LENGTHS, LITERALS, MAX_CODE_BITS, canonical_codes,
};

/// The codes of an alphabet of `N` symbols. A symbol whose length is 0 has none.
#[derive(Clone, Debug)]
pub(super) struct Codes<const N: usize> {
    codes: [u16; N],
    lengths: [u8; N],
}

impl<const N: usize> Codes<N> {
    pub(super) fn new() -> Self {
        Self { codes: [0; N], lengths: [0; N] }
    }

    fn from_lengths(lengths: [u8; N]) -> Self {
        let mut codes = [0; N];
        canonical_codes(&lengths, &mut codes);
        Self { codes, lengths }
    }

    /// The best codes of at most `limit` bits for symbols that occur so often.
    pub(super) fn fit(&mut self, counts: &[u16; N], limit: u32) {
        limited_lengths(counts, limit, &mut self.lengths);
        canonical_codes(&self.lengths, &mut self.codes);
    }

    /// Code and length.
    #[inline]
    pub(super) fn code(&self, symbol: usize) -> (u64, u32) {
        (u64::from(self.codes[symbol]), u32::from(self.lengths[symbol]))
    }

    pub(super) fn lengths(&self) -> &[u8; N] {
        &self.lengths
    }

    /// Bits of the codes of symbols that occur so often.
    pub(super) fn bits(&self, counts: &[u16]) -> usize {
        counts.iter().zip(&self.lengths).map(|(&count, &bits)| count as usize * bits as usize).sum()
    }

    /// Whether each symbol that occurs has a code. The counts begin with those of symbol `first`.
    pub(super) fn cover(&self, first: usize, counts: &[u16]) -> bool {
        counts.iter().zip(&self.lengths[first..]).all(|(&count, &bits)| count == 0 || bits > 0)
    }
}

/// The codes of a block with fixed codes.
pub(super) fn fixed_codes() -> (Codes<LITERALS>, Codes<DISTANCES>) {
    let mut codes = [0; 288];
    canonical_codes(&FIXED_LITERAL_LENGTHS, &mut codes);
    let mut literals = Codes::new();
    literals.lengths.copy_from_slice(&FIXED_LITERAL_LENGTHS[..LITERALS]);
    literals.codes.copy_from_slice(&codes[..LITERALS]);
    (literals, Codes::from_lengths([5; DISTANCES]))
}

/// Package-merge. Symbols of equal counts are taken in their order, and where a symbol and a
/// package weigh the same, the package goes first; both show in the lengths.
fn limited_lengths<const N: usize>(counts: &[u16; N], limit: u32, lengths: &mut [u8; N]) {
    debug_assert!(limit <= MAX_CODE_BITS);
    *lengths = [0; N];
    let mut symbols = [0u32; N];
    let mut used = 0;
    for (symbol, &count) in counts.iter().enumerate() {
        if count > 0 {
            symbols[used] = u32::from(count) << 16 | symbol as u32;
            used += 1;
        }
    }
    let symbols = &mut symbols[..used];
    if used <= 2 {
        for &symbol in &*symbols {
            lengths[(symbol & 0xffff) as usize] = 1;
        }
        return;
    }
    symbols.sort_unstable();

    // Each round merges the symbols with pairs of what the round before had; only which of its
    // items are symbols is kept.
    let wanted = 2 * used - 2;
    let rounds = (limit as usize).min(used - 1);
    let mut merged: Vec<u32> = symbols.iter().map(|symbol| symbol >> 16).collect();
    let mut next = Vec::with_capacity(wanted);
    let mut are_symbols: Vec<Vec<bool>> = vec![vec![true; used]];
    for _ in 1..rounds {
        let mut kinds = Vec::with_capacity(wanted);
        let mut alone = symbols.iter().map(|symbol| symbol >> 16).peekable();
        let mut pairs = merged.chunks_exact(2).map(|pair| pair[0] + pair[1]).peekable();
        next.clear();
        while next.len() < wanted {
            let take_symbol = match (alone.peek(), pairs.peek()) {
                (Some(symbol), Some(pair)) => symbol < pair,
                (symbol, _) => symbol.is_some(),
            };
            let Some(weight) = (if take_symbol { alone.next() } else { pairs.next() }) else {
                break;
            };
            next.push(weight);
            kinds.push(take_symbol);
        }
        std::mem::swap(&mut merged, &mut next);
        are_symbols.push(kinds);
    }

    // A symbol's length is the number of rounds in which it is among what is taken.
    let mut taken = wanted;
    for kinds in are_symbols.iter().rev() {
        let alone = kinds[..taken].iter().filter(|&&is_symbol| is_symbol).count();
        for &symbol in &symbols[..alone] {
            lengths[(symbol & 0xffff) as usize] += 1;
        }
        taken = 2 * (taken - alone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_limited_and_fill_the_code_space() {
        let mut counts = [0u16; 24];
        let (mut a, mut b) = (1u16, 1u16);
        for count in &mut counts {
            *count = a;
            (a, b) = (b, a.saturating_add(b));
        }
        let mut lengths = [0; 24];
        limited_lengths(&counts, 15, &mut lengths);
        assert_eq!(lengths.iter().max(), Some(&15));
        let space: u32 = lengths.iter().map(|&bits| 1 << (15 - bits)).sum();
        assert_eq!(space, 1 << 15);
        assert!(lengths.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn one_or_two_symbols_take_a_bit_each() {
        let mut lengths = [9; 4];
        limited_lengths(&[0, 7, 0, 0], 15, &mut lengths);
        assert_eq!(lengths, [0, 1, 0, 0]);
        limited_lengths(&[3, 0, 0, 900], 15, &mut lengths);
        assert_eq!(lengths, [1, 0, 0, 1]);
    }
}
