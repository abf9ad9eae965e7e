//! Leave to ask: what a registry wants to see, and what we have to show.
//!
//! One token for each scope is kept until it is about to expire or is refused. Whoever needs a
//! token that another thread is asking for waits for it; for other scopes nobody waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reqwest::header::HeaderValue;

use super::address::Peer;
use super::challenge::Challenge;
use super::identity::Credentials;
use super::scope::Scope;
use super::token::{Counter, Token, basic};
use super::wire::Wires;
use crate::model::Result;

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
    /// Takes in a challenge; none is no news.
    pub(super) fn learn(&self, challenge: Option<Challenge>) {
        let mut state = lock(&self.0);
        if challenge.is_some() && challenge != state.challenge {
            state.challenge = challenge;
            state.tokens.clear();
        }
    }

    /// What the registry wants to see, as far as it has said so.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        lock(&self.0).challenge.clone()
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
        let store = &wires.options.credentials;
        let (challenge, slot) = self.slot(scope);
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => {
                let found = store.find(&peer.name, scope.repository())?;
                match found.map(|found| found.credentials) {
                    Some(Credentials::Password { user, password }) => {
                        basic(&user, &password).map(Some)
                    }
                    // Basic authentication has no room for an identity token.
                    Some(Credentials::Identity { .. }) | None => Ok(None),
                }
            }
            Some(Challenge::Bearer { realm, service }) => {
                let mut token = lock(&slot);
                if let Some(token) = token.as_ref().filter(|token| token.is_fresh(Instant::now())) {
                    return Ok(Some(token.header.clone()));
                }
                let found = store.find(&peer.name, scope.repository())?;
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
