//! Blocks as Go writes them: which form a block takes, and its bits.

use super::buffer::zeros;
use super::lengths::choose;
use crate::codec::deflate::BitWriter;
use crate::codec::deflate::codes::{
    DISTANCE_BASE, DISTANCE_EXTRA, DISTANCES, END_OF_BLOCK, FIXED_LITERAL_LENGTHS, LENGTH_BASE,
    LENGTH_CODE_ORDER, LENGTH_CODES, LENGTH_EXTRA, LENGTH_SYMBOL, LITERALS, MAX_CODE_BITS,
    MAX_LENGTH_CODE_BITS, MIN_MATCH, canonical_codes, distance_symbol,
};

/// The longest stored block.
pub(super) const STORED_MAX: usize = 65535;

/// Bits of a dynamic block before the lengths of codes: its kind and how many of each there are.
const TREE_HEAD: u64 = 3 + 5 + 5 + 4;
/// The most tokens of a block.
const TOKENS_MAX: usize = 1 << 16;
const END: usize = END_OF_BLOCK;
/// Bits of a token below its distance: a literal, or 256 and a match length less 3.
const KIND_BITS: u32 = 9;
const KINDS: usize = 1 << KIND_BITS;
const MATCHES: usize = 256;

/// How hard Go looks for the smallest form of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// The smallest of fixed, dynamic and stored.
    Smallest,
    /// Dynamic, or stored where that is not larger by a sixteenth. Extra bits are not counted.
    Quick,
}

/// The tokens of a block that is being collected.
pub(super) struct Block {
    /// Distance, or 0 for a literal, above the kind.
    tokens: Box<[u32; TOKENS_MAX]>,
    count: usize,
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
}

impl Block {
    /// An empty block.
    pub(super) fn new() -> Self {
        let (literals, distances) = ([0; LITERALS], [0; DISTANCES]);
        Self { tokens: zeros(), count: 0, literals, distances }
    }

    /// Appends a byte as it is.
    #[inline]
    pub(super) fn literal(&mut self, byte: u8) {
        self.literals[byte as usize] = self.literals[byte as usize].wrapping_add(1);
        self.push(u32::from(byte));
    }

    /// Appends a copy of what was `distance` bytes before.
    #[inline]
    pub(super) fn copy(&mut self, length: usize, distance: usize) {
        let over = (length - MIN_MATCH) & 255;
        self.literals[END + 1 + LENGTH_SYMBOL[over] as usize] += 1;
        self.distances[distance_symbol(distance as u32)] += 1;
        self.push((distance as u32) << KIND_BITS | (MATCHES + over) as u32);
    }

    #[inline]
    fn push(&mut self, token: u32) {
        self.tokens[self.count % TOKENS_MAX] = token;
        self.count = self.count.wrapping_add(1);
    }

