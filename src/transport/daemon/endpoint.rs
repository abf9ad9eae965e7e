//! Where a daemon listens, as `DOCKER_HOST` writes it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::model::{Error, Result};

/// The address of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `unix:///path`.
    Unix(PathBuf),
    /// `tcp://host:port`, without TLS.
    Tcp(String),
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::Unix(PathBuf::from("/var/run/docker.sock"))
    }
}

const HINT: &str = "set DOCKER_HOST to unix:///path or tcp://host:port";

impl FromStr for Endpoint {
    type Err = Error;

    /// Reads a value of `DOCKER_HOST`; an empty one means the default.
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let bad = |why: &str| Error::usage(format!("cannot reach a daemon at {text:?}: {why}"));
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(PathBuf::from(path))),
            Some(("tcp" | "http", place)) => {
                let place = place.trim_end_matches('/');
                let fine = !place.is_empty()
                    && place.bytes().all(|b| {
                        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']')
                    });
                if fine { Ok(Self::Tcp(place.to_owned())) } else { Err(bad("no host").hint(HINT)) }
            }
            Some(("ssh", _)) => Err(bad("ssh is not spoken").hint(
                "forward its socket first: ssh -L /tmp/docker.sock:/var/run/docker.sock HOST, then DOCKER_HOST=unix:///tmp/docker.sock",
            )),
            Some(("https", _)) => Err(bad("TLS is not spoken")
                .hint("run sealift on the daemon's own machine, or forward its socket with ssh -L")),
            _ => Err(bad("unknown form").hint(HINT)),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(place) => write!(f, "tcp://{place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn docker_host_is_read() {
        assert_eq!("".parse::<Endpoint>().unwrap(), Endpoint::default());
        assert_eq!(
            "unix:///run/x.sock".parse::<Endpoint>().unwrap(),
            Endpoint::Unix("/run/x.sock".into())
        );
        let tcp = "tcp://127.0.0.1:2375/".parse::<Endpoint>().unwrap();
        assert_eq!(tcp.to_string(), "tcp://127.0.0.1:2375");
        for text in
            ["ssh://h", "https://h", "unix://x", "npipe:////./pipe/x", "tcp://", "tcp://u:p@h"]
        {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
            assert!(error.get_hint().is_some(), "{text}");
        }
    }
}
