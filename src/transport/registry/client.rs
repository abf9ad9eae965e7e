//! One client for all registries, and one [`Registry`] for each that was talked to.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::blocking::Client as Wire;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::address;
use super::challenge::Challenge;
use super::credentials::CredentialStore;
use super::exchange::{self, Answer, Ask, Fault};
use super::failure;
use super::retry::{Patience, is_passing, retry_after};
use super::tls;
use super::token::{Authority, Scope};
use crate::model::{Error, Result};

/// How we present ourselves.
const USER_AGENT: &str = concat!("sealift/", env!("CARGO_PKG_VERSION"));

/// How long an idle connection is kept for the next request: less than the minute after which
/// common proxies drop theirs.
const IDLE: Duration = Duration::from_secs(45);

/// How often a quiet connection is probed, so that a firewall does not forget it and a peer that
/// is gone is noticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How long the first `https` request to a registry on this machine may take: a plain server that
/// waits for the rest of what it takes for a request must not hold us up.
const LOOPBACK_TLS: Duration = Duration::from_secs(5);

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
}

/// Talks to registries. Cheap to clone; clones share connections, tokens and credentials.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    options: Options,
    /// Takes the proxies of the environment.
    outside: Wire,
    /// Takes none: no proxy reaches this very machine.
    inside: Wire,
    registries: Mutex<HashMap<String, Arc<Registry>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// A CA file that cannot be used.
    pub fn new(options: Options) -> Result<Self> {
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
        Ok(Self(Arc::new(Inner { options, outside, inside, registries: Mutex::default() })))
    }

    pub(super) fn options(&self) -> &Options {
        &self.0.options
    }

    /// The wire to an address.
    pub(super) fn wire(&self, url: &Url) -> &Wire {
        if address::is_loopback(url) { &self.0.inside } else { &self.0.outside }
    }

    /// The registry that images name `name`. The first call finds out how it is spoken to.
    pub(super) fn registry(&self, name: &str) -> Result<Arc<Registry>> {
        // Held while connecting, so that many threads greet a registry once.
        let mut registries = lock(&self.0.registries);
        if let Some(registry) = registries.get(name) {
            return Ok(Arc::clone(registry));
        }
        let registry = Arc::new(Registry::greet(self, name)?);
        registries.insert(name.to_owned(), Arc::clone(&registry));
        Ok(registry)
    }

    /// The same wires and options without the list of registries, so that a registry does not
    /// keep itself alive.
    fn clone_unregistered(&self) -> Self {
        Self(Arc::new(Inner {
            options: self.0.options.clone(),
            outside: self.0.outside.clone(),
            inside: self.0.inside.clone(),
            registries: Mutex::default(),
        }))
    }
}

/// A lock whose holder cannot leave it half changed: what lies behind are caches.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One registry: where it answers, and what it wants to see.
pub(super) struct Registry {
    name: String,
    base: Url,
    client: Client,
    authority: Mutex<Authority>,
}

impl Registry {
    /// Says hello (`GET /v2/`), and so learns whether it speaks TLS and how it wants us to prove
    /// who we are.
    fn greet(client: &Client, name: &str) -> Result<Self> {
        let plain = client.options().plain_http;
        let schemes: &[&str] = match () {
            () if plain => &["http"],
            () if address::is_loopback(&address::base("https", name)?) => &["https", "http"],
            () => &["https"],
        };
        let mut first_error = None;
        for (index, scheme) in schemes.iter().enumerate() {
            let base = address::base(scheme, name)?;
            let more = index + 1 < schemes.len();
            let registry = Self {
                name: name.to_owned(),
                base,
                client: client.clone_unregistered(),
                authority: Mutex::default(),
            };
            match registry.hello(more) {
                Ok(()) => return Ok(registry),
                Err(Fault::Broken(error)) if more && !failure::is_certificate_problem(&error) => {
                    first_error = Some(failure::broken(&registry, &registry.greeting(), &error));
                }
                // Where plain HTTP did not help either, what TLS ran into is the better story,
                // unless nothing at all answers.
                Err(fault) => return Err(registry.fault(&registry.greeting(), fault)),
            }
        }
        Err(first_error.unwrap_or_else(|| Error::remote(format!("cannot reach registry {name}"))))
    }

    fn greeting(&self) -> String {
        format!("cannot reach registry {}", self.name)
    }

    /// `briefly` where another way is tried when this one does not work. A connection that does
    /// not come up is not waited for: the likely reason is a name that was mistyped.
    fn hello(&self, briefly: bool) -> Result<(), Fault> {
        let mut ask = Ask::get(self.base.clone(), Scope::none(), self.greeting());
        if briefly {
            ask.patience = Some(LOOPBACK_TLS);
        }
        let attempts = if briefly { 1 } else { self.patience().attempts };
        let answer = self.persist(attempts, false, || self.follow(&ask, None))?;
        let mut authority = lock(&self.authority);
        if address::same_origin(&answer.url, &self.base) {
            authority.learn(Challenge::of(&answer.headers));
        }
        drop(authority);
        // Some registries hide `/v2/`, so any answer will do that is not plainly wrong.
        if answer.status == StatusCode::BAD_REQUEST || answer.status.is_server_error() {
            return Err(Fault::Final(failure::refused(self, &ask.what, answer)));
        }
        Ok(())
    }

