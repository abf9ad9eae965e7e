//! Opens a bundle that arrives: found, proved, and judged by its age. What is then done with it is
//! another's.

use std::path::Path;

use super::console::Console;
use super::freshness;
use super::request::Arrival;
use crate::bundle::{Authentic, Bundle, Changer, all_are_there};
use crate::codec::encryption::Identities;
use crate::model::Result;
use crate::operation::evidence::Case;
use crate::operation::freshness::{Fresh, Purpose};
use crate::trust::Trust;

/// A bundle that may be used.
pub(super) struct Opened {
    pub(super) bundle: Bundle<Authentic>,
    pub(super) fresh: Fresh,
    /// Who was believed.
    pub(super) trust: Trust,
    /// What opened it.
    pub(super) identities: Identities,
}

/// Opens it. `tail` is a file with what was signed, where that is not among the files; `changer` brings
/// media that are not in; `case` hears what is found.
///
/// # Errors
/// First for files that are not there, then where nobody is trusted; then whatever is wrong with the
/// bundle.
pub(super) fn open(
    arrival: &Arrival,
    tail: Option<&Path>,
    purpose: Purpose,
    changer: Option<Changer<'_>>,
    case: &mut Case,
    console: &Console,
) -> Result<Opened> {
    all_are_there(&arrival.files)?;
    let trust = arrival.trust.load_some()?;
    case.trusting(&trust);
    let identities = arrival.unlock.identities()?;
    let bundle = Bundle::open_asking(&arrival.files, tail, &identities, changer)?;
    case.opened(&bundle, &trust);
    let bundle = bundle.authenticate(&trust)?;
    case.proved(&bundle);
    let fresh = freshness::judge(&bundle, arrival, purpose, console)?;
    case.stands(fresh.standing);
    Ok(Opened { bundle, fresh, trust, identities })
}
