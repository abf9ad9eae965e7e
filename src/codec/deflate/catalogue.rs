//! Which engines there are, by the number that stands in bundles, and which of them may have made a
//! stream.

use std::sync::Arc;

use super::Engine;
use super::go::GoFlate;
use super::recipe::Coder;

/// The families. The lower byte of a [`Coder`] is the setting, for most of them a level.
const GO: u16 = 0x0100;

impl Coder {
    const fn go(level: i8) -> Self {
        Self(GO | level.cast_unsigned() as u16)
    }

    /// The engine; `None` for the general coder and for numbers that this version does not know.
    pub fn engine(self) -> Option<Arc<dyn Engine>> {
        let setting = (self.0 & 0xff) as u8;
        match self.0 & 0xff00 {
            GO => Some(Arc::new(GoFlate::new(setting.cast_signed())?)),
            _ => None,
        }
    }

    /// What people call it.
    pub fn name(self) -> String {
        let setting = self.0 & 0xff;
        match self.0 & 0xff00 {
            0 => "corrected".to_owned(),
            GO => format!("go {}", (setting as u8).cast_signed()),
            _ => format!("engine {}", self.0),
        }
    }
}

/// Every engine, the likeliest first as far as the header of the stream tells: its last two bytes
/// are a hint at the level and the name of an operating system.
pub fn candidates(_header: &[u8]) -> Vec<Coder> {
    [6, 9, 1, 5, 4, 3, 2, 7, 8, -2, 0].map(Coder::go).to_vec()
}
