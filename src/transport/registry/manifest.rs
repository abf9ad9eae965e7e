//! Manifests at a registry: read whole, hashed, and asked after.

use std::sync::Arc;

use reqwest::{Method, StatusCode};

use super::client::Registry;
use super::course::Setback;
use super::exchange::{Answer, Ask};
use super::failure::{self, Refusal, printable};
use super::scope::Scope;
use crate::model::limits::MANIFEST_BYTES;
use crate::model::manifest::media;
use crate::model::{Descriptor, Digest, Error, ImageName, Manifest, Result};

/// The header in which a registry says what digest it has computed.
pub(super) const CONTENT_DIGEST: &str = "docker-content-digest";

/// What the media types of Docker's schema 1 begin with.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";

/// How a manifest is asked for.
#[derive(Clone, Copy)]
pub(super) enum Named<'a> {
    Tag(&'a str),
    Digest(&'a Digest),
}

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// A manifest with its exact bytes, which have the digest that the descriptor says.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) descriptor: Descriptor,
    pub(super) raw: Arc<[u8]>,
}

fn ask(
    registry: &Registry,
    method: Method,
    repository: &str,
    named: Named<'_>,
    scope: Scope,
) -> Result<Ask> {
    let url = registry.url(repository, &format!("manifests/{named}"))?;
    let verb = if method == Method::HEAD { "ask for" } else { "read" };
    let what = format!("cannot {verb} manifest {named} of {}/{repository}", registry.name());
    Ok(Ask::new(method, url, scope, what).accept(&media::MANIFESTS))
}

/// Reads a manifest; `None` where the registry does not know it.
///
/// # Errors
/// [`Kind::Remote`](crate::model::Kind::Remote) for bytes that do not have the digest that they
/// were asked for by or that the registry gives them, and for more than 4 MiB;
/// [`Kind::Malformed`](crate::model::Kind::Malformed) for what is no manifest that we carry.
pub(super) fn get(
    registry: &Registry,
    repository: &str,
    named: Named<'_>,
    scope: Scope,
) -> Result<Option<Held>> {
    let ask = ask(registry, Method::GET, repository, named, scope)?;
    let fetched = registry.fetch(&ask, MANIFEST_BYTES)?;
    match fetched.answer.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        _ => return Err(registry.refused(&ask, fetched.answer)),
    }
    let raw = fetched.body;
    let announced = announced(&fetched.answer);
    let wrong = |expected: &Digest| {
        Error::remote(format!(
            "{}: what came has digest {}, not {expected}",
            ask.what,
            expected.of_same_kind(&raw)
        ))
        .hint("the registry, or a proxy on the way, is damaged or lies; nothing of it was used")
    };
    let asked = match named {
        Named::Digest(digest) => Some(*digest),
        Named::Tag(_) => None,
    };
    for expected in [asked, announced].iter().flatten() {
        if expected.of_same_kind(&raw) != *expected {
            return Err(wrong(expected));
        }
    }
    let is_known = asked.is_some() || announced.is_some();
    let media_type = media_type(&fetched.answer.media_type(), &raw, is_known, &ask.what)?;
    let digest = asked.or(announced).unwrap_or_else(|| Digest::of(&raw));
    let descriptor = Descriptor::new(media_type, digest, raw.len() as u64);
    Ok(Some(Held { descriptor, raw: raw.into() }))
}

/// What the header says and the body does not deny. Registries that store a manifest as a plain
/// file say `application/json` or nothing; then the body is believed. `is_known` where the bytes
/// are those of a digest.
fn media_type(header: &str, raw: &[u8], is_known: bool, what: &str) -> Result<String> {
    let media_type = if media::is_manifest(header) || header.contains("manifest") {
        header.to_owned()
    } else {
        Manifest::sniff(raw).ok_or_else(|| {
            let text = format!("{what}: the answer, of type {header:?}, is no manifest");
            if is_known {
                Error::malformed(text)
            } else {
                Error::remote(text).hint(
                    "something else may answer in the place of the registry: a proxy, or a page to sign in to a network",
                )
            }
        })?
    };
    if !media::is_manifest(&media_type) {
        let error = Error::malformed(format!(
            "{what}: manifests of type {:?} are not carried",
            printable(&media_type)
        ));
        return Err(if media_type.starts_with(SCHEMA_1) {
            error.hint(
                "an image of Docker schema 1 is carried once a current client pushed it again",
            )
        } else {
            error.hint("sealift carries OCI and Docker images, indexes and OCI artifacts")
        });
    }
    Manifest::parse(&media_type, raw).map_err(|e| e.context(what))?;
    Ok(media_type)
}

