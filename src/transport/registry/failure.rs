//! Makes errors that people understand of what a registry, or the way to it, answered.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use super::address::same_origin;
use super::exchange::{Answer, Fault};
use super::identity::Whom;
use super::peer::Peer;
use super::reason::{self, Reason};
use super::unreached;
use crate::model::Error;

/// Bytes of an error's body that are read. Registries say it in a few hundred; a proxy's page is
/// not read to its end.
const BODY_BYTES: u64 = 64 << 10;

/// How long that may take.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Errors of one answer that are told. A manifest with a hundred missing layers has a hundred.
const TOLD: usize = 3;

/// Characters that are told of what a registry says in one place.
const TEXT_CHARS: usize = 240;

/// `errors.md` of the OCI distribution specification.
#[derive(Deserialize)]
struct Body {
    errors: Vec<Reported>,
}

#[derive(Deserialize)]
struct Reported {
    #[serde(default)]
    code: serde_json::Value,
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: serde_json::Value,
}

/// An answer that is not what was needed: what decides over it, and the error that it makes.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// What the registry says, in one line.
    pub(super) said: String,
    /// What that means, where it is known.
    pub(super) reason: Option<Reason>,
    pub(super) error: Error,
}

impl Refusal {
    /// Whether it is about who we are and what we may do, not about this one request.
    pub(super) fn is_about_rights(&self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }
}

/// The error for an answer that is not what `what` needed.
pub(super) fn refused(peer: &Peer, what: &str, answer: Answer) -> Error {
    refusal(peer, what, answer).error
}

/// The same with what decides over it.
pub(super) fn refusal(peer: &Peer, what: &str, mut answer: Answer) -> Refusal {
    let body = answer.read_small(BODY_BYTES, BODY_TIME).unwrap_or_default();
    if answer.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        && let Some(proxy) = peer.proxy(&answer.url)
    {
        let finding = unreached::sign_in(proxy, &answer.url);
        let error = Error::remote(format!("{what}: {}", finding.said)).hint(finding.hint);
        return Refusal { status: answer.status, said: finding.said, reason: None, error };
    }
    let said = told(&answer.media_type(), &body);
    let at_home = same_origin(&answer.url, &peer.base);
    let whom = if at_home {
        format!("registry {}", peer.name)
    } else {
        format!("{}, to which registry {} sends us,", answer.url.authority(), peer.name)
    };
    let status = answer.status;
    let reason = at_home.then(|| reason::of(status, answer.url.path(), &said)).flatten();
    let mut message = match &reason {
        Some(reason) => format!("{what}: {}; {whom}", reason.sentence(&peer.name)),
        None => format!("{what}: {whom}"),
    };
    let _ = write!(message, " answered {}", status_text(status));
    if !said.is_empty() {
        let _ = write!(message, ": {said}");
    }
    if let (Some(whom), None) = (&answer.whom, &reason) {
        let _ = write!(message, "; {}", whom.told());
    }
    let error = Error::remote(message);
    let hint = reason
        .as_ref()
        .map(|reason| reason.advice(&peer.name))
        .or_else(|| hint(peer, status, &said, answer.whom.as_ref()));
    let error = match hint {
        Some(hint) => error.hint(hint),
        None => error,
    };
    Refusal { status, said, reason, error }
}

fn status_text(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// What an error's body says, in one line.
fn told(media_type: &str, body: &[u8]) -> String {
    if let Ok(parsed) = serde_json::from_slice::<Body>(body) {
        let mut parts: Vec<String> = parsed.errors.iter().take(TOLD).map(Reported::told).collect();
        if parsed.errors.len() > TOLD {
            parts.push(format!("and {} more", parsed.errors.len() - TOLD));
        }
        return parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if media_type == "text/html" || text.starts_with('<') {
        return match title(text) {
            Some(title) => {
                format!("an HTML page, as a proxy in front of a registry sends it: {title:?}")
            }
            None => "an HTML page, as a proxy in front of a registry sends it".to_owned(),
        };
    }
    if text.is_empty() || text == "{}" { String::new() } else { printable(text) }
}

/// The title of an HTML page.
fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower.get(start..)?.find("</title>")?;
    let title = page.get(start..end)?.trim();
    (!title.is_empty()).then(|| printable(title))
}

impl Reported {
    fn told(&self) -> String {
        let code = match &self.code {
            serde_json::Value::String(code) => printable(code),
            serde_json::Value::Number(code) => code.to_string(),
            _ => String::new(),
        };
        let detail = match &self.detail {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => printable(text),
            other => printable(&other.to_string()),
        };
        let mut text = code;
        for (part, open, close) in [(printable(&self.message), ": ", ""), (detail, " (", ")")] {
            if !part.is_empty() && part != "{}" && part != "[]" {
                if text.is_empty() {
                    text = part;
                } else {
                    text.extend([open, &part, close]);
                }
            }
        }
        text
    }
}

/// Text from outside, fit for a terminal: one line, bounded, nothing that steers.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count >= TEXT_CHARS {
            out.push('…');
            break;
        }
        let steers = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            _ if steers => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

