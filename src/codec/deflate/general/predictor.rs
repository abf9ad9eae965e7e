//! What the encoder is expected to do next, given all that it really did before.

use super::super::codes::WINDOW;
use super::super::tokens::Token;
use super::matcher::{Match, Matcher, View};
use super::settings::{Lazy, Settings};

/// What is expected, and what it rests on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected {
    /// A match of length 0 for a literal.
    pub(super) token: Match,
    /// The match that was found at this place, whether or not it is expected to be taken.
    pub(super) here: Match,
    /// The match that was found when looking ahead.
    pub(super) ahead: Match,
    /// Whether there was a look ahead.
    pub(super) looked: bool,
}

/// What is known already about the next place, because a literal came before it.
#[derive(Clone, Copy)]
enum Known {
    Nothing,
    /// The match there.
    Match(Match),
    /// A literal there, and this match behind it.
    Literal(Match),
}

/// Follows an encoder.
pub(super) struct Predictor {
    settings: Settings,
    matcher: Matcher,
    known: Known,
    /// What becomes known if the next token is a literal as expected.
    then: Known,
    /// Places before this position are remembered, or passed over for good.
    done: u64,
}

impl Predictor {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            matcher: Matcher::new(settings),
            known: Known::Nothing,
            then: Known::Nothing,
            done: 0,
        }
    }

    pub(super) fn matcher(&mut self) -> &mut Matcher {
        &mut self.matcher
    }

    /// Remembers the places up to, not including, `at`.
    fn remember(&mut self, view: View, at: usize) {
        let end = view.before + at as u64;
        // Behind stored bytes, what is out of the window is passed over.
        let from = self.done.max(end.saturating_sub(WINDOW as u64));
        for place in from..end {
            self.matcher.remember(view, (place - view.before) as usize);
        }
        self.done = self.done.max(end);
    }

    /// A match that is too short for its distance is none.
    fn worthwhile(&self, found: Match) -> Match {
        let far = found.length <= self.settings.shortest && found.distance > self.settings.too_far;
        if far { Match::default() } else { found }
    }

    fn search(&mut self, view: View, at: usize, than: u32, depth: u32) -> Match {
        if at >= view.bytes.len() {
            return Match::default();
        }
        let found = self.matcher.longest(view, at, than, depth);
        self.worthwhile(found)
    }

    /// What the encoder is expected to do at `at`.
    pub(super) fn expect(&mut self, view: View, at: usize) -> Expected {
        let settings = self.settings;
        self.remember(view, at);
        self.then = Known::Nothing;
        let here = match self.known {
            Known::Literal(behind) => {
                self.remember(view, at + 1);
                self.then = Known::Match(behind);
                return Expected { ahead: behind, looked: true, ..Expected::default() };
            }
            Known::Match(found) => found,
            Known::Nothing => self.search(view, at, settings.shortest - 1, settings.depth),
        };
        self.remember(view, at + 1);
        let mut expected = Expected { token: here, here, ..Expected::default() };
        if here.length == 0 || settings.lazy == Lazy::Never || here.length >= settings.patient {
            return expected;
        }
        let shift = if here.length >= settings.good { settings.good_shift } else { 0 };
        let than = here.length - u32::from(settings.lazy != Lazy::Longer);
        let ahead = self.search(view, at + 1, than, settings.depth >> shift);
        expected.ahead = ahead;
        expected.looked = true;
        let better = match settings.lazy {
            Lazy::Never => false,
            Lazy::Longer => ahead.length > here.length,
            Lazy::Worth | Lazy::WorthTwice => is_worth(here, ahead, 3),
        };
        if better {
            expected.token = Match::default();
            self.then = Known::Match(ahead);
        } else if settings.lazy == Lazy::WorthTwice {
            self.remember(view, at + 2);
            let behind = self.search(view, at + 2, than, settings.depth >> (shift + 1).min(31));
            if is_worth(here, behind, 7) {
                expected.token = Match::default();
                expected.ahead = behind;
                self.then = Known::Literal(behind);
            }
        }
        expected
    }

    /// What the encoder really did at `at`.
    pub(super) fn follow(&mut self, view: View, at: usize, expected: Match, token: Token) {
        self.known = Known::Nothing;
        if token.is_literal() {
            if expected.length == 0 {
                self.known = self.then;
            }
            return;
        }
        let end = at + token.length() as usize;
        if token.length() > self.settings.remembered {
            let first = end - self.settings.tail as usize;
            self.remember(view, at + 1);
            self.done = self.done.max(view.before + first as u64);
        }
        self.remember(view, end);
    }

    /// Some bytes did not go through tokens. Their places are remembered with the next token.
    pub(super) fn pass(&mut self) {
        self.known = Known::Nothing;
    }
}

/// Whether a later match is worth more than one here: by four for each byte that it is longer, and one
/// for each bit that its distance is shorter.
fn is_worth(here: Match, later: Match, at_least: u32) -> bool {
    later.length >= here.length.max(1)
        && 4 * (later.length - here.length) + here.distance.ilog2()
            >= later.distance.ilog2() + at_least
}
