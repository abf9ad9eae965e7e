//! Leave to ask: what a registry wants to see, and what we have to show.
//!
//! One token for each scope is kept until it is about to expire or is refused. Whoever needs a
//! token that another thread is asking for waits for it; for other scopes nobody waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reqwest::header::HeaderValue;

use super::challenge::Challenge;
use super::identity::Credentials;
use super::peer::Peer;
use super::scope::Scope;
use super::token::{Counter, Token, basic};
use super::wire::Wires;
use crate::model::Result;

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

/// A token that may not have been asked for yet.
type Slot = Arc<Mutex<Option<Token>>>;

/// What one registry wants to see, and the tokens that we have for it.
#[derive(Default)]
pub(super) struct Authority(Mutex<State>);

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    tokens: HashMap<Scope, Slot>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Authority {
    /// Takes in a challenge; none is no news. Nor is a request for a password where tokens are
    /// wanted: Harbor answers so whenever a token does not do.
    pub(super) fn learn(&self, challenge: Option<Challenge>) {
        let mut state = lock(&self.0);
        let wants_tokens = matches!(state.challenge, Some(Challenge::Bearer { .. }));
        if wants_tokens && challenge == Some(Challenge::Basic) {
            return;
        }
        if challenge.is_some() && challenge != state.challenge {
            state.challenge = challenge;
            state.tokens.clear();
        }
    }

    /// What the registry wants to see, as far as it has said so.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        lock(&self.0).challenge.clone()
    }

    /// The name by which the token service knows the registry.
    pub(super) fn service(&self) -> Option<String> {
        match self.challenge() {
            Some(Challenge::Bearer { service, .. }) => service,
            _ => None,
        }
    }

    pub(super) fn forget_tokens(&self) {
        lock(&self.0).tokens.clear();
    }

    /// Name and password for a repository, if that is what we have.
    pub(super) fn basic(
        peer: &Peer,
        wires: &Wires,
        repository: &str,
    ) -> Result<Option<HeaderValue>> {
        let found = wires.options.credentials.find(&peer.name, repository)?;
        match found.map(|found| found.credentials) {
            Some(Credentials::Password { user, password }) => basic(&user, &password).map(Some),
            // Basic authentication has no room for an identity token.
            Some(Credentials::Identity { .. }) | None => Ok(None),
        }
    }

    /// What shows who we are when it comes to a repository, without a right to anything; or what
    /// is known about it already.
    pub(super) fn sign_in(
        &self,
        peer: &Peer,
        wires: &Wires,
        repository: &str,
    ) -> Result<Result<HeaderValue, SignIn>> {
        let found = wires.options.credentials.find(&peer.name, repository)?;
        let (realm, service) = match self.challenge() {
            None => return Ok(Err(SignIn::Accepted)),
            Some(Challenge::Basic) => {
                return Ok(Self::basic(peer, wires, repository)?.ok_or(SignIn::Nobody));
            }
            Some(Challenge::Bearer { realm, service }) => (realm, service),
        };
        let counter = Counter { peer, wires, realm: &realm, service: service.as_deref() };
        if let Some(found) = &found {
            let granted = counter.grant(&Scope::none(), Some(found))?;
            return Ok(granted.map(|token| token.header).map_err(|_| SignIn::Refused));
        }
        // Some services give strangers a token, for what is open to all; others do not.
        let scope = Scope::push(repository);
        let Ok(token) = counter.grant(&scope, None)? else { return Ok(Err(SignIn::Refused)) };
        let (_, slot) = self.slot(&scope);
        *lock(&slot) = Some(token);
        Ok(Err(SignIn::Nobody))
    }

    /// The challenge, and the place of the token for `scope` under it.
    fn slot(&self, scope: &Scope) -> (Option<Challenge>, Slot) {
        let mut state = lock(&self.0);
        let slot = Arc::clone(state.tokens.entry(scope.clone()).or_default());
        (state.challenge.clone(), slot)
    }

    /// The authorization to ask with.
    pub(super) fn authorization(
        &self,
        peer: &Peer,
        wires: &Wires,
        scope: &Scope,
    ) -> Result<Option<HeaderValue>> {
        let (challenge, slot) = self.slot(scope);
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => Self::basic(peer, wires, scope.repository()),
            Some(Challenge::Bearer { realm, service }) => {
                let mut token = lock(&slot);
                if let Some(token) = token.as_ref().filter(|token| token.is_fresh(Instant::now())) {
                    return Ok(Some(token.header.clone()));
                }
                let found = wires.options.credentials.find(&peer.name, scope.repository())?;
                let counter = Counter { peer, wires, realm: &realm, service: service.as_deref() };
                let header = token.insert(counter.token(scope, found.as_ref())?).header.clone();
                Ok(Some(header))
            }
        }
    }

    /// Another authorization than `used`, which was refused; `None` where there is no other.
    pub(super) fn renew(
        &self,
        peer: &Peer,
        wires: &Wires,
        scope: &Scope,
        used: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>> {
        // Another thread may have been here before us: then its token is the newer one.
        let (_, slot) = self.slot(scope);
        lock(&slot).take_if(|token| Some(&token.header) == used);
        let renewed = self.authorization(peer, wires, scope)?;
        Ok(renewed.filter(|renewed| Some(renewed) != used))
    }
}
