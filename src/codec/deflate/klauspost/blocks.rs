//! Blocks: how tokens and bytes are written, and with which codes.
//!
//! A block with codes of its own is left open: the next chunk goes on in it if its symbols all have
//! codes and new codes would not pay. Only what cannot go on there writes the end that is owed.

use super::generation::Generation;
use super::history::CHUNK;
use super::prefix::{Codes, fixed_codes};
use super::tokens::{Token, Tokens};
use crate::codec::deflate::BitWriter;
use crate::codec::deflate::codes::{
    DISTANCE_BASE, DISTANCE_EXTRA, DISTANCES, END_OF_BLOCK, LENGTH_BASE, LENGTH_CODE_ORDER,
    LENGTH_CODES, LENGTH_EXTRA, LENGTH_SYMBOL, LITERALS, MAX_CODE_BITS, MAX_LENGTH_CODE_BITS,
};

/// From so many tokens on, fixed codes are not considered.
const FIXED_BELOW: usize = 250;

/// The bits that a header is taken to have before there is one.
const GUESSED_HEADER: usize = 70 * 8;

/// A block that has no end yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Bits of its header.
    header: usize,
    /// Its codes are for literals only.
    literals_only: bool,
}

/// Writes blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    generation: Generation,
    /// New codes are charged a share of 1 in 2 to the power of this.
    reluctance: u32,
    open: Option<Open>,
    literals: Codes<LITERALS>,
    distances: Codes<DISTANCES>,
    fixed: Box<(Codes<LITERALS>, Codes<DISTANCES>)>,
}

impl Blocks {
    pub(super) fn new(generation: Generation, reluctance: u32) -> Self {
        Self {
            generation,
            reluctance,
            open: None,
            literals: Codes::new(),
            distances: Codes::new(),
            fixed: Box::new(fixed_codes()),
        }
    }

    /// Writes the end that is owed.
    fn close(&mut self, out: &mut BitWriter) {
        if self.open.take().is_some() {
            let (code, length) = self.literals.code(END_OF_BLOCK);
            out.put(code, length);
        }
    }

    /// The empty stored block that brings the stream to the start of a byte.
    pub(super) fn flush(&mut self, out: &mut BitWriter) {
        self.stored(&[], out);
    }

    /// The last block: an empty one with fixed codes.
    pub(super) fn finish(&mut self, out: &mut BitWriter) {
        self.close(out);
        out.put(0b011, 3);
        out.put(0, 7);
        out.align();
    }

    /// At most [`CHUNK`] bytes as they are.
    pub(super) fn stored(&mut self, plain: &[u8], out: &mut BitWriter) {
        self.close(out);
        out.put(0, 3);
        out.align();
        let length = plain.len() as u16;
        out.put(u64::from(length), 16);
        out.put(u64::from(!length), 16);
        out.bytes(plain);
    }

    /// Writes tokens in whatever way takes the fewest bits. `plain` is what they stand for, where
    /// it is known; `last` ends the block with them.
    pub(super) fn tokens(
        &mut self,
        tokens: &mut Tokens,
        plain: Option<&[u8]>,
        last: bool,
        out: &mut BitWriter,
    ) {
        if last {
            tokens.push_end();
        }
        let stored = plain.filter(|plain| plain.len() <= CHUNK).map(|plain| (plain.len() + 5) * 8);
        if let Some(open) = self.open
            && (open.literals_only || !self.cover(tokens))
        {
            self.close(out);
        }

        let Counts { mut literals, mut distances } = Counts::of(tokens);
        let always_end = self.generation >= Generation::V1_18_2;
        if always_end {
            literals[END_OF_BLOCK] = 1;
        }
        let trimmed = last || always_end;
        if trimmed && distances.iter().all(|&count| count == 0) {
            // A code for distances has to exist even if none is used.
            distances[0] = 1;
        }
        let extra = tokens.extra_bits();
        let few = tokens.count() < FIXED_BELOW;

        if let Some(open) = self.open {
            let mut anew = open.header + tokens.ideal_bits();
            anew += self.literals.code(END_OF_BLOCK).1 as usize + (anew >> self.reluctance);
            let reused = self.literals.bits(&literals) + self.distances.bits(&distances) + extra;
            if anew < reused {
                self.close(out);
            }
            let size = anew.min(reused);
            let plainly = stored.filter(|&stored| stored <= size).and(plain);
            if few && self.fixed_bits(&literals, &distances) + extra + 7 < size {
                return match plainly {
                    Some(plain) => self.stored(plain, out),
                    None => self.fixed(tokens, out),
                };
            }
            if let Some(plain) = plainly {
                return self.stored(plain, out);
            }
        }

        if self.open.is_none() {
            literals[END_OF_BLOCK] = 1;
            self.literals.fit(&literals, MAX_CODE_BITS);
            self.distances.fit(&distances, MAX_CODE_BITS);
            let (wide, deep) = if trimmed {
                (used(self.literals.lengths()), used(self.distances.lengths()))
            } else {
                (LITERALS, DISTANCES)
            };
            let header =
                Header::new(&self.literals.lengths()[..wide], &self.distances.lengths()[..deep]);
            let size = header.bits()
                + self.literals.bits(&literals)
                + self.distances.bits(&distances)
                + extra;
            let fixed = self.fixed_bits(&literals, &distances) + extra;
            let by_fixed = few && fixed <= size;
            let size = if by_fixed { fixed } else { size };
            if let Some(plain) = plain.filter(|_| stored.is_some_and(|stored| stored <= size)) {
                return self.stored(plain, out);
            }
            if by_fixed {
                return self.fixed(tokens, out);
            }
            header.write(out);
            self.open = Some(Open { header: header.bits(), literals_only: false });
        }
        put_tokens(tokens.list(), &self.literals, &self.distances, out);
        if last {
            self.close(out);
        }
    }

