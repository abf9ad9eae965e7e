//! Who encodes, and how hard it tries.

use super::block::Capacity;

/// A member of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// zlib as it is released, any version from 1.2.0 to 1.3.x; not its forks. The strategy is the
    /// default one, and so is the window (15 bits).
    Zlib {
        /// The `memLevel` of `deflateInit2`, 1 to 9. 8 unless somebody asked for something else.
        mem_level: u8,
    },
    /// GNU gzip.
    Gzip,
    /// `busybox gzip`.
    BusyBox {
        /// `CONFIG_GZIP_FAST` with which it was built, 0 to 2. Debian builds it with 2.
        fast: u8,
    },
}

/// A program and its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Who encodes.
    pub program: Program,
    /// 1 to 9; [`Program::BusyBox`] knows only 4 to 9, and is built with 6 as the only one where
    /// `FEATURE_GZIP_LEVELS` is off.
    pub level: u8,
}

/// What a program does where its input ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// No match is searched for beyond the end.
    Clipped,
    /// Old bytes behind the end are taken for more input while a match is searched for.
    Open,
    /// The same, but two zeros stand behind the end, and where the window is full nothing more is
    /// searched for.
    Guarded,
}

/// All that tells one setting from another.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// Takes the first match it finds, instead of looking whether the next byte has a longer one.
    pub(super) greedy: bool,
    /// Where the match before is this long, a quarter of the tries must do.
    pub(super) good: usize,
    /// Where the match before is this long, none is searched for; where `greedy`, longer matches
    /// are not entered into the chains.
    pub(super) lazy: usize,
    /// A match this long ends the search.
    pub(super) nice: usize,
    /// How many earlier places are looked at.
    pub(super) tries: u16,
    pub(super) hash_bits: u32,
    pub(super) capacity: Capacity,
    pub(super) ending: Ending,
}

impl Setting {
    /// The rules of the setting, if there is such a one.
    pub(super) fn rules(self) -> Option<Rules> {
        // All of them have kept the levels of gzip.
        let (good, lazy, nice, tries) = match self.level {
            1 => (4, 4, 8, 4),
            2 => (4, 5, 16, 8),
            3 => (4, 6, 32, 32),
            4 => (4, 4, 16, 16),
            5 => (8, 16, 32, 32),
            6 => (8, 16, 128, 128),
            7 => (8, 32, 128, 256),
            8 => (32, 128, 258, 1024),
            9 => (32, 258, 258, 4096),
            _ => return None,
        };
        let greedy = self.level < 4;
        let (hash_bits, buffer, guesses, ending) = match self.program {
            Program::Zlib { mem_level: level @ 1..=9 } => {
                let level = u32::from(level);
                (level + 7, 1 << (level + 6), false, Ending::Clipped)
            }
            Program::Gzip => (15, 0x8000, self.level > 2, Ending::Guarded),
            Program::BusyBox { fast: fast @ 0..=2 } if !greedy => {
                (13 + u32::from(fast), 0x2000 << fast, true, Ending::Open)
            }
            _ => return None,
        };
        let capacity = Capacity { symbols: buffer - 1, guesses };
        Some(Rules { greedy, good, lazy, nice, tries, hash_bits, capacity, ending })
    }
}
