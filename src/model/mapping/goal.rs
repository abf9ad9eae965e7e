//! What a rule makes of an image's name.

use std::str::FromStr;

use crate::model::error::{Error, Result};
use crate::model::reference::ImageName;

const PLACEHOLDERS: &str = "placeholders are {registry}, {repository}, {name} and {tag}";

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Registry,
    Repository,
    Name,
    Tag,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

/// The right side of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    /// It begins with `/`: the target's prefix is left.
    rooted: bool,
    /// The path without the rest that follows.
    path: Vec<Piece>,
    /// It ends in `/`, or is empty: the rest follows.
    folder: bool,
    /// The tag; `None` keeps the image's own.
    tag: Option<Vec<Piece>>,
}

/// What placeholders stand for, for one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    pub(super) registry: &'a str,
    pub(super) repository: &'a str,
    pub(super) name: &'a str,
    pub(super) tag: Option<&'a str>,
    /// What follows a folder.
    pub(super) rest: &'a str,
}

impl Goal {
    pub(super) const fn is_rooted(&self) -> bool {
        self.rooted
    }

    /// Whether it has no path at all.
    pub(super) const fn is_empty(&self) -> bool {
        !self.rooted && self.path.is_empty()
    }

    /// Whether it takes anything of an image's name but the tag.
    pub(super) fn needs_name(&self) -> bool {
        self.tells_repositories_apart()
            || self.pieces().any(|p| *p == Piece::Field(Field::Registry))
    }

    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.path.iter().chain(self.tag.iter().flatten())
    }

    /// Whether names that differ in their repository stay different.
    pub(super) fn tells_repositories_apart(&self) -> bool {
        let tells = |piece: &Piece| matches!(piece, Piece::Field(Field::Repository | Field::Name));
        self.folder || self.pieces().any(tells)
    }

    /// What stands before the first `/` of a goal, if it is plain text.
    pub(super) fn first_part(&self) -> Option<&str> {
        match (self.path.as_slice(), self.folder) {
            ([Piece::Text(text)], false) => Some(text.split('/').next().unwrap_or(text)),
            ([Piece::Text(text), ..], _) => text.split_once('/').map(|(first, _)| first),
            _ => None,
        }
    }

    /// Whether everything that it needs is there; the first that is not.
    pub(super) fn lacks(&self, values: &Values<'_>) -> Option<Field> {
        let uses_tag = |pieces: &[Piece]| pieces.contains(&Piece::Field(Field::Tag));
        let in_tag = !self.keeps_tag() && self.tag.as_deref().is_some_and(uses_tag);
        (values.tag.is_none() && (in_tag || uses_tag(&self.path))).then_some(Field::Tag)
    }

    /// Whether the image's own tag stays, also where that is written out.
    fn keeps_tag(&self) -> bool {
        self.tag.as_deref().is_none_or(|tag| *tag == [Piece::Field(Field::Tag)])
    }

    /// Path and tag for an image. `whole` names begin with the registry, which is then spelled as
    /// it is.
    pub(super) fn fill(&self, values: &Values<'_>, whole: bool) -> (String, Option<String>) {
        let join = |pieces: &[Piece], whole: bool| {
            let mut text = String::new();
            for piece in pieces {
                match piece {
                    Piece::Text(own) => text.push_str(own),
                    Piece::Field(Field::Registry) if whole && text.is_empty() => {
                        text.push_str(values.registry);
                    }
                    Piece::Field(Field::Registry) => text.push_str(&path_part(values.registry)),
                    Piece::Field(Field::Repository) => text.push_str(values.repository),
                    Piece::Field(Field::Name) => text.push_str(values.name),
                    Piece::Field(Field::Tag) => text.push_str(values.tag.unwrap_or_default()),
                }
            }
            text
        };
        let mut path = join(&self.path, whole);
        if self.folder {
            path.push_str(values.rest);
        }
        let tag = match &self.tag {
            Some(tag) if !self.keeps_tag() => Some(join(tag, false)),
            _ => values.tag.map(str::to_owned),
        };
        (path, tag)
    }
}

/// A registry as a part of a path: dots stay, as Harbor and the OCI distribution specification
/// allow them; what cannot stay, such as the colon of a port, becomes a hyphen.
pub(super) fn path_part(registry: &str) -> String {
    let mut part = String::with_capacity(registry.len());
    for c in registry.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' => part.push(c),
            // Separators stand between letters or digits, dots one at a time.
            '.' if part.ends_with(|last: char| last.is_ascii_alphanumeric()) => part.push('.'),
            _ if part.ends_with(|last: char| last.is_ascii_alphanumeric()) => part.push('-'),
            _ => {}
        }
    }
    part.trim_end_matches(['.', '-']).to_owned()
}

