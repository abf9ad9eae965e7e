//! `sealift parity` and `sealift repair`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::console::Console;
use super::map::quoted;
use super::output::{Align, Output, Table, count, size};
use super::request;
use crate::model::{Error, Kind, Result};
use crate::operation::parity::{self, Coverage, Made};
use crate::operation::repair::{self, Proof, Report, State};
use crate::trust::Trust;

/// `sealift parity`.
pub(super) fn make(request: &request::Parity, console: &Console) -> Result<()> {
    let progress = console.progress("parity");
    let made = parity::make_beside(&request.volumes, &request.wanted, &*progress)?;
    drop(progress);
    let mut out = Output::stdout();
    if request.json { out.json(&made_json(&made)) } else { out.line(sentence(&made)) }
}

/// What parity was made and what it is good for, in a sentence.
pub(super) fn sentence(made: &Made) -> String {
    format!(
        "parity: {} % in {} ({}): {}",
        made.percent,
        names(&made.files),
        size(made.bytes),
        good_for(&made.coverage)
    )
}

fn good_for(coverage: &Coverage) -> String {
    let Coverage { stretch, stretches, budget, volumes } = coverage;
    let any = if budget < stretches { "any " } else { "" };
    let of = format!(
        "makes up for {any}{budget} of {stretches} damaged stretches of {}",
        size(*stretch)
    );
    let whole = coverage.whole_volumes();
    let lost = match (whole, volumes.len()) {
        (0, _) => "not for a whole volume".to_owned(),
        (_, 1) => "even for the whole of it".to_owned(),
        (whole, all) if whole == all => "even for all volumes".to_owned(),
        (whole, _) => format!("or for {} missing as a whole", count(whole, "volume")),
    };
    format!("{of}; {lost}")
}

