//! The search for earlier occurrences: chains of places with the same hash.

use super::super::codes::{MAX_MATCH, WINDOW};
use super::settings::{Hash, MULTIPLIERS, Settings};

/// The plain bytes around a place.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// Bytes from some position on: the window before the place, and all that may be looked at behind it.
    pub(super) bytes: &'a [u8],
    /// Position of the first of them in the stream.
    pub(super) before: u64,
}

/// A match that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Match {
    /// 0 where there is none.
    pub(super) length: u32,
    pub(super) distance: u32,
}

/// Places count from here, so that 0 is out of reach of all of them.
const FIRST: u64 = 65536;

/// Bits of the hash of three bytes that is kept beside.
const SHORT_BITS: u32 = 15;

/// A search begins before the places that are remembered already, if they are so few.
const AHEAD: u32 = 8;

/// Remembers places by the bytes that begin there.
pub(super) struct Matcher {
    settings: Settings,
    /// For each hash the latest place.
    heads: Vec<u32>,
    /// For each place, by its lowest bits, the one before it with the same hash.
    earlier: Vec<u32>,
    /// For each hash of three bytes the latest place.
    shorts: Vec<u32>,
    /// For the latest places, by their lowest bits, the one before it with the same hash of three
    /// bytes.
    earlier_shorts: [u32; AHEAD as usize],
    multiplier: u64,
}

impl Matcher {
    pub(super) fn new(settings: Settings) -> Self {
        let shorts = if settings.short { 1 << SHORT_BITS } else { 0 };
        Self {
            settings,
            heads: vec![0; 1 << settings.hash_bits],
            earlier: vec![0; WINDOW],
            shorts: vec![0; shorts],
            earlier_shorts: [0; AHEAD as usize],
            multiplier: MULTIPLIERS[settings.multiplier as usize],
        }
    }

    /// The place of a view's byte `at`.
    #[inline]
    fn place(view: View, at: usize) -> u32 {
        (view.before + FIRST + at as u64) as u32
    }

    /// Hash of the bytes at `at`, where there are enough.
    #[inline]
    fn hash(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let count = self.settings.hash_bytes as usize;
        let bits = self.settings.hash_bits;
        if at + count > bytes.len() {
            return None;
        }
        Some(match self.settings.hash {
            Hash::Shifted => {
                let shift = bits.div_ceil(3);
                let [a, b, c] = [bytes[at], bytes[at + 1], bytes[at + 2]].map(u32::from);
                ((a << (2 * shift) ^ b << shift ^ c) & ((1 << bits) - 1)) as usize
            }
            Hash::LowFirst => self.multiply(low_first(bytes, at, count)),
            Hash::HighFirst => {
                let number = low_first(bytes, at, count).swap_bytes() >> (64 - 8 * count);
                self.multiply(number)
            }
        })
    }

    #[inline]
    fn multiply(&self, number: u64) -> usize {
        let bits = self.settings.hash_bits;
        if self.settings.hash_bytes <= 4 {
            ((number as u32).wrapping_mul(self.multiplier as u32) >> (32 - bits)) as usize
        } else {
            let high = number << (64 - 8 * self.settings.hash_bytes);
            (high.wrapping_mul(self.multiplier) >> (64 - bits)) as usize
        }
    }

    #[inline]
    fn short_hash(bytes: &[u8], at: usize) -> Option<usize> {
        if at + 3 > bytes.len() {
            return None;
        }
        let number = low_first(bytes, at, 3) as u32;
        Some((number.wrapping_mul(MULTIPLIERS[0] as u32) >> (32 - SHORT_BITS)) as usize)
    }

    /// Remembers the place `at`.
    #[inline]
    pub(super) fn remember(&mut self, view: View, at: usize) {
        let place = Self::place(view, at);
        if let Some(hash) = self.hash(view.bytes, at) {
            let head = &mut self.heads[hash];
            self.earlier[place as usize % WINDOW] = *head;
            *head = place;
        }
        if self.settings.short
            && let Some(hash) = Self::short_hash(view.bytes, at)
        {
            let latest = &mut self.shorts[hash];
            self.earlier_shorts[(place % AHEAD) as usize] = *latest;
            *latest = place;
        }
    }

