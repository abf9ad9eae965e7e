//! What is assumed about the encoder that made a stream.

use super::range::Coder;

/// How the next few bytes are hashed. The buckets decide which bytes an encoder takes for a
/// possible match, so encoders that search a limited number of them differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// Three bytes, shifted and xored (zlib, gzip).
    Shifted,
    /// Bytes as a number, the first one lowest, times a constant.
    LowFirst,
    /// Bytes as a number, the first one highest, times a constant.
    HighFirst,
}

/// When a match gives way to one that begins a byte later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lazy {
    /// Never.
    Never,
    /// When that one is longer.
    Longer,
    /// When that one is worth more by length and distance.
    Worth,
    /// Likewise, and a look two bytes ahead.
    WorthTwice,
}

/// All that is assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) hash: Hash,
    /// Bytes that are hashed, 3 to 8; 3 for [`Hash::Shifted`].
    pub(super) hash_bytes: u32,
    /// Bits of the hash, 8 to 18.
    pub(super) hash_bits: u32,
    /// Which constant the bytes are multiplied by, an index of [`MULTIPLIERS`].
    pub(super) multiplier: u32,
    /// Whether the latest place of each three bytes is known beside.
    pub(super) short: bool,
    /// Length of the shortest match, 3 to 8.
    pub(super) shortest: u32,
    /// How many places are looked at, 1 to 4096.
    pub(super) depth: u32,
    /// From this length on the look ahead is less deep, 0 to 258.
    pub(super) good: u32,
    /// How much less, as a power of two, 0 to 7.
    pub(super) good_shift: u32,
    /// From this length on there is no look ahead, 0 to 259.
    pub(super) patient: u32,
    /// A match of this length ends the search, 3 to 258.
    pub(super) nice: u32,
    pub(super) lazy: Lazy,
    /// Matches of the shortest length that are farther away are not taken, 0 to 32768.
    pub(super) too_far: u32,
    /// No match is farther away, 0 to 32768.
    pub(super) reach: u32,
    /// Inside matches that are longer no places are remembered, 0 to 258.
    pub(super) remembered: u32,
    /// How many places at the end of such matches are remembered all the same, 0 to 7.
    pub(super) tail: u32,
}

/// Constants to multiply by.
pub(super) const MULTIPLIERS: [u64; 4] =
    [0x1e35_a7bd, 0x9e37_79b1, 889_523_592_379, 58_295_818_150_454_627];

/// A field: how to read it, how to write it, its bits, its least and its greatest value.
type Field = (fn(&Settings) -> u32, fn(&mut Settings, u32), u32, u32, u32);

const FIELDS: [Field; 16] = [
    (|s| s.hash as u32, |s, v| s.hash = HASHES[v as usize], 2, 0, 2),
    (|s| s.hash_bytes, |s, v| s.hash_bytes = v, 4, 3, 8),
    (|s| s.hash_bits, |s, v| s.hash_bits = v, 5, 8, 18),
    (|s| s.multiplier, |s, v| s.multiplier = v, 4, 0, MULTIPLIERS.len() as u32 - 1),
    (|s| u32::from(s.short), |s, v| s.short = v == 1, 1, 0, 1),
    (|s| s.shortest, |s, v| s.shortest = v, 4, 3, 8),
    (|s| s.depth, |s, v| s.depth = v, 13, 1, 4096),
    (|s| s.good, |s, v| s.good = v, 9, 0, 258),
    (|s| s.good_shift, |s, v| s.good_shift = v, 3, 0, 7),
    (|s| s.patient, |s, v| s.patient = v, 9, 0, 259),
    (|s| s.nice, |s, v| s.nice = v, 9, 3, 258),
    (|s| s.lazy as u32, |s, v| s.lazy = LAZIES[v as usize], 3, 0, 3),
    (|s| s.too_far, |s, v| s.too_far = v, 16, 0, 32768),
    (|s| s.reach, |s, v| s.reach = v, 16, 0, 32768),
    (|s| s.remembered, |s, v| s.remembered = v, 9, 0, 258),
    (|s| s.tail, |s, v| s.tail = v, 3, 0, 7),
];

const HASHES: [Hash; 3] = [Hash::Shifted, Hash::LowFirst, Hash::HighFirst];
const LAZIES: [Lazy; 4] = [Lazy::Never, Lazy::Longer, Lazy::Worth, Lazy::WorthTwice];

impl Settings {
    /// Codes the settings; `None` where what is read makes none.
    pub(super) fn code(self, coder: &mut impl Coder) -> Option<Self> {
        let mut found = self;
        for (get, set, bits, least, greatest) in FIELDS {
            let value = coder.raw(get(&self), bits);
            if !(least..=greatest).contains(&value) {
                return None;
            }
            set(&mut found, value);
        }
        (found.hash != Hash::Shifted || found.hash_bytes == 3).then_some(found)
    }
}

