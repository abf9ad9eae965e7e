//! Lets several threads prepare things and hand them over in an order that was fixed before.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::model::{Error, Kind, Result};

/// Whose turn it is. Whoever has a number waits for all smaller ones.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: usize,
    /// The first of those that ended badly.
    broken: Option<usize>,
}

/// Somebody's turn; it ends when this is let go, well or badly.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    number: usize,
    done: bool,
}

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that `number` is being prepared: whatever becomes of it, those behind it will hear.
    /// Those before it go on.
    pub(super) fn enter(&self, number: usize) -> Turn<'_> {
        Turn { turns: self, number, done: false }
    }

    /// Starts again from the first.
    pub(super) fn reset(&self) {
        *self.state() = State::default();
    }
}

impl Turn<'_> {
    /// Waits until all before it are done.
    ///
    /// # Errors
    /// Where one of them failed; that one has said why.
    pub(super) fn wait(&self) -> Result<()> {
        self.wait_for(self.number)
    }

    /// Waits until so many are done, which are all before it.
    ///
    /// # Errors
    /// Where one before it failed; that one has said why.
    pub(super) fn wait_for(&self, count: usize) -> Result<()> {
        let mut state = self.turns.state();
        let is_broken = |state: &State| state.broken.is_some_and(|broken| broken < self.number);
        while state.next < count && !is_broken(&state) {
            state = self.turns.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if is_broken(&state) {
            return Err(Error::new(Kind::Io, "what comes before it could not be written"));
        }
        Ok(())
    }

    /// It is done: the next one may go on.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        if self.done {
            state.next += 1;
        } else {
            state.broken = Some(state.broken.map_or(self.number, |first| first.min(self.number)));
        }
        drop(state);
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_handed_over_in_order() {
        let (turns, order) = (Turns::default(), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for number in (0..20).rev() {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let turn = turns.enter(number);
                    turn.wait().unwrap();
                    order.lock().unwrap().push(number);
                    turn.done();
                });
            }
        });
        assert_eq!(order.into_inner().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn those_behind_one_that_failed_do_not_wait_for_ever_and_those_before_it_go_on() {
        let turns = Turns::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| turns.enter(2).wait().is_err());
            let (first, second) = (turns.enter(0), turns.enter(1));
            drop(second);
            assert!(waiting.join().unwrap());
            first.wait().unwrap();
            first.done();
        });
    }
}
