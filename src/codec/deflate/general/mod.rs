//! The general way: a stream told by how it differs from what a model of encoders would have made.
//!
//! Where no engine makes a stream, [`Analysis`] follows its tokens with a predictor whose settings
//! fit the encoder best, and writes down where it was wrong: the corrections. [`Rebuild`] makes the
//! same predictions from the plain bytes and, with the corrections, the same stream. An encoder
//! that is almost known costs next to nothing; one that is not costs more, and is exact all the
//! same.
//!
//! The predictor is part of the format of the corrections: `docs/deflate-general.md` is its normative
//! text.

mod analysis;
mod choose;
mod emit;
mod guess;
mod heads;
mod matcher;
mod model;
mod piece;
mod predictor;
mod range;
mod rebuild;
mod settings;
mod tree;

pub use analysis::{Analysis, AnalysisError};
pub use rebuild::{Failure, Rebuild};

/// Version of the corrections, their first 8 bits.
const VERSION: u32 = 1;
