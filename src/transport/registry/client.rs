//! One client for all registries, and one [`Registry`] for each that was talked to.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::blocking::Body;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::address;
use super::authority::{Authority, SignIn};
use super::challenge::Challenge;
use super::course::{Course, Tries};
use super::exchange::{self, Answer, Ask, Fault, Fetched, Opened};
use super::failure::Refusal;
use super::identity::Found;
use super::peer::Peer;
use super::retry::{Patience, is_passing};
use super::route::Place;
use super::scope::Scope;
use super::wire::{Options, Wires};
use super::{failure, tls};
use crate::model::{Error, ImageName, Result};

/// How long the first `https` request to a registry on this machine may take: a plain server that
/// waits for the rest of what it takes for a request must not hold us up.
const LOOPBACK_TLS: Duration = Duration::from_secs(5);

/// Content up to this length is copied for a request: the HTTP library then knows it whole.
const COPIED: usize = 256 << 10;

/// Talks to registries. Cheap to clone; clones share connections, tokens and credentials.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    wires: Arc<Wires>,
    registries: Mutex<HashMap<String, Arc<Registry>>>,
    /// Mirrors that could not be reached, and why: they are not tried for each image anew.
    lost: Mutex<HashMap<String, String>>,
    /// What people were told already.
    told: Mutex<HashSet<String>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.0.wires.options).finish_non_exhaustive()
    }
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// A CA file that cannot be used.
    pub fn new(options: Options) -> Result<Self> {
        let wires = Arc::new(Wires::new(options)?);
        Ok(Self(Arc::new(Inner {
            wires,
            registries: Mutex::default(),
            lost: Mutex::default(),
            told: Mutex::default(),
        })))
    }

    /// Makes sure that a place, `HOST[:PORT][/PATH]` or an image, is not blocked on this machine.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where it is.
    pub fn allow(&self, place: &str) -> Result<()> {
        self.0.wires.options.rules.allow(place)
    }

    /// Where an image may be read from: its mirrors, then the registry itself.
    pub(super) fn places(&self, name: &ImageName) -> Result<Vec<Place>> {
        self.0.wires.options.rules.places(name)
    }

    /// The registry that has an image at a place.
    pub(super) fn at(&self, place: &Place) -> Result<Arc<Registry>> {
        let name = place.name.registry();
        if place.mirror.is_none() {
            return self.registry(name);
        }
        if let Some(why) = lock(&self.0.lost).get(name) {
            return Err(Error::remote(why.clone()));
        }
        let found = self.registry(name);
        if let Err(error) = &found {
            lock(&self.0.lost).insert(name.to_owned(), error.chain());
        }
        found
    }

    /// Whether people were not told this yet.
    pub(super) fn is_news(&self, text: &str) -> bool {
        lock(&self.0.told).insert(text.to_owned())
    }

    /// The registry that images name `name`. The first call finds out how it is spoken to.
    pub(super) fn registry(&self, name: &str) -> Result<Arc<Registry>> {
        // Held while connecting, so that many threads greet a registry once.
        let mut registries = lock(&self.0.registries);
        if let Some(registry) = registries.get(name) {
            return Ok(Arc::clone(registry));
        }
        let registry = Arc::new(Registry::greet(&self.0.wires, name)?);
        registries.insert(name.to_owned(), Arc::clone(&registry));
        Ok(registry)
    }
}

/// Content that is sent from memory, without another copy where it is long.
fn body(content: &Arc<[u8]>) -> Body {
    if content.len() > COPIED {
        Body::sized(Cursor::new(Arc::clone(content)), content.len() as u64)
    } else {
        Body::from(content.to_vec())
    }
}

/// A lock whose holder cannot leave it half changed: what lies behind are caches.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One registry: where it answers, and what it wants to see.
pub(super) struct Registry {
    peer: Peer,
    wires: Arc<Wires>,
    authority: Authority,
    course: Course,
    /// What was learnt about uploads.
    habits: Mutex<Habits>,
}

