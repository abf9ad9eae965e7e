//! The plain bytes in which an encoder looks for matches, and how two places in them compare.

use crate::codec::deflate::codes::WINDOW;

/// How many plain bytes a chunk holds: as many as a stored block can.
pub(super) const CHUNK: usize = 65535;

/// How many bytes come together before the oldest are dropped. One of the levels looks at places
/// counted from the front, so this number shows in its output.
const CAPACITY: usize = 5 * CHUNK;

/// Positions are renumbered when they get here, long before they leave 32 bits.
const RENUMBER: u32 = 1 << 30;

/// The bytes of late, and the number of the first of them.
///
/// Tables keep *stamps*: the number of a position, counted on over dropped bytes and restarts.
/// Numbers begin at the length of the window, so that the stamp 0 of an empty place of a table is
/// out of every match's reach.
#[derive(Debug)]
pub(super) struct History {
    bytes: Vec<u8>,
    base: u32,
}

impl History {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(CAPACITY), base: WINDOW as u32 }
    }

    /// Appends a chunk and tells where in [`History::bytes`] it begins. The oldest bytes beyond
    /// the window are dropped if it would not fit otherwise.
    pub(super) fn append(&mut self, chunk: &[u8]) -> usize {
        if self.bytes.len() + chunk.len() > CAPACITY {
            let dropped = self.bytes.len() - WINDOW;
            self.bytes.drain(..dropped);
            self.base += dropped as u32;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(chunk);
        start
    }

    /// Forgets the bytes, in such a way that every stamp there is gets out of reach.
    pub(super) fn restart(&mut self) {
        self.base += (WINDOW + self.bytes.len()) as u32;
        self.bytes.clear();
    }

    /// What to take from every stamp, those below it becoming 0, when numbers have grown large.
    pub(super) fn renumber(&mut self) -> Option<u32> {
        let excess = (self.base > RENUMBER).then(|| self.base - WINDOW as u32)?;
        self.base -= excess;
        Some(excess)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Stamp of the first byte.
    pub(super) fn base(&self) -> u32 {
        self.base
    }
}

/// Four bytes from `at` on.
#[inline]
pub(super) fn load32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// Eight bytes from `at` on.
#[inline]
pub(super) fn load64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// How many bytes from `at` up to `end` equal those from the earlier place `from` on.
#[inline]
pub(super) fn common(bytes: &[u8], at: usize, from: usize, end: usize) -> usize {
    let ours = &bytes[at..end];
    let theirs = &bytes[from..][..ours.len()];
    let mut length = 0;
    for (left, right) in ours.chunks_exact(8).zip(theirs.chunks_exact(8)) {
        let unlike = load64(left, 0) ^ load64(right, 0);
        if unlike != 0 {
            return length + (unlike.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    length + ours[length..].iter().zip(&theirs[length..]).take_while(|(a, b)| a == b).count()
}

/// Where a match that was found at `at` begins: the bytes before it may agree too, down to `floor`.
#[inline]
pub(super) fn extend_back(bytes: &[u8], mut at: usize, distance: usize, floor: usize) -> usize {
    while at > floor && at > distance && bytes[at - 1] == bytes[at - 1 - distance] {
        at -= 1;
    }
    at
}

/// A number of `bits` bits from the lowest four bytes of a word.
#[inline]
pub(super) fn hash4(word: u64, bits: u32) -> usize {
    ((word as u32).wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

/// A number of `bits` bits from the lowest five bytes of a word.
#[inline]
pub(super) fn hash5(word: u64, bits: u32) -> usize {
    ((word << 24).wrapping_mul(889_523_592_379) >> (64 - bits)) as usize
}

/// A number of `bits` bits from the lowest seven bytes of a word.
#[inline]
pub(super) fn hash7(word: u64, bits: u32) -> usize {
    ((word << 8).wrapping_mul(58_295_818_150_454_627) >> (64 - bits)) as usize
}
