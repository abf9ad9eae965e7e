//! Asks the person at the terminal for the next medium.

use std::io::{self, BufRead, Write};
use std::path::Path;

use super::console::Console;
use super::output::size;
use super::report;
use crate::bundle::{Answer, Media, Wanted};

/// The person at the terminal.
pub(super) struct Person<'a> {
    console: &'a Console,
}

impl<'a> Person<'a> {
    /// Somebody who is there, and wants to be talked to.
    pub(super) fn at(console: &'a Console) -> Self {
        Self { console }
    }
}

impl Media for Person<'_> {
    fn ask(&self, wanted: &Wanted) -> Answer {
        let mut stderr = io::stderr();
        if let Some(trouble) = &wanted.trouble {
            self.console.warn(&trouble.chain());
        }
        let asked = report::note(&question(wanted), &mut stderr)
            .and_then(|()| {
                stderr.write_all(b"press Enter when it is in, or type its folder (q gives up): ")
            })
            .and_then(|()| stderr.flush());
        let mut line = String::new();
        match asked.and_then(|()| io::stdin().lock().read_line(&mut line)) {
            Ok(1..) => answer(&line),
            Ok(0) | Err(_) => Answer::GiveUp,
        }
    }

    fn keeps(&self, file: &Path, bytes: u64) {
        self.console.say(&format!(
            "keeping a copy of {} ({}) while media are changed",
            file.display(),
            size(bytes)
        ));
    }
}

fn question(wanted: &Wanted) -> String {
    let which = match wanted.number {
        Some((number, count)) => format!("volume {number} of {count}"),
        None => "the last volume".to_owned(),
    };
    let called = match (&wanted.file, wanted.number) {
        (Some(file), Some(_)) => format!(", probably {file},"),
        (Some(file), None) => format!(", {file} or a later one,"),
        (None, _) => String::new(),
    };
    let places: Vec<String> = wanted.places.iter().map(|path| path.display().to_string()).collect();
    format!(
        "{which} of {}{called} is not in {}: insert its medium",
        wanted.set,
        places.join(" or ")
    )
}

fn answer(line: &str) -> Answer {
    match line.trim_end_matches(['\r', '\n']) {
        "" => Answer::Look,
        "q" | "Q" => Answer::GiveUp,
        folder => Answer::LookIn(folder.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_asked_for_by_name() {
        let mut wanted = Wanted {
            number: Some((2, 3)),
            set: "/media/usb/app.sealift (set 1f3a5b7c…)".to_owned(),
            file: Some("app.002.sealift".to_owned()),
            places: vec!["/media/usb".into()],
            trouble: None,
        };
        assert_eq!(
            question(&wanted),
            "volume 2 of 3 of /media/usb/app.sealift (set 1f3a5b7c…), probably app.002.sealift, is not in /media/usb: insert its medium"
        );
        wanted.number = None;
        assert!(question(&wanted).starts_with("the last volume of "));
    }

    #[test]
    fn an_answer_is_a_key_or_a_folder() {
        assert!(matches!(answer("\n"), Answer::Look));
        assert!(matches!(answer("q\r\n"), Answer::GiveUp));
        assert!(
            matches!(answer("/mnt/a b\n"), Answer::LookIn(path) if path == Path::new("/mnt/a b"))
        );
    }
}
