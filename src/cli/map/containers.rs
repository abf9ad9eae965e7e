//! `registries.conf` for podman, skopeo, buildah and CRI-O: mirrors, down to single repositories.
//!
//! Of several prefixes that fit a repository the longest counts, and what follows it is kept
//! (containers-registries.conf(5)). So one entry serves a whole registry, and repositories that do
//! not keep their path get entries of their own. Tags are kept always: the manual speaks of
//! prefixes with a tag, and the programs never look at it.

use std::collections::BTreeMap;

use super::piece::{
    About, Known, Piece, Sorted, instead, keeps_tag, most_common, prefix, quoted, repository, sort,
    untagged,
};
use crate::model::ImageName;
use crate::operation::map::Mapped;

/// What becomes of a prefix.
struct Entry {
    /// What the old name begins with.
    prefix: String,
    /// What the new one begins with; `None` where no mirror is asked.
    location: Option<String>,
}

/// The piece.
pub(super) fn mirrors(images: &[Mapped], about: &About) -> Piece {
    let mut sorted = sort(images);
    let entries = entries(images, &mut sorted, &about.host);
    let left_out = sorted.left_out;
    let what = [
        format!("For podman, skopeo, buildah and CRI-O: mirrors at {}.", about.target),
        "Put it into /etc/containers/registries.conf.d/ or ~/.config/containers/registries.conf.d/."
            .to_owned(),
    ];
    let what: Vec<&str> = what.iter().map(String::as_str).collect();
    let mut piece = Piece::opened("", &what, about, left_out);
    for entry in entries {
        piece.line("");
        piece.line("[[registry]]");
        piece.line(format!("prefix = {}", quoted(&entry.prefix)));
        piece.line(format!("location = {}", quoted(&entry.prefix)));
        let Some(location) = entry.location else { continue };
        piece.line("[[registry.mirror]]");
        piece.line(format!("location = {}", quoted(&location)));
        if about.plain_http {
            piece.line("insecure = true");
        }
    }
    piece
}

