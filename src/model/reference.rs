//! Image names: `[registry/]repository[:tag][@digest]`, normalised as docker does.

use std::fmt;
use std::str::FromStr;

use oci_spec::distribution::Reference;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::error::{Error, Result};

/// A normalised image name. `nginx` is `docker.io/library/nginx:latest`.
///
/// A name that carries both a tag and a digest is fetched by the digest and keeps the tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ImageName {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageName {
    /// A name from parts that are known to be well formed; checked all the same.
    pub fn from_parts(
        registry: &str,
        repository: &str,
        tag: Option<&str>,
        digest: Option<Digest>,
    ) -> Result<Self> {
        let mut text = format!("{registry}/{repository}");
        if let Some(tag) = tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text.parse()
    }

    /// Host and port of the registry, `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path below the registry, `library/` included.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if there is one. A name without tag and digest has `latest`.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest to fetch by.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same name without its digest, where it has a tag; what a daemon or registry is told.
    #[must_use]
    pub fn without_digest(&self) -> Self {
        Self { digest: None, ..self.clone() }
    }

    /// The same repository with another tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        Self::from_parts(&self.registry, &self.repository, Some(tag), None)
    }

    /// The short form that people type: without `docker.io/library/`.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let full = full.strip_prefix("docker.io/").unwrap_or(&full);
        full.strip_prefix("library/").unwrap_or(full).to_owned()
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::usage(format!("not an image reference: {text:?}")).hint(
                "write it as [registry/]repository[:tag][@digest], for example registry.example/app:1.2",
            )
        };
        let reference: Reference = text.parse().map_err(|error| bad().because(error))?;
        // The grammar takes capitals in a host, and a first part without dot or port for none.
        let repository = reference.repository();
        if reference.registry().is_empty()
            || repository.is_empty()
            || repository.bytes().any(|byte| byte.is_ascii_uppercase())
        {
            return Err(bad());
        }
        let digest = reference
            .digest()
            .map(str::parse::<Digest>)
            .transpose()
            .map_err(|e| bad().because(e))?;
        let registry = match reference.registry() {
            "registry-1.docker.io" | "index.docker.io" => "docker.io",
            other => other,
        };
        let mut repository = reference.repository().to_owned();
        if registry == "docker.io" && !repository.contains('/') {
            repository.insert_str(0, "library/");
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: reference.tag().map(str::to_owned),
            digest,
        })
    }
}

impl TryFrom<String> for ImageName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_normalised() {
        let cases = [
            ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("index.docker.io/nginx:1", "docker.io/library/nginx:1", "nginx:1"),
            ("registry-1.docker.io/nginx:1", "docker.io/library/nginx:1", "nginx:1"),
            ("bitnami/redis:7", "docker.io/bitnami/redis:7", "bitnami/redis:7"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("h.example:5000/a/b", "h.example:5000/a/b:latest", "h.example:5000/a/b:latest"),
        ];
        for (input, full, familiar) in cases {
            let name: ImageName = input.parse().unwrap();
            assert_eq!(name.to_string(), full);
            assert_eq!(name.familiar(), familiar);
        }
    }

    #[test]
    fn a_digest_keeps_the_tag() {
        let digest = Digest::of(b"x");
        let name: ImageName = format!("h.example/a:1@{digest}").parse().unwrap();
        assert_eq!((name.tag(), name.digest()), (Some("1"), Some(&digest)));
        assert_eq!(name.without_digest().to_string(), "h.example/a:1");
        let name: ImageName = format!("h.example/a@{digest}").parse().unwrap();
        assert_eq!(name.tag(), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "UPPER",
            "Upper/a",
            "a:b:c",
            "h.example/",
            "a b",
            "h.example/a@sha256:short",
            "a\u{202e}b",
            "-a",
        ] {
            assert!(text.parse::<ImageName>().is_err(), "{text:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(text in "([a-z]{1,5}\\.[a-z]{2}(:[0-9]{2,4})?/)?[a-z]{1,8}(/[a-z0-9]{1,8}){0,2}(:[a-zA-Z0-9_]{1,9})?") {
            let name: ImageName = text.parse().unwrap();
            prop_assert_eq!(name.to_string().parse::<ImageName>().unwrap(), name);
        }
    }
}
