//! A secret that a person types at the terminal, and nobody reads over the shoulder: nothing shows
//! from before it is asked for until its line has ended.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::output::escape;

/// Bytes of a line that a terminal gives at once; what is longer, nobody typed.
const LONGEST: u64 = 4096;

/// The terminal that shows nothing at this moment, and how it was before.
static HUSHED: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// Asks at the terminal of the process, whatever its standard streams are, and gives the line
/// without its end. What is asked may name a file that somebody else has named: whatever would
/// steer the terminal is spelled out.
///
/// # Errors
/// Where there is no terminal, where it is closed before a line ends, or the line is no UTF-8.
pub(super) fn ask(prompt: &str) -> io::Result<Zeroizing<String>> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let hushed = Hushed::new(&terminal)?;
    (&terminal).write_all(escape(prompt).as_bytes())?;
    let mut line = Zeroizing::new(String::new());
    BufReader::with_capacity(1, (&terminal).take(LONGEST)).read_line(&mut line)?;
    drop(hushed);
    (&terminal).write_all(b"\n")?;
    let Some(secret) = line.strip_suffix('\n') else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    Ok(Zeroizing::new(secret.to_owned()))
}

/// Lets the terminal show again what is typed, where a process ends that was asking.
pub(super) fn unhush() {
    if let Some((terminal, before)) = hushed().take() {
        // Nobody could be told: the terminal is gone.
        let _ = tcsetattr(terminal, OptionalActions::Now, &before);
    }
}

/// Whoever panicked with it in hand left a terminal to restore just the same.
fn hushed() -> MutexGuard<'static, Option<(File, Termios)>> {
    HUSHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For as long as it lives, the terminal shows nothing of what is typed.
struct Hushed;

impl Hushed {
    /// What was typed ahead, before anything was asked, is thrown away: it was meant for
    /// something else, and may have been shown.
    fn new(terminal: &File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hushed = before.clone();
        hushed.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        *self::hushed() = Some((terminal.try_clone()?, before));
        tcsetattr(terminal, OptionalActions::Flush, &hushed)?;
        Ok(Self)
    }
}

impl Drop for Hushed {
    fn drop(&mut self) {
        unhush();
    }
}
