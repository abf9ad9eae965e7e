//! Code lengths as Go chooses them.
//!
//! Among the optimal sets of lengths under a limit Go takes the one that package-merge finds when
//! ties go to the package, and gives the shorter codes of what is left open to the symbol that is
//! counted more often, then to the greater symbol.

/// The most symbols of an alphabet.
const MOST: usize = 288;
/// The highest limit, in bits.
const DEEPEST: usize = 15;
/// Bits of a sort key that name the symbol; the count is above them.
const SYMBOL_BITS: u32 = 9;

/// Sets `lengths` to the code length of each symbol, by how often it is counted; 0 where it never
/// is. One symbol or two get a bit each. Counts must fit in 22 bits.
pub(super) fn choose(counts: &[u32], limit: usize, lengths: &mut [u8]) {
    let mut keys = [0; MOST];
    let mut used = 0;
    for (symbol, (&count, length)) in counts.iter().zip(lengths.iter_mut()).enumerate() {
        *length = u8::from(count > 0);
        if count > 0 {
            keys[used] = count << SYMBOL_BITS | symbol as u32;
            used += 1;
        }
    }
    if used <= 2 {
        return;
    }
    let keys = &mut keys[..used];
    keys.sort_unstable();
    let limit = limit.min(used - 1);
    let deeper = deeper_than(keys, limit);
    // The rarest symbols are those that need the most bits.
    let mut length = limit;
    for (rank, key) in keys.iter().enumerate() {
        while deeper[length - 1] as usize <= rank {
            length -= 1;
        }
        lengths[(key & ((1 << SYMBOL_BITS) - 1)) as usize] = length as u8;
    }
}

/// How many symbols need at least 1, 2, 3 … bits, by package-merge over keys in ascending order.
fn deeper_than(keys: &[u32], limit: usize) -> [u16; DEEPEST] {
    // Which items of a row are symbols; the others are packages of two neighbours of the row
    // before. The first row has symbols only.
    let mut rows = [Row::default(); DEEPEST];
    let mut weights = [0u32; 2 * MOST];
    let mut packages = [0u32; MOST];
    let mut length = keys.len();
    for (weight, key) in weights.iter_mut().zip(keys) {
        *weight = key >> SYMBOL_BITS;
    }
    for row in &mut rows[1..limit] {
        let pairs = length / 2;
        for (package, pair) in packages.iter_mut().zip(weights[..length].chunks_exact(2)) {
            *package = pair[0] + pair[1];
        }
        packages[pairs] = u32::MAX;
        length = keys.len() + pairs;
        let (mut symbols, mut taken) = (0, 0);
        for (item, weight) in weights[..length].iter_mut().enumerate() {
            let leaf = keys.get(symbols).map_or(u32::MAX, |key| key >> SYMBOL_BITS);
            let package = packages[taken];
            let is_leaf = leaf < package;
            *weight = leaf.min(package);
            row.0[item / 64] |= u64::from(is_leaf) << (item % 64);
            symbols += usize::from(is_leaf);
            taken += usize::from(!is_leaf);
        }
    }
    // The last row gives 2n - 2 items; every package among them asks the row before for two.
    let mut deeper = [0; DEEPEST];
    let mut asked = 2 * keys.len() - 2;
    for (deep, row) in deeper.iter_mut().zip(rows[1..limit].iter().rev()) {
        let symbols = row.symbols_among(asked);
        *deep = symbols as u16;
        asked = 2 * (asked - symbols);
    }
    deeper[limit - 1] = asked as u16;
    deeper
}

/// A bit for each item that is a symbol.
#[derive(Clone, Copy, Default)]
struct Row([u64; 2 * MOST / 64]);

impl Row {
    /// How many of the first items are symbols.
    fn symbols_among(&self, items: usize) -> usize {
        let whole: u32 = self.0[..items / 64].iter().map(|word| word.count_ones()).sum();
        let rest = self.0[items / 64] & ((1 << (items % 64)) - 1);
        (whole + rest.count_ones()) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen<const N: usize>(counts: [u32; N], limit: usize) -> [u8; N] {
        let mut lengths = [9; N];
        choose(&counts, limit, &mut lengths);
        lengths
    }

    #[test]
    fn one_symbol_or_two_take_a_bit_each() {
        assert_eq!(chosen([0, 0, 7], 15), [0, 0, 1]);
        assert_eq!(chosen([9, 0, 1], 15), [1, 0, 1]);
    }

    #[test]
    fn lengths_are_those_of_a_tree_where_the_limit_leaves_room() {
        assert_eq!(chosen([8, 4, 2, 1, 1], 15), [1, 2, 3, 4, 4]);
    }

    #[test]
    fn the_limit_holds_and_codes_fill_the_tree() {
        let mut fibonacci = [1u32; 24];
        for i in 2..24 {
            fibonacci[i] = fibonacci[i - 1] + fibonacci[i - 2];
        }
        for limit in [5, 7, 15] {
            let lengths = chosen(fibonacci, limit);
            assert_eq!(lengths.iter().max(), Some(&(limit as u8)));
            let filled: u32 = lengths.iter().map(|length| 1 << (15 - length)).sum();
            assert_eq!(filled, 1 << 15, "limit {limit}");
        }
    }

    #[test]
    fn of_equals_the_greater_symbol_has_the_shorter_code() {
        assert_eq!(chosen([1, 1, 1], 15), [2, 2, 1]);
    }
}
