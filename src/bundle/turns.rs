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
    broken: bool,
}

/// Somebody's turn; it ends when this is let go, well or badly.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    done: bool,
}

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that `number` is being prepared: whatever becomes of it, those behind it will hear.
    pub(super) fn enter(&self) -> Turn<'_> {
        Turn { turns: self, done: false }
    }

    /// Starts again from the first.
    pub(super) fn reset(&self) {
        *self.state() = State::default();
    }
}

impl Turn<'_> {
    /// Waits until all before `number` are done.
    ///
    /// # Errors
    /// Where one of them failed; that one has said why.
    pub(super) fn wait(&self, number: usize) -> Result<()> {
        let mut state = self.turns.state();
        while state.next != number && !state.broken {
            state = self.turns.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.broken {
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
            state.broken = true;
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
                    let turn = turns.enter();
                    turn.wait(number).unwrap();
                    order.lock().unwrap().push(number);
                    turn.done();
                });
            }
        });
        assert_eq!(order.into_inner().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn those_behind_one_that_failed_do_not_wait_for_ever() {
        let turns = Turns::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| turns.enter().wait(1).is_err());
            drop(turns.enter());
            assert!(waiting.join().unwrap());
        });
    }
}