/// What a registry turned out to take in one request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habits {
    /// The smallest content that was too large for it, and how large a piece may be instead.
    pub(super) too_large: Option<(u64, u64)>,
}

impl Registry {
    /// Says hello (`GET /v2/`), and so learns whether it speaks TLS and how it wants us to prove
    /// who we are.
    fn greet(wires: &Arc<Wires>, name: &str) -> Result<Self> {
        let options = &wires.options;
        let wires = Arc::new(wires.at_home(name));
        let at = |scheme| {
            address::base(scheme, name).map(|base| Self {
                peer: Peer { name: name.to_owned(), base, options: Arc::clone(options) },
                wires: Arc::clone(&wires),
                authority: Authority::default(),
                course: Course::new(
                    name,
                    wires.options.patience.clone(),
                    wires.options.listener.clone(),
                ),
                habits: Mutex::default(),
            })
        };
        let is_plain = options.is_plain(name);
        let mut registry = at(if is_plain { "http" } else { "https" })?;
        let is_here = address::is_loopback(&registry.peer.base);
        let may_be_plain = !is_plain && (is_here || options.rules.insecure(name).is_some());
        let mut greeted = registry.hello(may_be_plain, is_here);
        // A registry that speaks TLS is held to it.
        if may_be_plain
            && matches!(&greeted, Err(Fault::Broken(error, _)) if !tls::is_certificate_problem(error))
        {
            registry = at("http")?;
            greeted = registry.hello(false, is_here);
        }
        match greeted {
            Ok(()) => Ok(registry),
            Err(fault) => Err(failure::fault(&registry.peer, &registry.greeting(), fault)),
        }
    }

    fn greeting(&self) -> String {
        format!("cannot reach registry {}", self.peer.name)
    }

    /// `once` where another way is tried when this one does not work; `is_here` for this machine. A
    /// connection that does not come up is not waited for: the likely reason is a name that was
    /// mistyped.
    fn hello(&self, once: bool, is_here: bool) -> Result<(), Fault> {
        let mut ask = Ask::get(self.peer.base.clone(), Scope::none(), self.greeting());
        if once && is_here {
            ask.patience = Some(LOOPBACK_TLS);
        }
        let tries = self.course.tries().at_most(if once { 1 } else { u32::MAX });
        let answer = self.course.persist(tries, false, || self.follow(&ask, None))?;
        if address::same_origin(&answer.url, &self.peer.base) {
            self.authority.learn(Challenge::of(&answer.headers));
        }
        let (asked, answered) = (&self.peer.base, &answer.url);
        if asked.scheme() == "http"
            && answered.scheme() == "https"
            && asked.host() == answered.host()
        {
            return Err(Fault::Final(
                Error::remote(format!("{}: it wants to be spoken to over TLS", ask.what))
                    .hint("leave out --plain-http"),
            ));
        }
        // Some registries hide `/v2/`, so any answer will do that is not plainly wrong.
        let wrong = [StatusCode::BAD_REQUEST, StatusCode::PROXY_AUTHENTICATION_REQUIRED];
        if wrong.contains(&answer.status) || answer.status.is_server_error() {
            return Err(Fault::Final(failure::refused(&self.peer, &ask.what, answer)));
        }
        Ok(())
    }

    /// The name that images give it.
    pub(super) fn name(&self) -> &str {
        &self.peer.name
    }

