//! How an operation tells what it is doing. It announces events and knows no terminal.

use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Names one transfer among those under way.
pub type TransferId = u64;

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Its bytes were moved.
    Moved,
    /// The target had it.
    Present,
    /// The target linked it from elsewhere.
    Mounted,
    /// It failed; the error is reported apart.
    Failed,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A new phase: what is done, and over how many bytes where that is known.
    Phase {
        /// A short sentence: `reading images`, `verifying`.
        title: &'a str,
        /// Bytes of the whole phase.
        total: Option<u64>,
    },
    /// What goes on in the phase when all of its bytes have moved, where that is something else:
    /// `packing`.
    Then(&'a str),
    /// A transfer began.
    Started {
        /// Which.
        id: TransferId,
        /// What is moved, for people.
        label: &'a str,
        /// Its bytes, where known.
        size: Option<u64>,
    },
    /// Bytes of a transfer were moved.
    Advanced {
        /// Which.
        id: TransferId,
        /// How many more.
        bytes: u64,
    },
    /// A transfer begins again: what it had moved does not count.
    Restarted {
        /// Which.
        id: TransferId,
    },
    /// A transfer ended.
    Finished {
        /// Which.
        id: TransferId,
        /// How.
        how: How,
    },
    /// Something that the user should know and that is no error.
    Warning(&'a str),
    /// Something that the user may want to know: how it was done, where there are several ways.
    Note(&'a str),
}

/// Hears what happens. Called from several threads.
pub trait Progress: Send + Sync {
    /// Takes one event; must not block for long.
    fn event(&self, event: Event<'_>);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}

/// Passes events on to a listener that is named later, or to nobody. For those who are made before
/// there is anybody to listen, such as the client of a registry that is waited for. Clones share
/// the listener; it is not kept alive.
#[derive(Clone, Default)]
pub struct Relay(Arc<Mutex<Option<Weak<dyn Progress>>>>);

impl Relay {
    /// Passes on to `listener` from now on, as long as somebody else keeps it.
    pub fn to(&self, listener: &Arc<dyn Progress>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(listener));
    }
}

impl Progress for Relay {
    fn event(&self, event: Event<'_>) {
        let listener = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener.and_then(|listener| listener.upgrade()) {
            listener.event(event);
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}

/// Gives out transfer numbers and counts what readers move.
pub struct Transfers<'a> {
    progress: &'a dyn Progress,
    next: AtomicU64,
}

impl<'a> Transfers<'a> {
    /// A fresh count.
    pub fn new(progress: &'a dyn Progress) -> Self {
        Self { progress, next: AtomicU64::new(0) }
    }

    /// The listener itself.
    pub fn progress(&self) -> &'a dyn Progress {
        self.progress
    }

    /// Announces a transfer.
    pub fn start(&self, label: &str, size: Option<u64>) -> TransferId {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.progress.event(Event::Started { id, label, size });
        id
    }

    /// Announces the end of a transfer.
    pub fn finish(&self, id: TransferId, how: How) {
        self.progress.event(Event::Finished { id, how });
    }

    /// Counts what is read through `inner` towards transfer `id`.
    pub fn count<R: Read>(&self, id: TransferId, inner: R) -> Counted<'a, R> {
        Counted { inner, id, progress: self.progress }
    }
}

/// A reader whose bytes count towards a transfer.
pub struct Counted<'a, R> {
    inner: R,
    id: TransferId,
    progress: &'a dyn Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if n > 0 {
            self.progress.event(Event::Advanced { id: self.id, bytes: n as u64 });
        }
        Ok(n)
    }
}
