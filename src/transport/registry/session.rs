//! An upload session: where the content of one blob is sent, and what the registry's answers to it
//! mean.

use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use url::Url;

use super::client::Registry;
use super::course::Setback;
use super::exchange::{Answer, Ask};
use super::failure::Refusal;
use super::scope::Scope;
use super::{address, failure, manifest};
use crate::model::{Descriptor, Error, Result};

/// One blob on its way to one repository.
pub(super) struct Upload<'a> {
    pub(super) registry: &'a Registry,
    pub(super) repository: &'a str,
    pub(super) descriptor: &'a Descriptor,
    pub(super) scope: Scope,
    pub(super) what: String,
}

/// A session as the registry opened it.
pub(super) struct Session {
    /// Where the content goes.
    pub(super) location: Url,
    /// The least that a piece other than the last must have (`OCI-Chunk-Min-Length`).
    pub(super) least: u64,
}

/// What became of one try.
pub(super) enum Outcome {
    /// The blob is there.
    Done,
    /// So many bytes in one request are too many for the registry, or for a proxy before it.
    TooLarge(Error),
    /// It may work another time.
    Broken(Broken),
}

/// Why it did not work.
pub(super) struct Broken {
    pub(super) error: Error,
    pub(super) setback: Setback,
    /// How many bytes got out before, as far as is known.
    pub(super) reached: u64,
}

impl<'a> Upload<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        repository: &'a str,
        descriptor: &'a Descriptor,
    ) -> Self {
        let what =
            format!("cannot upload blob {} to {}/{repository}", descriptor.digest, registry.name());
        Self { registry, repository, descriptor, scope: Scope::push(repository), what }
    }

    /// Opens a session.
    pub(super) fn session(&self) -> Result<Session> {
        let url = self.registry.url(self.repository, "blobs/uploads/")?;
        let ask = Ask::new(Method::POST, url, self.scope.clone(), self.what.clone());
        let answer = self.registry.send(&ask)?;
        if answer.status != StatusCode::ACCEPTED {
            return Err(failure::refused(self.registry.peer(), &self.what, answer));
        }
        let least = answer.header("oci-chunk-min-length").and_then(|text| text.parse().ok());
        let location = self.location(&answer)?.ok_or_else(|| {
            Error::remote(format!(
                "{}: registry {} does not say where to send it",
                self.what,
                self.registry.name()
            ))
        })?;
        Ok(Session { location, least: least.unwrap_or(0) })
    }

    /// Where an answer sends what comes next, if it says so.
    pub(super) fn location(&self, answer: &Answer) -> Result<Option<Url>> {
        let location = answer.header(LOCATION);
        location
            .map(|text| address::upload_location(&self.registry.peer().base, &answer.url, text))
            .transpose()
    }

    /// The address that ends an upload.
    pub(super) fn closing(&self, location: &Url) -> Url {
        let mut url = location.clone();
        // Whatever the address carries already is the registry's own and stays as it is.
        url.query_pairs_mut().append_pair("digest", &self.descriptor.digest.to_string());
        url
    }

    /// How long a request with `bytes` of content may take.
    pub(super) fn patience(&self, bytes: u64) -> Duration {
        self.registry.patience().upload(bytes)
    }

    /// What the answer to the request that ends the upload means; `reached` bytes got out.
    pub(super) fn judge(&self, answer: Answer, reached: u64) -> Result<Outcome> {
        if answer.status.is_success() {
            return match manifest::announced(&answer) {
                Some(digest)
                    if digest.algorithm() == self.descriptor.digest.algorithm()
                        && digest != self.descriptor.digest =>
                {
                    Err(Error::remote(format!(
                        "{}: registry {} says that it has digest {digest}",
                        self.what,
                        self.registry.name()
                    )))
                }
                _ => Ok(Outcome::Done),
            };
        }
        let passing = Setback::of_answer(&answer);
        let setback = match answer.status {
            _ if passing.is_some() => passing,
            // The session is gone, as after a restart of the registry.
            StatusCode::NOT_FOUND => Some(Setback::new("has lost the session of an upload")),
            // The token expired between two requests; the next session needs another one.
            StatusCode::UNAUTHORIZED => self
                .registry
                .renew(&self.scope, answer.used.as_ref(), &answer.headers)?
                .map(|_| Setback::new("wants to know anew who we are")),
            _ => None,
        };
        let Refusal { status, said, error, .. } =
            failure::refusal(self.registry.peer(), &self.what, answer);
        // What we read had the right digest to its end, so the bytes were changed on the way.
        let spoilt = status == StatusCode::BAD_REQUEST && said.contains("DIGEST_INVALID");
        match setback.or(spoilt.then(|| Setback::new("got other bytes than were sent"))) {
            Some(setback) => Ok(Outcome::Broken(Broken { error, setback, reached })),
            None if status == StatusCode::PAYLOAD_TOO_LARGE => Ok(Outcome::TooLarge(error)),
            None => Err(error),
        }
    }

    /// The error for an answer.
    pub(super) fn refused(&self, answer: Answer) -> Error {
        failure::refused(self.registry.peer(), &self.what, answer)
    }
}
