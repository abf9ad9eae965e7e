//! Docker's `daemon.json`: mirrors of Docker Hub, and registries that may be spoken to in the
//! clear.
//!
//! It is the daemon's file. Where this user may not read it, it says nothing to us.

use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;

use super::bypass::{is_within, network};
use super::mirror::{self, Mirror};
use super::{file, mirror::host};
use crate::model::{Error, Result};

/// What of the file concerns us.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    registry_mirrors: Vec<String>,
    insecure_registries: Vec<String>,
}

/// What it says.
#[derive(Default)]
pub(super) struct DaemonRules {
    /// Mirrors of Docker Hub, in their order.
    pub(super) mirrors: Vec<Mirror>,
    /// Registries that plain HTTP may be spoken to.
    pub(super) insecure: Vec<Insecure>,
}

/// A registry, or a network of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Insecure {
    /// `HOST[:PORT]`.
    Host(String),
    /// Every registry that is named by an address in it.
    Network(IpAddr, u8),
}

impl Insecure {
    pub(super) fn covers(&self, registry: &str) -> bool {
        match self {
            Self::Host(host) => host == registry,
            Self::Network(address, bits) => {
                let bare = |text: &str| text.trim_matches(['[', ']']).parse().ok();
                let own = bare(registry).or_else(|| bare(registry.rsplit_once(':')?.0));
                own.is_some_and(|own: IpAddr| is_within(own, *address, *bits))
            }
        }
    }
}

/// Reads the file; one that is not there says nothing.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) for what is no such file: dockerd would not start
/// with it either.
pub(super) fn read(path: &Path) -> Result<DaemonRules> {
    let what = "docker's configuration";
    let bytes = match file::read(path, what) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(DaemonRules::default()),
        Err(error) if is_forbidden(&error) => return Ok(DaemonRules::default()),
        Err(error) => return Err(error),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(DaemonRules::default());
    }
    let name = path.display().to_string();
    let parsed: File = serde_json::from_slice(&bytes)
        .map_err(|e| Error::usage(format!("{what} {name} is not readable")).because(e))?;
    let mut rules = DaemonRules::default();
    for text in &parsed.registry_mirrors {
        let mirror = mirror::address(text, &name)
            .ok_or_else(|| Error::usage(format!("{name} names a mirror that is none: {text:?}")))?;
        rules.mirrors.push(mirror);
    }
    for text in &parsed.insecure_registries {
        let rest = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
        rules.insecure.push(match network(rest) {
            Some((address, bits)) => Insecure::Network(address, bits),
            None => Insecure::Host(host(rest).to_owned()),
        });
    }
    Ok(rules)
}

fn is_forbidden(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<DaemonRules> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.json");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn mirrors_and_insecure_registries_are_read() {
        let text = r#"{"registry-mirrors":["https://m.example/","http://n.example:5000"],
            "insecure-registries":["h.example:5000","10.0.0.0/8"],"debug":true}"#;
        let rules = rules(text).unwrap();
        let mirrors: Vec<_> =
            rules.mirrors.iter().map(|m| (m.location.as_str(), m.insecure)).collect();
        assert_eq!(mirrors, [("m.example", false), ("n.example:5000", true)]);
        let insecure = |registry| rules.insecure.iter().any(|entry| entry.covers(registry));
        for registry in ["h.example:5000", "10.1.2.3:5000", "10.1.2.3"] {
            assert!(insecure(registry), "{registry}");
        }
        for registry in ["h.example", "11.1.2.3", "example", "[fd00::1]:5000"] {
            assert!(!insecure(registry), "{registry}");
        }
    }

    #[test]
    fn nothing_says_nothing_and_nonsense_is_refused() {
        assert!(read(Path::new("/nonexistent/daemon.json")).unwrap().mirrors.is_empty());
        assert!(rules(" \n").unwrap().insecure.is_empty());
        for text in ["{", "[1]", r#"{"registry-mirrors":["nginx"]}"#, r#"{"registry-mirrors":1}"#] {
            let error = rules(text).err().unwrap();
            assert!(error.message().contains("daemon.json"), "{error:?}");
        }
    }
}