/// The digest that an answer announces, where it announces one that we know.
pub(super) fn announced(answer: &Answer) -> Option<Digest> {
    answer.header(CONTENT_DIGEST)?.parse().ok()
}

/// What a registry has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A manifest with this digest.
    This(Digest),
    /// It does not say: Harbor answers so where a policy keeps an image from being pulled.
    Untold,
}

/// Asks what a registry has under a name, without reading it where that can be avoided.
pub(super) fn look(
    registry: &Registry,
    repository: &str,
    named: Named<'_>,
    scope: &Scope,
) -> Result<Found> {
    inquire(registry, repository, named, scope)?.map_err(|refusal| refusal.error)
}

/// The same; what the registry refuses to say is not an error yet.
pub(super) fn inquire(
    registry: &Registry,
    repository: &str,
    named: Named<'_>,
    scope: &Scope,
) -> Result<Result<Found, Refusal>> {
    let ask = ask(registry, Method::HEAD, repository, named, scope.clone())?;
    let answer = registry.send(&ask)?;
    match answer.status.as_u16() {
        200 => {
            if let Some(digest) = announced(&answer) {
                return Ok(Ok(Found::This(digest)));
            }
            if let Named::Digest(digest) = named {
                return Ok(Ok(Found::This(*digest)));
            }
        }
        404 => return Ok(Ok(Found::Nothing)),
        412 => return Ok(Ok(Found::Untold)),
        // It has it elsewhere, or does not take the question in this form.
        300..=399 | 405 => {}
        _ => return Ok(Err(registry.refusal(&ask, answer))),
    }
    drop(answer);
    let held = get(registry, repository, named, scope.clone())?;
    Ok(Ok(held.map_or(Found::Nothing, |held| Found::This(held.descriptor.digest))))
}

/// The digest of what a registry gives for a name; `None` where it keeps that to itself.
///
/// # Errors
/// [`Kind::Remote`](crate::model::Kind::Remote) where it has nothing under that name.
pub(super) fn read_back(registry: &Registry, name: &ImageName) -> Result<Option<Digest>> {
    let (repository, digest) = (name.repository(), name.digest());
    let named = match (name.tag(), &digest) {
        (Some(tag), _) => Named::Tag(tag),
        (None, Some(digest)) => Named::Digest(digest),
        (None, None) => return Ok(None),
    };
    let scope = Scope::push(repository);
    if look(registry, repository, named, &scope)? == Found::Untold {
        return Ok(None);
    }
    let held = get(registry, repository, named, scope)?;
    let gone = || {
        Error::remote(format!("{name} is not there any more"))
            .hint("somebody else may be writing to the same name; import again")
    };
    held.map(|held| Some(held.descriptor.digest)).ok_or_else(gone)
}

/// Puts a manifest under a name. Returns what the registry says about its subject (`OCI-Subject`,
/// OCI distribution 1.1, "Pushing Manifests with Subject"), if its answer was heard.
pub(super) fn put(
    registry: &Registry,
    repository: &str,
    named: Named<'_>,
    descriptor: &Descriptor,
    raw: &Arc<[u8]>,
) -> Result<Option<Digest>> {
    let url = registry.url(repository, &format!("manifests/{named}"))?;
    let what = format!("cannot put manifest {named} to {}/{repository}", registry.name());
    let content_type = descriptor.media_type.parse().map_err(|_| {
        Error::malformed(format!("{what}: its media type is {:?}", descriptor.media_type))
    })?;
    let ask = Ask::new(Method::PUT, url, Scope::push(repository), what)
        .content(&content_type, Arc::clone(raw));
    let Some(answer) = put_until_there(registry, repository, named, descriptor, &ask)? else {
        return Ok(None);
    };
    if let Some(other) = other_digest(&answer, descriptor) {
        return Err(Error::remote(format!(
            "{}: registry {} says that it has digest {other}, not {}",
            ask.what,
            registry.name(),
            descriptor.digest
        ))
        .hint("the registry, or a proxy on the way, changed it"));
    }
    Ok(answer.header("oci-subject").and_then(|text| text.parse().ok()))
}

