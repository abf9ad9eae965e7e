//! Names of registries, where they answer, and what counts as the same place.

use std::net::IpAddr;

use url::{Host, Url};

use crate::model::{Error, Result};

/// Where Docker Hub's registry answers; its images are named `docker.io/…`.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// The key under which the credentials for Docker Hub are filed, for reasons of history.
pub(super) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Host and port at which the registry that images name `registry` answers.
pub(super) fn authority(registry: &str) -> &str {
    if registry == "docker.io" { DOCKER_HUB } else { registry }
}

/// The key under which sign-ins for the registry that images name `registry` are filed.
pub(super) fn file_key(registry: &str) -> &str {
    if registry == "docker.io" { DOCKER_HUB_KEY } else { registry }
}

/// The address of the API of a registry, `https://HOST/v2/`.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where `registry` is no host with or without a port.
pub(super) fn base(scheme: &str, registry: &str) -> Result<Url> {
    let bad = || {
        Error::usage(format!("not the host of a registry: {registry:?}"))
            .hint("write it as HOST or HOST:PORT, for example registry.example:5000")
    };
    let url: Url = format!("{scheme}://{}/v2/", authority(registry))
        .parse()
        .map_err(|e: url::ParseError| bad().because(e))?;
    let plain = url.path() == "/v2/"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.host_str().is_some();
    if plain { Ok(url) } else { Err(bad()) }
}

/// Host and port of an address as registries are written: without the port where it is the
/// scheme's own.
pub(super) fn written(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether the host is this very machine. Docker, too, speaks plain HTTP to such registries.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

/// Whether scheme, host and port agree (RFC 6454): only then may an authorization go there.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Whether two hosts belong together so closely that the token service of one may be the other:
/// the same host, one below the other, or both below a domain of their own (`auth.docker.io` and
/// `registry-1.docker.io`).
pub(super) fn are_related(a: &Url, b: &Url) -> bool {
    let (Some(Host::Domain(a_name)), Some(Host::Domain(b_name))) = (a.host(), b.host()) else {
        return a.host().is_some() && a.host() == b.host();
    };
    if a_name == b_name {
        return true;
    }
    let shared: Vec<&str> = a_name
        .rsplit('.')
        .zip(b_name.rsplit('.'))
        .take_while(|(left, right)| left == right)
        .map(|(label, _)| label)
        .collect();
    match shared.as_slice() {
        [] | [_] => false,
        // Strangers register next to each other below `co.uk` and `com.cn`.
        [country, second] => !(country.len() == 2 && is_registry_label(second)),
        _ => true,
    }
}

/// Labels below which countries register names, as in `co.uk`.
fn is_registry_label(label: &str) -> bool {
    matches!(label, "co" | "com" | "net" | "org" | "gov" | "edu" | "ac" | "gob" | "gouv" | "or")
        || label.len() == 2
}

/// Resolves the `Location` of an upload that `base` answered with.
///
/// A registry behind a proxy that ends TLS often says `http` about itself; such an address is
/// lifted back to the origin that we talk to.
///
/// # Errors
/// [`Kind::Remote`](crate::model::Kind::Remote) for another origin: neither credentials nor image
/// content are handed to a place that the user did not name.
pub(super) fn upload_location(base: &Url, request: &Url, location: &str) -> Result<Url> {
    let mut url = request.join(location).map_err(|e| {
        Error::remote(format!("registry {} names an upload address that is none", base.authority()))
            .because(e)
    })?;
    if base.scheme() == "https" && url.scheme() == "http" && url.host() == base.host() {
        let lifted = url.set_scheme("https").and_then(|()| url.set_port(base.port()));
        debug_assert!(lifted.is_ok(), "http and https swap freely");
    }
    if !same_origin(base, &url) || !url.username().is_empty() || url.password().is_some() {
        return Err(Error::remote(format!(
            "registry {} wants the upload sent to another place, {}",
            base.authority(),
            url.origin().ascii_serialization()
        ))
        .hint("nothing was sent there; check the registry's external URL or its proxy headers"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn docker_hub_answers_elsewhere() {
        assert_eq!(
            base("https", "docker.io").unwrap().as_str(),
            "https://registry-1.docker.io/v2/"
        );
        assert_eq!(base("http", "h.example:5000").unwrap().as_str(), "http://h.example:5000/v2/");
        for text in ["", "a/b", "user@h.example", "h.example?x", "h.example#x", "h:99999", "a b"] {
            assert!(base("https", text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for text in ["http://localhost:5000/", "http://127.9.9.9/", "http://[::1]:5000/"] {
            assert!(is_loopback(&url(text)), "{text}");
        }
        for text in ["http://localhost.example/", "http://128.0.0.1/", "http://127.0.0.1.nip.io/"] {
            assert!(!is_loopback(&url(text)), "{text}");
        }
    }

    #[test]
    fn origins_differ_by_scheme_host_or_port() {
        let base = url("https://h.example/v2/");
        assert!(same_origin(&base, &url("https://h.example:443/x")));
        for text in ["http://h.example/", "https://h.example:444/", "https://i.example/"] {
            assert!(!same_origin(&base, &url(text)), "{text}");
        }
    }

    #[test]
    fn token_services_belong_to_their_registry() {
        for (registry, realm) in [
            ("https://registry-1.docker.io/", "https://auth.docker.io/token"),
            ("https://registry.gitlab.com/", "https://gitlab.com/jwt/auth"),
            ("https://h.example:5000/", "https://h.example:5001/token"),
            ("https://a.b.co.uk/", "https://c.b.co.uk/"),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/"),
        ] {
            assert!(are_related(&url(registry), &url(realm)), "{realm} was refused");
        }
        for (registry, realm) in [
            ("https://registry-1.docker.io/", "https://evil.io/token"),
            ("https://a.co.uk/", "https://b.co.uk/"),
            ("https://a.com.cn/", "https://b.com.cn/"),
            ("https://h.example/", "https://h.example.evil.com/"),
            ("http://127.0.0.1:5000/", "http://127.0.0.2:5000/"),
            ("http://10.0.0.1/", "http://10.0.0.2/"),
            ("https://registry/", "https://other/"),
        ] {
            assert!(!are_related(&url(registry), &url(realm)), "{realm} was taken");
        }
    }

    #[test]
    fn uploads_stay_where_they_are() {
        let base = url("https://h.example:8443/v2/");
        let request = url("https://h.example:8443/v2/a/blobs/uploads/");
        for (location, resolved) in [
            (
                "/v2/a/blobs/uploads/1?_state=x%3D",
                "https://h.example:8443/v2/a/blobs/uploads/1?_state=x%3D",
            ),
            ("1", "https://h.example:8443/v2/a/blobs/uploads/1"),
            (
                "http://h.example/v2/a/blobs/uploads/1",
                "https://h.example:8443/v2/a/blobs/uploads/1",
            ),
            ("https://h.example:8443/u", "https://h.example:8443/u"),
        ] {
            let found = upload_location(&base, &request, location).unwrap();
            assert_eq!(found.as_str(), resolved);
        }
        for location in [
            "https://evil.example/u",
            "//evil.example/u",
            "https://h.example:8444/u",
            "https://u:p@h.example:8443/u",
            "http://[",
        ] {
            assert!(upload_location(&base, &request, location).is_err(), "{location} was taken");
        }
    }
}
