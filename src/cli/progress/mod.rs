//! How far an operation is: bars on a terminal, a plain line every few seconds elsewhere, nothing
//! but warnings when quiet.
//!
//! [`tally`] does the counting and the wording, apart from any drawing, and [`pace`] the speed; [`bars`] and [`lines`]
//! show what it says.

mod bars;
mod lines;
mod pace;
mod tally;

use std::io::{self, IsTerminal};
use std::sync::Arc;

use self::bars::Bars;
use self::lines::Lines;
use super::report;
use crate::endpoint::{Event, Progress};

/// A listener that suits stderr.
pub(super) fn listener(command: &'static str, quiet: bool, colours: bool) -> Arc<dyn Progress> {
    if quiet {
        Arc::new(WarningsOnly { colours })
    } else if io::stderr().is_terminal() {
        Arc::new(Bars::new(indicatif::ProgressDrawTarget::stderr_with_hz(10), colours))
    } else {
        Arc::new(Lines::start(command, Box::new(io::stderr()), lines::PERIOD))
    }
}

struct WarningsOnly {
    colours: bool,
}

impl Progress for WarningsOnly {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            let _ = report::warning(text, &mut io::stderr().lock(), self.colours);
        }
    }
}
