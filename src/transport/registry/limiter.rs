//! How many requests a registry gets at once: as many as we have, until it says that it is busy.
//!
//! Then half as many, and one more for every few that go well. All requests to a registry share
//! one limiter, so that a dozen threads do not go on knocking where one of them was turned away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::retry::is_busy;

/// More than all threads that ask at once: no limit.
const UNLIMITED: usize = 64;

/// How many requests must go well for each place before one more is tried.
const GOOD_FOR_EACH: usize = 4;

/// How long nothing may move before a request goes ahead although no place is free: those who
/// have the places may themselves wait for us, as a layer that must be written before another.
const STILL: Duration = Duration::from_secs(10);

/// Places of one registry.
pub(super) struct Limiter {
    state: Mutex<State>,
    changed: Condvar,
    begun: Instant,
    /// Milliseconds since `begun` when something was last seen to move.
    moved: AtomicU64,
}

struct State {
    running: usize,
    places: usize,
    /// Requests that went well since the number of places last changed.
    good: usize,
    /// When the number of places was last halved.
    halved: Option<Instant>,
    /// Nobody begins before.
    pause: Option<Instant>,
}

/// A place, kept while a request runs.
pub(super) struct Permit {
    limiter: Arc<Limiter>,
    since: Instant,
}

impl Limiter {
    pub(super) fn new() -> Arc<Self> {
        let state = State { running: 0, places: UNLIMITED, good: 0, halved: None, pause: None };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            begun: Instant::now(),
            moved: AtomicU64::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place.
    pub(super) fn enter(self: &Arc<Self>) -> Permit {
        let mut state = self.state();
        let mut still = Duration::ZERO;
        let mut seen = self.moved.load(Ordering::Relaxed);
        loop {
            let now = Instant::now();
            let wait = match state.pause {
                Some(pause) if pause > now => pause - now,
                _ if state.running < state.places || still >= STILL => break,
                _ => {
                    let moved = self.moved.load(Ordering::Relaxed);
                    if std::mem::replace(&mut seen, moved) != moved {
                        still = Duration::ZERO;
                    }
                    STILL.saturating_sub(still)
                }
            };
            let paused = state.pause.is_some_and(|pause| pause > now);
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !paused {
                still += now.elapsed();
            }
        }
        state.running += 1;
        drop(state);
        Permit { limiter: Arc::clone(self), since: Instant::now() }
    }

    /// Lets nobody begin before `wait` is over.
    pub(super) fn pause(&self, wait: Duration) {
        let until = Instant::now().checked_add(wait);
        let mut state = self.state();
        if until > state.pause {
            state.pause = until;
        }
    }

    /// Says that bytes move.
    pub(super) fn moves(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    /// How many may run at once.
    #[cfg(test)]
    fn places(&self) -> usize {
        self.state().places
    }
}

impl Permit {
    /// Takes in how the request was answered.
    pub(super) fn answered(&self, status: StatusCode) {
        let mut state = self.limiter.state();
        if is_busy(status) {
            // Those that were under way then are no further news.
            if state.halved.is_none_or(|halved| halved <= self.since) {
                state.places = (state.running.min(state.places) / 2).max(1);
                (state.halved, state.good) = (Some(Instant::now()), 0);
            }
        } else if status.as_u16() < 500 && state.places < UNLIMITED {
            state.good += 1;
            if state.good >= state.places * GOOD_FOR_EACH {
                (state.places, state.good) = (state.places + 1, 0);
                self.limiter.changed.notify_all();
            }
        }
    }

    /// Says that bytes move.
    pub(super) fn moves(&self) {
        self.limiter.moves();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.moves();
        self.limiter.state().running -= 1;
        self.limiter.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

    #[test]
    fn half_as_many_after_a_refusal_and_one_more_now_and_then() {
        let limiter = Limiter::new();
        let mut permits: Vec<_> = (0..8).map(|_| limiter.enter()).collect();
        assert_eq!(limiter.places(), UNLIMITED);
        // Eight that were turned away together are one refusal.
        permits.iter().for_each(|permit| permit.answered(BUSY));
        assert_eq!(limiter.places(), 4);
        permits.clear();
        let late = limiter.enter();
        late.answered(BUSY);
        assert_eq!(limiter.places(), 1, "half of what was running");
        for places in 1..=3 {
            for _ in 0..places * GOOD_FOR_EACH {
                assert_eq!(limiter.places(), places);
                late.answered(StatusCode::OK);
            }
        }
        late.answered(StatusCode::BAD_GATEWAY);
        assert_eq!(limiter.places(), 4);
    }

    #[test]
    fn nobody_enters_where_no_place_is_free() {
        let limiter = Limiter::new();
        let first = limiter.enter();
        first.answered(BUSY);
        let (entered, waiting) = (AtomicU64::new(0), 6);
        std::thread::scope(|scope| {
            for _ in 0..waiting {
                scope.spawn(|| {
                    let permit = limiter.enter();
                    assert_eq!(limiter.state().running, 1);
                    entered.fetch_add(1, Ordering::SeqCst);
                    drop(permit);
                });
            }
            assert_eq!(entered.load(Ordering::SeqCst), 0);
            drop(first);
        });
        assert_eq!((entered.load(Ordering::SeqCst), limiter.state().running), (waiting, 0));
    }

    #[test]
    fn a_pause_is_for_everybody_and_the_longest_counts() {
        let limiter = Limiter::new();
        let begun = Instant::now();
        limiter.pause(Duration::from_millis(60));
        limiter.pause(Duration::from_millis(10));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    drop(limiter.enter());
                    assert!(begun.elapsed() >= Duration::from_millis(60));
                });
            }
        });
    }
}
