//! What parity beside a bundle can do for it: told to whoever has found damage, and to whoever would
//! find out too late that the parity is worn.

use std::path::PathBuf;

use super::advice::{Given, parity};
use super::console::Console;
use super::output::{names, size};
use super::request::Arrival;
use crate::model::{Error, Kind};
use crate::operation::repair::{self, Condition, State};

/// Adds to what is wrong with a bundle whether parity beside it makes up for it, and how.
pub(super) fn with_outlook(error: Error, arrival: &Arrival, console: &Console) -> Error {
    let may_be_damage = match error.kind() {
        Kind::Damaged | Kind::Malformed | Kind::Untrusted => true,
        // A spoiled line for a recipient is one for somebody else.
        Kind::Usage => repair::is_encrypted(&arrival.files),
        _ => false,
    };
    if !may_be_damage {
        return error;
    }
    let progress = console.progress("parity");
    let state = repair::outlook(&arrival.files, &*progress);
    drop(progress);
    // Where nothing is lost, something else is wrong.
    let Some(state) = state.filter(|state| state.lost > 0) else { return error };
    let known = error.get_hint().map(ToOwned::to_owned);
    let may_be_meant = matches!(error.kind(), Kind::Untrusted | Kind::Usage);
    let damaged = state.volumes.iter().filter(|file| file.whole.is_none() && !file.is_missing());
    let damaged: Vec<PathBuf> = damaged.map(|file| PathBuf::from(&file.name)).collect();
    if !state.can_be_repaired() {
        return error.hint(match known {
            // What is wrong with a volume that is not there, or is of another set, is said with what to
            // do about it.
            Some(known) if damaged.is_empty() || may_be_meant => {
                format!("{known}; {}", within(&state))
            }
            _ => format!("{}: copy {} again", within(&state), names(&damaged)),
        });
    }
    let command = Given::of(&arrival.trust, &arrival.unlock).repair(&arrival.files, &state);
    // The signature may be wrong for want of a key, too: that advice stays.
    error.hint(match (known, may_be_meant) {
        (Some(known), true) => {
            format!("{known}; if it was changed on its way, it can be repaired: {command}")
        }
        _ => format!("{}: {command}", within(&state)),
    })
}

/// How much is lost and whether that is within the budget, in half a sentence.
pub(super) fn within(state: &State) -> String {
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

/// Warns where parity beside a whole bundle is damaged.
pub(super) fn warn_of_worn_parity(files: &[PathBuf], console: &Console) {
    let progress = console.progress("parity");
    let condition = repair::condition(files, &*progress);
    drop(progress);
    if let Some(Condition { left, whole, files: old }) = condition
        && left < whole
    {
        console.warn(&worn(left, whole, &parity(files, &old)));
    }
}

/// The parity itself has suffered; `again` makes it anew.
pub(super) fn worn(left: usize, whole: usize, again: &str) -> String {
    format!(
        "the parity is damaged: it still makes up for {left} of {whole} stretches; make it anew once the bundle is whole: {again}"
    )
}
