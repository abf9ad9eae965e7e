//! Go's `compress/flate`, as it was up to Go 1.26.
//!
//! It is what the Docker daemon, containerd, `BuildKit` and crane push layers with. Its levels are
//! four algorithms: [`chain`] (2 to 9), [`fast`] (1), and blocks without matches (0 and -2,
//! [`whole`]); the blocks that these make are written by [`block`], with code lengths from
//! [`lengths`].
//!
//! The stream is that of one `Write` of everything and a `Close`. Go forgets half of its window of
//! 64 KiB whenever there is less than a longest match and four bytes left in it, which shows in
//! the output: for a few positions matches may not reach all of 32 KiB, and a block that began
//! before what is forgotten cannot be stored.

mod block;
mod buffer;
mod chain;
mod fast;
mod finder;
mod lengths;
mod ranked;
mod whole;

use chain::Chain;
use finder::Plain;
use ranked::Ranked;

use super::{BitWriter, Encoder, Engine};

/// Go's encoder with a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoFlate {
    level: i8,
}

impl GoFlate {
    /// Go's level -1.
    pub const DEFAULT: i8 = 6;

    /// The encoder with a level from -2 (Huffman codes only) to 9; -1 is [`GoFlate::DEFAULT`].
    pub fn new(level: i8) -> Option<Self> {
        match level {
            -1 => Some(Self { level: Self::DEFAULT }),
            -2..=9 => Some(Self { level }),
            _ => None,
        }
    }
}

impl Engine for GoFlate {
    fn begin(&self) -> Box<dyn Encoder> {
        match self.level {
            ..=0 => Box::new(whole::Whole::new(self.level == 0, 0)),
            1 => Box::new(fast::Fast::new()),
            2..4 => Box::new(Chain::<Plain>::new(self.level.unsigned_abs())),
            _ => Box::new(Chain::<Ranked>::new(self.level.unsigned_abs())),
        }
    }

    /// Marks have no state: an encoder at a mark is what it is by the bytes before it and how many
    /// they are.
    fn resume(&self, plain: u64, history: &[u8], state: &[u8]) -> Option<Box<dyn Encoder>> {
        if !state.is_empty() || plain == 0 {
            return None;
        }
        match self.level {
            ..=0 => Some(Box::new(whole::Whole::new(self.level == 0, plain))),
            4.. => {
                Some(Box::new(Chain::<Ranked>::resume(self.level.unsigned_abs(), plain, history)?))
            }
            _ => None,
        }
    }
}

/// The end of every stream: an empty stored block.
fn write_end(out: &mut BitWriter) {
    block::write_stored(&[], true, out);
}
