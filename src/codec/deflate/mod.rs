//! Exact deflate: encoders whose output is known to the bit.
//!
//! A registry names a layer by the digest of its compressed bytes. To carry the layer opened and
//! still deliver those bytes, the encoder that made them is run again. Each [`Engine`] is one such
//! encoder with one setting; [`bits`] and [`codes`] are what they share.
//!
//! An engine is a pure function from plain bytes to a stream: it does not depend on how its input
//! is cut into writes, on time, or on the machine. What a bundle says about an engine (its number,
//! its setting, the states in [`Mark`]s) keeps its meaning for ever.

pub mod bits;
mod catalogue;
pub mod codes;
pub mod general;
pub mod go;
mod header;
pub mod klauspost;
mod pool;
mod prove;
mod rebuild;
mod recipe;
pub mod tokens;
pub mod zlib;

pub use bits::{BitWriter, Mark};
pub use catalogue::candidates;
pub use pool::Pool;
pub use prove::{Proof, prove};
pub use rebuild::Rebuilt;
pub use recipe::{Coder, GzipRecipe, Member};

/// An encoder with a setting.
pub trait Engine: Send + Sync {
    /// Begins a stream.
    fn begin(&self) -> Box<dyn Encoder>;

    /// Goes on from a [`Mark`] that this engine made with the same setting: `plain` and `state` are
    /// those of the mark, `history` the plain bytes before it, as many as [`codes::WINDOW`] or as there
    /// are. What follows is the same as if the stream had been encoded from its beginning.
    ///
    /// `None` where the engine makes no marks, or the state can be none of its own: it may come
    /// from a hostile bundle.
    fn resume(&self, plain: u64, history: &[u8], state: &[u8]) -> Option<Box<dyn Encoder>>;
}

/// A stream at work. It holds a bounded piece of its input, and what it appends does not depend on
/// how the input is cut.
pub trait Encoder: Send {
    /// Takes more plain bytes and appends what they decide.
    fn write(&mut self, plain: &[u8], out: &mut BitWriter);

    /// Ends the stream: appends what is left and the last block. Nothing is written afterwards.
    fn finish(&mut self, out: &mut BitWriter);
}
