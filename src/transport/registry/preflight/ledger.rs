//! Findings as they come in, from many threads, and as they are told: once for all places that
//! have the same trouble.

use std::sync::Mutex;

use super::super::client::lock;
use crate::endpoint::{Finding, Gravity};

/// Places that are named in one finding; more are counted.
const NAMED: usize = 3;

/// A finding about one place, in a form that puts several places into one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) gravity: Gravity,
    /// What stands before the place.
    pub(super) before: String,
    pub(super) place: String,
    /// What stands after it.
    pub(super) after: String,
    /// What to do.
    pub(super) advice: String,
}

impl Remark {
    /// Something that hinders.
    pub(super) fn hindrance(before: impl Into<String>, place: impl Into<String>) -> Self {
        Self {
            gravity: Gravity::Hinders,
            before: before.into(),
            place: place.into(),
            after: String::new(),
            advice: String::new(),
        }
    }

    /// Something to know.
    pub(super) fn note(before: impl Into<String>, place: impl Into<String>) -> Self {
        Self { gravity: Gravity::Note, ..Self::hindrance(before, place) }
    }

    pub(super) fn after(mut self, after: impl Into<String>) -> Self {
        self.after = after.into();
        self
    }

    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// Whether only the place differs.
    fn is_like(&self, other: &Self) -> bool {
        self.gravity == other.gravity
            && self.before == other.before
            && self.after == other.after
            && self.advice == other.advice
    }
}

/// Remarks, in the order in which they came.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Vec<Remark>>);

impl Ledger {
    pub(super) fn add(&self, remark: Remark) {
        lock(&self.0).push(remark);
    }

    /// The findings that they come to: what hinders first, in an order that does not depend on
    /// which thread was faster.
    pub(super) fn findings(self) -> Vec<Finding> {
        let mut groups: Vec<(Remark, Vec<String>)> = Vec::new();
        for remark in self.0.into_inner().unwrap_or_default() {
            match groups.iter_mut().find(|(first, _)| first.is_like(&remark)) {
                Some((_, places)) => places.push(remark.place),
                None => groups.push((remark.clone(), vec![remark.place])),
            }
        }
        let mut findings: Vec<Finding> = groups
            .into_iter()
            .map(|(remark, places)| Finding {
                gravity: remark.gravity,
                what: format!("{}{}{}", remark.before, listed(places), remark.after),
                advice: remark.advice,
            })
            .collect();
        findings.sort_by(|a, b| (a.gravity, &a.what).cmp(&(b.gravity, &b.what)));
        findings
    }
}

/// `a`, `a and b`, `a, b, c and 4 more`.
pub(super) fn listed(mut places: Vec<String>) -> String {
    places.sort();
    places.dedup();
    let more = places.len().saturating_sub(NAMED);
    places.truncate(NAMED);
    let last = if more > 0 { Some(format!("{more} more")) } else { places.pop() };
    match (places.join(", "), last) {
        (first, Some(last)) if first.is_empty() => last,
        (first, Some(last)) => format!("{first} and {last}"),
        (first, None) => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_with_the_same_trouble_share_a_finding() {
        let ledger = Ledger::default();
        let missing = |place: &str| Remark::hindrance("h has no project ", place).advice("make it");
        ledger.add(Remark::note("z ", "z"));
        for place in ["e", "b", "a", "d", "c", "a"] {
            ledger.add(missing(place));
        }
        ledger.add(Remark::hindrance("a full project: ", "f").after("."));
        assert_eq!(
            ledger.findings(),
            [
                Finding::hindrance("a full project: f.", ""),
                Finding::hindrance("h has no project a, b, c and 2 more", "make it"),
                Finding::note("z z", ""),
            ]
        );
    }

    #[test]
    fn lists_read_well() {
        let list = |places: &[&str]| listed(places.iter().map(|&place| place.into()).collect());
        assert_eq!(list(&[]), "");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["b", "a"]), "a and b");
        assert_eq!(list(&["c", "b", "a"]), "a, b and c");
        assert_eq!(list(&["c", "b", "a", "d"]), "a, b, c and 1 more");
    }
}
