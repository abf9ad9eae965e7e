//! Which engines there are, by the number that stands in bundles, and which of them may have made a
//! stream.

use std::sync::Arc;

use super::Engine;
use super::recipe::Coder;

/// The families; the setting is the lower byte of a [`Coder`].
const GO: u16 = 0x0100;

impl Coder {
    /// The engine; `None` for the general coder and for numbers that this version does not know.
    pub fn engine(self) -> Option<Arc<dyn Engine>> {
        let setting = (self.0 & 0xff) as u8;
        match self.0 & 0xff00 {
            _ => {
                let _ = setting;
                None
            }
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
    Vec::new()
}
