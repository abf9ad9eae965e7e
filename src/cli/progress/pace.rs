//! How fast bytes move: over the last seconds, long enough to be calm, short enough to be true.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back the speed looks.
const WINDOW: Duration = Duration::from_secs(15);

/// How finely the window is kept.
const SAMPLE: Duration = Duration::from_millis(250);

/// Before this a speed is a guess, and a wild one.
const SOONEST: Duration = Duration::from_secs(1);

/// Bytes over time.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    total: u64,
    samples: VecDeque<(Instant, u64)>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, total: 0, samples: VecDeque::from([(now, 0)]) }
    }

    /// Counts bytes that moved.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.total = self.total.saturating_add(bytes);
        if self.samples.back().is_none_or(|(at, _)| now.duration_since(*at) >= SAMPLE) {
            self.samples.push_back((now, self.total));
        }
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Bytes a second over the last seconds; nothing in the first moments.
    pub(super) fn speed(&self, now: Instant) -> Option<u64> {
        let (since, before) = self.samples.front()?;
        per_second(self.total - before, now.duration_since(*since))
    }

    /// Bytes a second since the beginning; nothing in the first moments.
    pub(super) fn average(&self, now: Instant) -> Option<u64> {
        per_second(self.total, self.elapsed(now))
    }

    /// Time since the beginning.
    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now.duration_since(self.began)
    }

    /// Time that `rest` bytes will take; nothing where there is no speed to tell by.
    pub(super) fn time_for(&self, rest: u64, now: Instant) -> Option<Duration> {
        let speed = self.speed(now).filter(|speed| *speed > 0)?;
        Some(Duration::from_secs(rest.div_ceil(speed)))
    }
}

fn per_second(bytes: u64, time: Duration) -> Option<u64> {
    if time < SOONEST {
        return None;
    }
    let speed = u128::from(bytes) * 1000 / time.as_millis();
    Some(u64::try_from(speed).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_past_is_forgotten() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let after = |seconds| start + Duration::from_secs(seconds);
        for second in 1..=60 {
            pace.add(if second <= 30 { 10_000 } else { 100 }, after(second));
        }
        assert_eq!(pace.speed(after(60)), Some(100));
        assert_eq!(pace.average(after(60)), Some((30 * 10_000 + 30 * 100) / 60));
        assert_eq!(pace.time_for(1000, after(60)), Some(Duration::from_secs(10)));
        assert!(pace.samples.len() < 100);
    }

    #[test]
    fn a_stall_is_seen() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.add(1000, start + Duration::from_secs(1));
        assert_eq!(pace.speed(start + Duration::from_secs(10)), Some(100));
    }

    #[test]
    fn nothing_is_said_too_soon() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.add(1 << 30, start);
        assert_eq!(pace.speed(start + Duration::from_millis(10)), None);
        assert_eq!(pace.time_for(1, start + Duration::from_millis(10)), None);
    }
}
