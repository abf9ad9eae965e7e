//! Codes of a block, told by how they differ from those that an encoder would make for its tokens.

use super::super::codes::{
    DISTANCES, END_OF_BLOCK, LENGTH_CODE_ORDER, LENGTH_CODES, LENGTH_SYMBOL, LITERALS,
    MAX_CODE_BITS, MAX_LENGTH_CODE_BITS, MIN_MATCH, distance_symbol,
};
use super::super::tokens::{Codes, LengthStep, Token};
use super::range::{Bit, Coder, Number, Tree};
use super::tree::{METHODS, lengths};

/// How often each symbol occurs in a block.
#[derive(Clone)]
pub(super) struct Counts {
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
}

impl Default for Counts {
    fn default() -> Self {
        let mut literals = [0; LITERALS];
        literals[END_OF_BLOCK] = 1;
        Self { literals, distances: [0; DISTANCES] }
    }
}

impl Counts {
    /// Counts the symbols of a token.
    #[inline]
    pub(super) fn add(&mut self, token: Token) {
        self.literals[literal_symbol(token)] += 1;
        if !token.is_literal() {
            self.distances[distance_symbol(token.distance())] += 1;
        }
    }
}

/// The symbol of a literal or a length.
#[inline]
pub(super) fn literal_symbol(token: Token) -> usize {
    if token.is_literal() {
        usize::from(token.byte())
    } else if token.is_odd() {
        END_OF_BLOCK + 28
    } else {
        let length = token.length() as usize - MIN_MATCH;
        END_OF_BLOCK + 1 + usize::from(LENGTH_SYMBOL[length])
    }
}

/// A description of codes that makes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoSuchCodes;

/// The model of codes.
pub(super) struct Heads {
    method: Tree<4>,
    same_count: [Bit; 3],
    all_same: Bit,
    lengths: Lengths,
    how: Tree<4>,
    repeats: [Bit; 2],
    kinds: [Bit; 3],
    length_method: Tree<4>,
    all_length_same: Bit,
    length_lengths: Lengths,
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            method: Tree::default(),
            same_count: [Bit::LIKELY; 3],
            all_same: Bit::EVEN,
            lengths: Lengths::default(),
            how: Tree::default(),
            repeats: [Bit::EVEN; 2],
            kinds: [Bit::EVEN; 3],
            length_method: Tree::default(),
            all_length_same: Bit::EVEN,
            length_lengths: Lengths::default(),
        }
    }
}

impl Heads {
    /// Codes the codes of a block with these tokens; `truth` is what they are, where that is known.
    pub(super) fn code(
        &mut self,
        coder: &mut impl Coder,
        counts: &Counts,
        truth: Option<&Codes>,
    ) -> Result<Codes, NoSuchCodes> {
        let make = |method| {
            let literals = lengths(METHODS[method], &counts.literals, MAX_CODE_BITS as usize);
            let distances = lengths(METHODS[method], &counts.distances, MAX_CODE_BITS as usize);
            (literals, distances)
        };
        let best = truth.map_or(0, |truth| {
            let (literals, distances) = truth.lengths.split_at(truth.literals);
            nearest(|method| {
                let made = make(method);
                difference(&made.0, literals) + difference(&made.1, distances)
            })
        });
        let (literal_guess, distance_guess) = make(self.method.code(coder, best) as usize);
        let literals = self.count(coder, 0, &literal_guess, 257, truth.map(|t| t.literals))?;
        let distances = self.count(coder, 1, &distance_guess, 1, truth.map(|t| t.distances))?;
        let guess = [&literal_guess[..literals], &distance_guess[..distances]].concat();
        let known = truth.map(|truth| truth.lengths.as_slice());
        let lengths = if coder.bit(&mut self.all_same, known == Some(&guess)) {
            guess
        } else {
            self.lengths.code(coder, &guess, known, MAX_CODE_BITS as u8)?
        };
        let steps = self.steps(coder, &lengths, literals, truth.map(|t| t.steps.as_slice()))?;
        let (length_codes, length_code_lengths) = self.length_codes(coder, &steps, truth)?;
        Ok(Codes { literals, distances, length_codes, length_code_lengths, lengths, steps })
    }

