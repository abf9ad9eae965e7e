//! What is asked of a registry, what comes back, and what can go wrong in between.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::blocking::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

use super::identity::Whom;
use super::limiter::Permit;
use super::scope::Scope;
use super::tls::tls_problem;
use crate::model::Error;

/// How often an answer may send us elsewhere: registry, storage and a mirror of it are three.
pub(super) const REDIRECTS: usize = 5;

/// One request.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    /// What we must be allowed to do.
    pub(super) scope: Scope,
    pub(super) headers: HeaderMap,
    pub(super) content: Option<Arc<[u8]>>,
    /// What cannot be done where it fails: `cannot read manifest 1.0 of h.example/app`.
    pub(super) what: String,
    /// How long the whole exchange may take, where not only silence counts.
    pub(super) patience: Option<Duration>,
}

impl Ask {
    /// A request without content.
    pub(super) fn new(method: Method, url: Url, scope: Scope, what: String) -> Self {
        Self { method, url, scope, headers: HeaderMap::new(), content: None, what, patience: None }
    }

    /// `GET`.
    pub(super) fn get(url: Url, scope: Scope, what: String) -> Self {
        Self::new(Method::GET, url, scope, what)
    }

    /// Says what we take for an answer.
    pub(super) fn accept(mut self, media_types: &[&str]) -> Self {
        let value = HeaderValue::from_str(&media_types.join(", "));
        self.headers.extend(value.ok().map(|value| (ACCEPT, value)));
        self
    }

    /// Sends content along.
    pub(super) fn content(mut self, media_type: &HeaderValue, content: Arc<[u8]>) -> Self {
        self.headers.insert(CONTENT_TYPE, media_type.clone());
        self.content = Some(content);
        self
    }

    /// Whether a redirect is followed. What changes something stays where it was sent.
    pub(super) fn follows(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }
}

/// The head of an answer, and its body yet unread.
pub(super) struct Answer {
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Response,
    /// The authorization that it was asked with, where that may have to be renewed.
    pub(super) used: Option<HeaderValue>,
    /// As whom it was asked, where that may be why it refused.
    pub(super) whom: Option<Whom>,
}

impl Answer {
    pub(super) fn new(url: Url, mut response: Response) -> Self {
        let headers = std::mem::take(response.headers_mut());
        Self { url, status: response.status(), headers, body: response, used: None, whom: None }
    }

    /// A header as text; `None` where it is missing or not ASCII.
    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// The media type without its parameters, in lower case; empty where there is none.
    pub(super) fn media_type(&self) -> String {
        let value = self.header(CONTENT_TYPE).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Where it sends us.
    pub(super) fn redirect(&self) -> Option<Result<Url, url::ParseError>> {
        let moved = matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let location = moved.then(|| self.header(LOCATION))??;
        Some(self.url.join(location))
    }

    /// Reads the body whole: at most `limit` bytes within `deadline`.
    pub(super) fn read_small(&mut self, limit: u64, deadline: Duration) -> Result<Vec<u8>, Fault> {
        let end = Instant::now() + deadline;
        let mut bytes = Vec::new();
        let mut piece = [0; 16 << 10];
        loop {
            match self.body.read(&mut piece) {
                Ok(0) => return Ok(bytes),
                Ok(n) => bytes.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Cut(error)),
            }
            if bytes.len() as u64 > limit {
                return Err(Fault::Final(Error::remote(format!(
                    "{} answers with more than the {limit} bytes that are read of such a thing",
                    self.url.authority()
                ))));
            }
            if Instant::now() > end {
                return Err(Fault::Cut(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("it was not over after {} s", deadline.as_secs()),
                )));
            }
        }
    }
}

/// Why there is no answer.
pub(super) enum Fault {
    /// The request did not get through, and to which origin it was to go.
    Broken(reqwest::Error, Option<Url>),
    /// The answer broke off.
    Cut(io::Error),
    /// Trying again does not help.
    Final(Error),
}

impl Fault {
    pub(super) fn broken(error: reqwest::Error) -> Self {
        let origin = error.url().and_then(|url| url.join("/").ok());
        // The rest of the address may carry a signature that opens the storage.
        Self::Broken(error.without_url(), origin)
    }

    /// Whether trying again may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Broken(error, _) => !error.is_builder() && tls_problem(error).is_none(),
            Self::Cut(_) => true,
            Self::Final(_) => false,
        }
    }

    /// Whether not even a connection came up.
    pub(super) fn is_connect(&self) -> bool {
        matches!(self, Self::Broken(error, _) if error.is_connect())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// An answer that was read whole; the body only where it was a success.
pub(super) struct Fetched {
    /// Its head, and in case of a refusal the rest.
    pub(super) answer: Answer,
    /// Its body.
    pub(super) body: Vec<u8>,
}

/// An answer whose body is still to come, and the place that it takes at the registry until then.
pub(super) struct Opened {
    pub(super) answer: Answer,
    pub(super) permit: Permit,
}

/// What tells whether asking again may help.
pub(super) trait AsAnswer {
    fn answer(&self) -> &Answer;
}

impl AsAnswer for Answer {
    fn answer(&self) -> &Answer {
        self
    }
}

impl AsAnswer for Opened {
    fn answer(&self) -> &Answer {
        &self.answer
    }
}

impl AsAnswer for Fetched {
    fn answer(&self) -> &Answer {
        &self.answer
    }
}
