//! What makes two writers differ: the release they are from, and their level.

/// Releases of `klauspost/compress` between which no output has changed, each named by the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// 1.14.3 and 1.14.4, from February 2022.
    V1_14_3,
    /// 1.15.0 to 1.15.9, from March 2022: podman 4.1 and 4.2.
    V1_15_0,
    /// 1.15.11 to 1.15.13, from October 2022: podman 4.3, the tools of Debian 12.
    V1_15_11,
    /// 1.15.15 to 1.17.11: levels 7 to 9 changed.
    V1_15_15,
    /// 1.18.0, from February 2025: level 4 changed. Up to podman 5.6, the tools of Debian 13.
    V1_18_0,
    /// 1.18.2 to 1.19.2, from the end of 2025.
    V1_18_2,
    /// 1.20.0 and later: levels 7 to 9 changed where there is a dictionary, as in pgzip.
    V1_20_0,
    /// `compress/flate` of Go itself from 1.27 on: docker, containerd, crane and kaniko, as
    /// soon as they are built with it. It differs from the one before at level 9 only.
    Go1_27,
}

impl Generation {
    /// All of them, the latest first.
    pub const ALL: [Self; 8] = [
        Self::Go1_27,
        Self::V1_20_0,
        Self::V1_18_2,
        Self::V1_18_0,
        Self::V1_15_15,
        Self::V1_15_11,
        Self::V1_15_0,
        Self::V1_14_3,
    ];
}

/// How hard to compress: as Go numbers it, from 0 to 9, or -2 for literals only.
pub(super) type Level = i8;