    /// How many tokens there are; at most [`TOKENS_MAX`].
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Forgets the tokens.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.literals.fill(0);
        self.distances.fill(0);
    }

    /// Writes the block, and leaves it empty. `raw` are the bytes that it stands for, where Go
    /// still has them: only then can it be stored.
    pub(super) fn write(&mut self, choice: Choice, raw: Option<&[u8]>, out: &mut BitWriter) {
        self.literals[END] = 1;
        let trees = Trees::new(&self.literals, &self.distances);
        let extra = if choice == Choice::Smallest { self.extra_bits() } else { 0 };
        let dynamic = trees.size + extra;
        let stored = raw.filter(|raw| raw.len() <= STORED_MAX);
        let storable_below = |size: u64| stored.filter(|raw| stored_size(raw) < size);
        match choice {
            Choice::Smallest => {
                let fixed = self.fixed_size() + extra;
                if let Some(raw) = storable_below(fixed.min(dynamic)) {
                    write_stored(raw, false, out);
                } else if dynamic < fixed {
                    trees.write_header(out);
                    self.write_tokens(&trees.literals, &trees.distances, out);
                } else {
                    out.put(0b010, 3);
                    self.write_tokens(&FIXED_LITERAL_LENGTHS, &[5; DISTANCES], out);
                }
            }
            Choice::Quick => {
                if let Some(raw) = storable_below(dynamic + (dynamic >> 4)) {
                    write_stored(raw, false, out);
                } else {
                    trees.write_header(out);
                    self.write_tokens(&trees.literals, &trees.distances, out);
                }
            }
        }
        self.clear();
    }

    fn extra_bits(&self) -> u64 {
        let lengths = self.literals[END + 1..].iter().zip(LENGTH_EXTRA);
        let distances = self.distances.iter().zip(DISTANCE_EXTRA);
        lengths.chain(distances).map(|(&count, extra)| u64::from(count) * u64::from(extra)).sum()
    }

    fn fixed_size(&self) -> u64 {
        let distances: u32 = self.distances.iter().sum();
        3 + coded_size(&self.literals, &FIXED_LITERAL_LENGTHS) + u64::from(distances.max(1)) * 5
    }

    fn write_tokens(&self, literals: &[u8], distances: &[u8], out: &mut BitWriter) {
        let mut codes = [0; FIXED_LITERAL_LENGTHS.len()];
        canonical_codes(literals, &mut codes);
        // What a kind is written as, extra bits included, below how many bits that is.
        let mut kinds = [0u32; KINDS];
        for (kind, written) in kinds.iter_mut().enumerate() {
            *written = if kind < MATCHES {
                u32::from(codes[kind]) | u32::from(literals[kind]) << 24
            } else {
                let length = kind - MATCHES;
                let symbol = LENGTH_SYMBOL[length] as usize;
                let over = (length + MIN_MATCH) as u32 - u32::from(LENGTH_BASE[symbol]);
                let bits = u32::from(literals[END + 1 + symbol]);
                let code = u32::from(codes[END + 1 + symbol]) | over << bits;
                code | (bits + u32::from(LENGTH_EXTRA[symbol])) << 24
            };
        }
        let mut reaches = [0; DISTANCES];
        canonical_codes(distances, &mut reaches);
        let mut gathered = Gathered::default();
        for &token in &self.tokens[..self.count] {
            let written = kinds[token as usize % KINDS];
            let (mut bits, mut count) = (u64::from(written & 0xff_ffff), written >> 24);
            let distance = token >> KIND_BITS;
            if distance > 0 {
                let symbol = distance_symbol(distance);
                let width = u32::from(distances[symbol]);
                let over = distance - u32::from(DISTANCE_BASE[symbol]);
                bits |= u64::from(u32::from(reaches[symbol]) | over << width) << count;
                count += width + u32::from(DISTANCE_EXTRA[symbol]);
            }
            gathered.put(bits, count, out);
        }
        gathered.put(u64::from(codes[END]), u32::from(literals[END]), out);
        gathered.flush(out);
    }
}

/// Codes that are handed over together.
#[derive(Default)]
struct Gathered {
    bits: u64,
    count: u32,
}

impl Gathered {
    #[inline]
    fn put(&mut self, bits: u64, count: u32, out: &mut BitWriter) {
        if self.count + count > 48 {
            self.flush(out);
        }
        self.bits |= bits << self.count;
        self.count += count;
    }

    fn flush(&mut self, out: &mut BitWriter) {
        out.put(self.bits, self.count);
        *self = Self::default();
    }
}

/// Writes bytes as a block of literals, or stores them where that is not larger by a sixteenth.
pub(super) fn write_literals(bytes: &[u8], out: &mut BitWriter) {
    let mut counts = [0; LITERALS];
    for &byte in bytes {
        counts[byte as usize] += 1;
    }
    counts[END] = 1;
    let trees = Trees::new(&counts, &[0; DISTANCES]);
    if bytes.len() <= STORED_MAX && stored_size(bytes) < trees.size + (trees.size >> 4) {
        return write_stored(bytes, false, out);
    }
    trees.write_header(out);
    let mut codes = [0; LITERALS];
    canonical_codes(&trees.literals, &mut codes);
    let mut gathered = Gathered::default();
    for symbol in bytes.iter().map(|&byte| byte as usize).chain([END]) {
        gathered.put(u64::from(codes[symbol]), u32::from(trees.literals[symbol]), out);
    }
    gathered.flush(out);
}

/// Writes a stored block.
pub(super) fn write_stored(bytes: &[u8], last: bool, out: &mut BitWriter) {
    let length = bytes.len() as u16;
    out.put(u64::from(last), 3);
    out.align();
    out.put(u64::from(length) | u64::from(!length) << 16, 32);
    out.bytes(bytes);
}

/// What Go takes for the size of a stored block, in bits.
fn stored_size(bytes: &[u8]) -> u64 {
    (bytes.len() as u64 + 5) * 8
}

