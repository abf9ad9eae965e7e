//! The Engine API: the few requests that moving images takes.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::{Body, Client, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::codec::checked::read_bounded;
use crate::model::{Digest, Error, Result};

/// Where the daemon listens when nobody says otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The newest API version whose answers this code was written for; older daemons are spoken to in
/// theirs.
const NEWEST_API: (u32, u32) = (1, 48);

/// Bytes of an answer that is read whole. The list of ten thousand images has about ten MiB.
const ANSWER_BYTES: u64 = 64 << 20;

/// How long a question may take. A busy daemon answers within seconds; loading and saving have no
/// limit of their own.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long the daemon may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Where a daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// `host:port`, plain HTTP.
    Tcp(String),
}

impl Endpoint {
    /// Reads the value of `DOCKER_HOST`; `None` for the default socket.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) for a way of connecting that sealift has not.
    pub fn new(docker_host: Option<&str>) -> Result<Self> {
        let Some(host) = docker_host else { return Ok(Self::Unix(DEFAULT_SOCKET.into())) };
        let bad = |hint: &str| {
            Err(Error::usage(format!("DOCKER_HOST is {host:?}, which sealift cannot connect to"))
                .hint(hint))
        };
        match host.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp" | "http", address)) if !address.is_empty() => {
                Ok(Self::Tcp(address.trim_end_matches('/').to_owned()))
            }
            Some(("ssh", _)) => bad(
                "forward the socket (ssh -L /tmp/docker.sock:/var/run/docker.sock HOST) and set DOCKER_HOST=unix:///tmp/docker.sock",
            ),
            _ => bad(
                "set it to unix:///PATH or tcp://HOST:PORT, or unset it for /var/run/docker.sock",
            ),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Which kind of image store a daemon has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreKind {
    /// A graph driver: image ID is the digest of the configuration.
    Classic,
    /// containerd's: image ID is the digest of the manifest or index.
    Containerd,
}

/// A daemon that answered.
pub(super) struct Engine {
    client: Client,
    base: String,
    endpoint: Endpoint,
    api: (u32, u32),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    api_version: String,
}

/// How the daemon words a refusal.
#[derive(Deserialize)]
struct Message {
    message: String,
}

/// What the daemon is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Info {
    #[serde(rename = "OSType", default)]
    pub(super) os: String,
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    driver_status: Option<Vec<Vec<String>>>,
}

impl Info {
    pub(super) fn store(&self) -> StoreKind {
        let status = self.driver_status.iter().flatten();
        let containerd = status.into_iter().any(|pair| {
            matches!(pair.as_slice(), [key, value] if key == "driver-type" && value == "io.containerd.snapshotter.v1")
        });
        if containerd { StoreKind::Containerd } else { StoreKind::Classic }
    }
}

/// An image as the list shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Summary {
    pub(super) id: String,
}

/// An image.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Image {
    pub(super) id: String,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(rename = "RootFS", default)]
    rootfs: RootFs,
    #[serde(default)]
    manifests: Option<Vec<ManifestSummary>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    #[serde(default)]
    layers: Option<Vec<Digest>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestSummary {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    available: bool,
}

impl Image {
    /// The diff IDs of its layers, base first.
    pub(super) fn layers(&self) -> &[Digest] {
        self.rootfs.layers.as_deref().unwrap_or_default()
    }

    /// The manifests that are there with all their content; `None` where the daemon is too old to
    /// say.
    pub(super) fn available(&self) -> Option<impl Iterator<Item = &str>> {
        let manifests = self.manifests.as_ref()?;
        Some(
            manifests
                .iter()
                .filter(|manifest| manifest.available)
                .map(|manifest| manifest.id.as_str()),
        )
    }
}