fn hint(peer: &Peer, status: StatusCode, said: &str, whom: Option<&Whom>) -> Option<String> {
    let host = &peer.name;
    let sign_in = || match whom {
        Some(whom) => whom.advice(host),
        None => format!("sign in with `sealift login {host}`, as somebody who may do this"),
    };
    Some(match status.as_u16() {
        // Go's server and nginx say so themselves.
        400 if peer.base.scheme() == "http"
            && (said.contains("HTTPS server") || said.contains("HTTPS port")) =>
        {
            "leave out --plain-http: this registry speaks TLS".to_owned()
        }
        400 if said.contains("SSL certificate") => unreached::certificate_wanted(peer),
        400 | 500 if said.contains("MANIFEST_BLOB_UNKNOWN") => {
            "the registry misses a blob of this image: an image with foreign layers needs its leave (docker-registry: validation.manifests.urls.allow); a blob that was removed meanwhile is sent by running it again".to_owned()
        }
        401 => sign_in(),
        403 if said.contains("quota") || said.contains("exceed") => {
            format!("make room at {host}, or have the quota raised; run it again, and only what is missing is sent")
        }
        403 => format!("{}, and make sure that the place is not read-only", sign_in()),
        404 => format!("check the name and the tag, and that {host} is the right registry"),
        405 if said.contains("UNSUPPORTED") => mirror(host),
        // What docker-registry says as a mirror that cannot fetch something.
        500 if said.contains("MANIFEST_UNKNOWN") => mirror(host),
        408 | 500 | 502 | 503 | 504 => {
            format!("try again later; if it stays, the log of {host} knows why")
        }
        412 => "a rule of the registry forbids it: an immutable tag, or a policy for images".to_owned(),
        413 => format!("a proxy in front of {host} refuses uploads over its limit; have the limit raised (nginx: client_max_body_size 0)"),
        429 => format!("{host} limits how often it is asked: wait, or sign in with `sealift login {host}`"),
        300..=399 => format!("check the address of the registry; {host} points elsewhere"),
        _ => return None,
    })
}

fn mirror(host: &str) -> String {
    format!(
        "{host} seems to be a mirror, which hands on what another registry has and takes nothing in; bring images to that one"
    )
}

/// The error for a request that has no answer.
pub(super) fn fault(peer: &Peer, what: &str, fault: Fault) -> Error {
    match fault {
        Fault::Broken(error, origin) => {
            let finding = unreached::why_broken(peer, &error, origin.as_ref());
            Error::remote(format!("{what}: {}", printable(&finding.said))).hint(finding.hint)
        }
        Fault::Cut(error) => cut(peer, what, error),
        Fault::Final(error) => error,
    }
}

/// The error for an answer that broke off.
pub(super) fn cut(peer: &Peer, what: &str, error: io::Error) -> Error {
    Error::remote(format!("{what}: the answer of registry {} broke off", peer.name))
        .because(error)
        .hint("check the network and try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_own_words_are_told_and_tamed() {
        let json = br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m \u202eway","detail":{"a":1}},{"code":"X"},{"message":"m"},{},{}]}"#;
        assert_eq!(
            told("application/json", json),
            "DENIED: no\\u{1b}[31m \\u{202e}way ({\"a\":1}); X; m; and 2 more"
        );
        assert_eq!(told("text/plain", b" slow\ndown "), "slow down");
        assert!(told("text/html", b"<html>").contains("HTML"));
        assert!(told("", b"<!doctype html>").contains("HTML"));
        assert_eq!(told("application/json", b"{}"), "");
        assert_eq!(told("", &[0xff, 0xfe]), "\u{fffd}\u{fffd}");
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(5000));
        assert_eq!(told("", long.as_bytes()).chars().count(), TEXT_CHARS + 1);
    }
}
