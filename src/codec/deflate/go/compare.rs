//! Bytes compared in words, and the tables that tell where to compare.

/// Bytes that may be read past the end of what is compared.
pub(super) const SLACK: usize = 8;

/// Four bytes as a number.
#[inline]
pub(super) fn four(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Eight bytes as a number.
#[inline]
pub(super) fn eight(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// How many bytes, `most` at most, are the same from two places on. There must be [`SLACK`]
/// behind them.
#[inline]
pub(super) fn common(bytes: &[u8], one: usize, other: usize, most: usize) -> usize {
    let mut same = 0;
    while same < most {
        let differ = eight(bytes, one + same) ^ eight(bytes, other + same);
        if differ != 0 {
            return most.min(same + differ.trailing_zeros() as usize / 8);
        }
        same += 8;
    }
    most
}

/// A table that was never on the stack.
#[expect(clippy::unnecessary_box_returns, reason = "too large for the stack")]
pub(super) fn zeros<T: Copy + Default + std::fmt::Debug, const N: usize>() -> Box<[T; N]> {
    vec![T::default(); N].into_boxed_slice().try_into().expect("as long as was asked for")
}
