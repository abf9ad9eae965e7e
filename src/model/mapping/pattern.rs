//! Which images a rule is for.

use std::fmt;
use std::str::FromStr;

use crate::model::digest::Digest;
use crate::model::error::{Error, Result};
use crate::model::reference::ImageName;

/// The left side of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    /// The image with this digest, whatever its name.
    Digest(Digest),
    /// One image of a repository, which is written with its registry.
    Image { repository: String, tag: Option<String>, digest: Option<Digest> },
    /// Every image of a repository, which is written with its registry.
    Repository(String),
    /// Everything below; ends in `/`.
    Below(String),
    /// Everything.
    All,
}

impl Pattern {
    /// Whether it fits images of several repositories.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Below(_) | Self::All)
    }

    /// What it leaves open of a name, as the rest of a path.
    pub(super) fn rest<'a>(&self, name: &'a ImageName) -> &'a str {
        match self {
            Self::All => name.repository(),
            Self::Below(path) => path
                .strip_prefix(name.registry())
                .and_then(|below| below.strip_prefix('/'))
                .and_then(|below| name.repository().strip_prefix(below))
                .unwrap_or_else(|| name.repository()),
            Self::Digest(_) | Self::Image { .. } | Self::Repository(_) => last_part(name),
        }
    }
}

/// The last part of the repository's path.
pub(super) fn last_part(name: &ImageName) -> &str {
    name.repository().rsplit('/').next().unwrap_or_else(|| name.repository())
}

fn with_registry(name: &ImageName) -> String {
    format!("{}/{}", name.registry(), name.repository())
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "*" {
            return Ok(Self::All);
        }
        if text.contains('*') {
            return Err(Error::usage("* stands for everything, and for nothing less").hint(
                "for all that is below a path, end it with /, as in registry.example/team/",
            ));
        }
        if let Ok(digest) = text.parse() {
            return Ok(Self::Digest(digest));
        }
        if text.ends_with('/') {
            // With two parts more, `docker.io/` is not taken for `docker.io/library/`.
            let name: ImageName = format!("{text}x/x").parse().map_err(|e: Error| {
                Error::usage(format!("{text:?} is no part of an image's name"))
                    .because(e)
                    .hint("write the registry and the path, as in registry.example/team/")
            })?;
            let mut path = with_registry(&name);
            path.truncate(path.len() - "x/x".len());
            return Ok(Self::Below(path));
        }
        let name: ImageName = text.parse()?;
        let repository = with_registry(&name);
        let tagged = text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
        if !tagged {
            return Ok(Self::Repository(repository));
        }
        let tag = name.tag().map(str::to_owned);
        Ok(Self::Image { repository, tag, digest: name.digest().copied() })
    }
}

/// An image as far as rules look at it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    name: Option<&'a ImageName>,
    digests: &'a [Digest],
}

impl<'a> Subject<'a> {
    /// An image by its name, if it has one, and the digests that it is known by: its own, and that
    /// of the index that it was taken out of.
    pub const fn new(name: Option<&'a ImageName>, digests: &'a [Digest]) -> Self {
        Self { name, digests }
    }

    pub(super) const fn name(&self) -> Option<&'a ImageName> {
        self.name
    }

    /// The digest that it is known by first.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.digests.first().copied()
    }

    /// Every pattern that fits it, the closest first.
    pub(super) fn patterns(&self) -> impl Iterator<Item = Pattern> + use<'a> {
        let digests = self.digests.iter().copied();
        let Some(name) = self.name else {
            let all: Vec<Pattern> = digests.map(Pattern::Digest).chain([Pattern::All]).collect();
            return all.into_iter();
        };
        let repository = with_registry(name);
        let image = |tag: Option<&str>, digest| Pattern::Image {
            repository: repository.clone(),
            tag: tag.map(str::to_owned),
            digest,
        };
        let mut all = Vec::new();
        let known: Vec<Digest> = digests.chain(name.digest().copied()).collect();
        if name.tag().is_some() {
            all.extend(known.iter().map(|digest| image(name.tag(), Some(*digest))));
        }
        all.extend(known.iter().map(|digest| image(None, Some(*digest))));
        all.extend(known.iter().copied().map(Pattern::Digest));
        if name.tag().is_some() {
            all.push(image(name.tag(), None));
        }
        all.push(Pattern::Repository(repository.clone()));
        let slashes = repository.rmatch_indices('/');
        all.extend(slashes.map(|(at, _)| Pattern::Below(repository[..=at].to_owned())));
        all.push(Pattern::All);
        all.into_iter()
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name, self.digest()) {
            (Some(name), _) => name.fmt(f),
            (None, Some(digest)) => digest.fmt(f),
            (None, None) => f.write_str("an image without a name"),
        }
    }
}