impl Engine {
    /// Connects and agrees on a version.
    ///
    /// # Errors
    /// [`Kind::Remote`](crate::model::Kind::Remote), with a hint where nobody listens or we may
    /// not.
    pub(super) fn connect(endpoint: &Endpoint) -> Result<Self> {
        // The client insists on a TLS configuration although nothing here speaks TLS.
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::usage("TLS cannot be set up").because(e))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .timeout(None)
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none());
        let (builder, base) = match endpoint {
            Endpoint::Unix(path) => (builder.unix_socket(path.clone()), "http://docker".to_owned()),
            Endpoint::Tcp(address) => (builder, format!("http://{address}")),
        };
        let client = builder
            .build()
            .map_err(|e| Error::usage("the HTTP client cannot be set up").because(e))?;
        let mut engine = Self { client, base, endpoint: endpoint.clone(), api: (0, 0) };
        let version: Version = engine.ask("/version")?;
        let parts = version.api_version.split_once('.');
        let offered =
            parts.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let offered = offered.ok_or_else(|| {
            Error::remote(format!(
                "the daemon at {endpoint} speaks API version {:?}, which is none",
                version.api_version
            ))
        })?;
        engine.api = NEWEST_API.min(offered);
        Ok(engine)
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether the daemon says which manifests of an image are complete.
    pub(super) fn tells_manifests(&self) -> bool {
        self.api >= (1, 48)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let version = if self.api == (0, 0) {
            String::new()
        } else {
            format!("/v{}.{}", self.api.0, self.api.1)
        };
        self.client.request(method, format!("{}{version}{path}", self.base))
    }

    /// Sends a request and makes an error of every answer but a success.
    fn send(&self, request: RequestBuilder, what: &str) -> Result<Response> {
        let response = request.send().map_err(|e| self.unreachable(&e, what))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = read_bounded(response, 64 << 10, "the daemon's answer").unwrap_or_default();
        let said = serde_json::from_slice::<Message>(&text).map_or_else(
            |_| String::from_utf8_lossy(&text).trim().chars().take(300).collect(),
            |message| message.message,
        );
        let error = Error::remote(format!(
            "the daemon at {} cannot {what}: {said} ({status})",
            self.endpoint
        ));
        Err(if status.as_u16() == 404 {
            error.hint("docker image ls shows the images that it has")
        } else {
            error
        })
    }

    fn unreachable(&self, error: &reqwest::Error, what: &str) -> Error {
        // An error of our own body travels inside; it says more than that the request failed.
        if let Some(own) = own_error(error) {
            return own;
        }
        let text = error_chain(error);
        let hint = if text.contains("ermission denied") {
            "run as root, or as a member of the docker group"
        } else if text.contains("No such file") || text.contains("refused") {
            "is the daemon running? DOCKER_HOST says where it listens, else /var/run/docker.sock"
        } else if text.contains("receiver is gone") {
            // The client loses an answer that comes while the body is still being sent.
            "the daemon broke it off; its log says why (journalctl -u docker), often that its disk is full"
        } else {
            "the daemon's own log says more: journalctl -u docker"
        };
        Error::remote(format!("cannot {what} at the daemon {}: {text}", self.endpoint)).hint(hint)
    }

    fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.request(Method::GET, path).timeout(PATIENCE);
        let response =
            self.send(request, &format!("answer {}", path.split('?').next().unwrap_or(path)))?;
        let bytes = read_bounded(response, ANSWER_BYTES, "the daemon's answer")?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Error::remote(format!(
                "the daemon at {} answers {path} with something else than the Engine API says",
                self.endpoint
            ))
            .because(e)
        })
    }

    /// What the daemon is.
    pub(super) fn info(&self) -> Result<Info> {
        self.ask("/info")
    }

    /// Its images.
    pub(super) fn images(&self) -> Result<Vec<Summary>> {
        self.ask("/images/json")
    }

    /// One image, by name or ID; `None` where there is none.
    pub(super) fn image(&self, name: &str) -> Result<Option<Image>> {
        let query = if self.tells_manifests() { "?manifests=1" } else { "" };
        let request = self
            .request(Method::GET, &format!("/images/{}/json{query}", escape(name)))
            .timeout(PATIENCE);
        let response = request.send().map_err(|e| self.unreachable(&e, "look for an image"))?;
        if response.status().as_u16() == 404 {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(Error::remote(format!(
                "the daemon at {} cannot look for {name}: {}",
                self.endpoint,
                response.status()
            )));
        }
        let bytes = read_bounded(response, ANSWER_BYTES, "the daemon's answer")?;
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Error::remote(format!(
                "the daemon at {} describes {name} in another way than the Engine API says",
                self.endpoint
            ))
            .because(e)
        })
    }

    /// Saves images: the archive, as it comes.
    pub(super) fn save(&self, names: &[String]) -> Result<Response> {
        let query: Vec<String> =
            names.iter().map(|name| format!("names={}", escape(name))).collect();
        self.send(
            self.request(Method::GET, &format!("/images/get?{}", query.join("&"))),
            "save images",
        )
    }

    /// Loads an archive that is read as it is sent; the answer is a stream of JSON lines.
    pub(super) fn load(&self, archive: impl Read + Send + 'static) -> Result<Response> {
        let request = self
            .request(Method::POST, "/images/load?quiet=0")
            .header("Content-Type", "application/x-tar")
            .body(Body::new(archive));
        self.send(request, "load images")
    }

    /// Names an image.
    pub(super) fn tag(&self, id: &str, repository: &str, tag: &str) -> Result<()> {
        let path =
            format!("/images/{}/tag?repo={}&tag={}", escape(id), escape(repository), escape(tag));
        self.send(
            self.request(Method::POST, &path).timeout(PATIENCE),
            &format!("name an image {repository}:{tag}"),
        )
        .map(drop)
    }
}

/// Percent-encodes what is not plain in a path segment or a query value.
fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Our own error, where one travels in the chain of a failed request.
fn own_error(error: &reqwest::Error) -> Option<Error> {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && let Some(own) = io.get_ref().and_then(|inner| inner.downcast_ref::<Error>())
        {
            let error = Error::new(own.kind(), own.chain());
            return Some(match own.get_hint() {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        next = cause.source();
    }
    None
}

/// A chain of errors in one line, each part once.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let part = cause.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_host_is_read_as_docker_reads_it() {
        assert_eq!(Endpoint::new(None).unwrap(), Endpoint::Unix(DEFAULT_SOCKET.into()));
        assert_eq!(Endpoint::new(Some("unix:///a/b")).unwrap(), Endpoint::Unix("/a/b".into()));
        assert_eq!(Endpoint::new(Some("tcp://h:2375")).unwrap(), Endpoint::Tcp("h:2375".into()));
        for other in ["ssh://h", "npipe://x", "h:2375", "unix://relative", "tcp://", ""] {
            assert!(Endpoint::new(Some(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn the_store_is_told_by_the_driver_status() {
        let info = |status: &str| {
            serde_json::from_str::<Info>(&format!(
                "{{\"OSType\":\"linux\",\"Architecture\":\"x86_64\",\"DriverStatus\":{status}}}"
            ))
            .unwrap()
        };
        assert_eq!(
            info(r#"[["driver-type","io.containerd.snapshotter.v1"]]"#).store(),
            StoreKind::Containerd
        );
        assert_eq!(info(r#"[["Backing Filesystem","extfs"],["x"]]"#).store(), StoreKind::Classic);
        assert_eq!(info("null").store(), StoreKind::Classic);
    }
}
