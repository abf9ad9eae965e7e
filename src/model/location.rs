//! Places, written as the container world writes them (containers-transports(5)).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::{Error, Result};
use super::reference::ImageName;

/// Where an image is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A bare reference or `docker://reference`.
    Registry(ImageName),
    /// `docker-daemon:NAME` or `docker-daemon:sha256:ID`; kept as written, the daemon knows best.
    DockerDaemon(String),
    /// `oci:DIR[:TAG]`; without a tag, everything that the layout's index names.
    OciLayout(PathBuf, Option<String>),
    /// `oci-archive:FILE[:TAG]`.
    OciArchive(PathBuf, Option<String>),
    /// `docker-archive:FILE[:REF]`; without a reference, every image in the archive.
    DockerArchive(PathBuf, Option<ImageName>),
}

/// Where images are brought to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `HOST[:PORT][/PREFIX]` or `docker://…`; repository paths are kept below the prefix.
    Registry {
        /// Host and port.
        host: String,
        /// Path below which repositories are placed; empty for none.
        prefix: String,
    },
    /// `docker-daemon:`; the images keep their names.
    DockerDaemon,
    /// `oci:DIR`, made if it is not there, added to if it is.
    OciLayout(PathBuf),
    /// `oci-archive:FILE`.
    OciArchive(PathBuf),
    /// `docker-archive:FILE`.
    DockerArchive(PathBuf),
}

const TRANSPORTS: &str = "places are written REGISTRY/NAME, docker-daemon:NAME, oci:DIR, oci-archive:FILE or docker-archive:FILE";

/// `scheme:rest` where the scheme is one that the container world uses.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    const KNOWN: [&str; 12] = [
        "docker-daemon",
        "oci-archive",
        "docker-archive",
        "oci",
        "docker",
        "containerd",
        "containers-storage",
        "dir",
        "sif",
        "tarball",
        "http",
        "https",
    ];
    let (scheme, rest) = text.split_once(':')?;
    // `docker:tag` and `oci:tag` are also image names; a tag has no slash and no dot in front of
    // it, but a path usually has: the documented form wins, as in skopeo.
    KNOWN.contains(&scheme).then_some((scheme, rest))
}

/// `PATH[:WHICH]`, split at the first colon as skopeo does.
fn split_path(text: &str, whole: &str) -> Result<(PathBuf, Option<String>)> {
    let (path, which) = match text.split_once(':') {
        Some((path, which)) => (path, Some(which)),
        None => (text, None),
    };
    if path.is_empty() || which.is_some_and(str::is_empty) {
        return Err(Error::usage(format!("no path in {whole:?}")).hint(TRANSPORTS));
    }
    Ok((PathBuf::from(path), which.map(str::to_owned)))
}

