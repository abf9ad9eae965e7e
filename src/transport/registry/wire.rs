//! The wires that requests go over: connections, proxies, TLS and time limits.
//!
//! One wire for each combination of certificates and proxy, strung when it is needed first.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::blocking::Client as Wire;
use url::Url;

use super::address;
use super::credentials::CredentialStore;
use super::retry::Patience;
use super::route::{CertificateFolders, Proxies, Proxy, RegistryRules};
use super::tls::Trust;
use crate::endpoint::Relay;
use crate::model::{Error, Result};

/// How we present ourselves.
const USER_AGENT: &str = concat!("sealift/", env!("CARGO_PKG_VERSION"));

/// How long an idle connection is kept for the next request: less than the minute after which
/// common proxies drop theirs.
const IDLE: Duration = Duration::from_secs(45);

/// How often a quiet connection is probed, so that a firewall does not forget it and a peer that
/// is gone is noticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What the user decided about registries. Pure data.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Speak plain HTTP, to every registry of this client. Registries on this machine are spoken
    /// to in plain HTTP anyway where they do not speak TLS.
    pub plain_http: bool,
    /// Registries that plain HTTP is spoken to, as images name them.
    pub plain_hosts: Vec<String>,
    /// PEM files with certificate authorities that are trusted besides those of the system.
    pub ca_files: Vec<PathBuf>,
    /// Where there are certificates for single registries.
    pub certificates: CertificateFolders,
    /// The proxies that requests go through.
    pub proxies: Proxies,
    /// Mirrors, and registries that are blocked or insecure.
    pub rules: RegistryRules,
    /// Who we are.
    pub credentials: CredentialStore,
    /// Hosts of token services that may see credentials although they do not belong to the
    /// registry that names them (neither the same host nor below the same domain).
    pub token_hosts: Vec<String>,
    /// How patient we are.
    pub patience: Patience,
    /// Who is told when a registry is waited for.
    pub listener: Relay,
}

impl Options {
    /// Whether the user wants plain HTTP spoken to a registry.
    pub(super) fn is_plain(&self, registry: &str) -> bool {
        self.plain_http || self.plain_hosts.iter().any(|host| host == registry)
    }
}

/// The wires of one registry, and what the user decided.
pub(super) struct Wires {
    pub(super) options: Arc<Options>,
    strung: Arc<Strung>,
    /// The registry that they are for, as images name it and as it is addressed.
    home: Vec<String>,
}

/// What all registries of a client share.
struct Strung {
    trust: Trust,
    wires: Mutex<HashMap<Line, Wire>>,
    /// The folder of certificates for a host, if any.
    folders: Mutex<HashMap<String, Option<PathBuf>>>,
}

/// What makes one wire different from another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Line {
    authorities: Vec<PathBuf>,
    identity: Option<PathBuf>,
    /// The address of the proxy, with all that it holds.
    proxy: Option<Url>,
}

impl Wires {
    /// Wires that are nobody's yet.
    ///
    /// # Errors
    /// A CA file that cannot be used.
    pub(super) fn new(options: Options) -> Result<Self> {
        let trust = Trust::new(&options.ca_files)?;
        let strung = Strung { trust, wires: Mutex::default(), folders: Mutex::default() };
        Ok(Self { options: Arc::new(options), strung: Arc::new(strung), home: Vec::new() })
    }

    /// The same for the registry that images name `name`.
    pub(super) fn at_home(&self, name: &str) -> Self {
        let mut home = vec![name.to_owned()];
        if address::authority(name) != name {
            home.push(address::authority(name).to_owned());
        }
        Self { options: Arc::clone(&self.options), strung: Arc::clone(&self.strung), home }
    }

    /// The wire to an address.
    ///
    /// The authorities that are trusted for a registry are trusted wherever it sends us, as docker
    /// has it: its token service and its storage often have their certificates from the same hand.
    /// Our own certificate is shown only to the host that it is meant for.
    ///
    /// # Errors
    /// Certificates that cannot be used.
    pub(super) fn to(&self, url: &Url) -> Result<Wire> {
        let home: Vec<&str> = self.home.iter().map(String::as_str).collect();
        let written = address::written(url);
        let is_home = home.contains(&written.as_str());
        let of_home = self.folder(&home)?;
        let own = if is_home { of_home.clone() } else { self.folder_elsewhere(&written)? };
        let mut authorities: Vec<PathBuf> = of_home.into_iter().chain(own.clone()).collect();
        authorities.dedup();
        let proxy = self.options.proxies.to(url);
        let line = Line { authorities, identity: own, proxy: proxy.map(|p| p.url().clone()) };
        let mut wires = self.strung.wires.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wire) = wires.get(&line) {
            return Ok(wire.clone());
        }
        let wire = self.string(&line, proxy.map(Arc::as_ref))?;
        wires.insert(line, wire.clone());
        Ok(wire)
    }

    fn folder(&self, names: &[&str]) -> Result<Option<PathBuf>> {
        let Some(first) = names.first() else { return Ok(None) };
        let mut folders = self.strung.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = folders.get(*first) {
            return Ok(known.clone());
        }
        let found = self.options.certificates.of(names)?;
        folders.insert((*first).to_owned(), found.clone());
        Ok(found)
    }

    /// The folder for a host that is not the registry. One folder for all registries is not for
    /// hosts that a registry names.
    fn folder_elsewhere(&self, host: &str) -> Result<Option<PathBuf>> {
        if self.options.certificates.only.is_some() { Ok(None) } else { self.folder(&[host]) }
    }

    fn string(&self, line: &Line, proxy: Option<&Proxy>) -> Result<Wire> {
        let patience = &self.options.patience;
        let tls = self.strung.trust.configuration(&line.authorities, line.identity.as_deref())?;
        let builder = Wire::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // Of the client, not of each request: there it would limit whole downloads.
            .timeout(patience.silence)
            .connect_timeout(patience.connect)
            .pool_idle_timeout(IDLE)
            .tcp_keepalive(KEEPALIVE)
            // Which proxy there is we have decided; the library would look into the environment.
            .no_proxy();
        // An upload has no deadline of its own; this notices a peer that takes no bytes.
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        let builder = builder.tcp_user_timeout(patience.silence);
        // Its errors may quote the address, and with it a password: they are not told.
        let bad = |proxy: &Proxy| {
            Error::usage(format!("proxy {} cannot be used", proxy.place()))
                .hint(format!("correct {}", proxy.set_by()))
        };
        let builder = match proxy {
            Some(proxy) => {
                builder.proxy(reqwest::Proxy::all(proxy.url().clone()).map_err(|_| bad(proxy))?)
            }
            None => builder,
        };
        builder.build().map_err(|e| match proxy {
            Some(proxy) => bad(proxy),
            None => Error::usage("the HTTP client cannot be set up").because(e),
        })
    }
}