/// The lazy search of zlib and gzip: depth, good, patient, nice.
const fn zlib(bits: u32, numbers: [u32; 4]) -> Settings {
    let [good, patient, nice, depth] = numbers;
    Settings {
        hash: Hash::Shifted,
        hash_bytes: 3,
        hash_bits: bits,
        multiplier: 0,
        short: false,
        shortest: 3,
        depth,
        good,
        good_shift: 2,
        patient,
        nice,
        lazy: Lazy::Longer,
        too_far: 4096,
        reach: 32768 - 262,
        remembered: 258,
        tail: 0,
    }
}

/// The quick search of zlib and gzip.
const fn zlib_fast(bits: u32, numbers: [u32; 4]) -> Settings {
    let lazy = zlib(bits, numbers);
    Settings { lazy: Lazy::Never, too_far: 32768, remembered: lazy.patient, ..lazy }
}

/// Go's search before 1.27.
const fn go(numbers: [u32; 4]) -> Settings {
    let lazy = zlib(17, numbers);
    Settings {
        hash: Hash::HighFirst,
        hash_bytes: 4,
        shortest: 4,
        good_shift: 0,
        reach: 32768,
        ..lazy
    }
}

const fn go_fast(numbers: [u32; 4], remembered: u32) -> Settings {
    let lazy = go(numbers);
    Settings { lazy: Lazy::Never, remembered, ..lazy }
}

/// libdeflate's searches with chains.
const fn libdeflate(lazy: Lazy, depth: u32, nice: u32) -> Settings {
    let too_far = if matches!(lazy, Lazy::Never) { 4096 } else { 8192 };
    Settings {
        hash: Hash::LowFirst,
        hash_bytes: 4,
        hash_bits: 16,
        multiplier: 0,
        short: true,
        shortest: 3,
        depth,
        good: 0,
        good_shift: 1,
        patient: nice,
        nice,
        lazy,
        too_far,
        reach: 32767,
        remembered: 258,
        tail: 0,
    }
}

/// A table with one place for each hash.
const fn latest(hash_bytes: u32, multiplier: u32, hash_bits: u32) -> Settings {
    Settings {
        hash_bits,
        hash_bytes,
        multiplier,
        short: false,
        shortest: 4,
        lazy: Lazy::Never,
        too_far: 32768,
        reach: 32768,
        ..libdeflate(Lazy::Never, 1, 258)
    }
}

/// Settings from which the search for the right ones begins; no part of the format.
pub(super) const KNOWN: &[Settings] = &[
    Settings { reach: 0, ..latest(4, 0, 8) },
    Settings { reach: 1, shortest: 3, ..zlib_fast(8, [4, 258, 258, 1]) },
    Settings { reach: 1, ..zlib(8, [4, 258, 258, 1]) },
    zlib(15, [8, 16, 128, 128]),
    zlib(15, [32, 258, 258, 4096]),
    zlib(15, [8, 32, 128, 256]),
    zlib(15, [32, 128, 258, 1024]),
    zlib(15, [8, 16, 32, 32]),
    zlib(15, [4, 4, 16, 16]),
    zlib_fast(15, [4, 6, 32, 32]),
    zlib_fast(15, [4, 5, 16, 8]),
    zlib_fast(15, [4, 4, 8, 4]),
    zlib(16, [8, 16, 128, 128]),
    zlib(16, [32, 258, 258, 4096]),
    go([8, 16, 128, 128]),
    go([32, 258, 258, 4096]),
    go([8, 32, 128, 256]),
    go([32, 128, 258, 1024]),
    go([8, 16, 32, 32]),
    go([4, 4, 16, 16]),
    go_fast([4, 0, 32, 32], 6),
    go_fast([4, 0, 16, 8], 5),
    libdeflate(Lazy::Never, 6, 10),
    libdeflate(Lazy::Never, 12, 14),
    libdeflate(Lazy::Never, 16, 30),
    libdeflate(Lazy::Worth, 16, 30),
    libdeflate(Lazy::Worth, 35, 65),
    libdeflate(Lazy::Worth, 100, 130),
    libdeflate(Lazy::WorthTwice, 300, 258),
    libdeflate(Lazy::WorthTwice, 600, 258),
    latest(4, 0, 14),
    latest(4, 0, 15),
    latest(4, 1, 16),
    Settings { remembered: 0, tail: 1, ..latest(4, 0, 14) },
];

#[cfg(test)]
mod tests {
    use super::super::range::{Reader, Writer};
    use super::*;

    #[test]
    fn settings_come_back_as_they_were_written() {
        for &settings in KNOWN {
            let mut writer = Writer::new();
            assert_eq!(settings.code(&mut writer), Some(settings));
            let mut reader = Reader::new(Box::new(std::io::Cursor::new(writer.finish())));
            reader.start();
            assert_eq!(KNOWN[0].code(&mut reader), Some(settings));
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_none() {
        let mut writer = Writer::new();
        let broken = Settings { depth: 0, ..KNOWN[0] };
        assert_eq!(broken.code(&mut writer), None);
    }
}