/// Text and placeholders.
fn pieces(text: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut left = text;
    while let Some((before, after)) = left.split_once('{') {
        let unclosed = || Error::usage("a { is not closed").hint(PLACEHOLDERS);
        let (name, rest) = after.split_once('}').ok_or_else(unclosed)?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Field(match name {
            "registry" => Field::Registry,
            "repository" => Field::Repository,
            "name" => Field::Name,
            "tag" => Field::Tag,
            other => {
                return Err(
                    Error::usage(format!("{{{other}}} stands for nothing")).hint(PLACEHOLDERS)
                );
            }
        }));
        left = rest;
    }
    if !left.is_empty() {
        pieces.push(Piece::Text(left.to_owned()));
    }
    let stray = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains('}'));
    if pieces.iter().any(stray) {
        return Err(Error::usage("a } closes nothing").hint(PLACEHOLDERS));
    }
    Ok(pieces)
}

impl FromStr for Goal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.contains("://") {
            return Err(Error::usage(format!("{text:?} is a place, and TO is a name"))
                .hint("the place is what --to names; TO is a path below it"));
        }
        if text.contains('@') {
            return Err(Error::usage("a digest cannot be chosen")
                .hint("leave out what begins with @: images keep their digests wherever they go"));
        }
        let last = text.rfind('/').map_or(0, |slash| slash + 1);
        let (path, tag) = match text[last..].split_once(':') {
            Some((name, tag)) => (&text[..last + name.len()], Some(tag)),
            None => (text, None),
        };
        let rooted = path.starts_with('/');
        let path = if rooted { &path[1..] } else { path };
        let goal = Self {
            rooted,
            path: pieces(path)?,
            folder: path.is_empty() || path.ends_with('/'),
            tag: tag.map(pieces).transpose()?,
        };
        // What no image could make valid is told now.
        let probe = Values { registry: "x", repository: "x", name: "x", tag: Some("x"), rest: "x" };
        let (path, tag) = goal.fill(&probe, false);
        let path = if path.split('/').next().is_some_and(|host| host.contains([':', '.'])) {
            path
        } else {
            format!("x.example/{path}")
        };
        let name = format!("{path}:{}", tag.unwrap_or_default());
        name.parse::<ImageName>().map_err(|_| {
            Error::usage(format!("{text:?} makes no valid name")).hint(
                "names are small letters, digits and . _ - between them, parts are set off by /, \
                 and a tag follows a colon",
            )
        })?;
        Ok(goal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn registries_become_parts_of_a_path() {
        for (registry, part) in [
            ("docker.io", "docker.io"),
            ("registry.example:5000", "registry.example-5000"),
            ("LOCALHOST", "localhost"),
            ("127.0.0.1:80", "127.0.0.1-80"),
            ("[2001:db8::1]:5000", "2001-db8-1-5000"),
            ("a--b.example", "a-b.example"),
        ] {
            assert_eq!(path_part(registry), part);
        }
    }

    #[test]
    fn the_first_part_is_known_where_it_is_plain() {
        let first = |text: &str| text.parse::<Goal>().unwrap().first_part().map(str::to_owned);
        assert_eq!(first("h.example/x").as_deref(), Some("h.example"));
        assert_eq!(first("h.example/").as_deref(), Some("h.example"));
        assert_eq!(first("h.example:5000/{name}").as_deref(), Some("h.example:5000"));
        assert_eq!(first("x{name}/y"), None);
        assert_eq!(first("{registry}/y"), None);
        assert_eq!(first("app:1").as_deref(), Some("app"));
    }

    proptest! {
        #[test]
        fn every_registry_is_a_valid_part(registry in "[a-zA-Z0-9]([a-zA-Z0-9.-]{0,20}[a-zA-Z0-9])?(:[0-9]{1,5})?") {
            let part = path_part(&registry);
            let name: ImageName = format!("h.example/{part}/app:1").parse().unwrap();
            prop_assert_eq!(name.repository(), format!("{part}/app"));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a-z{}/:@.? A-Z]{0,24}|\\PC{0,12}") {
            let _ = text.parse::<Goal>();
        }
    }
}