    /// The nearest of the longest matches at `at` that are longer than `than`, among the first
    /// `depth` places.
    #[inline]
    pub(super) fn longest(&self, view: View, at: usize, than: u32, depth: u32) -> Match {
        let bytes = view.bytes;
        let most = MAX_MATCH.min(bytes.len() - at);
        let nice = (self.settings.nice as usize).min(most);
        let mut best = than as usize;
        let mut found = Match::default();
        if best >= most {
            return found;
        }
        if self.settings.short && best < 3 {
            let Some(distance) = self.short_distance(view, at) else { return found };
            let from = at - distance;
            if bytes[from..from + 3] == bytes[at..at + 3] {
                best = 3;
                found = Match { length: 3, distance: distance as u32 };
            }
        }
        let least = self.settings.shortest.max(if self.settings.short { 4 } else { 3 }) as usize;
        best = best.max(least - 1);
        let mut places = self.places(view, at);
        for _ in 0..depth {
            let Some(distance) = places.next() else { break };
            if best >= most {
                break;
            }
            let from = at - distance;
            if bytes[from + best] != bytes[at + best] || bytes[from] != bytes[at] {
                continue;
            }
            let length = alike(bytes, from, at, most);
            if length > best {
                best = length;
                found = Match { length: length as u32, distance: distance as u32 };
                if length >= nice {
                    break;
                }
            }
        }
        found
    }

    /// Distances of earlier places with the hash of the bytes at `at`, nearest first.
    #[inline]
    fn places(&self, view: View, at: usize) -> Places<'_> {
        let place = Self::place(view, at);
        let mut next = self.hash(view.bytes, at).map_or(0, |hash| self.heads[hash]);
        while next.wrapping_sub(place) < AHEAD {
            next = self.earlier[next as usize % WINDOW];
        }
        Places {
            earlier: &self.earlier,
            place,
            next,
            above: 0,
            reach: self.settings.reach.min(at as u32),
        }
    }

    /// Distance of the latest earlier place with the hash of the three bytes at `at`.
    #[inline]
    fn short_distance(&self, view: View, at: usize) -> Option<usize> {
        let place = Self::place(view, at);
        let mut latest = self.shorts[Self::short_hash(view.bytes, at)?];
        while latest.wrapping_sub(place) < AHEAD {
            latest = self.earlier_shorts[(latest % AHEAD) as usize];
        }
        let distance = place.wrapping_sub(latest);
        (distance <= self.settings.reach.min(at as u32)).then_some(distance as usize)
    }

    /// How many of the places at `at` hold at least `length` bytes alike before the one at
    /// `distance` comes; `None` where it does not come among the first [`FAR`].
    pub(super) fn rank(&self, view: View, at: usize, length: u32, distance: u32) -> Option<u32> {
        let mut rank = 0;
        for candidate in self.candidates(view, at, length) {
            if candidate == distance {
                return Some(rank);
            }
            rank += 1;
        }
        None
    }

    /// The distance that has this rank.
    pub(super) fn ranked(&self, view: View, at: usize, length: u32, rank: u32) -> Option<u32> {
        self.candidates(view, at, length).nth(rank as usize)
    }

    fn candidates(&self, view: View, at: usize, length: u32) -> impl Iterator<Item = u32> {
        let length = length as usize;
        let enough = at + length <= view.bytes.len();
        let short = (self.settings.short && enough && length == 3)
            .then(|| self.short_distance(view, at))
            .flatten();
        short
            .into_iter()
            .chain(self.places(view, at).take(if enough { FAR } else { 0 }))
            .filter(move |&distance| {
                let from = at - distance;
                view.bytes[from..from + length] == view.bytes[at..at + length]
            })
            .map(|distance| distance as u32)
    }
}

/// So many places are looked at when a distance is corrected.
const FAR: usize = 1024;

struct Places<'a> {
    earlier: &'a [u32],
    place: u32,
    next: u32,
    /// The next distance must be greater.
    above: u32,
    reach: u32,
}

impl Iterator for Places<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let distance = self.place.wrapping_sub(self.next);
        if distance > self.reach || distance <= self.above {
            return None;
        }
        self.above = distance;
        self.next = self.earlier[self.next as usize % WINDOW];
        Some(distance as usize)
    }
}

/// `count` bytes as a number, the first one lowest.
#[inline]
fn low_first(bytes: &[u8], at: usize, count: usize) -> u64 {
    if let Some(eight) = bytes.get(at..at + 8) {
        let number = u64::from_le_bytes(eight.try_into().unwrap_or_default());
        return number & (u64::MAX >> (64 - 8 * count));
    }
    bytes[at..at + count].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// How many bytes are alike at two places, at most `most`.
#[inline]
fn alike(bytes: &[u8], from: usize, at: usize, most: usize) -> usize {
    let (earlier, later) = (&bytes[from..from + most], &bytes[at..at + most]);
    let mut length = 0;
    for (a, b) in earlier.chunks_exact(8).zip(later.chunks_exact(8)) {
        let a = u64::from_le_bytes(a.try_into().unwrap_or_default());
        let b = u64::from_le_bytes(b.try_into().unwrap_or_default());
        if a != b {
            return length + ((a ^ b).trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    while length < most && earlier[length] == later[length] {
        length += 1;
    }
    length
}
