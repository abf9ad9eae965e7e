//! Staying the course with one registry: what went wrong, how often it is tried again, who is
//! told, and that nobody else knocks meanwhile.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::exchange::{Answer, AsAnswer, Fault};
use super::limiter::Limiter;
use super::retry::{Patience, is_busy, is_passing, retry_after};
use crate::endpoint::{Event, Progress as _, Relay};

/// How long after one warning about a registry the next one may come: several threads meet the
/// same trouble at once, and a person reads it once.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(5);

/// Bytes that count as having come further.
pub(super) const STEP: u64 = 1 << 20;

/// What is shared by everybody who talks to one registry.
pub(super) struct Course {
    name: String,
    patience: Patience,
    listener: Relay,
    warned: Mutex<Option<Instant>>,
    limiter: Arc<Limiter>,
}

impl Course {
    /// `name` is what the registry is called; warnings go to `listener`.
    pub(super) fn new(name: &str, patience: Patience, listener: Relay) -> Self {
        Self {
            name: name.to_owned(),
            patience,
            listener,
            warned: Mutex::default(),
            limiter: Limiter::new(),
        }
    }

    pub(super) fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Says something about the registry, as in `is busy (429)`, unless something was said just
    /// before.
    pub(super) fn warn(&self, what: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_some_and(|warned| warned.elapsed() < BETWEEN_WARNINGS) {
            return;
        }
        *warned = Some(Instant::now());
        drop(warned);
        self.listener.event(Event::Warning(&format!("registry {} {what}", self.name)));
    }

    /// The tries of one thing, `attempts` at most.
    pub(super) fn tries(&self) -> Tries {
        Tries { attempts: self.patience.attempts, attempt: 1, since: Instant::now(), best: 0 }
    }

    /// Waits before the next try. `false` where it was tried often enough, or for long enough.
    pub(super) fn again(&self, tries: &mut Tries, setback: &Setback) -> bool {
        let is_left = self.is_left(tries);
        if is_left {
            self.wait(tries, setback);
        }
        is_left
    }

    fn is_left(&self, tries: &Tries) -> bool {
        tries.attempt < tries.attempts && tries.since.elapsed() <= self.patience.fruitless
    }

    fn wait(&self, tries: &mut Tries, setback: &Setback) {
        let wait = self.patience.wait(tries.attempt, setback.asked);
        tries.attempt += 1;
        self.warn(&format!(
            "{}: waiting {}, attempt {} of {}",
            setback.what,
            seconds(wait),
            tries.attempt,
            tries.attempts
        ));
        if setback.for_all {
            self.limiter.pause(wait);
        }
        std::thread::sleep(wait);
    }

    /// Does it until it works, fails for good, or was tried often enough. `refused_too` says that
    /// a connection that does not come up is tried again.
    pub(super) fn persist<T: AsAnswer>(
        &self,
        mut tries: Tries,
        refused_too: bool,
        mut once: impl FnMut() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        loop {
            let result = once();
            let setback = match &result {
                Ok(done) => Setback::of_answer(done.answer()),
                Err(fault) if fault.is_connect() && !refused_too => None,
                Err(fault) => Setback::of_fault(fault),
            };
            match setback {
                // What was kept of it would keep others out.
                Some(setback) if self.is_left(&tries) => {
                    drop(result);
                    self.wait(&mut tries, &setback);
                }
                _ => return result,
            }
        }
    }
}

/// How often something was tried.
pub(super) struct Tries {
    attempts: u32,
    attempt: u32,
    /// When it began, or last came further.
    since: Instant,
    /// How far it came.
    best: u64,
}

impl Tries {
    /// The same, but not more than `attempts`.
    pub(super) fn at_most(mut self, attempts: u32) -> Self {
        self.attempts = self.attempts.min(attempts);
        self
    }

    /// Says how many bytes are done. Where that is further than ever before, it counts anew.
    pub(super) fn came_to(&mut self, offset: u64) {
        if offset >= self.best.saturating_add(STEP) {
            (self.attempt, self.since, self.best) = (1, Instant::now(), offset);
        }
    }

    /// Whether this is not the first try.
    pub(super) fn is_again(&self) -> bool {
        self.attempt > 1
    }
}

/// What went wrong and may go well another time.
pub(super) struct Setback {
    /// As it follows the name of the registry.
    what: String,
    /// How long the registry wants us to wait.
    asked: Option<Duration>,
    /// Whether others had better wait too.
    for_all: bool,
}

impl Setback {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), asked: None, for_all: false }
    }

    /// Of an answer that may be another one a little later.
    pub(super) fn of_answer(answer: &Answer) -> Option<Self> {
        let status = answer.status;
        is_passing(status).then(|| {
            let asked = retry_after(&answer.headers);
            let busy = is_busy(status);
            let what = match status.canonical_reason() {
                _ if busy => format!("is busy ({})", status.as_u16()),
                Some(reason) => format!("answered {} {reason}", status.as_u16()),
                None => format!("answered {}", status.as_u16()),
            };
            let for_all = status == StatusCode::TOO_MANY_REQUESTS || busy && asked.is_some();
            Self { what, asked, for_all }
        })
    }

    /// Of a request without an answer that may have one another time.
    pub(super) fn of_fault(fault: &Fault) -> Option<Self> {
        if !fault.is_passing() {
            return None;
        }
        Some(match fault {
            Fault::Broken(error, _) if error.is_timeout() => Self::new("does not answer in time"),
            Fault::Broken(error, _) if error.is_connect() => {
                Self::new(format!("cannot be reached ({})", deepest(error)))
            }
            Fault::Broken(error, _) => Self::new(format!("broke off ({})", deepest(error))),
            Fault::Cut(error) => Self::of_cut(error),
            Fault::Final(_) => return None,
        })
    }

    /// Of an answer that broke off.
    pub(super) fn of_cut(error: &io::Error) -> Self {
        Self::new(format!("broke off its answer ({})", deepest(error)))
    }
}

/// What the last cause says: the ones above only say that there was an error.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// `8 s`, `0.4 s`.
fn seconds(time: Duration) -> String {
    if time >= Duration::from_secs(2) {
        format!("{:.0} s", time.as_secs_f64())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
