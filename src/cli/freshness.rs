//! Asks whether a bundle is still to be taken, and says what somebody should know about it.

use serde_json::{Value, json};

use super::console::Console;
use super::request::Arrival;
use crate::bundle::{Authentic, Bundle, Manifest};
use crate::model::Result;
use crate::operation::freshness::{self, Asked, Fresh, Purpose, Standing};

/// Judges a bundle.
///
/// # Errors
/// As for [`freshness::judge`].
pub(super) fn judge(
    bundle: &Bundle<Authentic>,
    arrival: &Arrival,
    purpose: Purpose,
    console: &Console,
) -> Result<Fresh> {
    // A bundle that is of no stream needs no place for state, and there may be none.
    let state = match bundle.contents().manifest.stream {
        Some(_) => arrival.state.folder()?,
        None => None,
    };
    let asked = Asked { state, clock: arrival.clock, accept_jump: arrival.accept_jump, purpose };
    let fresh = freshness::judge(bundle, &asked)?;
    for note in &fresh.notes {
        console.warn(note);
    }
    Ok(fresh)
}

/// For results as JSON: the stream of a bundle, or nothing.
pub(super) fn stream(manifest: &Manifest, standing: Option<Standing>) -> Value {
    let Some(position) = manifest.position() else { return Value::Null };
    let mut value = json!({"name": position.stream, "sequence": position.sequence});
    if let Some(standing) = standing {
        let (word, before) = match standing {
            Standing::Alone | Standing::Unchecked => ("unchecked", None),
            Standing::First => ("first", None),
            Standing::Later(before) => ("later", Some(before)),
            Standing::Same => ("same", None),
        };
        value["standing"] = word.into();
        value["before"] = before.into();
    }
    value
}
