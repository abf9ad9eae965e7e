//! The wires that requests go over: connections, proxies, TLS and time limits.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::blocking::Client as Wire;
use url::Url;

use super::credentials::CredentialStore;
use super::retry::Patience;
use super::{address, tls};
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
    /// PEM files with certificate authorities that are trusted besides those of the system.
    pub ca_files: Vec<PathBuf>,
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

/// The wires of one client, and what the user decided.
pub(super) struct Wires {
    pub(super) options: Options,
    /// Takes the proxies of the environment.
    outside: Wire,
    /// Takes none: no proxy reaches this very machine.
    inside: Wire,
}

impl Wires {
    /// # Errors
    /// A CA file that cannot be used.
    pub(super) fn new(options: Options) -> Result<Self> {
        let tls = tls::configuration(&options.ca_files)?;
        let wire = |proxies: bool| {
            let builder = Wire::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(USER_AGENT)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                // Of the client, not of each request: there it would limit whole downloads.
                .timeout(options.patience.silence)
                .connect_timeout(options.patience.connect)
                .pool_idle_timeout(IDLE)
                .tcp_keepalive(KEEPALIVE);
            // An upload has no deadline of its own; this notices a peer that takes no bytes.
            #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
            let builder = builder.tcp_user_timeout(options.patience.silence);
            let builder = if proxies { builder } else { builder.no_proxy() };
            builder.build().map_err(|e| {
                Error::usage("the HTTP client cannot be set up")
                    .because(e)
                    .hint("check the proxy settings in the environment")
            })
        };
        let (outside, inside) = (wire(true)?, wire(false)?);
        Ok(Self { options, outside, inside })
    }

    /// The wire to an address.
    pub(super) fn to(&self, url: &Url) -> &Wire {
        if address::is_loopback(url) { &self.inside } else { &self.outside }
    }
}
