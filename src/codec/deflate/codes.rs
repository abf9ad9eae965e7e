//! The numbers of deflate that every encoder shares (RFC 1951, sections 3.2.5 to 3.2.7).

/// How far back a match may reach.
pub const WINDOW: usize = 32 << 10;
/// The longest match.
pub const MAX_MATCH: usize = 258;
/// The shortest match.
pub const MIN_MATCH: usize = 3;
/// The symbol that ends a block.
pub const END_OF_BLOCK: usize = 256;
/// Symbols of the literal and length alphabet that a block may use.
pub const LITERALS: usize = 286;
/// Symbols of the distance alphabet that a block may use.
pub const DISTANCES: usize = 30;
/// Symbols of the alphabet in which code lengths are written.
pub const LENGTH_CODES: usize = 19;
/// The longest code of a literal, length or distance, in bits.
pub const MAX_CODE_BITS: u32 = 15;
/// The longest code of a code length.
pub const MAX_LENGTH_CODE_BITS: u32 = 7;

/// The order in which the lengths of the codes of code lengths are written.
pub const LENGTH_CODE_ORDER: [u8; LENGTH_CODES] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Shortest match length of each length symbol from 257 on.
pub const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];

/// Extra bits of each length symbol from 257 on.
pub const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// Nearest distance of each distance symbol.
pub const DISTANCE_BASE: [u16; DISTANCES] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];

/// Extra bits of each distance symbol.
pub const DISTANCE_EXTRA: [u8; DISTANCES] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];

/// The length symbol, counted from 0 (that is, without the 257), of each match length minus 3.
pub const LENGTH_SYMBOL: [u8; 256] = {
    let mut symbols = [0; 256];
    let mut symbol = 0;
    let mut length = 0;
    while length < 256 {
        while symbol < 28 && length + 3 >= LENGTH_BASE[symbol + 1] as usize {
            symbol += 1;
        }
        symbols[length] = symbol as u8;
        length += 1;
    }
    symbols
};

/// The distance symbol of a distance from 1 to 32768.
#[inline]
pub fn distance_symbol(distance: u32) -> usize {
    debug_assert!((1..=WINDOW as u32).contains(&distance));
    let below = distance - 1;
    if below < 4 {
        return below as usize;
    }
    // Two symbols for each power of two; the bit below the highest tells which.
    let high = below.ilog2();
    (2 * high + (below >> (high - 1) & 1)) as usize
}

/// Turns code lengths into codes whose bits are in the order in which they are written: canonical
/// (RFC 1951, section 3.2.2), each reversed, because deflate writes codes from their highest bit.
/// A symbol of length 0 has code 0.
pub fn canonical_codes(lengths: &[u8], codes: &mut [u16]) {
    let mut counts = [0u16; MAX_CODE_BITS as usize + 1];
    for &length in lengths {
        counts[length as usize] += 1;
    }
    counts[0] = 0;
    let mut next = [0u16; MAX_CODE_BITS as usize + 2];
    for bits in 1..=MAX_CODE_BITS as usize {
        next[bits + 1] = (next[bits] + counts[bits]) << 1;
    }
    for (&length, code) in lengths.iter().zip(codes) {
        *code = 0;
        if length > 0 {
            let own = &mut next[length as usize];
            *code = own.reverse_bits() >> (16 - u32::from(length));
            *own += 1;
        }
    }
}

/// Code lengths of a block with fixed codes (RFC 1951, section 3.2.6); the last two are never used.
pub const FIXED_LITERAL_LENGTHS: [u8; 288] = {
    let mut lengths = [8; 288];
    let mut symbol = 144;
    while symbol < 280 {
        lengths[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    lengths
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_distance_falls_into_the_range_of_its_symbol() {
        for length in MIN_MATCH..=MAX_MATCH {
            let symbol = LENGTH_SYMBOL[length - MIN_MATCH] as usize;
            let over = length - LENGTH_BASE[symbol] as usize;
            assert!(over < 1 << LENGTH_EXTRA[symbol], "length {length}");
        }
        for distance in 1..=WINDOW as u32 {
            let symbol = distance_symbol(distance);
            let over = distance - u32::from(DISTANCE_BASE[symbol]);
            assert!(over < 1 << DISTANCE_EXTRA[symbol], "distance {distance}");
        }
        assert_eq!((LENGTH_SYMBOL[255], LENGTH_SYMBOL[254], LENGTH_SYMBOL[0]), (28, 27, 0));
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // The example of RFC 1951, section 3.2.2.
        let mut codes = [0; 8];
        canonical_codes(&[3, 3, 3, 3, 3, 2, 4, 4], &mut codes);
        let expected = [0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111];
        assert_eq!(codes, expected);
    }
}
