//! Commands that are advised, as they can be pasted: with the files that are meant, and with what the
//! user gave that the next command needs as well.

use std::path::{Path, PathBuf};

use super::request::{Trust, Unlock};
use crate::model::shell::{file, quoted};
use crate::operation::repair::{Report, State};

/// Files that are named one by one; of more, their folder.
const NAMED: usize = 3;

/// What the user gave to trust and to open bundles by, as it is typed.
pub(super) struct Given(String);

impl Given {
    /// From a command that was asked for.
    pub(super) fn of(trust: &Trust, unlock: &Unlock) -> Self {
        Self::new(trust.typed().iter().chain(unlock.typed()))
    }

    fn new<'a>(words: impl Iterator<Item = &'a String>) -> Self {
        let mut options = String::new();
        for word in words {
            options.push(' ');
            options.push_str(&quoted(word));
        }
        Self(options)
    }

    /// What gives back the bundle that these are parts of.
    pub(super) fn repair(&self, places: &[PathBuf], state: &State) -> String {
        let output = match &state.volumes[..] {
            [one] => file(Path::new(&format!("repaired-{}", one.name))),
            _ => "repaired".to_owned(),
        };
        format!("sealift repair {} -o {output}{}", listed(places), self.0)
    }

    /// What proves a bundle of which some volumes were written anew: those, and the whole ones where
    /// they are. A volume that is named goes before any other that claims to be the same.
    pub(super) fn verify(&self, report: &Report) -> String {
        let folder = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
        let mut places: Vec<PathBuf> = match &report.written[..] {
            few if few.len() <= NAMED => few.to_vec(),
            many => vec![folder(&many[0])],
        };
        let mut known: Vec<PathBuf> = report.written.iter().map(|path| folder(path)).collect();
        let left = report.state.volumes.len() > report.written.len();
        let whole = report.state.volumes.iter().filter_map(|volume| volume.whole.as_ref());
        for path in whole.filter(|_| left) {
            if !known.contains(&folder(path)) {
                known.push(folder(path));
                places.push(path.clone());
            }
        }
        format!("sealift verify {}{}", listed(&places), self.0)
    }
}

/// What makes the parity of a bundle anew. `places` are what was named, perhaps its parity too.
pub(super) fn parity(places: &[PathBuf], old: &[PathBuf]) -> String {
    let bundle: Vec<PathBuf> = places.iter().filter(|path| !old.contains(path)).cloned().collect();
    let bundle = if bundle.is_empty() { places } else { &bundle[..] };
    format!("sealift parity {} --force", listed(bundle))
}

fn listed(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|path| file(path)).collect();
    places.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_given_again() {
        let words = ["--key", "my key.pub", "--identity", "id.txt"].map(str::to_owned);
        assert_eq!(Given::new(words.iter()).0, " --key 'my key.pub' --identity id.txt");
        let places = ["a.sealift", "a.parity.sealift"].map(PathBuf::from);
        assert_eq!(parity(&places, &places[1..]), "sealift parity a.sealift --force");
        assert_eq!(parity(&places[1..], &places), "sealift parity a.parity.sealift --force");
    }
}
