//! What a stream consists of, in the order in which it is told.

use super::super::tokens::{Block, Token};

/// A piece of a stream that waits to be told.
pub(super) enum Piece {
    /// A block with tokens begins.
    Begin,
    /// The head of a stored block.
    Stored { last: bool, length: u16, padding: u8 },
    /// So many bytes of a stored block.
    Bytes(usize),
    /// Tokens, whether the block ends behind them, and the position there.
    Run { tokens: Vec<Token>, ends: bool, end: u64 },
    /// The head of a block with tokens.
    Head(Block),
    /// The end of the stream, and the bits that fill its last byte.
    End { padding: u8 },
}
