//! The few calls of the Engine API that are needed, with every answer bounded.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::endpoint::Endpoint;
use super::upload::{CONNECTING, Reply, Upload};
use crate::codec::checked::read_bounded;
use crate::model::{Digest, Error, Result, limits};

/// How long a question about images may take: a busy daemon holds locks for a while.
const QUESTION: Duration = Duration::from_mins(2);

/// How long a daemon may be silent while it saves or loads. It copies the whole image before its
/// first byte, and unpacks big layers without a word.
pub(super) const SILENCE: Duration = Duration::from_mins(30);

/// A daemon.
pub(super) struct Api {
    /// Gives up after [`SILENCE`] without a byte.
    client: Client,
    endpoint: Endpoint,
    base: String,
    shown: String,
}

/// What a daemon says about itself.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// Version of its API, as in (1, 41).
    pub(super) api: (u32, u32),
    pub(super) os: String,
    pub(super) architecture: String,
    /// Whether it keeps its images in containerd.
    pub(super) containerd_store: bool,
}

/// An image as `/images/NAME/json` tells of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    pub(super) id: Digest,
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default, rename = "RootFS")]
    pub(super) root_fs: Option<RootFs>,
    /// Only where it was asked for, API 1.48 and later.
    #[serde(default)]
    pub(super) manifests: Option<Vec<ManifestSummary>>,
}

/// The layers of an image.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RootFs {
    #[serde(default)]
    pub(super) layers: Option<Vec<Digest>>,
}

/// A manifest of an image in the containerd store.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ManifestSummary {
    #[serde(rename = "ID")]
    pub(super) id: Digest,
    #[serde(default)]
    pub(super) available: bool,
}

/// An image in `/images/json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) id: Digest,
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) manifests: Option<Vec<ManifestSummary>>,
}

impl Api {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| {
            Error::remote(format!("cannot prepare to talk to {endpoint}")).because(e.to_string())
        };
        // Never used, but the client is not built without one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| fail(&e))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(SILENCE);
        let builder = match endpoint {
            Endpoint::Unix(path) => builder.unix_socket(path.clone()),
            Endpoint::Tcp(_) => builder.connect_timeout(CONNECTING),
        };
        let base = match endpoint {
            Endpoint::Unix(_) => "http://docker".to_owned(),
            Endpoint::Tcp(place) => format!("http://{place}"),
        };
        Ok(Self {
            client: builder.build().map_err(|e| fail(&e))?,
            endpoint: endpoint.clone(),
            base,
            shown: format!("docker daemon {endpoint}"),
        })
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// The error for a request that never got an answer.
    pub(super) fn unreachable(
        &self,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::remote(format!("cannot talk to {}", self.shown))
            .because(error)
            .hint("is it running, and may you use it? try docker info; DOCKER_HOST chooses another")
    }

    fn ask(&self, request: RequestBuilder) -> Result<Response> {
        request.send().map_err(|e| self.unreachable(e.without_url()))
    }

    /// The error in an answer that is none of the good ones.
    pub(super) fn refusal(&self, what: &str, status: u16, answer: impl Read) -> Error {
        #[derive(Deserialize)]
        struct Message {
            message: String,
        }
        let text = read_bounded(answer, limits::DAEMON_LINE_BYTES, "answer").unwrap_or_default();
        let message = serde_json::from_slice::<Message>(&text).map_or_else(
            |_| String::from_utf8_lossy(&text[..text.len().min(200)]).trim().to_owned(),
            |parsed| parsed.message,
        );
        Error::remote(format!("{} will not {what}: {message} (HTTP {status})", self.shown))
    }