    /// Codes how many lengths are written: normally up to the last that is not 0.
    fn count(
        &mut self,
        coder: &mut impl Coder,
        which: usize,
        guess: &[u8],
        least: usize,
        truth: Option<usize>,
    ) -> Result<usize, NoSuchCodes> {
        let used = guess.iter().rposition(|&length| length > 0).map_or(0, |last| last + 1);
        let expected = used.max(least);
        if coder.bit(&mut self.same_count[which], truth == Some(expected)) {
            return Ok(expected);
        }
        let count = least + coder.raw((truth.unwrap_or(least) - least) as u32, 5) as usize;
        if count > guess.len() { Err(NoSuchCodes) } else { Ok(count) }
    }

    fn steps(
        &mut self,
        coder: &mut impl Coder,
        lengths: &[u8],
        literals: usize,
        truth: Option<&[LengthStep]>,
    ) -> Result<Vec<LengthStep>, NoSuchCodes> {
        let make = |how| match how {
            0 => {
                let (literals, distances) = lengths.split_at(literals);
                let mut steps = usual_steps(literals);
                steps.extend(usual_steps(distances));
                steps
            }
            _ => usual_steps(lengths),
        };
        let how = truth.map_or(0, |truth| (0..2).find(|&how| make(how) == truth).unwrap_or(2));
        let how = self.how.code(coder, how);
        if how < 2 {
            return Ok(make(how));
        }
        let mut steps = Vec::with_capacity(160);
        let mut at = 0;
        while at < lengths.len() {
            let step = self.step(coder, lengths, at, truth.map(|truth| truth[steps.len()]));
            let end = at + usize::from(step.count);
            let repeated = lengths.get(at..end).ok_or(NoSuchCodes)?;
            let length = match step.symbol {
                16 => *at.checked_sub(1).and_then(|at| lengths.get(at)).ok_or(NoSuchCodes)?,
                17 | 18 => 0,
                symbol => symbol,
            };
            if repeated.iter().any(|&other| other != length) {
                return Err(NoSuchCodes);
            }
            steps.push(step);
            at = end;
        }
        Ok(steps)
    }

    fn step(
        &mut self,
        coder: &mut impl Coder,
        lengths: &[u8],
        at: usize,
        truth: Option<LengthStep>,
    ) -> LengthStep {
        let length = lengths[at];
        let truth = truth.unwrap_or(LengthStep { symbol: 0, count: 1 });
        let zero = usize::from(length == 0);
        if !coder.bit(&mut self.repeats[zero], truth.symbol > 15) {
            return LengthStep { symbol: length, count: 1 };
        }
        let again = at > 0 && lengths[at - 1] == length;
        let symbol = if zero == 0 || again && coder.bit(&mut self.kinds[0], truth.symbol == 16) {
            16
        } else if coder.bit(&mut self.kinds[1], truth.symbol == 17) {
            17
        } else {
            18
        };
        let (least, bits) = [(3, 2), (3, 3), (11, 7)][usize::from(symbol) - 16];
        let count = least + coder.raw(u32::from(truth.count.saturating_sub(least)), bits) as u8;
        LengthStep { symbol, count }
    }

