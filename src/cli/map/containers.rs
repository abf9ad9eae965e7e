//! `registries.conf` for podman, skopeo, buildah and CRI-O: mirrors, down to single images.
//!
//! Of several prefixes that fit a name the longest counts, and what follows it is kept
//! (containers-registries.conf(5)). So one entry serves a whole registry, and whatever does not
//! keep its path gets entries of its own.

use std::collections::BTreeMap;

use super::piece::{About, Known, Piece, known, most_common, prefix, quoted, repository, untagged};
use crate::operation::map::Mapped;

/// One mirror.
struct Entry {
    /// What the old name begins with.
    prefix: String,
    /// What the new one begins with.
    location: String,
}

/// The piece. Every image with a name can be said in it.
pub(super) fn mirrors(images: &[Mapped], about: &About) -> Piece {
    let (known, left_out) = known(images);
    let what = [
        format!("For podman, skopeo, buildah and CRI-O: mirrors at {}.", about.target),
        "Put it into /etc/containers/registries.conf.d/ or ~/.config/containers/registries.conf.d/."
            .to_owned(),
    ];
    let what: Vec<&str> = what.iter().map(String::as_str).collect();
    let mut piece = Piece::opened("", &what, about, left_out);
    for entry in entries(&known, &about.host) {
        piece.line("");
        piece.line("[[registry]]");
        piece.line(format!("prefix = {}", quoted(&entry.prefix)));
        piece.line(format!("location = {}", quoted(&entry.prefix)));
        piece.line("[[registry.mirror]]");
        piece.line(format!("location = {}", quoted(&entry.location)));
        if about.plain_http {
            piece.line("insecure = true");
        }
    }
    piece
}

/// As few entries as say where everything is.
fn entries(known: &[Known<'_>], host: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut by_repository: BTreeMap<String, Vec<&Known<'_>>> = BTreeMap::new();
    let mut by_registry: BTreeMap<&str, Vec<&Known<'_>>> = BTreeMap::new();
    for image in known {
        by_registry.entry(image.source.registry()).or_default().push(image);
        by_repository.entry(repository(&image.source)).or_default().push(image);
    }
    for (registry, images) in by_registry {
        if let Some(most) = most_common(images.iter().filter_map(|image| prefix(image))) {
            let location = format!("{host}/{most}").trim_end_matches('/').to_owned();
            entries.push(Entry { prefix: registry.to_owned(), location });
        }
    }
    // A path comes before what is below it, so that an entry is there when it is looked at.
    for (old, images) in by_repository {
        let new: Vec<String> = images.iter().map(|known| untagged(known.image)).collect();
        let Some(most) = most_common(new.iter().map(String::as_str)) else { continue };
        need(&mut entries, old.clone(), most.to_owned());
        for (known, new) in images.into_iter().zip(&new) {
            if let (Some(tag), Some(there)) = (known.source.tag(), known.image.target.tag()) {
                need(&mut entries, format!("{old}:{tag}"), format!("{new}:{there}"));
            }
            let digest = known.image.digest;
            if digest == known.image.target_digest {
                need(&mut entries, format!("{old}@{digest}"), format!("{new}@{digest}"));
            }
        }
    }
    entries
}

/// Adds an entry unless those that are there lead to the right place already.
fn need(entries: &mut Vec<Entry>, old: String, new: String) {
    if resolve(entries, &old).as_deref() != Some(&*new) {
        entries.push(Entry { prefix: old, location: new });
    }
}

/// Where a name leads.
fn resolve(entries: &[Entry], name: &str) -> Option<String> {
    let fits = |entry: &&Entry| {
        name.strip_prefix(&*entry.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']))
    };
    let entry = entries.iter().filter(fits).max_by_key(|entry| entry.prefix.len())?;
    Some(format!("{}{}", entry.location, &name[entry.prefix.len()..]))
}

#[cfg(test)]
mod tests {
    use super::super::piece::tests::mapped;
    use super::*;
    use proptest::prelude::*;

    fn shown(images: &[Mapped]) -> Vec<String> {
        let (known, _) = known(images);
        let entries = entries(&known, "h.example");
        entries.iter().map(|entry| format!("{} {}", entry.prefix, entry.location)).collect()
    }

    #[test]
    fn a_registry_that_keeps_its_paths_is_one_entry() {
        let images = [
            mapped("r.example/a:1", "h.example/m/a:1"),
            mapped("r.example/b:1", "h.example/m/b:1"),
            mapped("nginx:1", "h.example/library/nginx:1"),
        ];
        assert_eq!(shown(&images), ["docker.io h.example", "r.example h.example/m"]);
    }

    #[test]
    fn exceptions_get_entries_of_their_own() {
        let images = [
            mapped("r.example/a:1", "h.example/m/a:1"),
            mapped("r.example/b:1", "h.example/m/b:1"),
            mapped("r.example/b/sub:1", "h.example/m/b/sub:1"),
            mapped("r.example/b:2", "h.example/apps/b:stable"),
            mapped("r.example/c:1", "h.example/apps/c:1"),
            mapped("r.example/c/sub:1", "h.example/m/c/sub:1"),
        ];
        let digest = images[3].digest;
        assert_eq!(
            shown(&images),
            [
                "r.example h.example/m".to_owned(),
                "r.example/b:2 h.example/apps/b:stable".to_owned(),
                format!("r.example/b@{digest} h.example/apps/b@{digest}"),
                "r.example/c h.example/apps/c".to_owned(),
                "r.example/c/sub h.example/m/c/sub".to_owned(),
            ]
        );
    }

    proptest! {
        #[test]
        fn every_name_leads_to_its_image(names in prop::collection::vec(
            ("(r|r:5|s)/[ab](/[ab]){0,2}:[12]", "[mn](/[ab]){1,3}:[12]"), 1..12
        )) {
            let images: Vec<Mapped> = names
                .iter()
                .map(|(old, new)| {
                    let old = old.replacen('r', "r.example", 1).replacen('s', "s.example", 1);
                    mapped(&old, &format!("h.example/{new}"))
                })
                .collect();
            let (known, _) = known(&images);
            let entries = entries(&known, "h.example");
            for known in &known {
                let there = resolve(&entries, &known.source.to_string());
                prop_assert_eq!(there, Some(known.image.target.to_string()));
                let digest = known.image.digest;
                let by_digest = format!("{}@{digest}", repository(&known.source));
                let there = resolve(&entries, &by_digest);
                // One image under two names of a repository may be had by either.
                let wanted: Vec<String> = images
                    .iter()
                    .filter(|image| image.digest == digest)
                    .map(|image| format!("{}@{digest}", untagged(image)))
                    .collect();
                prop_assert!(wanted.contains(&there.unwrap()));
            }
        }
    }
}
