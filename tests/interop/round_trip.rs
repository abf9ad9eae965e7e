//! From registry to bundle to registry with the real program, judged by other people's tools.

mod access;
mod choices;
mod refusals;
mod whole;

use crate::support::registry::{Access, Registry};

/// Requests that change something. An upload that is begun and given up again only asks whether
/// one may.
pub(crate) fn changes(accesses: &[Access]) -> Vec<&Access> {
    let sessions = |method: &str| {
        let of =
            |access: &&Access| access.method == method && access.path.contains("/blobs/uploads/");
        accesses.iter().filter(of).count()
    };
    let given_up = sessions("POST") == sessions("DELETE");
    let changing = |access: &&Access| match access.method.as_str() {
        "GET" | "HEAD" => false,
        "POST" | "DELETE" if access.path.contains("/blobs/uploads/") => !given_up,
        _ => true,
    };
    accesses.iter().filter(changing).collect()
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
