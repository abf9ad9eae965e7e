//! The levels: how each finds its matches. Levels 1 to 6 look up places in tables by a hash of the
//! next bytes; levels 7 to 9 ([`lazy`]) follow chains of places.

mod five;
mod four;
mod lazy;
mod search;
mod six;
mod sparse;
mod three;

pub(super) use lazy::Lazy;
pub(super) use search::Parse;

use five::Five;
use four::Four;
use search::END_MARGIN;
use six::Six;
use sparse::Sparse;
use three::Three;

use super::generation::{Generation, Level};
use super::history::History;
use super::tokens::Tokens;

/// Chunks below this are not searched.
const SHORTEST: usize = END_MARGIN + 2;

/// What finds the matches of a level from 1 to 6.
pub(super) fn parser(level: Level, generation: Generation) -> Box<dyn Parse> {
    match level {
        1 => Box::new(Sparse::one(generation)),
        2 => Box::new(Sparse::two(generation)),
        3 => Box::new(Three::new(generation)),
        4 => Box::new(Four::new(generation)),
        5 => Box::new(Five::new(generation)),
        _ => Box::new(Six::new(generation)),
    }
}

/// Adds a chunk to the history and its tokens to `tokens`: none if there is no match in it.
pub(super) fn parse_chunk(
    parser: &mut dyn Parse,
    history: &mut History,
    chunk: &[u8],
    tokens: &mut Tokens,
) {
    if let Some(excess) = history.renumber() {
        parser.renumber(excess);
    }
    let start = history.append(chunk);
    if chunk.len() < SHORTEST {
        return;
    }
    let done = parser.parse(history, start, tokens);
    if tokens.count() > 0 {
        tokens.push_literals(&history.bytes()[done..]);
    }
}
