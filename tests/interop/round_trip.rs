//! From registry to bundle to registry with the real program, judged by other people's tools.

mod access;
mod choices;
mod refusals;
mod whole;

use crate::support::registry::{Access, Registry};

/// Requests that change something, or begin to.
pub(crate) fn changes(accesses: &[Access]) -> Vec<&Access> {
    let asking = |access: &&Access| !matches!(access.method.as_str(), "GET" | "HEAD");
    accesses.iter().filter(asking).collect()
}

/// How often the content of each blob was fetched, by its digest.
pub(crate) fn fetched(
    registry: &Registry,
    since: usize,
) -> std::collections::BTreeMap<String, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for access in registry.accesses_since(since) {
        if let Some((_, digest)) = access.path.split_once("/blobs/")
            && access.method == "GET"
        {
            *counts.entry(digest.to_owned()).or_default() += 1;
        }
    }
    counts
}
