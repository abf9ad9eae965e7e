//! A hash that rolls: it finds where a shard lies in a file that lost or gained bytes.
//!
//! Over the bytes b₀ … bₙ₋₁ it is Σ bᵢ·Mⁿ⁻¹⁻ⁱ modulo 2⁶⁴. It is weak: whoever wants to can make
//! collisions. It only says where it is worth while to compute a SHA-256.

/// M.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// FACTOR to the powers 0 to 8.
const POWERS: [u64; 9] = {
    let mut powers = [1u64; 9];
    let mut at = 1;
    while at < 9 {
        powers[at] = powers[at - 1].wrapping_mul(FACTOR);
        at += 1;
    }
    powers
};

/// Continues the hash over more bytes; it begins with 0.
pub(super) fn extend(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut eights = bytes.chunks_exact(8);
    for eight in &mut eights {
        // Eight products that do not wait for each other.
        let mut sum = hash.wrapping_mul(POWERS[8]);
        for (at, &byte) in eight.iter().enumerate() {
            sum = sum.wrapping_add(u64::from(byte).wrapping_mul(POWERS[7 - at]));
        }
        hash = sum;
    }
    for &byte in eights.remainder() {
        hash = hash.wrapping_mul(FACTOR).wrapping_add(u64::from(byte));
    }
    hash
}

/// Continues the hash over so many zeros.
pub(super) fn zeros(hash: u64, count: u64) -> u64 {
    hash.wrapping_mul(power(count))
}

/// FACTOR to a power.
fn power(mut exponent: u64) -> u64 {
    let (mut product, mut square) = (1u64, FACTOR);
    while exponent > 0 {
        if exponent & 1 == 1 {
            product = product.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        exponent >>= 1;
    }
    product
}

/// Moves a window of a fixed length over bytes.
pub(super) struct Rolling {
    /// What a byte weighs when it leaves.
    leaving: Box<[u64; 256]>,
}

impl Rolling {
    /// For windows of this length.
    pub(super) fn new(window: u64) -> Self {
        let weight = power(window);
        let mut leaving = Box::new([0; 256]);
        for (byte, value) in leaving.iter_mut().enumerate() {
            *value = (byte as u64).wrapping_mul(weight);
        }
        Self { leaving }
    }

    /// The hash of the window one byte further.
    pub(super) fn roll(&self, hash: u64, out: u8, into: u8) -> u64 {
        hash.wrapping_mul(FACTOR)
            .wrapping_add(u64::from(into))
            .wrapping_sub(self.leaving[usize::from(out)])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_is_what_the_format_says() {
        assert_eq!(extend(0, b""), 0);
        assert_eq!(extend(0, &[0; 100]), 0);
        assert_eq!(extend(0, &[7]), 7);
        assert_eq!(extend(0, &[1, 2]), FACTOR.wrapping_add(2));
        assert_eq!(extend(0, b"sealift parity"), 0xf001_8ee5_4d33_671d);
    }

    proptest! {
        #[test]
        fn rolling_is_hashing_anew(
            bytes in prop::collection::vec(any::<u8>(), 1..300), window in 1usize..100
        ) {
            prop_assume!(window <= bytes.len());
            let rolling = Rolling::new(window as u64);
            let mut hash = extend(0, &bytes[..window]);
            for at in 0..bytes.len() - window {
                hash = rolling.roll(hash, bytes[at], bytes[at + window]);
                prop_assert_eq!(hash, extend(0, &bytes[at + 1..=at + window]));
            }
        }

        #[test]
        fn zeros_need_not_be_there(
            bytes in prop::collection::vec(any::<u8>(), 0..100), count in 0usize..5000
        ) {
            let hash = extend(0, &bytes);
            prop_assert_eq!(zeros(hash, count as u64), extend(hash, &vec![0; count]));
        }

        #[test]
        fn a_hash_goes_on_wherever_it_was_cut(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            for cut in 0..=bytes.len() {
                let (a, b) = bytes.split_at(cut);
                prop_assert_eq!(extend(extend(0, a), b), extend(0, &bytes));
            }
        }
    }
}