    fn length_codes(
        &mut self,
        coder: &mut impl Coder,
        steps: &[LengthStep],
        truth: Option<&Codes>,
    ) -> Result<(usize, [u8; LENGTH_CODES]), NoSuchCodes> {
        let mut counts = [0; LENGTH_CODES];
        for step in steps {
            counts[usize::from(step.symbol)] += 1;
        }
        let make = |method| lengths(METHODS[method], &counts, MAX_LENGTH_CODE_BITS as usize);
        let known = truth.map(|truth| truth.length_code_lengths);
        let best = known.map_or(0, |known| nearest(|method| difference(&make(method), &known)));
        let guess = make(self.length_method.code(coder, best) as usize);
        let known = known.as_ref().map(<[u8; LENGTH_CODES]>::as_slice);
        let lengths = if coder.bit(&mut self.all_length_same, known == Some(&guess)) {
            guess
        } else {
            self.length_lengths.code(coder, &guess, known, MAX_LENGTH_CODE_BITS as u8)?
        };
        let ordered = LENGTH_CODE_ORDER.map(|symbol| lengths[usize::from(symbol)]);
        let count = self.count(coder, 2, &ordered, 4, truth.map(|truth| truth.length_codes))?;
        if ordered[count..].iter().any(|&length| length > 0) {
            return Err(NoSuchCodes);
        }
        Ok((count, lengths.try_into().map_err(|_| NoSuchCodes)?))
    }
}

/// The model of lengths that differ from those that are expected.
struct Lengths {
    same: [[Bit; 2]; 16],
    higher: [Bit; 16],
    by: [Number; 2],
}

impl Default for Lengths {
    fn default() -> Self {
        Self { same: [[Bit::LIKELY; 2]; 16], higher: [Bit::EVEN; 16], by: Default::default() }
    }
}

impl Lengths {
    fn code(
        &mut self,
        coder: &mut impl Coder,
        guess: &[u8],
        truth: Option<&[u8]>,
        limit: u8,
    ) -> Result<Vec<u8>, NoSuchCodes> {
        let mut latest = 0;
        let mut found = Vec::with_capacity(guess.len());
        for (at, &guess) in guess.iter().enumerate() {
            let truth = truth.map_or(guess, |truth| truth[at]);
            let class = usize::from(guess);
            if coder.bit(&mut self.same[class][latest], truth == guess) {
                latest = 0;
                found.push(guess);
                continue;
            }
            latest = 1;
            let higher = coder.bit(&mut self.higher[class], truth > guess);
            let by = u32::from(truth.abs_diff(guess)).saturating_sub(1);
            let by = 1 + self.by[usize::from(guess == 0)].code(coder, by);
            let length = if higher {
                u32::from(guess).checked_add(by)
            } else {
                u32::from(guess).checked_sub(by)
            };
            let length = length.filter(|&length| length <= u32::from(limit)).ok_or(NoSuchCodes)?;
            found.push(length as u8);
        }
        Ok(found)
    }
}

/// The method whose result differs least.
fn nearest(difference: impl Fn(usize) -> usize) -> u32 {
    let mut best = (usize::MAX, 0);
    for method in 0..METHODS.len() {
        best = best.min((difference(method), method));
        if best.0 == 0 {
            break;
        }
    }
    best.1 as u32
}

fn difference(guess: &[u8], truth: &[u8]) -> usize {
    guess.iter().zip(truth).filter(|(guess, truth)| guess != truth).count()
}

/// Run-length coding as most encoders do it: as much as one symbol can say as long as there are
/// three to repeat.
fn usual_steps(lengths: &[u8]) -> Vec<LengthStep> {
    let mut steps = Vec::with_capacity(160);
    for run in lengths.chunk_by(|a, b| a == b) {
        let length = run[0];
        let mut left = run.len();
        if length > 0 {
            steps.push(LengthStep { symbol: length, count: 1 });
            left -= 1;
        }
        while left >= 3 {
            let (symbol, most) = match (length, left) {
                (0, 11..) => (18, 138),
                (0, _) => (17, 10),
                _ => (16, 6),
            };
            let count = left.min(most);
            steps.push(LengthStep { symbol, count: count as u8 });
            left -= count;
        }
        for _ in 0..left {
            steps.push(LengthStep { symbol: length, count: 1 });
        }
    }
    steps
}
