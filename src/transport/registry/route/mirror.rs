//! Places that images are read from in place of their registry.

use std::fmt;

use crate::model::{Error, ImageName, Result};

/// What images a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    /// `HOST[:PORT][/PATH]`, the path whole up to a separator.
    Path(String),
    /// `*.DOMAIN`: every host below a domain. Kept with the leading dot.
    Below(String),
}

impl Prefix {
    /// Reads a prefix; `None` for what is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(domain) = text.strip_prefix('*') {
            let fine = domain.len() > 1 && domain.starts_with('.') && !domain.contains(['/', '*']);
            return fine.then(|| Self::Below(domain.to_owned()));
        }
        let is_image = || {
            let host = host(text);
            is_host(host) && text.parse::<ImageName>().is_ok_and(|name| name.registry() == host)
        };
        (is_place(text) || is_image()).then(|| Self::Path(text.to_owned()))
    }

    /// How much of `name` (an image name, or the beginning of one) it covers, in bytes.
    pub(super) fn covers(&self, name: &str) -> Option<usize> {
        match self {
            Self::Path(path) => {
                let rest = name.strip_prefix(path.as_str())?;
                let ends = match rest.bytes().next() {
                    None | Some(b'/') => true,
                    // A port makes another registry; a tag belongs to the same repository.
                    Some(b':' | b'@') => path.contains('/'),
                    Some(_) => false,
                };
                ends.then_some(path.len())
            }
            Self::Below(domain) => {
                let host = name.split('/').next()?;
                let bare = host.split(':').next()?;
                let is_below = bare.len() > domain.len() && bare.ends_with(domain.as_str());
                is_below.then_some(host.len())
            }
        }
    }

    /// Whether it is about a registry as a whole or a part of it.
    pub(super) fn touches(&self, registry: &str) -> bool {
        match self {
            Self::Path(path) => host(path) == registry,
            Self::Below(_) => self.covers(registry).is_some(),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Below(domain) => write!(f, "*{domain}"),
        }
    }
}

/// Which names a mirror is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pull {
    /// All.
    #[default]
    All,
    /// Those with a digest: the answer cannot be another image.
    ByDigest,
    /// Those without.
    ByTag,
}

impl Pull {
    pub(super) fn takes(self, name: &ImageName) -> bool {
        match self {
            Self::All => true,
            Self::ByDigest => name.digest().is_some(),
            Self::ByTag => name.digest().is_none(),
        }
    }
}

/// A place that has what lies below a prefix.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    /// `HOST[:PORT][/PATH]`.
    pub(super) location: String,
    pub(super) pull: Pull,
    /// Whether the user allowed plain HTTP to it.
    pub(super) insecure: bool,
    /// Who named it: an option, or a file.
    pub(super) set_by: String,
}

/// `FROM=TO`, as `--mirror` takes it.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) for anything else.
pub(super) fn given(text: &str) -> Result<(Prefix, Mirror)> {
    let bad = || {
        Error::usage(format!("--mirror {text:?} is not of the form FROM=TO"))
            .hint("write what is mirrored, and where: --mirror docker.io=mirror.example/hub")
    };
    let (from, to) = text.split_once('=').ok_or_else(bad)?;
    let none = |part: &str| {
        Error::usage(format!("--mirror {text:?}: {part:?} is not of the form HOST[:PORT][/PATH]"))
            .hint("name registries in full, as in --mirror docker.io=mirror.example/hub")
    };
    let prefix = Prefix::parse(from).ok_or_else(|| none(from))?;
    let mirror = address(to, "--mirror").ok_or_else(|| none(to))?;
    Ok((prefix, mirror))
}