/// Sends a manifest until it has arrived. `None` where it has and the answer was lost: then it is
/// not put again, which a rule about tags that must not change could take amiss.
fn put_until_there(
    registry: &Registry,
    repository: &str,
    named: Named<'_>,
    descriptor: &Descriptor,
    ask: &Ask,
) -> Result<Option<Answer>> {
    let mut tries = registry.tries();
    loop {
        let result = registry.attempt(ask).map(|opened| opened.answer);
        let setback = match &result {
            // Where it was spoilt on the way, a name now points to something else.
            Ok(answer) if answer.status.is_success() => other_digest(answer, descriptor)
                .map(|_| Setback::new("got other bytes than were sent")),
            Ok(answer) => {
                // What was refused for the moment was not looked at.
                let was_looked_at = answer.status.is_server_error() || tries.is_again();
                let setback = Setback::of_answer(answer);
                if was_looked_at && has_arrived(registry, repository, named, descriptor) {
                    return Ok(None);
                }
                setback
            }
            Err(fault) => {
                let setback = Setback::of_fault(fault);
                if setback.is_some() && has_arrived(registry, repository, named, descriptor) {
                    return Ok(None);
                }
                setback
            }
        };
        let goes_on = setback.is_some_and(|setback| registry.course().again(&mut tries, &setback));
        match result {
            _ if goes_on => {}
            Ok(answer) if answer.status.is_success() => return Ok(Some(answer)),
            Ok(answer) => return Err(registry.refused(ask, answer)),
            Err(fault) => return Err(failure::fault(registry.peer(), &ask.what, fault)),
        }
    }
}

/// The digest that a registry says to have got, where it is another one.
fn other_digest(answer: &Answer, descriptor: &Descriptor) -> Option<Digest> {
    let digest = announced(answer)?;
    let is_alike = digest.algorithm() == descriptor.digest.algorithm();
    (is_alike && digest != descriptor.digest).then_some(digest)
}

/// Whether a manifest that may have been put is there under the name, as far as that can be found
/// out at once.
fn has_arrived(
    registry: &Registry,
    repository: &str,
    named: Named<'_>,
    descriptor: &Descriptor,
) -> bool {
    let Ok(ask) = ask(registry, Method::HEAD, repository, named, Scope::push(repository)) else {
        return false;
    };
    let Ok(opened) = registry.attempt(&ask) else { return false };
    let found = announced(&opened.answer);
    opened.answer.status == StatusCode::OK
        && match named {
            Named::Digest(_) => found.is_none_or(|found| found == descriptor.digest),
            Named::Tag(_) => found == Some(descriptor.digest),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn the_header_decides_and_the_body_may_object() {
        let image = br#"{"config":{"mediaType":"x","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
        assert_eq!(
            media_type(media::DOCKER_MANIFEST, image, true, "x").unwrap(),
            media::DOCKER_MANIFEST
        );
        assert_eq!(media_type("application/json", image, true, "x").unwrap(), media::OCI_MANIFEST);
        assert_eq!(media_type("", image, true, "x").unwrap(), media::OCI_MANIFEST);
        for (header, body) in [
            (media::OCI_INDEX, &image[..]),
            ("application/vnd.docker.distribution.manifest.v1+prettyjws", image),
            ("text/html", b"<html>"),
            ("application/json", br#"{"mediaType":"application/zip"}"#),
        ] {
            assert_eq!(media_type(header, body, true, "x").unwrap_err().kind(), Kind::Malformed);
        }
        let page = media_type("text/html", b"<html>", false, "x").unwrap_err();
        assert_eq!(page.kind(), Kind::Remote);
    }
}
