//! Proxies: which one a request goes through, and who said so.
//!
//! The environment's word counts before that of docker's `config.json` (`proxies.default`, what
//! docker hands to builds and containers; entries for single daemons are not ours). Which variable
//! is for which scheme, and what goes around a proxy, follows Go, with `ALL_PROXY` as curl has it.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::super::identity::Secret;
use super::bypass::Bypass;
use super::file;
use crate::model::{Error, Result};

/// A value and the name of the variable that it stands in. The address of a proxy may hold a
/// password.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The name, as it is spelt in the environment.
    pub name: String,
    /// What it says.
    pub value: Secret,
}

/// What the environment says about proxies, and where docker's configuration is.
#[derive(Clone, Debug, Default)]
pub struct ProxySettings {
    /// `HTTPS_PROXY` or `https_proxy`.
    pub https: Option<Setting>,
    /// `HTTP_PROXY` or `http_proxy`.
    pub http: Option<Setting>,
    /// `ALL_PROXY` or `all_proxy`, where the one for the scheme is not set.
    pub all: Option<Setting>,
    /// `NO_PROXY` or `no_proxy`.
    pub no: Option<Setting>,
    /// Docker's `config.json`.
    pub docker_config: Option<PathBuf>,
}

/// The proxies to be used; by default none.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    https: Option<Arc<Proxy>>,
    http: Option<Arc<Proxy>>,
    bypass: Bypass,
}

/// One proxy. Printed, it has no credentials.
pub(in super::super) struct Proxy {
    url: Url,
    set_by: String,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("place", &self.place())
            .field("set_by", &self.set_by)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// Its address with everything that it holds.
    pub(in super::super) fn url(&self) -> &Url {
        &self.url
    }

    /// `http://proxy.example:3128`.
    pub(in super::super) fn place(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{}://{host}:{port}", self.url.scheme()),
            None => format!("{}://{host}", self.url.scheme()),
        }
    }

    /// Who named it: a variable, or a key and its file.
    pub(in super::super) fn set_by(&self) -> &str {
        &self.set_by
    }

    /// Whether we have somebody to be at it.
    pub(in super::super) fn has_credentials(&self) -> bool {
        !self.url.username().is_empty()
    }
}

/// The part of docker's `config.json` that is about proxies.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DockerConfig {
    proxies: Keyed,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Keyed {
    default: DockerProxies,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DockerProxies {
    #[serde(rename = "httpsProxy")]
    https: Option<Secret>,
    #[serde(rename = "httpProxy")]
    http: Option<Secret>,
    #[serde(rename = "allProxy")]
    all: Option<Secret>,
    #[serde(rename = "noProxy")]
    no: Option<Secret>,
}

impl Proxies {
    /// What is said, the environment first.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) for what is no address of a proxy or no docker
    /// configuration; [`Kind::Io`](crate::model::Kind::Io) where that cannot be read.
    pub fn read(settings: &ProxySettings) -> Result<Self> {
        let docker = match &settings.docker_config {
            Some(path) => DockerProxies::read(path)?,
            None => DockerProxies::default(),
        };
        let or = |own: &Option<Setting>, key: &str, value: Option<Secret>| {
            own.clone().or_else(|| {
                let path = settings.docker_config.as_ref()?;
                let name = format!("{key} in {}", path.display());
                value.map(|value| Setting { name, value })
            })
        };
        let https = or(&settings.https, "httpsProxy", docker.https);
        let http = or(&settings.http, "httpProxy", docker.http);
        let all = or(&settings.all, "allProxy", docker.all);
        let no = or(&settings.no, "noProxy", docker.no);
        let chosen = |own: Option<Setting>| {
            own.as_ref().or(all.as_ref()).map(proxy).transpose().map(Option::flatten)
        };
        Ok(Self {
            https: chosen(https)?,
            http: chosen(http)?,
            bypass: no.map(|no| Bypass::parse(no.value.expose())).unwrap_or_default(),
        })
    }

    /// The proxy for a request. This very machine is never reached through one, as in Go.
    pub(in super::super) fn to(&self, url: &Url) -> Option<&Arc<Proxy>> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        let proxy = proxy.as_ref()?;
        let host = match url.host()? {
            Host::Domain(name) if name == "localhost" || name.ends_with(".localhost") => {
                return None;
            }
            Host::Ipv4(ip) if IpAddr::V4(ip).is_loopback() => return None,
            Host::Ipv6(ip) if IpAddr::V6(ip).is_loopback() => return None,
            host => host,
        };
        (!self.bypass.covers(&host, url.port_or_known_default()?)).then_some(proxy)
    }
}

