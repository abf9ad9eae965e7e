//! The two streams of the process: results go to stdout, everything else to stderr.

use std::io::IsTerminal;
use std::sync::Arc;

use super::environment;
use super::progress;
use super::report;
use crate::endpoint::Progress;

/// Whether to colour what goes to stderr.
pub(super) fn stderr_colour() -> bool {
    std::io::stderr().is_terminal() && environment::colours_are_welcome()
}

/// What a command function tells people through, on stderr. Its result goes to an
/// [`Output`](super::output::Output).
pub(super) struct Console {
    quiet: bool,
    colours: bool,
}

impl Console {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, colours: stderr_colour() }
    }

    /// Whether a person is there to be asked something, and listens. A result that is for a program
    /// (`is_json`) is waited for by one.
    pub(super) fn has_person(&self, is_json: bool) -> bool {
        let terminals = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        !self.quiet && !is_json && terminals
    }

    /// A listener that draws what an operation announces. Drop it before results are printed, so
    /// that bars are gone. `command` begins the plain lines, as in `sealift: export: …`.
    pub(super) fn progress(&self, command: &'static str) -> Arc<dyn Progress> {
        progress::listener(command, self.quiet, self.colours)
    }

    /// A line for people; nothing with `--quiet`.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            let _ = report::note(text, &mut std::io::stderr().lock());
        }
    }

    /// A warning, `--quiet` or not.
    pub(super) fn warn(&self, text: &str) {
        let _ = report::warning(text, &mut std::io::stderr().lock(), self.colours);
    }
}