    /// Writes bytes as literals, or stored if that would gain too little.
    pub(super) fn literals(&mut self, plain: &[u8], last: bool, out: &mut BitWriter) {
        let mut counts = [0u16; LITERALS];
        for &byte in plain {
            counts[byte as usize] += 1;
        }
        if plain.len() > 1024 && looks_random(&counts[..256], plain.len()) {
            return self.stored(plain, out);
        }
        let owed = counts;
        counts[END_OF_BLOCK] = 1;
        let mut codes = Codes::new();
        codes.fit(&counts, MAX_CODE_BITS);
        let mut anew = codes.bits(&counts) + self.open.map_or(GUESSED_HEADER, |open| open.header);
        anew += anew >> self.reluctance;
        if (plain.len() + 5) * 8 <= anew {
            return self.stored(plain, out);
        }
        if self.open.is_some()
            && !(self.literals.cover(0, &owed) && self.literals.bits(&owed) <= anew)
        {
            self.close(out);
        }
        if self.open.is_none() {
            self.literals = codes;
            // The one code for distances that has to exist.
            let header = Header::new(&self.literals.lengths()[..=END_OF_BLOCK], &[1]);
            header.write(out);
            self.open = Some(Open { header: header.bits(), literals_only: true });
        }
        let mut run = Run::new(out);
        for &byte in plain {
            let (code, length) = self.literals.code(byte as usize);
            run.put(code, length);
        }
        run.end();
        if last {
            self.close(out);
        }
    }

    /// A block of its own with fixed codes.
    fn fixed(&mut self, tokens: &Tokens, out: &mut BitWriter) {
        self.close(out);
        out.put(0b010, 3);
        put_tokens(tokens.list(), &self.fixed.0, &self.fixed.1, out);
        let (code, length) = self.fixed.0.code(END_OF_BLOCK);
        out.put(code, length);
    }

    fn fixed_bits(&self, literals: &[u16; LITERALS], distances: &[u16; DISTANCES]) -> usize {
        3 + self.fixed.0.bits(literals) + self.fixed.1.bits(distances)
    }

    /// Whether the codes of late have one for each of these tokens.
    fn cover(&self, tokens: &Tokens) -> bool {
        self.distances.cover(0, tokens.distances())
            && self.literals.cover(END_OF_BLOCK, tokens.lengths())
            && self.literals.cover(0, tokens.literals())
    }
}

/// How often each symbol occurs.
struct Counts {
    literals: [u16; LITERALS],
    distances: [u16; DISTANCES],
}

impl Counts {
    fn of(tokens: &Tokens) -> Self {
        let mut literals = [0; LITERALS];
        literals[..256].copy_from_slice(tokens.literals());
        literals[256..].copy_from_slice(tokens.lengths());
        Self { literals, distances: *tokens.distances() }
    }
}

/// Symbols up to the last that has a code.
fn used(lengths: &[u8]) -> usize {
    lengths.iter().rposition(|&length| length > 0).map_or(0, |last| last + 1)
}

/// Whether bytes are spread so evenly that no code could gain anything.
fn looks_random(counts: &[u16], length: usize) -> bool {
    let mean = length as f64 / 256.0;
    let spread: f64 = counts.iter().map(|&count| (f64::from(count) - mean).powi(2)).sum();
    spread < (length * 2) as f64
}

