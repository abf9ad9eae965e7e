//! `sealift log`.

use serde_json::{Value, json};

use super::console::Console;
use super::output::{Align, Output, Table, count};
use super::request;
use crate::codec::journal::{self, Line};
use crate::model::{Digest, Error, Result};
use crate::operation::evidence::Entry;

/// What there is in a log.
#[derive(Default)]
struct Found {
    /// The lines that can be read, each with its number.
    entries: Vec<(u64, Entry, Value)>,
    /// Lines that a power cut has torn.
    torn: Vec<u64>,
    /// Lines that are not what was written, and what is wrong with them.
    broken: Vec<(u64, String)>,
    /// Digest of the last line.
    last: Option<Digest>,
    /// Whether the line is there that must be.
    expected: bool,
}

pub(super) fn run(request: &request::Log, console: &Console) -> Result<()> {
    let found = read(request)?;
    for number in &found.torn {
        console.warn(&format!(
            "line {number} of {} was never finished: the machine was stopped while it was written",
            request.file.display()
        ));
    }
    if request.check { check(request, &found) } else { show(request, &found, console) }
}

fn read(request: &request::Log) -> Result<Found> {
    let mut found = Found::default();
    journal::read(&request.file, &mut |number, line| {
        match line {
            Line::Torn => found.torn.push(number),
            Line::Broken(why) => found.broken.push((number, why)),
            Line::Whole(text, digest) => {
                found.last = Some(digest);
                found.expected |= request.expect == Some(digest);
                let value: Option<Value> = serde_json::from_str(&text).ok();
                let entry = value.and_then(|value| {
                    Some((serde_json::from_value::<Entry>(value.clone()).ok()?, value))
                });
                match entry {
                    Some((entry, value)) => found.entries.push((number, entry, value)),
                    None => found.broken.push((number, "it is no entry of a log".to_owned())),
                }
            }
        }
        Ok(())
    })?;
    Ok(found)
}

fn check(request: &request::Log, found: &Found) -> Result<()> {
    let mut out = Output::stdout();
    let missing = request.expect.filter(|_| !found.expected);
    if request.json {
        out.json(&json!({
            "file": request.file.display().to_string(),
            "ok": found.broken.is_empty() && missing.is_none(),
            "entries": found.entries.len(),
            "last": found.last,
            "torn": found.torn,
            "broken": found.broken.iter().map(|(line, why)| json!({"line": line, "why": why})).collect::<Vec<_>>(),
        }))?;
    }
    let file = request.file.display();
    if !found.broken.is_empty() {
        let parts = found.broken.iter().take(SHOWN);
        let parts = parts.map(|(number, why)| Error::damaged(format!("line {number}: {why}")));
        return Err(Error::damaged(format!(
            "{file} is not the log that was written: {} wrong",
            match found.broken.len() {
                1 => "1 line is".to_owned(),
                several => format!("{several} lines are"),
            }
        ))
        .parts(parts.collect())
        .hint("compare it with a copy, find out who could write to it, and move it away: a new one is begun"));
    }
    if let Some(missing) = missing {
        return Err(Error::damaged(format!("{file} has no line with the digest {missing}"))
            .hint("lines were taken off its end, or it is another log"));
    }
    if !request.json {
        let last = found.last.map_or_else(String::new, |digest| format!(", the last one {digest}"));
        out.line(format!("ok: {}{last}", lines(found.entries.len())))?;
    }
    Ok(())
}

/// Broken lines that are told one by one.
const SHOWN: usize = 20;

fn lines(number: usize) -> String {
    count(number, "line")
}

fn show(request: &request::Log, found: &Found, console: &Console) -> Result<()> {
    if let Some((number, why)) = found.broken.first() {
        console.warn(&format!(
            "{} is not the log that was written (line {number}: {why}); see sealift log --check",
            request.file.display()
        ));
    }
    let mut out = Output::stdout();
    if request.json {
        let values: Vec<&Value> = found.entries.iter().map(|(.., value)| value).collect();
        return out.json(&values);
    }
    let mut table = Table::new(&[
        ("LINE", Align::Right),
        ("WHEN", Align::Left),
        ("COMMAND", Align::Left),
        ("RESULT", Align::Left),
        ("EXIT", Align::Right),
        ("BUNDLE", Align::Left),
        ("IMAGES", Align::Right),
        ("FILE", Align::Left),
        ("TO", Align::Left),
    ]);
    for (number, entry, _) in &found.entries {
        let file = match entry.files.as_slice() {
            [] => "-".to_owned(),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len() + entry.more_files),
        };
        table.row([
            number.to_string(),
            entry.when.clone(),
            entry.command.clone(),
            entry.result.clone(),
            entry.exit_code.to_string(),
            entry.bundle.map_or_else(|| "-".to_owned(), |digest| digest.short()),
            entry.images.map_or_else(|| "-".to_owned(), |images| images.to_string()),
            file,
            entry.destination.clone().unwrap_or_default(),
        ]);
    }
    out.table(&table)
}