    /// The name that images give it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// `https://HOST/v2/`.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.client.options().patience
    }

    /// The address of something in a repository: `path` is `manifests/…`, `blobs/…` and so on.
    pub(super) fn url(&self, repository: &str, path: &str) -> Result<Url> {
        self.base.join(&format!("{repository}/{path}")).map_err(|e| {
            Error::usage(format!("{repository:?} is not a repository of {}", self.name)).because(e)
        })
    }

    /// Asks, waiting out what passes. The answer may be a refusal; that is for the caller to judge.
    pub(super) fn send(&self, ask: &Ask) -> Result<Answer> {
        self.persist(self.patience().attempts, true, || self.authorized(ask))
            .map_err(|fault| self.fault(&ask.what, fault))
    }

    /// Asks for something small and reads it whole, at most `limit` bytes.
    pub(super) fn fetch(&self, ask: &Ask, limit: u64) -> Result<Fetched> {
        let deadline = self.patience().small_answer;
        self.persist(self.patience().attempts, true, || {
            let mut answer = self.authorized(ask)?;
            let body = if answer.status.is_success() {
                answer.read_small(limit, deadline)?
            } else {
                Vec::new()
            };
            Ok(Fetched { answer, body })
        })
        .map_err(|fault| self.fault(&ask.what, fault))
    }

    /// What to ask with. Only an upload needs to know: its content cannot be sent twice.
    pub(super) fn authorization(&self, scope: &Scope) -> Result<Option<HeaderValue>> {
        lock(&self.authority).authorization(self, scope)
    }

    /// Makes sure that the next request comes with another authorization than `used`, which was
    /// refused with `headers`. `None` where there is no other.
    pub(super) fn renew(
        &self,
        scope: &Scope,
        used: Option<&HeaderValue>,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>> {
        let mut authority = lock(&self.authority);
        authority.learn(Challenge::of(headers));
        authority.renew(self, scope, used)
    }

    pub(super) fn fault(&self, what: &str, fault: Fault) -> Error {
        match fault {
            Fault::Broken(error) => failure::broken(self, what, &error),
            Fault::Cut(error) => failure::cut(self, what, error),
            Fault::Final(error) => error,
        }
    }

    /// Does it until it works, fails for good, or was tried often enough. `refused_too` says that
    /// a connection that does not come up is tried again.
    fn persist<T: AsAnswer>(
        &self,
        attempts: u32,
        refused_too: bool,
        mut once: impl FnMut() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut attempt = 1;
        loop {
            let asked = match once() {
                Ok(done) if is_passing(done.answer().status) && attempt < attempts => {
                    retry_after(&done.answer().headers)
                }
                Err(fault)
                    if attempt < attempts
                        && fault.is_passing()
                        && (refused_too || !fault.is_connect()) =>
                {
                    None
                }
                other => return other,
            };
            std::thread::sleep(self.patience().wait(attempt, asked));
            attempt += 1;
        }
    }

    /// Asks with our authorization, and once more with a new one where it was refused.
    fn authorized(&self, ask: &Ask) -> Result<Answer, Fault> {
        let used = self.authorization(&ask.scope).map_err(Fault::Final)?;
        let answer = self.follow(ask, used.as_ref())?;
        if answer.status != StatusCode::UNAUTHORIZED
            || !address::same_origin(&answer.url, &self.base)
        {
            return Ok(answer);
        }
        match self.renew(&ask.scope, used.as_ref(), &answer.headers).map_err(Fault::Final)? {
            Some(renewed) => self.follow(ask, Some(&renewed)),
            None => Ok(answer),
        }
    }

    /// Asks and follows redirects, the authorization staying at home.
    fn follow(&self, ask: &Ask, authorization: Option<&HeaderValue>) -> Result<Answer, Fault> {
        let mut url = ask.url.clone();
        for _ in 0..=exchange::REDIRECTS {
            let at_home = address::same_origin(&url, &self.base);
            let mut request = self
                .client
                .wire(&url)
                .request(ask.method.clone(), url.clone())
                .headers(ask.headers.clone());
            if let Some(patience) = ask.patience {
                request = request.timeout(patience);
            }
            if let (Some(value), true) = (authorization, at_home) {
                request = request.header(AUTHORIZATION, value.clone());
            }
            if let Some(content) = &ask.content {
                request = request.body(content.to_vec());
            }
            let answer = Answer::new(url.clone(), request.send().map_err(Fault::broken)?);
            let Some(next) = answer.redirect().filter(|_| ask.follows()) else { return Ok(answer) };
            let next = next.map_err(|e| {
                Fault::Final(
                    Error::remote(format!("{}: {} redirects nowhere", ask.what, self.name))
                        .because(e),
                )
            })?;
            if url.scheme() == "https" && next.scheme() != "https"
                || !matches!(next.scheme(), "http" | "https")
            {
                return Err(Fault::Final(
                    Error::remote(format!(
                        "{}: registry {} redirects to {}, which is not encrypted",
                        ask.what,
                        self.name,
                        next.origin().ascii_serialization()
                    ))
                    .hint("have the registry's storage answer over https"),
                ));
            }
            // A registry that knows where something lies has it. The address that it signed for
            // us may be good for one method only, so the storage is not asked.
            if ask.method == Method::HEAD && !address::same_origin(&next, &self.base) {
                return Ok(answer);
            }
            url = next;
        }
        Err(Fault::Final(Error::remote(format!(
            "{}: registry {} redirects more than {} times",
            ask.what,
            self.name,
            exchange::REDIRECTS
        ))))
    }
}

/// An answer that was read whole; the body only where it was a success.
pub(super) struct Fetched {
    /// Its head, and in case of a refusal the rest.
    pub(super) answer: Answer,
    /// Its body.
    pub(super) body: Vec<u8>,
}

/// What tells whether asking again may help.
trait AsAnswer {
    fn answer(&self) -> &Answer;
}

impl AsAnswer for Answer {
    fn answer(&self) -> &Answer {
        self
    }
}

impl AsAnswer for Fetched {
    fn answer(&self) -> &Answer {
        &self.answer
    }
}
