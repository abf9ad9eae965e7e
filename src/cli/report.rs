//! How a failure is told to a person: what happened, why, and what to do next.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::output::escape;
use crate::model::Error;

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[1;36m";
const PLAIN: &str = "\x1b[0m";

fn painted(word: &str, colour: &str, colours: bool) -> String {
    if colours { format!("{colour}{word}{PLAIN}") } else { word.to_owned() }
}

/// Writes the error, its causes and its hint.
pub(super) fn report(error: &Error, out: &mut dyn Write, colours: bool) -> io::Result<()> {
    out.write_all(render(error, colours).as_bytes())?;
    out.flush()
}

/// Writes a warning.
pub(super) fn warning(text: &str, out: &mut dyn Write, colours: bool) -> io::Result<()> {
    let line = format!("{} {}\n", painted("warning:", YELLOW, colours), escape(text));
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// Writes a line that is neither result nor warning.
pub(super) fn note(text: &str, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(format!("sealift: {}\n", escape(text)).as_bytes())?;
    out.flush()
}

fn render(error: &Error, colours: bool) -> String {
    let mut text = format!("{} {}\n", painted("error:", RED, colours), escape(error.message()));
    let mut last = error.message().to_owned();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let message = cause.to_string();
        // Wrappers often repeat what they wrap; saying it twice makes it look like two things.
        if !message.is_empty() && !last.ends_with(&message) {
            let _ = writeln!(text, "  caused by: {}", escape(&message));
            last = message;
        }
        next = cause.source();
    }
    for part in error.get_parts() {
        let _ = writeln!(text, "  - {}", escape(part.message()));
        render_hint(part, "    ", colours, &mut text);
    }
    render_hint(error, "  ", colours, &mut text);
    text
}

fn render_hint(error: &Error, indent: &str, colours: bool, text: &mut String) {
    if let Some(hint) = error.get_hint() {
        let _ = writeln!(text, "{indent}{} {}", painted("hint:", CYAN, colours), escape(hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Error {
        Error::remote("401 from https://registry.example/v2/")
            .hint("sign in with sealift login registry.example")
            .context("cannot push registry.example/app:1")
    }

    #[test]
    fn message_causes_and_hint_each_have_a_line() {
        assert_eq!(
            render(&sample(), false),
            "error: cannot push registry.example/app:1\n  \
             caused by: 401 from https://registry.example/v2/\n  \
             hint: sign in with sealift login registry.example\n"
        );
    }

    #[test]
    fn every_part_has_its_lines() {
        let parts = vec![sample(), Error::remote("no room\n")];
        let error = Error::remote("nothing was sent").parts(parts).hint("run it again");
        assert_eq!(
            render(&error, false),
            "error: nothing was sent\n  \
             - cannot push registry.example/app:1\n    \
             hint: sign in with sealift login registry.example\n  \
             - no room\\n\n  \
             hint: run it again\n"
        );
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert!(!render(&sample(), false).contains('\x1b'));
        assert!(render(&sample(), true).starts_with("\x1b[1;31merror:\x1b[0m cannot"));
    }

    #[test]
    fn a_cause_that_repeats_its_wrapper_is_said_once() {
        let error = Error::io("cannot read x: gone", io::Error::other("gone"));
        assert_eq!(render(&error, false), "error: cannot read x: gone\n");
    }

    #[test]
    fn hostile_names_cannot_paint_the_terminal() {
        let error = Error::malformed("bad name \x1b[2J\u{202e}evil\r\nerror: fine")
            .because("\x07bell\u{9b}31m")
            .hint("\x1b]0;title\x07");
        let text = render(&error, false);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
    }

    #[test]
    fn a_warning_is_one_line() {
        let mut out = Vec::new();
        warning("two\nlines", &mut out, false).unwrap();
        assert_eq!(out, b"warning: two\\nlines\n");
    }
}
