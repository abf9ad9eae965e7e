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

/// A gap between places that is at least so wide is out of reach.
const FAR_GAP: u32 = 65535;

/// Bits of the hash of three bytes that is kept beside.
const SHORT_BITS: u32 = 15;

/// A search begins before the places that are remembered already, if they are so few.
const AHEAD: u32 = 8;

/// Each place that is remembered allows to look at so many places. Hardly any stream needs them; the
/// limit is for those that are made to cost time.
const ALLOWED: u32 = 256;
/// So much is kept for what needs more.
const MOST_BUDGET: u32 = 1 << 24;
/// So many places may always be looked at.
const ALWAYS: u32 = 16;
/// A comparison costs one more for each so many bytes that are alike.
const COMPARED: usize = 16;

/// Remembers places by the bytes that begin there.
pub(super) struct Matcher {
    settings: Settings,
    /// For each hash the latest place.
    heads: Vec<u32>,
    /// For each place, by its lowest bits, how far before it one with the same hash is.
    earlier: Vec<u16>,
    /// For each hash of three bytes the latest place.
    shorts: Vec<u32>,
    /// For the latest places, by their lowest bits, the one before it with the same hash of three
    /// bytes.
    earlier_shorts: [u32; AHEAD as usize],
    multiplier: u64,
    /// What may be spent on searches.
    budget: u32,
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
            budget: MOST_BUDGET,
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
        self.budget = (self.budget + ALLOWED).min(MOST_BUDGET);
        if let Some(hash) = self.hash(view.bytes, at) {
            let head = &mut self.heads[hash];
            // No gap is 0, even where places have come round.
            let gap = place.wrapping_sub(*head).wrapping_sub(1).min(FAR_GAP - 1) + 1;
            self.earlier[place as usize % WINDOW] = gap as u16;
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
    pub(super) fn longest(&mut self, view: View, at: usize, than: u32, depth: u32) -> Match {
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
        if best >= most {
            return found;
        }
        // Only a place that has these four bytes too can have a longer match.
        let mut last = best.saturating_sub(3);
        let mut mask = if best < 3 { 0xff_ffff } else { u32::MAX };
        let mut wanted = four(bytes, at + last) & mask;
        let depth = depth.min(self.budget.max(ALWAYS));
        let mut spent = 0;
        for distance in self.places(view, at).take(depth as usize) {
            spent += 1;
            let from = at - distance;
            if four(bytes, from + last) & mask != wanted {
                continue;
            }
            let length = alike(bytes, from, at, most);
            spent += length / COMPARED;
            if length > best {
                best = length;
                found = Match { length: length as u32, distance: distance as u32 };
                if length >= nice {
                    break;
                }
                last = best - 3;
                mask = u32::MAX;
                wanted = four(bytes, at + last);
            }
        }
        self.budget = self.budget.saturating_sub(spent as u32);
        found
    }

    /// Distances of earlier places with the hash of the bytes at `at`, nearest first.
    #[inline]
    fn places(&self, view: View, at: usize) -> Places<'_> {
        let place = Self::place(view, at);
        let mut next = self.hash(view.bytes, at).map_or(0, |hash| self.heads[hash]);
        for _ in 0..AHEAD {
            if next.wrapping_sub(place) >= AHEAD {
                break;
            }
            next = next.wrapping_sub(u32::from(self.earlier[next as usize % WINDOW]));
        }
        Places {
            earlier: &self.earlier,
            place,
            distance: place.wrapping_sub(next),
            reach: self.settings.reach.min(at as u32),
        }
    }

    /// Distance of the latest earlier place with the hash of the three bytes at `at`.
    #[inline]
    fn short_distance(&self, view: View, at: usize) -> Option<usize> {
        let place = Self::place(view, at);
        let mut latest = self.shorts[Self::short_hash(view.bytes, at)?];
        for _ in 0..AHEAD {
            if latest.wrapping_sub(place) >= AHEAD {
                break;
            }
            latest = self.earlier_shorts[(latest % AHEAD) as usize];
        }
        let distance = place.wrapping_sub(latest);
        (distance <= self.settings.reach.min(at as u32)).then_some(distance as usize)
    }

    /// How many of the places at `at` hold at least `length` bytes alike before the one at
    /// `distance` comes; `None` where it does not come among the first [`FAR`].
    pub(super) fn rank(&self, view: View, at: usize, length: u32, distance: u32) -> Option<u32> {
        let at = self.candidates(view, at, length).position(|candidate| candidate == distance);
        at.map(|rank| rank as u32)
    }

    /// The distance that has this rank.
    pub(super) fn ranked(&mut self, view: View, at: usize, length: u32, rank: u32) -> Option<u32> {
        let found = self.candidates(view, at, length).nth(rank as usize);
        self.budget = self.budget.saturating_sub(RANKED);
        found
    }

    fn candidates(&self, view: View, at: usize, length: u32) -> impl Iterator<Item = u32> {
        let length = length as usize;
        let enough = at + length <= view.bytes.len();
        let far = if enough { FAR.min(self.budget.max(ALWAYS)) as usize } else { 0 };
        let short = (self.settings.short && enough && length == 3)
            .then(|| self.short_distance(view, at))
            .flatten();
        short
            .into_iter()
            .chain(self.places(view, at).take(far))
            .filter(move |&distance| {
                let from = at - distance;
                view.bytes[from..from + length] == view.bytes[at..at + length]
            })
            .map(|distance| distance as u32)
    }
}

/// So many places are looked at when a distance is corrected.
const FAR: u32 = 1024;
/// What that costs.
const RANKED: u32 = 256;

struct Places<'a> {
    earlier: &'a [u16],
    place: u32,
    /// Distance of the next one.
    distance: u32,
    reach: u32,
}

impl Iterator for Places<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let distance = self.distance;
        if distance > self.reach {
            return None;
        }
        let gap = self.earlier[self.place.wrapping_sub(distance) as usize % WINDOW];
        self.distance = distance + u32::from(gap);
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

/// Four bytes as a number; zeros behind the end.
#[inline]
fn four(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 4) {
        Some(four) => u32::from_le_bytes(four.try_into().unwrap_or_default()),
        None => bytes[at..].iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)),
    }
}

/// How many bytes are alike at two places, at most `most`.
#[inline]
fn alike(bytes: &[u8], from: usize, at: usize, most: usize) -> usize {
    let (earlier, later) = (&bytes[from..from + most], &bytes[at..at + most]);
    let mut length = 0;
    while let (Some(a), Some(b)) = (earlier.get(length..length + 8), later.get(length..length + 8))
    {
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
