//! Tokens from a token service, and basic credentials.
//!
//! Shape of the exchange: Docker registry token authentication (`GET`, with the name and password
//! as basic credentials) and its OAuth 2 form (`POST`, for identity tokens).
//!
//! A registry says itself where its token service is, so what it says is not simply believed: see
//! [`realm_address`].

use std::time::{Duration, Instant};

use base64::Engine as _;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::address;
use super::course::Course;
use super::exchange::{Answer, Fault, Fetched};
use super::failure;
use super::identity::{Credentials, Found, IDENTITY, Secret, Whom};
use super::peer::Peer;
use super::scope::Scope;
use super::wire::Wires;
use crate::model::{Error, Result};

/// Bytes of a token service's answer. Tokens that list the rights on hundreds of repositories
/// reach some hundred KiB.
const ANSWER_BYTES: u64 = 1 << 20;

/// Seconds that a token counts which does not say so (Docker registry token authentication).
const DEFAULT_LIFE: u64 = 60;

/// The longest that we believe a token to live, in seconds.
const LONGEST_LIFE: u64 = 24 * 3600;

/// How we call ourselves at a token service.
const CLIENT_ID: &str = "sealift";

/// A token as it goes into the header.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    fresh_until: Instant,
}

impl Token {
    /// Whether it is still worth showing.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now < self.fresh_until
    }
}

/// Basic credentials (RFC 7617) as they go into the header.
pub(super) fn basic(user: &str, password: &Secret) -> Result<HeaderValue> {
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
pub(super) struct Counter<'a> {
    pub(super) peer: &'a Peer,
    pub(super) wires: &'a Wires,
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
}

/// What a token service gives.
#[derive(Deserialize)]
pub(super) struct Granted {
    token: Option<Secret>,
    access_token: Option<Secret>,
    /// A number of seconds. Anything else counts as not said.
    expires_in: Option<serde_json::Value>,
    /// An identity token; only where one was asked for.
    pub(super) refresh_token: Option<Secret>,
}

impl Granted {
    /// The token itself; the two names mean the same.
    pub(super) fn access(&self) -> Option<&Secret> {
        let both = [&self.token, &self.access_token];
        both.into_iter().flatten().find(|token| !token.expose().is_empty())
    }

    /// How long it may be shown: a tenth less than it lives, so that it does not expire on its way.
    fn life(&self) -> Duration {
        let said = self.expires_in.as_ref().and_then(serde_json::Value::as_u64);
        let seconds = said.filter(|life| *life > 0).unwrap_or(DEFAULT_LIFE).min(LONGEST_LIFE);
        Duration::from_secs(seconds) * 9 / 10
    }
}