fn coded_size(counts: &[u32], lengths: &[u8]) -> u64 {
    counts.iter().zip(lengths).map(|(&count, &length)| u64::from(count) * u64::from(length)).sum()
}

/// The codes of a dynamic block and the form in which they are told.
struct Trees {
    literals: [u8; LITERALS],
    distances: [u8; DISTANCES],
    /// Highest literal or length symbol that is used, and one.
    literal_end: usize,
    /// The same for distances; at least 1, for a block without matches tells a distance of 1 bit.
    distance_end: usize,
    /// Codes of code lengths, each with how often it repeats.
    runs: Vec<(u8, u8)>,
    run_lengths: [u8; LENGTH_CODES],
    run_end: usize,
    /// What Go takes for the size of the block without its extra bits.
    size: u64,
}

impl Trees {
    fn new(literal_counts: &[u32; LITERALS], distance_counts: &[u32; DISTANCES]) -> Self {
        let end =
            |counts: &[u32]| counts.iter().rposition(|&count| count > 0).map_or(0, |at| at + 1);
        let mut distance_counts = *distance_counts;
        if end(&distance_counts) == 0 {
            distance_counts[0] = 1;
        }
        let (literal_end, distance_end) = (end(literal_counts), end(&distance_counts));
        let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
        choose(literal_counts, MAX_CODE_BITS as usize, &mut literals);
        choose(&distance_counts, MAX_CODE_BITS as usize, &mut distances);

        let told = literals[..literal_end].iter().chain(&distances[..distance_end]).copied();
        let runs = run_lengths_of(told);
        let mut run_counts = [0; LENGTH_CODES];
        for &(code, _) in &runs {
            run_counts[code as usize] += 1;
        }
        let mut run_lengths = [0; LENGTH_CODES];
        choose(&run_counts, MAX_LENGTH_CODE_BITS as usize, &mut run_lengths);
        let run_end = LENGTH_CODE_ORDER
            .iter()
            .rposition(|&code| run_counts[code as usize] > 0)
            .map_or(4, |at| (at + 1).max(4));
        let repeats: u64 = runs.iter().map(|&(code, _)| u64::from(repeat_bits(code))).sum();
        let size = TREE_HEAD
            + 3 * run_end as u64
            + coded_size(&run_counts, &run_lengths)
            + repeats
            + coded_size(literal_counts, &literals)
            + coded_size(&distance_counts, &distances);
        Self { literals, distances, literal_end, distance_end, runs, run_lengths, run_end, size }
    }

    fn write_header(&self, out: &mut BitWriter) {
        out.put(0b100, 3);
        out.put((self.literal_end - (END + 1)) as u64, 5);
        out.put((self.distance_end - 1) as u64, 5);
        out.put((self.run_end - 4) as u64, 4);
        for &code in &LENGTH_CODE_ORDER[..self.run_end] {
            out.put(u64::from(self.run_lengths[code as usize]), 3);
        }
        let mut codes = [0; LENGTH_CODES];
        canonical_codes(&self.run_lengths, &mut codes);
        for &(code, repeat) in &self.runs {
            out.put(u64::from(codes[code as usize]), u32::from(self.run_lengths[code as usize]));
            out.put(u64::from(repeat), repeat_bits(code));
        }
    }
}

/// How many bits tell the repeats of a code of code lengths.
fn repeat_bits(code: u8) -> u32 {
    match code {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// Code lengths in runs (RFC 1951, section 3.2.7), each code with what its extra bits say.
fn run_lengths_of(lengths: impl Iterator<Item = u8>) -> Vec<(u8, u8)> {
    let mut runs = Vec::with_capacity(LITERALS + DISTANCES);
    let mut lengths = lengths.peekable();
    while let Some(length) = lengths.next() {
        let mut count = 1;
        while lengths.next_if_eq(&length).is_some() {
            count += 1;
        }
        if length == 0 {
            while count >= 11 {
                let taken = count.min(138);
                runs.push((18, (taken - 11) as u8));
                count -= taken;
            }
            if count >= 3 {
                runs.push((17, (count - 3) as u8));
                count = 0;
            }
        } else {
            runs.push((length, 0));
            count -= 1;
            while count >= 3 {
                let taken = count.min(6);
                runs.push((16, (taken - 3) as u8));
                count -= taken;
            }
        }
        runs.extend(std::iter::repeat_n((length, 0), count));
    }
    runs
}
