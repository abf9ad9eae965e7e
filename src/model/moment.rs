//! Moments as bundles state them, seconds since 1970, spelled for people.

use jiff::Timestamp;

/// The first moment that no bundle states: what a tar header can hold, in the year 2242.
pub const LATEST: u64 = 1 << 33;

/// A day in seconds.
pub const DAY: u64 = 24 * 60 * 60;

/// A moment as in `2026-03-01T12:00:00Z`.
pub fn spell(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| format!("{seconds} seconds after 1970"), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_well() {
        assert_eq!(spell(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(spell(u64::MAX), "18446744073709551615 seconds after 1970");
    }
}