/// A mirror by its address, with or without a scheme; `http` allows plain HTTP.
pub(super) fn address(text: &str, set_by: &str) -> Option<Mirror> {
    let (insecure, rest) = match text.split_once("://") {
        Some(("https", rest)) => (false, rest),
        Some(("http", rest)) => (true, rest),
        Some(_) => return None,
        None => (false, text),
    };
    let location = rest.strip_suffix('/').unwrap_or(rest);
    is_place(location).then(|| Mirror {
        location: location.to_owned(),
        pull: Pull::All,
        insecure,
        set_by: set_by.to_owned(),
    })
}

/// The host with its port at the beginning of a place.
pub(super) fn host(place: &str) -> &str {
    place.split('/').next().unwrap_or(place)
}

/// `HOST[:PORT][/PATH]`: something that can stand before the rest of an image name.
pub(super) fn is_place(text: &str) -> bool {
    let host = host(text);
    is_host(host)
        && format!("{text}/x").parse::<ImageName>().is_ok_and(|name| name.registry() == host)
}

/// As docker tells a registry from the first part of a path.
fn is_host(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':'])
}

/// The image of that name at another place: what `covered` bytes of its name cover is replaced.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where this gives no image name.
pub(super) fn moved(name: &ImageName, covered: usize, location: &str) -> Result<ImageName> {
    let text = name.to_string();
    let rest = text.get(covered..).unwrap_or_default();
    let moved = format!("{location}{rest}");
    moved.parse().map_err(|e: Error| e.context(format!("{name} cannot be read at {location}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_separators() {
        for (prefix, name, covered) in [
            ("h.example", "h.example/a:1", Some(9)),
            ("h.example", "h.example:5000/a:1", None),
            ("h.example:5000", "h.example:5000/a:1", Some(14)),
            ("h.example", "h.example.org/a:1", None),
            ("h.example/a", "h.example/a:1", Some(11)),
            ("h.example/a", "h.example/a@sha256:00", Some(11)),
            ("h.example/a", "h.example/a/b:1", Some(11)),
            ("h.example/a", "h.example/ab:1", None),
            ("h.example/a:1", "h.example/a:1", Some(13)),
            ("h.example/a:1", "h.example/a:12", None),
            ("*.example", "h.example/a:1", Some(9)),
            ("*.example", "h.example:5000/a:1", Some(14)),
            ("*.example", "example/a:1", None),
            ("*.h.example", "h.example/a:1", None),
            ("docker.io", "docker.io/library/nginx:1", Some(9)),
        ] {
            let prefix = Prefix::parse(prefix).unwrap();
            assert_eq!(prefix.covers(name), covered, "{prefix} and {name}");
        }
        for text in ["", "*", "*.", "*example", "*.a/b", "h.example/", "a b.example", "nginx"] {
            assert!(Prefix::parse(text).is_none(), "{text:?} was taken");
        }
    }

    #[test]
    fn names_are_moved_with_all_that_follows() {
        let digest = crate::model::Digest::of(b"x");
        let name = format!("h.example/team/app:1@{digest}").parse().unwrap();
        let to = |covered, location| moved(&name, covered, location).unwrap().to_string();
        assert_eq!(to(9, "m.example:5000"), format!("m.example:5000/team/app:1@{digest}"));
        assert_eq!(to(14, "m.example/x/y"), format!("m.example/x/y/app:1@{digest}"));
        assert!(moved(&name, 9, "M ").is_err());
    }

    #[test]
    fn mirrors_are_given_as_from_and_to() {
        let (prefix, mirror) = given("docker.io=mirror.example/hub").unwrap();
        assert_eq!(
            (prefix.to_string().as_str(), mirror.location.as_str()),
            ("docker.io", "mirror.example/hub")
        );
        assert!(!mirror.insecure);
        assert!(given("docker.io=http://m.example/").unwrap().1.insecure);
        assert_eq!(given("docker.io=https://m.example/").unwrap().1.location, "m.example");
        for text in ["docker.io", "docker.io=", "=m.example", "docker.io=ftp://m.example", "a=b"] {
            assert_eq!(given(text).unwrap_err().kind(), crate::model::Kind::Usage, "{text}");
        }
    }
}
