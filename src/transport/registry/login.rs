//! Whether a registry takes a sign-in, asked before it is written down.
//!
//! As docker does: say hello, see what the registry wants, say hello again with it. Unlike docker,
//! a token that names nobody does not count: some token services hand such tokens out to whoever
//! asks, with a wrong password too.

use base64::Engine as _;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use super::address;
use super::challenge::Challenge;
use super::client::{Client, Registry};
use super::exchange::Ask;
use super::failure;
use super::identity::{Credentials, Found, Secret, Whom};
use super::scope::Scope;
use super::token::{Counter, basic, bearer};
use crate::model::{Error, Result};

/// A sign-in that a registry has taken.
#[derive(Debug)]
pub struct SignedIn {
    /// What to keep of it: an identity token in place of the password, where the registry gives
    /// one.
    pub credentials: Credentials,
    /// Whether it has been looked at. A registry that lets everybody in may not look.
    pub checked: bool,
}

impl Client {
    /// Asks `registry` whether it takes `credentials`.
    ///
    /// # Errors
    /// [`Kind::Remote`](crate::model::Kind::Remote) where it does not, or cannot be asked.
    pub fn sign_in(&self, registry: &str, credentials: &Credentials) -> Result<SignedIn> {
        let found = Found { credentials: credentials.clone(), origin: None };
        Login { registry: &*self.registry(registry)?, found }.check()
    }
}

struct Login<'a> {
    registry: &'a Registry,
    found: Found,
}

impl Login<'_> {
    fn check(self) -> Result<SignedIn> {
        let what = self.what();
        match (self.registry.challenge(), &self.found.credentials) {
            (Some(Challenge::Bearer { realm, service }), _) => {
                let peer = self.registry.peer();
                let counter = Counter {
                    peer,
                    wires: self.registry.wires(),
                    realm: &realm,
                    service: service.as_deref(),
                };
                let granted = counter.ask(&what, &Scope::none(), Some(&self.found), true)??;
                let token = granted.access().ok_or_else(|| {
                    Error::remote(format!("{what}: its token service gave no token"))
                })?;
                if names_nobody(token) {
                    return Err(Error::remote(format!(
                        "{what}: its token service gave a token for nobody, as to those who give no password"
                    ))
                    .hint(self.whom().advice(&peer.name)));
                }
                self.hello(&bearer(token)?)?;
                let stays = granted.refresh_token.filter(|token| !token.expose().is_empty());
                let credentials = match (stays, self.found.credentials) {
                    (Some(token), Credentials::Password { user, .. }) => {
                        Credentials::Identity { user: Some(user), token }
                    }
                    (_, given) => given,
                };
                Ok(SignedIn { credentials, checked: true })
            }
            // Where nothing is wanted, the password may still be looked at.
            (challenge, Credentials::Password { user, password }) => {
                self.hello(&basic(user, password)?)?;
                let checked = challenge.is_some();
                Ok(SignedIn { credentials: self.found.credentials, checked })
            }
            (_, Credentials::Identity { .. }) => {
                Err(Error::remote(format!("{what}: it takes no identity tokens")))
            }
        }
    }

    fn what(&self) -> String {
        format!("cannot sign in to registry {}", self.registry.name())
    }

    fn whom(&self) -> Whom {
        Whom::of(&self.found)
    }

    /// Says hello as somebody. The answer must be the registry's own, and friendly.
    fn hello(&self, authorization: &HeaderValue) -> Result<()> {
        let peer = self.registry.peer();
        let ask = Ask::get(peer.base.clone(), Scope::none(), self.what());
        let mut answer = self.registry.send_as(&ask, Some(authorization))?;
        if !address::same_origin(&answer.url, &peer.base) {
            return Err(Error::remote(format!(
                "{}: it sends us to {}, where nobody is signed in",
                ask.what,
                answer.url.origin().ascii_serialization()
            ))
            .hint("check the address of the registry"));
        }
        if answer.status == StatusCode::OK {
            return Ok(());
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            answer.whom = Some(self.whom());
        }
        Err(failure::refused(peer, &ask.what, answer))
    }
}

/// Whether a token says that it is nobody's: its subject is empty (Docker registry token
/// specification, `sub`). A token that cannot be read says nothing.
fn names_nobody(token: &Secret) -> bool {
    let mut parts = token.expose().split('.');
    let (Some(_), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(claims.trim_end_matches('='))
        .map(Zeroizing::new);
    claims
        .ok()
        .and_then(|claims| serde_json::from_slice::<serde_json::Value>(&claims).ok())
        .is_some_and(|claims| claims.get("sub").is_some_and(|subject| subject == ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_for_nobody_are_known() {
        let token = |claims: &str| {
            let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
            Secret::new(format!("e30.{claims}.c2ln"))
        };
        assert!(names_nobody(&token(r#"{"sub":"","access":[]}"#)));
        for claims in [r#"{"sub":"user"}"#, "{}", r#"{"sub":null}"#, "[]", "no"] {
            assert!(!names_nobody(&token(claims)), "{claims}");
        }
        for text in ["opaque", "a.b", "a.!.c", "a.b.c.d", ""] {
            assert!(!names_nobody(&Secret::new(text)), "{text}");
        }
    }
}
