//! Manifests at a registry: read whole, hashed, and asked after.

use std::sync::Arc;

use reqwest::{Method, StatusCode};

use super::client::Registry;
use super::exchange::{Answer, Ask};
use super::failure::{Refusal, printable};
use super::scope::Scope;
use crate::model::limits::MANIFEST_BYTES;
use crate::model::manifest::media;
use crate::model::{Descriptor, Digest, Error, Manifest, Result};

/// The header in which a registry says what digest it has computed.
pub(super) const CONTENT_DIGEST: &str = "docker-content-digest";

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
    let media_type = media_type(&fetched.answer.media_type(), &raw, &ask.what)?;
    let digest = asked.or(announced).unwrap_or_else(|| Digest::of(&raw));
    let descriptor = Descriptor::new(media_type, digest, raw.len() as u64);
    Ok(Some(Held { descriptor, raw: raw.into() }))
}

/// What the header says and the body does not deny. Registries that store a manifest as a plain
/// file say `application/json` or nothing; then the body is believed.
fn media_type(header: &str, raw: &[u8], what: &str) -> Result<String> {
    let media_type = if media::is_manifest(header) || header.contains("manifest") {
        header.to_owned()
    } else {
        Manifest::sniff(raw).ok_or_else(|| {
            Error::malformed(format!("{what}: the answer, of type {header:?}, is no manifest"))
        })?
    };
    if !media::is_manifest(&media_type) {
        let error = Error::malformed(format!(
            "{what}: manifests of type {:?} are not carried",
            printable(&media_type)
        ));
        return Err(error
            .hint("an image of Docker schema 1 is carried once a current client pushed it again"));
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

/// Puts a manifest under a name. Returns what the registry says about its subject (`OCI-Subject`,
/// OCI distribution 1.1, "Pushing Manifests with Subject").
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
    let answer = registry.send(&ask)?;
    if !answer.status.is_success() {
        return Err(registry.refused(&ask, answer));
    }
    if let Some(announced) = announced(&answer)
        && announced.algorithm() == descriptor.digest.algorithm()
        && announced != descriptor.digest
    {
        return Err(Error::remote(format!(
            "{}: registry {} says that it has digest {announced}, not {}",
            ask.what,
            registry.name(),
            descriptor.digest
        ))
        .hint("the registry, or a proxy on the way, changed it"));
    }
    Ok(answer.header("oci-subject").and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn the_header_decides_and_the_body_may_object() {
        let image = br#"{"config":{"mediaType":"x","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
        assert_eq!(media_type(media::DOCKER_MANIFEST, image, "x").unwrap(), media::DOCKER_MANIFEST);
        assert_eq!(media_type("application/json", image, "x").unwrap(), media::OCI_MANIFEST);
        assert_eq!(media_type("", image, "x").unwrap(), media::OCI_MANIFEST);
        for (header, body) in [
            (media::OCI_INDEX, &image[..]),
            ("application/vnd.docker.distribution.manifest.v1+prettyjws", image),
            ("text/html", b"<html>"),
            ("application/json", br#"{"mediaType":"application/zip"}"#),
        ] {
            assert_eq!(media_type(header, body, "x").unwrap_err().kind(), Kind::Malformed);
        }
    }
}
