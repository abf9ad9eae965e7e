//! Leave to ask: basic credentials, and tokens from a token service.
//!
//! Shape of the exchange: Docker registry token authentication (`GET`, with the name and password
//! as basic credentials) and its OAuth 2 form (`POST`, for identity tokens). One token for each
//! scope is kept until it is about to expire or is refused.
//!
//! A registry says itself where its token service is, so what it says is not simply believed: see
//! [`realm_address`].

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::address;
use super::challenge::Challenge;
use super::exchange::{Answer, Fault, persist};
use super::failure;
use super::identity::{Credentials, Secret};
use super::peer::Peer;
use super::scope::Scope;
use super::wire::Wires;
use crate::model::{Error, Result};

/// Bytes of a token service's answer. Tokens that list the rights on hundreds of repositories
/// reach some hundred KiB.
const ANSWER_BYTES: u64 = 1 << 20;

/// How long a token counts that does not say so (Docker registry token authentication).
const DEFAULT_LIFE: u64 = 60;

/// The longest that we believe a token to live.
const LONGEST_LIFE: u64 = 24 * 3600;

/// A token as it goes into the header.
struct Token {
    header: HeaderValue,
    fresh_until: Instant,
}

/// What came of showing who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignIn {
    /// There is nobody to be.
    Nobody,
    /// The registry knows us, or does not ask.
    Accepted,
    /// It does not.
    Refused,
}

/// What one registry wants to see, and what we have to show.
#[derive(Default)]
pub(super) struct Authority {
    challenge: Option<Challenge>,
    tokens: HashMap<Scope, Token>,
    /// Who we are, by repository, so that a helper is run once.
    known: HashMap<String, Option<Credentials>>,
}

impl Authority {
    /// Takes in a challenge; none is no news. Nor is a request for a password where tokens are
    /// wanted: Harbor answers so whenever a token does not do.
    pub(super) fn learn(&mut self, challenge: Option<Challenge>) {
        let wants_tokens = matches!(self.challenge, Some(Challenge::Bearer { .. }));
        if wants_tokens && challenge == Some(Challenge::Basic) {
            return;
        }
        if challenge.is_some() && challenge != self.challenge {
            self.challenge = challenge;
            self.tokens.clear();
        }
    }

    /// The name by which the token service knows the registry.
    pub(super) fn service(&self) -> Option<String> {
        match &self.challenge {
            Some(Challenge::Bearer { service, .. }) => service.clone(),
            _ => None,
        }
    }

    pub(super) fn forget_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Name and password for a repository, if that is what we have.
    pub(super) fn basic(
        &mut self,
        peer: &Peer,
        wires: &Wires,
        repository: &str,
    ) -> Result<Option<HeaderValue>> {
        match self.credentials(peer, wires, repository)? {
            Some(Credentials::Password { user, password }) => basic(&user, &password).map(Some),
            Some(Credentials::Identity(_)) | None => Ok(None),
        }
    }

    /// What shows who we are when it comes to a repository, without a right to anything; or what
    /// is known about it already.
    pub(super) fn sign_in(
        &mut self,
        peer: &Peer,
        wires: &Wires,
        repository: &str,
    ) -> Result<Result<HeaderValue, SignIn>> {
        let Some(credentials) = self.credentials(peer, wires, repository)? else {
            return Ok(Err(SignIn::Nobody));
        };
        match self.challenge.clone() {
            None => Ok(Err(SignIn::Accepted)),
            Some(Challenge::Basic) => {
                let header = self.basic(peer, wires, repository)?;
                Ok(header.ok_or(SignIn::Nobody))
            }
            Some(Challenge::Bearer { realm, service }) => {
                let counter = Counter { peer, wires, realm: &realm, service: service.as_deref() };
                let granted = counter.grant(&Scope::none(), Some(&credentials))?;
                Ok(granted.map(|token| token.header).map_err(|_| SignIn::Refused))
            }
        }
    }

    /// Who we are.
    pub(super) fn credentials(
        &mut self,
        peer: &Peer,
        wires: &Wires,
        repository: &str,
    ) -> Result<Option<Credentials>> {
        if let Some(known) = self.known.get(repository) {
            return Ok(known.clone());
        }
        let store = &wires.options.credentials;
        let found = store.find(&peer.name, repository)?;
        self.known.insert(repository.to_owned(), found.clone());
        Ok(found)
    }