impl Counter<'_> {
    /// A token for `scope`.
    ///
    /// # Errors
    /// A service that may not be asked, or that refuses.
    pub(super) fn token(&self, scope: &Scope, found: Option<&Found>) -> Result<Token> {
        self.grant(scope, found)?
    }

    /// The same. The inner error says that the service does not take us for who we say we are.
    pub(super) fn grant(&self, scope: &Scope, found: Option<&Found>) -> Result<Result<Token>> {
        let what = match scope.repository() {
            "" => format!("cannot get a token for registry {}", self.peer.name),
            repository => format!("cannot get a token for {}/{repository}", self.peer.name),
        };
        let asked = Instant::now();
        let granted = match self.ask(&what, scope, found, false)? {
            Ok(granted) => granted,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let text = granted.access().ok_or_else(|| {
            Error::remote(format!("{what}: the token service at {} gave none", self.place()))
        })?;
        Ok(Ok(Token { header: bearer(text)?, fresh_until: asked + granted.life() }))
    }

    /// What the service gives; with `to_stay` we ask for an identity token too. The inner error
    /// says that it does not take us for who we say we are.
    pub(super) fn ask(
        &self,
        what: &str,
        scope: &Scope,
        found: Option<&Found>,
        to_stay: bool,
    ) -> Result<Result<Granted>> {
        let allowed = &self.wires.options.token_hosts;
        let url = realm_address(&self.peer.base, self.realm, found.is_some(), allowed)?;
        let Fetched { answer, body } = match found.map(|found| &found.credentials) {
            Some(Credentials::Identity { user, token }) => {
                let form = self.form(scope, token);
                let fetched = self.send(what, &Method::POST, &url, None, Some(&form))?;
                // A service that does not know this way says so in one of these ways; it may take
                // the token as a password.
                if matches!(fetched.answer.status.as_u16(), 400 | 401 | 404 | 405) {
                    let user = user.as_deref();
                    let authorization = basic(user.unwrap_or(IDENTITY), token)?;
                    let url = self.query(url, scope, user, to_stay);
                    self.send(what, &Method::GET, &url, Some(&authorization), None)?
                } else {
                    fetched
                }
            }
            Some(Credentials::Password { user, password }) => {
                let url = self.query(url, scope, Some(user), to_stay);
                let authorization = basic(user, password)?;
                self.send(what, &Method::GET, &url, Some(&authorization), None)?
            }
            None => {
                let url = self.query(url, scope, None, to_stay);
                self.send(what, &Method::GET, &url, None, None)?
            }
        };
        if !answer.status.is_success() {
            let is_about_us = matches!(answer.status.as_u16(), 400 | 401 | 403);
            let error = self.refusal(what, found, answer);
            return if is_about_us { Ok(Err(error)) } else { Err(error) };
        }
        let body = Zeroizing::new(body);
        // The parser's own words could quote the token.
        serde_json::from_slice(&body).map(Ok).map_err(|_| {
            Error::remote(format!(
                "{what}: the token service at {} did not answer with a token",
                self.place()
            ))
        })
    }

    /// Where the service is, for messages.
    fn place(&self) -> String {
        self.realm.parse().map_or_else(
            |_| failure::printable(self.realm),
            |url: Url| url.origin().ascii_serialization(),
        )
    }

    fn query(&self, mut url: Url, scope: &Scope, account: Option<&str>, to_stay: bool) -> Url {
        {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(self.service.map(|service| ("service", service)));
            pairs.extend_pairs(scope.texts().iter().map(|scope| ("scope", scope)));
            pairs.extend_pairs(account.map(|account| ("account", account)));
            if to_stay {
                pairs.extend_pairs([("client_id", CLIENT_ID), ("offline_token", "true")]);
            }
        }
        url
    }

    fn form(&self, scope: &Scope, refresh: &Secret) -> Secret {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("client_id", CLIENT_ID)
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
    fn send(
        &self,
        what: &str,
        method: &Method,
        url: &Url,
        authorization: Option<&HeaderValue>,
        form: Option<&Secret>,
    ) -> Result<Fetched> {
        let options = &self.wires.options;
        let course =
            Course::new(&self.peer.name, options.patience.clone(), options.listener.clone());
        let mut headers = HeaderMap::new();
        headers.extend(authorization.map(|value| (AUTHORIZATION, value.clone())));
        if form.is_some() {
            let value = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, value);
        }
        course
            .persist(course.tries(), true, || {
                let mut request = self
                    .wires
                    .to(url)?
                    .request(method.clone(), url.clone())
                    .headers(headers.clone());
                if let Some(form) = form {
                    request = request.body(form.expose().to_owned());
                }
                let mut answer = Answer::new(url.clone(), request.send().map_err(Fault::broken)?);
                let body = if answer.status.is_success() {
                    answer.read_small(ANSWER_BYTES, options.patience.small_answer)?
                } else {
                    Vec::new()
                };
                Ok(Fetched { answer, body })
            })
            .map_err(|fault| failure::fault(self.peer, what, fault))
    }

    fn refusal(&self, what: &str, found: Option<&Found>, mut answer: Answer) -> Error {
        let status = answer.status.as_u16();
        let Some(found) = found.filter(|_| matches!(status, 400 | 401 | 403)) else {
            return failure::refused(self.peer, what, answer);
        };
        let whom = Whom::of(found);
        answer.whom = Some(whom.clone());
        let error = failure::refused(self.peer, what, answer);
        Error::remote(format!("{}, which was not accepted", error.message()))
            .hint(whom.advice(&self.peer.name))
    }
}

/// A token as it goes into the header.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue> {
    sensitive(&Zeroizing::new(format!("Bearer {}", token.expose())))
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
    fn tokens_are_shown_for_nine_tenths_of_their_life() {
        let life = |text: &str| serde_json::from_str::<Granted>(text).unwrap().life().as_millis();
        assert_eq!(life(r#"{"token":"t","expires_in":5}"#), 4_500);
        assert_eq!(life(r#"{"token":"t","expires_in":300}"#), 270_000);
        for text in [
            "{}",
            r#"{"expires_in":0}"#,
            r#"{"expires_in":-1}"#,
            r#"{"expires_in":null}"#,
            r#"{"expires_in":"soon"}"#,
        ] {
            assert_eq!(life(text), 54_000, "{text}");
        }
        assert_eq!(life(r#"{"expires_in":18446744073709551615}"#), 77_760_000);
    }

    #[test]
    fn either_name_of_a_token_is_taken() {
        let access = |text: &str| {
            let granted: Granted = serde_json::from_str(text).unwrap();
            granted.access().map(|token| token.expose().to_owned())
        };
        assert_eq!(access(r#"{"token":"a"}"#).as_deref(), Some("a"));
        assert_eq!(access(r#"{"token":"","access_token":"b"}"#).as_deref(), Some("b"));
        assert_eq!(access("{}"), None);
    }

    #[test]
    fn headers_do_not_print() {
        let header = basic("user", &Secret::new("canary")).unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic dXNlcjpjYW5hcnk=");
        assert!(!format!("{header:?}").contains("dXNl"));
        assert!(sensitive("Bearer a\nb").is_err());
    }
}