    /// What it is called and where it answers.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What it wants to see, as far as it has said so.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.authority.challenge()
    }

    pub(super) fn wires(&self) -> &Wires {
        &self.wires
    }

    pub(super) fn patience(&self) -> &Patience {
        self.course.patience()
    }

    /// How setbacks are met.
    pub(super) fn course(&self) -> &Course {
        &self.course
    }

    /// The tries of one thing.
    pub(super) fn tries(&self) -> Tries {
        self.course.tries()
    }

    /// What was learnt about uploads.
    pub(super) fn habits(&self) -> MutexGuard<'_, Habits> {
        lock(&self.habits)
    }

    /// The error for an answer to `ask` that is not what it needed. The answer to a `HEAD` has no
    /// words, so they are asked for with `GET`: Harbor says only there that a project is missing
    /// where others say that somebody has to sign in.
    pub(super) fn refused(&self, ask: &Ask, answer: Answer) -> Error {
        self.refusal(ask, answer).error
    }

    /// The same with what decides over it.
    pub(super) fn refusal(&self, ask: &Ask, answer: Answer) -> Refusal {
        if ask.method == Method::HEAD && !is_passing(answer.status) {
            let mut again = Ask::get(ask.url.clone(), ask.scope.clone(), ask.what.clone());
            again.headers = ask.headers.clone();
            if let Ok(spoken) = self.send(&again)
                && spoken.status == answer.status
            {
                return failure::refusal(&self.peer, &ask.what, spoken);
            }
        }
        failure::refusal(&self.peer, &ask.what, answer)
    }

    /// The address of something in a repository: `path` is `manifests/…`, `blobs/…` and so on.
    pub(super) fn url(&self, repository: &str, path: &str) -> Result<Url> {
        self.peer.base.join(&format!("{repository}/{path}")).map_err(|e| {
            Error::usage(format!("{repository:?} is not a repository of {}", self.peer.name))
                .because(e)
        })
    }

    /// Asks, waiting out what passes. The answer may be a refusal; that is for the caller to judge.
    pub(super) fn send(&self, ask: &Ask) -> Result<Answer> {
        self.open(ask).map(|opened| opened.answer)
    }

    /// The same for what is long to read: it keeps its place at the registry meanwhile.
    pub(super) fn open(&self, ask: &Ask) -> Result<Opened> {
        self.course
            .persist(self.tries(), true, || self.attempt(ask))
            .map_err(|fault| failure::fault(&self.peer, &ask.what, fault))
    }

    /// Asks once, for who has his own mind about what is to be done when it fails.
    pub(super) fn attempt(&self, ask: &Ask) -> Result<Opened, Fault> {
        let permit = self.course.limiter().enter();
        let answer = self.authorized(ask)?;
        permit.answered(answer.status);
        Ok(Opened { answer, permit })
    }

    /// Asks for something small and reads it whole, at most `limit` bytes.
    pub(super) fn fetch(&self, ask: &Ask, limit: u64) -> Result<Fetched> {
        let deadline = self.patience().small_answer;
        self.course
            .persist(self.tries(), true, || {
                let Opened { mut answer, permit: _permit } = self.attempt(ask)?;
                let body = if answer.status.is_success() {
                    answer.read_small(limit, deadline)?
                } else {
                    Vec::new()
                };
                Ok(Fetched { answer, body })
            })
            .map_err(|fault| failure::fault(&self.peer, &ask.what, fault))
    }

    /// What to ask with. Only an upload needs to know: its content cannot be sent twice.
    pub(super) fn authorization(&self, scope: &Scope) -> Result<Option<HeaderValue>> {
        self.authority.authorization(&self.peer, &self.wires, scope)
    }

    /// Makes sure that the next request comes with another authorization than `used`, which was
    /// refused with `headers`. `None` where there is no other.
    pub(super) fn renew(
        &self,
        scope: &Scope,
        used: Option<&HeaderValue>,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>> {
        self.authority.learn(Challenge::of(headers));
        self.authority.renew(&self.peer, &self.wires, scope, used)
    }

    /// Who we are when it comes to a repository; `None` for nobody.
    pub(super) fn found(&self, repository: &str) -> Result<Option<Found>> {
        self.wires.options.credentials.find(&self.peer.name, repository)
    }

    /// Whether the registry knows us as who we are when it comes to a repository. It asks what
    /// `sealift login` asks: that needs no right to anything.
    pub(super) fn sign_in(&self, repository: &str) -> Result<SignIn> {
        let header = match self.authority.sign_in(&self.peer, &self.wires, repository)? {
            Ok(header) => header,
            Err(signed_in) => return Ok(signed_in),
        };
        let ask = Ask::get(self.peer.base.clone(), Scope::none(), self.greeting());
        let answer = self.send_as(&ask, Some(&header))?;
        Ok(if answer.status == StatusCode::UNAUTHORIZED {
            SignIn::Refused
        } else {
            SignIn::Accepted
        })
    }

    /// The name by which the token service knows the registry, if it wants tokens.
    pub(super) fn service(&self) -> Option<String> {
        self.authority.service()
    }

    /// Makes sure that no token is used again: tokens list rights as they were when they were
    /// given out.
    pub(super) fn forget_tokens(&self) {
        self.authority.forget_tokens();
    }

    /// Asks something that is not part of the registry protocol and takes no tokens, with the name
    /// and password that count for a repository, if there are any.
    pub(super) fn send_plainly(&self, ask: &Ask, repository: &str) -> Result<Answer> {
        let header = Authority::basic(&self.peer, &self.wires, repository)?;
        self.send_as(ask, header.as_ref())
    }

    pub(super) fn send_as(&self, ask: &Ask, authorization: Option<&HeaderValue>) -> Result<Answer> {
        self.course
            .persist(self.tries(), true, || self.follow(ask, authorization))
            .map_err(|fault| failure::fault(&self.peer, &ask.what, fault))
    }

    /// Asks with our authorization, and once more with a new one where it was refused.
    fn authorized(&self, ask: &Ask) -> Result<Answer, Fault> {
        let used = self.authorization(&ask.scope).map_err(Fault::Final)?;
        let answer = self.follow(ask, used.as_ref())?;
        if answer.status != StatusCode::UNAUTHORIZED
            || !address::same_origin(&answer.url, &self.peer.base)
        {
            return Ok(self.signed(ask, answer));
        }
        match self.renew(&ask.scope, used.as_ref(), &answer.headers).map_err(Fault::Final)? {
            Some(renewed) => {
                self.follow(ask, Some(&renewed)).map(|answer| self.signed(ask, answer))
            }
            None => Ok(self.signed(ask, answer)),
        }
    }

    /// Notes as whom we asked, where the registry refused because of it.
    fn signed(&self, ask: &Ask, mut answer: Answer) -> Answer {
        if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            && address::same_origin(&answer.url, &self.peer.base)
        {
            let store = &self.wires.options.credentials;
            answer.whom = store.whom(&self.peer.name, ask.scope.repository());
        }
        answer
    }

    /// Asks and follows redirects, the authorization staying at home.
    pub(super) fn follow(
        &self,
        ask: &Ask,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let mut url = ask.url.clone();
        for _ in 0..=exchange::REDIRECTS {
            let at_home = address::same_origin(&url, &self.peer.base);
            let mut request = self
                .wires
                .to(&url)?
                .request(ask.method.clone(), url.clone())
                .headers(ask.headers.clone());
            if let Some(patience) = ask.patience {
                request = request.timeout(patience);
            }
            if let (Some(value), true) = (authorization, at_home) {
                request = request.header(AUTHORIZATION, value.clone());
            }
            if let Some(content) = &ask.content {
                request = request.body(body(content));
            }
            let answer = Answer::new(url.clone(), request.send().map_err(Fault::broken)?);
            let Some(next) = answer.redirect().filter(|_| ask.follows()) else { return Ok(answer) };
            let next = next.map_err(|e| {
                Fault::Final(
                    Error::remote(format!("{}: {} redirects nowhere", ask.what, self.peer.name))
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
                        self.peer.name,
                        next.origin().ascii_serialization()
                    ))
                    .hint("have the registry's storage answer over https"),
                ));
            }
            // A registry that knows where in its storage something lies has it. The address that
            // it signed for us may be good for one method only, so the storage is not asked.
            // Where the path stays, though, it is the registry that is elsewhere.
            let is_elsewhere = !address::same_origin(&next, &url) && next.path() != url.path();
            if ask.method == Method::HEAD && is_elsewhere {
                return Ok(answer);
            }
            url = next;
        }
        Err(Fault::Final(Error::remote(format!(
            "{}: registry {} redirects more than {} times",
            ask.what,
            self.peer.name,
            exchange::REDIRECTS
        ))))
    }
}
