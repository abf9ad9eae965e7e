//! Why a request did not get through: TLS, the proxy, names, the network; in words, and with what
//! to do next.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;
use url::Url;

use super::peer::Peer;
use super::route::Proxy;
use super::tls::{cause, is_authority_as_server, tls_problem};

/// What happened, and what to do about it.
pub(super) struct Finding {
    pub(super) said: String,
    pub(super) hint: String,
}

/// Why a request did not get through. `origin` is where it was to go, if that is known.
pub(super) fn why_broken(peer: &Peer, error: &reqwest::Error, origin: Option<&Url>) -> Finding {
    let to = origin.unwrap_or(&peer.base);
    match (tls_problem(error), peer.proxy(to)) {
        (_, Some(proxy)) if is_before_tunnel(error) => proxy_finding(peer, to, proxy, error),
        (Some(problem), _) => tls_finding(peer, to, problem),
        (None, Some(proxy)) if error.is_connect() => proxy_finding(peer, to, proxy, error),
        (None, _) => network_finding(peer, to, error),
    }
}

/// Whether the proxy itself was not reached, or would not let us through.
fn is_before_tunnel(error: &reqwest::Error) -> bool {
    tunnel(error).is_some()
}

/// What the HTTP library says about the way through a proxy: its type for it has no name outside.
fn tunnel(error: &reqwest::Error) -> Option<String> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(said) = cause.to_string().strip_prefix("tunnel error: ") {
            return Some(said.to_owned());
        }
        next = cause.source();
    }
    None
}

fn proxy_finding(peer: &Peer, to: &Url, proxy: &Proxy, error: &reqwest::Error) -> Finding {
    let (place, set_by) = (proxy.place(), proxy.set_by());
    let host = peer.host(to);
    let around = around(to);
    match tunnel(error).as_deref() {
        Some("proxy authorization required") => sign_in(proxy, to),
        Some("unsuccessful") => Finding {
            said: format!("the proxy {place} does not connect to {host}"),
            hint: format!(
                "{set_by} names this proxy: it may {}not know {host}, or forbid it; {around}",
                if proxy.has_credentials() {
                    "not accept our user name and password, "
                } else {
                    ""
                }
            ),
        },
        _ => Finding {
            said: format!("cannot reach the proxy {place}: {}", why(error)),
            hint: format!("{set_by} names this proxy: correct or unset it; {around}"),
        },
    }
}

fn around(to: &Url) -> String {
    format!("to go around it, add {} to NO_PROXY", to.host_str().unwrap_or_default())
}

/// A proxy that wants to know who we are: it answered 407.
pub(super) fn sign_in(proxy: &Proxy, to: &Url) -> Finding {
    let place = proxy.place();
    let said = if proxy.has_credentials() {
        format!("the proxy {place} does not accept our user name and password (407)")
    } else {
        format!("the proxy {place} wants a user name and a password (407)")
    };
    let hint = format!(
        "{} names this proxy: write http://USER:PASSWORD@HOST:PORT there; {}",
        proxy.set_by(),
        around(to)
    );
    Finding { said, hint }
}

/// What the last cause says; the ones above only say that there was an error.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut next = error.source();
    let mut last = None;
    while let Some(cause) = next {
        last = Some(cause.to_string());
        next = cause.source();
    }
    last.unwrap_or_else(|| error.to_string())
}

fn network_finding(peer: &Peer, to: &Url, error: &reqwest::Error) -> Finding {
    let host = peer.host(to);
    let hint = if error.is_timeout() {
        format!("check the network and that {host} is up, then try again")
    } else if error.is_dns() {
        format!("check how {host} is spelt, and that this machine can resolve names")
    } else if is_refused(error) {
        format!("check host and port, and that the registry at {host} runs")
    } else if to.scheme() == "http" && is_no_http(error) {
        format!("what answers at {host} is no HTTP; if it is TLS, leave out --plain-http")
    } else {
        "check the network and try again".to_owned()
    };
    let said = if error.is_dns() {
        format!(
            "no machine is known by the name {}: {}",
            to.host_str().unwrap_or(&host),
            why(error)
        )
    } else {
        why(error)
    };
    Finding { said, hint }
}

