//! The window: the last plain bytes, and what can be found in them.
//!
//! It is laid out as the originals lay it out, 64 KiB whose upper half moves down when it is used
//! up, because the output depends on it: on whether a block's plain bytes are still there when it
//! is to be stored, on the first byte, which no match reaches, and in gzip on what lies behind the
//! end of the input. It is always filled up before anything is searched, so that nothing depends
//! on how the input is cut.

use super::super::codes::{MAX_MATCH, MIN_MATCH, WINDOW};
use super::chains::{Chains, zeros};

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

/// The last positions before one with the same three and the same four bytes, or at least the same
/// hashes; 0 for none.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub(super) three: u16,
    four: u16,
}

pub(super) struct Window {
    bytes: Box<[u8; SIZE + SLACK]>,
    chains: Chains,
    /// Every position is entered into the chains, so that [`Window::search_by_four`] can be used.
    complete: bool,
    /// Position in the stream of the first byte.
    base: u64,
    /// Position in the stream of where the block began.
    block: u64,
    /// The byte that is looked at.
    pub(super) at: usize,
    /// End of the bytes that are known.
    pub(super) end: usize,
    /// How many positions before `at` are still to be entered into the chains.
    owed: usize,
    /// The same for the chain of four.
    owed_by_four: usize,
}

impl Window {
    pub(super) fn new(hash_bits: u32, complete: bool) -> Self {
        Self {
            bytes: zeros(SIZE + SLACK),
            chains: Chains::new(hash_bits),
            complete,
            base: 0,
            block: 0,
            at: 0,
            end: 0,
            owed: 0,
            owed_by_four: 0,
        }
    }

    /// Forgets everything, then takes `history` for the bytes before position `at` of a window that
    /// begins at `base` of the stream.
    pub(super) fn restart(&mut self, base: u64, at: usize, history: &[u8]) {
        self.chains.clear();
        self.bytes.fill(0);
        let known = &history[history.len().saturating_sub(at)..];
        self.bytes[at - known.len()..at].copy_from_slice(known);
        (self.base, self.at, self.end) = (base, at, at);
        (self.owed, self.owed_by_four) = (known.len(), known.len());
        self.begin_block();
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
        self.chains.slide(self.complete);
        self.base += WINDOW as u64;
        self.at -= WINDOW;
        self.end -= WINDOW;
    }

    /// Shows behind the end of the input what the originals would find there: bytes that were there
    /// before the last move. Only a resumed window does not have them.
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

    /// Whether the bytes that are looked at repeat those `distance` before them.
    pub(super) fn repeats(&self, distance: usize, length: usize) -> bool {
        let (at, before) = (self.at, self.at.checked_sub(distance));
        length <= self.ahead()
            && before.is_some_and(|it| self.bytes[at..at + length] == self.bytes[it..it + length])
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
        self.owed_by_four += 1;
    }

    /// Notes that the last positions could not be entered because their bytes were not known.
    pub(super) fn owe(&mut self) {
        self.owed = self.at.min(MIN_MATCH - 1);
        self.owed_by_four = self.at.min(MIN_MATCH);
    }

    /// Enters what [`Window::owe`] and [`Window::restart`] left, as far as the bytes are known.
    pub(super) fn pay(&mut self) {
        while self.owed > 0 && self.at - self.owed + MIN_MATCH <= self.end {
            let at = self.at - self.owed;
            self.chains.enter_three(at as u16, self.four(at));
            self.owed -= 1;
        }
        while self.complete && self.owed_by_four > 0 && self.at - self.owed_by_four + 4 <= self.end
        {
            let at = self.at - self.owed_by_four;
            self.chains.enter_four(at as u16, self.four(at));
            self.owed_by_four -= 1;
        }
    }

    /// Enters a position whose three bytes are known.
    #[inline]
    pub(super) fn enter(&mut self, at: usize) -> Before {
        let bytes = self.four(at);
        let three = self.chains.enter_three(at as u16, bytes);
        let known = self.complete && at + 4 <= self.end;
        let four = if known { self.chains.enter_four(at as u16, bytes) } else { 0 };
        Before { three, four }
    }

