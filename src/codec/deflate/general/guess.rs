//! Tokens, told by how they differ from what is expected.

use super::super::tokens::Token;
use super::matcher::{Match, View};
use super::predictor::{Expected, Predictor};
use super::range::{Bit, Coder, Number};
use super::settings::Settings;

/// Classes of what a token is expected to be.
const CLASSES: usize = 40;
/// Contexts from how well the latest expectations did.
const RECENT: usize = 16;

/// The model of tokens.
pub(super) struct Guess {
    predictor: Predictor,
    /// Whether the token is as expected.
    right: Box<[[Bit; RECENT]; CLASSES]>,
    /// The latest expectations, one bit each, 1 for a wrong one.
    recent: usize,
    /// Whether a literal came in place of a match.
    literal: [Bit; CLASSES],
    /// Whether a match has the expected length and another distance.
    same_length: [Bit; CLASSES],
    /// Whether a match is shorter.
    shorter: [Bit; CLASSES],
    /// By how much, and how much longer.
    less: [Number; 2],
    more: [Number; 2],
    /// Whether the distance has a rank, and which.
    has_rank: [Bit; 4],
    ranks: [Number; 4],
    /// Whether a match of 258 is written the odd way.
    odd: Bit,
}

/// Why tokens cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoSuchToken;

impl Guess {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            predictor: Predictor::new(settings),
            right: Box::new([[Bit::LIKELY; RECENT]; CLASSES]),
            recent: 0,
            literal: [Bit::EVEN; CLASSES],
            same_length: [Bit::EVEN; CLASSES],
            shorter: [Bit::EVEN; CLASSES],
            less: Default::default(),
            more: Default::default(),
            has_rank: [Bit::LIKELY; 4],
            ranks: Default::default(),
            odd: Bit::UNLIKELY,
        }
    }

    /// Some bytes did not go through tokens.
    pub(super) fn pass(&mut self) {
        self.predictor.pass();
    }

    /// Codes the token at `at`, where at least one byte is left.
    pub(super) fn token(
        &mut self,
        coder: &mut impl Coder,
        view: View,
        at: usize,
        token: Token,
    ) -> Result<Token, NoSuchToken> {
        let expected = self.predictor.expect(view, at);
        let class = class(expected);
        let guess = expected.token;
        let truth = if token.is_literal() {
            Match::default()
        } else {
            Match { length: token.length(), distance: token.distance() }
        };
        let right = coder.bit(&mut self.right[class][self.recent], truth == guess);
        self.recent = (self.recent << 1 | usize::from(!right)) % RECENT;
        let truth = if right {
            guess
        } else if guess.length > 0 && coder.bit(&mut self.literal[class], truth.length == 0) {
            Match::default()
        } else {
            self.other(coder, view, at, expected, class, truth)?
        };
        let mut token = if truth.length == 0 {
            Token::literal(view.bytes[at])
        } else {
            let plain = Token::copy(truth.length, truth.distance);
            let odd = truth.length == 258 && coder.bit(&mut self.odd, token.is_odd());
            if odd { plain.odd() } else { plain }
        };
        if token.is_literal() {
            token = Token::literal(view.bytes[at]);
        }
        self.predictor.follow(view, at, guess, token);
        Ok(token)
    }

    /// Codes a match that was not expected.
    fn other(
        &mut self,
        coder: &mut impl Coder,
        view: View,
        at: usize,
        expected: Expected,
        class: usize,
        truth: Match,
    ) -> Result<Match, NoSuchToken> {
        let found = expected.here.length;
        let guessed = usize::from(expected.token.length > 0);
        let length = if found == 0 {
            3 + self.more[0].code(coder, truth.length.saturating_sub(3))
        } else if coder.bit(&mut self.same_length[class], truth.length == found) {
            found
        } else if coder.bit(&mut self.shorter[class], truth.length < found) {
            let less = self.less[guessed].code(coder, found.wrapping_sub(truth.length + 1) & 0xff);
            found.checked_sub(less + 1).ok_or(NoSuchToken)?
        } else {
            found + 1 + self.more[1].code(coder, truth.length.saturating_sub(found + 1))
        };
        if !(3..=258).contains(&length) || length as usize > view.bytes.len() - at {
            return Err(NoSuchToken);
        }
        // The context of the rank: whether the match that was found here has this length.
        let context = guessed * 2 + usize::from(length == found);
        let matcher = self.predictor.matcher();
        let rank = matcher.rank(view, at, length, truth.distance);
        let distance = if coder.bit(&mut self.has_rank[context], rank.is_some()) {
            let rank = self.ranks[context].code(coder, rank.unwrap_or(0));
            matcher.ranked(view, at, length, rank).ok_or(NoSuchToken)?
        } else {
            1 + coder.raw(truth.distance.wrapping_sub(1) & 0x7fff, 15)
        };
        Ok(Match { length, distance })
    }
}

/// The class of an expectation.
fn class(expected: Expected) -> usize {
    let Expected { token, here, ahead, looked } = expected;
    let size = |length: u32| match length {
        0..=2 => 0,
        3 => 1,
        4 => 2,
        5 => 3,
        6..=8 => 4,
        9..=16 => 5,
        17..=64 => 6,
        _ => 7,
    };
    if token.length == 0 {
        return if here.length == 0 { usize::from(looked) } else { 2 + size(here.length) };
    }
    let look = match (looked, ahead.length) {
        (false, _) => 0,
        (true, 0) => 1,
        (true, _) => 2,
    };
    10 + look * 8 + size(token.length)
}
