//! Encryption: whole files as age files (C2SP `age`, version 1), written in one pass and read at
//! random.
//!
//! An age file is a short header, 16 random bytes, and then the content in chunks of 64 KiB, each
//! with 16 bytes of its own that prove it and its place. So any stretch of the content can be read
//! without what lies before it, and whatever was changed, cut off, added or moved does not open.
//!
//! [`Recipients`] are those for whom a file is written, [`Identities`] the secrets that open one.
//! [`Encrypted`] writes, [`Reader`] reads. What is in the header of a file that is read is bounded
//! before anything is done with it: its length, its stanzas, and the work for a passphrase.
//!
//! The secrecy that this gives is apart from trust: whoever has the recipient's public key can make
//! such a file. Who sealed a bundle is what its signatures say.

mod header;
mod identities;
mod key;
mod reader;
mod recipients;
mod writer;

pub use header::is_encrypted;
pub use identities::{Ask, Identities};
pub use reader::{Fault, Reader};
pub use recipients::{Recipients, WORK};
pub use writer::{Encrypted, WrittenSoFar, content_within, length_of};

/// Bytes of content in a chunk.
const CHUNK: u64 = 64 << 10;

/// Bytes that prove a chunk.
const TAG: u64 = 16;

/// Bytes of a chunk as it lies in the file.
const STORED: u64 = CHUNK + TAG;

/// Random bytes between header and chunks.
const NONCE: u64 = 16;

/// Length of the content of a file that has `stored` bytes behind the nonce; `None` where the file
/// was cut off.
const fn content_length(stored: u64) -> Option<u64> {
    let (full, rest) = (stored / STORED, stored % STORED);
    match (full, rest) {
        (0, 0) => None,
        (_, 0) => Some(full * CHUNK),
        (0, TAG) => Some(0),
        (_, rest) if rest <= TAG => None,
        (_, rest) => Some(full * CHUNK + rest - TAG),
    }
}

/// Bytes that content takes behind the nonce.
const fn stored_length(content: u64) -> u64 {
    let chunks = content.div_ceil(CHUNK);
    content.saturating_add(TAG * if chunks == 0 { 1 } else { chunks })
}

#[cfg(test)]
mod tests;