fn unknown(scheme: &str, text: &str) -> Error {
    Error::usage(format!("sealift does not speak {scheme:?} in {text:?}")).hint(TRANSPORTS)
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = split_scheme(text) else {
            return Ok(Self::Registry(text.parse()?));
        };
        match scheme {
            "docker" => match rest.strip_prefix("//") {
                Some(reference) => Ok(Self::Registry(reference.parse()?)),
                None => Ok(Self::Registry(text.parse()?)),
            },
            "docker-daemon" if rest.is_empty() => {
                Err(Error::usage("docker-daemon: needs the name or ID of an image")
                    .hint("write docker-daemon:NAME[:TAG], for example docker-daemon:app:1.2"))
            }
            "docker-daemon" => Ok(Self::DockerDaemon(rest.to_owned())),
            "oci" => split_path(rest, text).map(|(path, tag)| Self::OciLayout(path, tag)),
            "oci-archive" => split_path(rest, text).map(|(path, tag)| Self::OciArchive(path, tag)),
            "docker-archive" => {
                let (path, reference) = split_path(rest, text)?;
                Ok(Self::DockerArchive(path, reference.map(|r| r.parse()).transpose()?))
            }
            _ => Err(unknown(scheme, text)),
        }
    }
}

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = split_scheme(text).unwrap_or(("docker", text));
        let path = || {
            split_path(rest, text).and_then(|(path, which)| match which {
                None => Ok(path),
                Some(_) => Err(Error::usage(format!(
                    "{text:?} names one image, but a bundle may hold many"
                ))
                .hint("give only the path; pick images of the bundle with --image")),
            })
        };
        match scheme {
            "docker" => {
                let place = rest.strip_prefix("//").unwrap_or(rest).trim_end_matches('/');
                let (host, prefix) = place.split_once('/').unwrap_or((place, ""));
                // Only what can be part of a reference can be part of a destination.
                let probe = format!(
                    "{host}/{}probe:tag",
                    if prefix.is_empty() { String::new() } else { format!("{prefix}/") }
                );
                let name: ImageName = probe.parse().map_err(|e: Error| {
                    Error::usage(format!("not a registry: {text:?}")).because(e).hint(TRANSPORTS)
                })?;
                if name.registry() != host
                    && host != "index.docker.io"
                    && host != "registry-1.docker.io"
                {
                    return Err(Error::usage(format!("{text:?} names no registry"))
                        .hint("begin with the host, for example registry.example/mirror or localhost:5000"));
                }
                Ok(Self::Registry { host: name.registry().to_owned(), prefix: prefix.to_owned() })
            }
            "docker-daemon" if rest.is_empty() => Ok(Self::DockerDaemon),
            "docker-daemon" => Err(Error::usage("images keep their names in a daemon")
                .hint("write --to docker-daemon: and pick images with --image")),
            "oci" => Ok(Self::OciLayout(path()?)),
            "oci-archive" => Ok(Self::OciArchive(path()?)),
            "docker-archive" => Ok(Self::DockerArchive(path()?)),
            _ => Err(unknown(scheme, text)),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |f: &mut fmt::Formatter<'_>,
                     scheme,
                     path: &PathBuf,
                     which: Option<&dyn fmt::Display>| {
            write!(f, "{scheme}:{}", path.display())?;
            which.map_or(Ok(()), |which| write!(f, ":{which}"))
        };
        match self {
            Self::Registry(name) => write!(f, "{name}"),
            Self::DockerDaemon(name) => write!(f, "docker-daemon:{name}"),
            Self::OciLayout(path, tag) => place(f, "oci", path, tag.as_ref().map(|t| t as _)),
            Self::OciArchive(path, tag) => {
                place(f, "oci-archive", path, tag.as_ref().map(|t| t as _))
            }
            Self::DockerArchive(path, name) => {
                place(f, "docker-archive", path, name.as_ref().map(|n| n as _))
            }
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry { host, prefix } if prefix.is_empty() => f.write_str(host),
            Self::Registry { host, prefix } => write!(f, "{host}/{prefix}"),
            Self::DockerDaemon => f.write_str("docker-daemon:"),
            Self::OciLayout(path) => write!(f, "oci:{}", path.display()),
            Self::OciArchive(path) => write!(f, "oci-archive:{}", path.display()),
            Self::DockerArchive(path) => write!(f, "docker-archive:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_read_as_the_container_world_writes_them() {
        let same = [
            ("nginx", "docker.io/library/nginx:latest"),
            ("docker://h.example/a:1", "h.example/a:1"),
            ("docker:24", "docker.io/library/docker:24"),
            ("docker-daemon:app:1", "docker-daemon:app:1"),
            ("oci:dir", "oci:dir"),
            ("oci:./dir:v1", "oci:./dir:v1"),
            ("oci-archive:a.tar:v1", "oci-archive:a.tar:v1"),
            ("docker-archive:a.tar:app:1", "docker-archive:a.tar:docker.io/library/app:1"),
        ];
        for (input, printed) in same {
            assert_eq!(input.parse::<Location>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn destinations_keep_their_prefix() {
        let place: Destination = "h.example:5000/a/b/".parse().unwrap();
        assert_eq!(
            place,
            Destination::Registry { host: "h.example:5000".into(), prefix: "a/b".into() }
        );
        assert_eq!("docker-daemon:".parse::<Destination>().unwrap(), Destination::DockerDaemon);
        assert_eq!("localhost:5000".parse::<Destination>().unwrap().to_string(), "localhost:5000");
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        for text in ["oci:", "docker-daemon:", "containerd:x", "https://h.example/a", "oci:dir:"] {
            assert_eq!(
                text.parse::<Location>().unwrap_err().kind(),
                crate::model::Kind::Usage,
                "{text}"
            );
        }
        for text in ["mirror", "oci:dir:tag", "docker-daemon:app", "h.example/UP"] {
            assert_eq!(
                text.parse::<Destination>().unwrap_err().kind(),
                crate::model::Kind::Usage,
                "{text}"
            );
        }
    }
}
