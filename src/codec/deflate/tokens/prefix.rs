//! Tables that find the symbol of a prefix code in the next bits of a stream.

use super::super::codes::{
    DISTANCE_BASE, DISTANCE_EXTRA, END_OF_BLOCK, LENGTH_BASE, LENGTH_EXTRA, MAX_CODE_BITS,
    canonical_codes,
};

/// Which alphabet a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Literals, the end of a block, and lengths.
    Literals,
    /// Distances.
    Distances,
    /// Code lengths.
    Lengths,
}

impl Kind {
    /// Bits that are looked up at once; longer codes take a second look.
    const fn first_bits(self) -> usize {
        match self {
            Self::Literals => 11,
            Self::Distances => 9,
            Self::Lengths => 7,
        }
    }
}

/// Code lengths that make no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableError;

/// What a look came to: from the lowest bit, 4 bits for the length of the code, 4 for the number of
/// extra bits, 2 for the kind, then 6 unused, and 16 for the value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry(u32);

const LITERAL: u32 = 0 << 8;
const BASE: u32 = 1 << 8;
const END: u32 = 2 << 8;
const LINK: u32 = 3 << 8;
const KIND: u32 = 3 << 8;

impl Entry {
    fn new(bits: u32, extra: u32, kind: u32, value: u32) -> Self {
        Self(bits | extra << 4 | kind | value << 16)
    }

    /// Length of the code in bits; 0 where the bits are no code.
    #[inline]
    pub(super) fn bits(self) -> usize {
        (self.0 & 15) as usize
    }

    #[inline]
    pub(super) fn extra_bits(self) -> usize {
        (self.0 >> 4 & 15) as usize
    }

    #[inline]
    pub(super) fn is_literal(self) -> bool {
        self.0 & KIND == LITERAL && self.0 & 15 != 0
    }

    /// Whether it is a number to which extra bits add.
    #[inline]
    pub(super) fn is_base(self) -> bool {
        self.0 & KIND == BASE
    }

    #[inline]
    pub(super) fn is_end(self) -> bool {
        self.0 & KIND == END && self.value() == 0
    }

    #[inline]
    pub(super) fn value(self) -> u32 {
        self.0 >> 16
    }
}

/// A table of one code.
#[derive(Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
    first: usize,
}

impl Table {
    /// Makes the table for code lengths. As in zlib a code must be complete, but for one that
    /// consists of a single code of one bit, and for one without any codes.
    pub(super) fn build(&mut self, kind: Kind, lengths: &[u8]) -> Result<(), TableError> {
        let longest = usize::from(lengths.iter().copied().max().unwrap_or(0));
        // Of 2^15 equal parts of the space of codes, how many are taken.
        let mut taken = 0u32;
        for &length in lengths.iter().filter(|&&length| length > 0) {
            taken += 1 << (MAX_CODE_BITS - u32::from(length));
        }
        let whole = 1 << MAX_CODE_BITS;
        let single = longest == 1 && kind != Kind::Lengths;
        if taken > whole || taken < whole && longest > 0 && !single {
            return Err(TableError);
        }
        self.first = kind.first_bits();
        self.entries.clear();
        self.entries.resize(1 << self.first, Entry::default());
        let mut codes = [0u16; 320];
        let codes = &mut codes[..lengths.len()];
        canonical_codes(lengths, codes);
        if longest > self.first {
            self.link(lengths, codes);
        }
        for (symbol, (&length, &code)) in lengths.iter().zip(&*codes).enumerate() {
            if length == 0 {
                continue;
            }
            let bits = u32::from(length);
            let entry = match meaning(kind, symbol) {
                Some((value, extra)) => Entry::new(bits, u32::from(extra), BASE, u32::from(value)),
                None if kind == Kind::Literals && symbol < END_OF_BLOCK => {
                    Entry::new(bits, 0, LITERAL, symbol as u32)
                }
                None if kind == Kind::Literals && symbol == END_OF_BLOCK => {
                    Entry::new(bits, 0, END, 0)
                }
                // A symbol that may have a code, but not stand in a stream.
                None => Entry::new(bits, 0, END, 1),
            };
            self.fill(usize::from(length), usize::from(code), entry);
        }
        Ok(())
    }

    /// Makes room for the codes that are longer than one look.
    fn link(&mut self, lengths: &[u8], codes: &[u16]) {
        let mask = (1 << self.first) - 1;
        let mut longest = vec![0u8; 1 << self.first];
        for (&length, &code) in lengths.iter().zip(codes) {
            let most = &mut longest[usize::from(code) & mask];
            *most = length.max(*most);
        }
        for (at, &length) in longest.iter().enumerate() {
            if usize::from(length) > self.first {
                let more = usize::from(length) - self.first;
                let from = self.entries.len() as u32;
                self.entries[at] = Entry::new(0, more as u32, LINK, from);
                self.entries.resize(self.entries.len() + (1 << more), Entry::default());
            }
        }
    }

    fn fill(&mut self, length: usize, code: usize, entry: Entry) {
        let (from, code, length, bits) = if length <= self.first {
            (0, code, length, self.first)
        } else {
            let link = self.entries[code & ((1 << self.first) - 1)];
            (link.value() as usize, code >> self.first, length - self.first, link.extra_bits())
        };
        let mut at = code;
        while at < 1 << bits {
            self.entries[from + at] = entry;
            at += 1 << length;
        }
    }

    /// Looks at the next bits.
    #[inline]
    pub(super) fn find(&self, word: u64) -> Entry {
        let entry = self.entries[(word & ((1 << self.first) - 1)) as usize];
        if entry.0 & KIND != LINK {
            return entry;
        }
        let more = word >> self.first & ((1 << entry.extra_bits()) - 1);
        self.entries[entry.value() as usize + more as usize]
    }
}

/// What symbol `symbol` of an alphabet stands for: a number, and how many extra bits add to it.
fn meaning(kind: Kind, symbol: usize) -> Option<(u16, u8)> {
    match kind {
        Kind::Lengths => Some((symbol as u16, 0)),
        Kind::Distances => Some((*DISTANCE_BASE.get(symbol)?, DISTANCE_EXTRA[symbol])),
        Kind::Literals => {
            let symbol = symbol.checked_sub(END_OF_BLOCK + 1)?;
            Some((*LENGTH_BASE.get(symbol)?, LENGTH_EXTRA[symbol]))
        }
    }
}