/// The header of a block with codes of its own: the lengths of its codes, runs of them shortened.
struct Header {
    wide: usize,
    deep: usize,
    /// Symbols of the code of lengths, each with the extra bits that follow it.
    runs: Vec<(u8, u8)>,
    codes: Codes<LENGTH_CODES>,
    /// How many lengths of the code of lengths are written.
    order: usize,
    bits: usize,
}

/// Extra bits after each symbol of the code of lengths.
const RUN_EXTRA: [u8; LENGTH_CODES] = {
    let mut extra = [0; LENGTH_CODES];
    (extra[16], extra[17], extra[18]) = (2, 3, 7);
    extra
};

impl Header {
    fn new(literals: &[u8], distances: &[u8]) -> Self {
        let lengths = [literals, distances].concat();
        let mut runs = Vec::with_capacity(lengths.len());
        for run in lengths.chunk_by(|left, right| left == right) {
            let (length, mut left) = (run[0], run.len());
            if length == 0 {
                while left >= 11 {
                    let zeros = left.min(138);
                    runs.push((18, (zeros - 11) as u8));
                    left -= zeros;
                }
                if left >= 3 {
                    runs.push((17, (left - 3) as u8));
                    left = 0;
                }
            } else {
                runs.push((length, 0));
                left -= 1;
                while left >= 3 {
                    let repeats = left.min(6);
                    runs.push((16, (repeats - 3) as u8));
                    left -= repeats;
                }
            }
            runs.extend(std::iter::repeat_n((length, 0), left));
        }

        let mut counts = [0; LENGTH_CODES];
        for &(symbol, _) in &runs {
            counts[symbol as usize] += 1;
        }
        let mut codes = Codes::new();
        codes.fit(&counts, MAX_LENGTH_CODE_BITS);
        let order = LENGTH_CODE_ORDER
            .iter()
            .rposition(|&symbol| counts[symbol as usize] > 0)
            .map_or(4, |last| (last + 1).max(4));
        let extra: usize =
            counts.iter().zip(RUN_EXTRA).map(|(&count, bits)| count as usize * bits as usize).sum();
        let bits = 3 + 5 + 5 + 4 + 3 * order + codes.bits(&counts) + extra;
        Self { wide: literals.len(), deep: distances.len(), runs, codes, order, bits }
    }

    fn bits(&self) -> usize {
        self.bits
    }

    fn write(&self, out: &mut BitWriter) {
        out.put(0b100, 3);
        out.put(self.wide as u64 - 257, 5);
        out.put(self.deep as u64 - 1, 5);
        out.put(self.order as u64 - 4, 4);
        for &symbol in &LENGTH_CODE_ORDER[..self.order] {
            out.put(u64::from(self.codes.lengths()[symbol as usize]), 3);
        }
        for &(symbol, extra) in &self.runs {
            let (code, length) = self.codes.code(symbol as usize);
            out.put(code, length);
            out.put(u64::from(extra), u32::from(RUN_EXTRA[symbol as usize]));
        }
    }
}

/// Gathers codes, so that the writer sees few and large pieces.
struct Run<'a> {
    out: &'a mut BitWriter,
    held: u64,
    count: u32,
}

impl<'a> Run<'a> {
    fn new(out: &'a mut BitWriter) -> Self {
        Self { out, held: 0, count: 0 }
    }

    /// At most 48 bits.
    #[inline]
    fn put(&mut self, bits: u64, count: u32) {
        if self.count + count > 48 {
            self.out.put(self.held, self.count);
            (self.held, self.count) = (0, 0);
        }
        self.held |= bits << self.count;
        self.count += count;
    }

    fn end(self) {
        self.out.put(self.held, self.count);
    }
}

fn put_tokens(
    tokens: &[Token],
    literals: &Codes<LITERALS>,
    distances: &Codes<DISTANCES>,
    out: &mut BitWriter,
) {
    let mut run = Run::new(out);
    for &token in tokens {
        if let Some(literal) = token.literal() {
            let (code, length) = literals.code(literal as usize);
            run.put(code, length);
            continue;
        }
        let over = token.length();
        let symbol = LENGTH_SYMBOL[over] as usize;
        let (mut bits, mut count) = literals.code(END_OF_BLOCK + 1 + symbol);
        bits |= (over as u64 + 3 - u64::from(LENGTH_BASE[symbol])) << count;
        count += u32::from(LENGTH_EXTRA[symbol]);

        let symbol = token.distance_symbol();
        let (code, length) = distances.code(symbol);
        bits |= code << count;
        count += length;
        bits |= u64::from(token.distance() + 1 - u32::from(DISTANCE_BASE[symbol])) << count;
        count += u32::from(DISTANCE_EXTRA[symbol]);
        run.put(bits, count);
    }
    run.end();
}