/// As few entries as say where everything is; what they cannot say is added to what is left out.
fn entries(all: &[Mapped], sorted: &mut Sorted<'_>, host: &str) -> Vec<Entry> {
    let Sorted { known, ambiguous, left_out } = sorted;
    let mut entries: Vec<Entry> = Vec::new();
    let mut by_repository: BTreeMap<String, (Vec<&Known<'_>>, Vec<&ImageName>)> = BTreeMap::new();
    let mut by_registry: BTreeMap<&str, Vec<&Known<'_>>> = BTreeMap::new();
    for image in known.iter() {
        by_registry.entry(image.source.registry()).or_default().push(image);
        by_repository.entry(repository(&image.source)).or_default().0.push(image);
    }
    for name in ambiguous.iter() {
        by_repository.entry(repository(name)).or_default().1.push(name);
    }
    for (registry, images) in by_registry {
        if let Some(most) = most_common(images.iter().filter_map(|image| prefix(image))) {
            let location = format!("{host}/{most}").trim_end_matches('/').to_owned();
            entries.push(Entry { prefix: registry.to_owned(), location: Some(location) });
        }
    }
    // A path comes before what is below it, so that an entry is there when it is looked at.
    for (old, (images, unclear)) in by_repository {
        let kept = images.iter().filter(|known| keeps_tag(known));
        let places: Vec<String> = kept.map(|known| untagged(known.image)).collect();
        let mut place = most_common(places.iter().map(String::as_str));
        let named = images.iter().map(|known| (&known.source, Some(known.image.target_digest)));
        let asked = named.chain(unclear.into_iter().map(|name| (name, None)));
        let wrong = place.and_then(|place| {
            asked.into_iter().find_map(|(asked, own)| instead(all, asked, place, own))
        });
        if let Some(wrong) = wrong {
            left_out.push(format!("{old}: {wrong}"));
            place = None;
        }
        if resolve(&entries, &old).as_deref() != place {
            let location = place.map(str::to_owned);
            entries.push(Entry { prefix: old, location });
        }
        for known in images {
            if !keeps_tag(known) || place != Some(&*untagged(known.image)) {
                left_out.push(format!(
                    "{}: it is {}, and a mirror is for a repository and keeps tags",
                    known.source, known.image.target
                ));
            }
        }
    }
    entries
}

/// Where a repository leads.
fn resolve(entries: &[Entry], name: &str) -> Option<String> {
    let fits = |entry: &&Entry| {
        name.strip_prefix(&*entry.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
    };
    let entry = entries.iter().filter(fits).max_by_key(|entry| entry.prefix.len())?;
    Some(format!("{}{}", entry.location.as_ref()?, &name[entry.prefix.len()..]))
}

#[cfg(test)]
mod tests {
    use super::super::piece::tests::mapped;
    use super::*;
    use proptest::prelude::*;

    fn shown(images: &[Mapped]) -> (Vec<String>, Vec<String>) {
        let mut sorted = sort(images);
        let entries = entries(images, &mut sorted, "h.example");
        let shown = entries
            .iter()
            .map(|entry| format!("{} {}", entry.prefix, entry.location.as_deref().unwrap_or("-")));
        (shown.collect(), sorted.left_out)
    }

    #[test]
    fn a_registry_that_keeps_its_paths_is_one_entry() {
        let images = [
            mapped("r.example/a:1", "h.example/m/a:1"),
            mapped("r.example/b:1", "h.example/m/b:1"),
            mapped("nginx:1", "h.example/library/nginx:1"),
        ];
        let (entries, left_out) = shown(&images);
        assert_eq!(entries, ["docker.io h.example", "r.example h.example/m"]);
        assert!(left_out.is_empty());
    }

    #[test]
    fn exceptions_get_entries_of_their_own() {
        let images = [
            mapped("r.example/a:1", "h.example/m/a:1"),
            mapped("r.example/b:1", "h.example/m/b:1"),
            mapped("r.example/b:2", "h.example/apps/b:2"),
            mapped("r.example/c:1", "h.example/apps/c:1"),
            mapped("r.example/c/sub:1", "h.example/m/c/sub:1"),
            mapped("r.example/d:1", "h.example/m/d:stable"),
        ];
        let (entries, left_out) = shown(&images);
        assert_eq!(
            entries,
            [
                "r.example h.example/m",
                "r.example/c h.example/apps/c",
                "r.example/c/sub h.example/m/c/sub",
                "r.example/d -",
            ]
        );
        assert_eq!(left_out.len(), 2);
        assert!(left_out[0].starts_with("r.example/b:2: it is h.example/apps/b:2"));
        assert!(left_out[1].starts_with("r.example/d:1: it is h.example/m/d:stable"));
    }

    #[test]
    fn a_mirror_that_would_lie_is_none() {
        let images = [
            mapped("r.example/a:1", "h.example/m/a:1"),
            mapped("r.example/b:1", "h.example/m/b:2"),
            mapped("r.example/b:2", "h.example/m/b:old"),
            mapped("r.example/b:3", "h.example/m/b:3"),
        ];
        let (entries, left_out) = shown(&images);
        assert_eq!(entries, ["r.example h.example/m", "r.example/b -"]);
        assert_eq!(left_out.len(), 4, "{left_out:?}");
        assert!(left_out[0].contains("asked for r.example/b:2, a mirror would answer with"));
    }

    proptest! {
        #[test]
        fn every_name_leads_to_its_image_or_is_left_out(names in prop::collection::vec(
            ("(r|r:5|s)/[ab](/[ab]){0,2}:[12]", "[mn](/[ab]){1,3}:[12]"), 1..12
        )) {
            let images: Vec<Mapped> = names
                .iter()
                .map(|(old, new)| {
                    let old = old.replacen('r', "r.example", 1).replacen('s', "s.example", 1);
                    mapped(&old, &format!("h.example/{new}"))
                })
                .collect();
            let mut sorted = sort(&images);
            let entries = entries(&images, &mut sorted, "h.example");
            for name in &sorted.ambiguous {
                let there = resolve(&entries, &repository(name))
                    .map(|place| format!("{place}:{}", name.tag().unwrap()));
                let found = images.iter().find(|image| Some(image.target.to_string()) == there);
                prop_assert!(found.is_none(), "{name} would be {there:?}");
            }
            for known in &sorted.known {
                let old = repository(&known.source);
                let there = resolve(&entries, &old)
                    .map(|place| format!("{place}:{}", known.source.tag().unwrap()));
                let told = sorted.left_out.iter().any(|text| text.starts_with(&format!("{}: ", known.source)));
                prop_assert_eq!(there == Some(known.image.target.to_string()), !told);
                // Nobody gets another image for the one that was asked for.
                let found = images.iter().find(|image| Some(image.target.to_string()) == there);
                prop_assert!(found.is_none_or(|found| found.digest == known.image.digest));
            }
        }
    }
}
