//! The two streams of the process: results go to stdout, everything else to stderr.

use std::io::IsTerminal;

use super::environment;
use super::output::Output;
use super::progress;
use super::report;
use crate::endpoint::Progress;

/// Whether to colour what goes to stderr.
pub(super) fn stderr_colour() -> bool {
    std::io::stderr().is_terminal() && environment::colours_are_welcome()
}

/// What a command function talks to.
pub(super) struct Console {
    quiet: bool,
}

impl Console {
    pub(super) const fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Where results go. `json` results are never mixed with anything else.
    pub(super) fn output(&self) -> Output {
        Output::stdout()
    }

    /// A listener that draws what an operation announces. Drop it before results are printed, so
    /// that bars are gone. `command` begins the plain lines, as in `sealift: export: …`.
    pub(super) fn progress(&self, command: &'static str) -> Box<dyn Progress> {
        progress::listener(command, self.quiet, stderr_colour())
    }

    /// A line for people on stderr; nothing with `--quiet`.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            let _ = report::note(text, &mut std::io::stderr().lock());
        }
    }

    /// A warning on stderr, `--quiet` or not.
    pub(super) fn warn(&self, text: &str) {
        let _ = report::warning(text, &mut std::io::stderr().lock(), stderr_colour());
    }
}
