//! Text for a program, and what could not be said in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::output::escape;
use crate::model::{Digest, ImageName};
use crate::operation::map::Mapped;

/// What every piece says of itself.
pub(super) struct About {
    /// The target as it was written.
    pub(super) target: String,
    /// Its host.
    pub(super) host: String,
    /// Digest of the bundle.
    pub(super) bundle: String,
    /// The host speaks HTTP.
    pub(super) plain_http: bool,
}

/// Text for a program.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// What goes into the file; lines end in a line feed.
    pub(super) text: String,
    /// Images and why they are not in it, a sentence each.
    pub(super) left_out: Vec<String>,
    /// The folder that it belongs into, where there are several.
    pub(super) folder: String,
}

impl Piece {
    /// Text that says everything.
    pub(super) fn of(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    /// A piece that opens with comments: what it is, what it is of, and what is not in it.
    pub(super) fn opened(first: &str, what: &[&str], about: &About, left_out: Vec<String>) -> Self {
        let mut piece = Self { left_out, ..Self::default() };
        if !first.is_empty() {
            piece.line(first);
        }
        for line in what {
            piece.comment(line);
        }
        piece.comment(&format!("Made by sealift map of the bundle {}.", about.bundle));
        if !piece.left_out.is_empty() {
            piece.comment("Left out:");
            for what in piece.left_out.clone() {
                piece.comment(&format!("  {what}"));
            }
        }
        piece
    }

    /// Adds a line.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// Adds a comment; it stays one line, whatever is in it.
    pub(super) fn comment(&mut self, text: &str) {
        self.line(format!("# {}", escape(text)));
    }
}

/// An image whose old name is its own.
pub(super) struct Known<'a> {
    /// The old name: with a tag, or with a digest alone.
    pub(super) source: ImageName,
    pub(super) image: &'a Mapped,
}

/// Images by what their old names mean.
pub(super) struct Sorted<'a> {
    /// Those whose old names mean one image each.
    pub(super) known: Vec<Known<'a>>,
    /// Old names that have become several images.
    pub(super) ambiguous: Vec<ImageName>,
    /// Why images are not among the known, a sentence each.
    pub(super) left_out: Vec<String>,
}

/// Sorts images by what their old names mean.
pub(super) fn sort(images: &[Mapped]) -> Sorted<'_> {
    let plain = |name: &ImageName| match name.tag() {
        Some(_) => name.without_digest(),
        None => name.clone(),
    };
    let mut targets: BTreeMap<ImageName, BTreeSet<(&ImageName, Digest)>> = BTreeMap::new();
    for image in images {
        if let Some(source) = &image.source {
            targets.entry(plain(source)).or_default().insert((&image.target, image.target_digest));
        }
    }
    let mut sorted = Sorted { known: Vec::new(), ambiguous: Vec::new(), left_out: Vec::new() };
    let mut seen = BTreeSet::new();
    for image in images {
        let Some(source) = image.source.as_ref().map(plain) else {
            sorted.left_out.push(format!("{} had no name", image.digest));
            continue;
        };
        if !seen.insert(source.clone()) {
            continue;
        }
        match targets[&source].len() {
            1 => sorted.known.push(Known { source, image }),
            many => {
                sorted.left_out.push(format!("{source}: it has become {many} images"));
                sorted.ambiguous.push(source);
            }
        }
    }
    sorted
}

/// What a registry would answer with to somebody who asks for an old name at a new repository, if
/// that is another image; `own` is the digest of the right one. Says it in a sentence.
pub(super) fn instead(
    images: &[Mapped],
    asked: &ImageName,
    place: &str,
    own: Option<Digest>,
) -> Option<String> {
    let tag = asked.tag()?;
    let found = images.iter().find(|image| {
        untagged(image) == place
            && image.target.tag() == Some(tag)
            && Some(image.target_digest) != own
    })?;
    let other = found.source.as_ref().map_or_else(|| found.digest.to_string(), ToString::to_string);
    Some(format!("asked for {asked}, a mirror would answer with {other}"))
}

/// The new name with its digest.
pub(super) fn pinned(image: &Mapped) -> String {
    let tag = image.target.tag().map_or(String::new(), |tag| format!(":{tag}"));
    format!("{}{tag}@{}", untagged(image), image.target_digest)
}

/// The new repository with its registry.
pub(super) fn untagged(image: &Mapped) -> String {
    repository(&image.target)
}

/// A repository with its registry.
pub(super) fn repository(name: &ImageName) -> String {
    format!("{}/{}", name.registry(), name.repository())
}

/// Text in double quotes, for TOML and YAML alike: both read what JSON writes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether it can be asked for under the tag that it had.
pub(super) fn keeps_tag(known: &Known<'_>) -> bool {
    known.source.tag().is_none_or(|tag| known.image.target.tag() == Some(tag))
}

/// The path that stands before the old repository in the new one, if tag and path are kept else.
pub(super) fn prefix<'a>(known: &'a Known<'_>) -> Option<&'a str> {
    let (old, new) = (&known.source, &known.image.target);
    let prefix = new.repository().strip_suffix(old.repository())?;
    (keeps_tag(known) && (prefix.is_empty() || prefix.ends_with('/'))).then_some(prefix)
}

/// What most of several things are; of equals, the first.
pub(super) fn most_common<'a>(things: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for thing in things {
        match counts.iter_mut().find(|(known, _)| *known == thing) {
            Some((_, count)) => *count += 1,
            None => counts.push((thing, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max()?;
    counts.iter().find(|(_, count)| *count == most).map(|(thing, _)| *thing)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An image as `sealift map` found it, with content that is its new name.
    pub(in crate::cli::map) fn mapped(source: &str, target: &str) -> Mapped {
        let digest = Digest::of(target.as_bytes());
        Mapped {
            source: Some(source.parse().unwrap()),
            digest,
            target: target.parse().unwrap(),
            target_digest: digest,
            rule: None,
            runnable: true,
        }
    }

    pub(in crate::cli::map) fn about() -> About {
        About {
            target: "h.example/m".into(),
            host: "h.example".into(),
            bundle: "sha256:00".into(),
            plain_http: false,
        }
    }

    #[test]
    fn what_has_become_several_images_is_left_out() {
        let images = [
            mapped("r.example/a:1", "h.example/a:1-linux-amd64"),
            mapped("r.example/b:1", "h.example/b:1"),
            mapped("r.example/a:1", "h.example/a:1-linux-arm64"),
            mapped("r.example/b:1", "h.example/b:1"),
        ];
        let Sorted { known, ambiguous, left_out } = sort(&images);
        assert_eq!(ambiguous.len(), 1);
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].source.to_string(), "r.example/b:1");
        assert_eq!(left_out, ["r.example/a:1: it has become 2 images"]);
    }

    #[test]
    fn names_are_pinned_with_and_without_a_tag() {
        let image = mapped("r.example/a:1", "h.example:5000/m/a:1");
        let digest = image.digest;
        assert_eq!(pinned(&image), format!("h.example:5000/m/a:1@{digest}"));
        let image = mapped("r.example/a:1", &format!("h.example/a@{digest}"));
        assert_eq!(pinned(&image), format!("h.example/a@{}", image.target_digest));
    }

    #[test]
    fn a_comment_stays_one_line() {
        let mut piece = Piece::default();
        piece.comment("a\nrm -rf /");
        assert_eq!(piece.text, "# a\\nrm -rf /\n");
    }
}
