//! The window: the last plain bytes, and chains that lead from three bytes to where they occurred.
//!
//! It is laid out as the originals lay it out, 64 KiB whose upper half moves down when it is used
//! up, because the output depends on it: on whether a block's plain bytes are still there when it
//! is to be stored, on the first byte, which no match reaches, and in gzip on what lies behind the
//! end of the input. It is always filled up before anything is searched, so that nothing depends
//! on how the input is cut.

use super::super::codes::{MAX_MATCH, MIN_MATCH, WINDOW};

/// Bytes of the window.
pub(super) const SIZE: usize = 2 * WINDOW;
/// With fewer bytes than this before it, a position is only searched at the end of the input.
pub(super) const LOOKAHEAD: usize = MAX_MATCH + MIN_MATCH + 1;
/// How far back a match may reach.
pub(super) const REACH: usize = WINDOW - LOOKAHEAD;
/// From here on the window moves when bytes run short.
pub(super) const FULL: usize = SIZE - LOOKAHEAD;

/// Bytes that may be looked at beyond the window, all 0: a match length and a wide load, and what
/// makes the sum of any two indices of one and two bytes an index too.
const SLACK: usize = 512;

/// How long and how hard a match is searched for.
#[derive(Clone, Copy)]
pub(super) struct Search {
    /// Matches up to this length are not of interest.
    pub(super) longer_than: usize,
    /// A match of this length is good enough.
    pub(super) nice: usize,
    /// How many earlier places are looked at.
    pub(super) tries: u16,
}

pub(super) struct Window {
    bytes: Box<[u8; SIZE + SLACK]>,
    /// The last position with each hash, 0 for none.
    heads: Box<[u16; 1 << 16]>,
    /// For each position modulo 32768, the position before it with the same hash.
    earlier: Box<[u16; WINDOW]>,
    hash_bits: u32,
    /// Position in the stream of the first byte.
    pub(super) base: u64,
    /// The byte that is looked at.
    pub(super) at: usize,
    /// End of the bytes that are known.
    pub(super) end: usize,
    /// Position in the stream of where the block began.
    block: u64,
    /// How many positions before `at` are still to be entered into the chains.
    owed: usize,
}

/// A boxed array, made where it stays.
fn zeros<Array: TryFrom<Vec<Item>>, Item: Clone + Default>(length: usize) -> Array {
    let zeros = Array::try_from(vec![Item::default(); length]);
    zeros.unwrap_or_else(|_| unreachable!("the length is that of the array"))
}

impl Window {
    pub(super) fn new(hash_bits: u32) -> Self {
        Self {
            bytes: zeros(SIZE + SLACK),
            heads: zeros(1 << 16),
            earlier: zeros(WINDOW),
            hash_bits,
            base: 0,
            at: 0,
            end: 0,
            block: 0,
            owed: 0,
        }
    }

    /// Forgets everything, then takes `history` for the bytes before position `at` of a window that
    /// begins at `base` of the stream.
    pub(super) fn restart(&mut self, base: u64, at: usize, history: &[u8]) {
        self.heads.fill(0);
        self.bytes.fill(0);
        let known = &history[history.len().saturating_sub(at)..];
        self.bytes[at - known.len()..at].copy_from_slice(known);
        if base > 0 {
            // What was moved down also stayed where it was: see `let_old_bytes_show`.
            for (byte, old) in self.bytes[at..WINDOW.max(at)].iter_mut().zip(history) {
                *byte = *old;
            }
        }
        (self.base, self.at, self.end) = (base, at, at);
        self.begin_block();
        self.owed = known.len();
    }

    /// Position in the stream of the byte that is looked at.
    pub(super) fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// How many bytes are known from the one that is looked at.
    #[inline]
    pub(super) fn ahead(&self) -> usize {
        self.end - self.at
    }

    /// Takes as many bytes as there is room for and says how many.
    pub(super) fn fill(&mut self, plain: &[u8]) -> usize {
        let count = plain.len().min(SIZE - self.end);
        self.bytes[self.end..self.end + count].copy_from_slice(&plain[..count]);
        self.end += count;
        count
    }

    /// Moves the upper half down.
    pub(super) fn slide(&mut self) {
        self.bytes.copy_within(WINDOW..SIZE, 0);
        for position in self.heads[..1 << self.hash_bits].iter_mut().chain(&mut *self.earlier) {
            *position = position.saturating_sub(WINDOW as u16);
        }
        self.base += WINDOW as u64;
        self.at -= WINDOW;
        self.end -= WINDOW;
    }

    /// Shows behind the end of the input what the originals would find there: bytes that were there
    /// before the last move.
    pub(super) fn let_old_bytes_show(&mut self) {
        if self.base > 0 {
            let end = self.end.max(WINDOW);
            self.bytes.copy_within(end - WINDOW..WINDOW, end);
        }
    }

    /// Sets the two bytes behind the end of the input to 0.
    pub(super) fn blank_end(&mut self) {
        self.bytes[self.end..self.end + MIN_MATCH - 1].fill(0);
    }