    /// The authorization to ask with.
    pub(super) fn authorization(
        &mut self,
        peer: &Peer,
        wires: &Wires,
        scope: &Scope,
    ) -> Result<Option<HeaderValue>> {
        match self.challenge.clone() {
            None => Ok(None),
            Some(Challenge::Basic) => {
                match self.credentials(peer, wires, scope.repository())? {
                    Some(Credentials::Password { user, password }) => {
                        basic(&user, &password).map(Some)
                    }
                    // Basic authentication has no room for an identity token.
                    Some(Credentials::Identity(_)) | None => Ok(None),
                }
            }
            Some(Challenge::Bearer { realm, service }) => {
                if let Some(token) = self.tokens.get(scope)
                    && token.fresh_until > Instant::now()
                {
                    return Ok(Some(token.header.clone()));
                }
                let credentials = self.credentials(peer, wires, scope.repository())?;
                let counter = Counter { peer, wires, realm: &realm, service: service.as_deref() };
                let token = counter.token(scope, credentials.as_ref())?;
                let header = token.header.clone();
                self.tokens.insert(scope.clone(), token);
                Ok(Some(header))
            }
        }
    }

    /// Another authorization than `used`, which was refused; `None` where there is no other.
    pub(super) fn renew(
        &mut self,
        peer: &Peer,
        wires: &Wires,
        scope: &Scope,
        used: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>> {
        // Another thread may have been here before us: then its token is the newer one.
        if self.tokens.get(scope).is_some_and(|token| Some(&token.header) == used) {
            self.tokens.remove(scope);
        }
        let renewed = self.authorization(peer, wires, scope)?;
        Ok(renewed.filter(|renewed| Some(renewed) != used))
    }
}

fn basic(user: &str, password: &Secret) -> Result<HeaderValue> {
    let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
    let encoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()));
    sensitive(&Zeroizing::new(format!("Basic {}", encoded.as_str())))
}

fn sensitive(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::remote("a token holds characters that no token may hold"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A token service, and the registry that sends us there.
struct Counter<'a> {
    peer: &'a Peer,
    wires: &'a Wires,
    realm: &'a str,
    service: Option<&'a str>,
}

#[derive(Deserialize)]
struct Granted {
    token: Option<Secret>,
    access_token: Option<Secret>,
    expires_in: Option<u64>,
}

impl Counter<'_> {
    fn token(&self, scope: &Scope, credentials: Option<&Credentials>) -> Result<Token> {
        self.grant(scope, credentials)?
    }

    /// A token. The inner error says that the service does not take us for who we say we are.
    fn grant(&self, scope: &Scope, credentials: Option<&Credentials>) -> Result<Result<Token>> {
        let options = &self.wires.options;
        let url = realm_address(
            &self.peer.base,
            self.realm,
            credentials.is_some(),
            &options.token_hosts,
        )?;
        let what = self.what(scope);
        let (mut answer, url) = match credentials {
            Some(Credentials::Identity(token)) => {
                let form = self.form(scope, token);
                (self.ask(&what, &Method::POST, &url, None, Some(&form))?, url)
            }
            Some(Credentials::Password { user, password }) => {
                let url = self.query(url, scope, Some(user));
                let authorization = basic(user, password)?;
                (self.ask(&what, &Method::GET, &url, Some(&authorization), None)?, url)
            }
            None => {
                let url = self.query(url, scope, None);
                (self.ask(&what, &Method::GET, &url, None, None)?, url)
            }
        };
        if !answer.status.is_success() {
            let is_about_us = matches!(answer.status.as_u16(), 400 | 401 | 403);
            let error = self.refusal(&what, credentials, answer);
            return if is_about_us { Ok(Err(error)) } else { Err(error) };
        }
        let patience = &self.wires.options.patience;
        let body = answer
            .read_small(ANSWER_BYTES, patience.small_answer)
            .map_err(|fault| failure::fault(self.peer, &what, fault))?;
        let body = Zeroizing::new(body);
        // The parser's own words could quote the token.
        let granted: Granted = serde_json::from_slice(&body).map_err(|_| {
            Error::remote(format!("{what}: {} did not answer with a token", url.authority()))
        })?;
        let text = [granted.token, granted.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.expose().is_empty())
            .ok_or_else(|| Error::remote(format!("{what}: {} gave none", url.authority())))?;
        let header = sensitive(&Zeroizing::new(format!("Bearer {}", text.expose())))?;
        let life = granted.expires_in.unwrap_or(DEFAULT_LIFE).clamp(DEFAULT_LIFE, LONGEST_LIFE);
        // A tenth early, so that it does not expire on its way.
        let fresh_until = Instant::now() + Duration::from_secs(life - life / 10);
        Ok(Ok(Token { header, fresh_until }))
    }

    fn what(&self, scope: &Scope) -> String {
        match scope.repository() {
            "" => format!("cannot get a token for registry {}", self.peer.name),
            repository => format!("cannot get a token for {}/{repository}", self.peer.name),
        }
    }

    fn query(&self, mut url: Url, scope: &Scope, account: Option<&str>) -> Url {
        {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(self.service.map(|service| ("service", service)));
            pairs.extend_pairs(scope.texts().iter().map(|scope| ("scope", scope)));
            pairs.extend_pairs(account.map(|account| ("account", account)));
        }
        url
    }

    fn form(&self, scope: &Scope, refresh: &Secret) -> Secret {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "sealift")
            .extend_pairs(self.service.map(|service| ("service", service)));
        let scopes = scope.texts().join(" ");
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes);
        }
        form.append_pair("refresh_token", refresh.expose());
        Secret::new(form.finish())
    }

    /// Asks the token service, waiting out what passes. It is not followed elsewhere: what it is
    /// given is for it alone.
    fn ask(
        &self,
        what: &str,
        method: &Method,
        url: &Url,
        authorization: Option<&HeaderValue>,
        form: Option<&Secret>,
    ) -> Result<Answer> {
        let patience = &self.wires.options.patience;
        let mut headers = HeaderMap::new();
        headers.extend(authorization.map(|value| (AUTHORIZATION, value.clone())));
        if form.is_some() {
            let value = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, value);
        }
        persist(patience, patience.attempts, true, || {
            let mut request =
                self.wires.to(url)?.request(method.clone(), url.clone()).headers(headers.clone());
            if let Some(form) = form {
                request = request.body(form.expose().to_owned());
            }
            Ok(Answer::new(url.clone(), request.send().map_err(Fault::broken)?))
        })
        .map_err(|fault| failure::fault(self.peer, what, fault))
    }

    fn refusal(&self, what: &str, credentials: Option<&Credentials>, answer: Answer) -> Error {
        let host = &self.peer.name;
        let status = answer.status.as_u16();
        let error = failure::refused(self.peer, what, answer);
        match credentials {
            Some(credentials) if matches!(status, 400 | 401 | 403) => Error::remote(format!(
                "{}; {} were not accepted",
                error.message(),
                credentials.describe()
            ))
            .hint(format!("sign in again with `docker login {host}`")),
            _ => error,
        }
    }
}

