//! `sealift parity` and `sealift repair`.

use std::path::PathBuf;

use serde_json::json;

use super::advice::{self, Given};
use super::console::Console;
use super::outlook::{within, worn};
use super::output::{Align, Output, Table, count, names, size};
use super::request;
use crate::bundle::parity::beside;
use crate::model::{Error, Kind, Result};
use crate::operation::parity::{self, Coverage, Made, Wanted};
use crate::operation::repair::{self, Proof, Report, State};

/// `sealift parity`.
pub(super) fn make(request: &request::Parity, console: &Console) -> Result<()> {
    let volumes = parity::volumes_of(&request.places)?;
    let output = request.output.clone().or_else(|| volumes.first().map(|first| beside(first)));
    let output = output.ok_or_else(|| Error::usage("there is no volume to make parity for"))?;
    let wanted = Wanted { percent: request.percent, output, limit: None, force: request.force };
    let progress = console.progress("parity");
    let made = parity::make_beside(&volumes, &wanted, &*progress)?;
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
pub(super) fn repair(request: &request::Repair, console: &Console) -> Result<()> {
    let progress = console.progress("repair");
    let given = Given::of(&request.trust, &request.unlock);
    let Some(output) = &request.output else {
        let state = repair::look(&request.places, &*progress)?;
        drop(progress);
        return check(&state, request, &given, console);
    };
    let trust = || request.trust.load_some();
    let report = repair::repair(
        &repair::Request {
            places: request.places.clone(),
            output: output.clone(),
            all: request.all,
            force: request.force,
            trust: &trust,
            identities: request.unlock.where_possible()?,
            must_open: request.unlock.is_named(),
        },
        &*progress,
    )?;
    drop(progress);
    warn_of_wear(&report.state, request, console);
    if report.proof == Proof::Table {
        console.warn("the bundle is encrypted, and was not opened: that it is as it was says its parity alone, and nobody signed that; verify it with what opens it");
    }
    if request.json { report_json(&report) } else { show(&report, request, &given) }
}

/// The parity itself has suffered.
fn warn_of_wear(state: &State, request: &request::Repair, console: &Console) {
    if state.parity_is_damaged() {
        let again = advice::parity(&request.places, &state.parity);
        console.warn(&worn(state.budget, state.coverage.budget, &again));
    }
}

fn show(report: &Report, request: &request::Repair, given: &Given) -> Result<()> {
    let mut out = Output::stdout();
    let state = &report.state;
    if report.outgrown {
        let again = advice::parity(&request.places, &state.parity);
        return out.line(format!("the bundle is whole and signed, but not what it was when its parity was made: a signature was added since; nothing was written; make the parity anew: {again}"));
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
    out.line(format!("repaired: {made}, {how}"))?;
    out.line(format!("next: {}", given.verify(report)))
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
fn check(state: &State, request: &request::Repair, given: &Given, console: &Console) -> Result<()> {
    let mut out = Output::stdout();
    warn_of_wear(state, request, console);
    if request.json {
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
                None if volume.is_missing() => "MISSING".to_owned(),
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
        return if request.json { Ok(()) } else { out.line("ok: nothing is damaged") };
    }
    let repair = given.repair(&request.places, state);
    if state.lost == 0 {
        let again = advice::parity(&request.places, &state.parity);
        return Err(Error::new(Kind::Damaged, "the volumes are not as they were when the parity was made, although no stretch of them is lost")
            .hint(format!("if a signature was added since, make the parity anew: {again}; else put them together: {repair}")));
    }
    Err(Error::new(Kind::Damaged, within(state)).hint(if state.can_be_repaired() {
        repair
    } else {
        "bring another copy of any part, damaged or not, and name it too".to_owned()
    }))
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