impl DockerProxies {
    fn read(path: &Path) -> Result<Self> {
        let Some(bytes) = file::read(path, "docker's configuration")? else {
            return Ok(Self::default());
        };
        let bytes = Zeroizing::new(bytes);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        // The parser's own words could quote a secret: only the place is told.
        let config: DockerConfig = serde_json::from_slice(&bytes).map_err(|e| {
            Error::usage(format!(
                "docker's configuration {} is not readable: line {}, column {}",
                path.display(),
                e.line(),
                e.column()
            ))
        })?;
        Ok(config.proxies.default)
    }
}

/// The proxy that a setting names; an empty one names none.
fn proxy(setting: &Setting) -> Result<Option<Arc<Proxy>>> {
    const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];
    let text = setting.value.expose().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let whole = if text.contains("://") {
        Zeroizing::new(text.to_owned())
    } else {
        Zeroizing::new(format!("http://{text}"))
    };
    // Nothing of the value is told: there may be a password in it.
    let bad = || {
        Error::usage(format!("{} is not the address of a proxy", setting.name)).hint(
            "write it as http://[USER:PASSWORD@]HOST:PORT; https and socks5 are understood too",
        )
    };
    let url: Url = whole.parse().map_err(|_| bad())?;
    if !SCHEMES.contains(&url.scheme()) || url.host_str().is_none_or(str::is_empty) {
        return Err(bad());
    }
    Ok(Some(Arc::new(Proxy { url, set_by: setting.name.clone() })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn setting(name: &str, value: &str) -> Setting {
        Setting { name: name.to_owned(), value: Secret::new(value) }
    }

    fn through(proxies: &Proxies, url: &str) -> Option<String> {
        let proxy = proxies.to(&url.parse().unwrap())?;
        Some(format!("{} {}", proxy.place(), proxy.set_by()))
    }

    #[test]
    fn each_scheme_has_its_proxy_and_this_machine_has_none() {
        let proxies = Proxies::read(&ProxySettings {
            https: Some(setting("HTTPS_PROXY", "http://user:canary@p.example:3128")),
            all: Some(setting("all_proxy", "q.example:1")),
            no: Some(setting("NO_PROXY", "inside.example")),
            ..ProxySettings::default()
        })
        .unwrap();
        let found = |url| through(&proxies, url);
        assert_eq!(found("https://h.example/").unwrap(), "http://p.example:3128 HTTPS_PROXY");
        assert_eq!(found("http://h.example/").unwrap(), "http://q.example:1 all_proxy");
        for url in [
            "https://localhost:5000/",
            "https://127.0.0.1/",
            "http://[::1]:1/",
            "https://a.localhost/",
            "https://a.inside.example/",
        ] {
            assert_eq!(found(url), None, "{url}");
        }
        assert!(!format!("{proxies:?}").contains("canary"), "{proxies:?}");
    }

    #[test]
    fn docker_is_asked_where_the_environment_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let read = |text: &str, https: Option<Setting>| {
            std::fs::write(&path, text).unwrap();
            let docker_config = Some(path.clone());
            Proxies::read(&ProxySettings { https, docker_config, ..ProxySettings::default() })
        };
        let text = r#"{"auths":{},"proxies":{"default":{"httpsProxy":"http://d.example:1",
            "httpProxy":"http://d.example:2","noProxy":"*.corp"},"tcp://x:1":{"httpProxy":"no"}}}"#;
        let proxies = read(text, None).unwrap();
        let said = format!("http://d.example:1 httpsProxy in {}", path.display());
        assert_eq!(through(&proxies, "https://h.example/").unwrap(), said);
        assert_eq!(through(&proxies, "https://h.corp/"), None);
        let proxies = read(text, Some(setting("https_proxy", "e.example:1"))).unwrap();
        assert_eq!(
            through(&proxies, "https://h.example/").unwrap(),
            "http://e.example:1 https_proxy"
        );
        assert!(through(&proxies, "http://h.example/").unwrap().starts_with("http://d.example:2"));
        for text in ["", "{}", r#"{"proxies":{}}"#] {
            assert_eq!(through(&read(text, None).unwrap(), "https://h.example/"), None, "{text}");
        }
        let error = read(r#"{"proxies":{"default":{"httpProxy":["canary"]}}}"#, None).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_not_quoted() {
        for value in ["ftp://canary", "http://", "http://canary:x@[", "canary canary"] {
            let settings = ProxySettings {
                http: Some(setting("HTTP_PROXY", value)),
                ..ProxySettings::default()
            };
            let error = Proxies::read(&settings).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{value}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        let settings =
            ProxySettings { http: Some(setting("HTTP_PROXY", "")), ..ProxySettings::default() };
        assert!(Proxies::read(&settings).unwrap().http.is_none());
    }
}