/// The address of the token service that a registry names, if it may be asked.
///
/// - A registry that speaks TLS has a token service that does: anything else is an attack or a
///   mistake that would put credentials on the wire in the clear.
/// - Credentials go only to a token service that belongs to the registry: the same host, or below
///   the same domain; or to one of `allowed`, which the user named.
/// - Without credentials any service over TLS may be asked; there is nothing to lose.
fn realm_address(
    base: &Url,
    realm: &str,
    with_credentials: bool,
    allowed: &[String],
) -> Result<Url> {
    let host = base.authority();
    let bad = |why: String| {
        Error::remote(format!("registry {host} names a token service that is not asked: {why}"))
    };
    let url: Url = realm
        .parse()
        .map_err(|_| bad(format!("{:?} is not an address", failure::printable(realm))))?;
    let place = url.origin().ascii_serialization();
    if !matches!(url.scheme(), "http" | "https")
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(bad(format!("{} is not an address for it", failure::printable(&place))));
    }
    if url.scheme() == "http" && base.scheme() == "https" {
        return Err(bad(format!("{place} is not encrypted, but the registry is")).hint(
            "no credentials were sent; have the registry name its token service with https",
        ));
    }
    let known = address::are_related(base, &url)
        || url.host_str().is_some_and(|host| allowed.iter().any(|allowed| allowed == host));
    if !known && (with_credentials || url.scheme() == "http") {
        return Err(bad(format!("{place} does not belong to the registry")).hint(
            "no credentials were sent; if the service is known to be right, name it with --token-host",
        ));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(base: &str, realm: &str, with_credentials: bool) -> bool {
        let allowed = ["tokens.example".to_owned()];
        realm_address(&base.parse().unwrap(), realm, with_credentials, &allowed).is_ok()
    }

    #[test]
    fn credentials_go_only_where_they_belong() {
        let hub = "https://registry-1.docker.io/v2/";
        assert!(asked(hub, "https://auth.docker.io/token", true));
        assert!(asked(hub, "https://tokens.example/token", true));
        for realm in [
            "http://auth.docker.io/token",
            "https://evil.example/token",
            "https://user:pass@auth.docker.io/token",
            "ftp://auth.docker.io/",
            "/token",
            "",
        ] {
            assert!(!asked(hub, realm, true), "{realm:?} was taken");
        }
        assert!(asked(hub, "https://other.example/token", false));
        assert!(!asked(hub, "http://auth.docker.io/token", false));
        let plain = "http://127.0.0.1:5000/v2/";
        assert!(asked(plain, "http://127.0.0.1:5001/token", true));
        assert!(!asked(plain, "http://127.0.0.2:5001/token", true));
        assert!(!asked(plain, "http://169.254.169.254/latest", false));
    }

    #[test]
    fn headers_do_not_print() {
        let header = basic("user", &Secret::new("canary")).unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic dXNlcjpjYW5hcnk=");
        assert!(!format!("{header:?}").contains("dXNl"));
        assert!(sensitive("Bearer a\nb").is_err());
    }
}