    /// Asks for JSON; `None` where there is no such thing.
    fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<T>> {
        let url = self.url(path, query)?;
        let answer = self.ask(self.client.get(url).timeout(QUESTION))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => {
                return Err(self.refusal(&format!("answer {path}"), status.as_u16(), answer));
            }
        }
        let what = format!("answer of {} to {path}", self.shown);
        let bytes = read_bounded(answer, limits::DAEMON_ANSWER_BYTES, &what)?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| Error::remote(format!("{what} is not understood")).because(e))
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<url::Url> {
        let mut url: url::Url = format!("{}{path}", self.base)
            .parse()
            .map_err(|e| Error::usage(format!("no address for {}", self.shown)).because(e))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn must<T>(&self, answer: Option<T>, path: &str) -> Result<T> {
        answer.ok_or_else(|| {
            Error::remote(format!("{} knows no {path}: it is no docker daemon", self.shown))
        })
    }

    /// What the daemon is.
    pub(super) fn about(&self) -> Result<About> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Version {
            #[serde(rename = "ApiVersion")]
            api: String,
            os: String,
            arch: String,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Info {
            #[serde(default)]
            driver_status: Option<Vec<Vec<String>>>,
        }
        let version: Version = self.must(self.get("/version", &[])?, "/version")?;
        let info: Info = self.must(self.get("/info", &[])?, "/info")?;
        let number = |text: Option<&str>| text.and_then(|t| t.parse().ok()).unwrap_or(0);
        let mut parts = version.api.split('.');
        let containerd_store = info.driver_status.iter().flatten().any(|row| {
            matches!(row.as_slice(), [key, value] if key == "driver-type"
                && value == "io.containerd.snapshotter.v1")
        });
        Ok(About {
            api: (number(parts.next()), number(parts.next())),
            os: version.os,
            architecture: version.arch,
            containerd_store,
        })
    }

    /// The image that a name or ID means.
    pub(super) fn inspect(&self, name: &str, manifests: bool) -> Result<Option<Inspected>> {
        check_name(name)?;
        let query: &[(&str, &str)] = if manifests { &[("manifests", "1")] } else { &[] };
        self.get(&format!("/images/{name}/json"), query)
    }

    /// Every image.
    pub(super) fn images(&self, manifests: bool) -> Result<Vec<Listed>> {
        let query: &[(&str, &str)] = if manifests { &[("manifests", "1")] } else { &[] };
        let images: Vec<Listed> = self.must(self.get("/images/json", query)?, "/images/json")?;
        if images.len() > limits::LISTED_IMAGES {
            return Err(Error::malformed(format!("{} lists too many images", self.shown)));
        }
        Ok(images)
    }

    /// Gives an image a name.
    pub(super) fn tag(&self, id: &Digest, repository: &str, tag: &str) -> Result<()> {
        let url = self.url(&format!("/images/{id}/tag"), &[("repo", repository), ("tag", tag)])?;
        let answer = self.ask(self.client.post(url).timeout(QUESTION))?;
        if answer.status() == StatusCode::CREATED || answer.status() == StatusCode::OK {
            return Ok(());
        }
        let what = format!("name the image {repository}:{tag}");
        Err(self.refusal(&what, answer.status().as_u16(), answer))
    }

    /// The stream of an archive with these images.
    pub(super) fn save(&self, names: &[&str]) -> Result<impl Read + Send + use<>> {
        let query: Vec<(&str, &str)> = names.iter().map(|name| ("names", *name)).collect();
        let answer = self.ask(self.client.get(self.url("/images/get", &query)?))?;
        if answer.status() != StatusCode::OK {
            return Err(self.refusal("save the images", answer.status().as_u16(), answer));
        }
        Ok(answer)
    }

    /// Begins to upload an archive. The answer is a stream of JSON lines.
    pub(super) fn load(&self) -> Result<(Upload, Reply)> {
        // The default differs between the documentation and the daemon.
        let place = "/images/load?quiet=0";
        Upload::start(&self.endpoint, place, SILENCE).map_err(|e| self.unreachable(e))
    }
}

/// Makes sure that a name is one and nothing that changes the path of a request.
fn check_name(name: &str) -> Result<()> {
    let fine = !name.is_empty()
        && name.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'/' | b'@')
        })
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if fine {
        return Ok(());
    }
    Err(Error::usage(format!("not the name or ID of an image: {name:?}"))
        .hint("docker images lists names and IDs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_the_path() {
        for name in ["../info", "a/../../b", "a?b", "a#b", "", "/a", "a//b", "a b", "a%2e"] {
            assert!(check_name(name).is_err(), "{name:?} was taken");
        }
        for name in ["app:1", "h.example:5000/a/b@sha256:00", "sha256:abc", "a..b"] {
            assert!(check_name(name).is_ok(), "{name:?} was refused");
        }
    }
}
