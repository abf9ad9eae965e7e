//! Which repositories something is for.

use std::fmt;
use std::str::FromStr;

use super::pattern::{Pattern, Subject};
use crate::model::error::{Error, Result};
use crate::model::reference::ImageName;

/// A repository, everything below a path, or everything: the FROM of a rule without tags and digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repositories {
    pattern: Pattern,
    written: String,
}

impl Repositories {
    /// Whether an image is in them. One without a name is in no repository.
    pub fn hold(&self, name: Option<&ImageName>) -> bool {
        Subject::new(name, &[]).patterns().any(|pattern| pattern == self.pattern)
    }
}

impl Repositories {
    /// The registry that they are at, unless they are at any.
    pub fn registry(&self) -> Option<&str> {
        match &self.pattern {
            Pattern::Repository(path) | Pattern::Below(path) => path.split('/').next(),
            Pattern::All | Pattern::Digest(_) | Pattern::Image { .. } => None,
        }
    }
}

impl fmt::Display for Repositories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl FromStr for Repositories {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let pattern: Pattern = text.parse()?;
        if matches!(pattern, Pattern::Digest(_) | Pattern::Image { .. }) {
            return Err(Error::usage(format!("{text:?} names an image, not a repository"))
                .hint("leave out tag and digest, as in registry.example/team/app"));
        }
        Ok(Self { pattern, written: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(pattern: &str, name: &str) -> bool {
        let name = (!name.is_empty()).then(|| name.parse().unwrap());
        pattern.parse::<Repositories>().unwrap().hold(name.as_ref())
    }

    #[test]
    fn a_path_holds_what_is_below_it_and_nothing_beside_it() {
        assert!(hold("r.example/team/", "r.example/team/app:1"));
        assert!(hold("r.example/team/", "r.example/team/deep/app:1"));
        assert!(hold("r.example/team/app", "r.example/team/app:1"));
        assert!(hold("nginx", "docker.io/library/nginx:1.27"));
        assert!(hold("*", "a.example/b") && hold("*", ""));
        for (pattern, name) in [
            ("r.example/team/", "r.example/teams/app"),
            ("r.example/team/", "other.example/r.example/team/app"),
            ("r.example/team/app", "r.example/team/app2"),
            ("r.example/team/app", "r.example/team/app/more"),
            ("r.example/", ""),
        ] {
            assert!(!hold(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn single_images_are_no_repositories() {
        for text in ["r.example/app:1", &format!("sha256:{}", "a".repeat(64)), "r.example/*"] {
            assert!(text.parse::<Repositories>().is_err(), "{text}");
        }
    }
}
