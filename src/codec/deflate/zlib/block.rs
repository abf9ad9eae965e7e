//! A block: the symbols it gathers, when it is full, and the form in which it is written.

use super::super::bits::BitWriter;
use super::super::codes::{
    DISTANCE_BASE, DISTANCE_EXTRA, DISTANCES, END_OF_BLOCK, FIXED_LITERAL_LENGTHS, LENGTH_BASE,
    LENGTH_CODE_ORDER, LENGTH_CODES, LENGTH_EXTRA, LENGTH_SYMBOL, LITERALS, MAX_CODE_BITS,
    MAX_LENGTH_CODE_BITS, MIN_MATCH, canonical_codes, distance_symbol,
};
use super::trees::{Run, code_lengths, extra_bits, runs};

/// Bits of a distance code in a block with fixed codes.
const FIXED_DISTANCE_BITS: u8 = 5;

/// When a block ends before its input does.
#[derive(Clone, Copy)]
pub(super) struct Capacity {
    /// As many symbols as it takes.
    pub(super) symbols: usize,
    /// Whether it also ends at a multiple of 4096 symbols where it seems to compress well, in the
    /// hope that the next one does better with codes of its own.
    pub(super) guesses: bool,
}

/// The symbols of a block and how often each is used.
pub(super) struct Block {
    capacity: Capacity,
    /// Distance above a literal (distance 0) or a match length minus 3.
    symbols: Vec<u32>,
    literals: [u16; LITERALS],
    distances: [u16; DISTANCES],
}

impl Block {
    pub(super) fn new(capacity: Capacity) -> Self {
        let mut block = Self {
            capacity,
            symbols: Vec::with_capacity(capacity.symbols),
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
        };
        block.clear();
        block
    }

    fn clear(&mut self) {
        self.symbols.clear();
        self.literals = [0; LITERALS];
        self.literals[END_OF_BLOCK] = 1;
        self.distances = [0; DISTANCES];
    }

    pub(super) fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// Adds a literal; the answer is that of [`Block::is_full`].
    #[inline]
    pub(super) fn literal(&mut self, byte: u8, covered: usize) -> bool {
        self.symbols.push(byte.into());
        self.literals[byte as usize] += 1;
        self.is_full(covered)
    }

    /// Adds a match; the answer is that of [`Block::is_full`].
    #[inline]
    pub(super) fn copy(&mut self, length: usize, distance: usize, covered: usize) -> bool {
        let length = (length - MIN_MATCH) as u8;
        self.symbols.push((distance as u32) << 8 | u32::from(length));
        self.literals[END_OF_BLOCK + 1 + LENGTH_SYMBOL[length as usize] as usize] += 1;
        self.distances[distance_symbol(distance as u32)] += 1;
        self.is_full(covered)
    }

    /// Whether the block ends here: `covered` plain bytes are decided.
    #[inline]
    fn is_full(&self, covered: usize) -> bool {
        let count = self.symbols.len();
        count == self.capacity.symbols
            || (count.is_multiple_of(0x1000) && self.capacity.guesses && self.does_well(covered))
    }

    /// gzip's estimate: literals and lengths at 8 bits, distances at 5, come to less than half of
    /// what they stand for, and fewer than half of the symbols are matches.
    fn does_well(&self, covered: usize) -> bool {
        let (mut copies, mut bits) = (0, self.symbols.len() * 8);
        for (&count, extra) in self.distances.iter().zip(DISTANCE_EXTRA) {
            copies += usize::from(count);
            bits += usize::from(count) * (5 + usize::from(extra));
        }
        copies < self.symbols.len() / 2 && bits / 8 < covered / 2
    }

    /// Writes the block in the shortest of the three forms and begins a new one. `covered` says how
    /// many plain bytes it stands for; they are given where they could still be stored.
    pub(super) fn flush(
        &mut self,
        covered: usize,
        plain: Option<&[u8]>,
        last: bool,
        out: &mut BitWriter,
    ) {
        let header = Header::new(&self.literals, &self.distances);
        // In bytes, as the originals compare them, with three bits of block type.
        let own = header.bits + self.bits_with(&header.literals, &header.distances);
        let fixed = self.bits_with(&FIXED_LITERAL_LENGTHS, &[FIXED_DISTANCE_BITS; DISTANCES]);
        let (own, fixed) = ((own + 3).div_ceil(8), (fixed + 3).div_ceil(8));
        match plain {
            Some(plain) if covered + 4 <= own.min(fixed) => {
                out.put(last.into(), 3);
                out.align();
                out.put(covered as u64 | (!covered as u64 & 0xffff) << 16, 32);
                out.bytes(plain);
            }
            _ if fixed <= own => {
                out.put(u64::from(last) | 1 << 1, 3);
                let distances = [FIXED_DISTANCE_BITS; DISTANCES];
                Codes::new(&FIXED_LITERAL_LENGTHS, &distances).encode(&self.symbols, out);
            }
            _ => {
                out.put(u64::from(last) | 2 << 1, 3);
                header.write(out);
                Codes::new(&header.literals, &header.distances).encode(&self.symbols, out);
            }
        }
        if last {
            out.align();
        }
        self.clear();
    }

    /// Bits of all symbols with codes of the given lengths.
    fn bits_with(&self, literals: &[u8], distances: &[u8]) -> usize {
        let sum = |counts: &[u16], lengths: &[u8]| -> usize {
            counts.iter().zip(lengths).map(|(&n, &bits)| usize::from(n) * usize::from(bits)).sum()
        };
        sum(&self.literals, literals)
            + sum(&self.literals[END_OF_BLOCK + 1..], &LENGTH_EXTRA)
            + sum(&self.distances, distances)
            + sum(&self.distances, &DISTANCE_EXTRA)
    }
}

