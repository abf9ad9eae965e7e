//! The `images:` of a kustomization.
//!
//! kustomize goes by an image's name without its tag, letter for letter, and applies one entry
//! after the other (kustomize, `ImageTagTransformer`).

use std::collections::{BTreeMap, BTreeSet};

use super::piece::{About, Known, Piece, Sorted, quoted, repository, sort, untagged};
use crate::model::ImageName;
use crate::operation::map::Mapped;

/// What becomes of a repository.
struct Entry {
    /// The old name, in each of its spellings.
    names: Vec<String>,
    new: String,
    /// Tag and digest, where there is one image; else those of the manifests stay.
    pinned: Option<(Option<String>, String)>,
}

/// The piece.
pub(super) fn images(images: &[Mapped], about: &About) -> Piece {
    let Sorted { known, mut left_out, .. } = sort(images);
    let mut repositories: BTreeMap<String, Vec<&Known<'_>>> = BTreeMap::new();
    for known in &known {
        if known.image.runnable {
            repositories.entry(repository(&known.source)).or_default().push(known);
        } else {
            left_out.push(format!("{}: it is no container image", known.source));
        }
    }
    let mut entries = Vec::new();
    for (repository, images) in &repositories {
        match entry(images) {
            Some(entry) => entries.push(entry),
            None => left_out.push(format!(
                "{repository}: its {} images do not go to one repository under their own tags, and \
                 kustomize does not look at tags",
                images.len()
            )),
        }
    }
    let entries = without_chains(entries, &mut left_out);
    let what = format!("For a kustomization.yaml: images as they are called at {}.", about.target);
    let every = "kustomize looks at names alone: an entry is for every tag of its name.";
    let mut piece = Piece::opened("", &[&what, every], about, left_out);
    if entries.is_empty() {
        piece.line("images: []");
        return piece;
    }
    piece.line("images:");
    for entry in entries {
        for name in &entry.names {
            piece.line(format!("- name: {}", quoted(name)));
            piece.line(format!("  newName: {}", quoted(&entry.new)));
            if let Some((tag, digest)) = &entry.pinned {
                if let Some(tag) = tag {
                    piece.line(format!("  newTag: {}", quoted(tag)));
                }
                piece.line(format!("  digest: {}", quoted(digest)));
            }
        }
    }
    piece
}

fn entry(images: &[&Known<'_>]) -> Option<Entry> {
    let first = images.first()?;
    let (names, new) = (spellings(&first.source), untagged(first.image));
    let pinned = match images {
        [only] => {
            let tag = only.image.target.tag().map(str::to_owned);
            Some((tag, only.image.target_digest.to_string()))
        }
        many => {
            let stays = |known: &&Known<'_>| {
                untagged(known.image) == new
                    && known.source.tag() == known.image.target.tag()
                    && known.source.digest() == known.image.target.digest()
            };
            if !many.iter().all(stays) {
                return None;
            }
            None
        }
    };
    Some(Entry { names, new, pinned })
}

/// The ways in which manifests spell a repository.
fn spellings(name: &ImageName) -> Vec<String> {
    let full = repository(name);
    let mut names = vec![full.clone()];
    if let Some(path) = full.strip_prefix("docker.io/") {
        names.push(path.to_owned());
        if let Some(short) = path.strip_prefix("library/") {
            names.push(format!("docker.io/{short}"));
            names.push(short.to_owned());
        }
    }
    names
}

/// Leaves out what another entry would change once more.
fn without_chains(entries: Vec<Entry>, left_out: &mut Vec<String>) -> Vec<Entry> {
    let old: BTreeSet<String> = entries.iter().flat_map(|entry| entry.names.clone()).collect();
    let (chained, kept): (Vec<Entry>, Vec<Entry>) = entries
        .into_iter()
        .partition(|entry| old.contains(&entry.new) && !entry.names.contains(&entry.new));
    left_out.extend(chained.iter().map(|entry| {
        format!("{}: its new name {} is the old one of others", entry.names[0], entry.new)
    }));
    kept
}

#[cfg(test)]
mod tests {
    use super::super::piece::tests::{about, mapped};
    use super::*;

    fn body(piece: &Piece) -> Vec<&str> {
        piece.text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn one_image_is_pinned_and_several_keep_their_tags() {
        let images = [
            mapped("r.example/a:1.2", "h.example/m/a:1.2"),
            mapped("r.example/b:1", "h.example/m/b:1"),
            mapped("r.example/b:2", "h.example/m/b:2"),
            mapped("r.example/c:1", "h.example/m/c:1"),
            mapped("r.example/c:2", "h.example/apps/c:2"),
        ];
        let piece = super::images(&images, &about());
        let digest = format!("  digest: \"{}\"", images[0].digest);
        assert_eq!(
            body(&piece),
            [
                "images:",
                "- name: \"r.example/a\"",
                "  newName: \"h.example/m/a\"",
                "  newTag: \"1.2\"",
                &digest,
                "- name: \"r.example/b\"",
                "  newName: \"h.example/m/b\"",
            ]
        );
        assert_eq!(piece.left_out.len(), 1);
        assert!(piece.left_out[0].starts_with("r.example/c: its 2 images"));
    }

    #[test]
    fn docker_hub_is_spelled_in_every_way() {
        let spelled = |name: &str| spellings(&name.parse().unwrap()).join(" ");
        assert_eq!(spelled("nginx"), "docker.io/library/nginx library/nginx docker.io/nginx nginx");
        assert_eq!(spelled("bitnami/redis"), "docker.io/bitnami/redis bitnami/redis");
        assert_eq!(spelled("r.example/a"), "r.example/a");
    }

    #[test]
    fn no_entry_changes_what_another_made() {
        let images = [
            mapped("h.example/a:1", "h.example/b:1"),
            mapped("h.example/b:1", "h.example/c:1"),
            mapped("h.example/d:1", "h.example/d:1"),
        ];
        let piece = super::images(&images, &about());
        assert!(piece.left_out[0].starts_with("h.example/a: its new name h.example/b"));
        assert_eq!(body(&piece).iter().filter(|line| line.starts_with("- name")).count(), 2);
    }
}
