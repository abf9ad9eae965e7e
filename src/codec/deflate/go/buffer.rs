//! Input that is held, compared in words.

/// Input bytes that can be held: a power of two, so that no place needs to be checked.
pub(super) const HELD: usize = 128 << 10;
/// Bytes that may be read past the end of what is held.
const SLACK: usize = 8;

/// Held bytes and slack. Places are modulo [`HELD`].
pub(super) type Buffer = [u8; HELD + SLACK];

/// Four bytes as a number.
#[inline]
pub(super) fn four(buffer: &Buffer, at: usize) -> u32 {
    let at = at % HELD;
    u32::from_le_bytes(buffer[at..at + 4].try_into().expect("four bytes"))
}

/// Eight bytes as a number.
#[inline]
pub(super) fn eight(buffer: &Buffer, at: usize) -> u64 {
    let at = at % HELD;
    u64::from_le_bytes(buffer[at..at + 8].try_into().expect("eight bytes"))
}

/// How many bytes, `most` at most, are the same from two places on.
#[inline]
pub(super) fn common(buffer: &Buffer, one: usize, other: usize, most: usize) -> usize {
    let mut same = 0;
    while same < most {
        let differ = eight(buffer, one + same) ^ eight(buffer, other + same);
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