/// The code lengths of a block with codes of its own, and how they are written.
struct Header {
    literals: [u8; LITERALS],
    distances: [u8; DISTANCES],
    last_literal: usize,
    last_distance: usize,
    runs: Vec<Run>,
    lengths: [u8; LENGTH_CODES],
    /// How many of the code lengths of code lengths are written.
    written: usize,
    /// Its own length, without the block type.
    bits: usize,
}

impl Header {
    fn new(literal_counts: &[u16; LITERALS], distance_counts: &[u16; DISTANCES]) -> Self {
        let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
        let longest = MAX_CODE_BITS as u8;
        let last_literal = code_lengths(literal_counts, longest, &mut literals);
        let last_distance = code_lengths(distance_counts, longest, &mut distances);
        let (mut counts, mut cut) = ([0; LENGTH_CODES], Vec::with_capacity(LITERALS + DISTANCES));
        runs(&literals[..=last_literal], &mut counts, &mut cut);
        runs(&distances[..=last_distance], &mut counts, &mut cut);
        let mut lengths = [0; LENGTH_CODES];
        code_lengths(&counts, MAX_LENGTH_CODE_BITS as u8, &mut lengths);
        let mut written = LENGTH_CODES;
        while written > 4 && lengths[LENGTH_CODE_ORDER[written - 1] as usize] == 0 {
            written -= 1;
        }
        let bits = cut.iter().map(|run| lengths[run.symbol as usize] + extra_bits(run.symbol));
        let bits = bits.map(usize::from).sum::<usize>() + 5 + 5 + 4 + 3 * written;
        Self { literals, distances, last_literal, last_distance, runs: cut, lengths, written, bits }
    }

    fn write(&self, out: &mut BitWriter) {
        out.put((self.last_literal - END_OF_BLOCK) as u64, 5);
        out.put(self.last_distance as u64, 5);
        out.put(self.written as u64 - 4, 4);
        for &symbol in &LENGTH_CODE_ORDER[..self.written] {
            out.put(self.lengths[symbol as usize].into(), 3);
        }
        let mut codes = [0; LENGTH_CODES];
        canonical_codes(&self.lengths, &mut codes);
        for run in &self.runs {
            let symbol = run.symbol as usize;
            let (code, length) = (codes[symbol], self.lengths[symbol]);
            let bits = u64::from(code) | u64::from(run.extra) << length;
            out.put(bits, u32::from(length + extra_bits(run.symbol)));
        }
    }
}

/// Bits, the lowest first, and how many.
#[derive(Clone, Copy, Default)]
struct Code {
    bits: u32,
    count: u32,
}

/// What is written for every literal, match length and distance.
struct Codes {
    literals: [Code; 256],
    /// By match length minus 3, the extra bits included.
    lengths: [Code; 256],
    distances: [Code; DISTANCES],
    end: Code,
}

impl Codes {
    fn new(literal_lengths: &[u8], distance_lengths: &[u8; DISTANCES]) -> Self {
        let mut codes = [0; FIXED_LITERAL_LENGTHS.len()];
        canonical_codes(literal_lengths, &mut codes);
        let code = |symbol: usize| Code {
            bits: codes[symbol].into(),
            count: literal_lengths[symbol].into(),
        };
        let mut lengths = [Code::default(); 256];
        for (length, entry) in lengths.iter_mut().enumerate() {
            let symbol = LENGTH_SYMBOL[length] as usize;
            let code = code(END_OF_BLOCK + 1 + symbol);
            let extra = (length + MIN_MATCH) as u32 - u32::from(LENGTH_BASE[symbol]);
            entry.bits = code.bits | extra << code.count;
            entry.count = code.count + u32::from(LENGTH_EXTRA[symbol]);
        }
        let mut codes = [0; DISTANCES];
        canonical_codes(distance_lengths, &mut codes);
        let distances = std::array::from_fn(|symbol| Code {
            bits: codes[symbol].into(),
            count: distance_lengths[symbol].into(),
        });
        Self { literals: std::array::from_fn(code), lengths, distances, end: code(END_OF_BLOCK) }
    }

    /// Writes all symbols and the end of the block.
    fn encode(&self, symbols: &[u32], out: &mut BitWriter) {
        // What has come together but is not yet written: at most 48 bits.
        let (mut held, mut count) = (0u64, 0);
        for &symbol in symbols {
            let (low, distance) = ((symbol & 0xff) as usize, symbol >> 8);
            let Code { mut bits, count: mut more } =
                if distance == 0 { self.literals[low] } else { self.lengths[low] };
            if count + more > 48 {
                out.put(held, count);
                (held, count) = (0, 0);
            }
            held |= u64::from(bits) << count;
            count += more;
            if distance > 0 {
                let symbol = distance_symbol(distance);
                Code { bits, count: more } = self.distances[symbol];
                bits |= (distance - u32::from(DISTANCE_BASE[symbol])) << more;
                more += u32::from(DISTANCE_EXTRA[symbol]);
                if count + more > 48 {
                    out.put(held, count);
                    (held, count) = (0, 0);
                }
                held |= u64::from(bits) << count;
                count += more;
            }
        }
        out.put(held, count);
        out.put(self.end.bits.into(), self.end.count);
    }
}
