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

use self::bars::Bars;
use self::lines::Lines;
use super::report;
use crate::endpoint::{Event, Progress};

/// A listener that suits stderr.
pub(super) fn listener(command: &'static str, quiet: bool, colours: bool) -> Box<dyn Progress> {
    if quiet {
        Box::new(WarningsOnly { colours })
    } else if io::stderr().is_terminal() {
        Box::new(Bars::new(indicatif::ProgressDrawTarget::stderr_with_hz(10), colours))
    } else {
        Box::new(Lines::start(command, Box::new(io::stderr()), lines::PERIOD))
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
