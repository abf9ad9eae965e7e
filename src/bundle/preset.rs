//! How hard a bundle is packed.

use super::class::Class;
use crate::codec::frame::{self, Effort};

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
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Balanced, Self::Max];

    /// Its name, as users and manifests spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Max => "max",
        }
    }

    /// Whether gzip layers are opened and later rebuilt.
    pub const fn opens_layers(self) -> bool {
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

    /// Content of a full pack, in bytes. Larger ones compress better and cost every reader memory
    /// and, where a layer takes its content from all over the bundle, time. Of a volume that may
    /// have `volume` bytes it is a quarter at most: what is left over at the end of one is little.
    pub(super) fn pack_content(self, volume: Option<u64>) -> usize {
        let most = match self {
            Self::Fast => 4 << 20,
            Self::Balanced => 8 << 20,
            Self::Max => 32 << 20,
        };
        let quarter = volume.map_or(u64::MAX, |volume| volume / 4);
        usize::try_from(quarter).map_or(most, |quarter| most.min(quarter))
    }

    /// Old content that a pack may have as prefix, in bytes.
    pub(super) const fn prefix_content(self) -> usize {
        match self {
            Self::Fast => 0,
            Self::Balanced => 16 << 20,
            Self::Max => 32 << 20,
        }
    }

    /// Whether new versions of a file are compressed against old ones.
    pub(super) const fn uses_prefixes(self) -> bool {
        self.prefix_content() > 0
    }

    /// Power of two of the largest window that a pack with so much content and its prefix need.
    pub(super) fn window_log(self, pack_content: usize) -> u32 {
        frame::window_log(pack_content + self.prefix_content())
    }

    /// How a pack of a class is compressed. The window is the whole pack and its prefix.
    pub(super) const fn effort(self, class: Class) -> Effort {
        match class {
            Class::Opaque => Effort { level: 1, long_distance: false },
            _ => Effort { level: self.level(), long_distance: self.uses_prefixes() },
        }
    }
}
