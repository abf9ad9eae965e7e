//! Results on stdout: lines, tables, JSON, and how numbers are spelled.
//!
//! A reader that has seen enough (`sealift inspect x | head -1`) closes the pipe; that is no
//! failure, so what is left is dropped without a word. Whatever comes from outside is written with
//! its control characters spelled out: no name in a bundle can paint the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::model::{Error, Kind, Result};

/// Where results go.
pub(super) struct Output {
    sink: Box<dyn Write>,
    closed: bool,
}

impl Output {
    /// The process's stdout.
    pub(super) fn stdout() -> Self {
        Self::to(Box::new(io::stdout()))
    }

    fn to(sink: Box<dyn Write>) -> Self {
        Self { sink, closed: false }
    }

    /// Writes one line; control characters in it are spelled out.
    ///
    /// # Errors
    /// [`Kind::Io`] where stdout fails in any way but being closed.
    pub(super) fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        self.put(&format!("{}\n", escape(text.as_ref())))
    }

    /// Writes a value as indented JSON and a line end.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        self.put(&json_text(value)?)
    }

    /// Writes lines that are finished; control characters in them are spelled out.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// Writes a table.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub(super) fn table(&mut self, table: &Table) -> Result<()> {
        self.put(&table.render())
    }

    fn put(&mut self, text: &str) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        match self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(e) => Err(Error::io("cannot write to standard output", e)),
            Ok(()) => Ok(()),
        }
    }
}

/// A value as indented JSON with a line end.
///
/// # Errors
/// [`Kind::Io`] where it cannot be written as JSON.
pub(super) fn json_text(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(Kind::Io, "cannot write the result as JSON").because(e))?;
    Ok(ascii_controls(&text))
}

/// The same on one line, without a line end.
///
/// # Errors
/// [`Kind::Io`] where it cannot be written as JSON.
pub(super) fn json_line(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value)
        .map_err(|e| Error::new(Kind::Io, "cannot write the result as JSON").because(e))?;
    Ok(ascii_controls(&text).trim_end().to_owned())
}

/// To which side the cells of a column go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a header, aligned, without lines around them. Nothing is wrapped or cut: digests are
/// there to be copied.
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; control characters in it are spelled out.
    pub(super) fn row<Cell: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().map(|cell| escape(cell.as_ref()).into_owned()).collect());
    }

    /// Whether there are no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its lines.
    pub(super) fn render(&self) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_content_arrangement(comfy_table::ContentArrangement::Disabled)
            .set_header(self.columns.iter().map(|(name, _)| *name))
            .add_rows(&self.rows);
        for (column, (_, align)) in table.column_iter_mut().zip(&self.columns) {
            column.set_padding((0, 2)).set_cell_alignment(match align {
                Align::Left => comfy_table::CellAlignment::Left,
                Align::Right => comfy_table::CellAlignment::Right,
            });
        }
        let mut text = table.trim_fmt();
        text.push('\n');
        text
    }
}

/// Spells out what could move the cursor, change colours or turn the reading direction.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_treacherous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_treacherous(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Control characters, and the invisible ones that reorder or hide their neighbours
/// (Unicode TR 36, "Bidirectional Text Spoofing").
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// The same for finished JSON, which stays JSON: outside of its strings there are no such
/// characters but line ends.
fn ascii_controls(json: &str) -> String {
    let mut safe = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if c != '\n' && is_treacherous(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe.push('\n');
    safe
}

/// Bytes for people: `312 B`, `4.2 MiB`, always in powers of 1024.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be printed as 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A number of things: `1 blob`, `2 blobs`.
pub(super) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// Time for people, to the second: `16 s`, `2 min 5 s`, `1 h 2 min`.
pub(super) fn duration(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Names of files, without their folders; the middle ones of many are left out.
pub(super) fn names(files: &[PathBuf]) -> String {
    let name = |path: &Path| {
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    match files {
        [] => "nothing".to_owned(),
        [one] => name(one),
        [first, second] => format!("{} and {}", name(first), name(second)),
        [first, .., last] => {
            format!("{} to {} ({} files)", name(first), name(last), files.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink {
        written: Arc<Mutex<Vec<u8>>>,
        failure: Option<io::ErrorKind>,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.failure {
                Some(kind) => Err(kind.into()),
                None => self.written.lock().unwrap().write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one() {
        let failing = |kind| Output::to(Box::new(Sink { failure: Some(kind), ..Sink::default() }));
        let mut output = failing(io::ErrorKind::BrokenPipe);
        output.line("a").unwrap();
        output.line("b").unwrap();
        let mut output = failing(io::ErrorKind::StorageFull);
        assert_eq!(output.line("a").unwrap_err().kind(), Kind::Io);
    }

    #[test]
    fn json_stays_json_and_loses_its_teeth() {
        let sink = Sink::default();
        let text = "\u{1b}[31m\u{9b}\u{202e}\u{e0041}é\n";
        Output::to(Box::new(sink.clone())).json(&[text]).unwrap();
        let written = String::from_utf8(sink.written.lock().unwrap().clone()).unwrap();
        assert!(written.chars().all(|c| c == '\n' || !is_treacherous(c)), "{written}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&written).unwrap(), [text]);
    }

    #[test]
    fn tables_are_aligned_and_never_wrapped() {
        let mut table = Table::new(&[("DIGEST", Align::Left), ("SIZE", Align::Right)]);
        let digest = format!("sha256:{}", "a".repeat(64));
        table.row([&digest, "4.2 MiB"]);
        table.row(["short\nname", "1 B"]);
        let text = table.render();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[1], format!("{digest}  4.2 MiB"));
        assert!(lines[2].starts_with("short\\nname ") && lines[2].ends_with("      1 B"), "{text}");
        assert!(lines[0].starts_with("DIGEST ") && lines[0].ends_with("     SIZE"), "{text}");
    }

    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size((1 << 20) - 1), "1.0 MiB");
        assert_eq!(size(4_404_019), "4.2 MiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
        let time = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!([time(59), time(60), time(3725)], ["59 s", "1 min 0 s", "1 h 2 min"]);
    }

    #[test]
    fn ordinary_names_pass_unchanged() {
        assert!(matches!(escape("registry.example/äpp:1.2"), Cow::Borrowed(_)));
        assert_eq!(escape("a\u{1b}[2J\u{202e}b"), "a\\u{1b}[2J\\u{202e}b");
    }
}
