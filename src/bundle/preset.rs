//! How hard a bundle is packed.

use super::packs::Class;
use crate::codec::frame::Effort;

/// What the user chooses between time and room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Preset {
    /// Blobs as they come; what is plain is compressed where that gains. As fast as the disk.
    Fast,
    /// Gzip layers are opened; half the size at a good speed.
    #[default]
    Balanced,
    /// As small as it gets, several times slower to write; reading costs little more.
    Max,
}

impl Preset {
    /// Its name, as users and manifests spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Max => "max",
        }
    }

    /// Whether gzip layers are opened and later rebuilt.
    pub(super) const fn opens_layers(self) -> bool {
        !matches!(self, Self::Fast)
    }

    /// Level for content.
    pub(super) const fn level(self) -> i32 {
        match self {
            Self::Fast => 1,
            Self::Balanced => 9,
            Self::Max => 19,
        }
    }

    /// How a pack of a class is compressed. The window is the whole pack.
    pub(super) const fn effort(self, class: Class) -> Effort {
        let level = match class {
            Class::Meta | Class::Data => self.level(),
            Class::Opaque => 1,
        };
        Effort { level, window_log: 22 }
    }
}