fn is_refused(error: &reqwest::Error) -> bool {
    cause(error, |cause| cause.downcast_ref::<io::Error>())
        .is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

/// Whether bytes came that are no answer.
fn is_no_http(error: &reqwest::Error) -> bool {
    let said = why(error);
    said.starts_with("invalid HTTP") || said.contains("message is incomplete")
}

fn tls_finding(peer: &Peer, to: &Url, problem: &rustls::Error) -> Finding {
    let host = peer.host(to);
    match problem {
        rustls::Error::InvalidMessage(_) => Finding {
            said: format!("{host} does not speak TLS there"),
            hint: format!("if it is meant to be so, allow plain HTTP with --plain-http={host}"),
        },
        rustls::Error::InvalidCertificate(certificate) => {
            certificate_finding(peer, to, certificate, problem)
        }
        rustls::Error::AlertReceived(alert) => Finding {
            said: format!("{host} ended the TLS handshake: {alert:?}"),
            hint: certificate_wanted(peer),
        },
        other => {
            Finding { said: other.to_string(), hint: format!("check the TLS setup of {host}") }
        }
    }
}

fn certificate_finding(
    peer: &Peer,
    to: &Url,
    certificate: &CertificateError,
    problem: &rustls::Error,
) -> Finding {
    use CertificateError as C;
    let host = peer.host(to);
    let bare = to.host_str().unwrap_or(&host);
    match certificate {
        C::Expired | C::ExpiredContext { .. } => Finding {
            said: format!("the certificate of {host} has expired{}", dates(certificate)),
            hint: "have it renewed; if it has not expired, set the clock of this machine".to_owned(),
        },
        C::NotValidYet | C::NotValidYetContext { .. } => Finding {
            said: format!("the certificate of {host} is not valid yet{}", dates(certificate)),
            hint: "check the clock of this machine".to_owned(),
        },
        C::NotValidForName | C::NotValidForNameContext { .. } => Finding {
            said: format!("the certificate of {host} is not for {bare}{}", names(certificate)),
            hint: "name the registry as its certificate does, or have one made with this name among its subjectAltNames".to_owned(),
        },
        C::BadSignature => unknown(
            peer,
            to,
            "an authority signed it that bears the name of one that is trusted here, but has another key",
        ),
        C::UnknownIssuer => unknown(peer, to, "an authority that is not trusted here signed it"),
        _ if is_authority_as_server(problem) => {
            unknown(peer, to, "it signs itself and is not trusted here")
        }
        _ => Finding {
            said: format!("the certificate of {host} cannot be used: {problem}"),
            hint: format!("have the certificate of {host} replaced"),
        },
    }
}

/// A certificate that nobody whom we trust stands for.
fn unknown(peer: &Peer, to: &Url, why: &str) -> Finding {
    let host = peer.host(to);
    let certificates = &peer.options.certificates;
    let mut said = format!("the certificate of {host} proves nothing: {why}");
    if let Ok(Some(folder)) = certificates.of(&[&host]) {
        said = format!("{said}, nor by anything in {}", folder.display());
    }
    let mut hint = format!(
        "put the certificate of its authority into {}, or name it with --ca-file",
        folder_file(peer, &host)
    );
    if let Some(by) = peer.options.rules.insecure(&peer.name) {
        hint = format!(
            "{hint}; {by} calls this registry insecure, which sealift takes for leave to speak plain HTTP, and never to skip the check of a certificate"
        );
    }
    Finding { said, hint }
}

/// What to do where a registry wants to see a certificate of ours.
pub(super) fn certificate_wanted(peer: &Peer) -> String {
    let place = folder(peer, &peer.name);
    format!("put the certificate that it wants from us into {place}, as client.cert and client.key")
}

fn folder_file(peer: &Peer, host: &str) -> String {
    let places = peer.options.certificates.places(host);
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    if places.is_empty() { format!("certs.d/{host}/ca.crt") } else { places.join(" or ") }
}

fn folder(peer: &Peer, host: &str) -> String {
    let places = peer.options.certificates.places(host);
    let place = places.first().and_then(|file| file.parent());
    place.map_or_else(|| format!("certs.d/{host}"), |folder| folder.display().to_string())
}

/// When a certificate began or ceased to be valid, and what this machine takes for now.
fn dates(certificate: &CertificateError) -> String {
    let day = |time: &rustls::pki_types::UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(seconds)
            .map_or_else(|_| "another time".to_owned(), |t| t.strftime("%Y-%m-%d").to_string())
    };
    match certificate {
        CertificateError::ExpiredContext { time, not_after } => {
            format!(" on {} (today is {})", day(not_after), day(time))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            format!(" before {} (today is {})", day(not_before), day(time))
        }
        _ => String::new(),
    }
}

/// The names that a certificate is for.
fn names(certificate: &CertificateError) -> String {
    const TOLD: usize = 4;
    let CertificateError::NotValidForNameContext { presented, .. } = certificate else {
        return String::new();
    };
    match presented.as_slice() {
        [] => ", nor for any other name".to_owned(),
        names => {
            let more = if names.len() > TOLD { ", …" } else { "" };
            let told: Vec<&str> = names.iter().take(TOLD).map(|name| bare(name)).collect();
            format!(", but for {}{more}", told.join(", "))
        }
    }
}

/// A name out of `WebPKI`'s `DnsName("h.example")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}
