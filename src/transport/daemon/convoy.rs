//! Several uploads on their way to one daemon.
//!
//! ```text
//! upload 1   sent ───── unpacked by the daemon ─────┐
//! upload 2          sent ───────── held back ───────┴─ unpacked ──┐
//! upload 3                       sent ── unpacked ──┘ (stands on none)
//! ```
//!
//! One is sent at a time. When all its files are sent it is handed to a thread of its own, which
//! holds its end back until the daemon has answered those that it stands on, and then waits for its
//! answer. When one goes wrong, those whose end is still held back are broken off, and nothing more
//! is sent.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::api::Api;
use super::load::{Load, NO_ROOM, refused};
use crate::model::{Error, Result};

/// Uploads that the daemon may have unanswered: what it keeps of them lies in its temporary folder.
/// One is being sent while two are unpacked; more would only share its processors.
const UNANSWERED: usize = 3;

/// Uploads to one daemon, one after another.
pub(super) struct Convoy {
    api: Arc<Api>,
    sending: Option<Load>,
    /// Uploads that were begun.
    begun: usize,
    board: Arc<Board>,
}

/// What has become of the uploads.
#[derive(Default)]
struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Uploads that were handed over and have no outcome yet.
    unanswered: usize,
    /// Uploads that the daemon has unpacked.
    landed: BTreeSet<usize>,
    wrong: Option<Wrong>,
}

