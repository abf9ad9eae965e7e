//! The choice of settings for a stream: those with which its beginning is told in the fewest bits.
//! No part of the format: any choice makes corrections that are right.

use std::collections::VecDeque;

use super::guess::Guess;
use super::matcher::View;
use super::model::AHEAD;
use super::piece::Piece;
use super::range::Meter;
use super::settings::{KNOWN, Lazy, Settings};
use crate::codec::deflate::tokens::Token;

/// Plain bytes over which all known settings are tried.
const GLANCE: usize = 96 << 10;
/// Plain bytes over which the best of them are tried, and what is like them.
const LOOK: usize = 512 << 10;
/// How many of them.
const FINALISTS: usize = 4;
/// With fewer bits than this for a token nothing better is sought.
const GOOD_ENOUGH: f64 = 0.03;
/// How often what is like the best is gone through.
const ROUNDS: usize = 3;

/// The best settings for a beginning.
pub(super) fn choose(pieces: &VecDeque<Piece>, bytes: &[u8], ended: bool) -> Settings {
    let trial = Trial { pieces, bytes, ended };
    let mut best = Vec::new();
    let mut known: Vec<(f64, Settings)> = Vec::new();
    for &settings in KNOWN {
        let costs = trial.costs(settings, GLANCE, &best, 1.5);
        let whole = costs.len() >= best.len();
        let cost = costs.last().copied().filter(|_| whole).unwrap_or(f64::INFINITY);
        known.push((cost, settings));
        if best.last().is_none_or(|&best| cost < best) {
            best = costs;
        }
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut settings = known[0].1;
    let mut best = Vec::new();
    let improve = |settings: &mut Settings, best: &mut Vec<f64>, other: Settings| {
        let costs = trial.costs(other, LOOK, best, 1.02);
        let better = best.is_empty() || costs.len() == best.len() && costs.last() < best.last();
        if better {
            *settings = other;
            *best = costs;
        }
        better
    };
    for &(_, other) in &known[..FINALISTS] {
        improve(&mut settings, &mut best, other);
    }
    for _ in 0..ROUNDS {
        let enough = GOOD_ENOUGH * (best.len() * MARK) as f64;
        let mut improved = false;
        for (change, values) in CHANGES {
            for &value in *values {
                let mut other = settings;
                change(&mut other, value);
                if best.last().is_some_and(|&cost| cost > enough) && other != settings {
                    improved |= improve(&mut settings, &mut best, other);
                }
            }
        }
        if !improved {
            break;
        }
    }
    settings
}

type Change = (fn(&mut Settings, u32), &'static [u32]);

/// Changes that are tried on the best settings.
const CHANGES: &[Change] = &[
    (
        |s, v| s.lazy = [Lazy::Never, Lazy::Longer, Lazy::Worth, Lazy::WorthTwice][v as usize],
        &[0, 1, 2, 3],
    ),
    (|s, v| s.hash_bits = v, &[8, 9, 10, 11, 12, 13, 14, 15, 16, 17]),
    (|s, v| s.depth = (s.depth * v / 4).clamp(1, 4096), &[1, 2, 8, 16]),
    (|s, v| s.nice = v, &[8, 16, 32, 64, 128, 258]),
    (|s, v| s.patient = v, &[4, 8, 16, 32, 64, 128, 259]),
    (|s, v| s.good = v, &[4, 8, 32, 258]),
    (|s, v| s.too_far = v, &[0, 1024, 4096, 8192, 32768]),
    (|s, v| s.remembered = v, &[0, 4, 8, 16, 258]),
    (|s, v| s.reach = v, &[3834, 7930, 8192, 16122, 16384, 32506, 32767, 32768]),
];

struct Trial<'a> {
    pieces: &'a VecDeque<Piece>,
    bytes: &'a [u8],
    ended: bool,
}

/// The cost is noted after each so many tokens, and at the end.
const MARK: usize = 1024;
/// Bits by which a trial may be worse than the best before it is given up.
const SLACK: f64 = 64.0;

impl Trial<'_> {
    /// Bits that the tokens in the first bytes take, by and by; stops early where that is more than
    /// `factor` times the best.
    fn costs(&self, settings: Settings, limit: usize, best: &[f64], factor: f64) -> Vec<f64> {
        let mut guess = Guess::new(settings);
        let mut meter = Meter::default();
        let mut costs = Vec::new();
        let mut count = 0;
        for (at, token) in self.tokens().take_while(|&(at, _)| at < limit) {
            let Some(token) = token else {
                guess.pass();
                continue;
            };
            let view = View { bytes: self.bytes, before: 0 };
            if guess.token(&mut meter, view, at, token).is_err() {
                return Vec::new();
            }
            count += 1;
            if count % MARK == 0 {
                let bound = best.get(costs.len()).map_or(f64::INFINITY, |best| best * factor);
                costs.push(meter.bits());
                if meter.bits() > bound + SLACK {
                    return costs;
                }
            }
        }
        costs.push(meter.bits());
        costs
    }

    /// Tokens with their places as long as enough is known behind them; none for stored bytes.
    fn tokens(&self) -> impl Iterator<Item = (usize, Option<Token>)> {
        let mut next = 0;
        let mut place = move |span| {
            next += span;
            next - span
        };
        self.pieces
            .iter()
            .flat_map(move |piece| {
                let (tokens, stored) = match piece {
                    Piece::Run { tokens, .. } => (tokens.as_slice(), None),
                    Piece::Bytes(count) => (&[][..], Some(*count)),
                    _ => (&[][..], None),
                };
                let tokens = tokens.iter().map(|&token| (token.span(), Some(token)));
                tokens.chain(stored.map(|count| (count, None)))
            })
            .map(move |(span, token)| (place(span), token))
            .take_while(|&(at, _)| self.ended || at + AHEAD <= self.bytes.len())
    }
}
