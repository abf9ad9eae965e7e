//! The choice of settings for a stream: those with which its beginning is told in the fewest bits.
//! No part of the format: any choice makes corrections that are right.

use std::collections::VecDeque;

use super::analysis::Piece;
use super::guess::Guess;
use super::matcher::View;
use super::model::AHEAD;
use super::range::Meter;
use super::settings::{KNOWN, Lazy, Settings};

/// Plain bytes over which all known settings are tried.
const GLANCE: usize = 96 << 10;
/// Plain bytes over which the best of them are tried, and what is like them.
const LOOK: usize = 512 << 10;
/// How many of them.
const FINALISTS: usize = 4;
/// With fewer bits than this for a token nothing better is sought.
const GOOD_ENOUGH: f64 = 0.03;

/// The best settings for a beginning.
pub(super) fn choose(pieces: &VecDeque<Piece>, bytes: &[u8], ended: bool) -> Settings {
    let trial = Trial { pieces, bytes, ended };
    let mut best = f64::INFINITY;
    let mut known: Vec<(f64, Settings)> = Vec::new();
    for &settings in KNOWN {
        let cost = trial.cost(settings, GLANCE, best * 1.5).0;
        best = best.min(cost);
        known.push((cost, settings));
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut best = (f64::INFINITY, known[0].1);
    let mut tokens = 0;
    for &(_, settings) in &known[..FINALISTS] {
        let (cost, count) = trial.cost(settings, LOOK, best.0);
        if cost < best.0 {
            best = (cost, settings);
            tokens = count;
        }
    }
    let enough = GOOD_ENOUGH * f64::from(tokens);
    let mut improved = true;
    let mut rounds = 0;
    while improved && best.0 > enough && rounds < 3 {
        improved = false;
        rounds += 1;
        for change in CHANGES {
            for value in change.1 {
                let mut settings = best.1;
                change.0(&mut settings, *value);
                if settings == best.1 {
                    continue;
                }
                let cost = trial.cost(settings, LOOK, best.0).0;
                if cost < best.0 {
                    best = (cost, settings);
                    improved = true;
                }
            }
        }
    }
    best.1
}

type Change = (fn(&mut Settings, u32), &'static [u32]);

/// Changes that are tried on the best settings.
const CHANGES: &[Change] = &[
    (
        |s, v| s.lazy = [Lazy::Never, Lazy::Longer, Lazy::Worth, Lazy::WorthTwice][v as usize],
        &[0, 1, 2, 3],
    ),
    (|s, v| s.depth = (s.depth * v / 4).clamp(1, 4096), &[1, 2, 8, 16]),
    (|s, v| s.nice = v, &[8, 16, 32, 64, 128, 258]),
    (|s, v| s.patient = v, &[4, 8, 16, 32, 64, 128, 259]),
    (|s, v| s.good = v, &[4, 8, 32, 258]),
    (|s, v| s.too_far = v, &[0, 1024, 4096, 8192, 32768]),
    (|s, v| s.remembered = v, &[0, 4, 8, 16, 258]),
    (|s, v| s.reach = v, &[8192, 32506, 32767, 32768]),
];

struct Trial<'a> {
    pieces: &'a VecDeque<Piece>,
    bytes: &'a [u8],
    ended: bool,
}

impl Trial<'_> {
    /// Bits that the tokens in the first bytes take, and how many there are; stops once there are more
    /// bits than `bound`.
    fn cost(&self, settings: Settings, limit: usize, bound: f64) -> (f64, u32) {
        let mut guess = Guess::new(settings);
        let mut meter = Meter::default();
        let view = View { bytes: self.bytes, before: 0 };
        let mut at = 0;
        let mut count = 0;
        for piece in self.pieces {
            match piece {
                Piece::Bytes(bytes) => {
                    guess.pass();
                    at += bytes;
                }
                Piece::Run { tokens, .. } => {
                    for &token in tokens {
                        let enough = at < limit && (self.ended || at + AHEAD <= self.bytes.len());
                        if !enough || meter.bits() > bound {
                            return (meter.bits(), count);
                        }
                        if guess.token(&mut meter, view, at, token).is_err() {
                            return (f64::INFINITY, count);
                        }
                        at += token.span();
                        count += 1;
                    }
                }
                _ => {}
            }
        }
        (meter.bits(), count)
    }
}