/// The first thing that went wrong.
enum Wrong {
    /// The daemon found something wrong with an upload.
    Refused(String),
    /// An upload failed as such.
    Failed(Error),
    /// It was told already, or nobody wants to know.
    Over,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready`, or until something is wrong.
    fn wait(&self, ready: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waiting = |state: &mut State| state.wrong.is_none() && !ready(state);
        self.changed.wait_while(self.state(), waiting).unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn stop(&self, wrong: Wrong) {
        self.settle(|state| {
            state.wrong.get_or_insert(wrong);
        });
    }

    fn is_wrong(&self) -> bool {
        self.state().wrong.is_some()
    }
}

impl Convoy {
    /// None under way yet.
    pub(super) fn new(api: &Arc<Api>) -> Self {
        Self { api: api.clone(), sending: None, begun: 0, board: Arc::default() }
    }

    /// Whether an upload went wrong, so that nothing more is worth sending.
    pub(super) fn is_wrong(&self) -> bool {
        self.board.is_wrong()
    }

    /// Whether it could help to send everything once more: a layer that was to be there was not.
    pub(super) fn is_worth_repeating(&self) -> bool {
        matches!(&self.board.state().wrong, Some(Wrong::Refused(message)) if may_be_repeated(message))
    }

    /// Adds a file to the upload that is being sent, or to a new one.
    ///
    /// # Errors
    /// Those of `content`, and those of the upload; all of them are then given up.
    /// `Ok(false)` where one went wrong with the daemon: [`land`](Self::land) tells what.
    pub(super) fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<bool> {
        if self.sending.is_none() {
            drop(self.board.wait(|state| state.unanswered < UNANSWERED));
        }
        if self.is_wrong() {
            self.sending = None;
            return Ok(false);
        }
        match self.send(path, size, content) {
            Ok(()) => Ok(true),
            Err(_) if self.is_wrong() => Ok(false),
            Err(error) => {
                self.board.stop(Wrong::Over);
                Err(error)
            }
        }
    }

    fn send(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut load = if let Some(load) = self.sending.take() {
            load
        } else {
            self.begun += 1;
            Load::start(&self.api)?
        };
        // After an error the upload is dropped here: it breaks, and the daemon forgets it.
        load.file(path, size, &mut Watched { content, board: &self.board })?;
        self.sending = Some(load);
        Ok(())
    }

    /// Ends the upload that is being sent with its table of contents, as soon as the daemon has
    /// unpacked those that it stands on.
    pub(super) fn seal(
        &mut self,
        contents: Vec<(String, Vec<u8>)>,
        after: BTreeSet<usize>,
    ) -> Result<()> {
        let (Some(load), Some(number)) = (self.sending.take(), self.begun.checked_sub(1)) else {
            return Ok(());
        };
        self.board.settle(|state| state.unanswered += 1);
        let pending = Pending { board: self.board.clone(), outcome: Err(Wrong::Over) };
        let wait = move || {
            let outcome = land(load, &contents, &after, &pending.board);
            pending.tell(outcome.map(|()| number));
        };
        let waiting = std::thread::Builder::new().name("docker load".to_owned()).spawn(wait);
        waiting.map(drop).map_err(|e| Error::io("cannot start a thread", e))
    }

    /// Waits for all answers. `Some` is what the daemon found wrong; uploads that were begun are
    /// unpacked or forgotten then.
    ///
    /// # Errors
    /// Those of the upload that failed first.
    pub(super) fn land(&mut self) -> Result<Option<String>> {
        self.sending = None;
        let over = |state: &mut State| state.unanswered > 0;
        let state = self.board.changed.wait_while(self.board.state(), over);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        match state.wrong.replace(Wrong::Over) {
            None => {
                state.wrong = None;
                Ok(None)
            }
            Some(Wrong::Refused(message)) => Ok(Some(message)),
            Some(Wrong::Failed(error)) => Err(error),
            Some(Wrong::Over) => Err(self.given_up()),
        }
    }

    /// Tells at once what went wrong, without waiting for the other uploads.
    pub(super) fn why(&self) -> Error {
        match self.board.state().wrong.replace(Wrong::Over) {
            Some(Wrong::Refused(message)) => refused(self.api.shown(), &message),
            Some(Wrong::Failed(error)) => error,
            Some(Wrong::Over) | None => self.given_up(),
        }
    }

    fn given_up(&self) -> Error {
        Error::remote(format!("the upload to {} was given up after an error", self.api.shown()))
    }
}

impl Drop for Convoy {
    fn drop(&mut self) {
        // What is held back must not be held for ever.
        self.board.stop(Wrong::Over);
    }
}

/// An upload that was handed over. When this is let go, its outcome is told, whatever happened.
struct Pending {
    board: Arc<Board>,
    outcome: Result<usize, Wrong>,
}

impl Pending {
    fn tell(mut self, outcome: Result<usize, Wrong>) {
        self.outcome = outcome;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Err(Wrong::Over));
        self.board.settle(|state| {
            state.unanswered -= 1;
            match outcome {
                Ok(number) => drop(state.landed.insert(number)),
                Err(wrong) => drop(state.wrong.get_or_insert(wrong)),
            }
        });
    }
}

/// Whether a refusal can have to do with what was left out. Want of room has not.
pub(super) fn may_be_repeated(message: &str) -> bool {
    !message.contains(NO_ROOM)
}

/// Holds an upload back until it may end, ends it, and waits for the answer.
fn land(
    mut load: Load,
    contents: &[(String, Vec<u8>)],
    after: &BTreeSet<usize>,
    board: &Board,
) -> Result<(), Wrong> {
    load.flush().map_err(Wrong::Failed)?;
    if board.wait(|state| after.is_subset(&state.landed)).wrong.is_some() {
        // Dropped, the upload breaks, and the daemon forgets it.
        return Err(Wrong::Over);
    }
    for (path, bytes) in contents {
        load.file(path, bytes.len() as u64, &mut &bytes[..]).map_err(Wrong::Failed)?;
    }
    match load.finish().map_err(Wrong::Failed)? {
        None => Ok(()),
        Some(message) => Err(Wrong::Refused(message)),
    }
}

/// Stops being read when it has become pointless.
struct Watched<'a> {
    content: &'a mut dyn Read,
    board: &'a Board,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.board.is_wrong() {
            return Err(std::io::Error::other("another upload went wrong"));
        }
        self.content.read(buffer)
    }
}