/// Names of files, without their folders; the middle ones of many are left out.
fn names(files: &[PathBuf]) -> String {
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

pub(super) fn made_json(made: &Made) -> serde_json::Value {
    json!({
        "files": made.files,
        "bytes": made.bytes,
        "percent": made.percent,
        "stretch": made.coverage.stretch,
        "stretches": made.coverage.stretches,
        "budget": made.coverage.budget,
    })
}

/// `sealift repair`.
pub(super) fn repair(request: request::Repair, console: &Console) -> Result<()> {
    let progress = console.progress("repair");
    let Some(output) = request.output else {
        let state = repair::look(&request.places, &*progress)?;
        drop(progress);
        return check(&state, request.json, console);
    };
    let rules = std::cell::RefCell::new(Some(request.trust));
    // Asked for once.
    let trust = || match rules.borrow_mut().take() {
        Some(rules) => rules?.load(),
        None => Ok(Trust::default()),
    };
    let report = repair::repair(
        &repair::Request {
            places: request.places,
            output,
            all: request.all,
            force: request.force,
            trust: &trust,
        },
        &*progress,
    )?;
    drop(progress);
    if report.state.parity_is_damaged() {
        console.warn(&worn(report.state.budget, report.state.coverage.budget));
    }
    if report.proof == Proof::Table {
        console.warn("the bundle is encrypted: that it is as it was says its parity alone, and nobody signed that; verify it with the identity that opens it");
    }
    if request.json { report_json(&report) } else { show(&report) }
}

/// The parity itself has suffered.
fn worn(left: usize, whole: usize) -> String {
    format!(
        "the parity is damaged: it still makes up for {left} of {whole} stretches; make it anew with sealift parity once the bundle is whole"
    )
}

fn show(report: &Report) -> Result<()> {
    let mut out = Output::stdout();
    let state = &report.state;
    if report.outgrown {
        return out.line("the bundle is whole and signed, but not what it was when its parity was made: a signature was added since; make the parity anew with sealift parity --force; nothing was written");
    }
    if report.written.is_empty() {
        return out.line(nothing(state));
    }
    let how = match report.proof {
        Proof::Signed => "signed by a trusted key, every stored byte proved",
        Proof::Table => "each byte as the parity says that it was",
        Proof::Nothing => "not proved",
    };
    for path in &report.written {
        out.line(format!("wrote {}", path.display()))?;
    }
    let made = match state.lost {
        0 => "put together from what is whole".to_owned(),
        lost => format!("{} of {} made again", stretches(lost), size(state.coverage.stretch)),
    };
    out.line(format!("repaired: {made}, {how}"))
}

fn stretches(number: usize) -> String {
    if number == 1 { "1 stretch".to_owned() } else { format!("{number} stretches") }
}

fn nothing(state: &State) -> String {
    let whole: Vec<PathBuf> =
        state.volumes.iter().filter_map(|volume| volume.whole.clone()).collect();
    format!("nothing is damaged: {} as parity was made for it; nothing was written", names(&whole))
}

/// What `--check` says: a line for each volume, one for the parity, and what can be done.
fn check(state: &State, as_json: bool, console: &Console) -> Result<()> {
    let mut out = Output::stdout();
    if state.parity_is_damaged() {
        console.warn(&worn(state.budget, state.coverage.budget));
    }
    if as_json {
        out.json(&state_json(state))?;
    } else {
        let mut table = Table::new(&[
            ("VOLUME", Align::Left),
            ("SIZE", Align::Right),
            ("STRETCHES", Align::Right),
            ("LOST", Align::Right),
            ("STATE", Align::Left),
        ]);
        for volume in &state.volumes {
            let word = match &volume.whole {
                Some(path) if path.file_name().is_some_and(|name| name == &*volume.name) => {
                    "whole".to_owned()
                }
                Some(path) => format!("whole, in {}", path.display()),
                None if volume.lost == volume.shards => "MISSING".to_owned(),
                None => "DAMAGED".to_owned(),
            };
            table.row([
                volume.name.clone(),
                size(volume.length),
                volume.shards.to_string(),
                volume.lost.to_string(),
                word,
            ]);
        }
        out.table(&table)?;
        out.line(format!(
            "parity: {}: {} of {} recovery stretches of {} are whole",
            names(&state.parity),
            state.budget,
            state.coverage.budget,
            size(state.coverage.stretch)
        ))?;
    }
    if state.is_whole() {
        return if as_json { Ok(()) } else { out.line("ok: nothing is damaged") };
    }
    if state.lost == 0 {
        return Err(Error::new(Kind::Damaged, "the volumes are not as they were when the parity was made, although no stretch of them is lost")
            .hint("if a signature was added since, make the parity anew with sealift parity --force; else sealift repair with -o puts them together"));
    }
    Err(Error::new(Kind::Damaged, within(state)).hint(if state.can_be_repaired() {
        "sealift repair with -o writes it anew"
    } else {
        "bring another copy of any part, damaged or not, and name it too"
    }))
}

/// How much is lost and whether that is within the budget, in half a sentence.
fn within(state: &State) -> String {
    let word = if state.can_be_repaired() { "and can be repaired" } else { "beyond repair" };
    format!(
        "damaged, {word}: {} of {} stretches of {} are lost, and the parity in {} makes up for {}",
        state.lost,
        state.coverage.stretches,
        size(state.coverage.stretch),
        names(&state.parity),
        state.budget
    )
}

/// Adds to what is wrong with a bundle whether parity beside it makes up for it, and how.
pub(super) fn with_outlook(error: Error, files: &[PathBuf], console: &Console) -> Error {
    let kinds = [Kind::Damaged, Kind::Malformed, Kind::Untrusted];
    if !kinds.contains(&error.kind()) {
        return error;
    }
    let progress = console.progress("verify");
    let state = repair::outlook(files, &*progress);
    drop(progress);
    match state {
        // Where nothing is lost, something else is wrong.
        Some(state) if state.lost > 0 => {
            if !state.can_be_repaired() {
                return error.hint(format!("{}: copy the bundle again", within(&state)));
            }
            let files: Vec<String> =
                files.iter().map(|file| typed(&file.to_string_lossy())).collect();
            let output = match &state.volumes[..] {
                [one] => typed(&format!("repaired-{}", one.name)),
                _ => "repaired".to_owned(),
            };
            let command = format!("sealift repair {} -o {output}", files.join(" "));
            // The signature may be wrong for want of a key, too: that advice stays.
            let hint = match error.get_hint() {
                Some(hint) if error.kind() == Kind::Untrusted => {
                    format!("{hint}; if it was changed on its way, it can be repaired: {command}")
                }
                _ => format!("{}: {command}", within(&state)),
            };
            error.hint(hint)
        }
        _ => error,
    }
}

/// The name of a file as it can be typed.
fn typed(name: &str) -> String {
    if name.starts_with('-') { quoted(&format!("./{name}")).into() } else { quoted(name).into() }
}

/// Warns where parity beside a whole bundle is damaged.
pub(super) fn warn_of_worn_parity(files: &[PathBuf], console: &Console) {
    let progress = console.progress("verify");
    let condition = repair::condition(files, &*progress);
    drop(progress);
    if let Some((left, whole)) = condition
        && left < whole
    {
        console.warn(&worn(left, whole));
    }
}

fn state_json(state: &State) -> serde_json::Value {
    json!({
        "parity": state.parity,
        "whole": state.is_whole(),
        "repairable": state.can_be_repaired(),
        "stretch": state.coverage.stretch,
        "stretches": state.coverage.stretches,
        "lost": state.lost,
        "budget": {"whole": state.coverage.budget, "left": state.budget},
        "volumes": state.volumes.iter().map(|volume| json!({
            "name": volume.name,
            "bytes": volume.length,
            "stretches": volume.shards,
            "lost": volume.lost,
            "whole": volume.whole,
        })).collect::<Vec<_>>(),
    })
}

fn report_json(report: &Report) -> Result<()> {
    Output::stdout().json(&json!({
        "state": state_json(&report.state),
        "written": report.written,
        "proof": match report.proof {
            Proof::Nothing => None,
            Proof::Signed => Some("signed"),
            Proof::Table => Some("parity"),
        },
    }))
}