    /// The longest match for the byte that is looked at: its length and where it begins. What lies
    /// beyond the end of the input counts too.
    #[inline]
    pub(super) fn search(&self, before: Before, search: Search) -> Option<(usize, u16)> {
        let at = self.at as u16;
        let oldest = at.saturating_sub(REACH as u16);
        let mut place = before.three;
        let mut tail = Tail::new(search.longer_than);
        let mut wanted = tail.of(self, at);
        let mut best = None;
        for _ in 0..search.tries {
            if tail.of(self, place) == wanted {
                let length = self.common(at, place);
                if length > tail.longest {
                    best = Some((length, place));
                    if length >= search.nice {
                        break;
                    }
                    tail = Tail::new(length);
                    wanted = tail.of(self, at);
                }
            }
            place = self.chains.before_of_three(place);
            if place <= oldest {
                break;
            }
        }
        best
    }

    /// The same by the chain of four. All positions must be entered, and the input go on for
    /// [`LOOKAHEAD`] bytes. Matches of three bytes are only found up to a distance of `near`.
    #[inline]
    pub(super) fn search_by_four(
        &self,
        before: Before,
        search: Search,
        near: u16,
    ) -> Option<(usize, u16)> {
        let at = self.at as u16;
        let mut oldest = at.saturating_sub(REACH as u16);
        if before.three == oldest {
            // The originals let the first one reach a byte further than the others.
            oldest = oldest.saturating_sub(1);
        }
        let mut place = before.four;
        let mut tail = Tail::new(search.longer_than.max(MIN_MATCH));
        let mut wanted = tail.whole(self, at);
        let mut best = None;
        let mut tries = search.tries;
        while place > oldest {
            if tail.whole(self, place) == wanted {
                let length = self.common(at, place);
                if length > tail.longest {
                    if self.chains.steps(at, place) > search.tries {
                        break;
                    }
                    best = Some((length, place));
                    if length >= search.nice {
                        break;
                    }
                    tail = Tail::new(length);
                    wanted = tail.whole(self, at);
                }
            }
            tries = tries.saturating_sub(1);
            if tries == 0
                && self.four(place.into()) == self.four(at.into())
                && self.chains.steps(at, place) >= search.tries
            {
                break;
            }
            place = self.chains.before_of_four(place);
        }
        if best.is_none() && search.longer_than < MIN_MATCH {
            return self.search_near(before.three, search.tries, near);
        }
        best
    }

    /// The nearest match of just three bytes.
    #[inline]
    fn search_near(&self, mut place: u16, tries: u16, near: u16) -> Option<(usize, u16)> {
        let at = self.at as u16;
        let tail = Tail::new(MIN_MATCH - 1);
        let wanted = tail.of(self, at);
        for _ in 0..tries {
            if place == 0 || at - place > near {
                break;
            }
            if tail.of(self, place) == wanted {
                return Some((MIN_MATCH, place));
            }
            place = self.chains.before_of_three(place);
        }
        None
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

/// Where to look first for a match that is longer than another: at the four bytes that end one
/// beyond its length, or three where there are no more.
#[derive(Clone, Copy)]
struct Tail {
    longest: usize,
    skip: u8,
    mask: u32,
}

impl Tail {
    #[inline]
    fn new(longest: usize) -> Self {
        let mask = if longest < MIN_MATCH { 0x00ff_ffff } else { u32::MAX };
        Self { longest, skip: longest.saturating_sub(MIN_MATCH) as u8, mask }
    }

    /// The bytes at a place.
    #[inline]
    fn of(self, window: &Window, place: u16) -> u32 {
        self.whole(window, place) & self.mask
    }

    /// The same where they are four.
    #[inline]
    fn whole(self, window: &Window, place: u16) -> u32 {
        window.four(usize::from(place) + usize::from(self.skip))
    }
}