    /// The byte before the one that is looked at.
    #[inline]
    pub(super) fn byte_before(&self) -> u8 {
        self.bytes[self.at - 1]
    }

    /// The byte that is looked at.
    #[inline]
    pub(super) fn byte(&self) -> u8 {
        self.bytes[self.at]
    }

    /// Begins a block at the byte that is looked at.
    pub(super) fn begin_block(&mut self) {
        self.block = self.position();
    }

    /// How many bytes of the block lie before the one that is looked at.
    #[inline]
    pub(super) fn covered(&self) -> usize {
        (self.position() - self.block) as usize
    }

    /// The bytes of the block before the one that is looked at, if they are all still there.
    pub(super) fn plain(&self) -> Option<&[u8]> {
        let begin = self.block.checked_sub(self.base)?;
        Some(&self.bytes[begin as usize..self.at])
    }

    /// Whether the bytes from `at` on repeat those `distance` before them.
    pub(super) fn repeats(&self, at: usize, distance: usize, length: usize) -> bool {
        at + length <= self.end
            && distance <= at
            && self.bytes[at..at + length] == self.bytes[at - distance..at - distance + length]
    }

    /// Enters what [`Window::owe`] and [`Window::restart`] left, as far as the bytes are known.
    pub(super) fn pay(&mut self) {
        while self.owed > 0 && self.at - self.owed + MIN_MATCH <= self.end {
            self.enter(self.at - self.owed);
            self.owed -= 1;
        }
    }

    /// Steps over `count` bytes and enters them, but for the first `entered`, which are, and for
    /// those whose three bytes are not known.
    #[inline]
    pub(super) fn step_entering(&mut self, count: usize, entered: usize) {
        let known = (self.at + count).min(self.end - (MIN_MATCH - 1));
        for at in self.at + entered..known {
            self.enter(at);
        }
        self.at += count;
    }

    /// Steps over a byte that is not entered yet.
    pub(super) fn step_unentered(&mut self) {
        self.at += 1;
        self.owed += 1;
    }

    /// Notes that the last positions could not be entered because their bytes were not known.
    pub(super) fn owe(&mut self, positions: usize) {
        self.owed = positions.min(self.at);
    }

    /// Enters a position whose three bytes are known, and gives the one before it with the same
    /// hash, or 0.
    #[inline]
    pub(super) fn enter(&mut self, at: usize) -> usize {
        let shift = self.hash_bits.div_ceil(MIN_MATCH as u32);
        let [a, b, c, _] = self.four(at).to_le_bytes().map(u32::from);
        let hash = ((a << (2 * shift)) ^ (b << shift) ^ c) & ((1 << self.hash_bits) - 1);
        let head = &mut self.heads[usize::from(hash as u16)];
        let before = *head;
        self.earlier[at % WINDOW] = before;
        *head = at as u16;
        before.into()
    }

    /// The longest match for the byte that is looked at: its length and where it begins. The search
    /// starts at `first` and follows the chain; what lies beyond the end of the input counts too.
    #[inline]
    pub(super) fn search(&self, first: usize, search: Search) -> Option<(usize, usize)> {
        let at = self.at as u16;
        let oldest = at.saturating_sub(REACH as u16);
        let mut place = first as u16;
        let mut tries = search.tries;
        let mut longest = search.longer_than;
        let mut best = None;
        // A match that is longer than the best agrees with the four bytes that end one beyond it
        // (three where there are no more).
        let mut tail = longest.saturating_sub(MIN_MATCH) as u8;
        let mask = if longest < MIN_MATCH { 0x00ff_ffff } else { u32::MAX };
        let mut mask = mask;
        let mut wanted = self.four(usize::from(at) + usize::from(tail)) & mask;
        loop {
            if self.four(usize::from(place) + usize::from(tail)) & mask == wanted {
                let length = self.common(at, place);
                if length > longest {
                    longest = length;
                    best = Some((length, place.into()));
                    if length >= search.nice {
                        break;
                    }
                    tail = (length - MIN_MATCH) as u8;
                    mask = u32::MAX;
                    wanted = self.four(usize::from(at) + usize::from(tail));
                }
            }
            place = self.earlier[usize::from(place) % WINDOW];
            tries -= 1;
            if place <= oldest || tries == 0 {
                break;
            }
        }
        best
    }

    #[inline]
    fn four(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap_or_default())
    }

    #[inline]
    fn eight(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap_or_default())
    }

    /// How many bytes at two places agree, up to the longest match.
    #[inline]
    fn common(&self, a: u16, b: u16) -> usize {
        let (a, b) = (usize::from(a), usize::from(b));
        let mut count = 0;
        while count < MAX_MATCH {
            let differ = self.eight(a + count) ^ self.eight(b + count);
            if differ != 0 {
                return (count + differ.trailing_zeros() as usize / 8).min(MAX_MATCH);
            }
            count += 8;
        }
        MAX_MATCH
    }
}
