//! A Harbor in front of the real docker-registry: what Harbor's own core does before and after it
//! hands a request on. Accounts, projects, tokens, quotas, immutable tags, policies and the API are
//! answered here, with the statuses, codes and words of Harbor's source (2.0 to 2.16); all content
//! is in the registry behind it.
//!
//! `tests/interop/harbor/fair.rs` drives it with skopeo and curl, so that it is not made to please
//! one client only.

mod api;
mod v2;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use serde_json::Value;

use self::wire::{Answer, Request};
use super::registry::{Access, Registry};

/// What somebody may do in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Pull.
    Guest,
    /// Pull and push.
    Developer,
    /// Delete besides, and see its rules.
    Maintainer,
}

/// Somebody. A name that begins with `robot$` is a robot's; one with a `+` is of one project.
#[derive(Clone, Debug)]
struct Account {
    password: String,
    admin: bool,
}

impl Account {
    fn is_robot(name: &str) -> bool {
        name.starts_with("robot$")
    }
}

/// A project.
#[derive(Clone, Debug, Default)]
pub(crate) struct Project {
    pub(crate) public: bool,
    /// It holds what Harbor fetches itself.
    pub(crate) proxy_cache: bool,
    /// Bytes; none for as many as there is room for.
    pub(crate) quota: Option<u64>,
    /// Bytes that are in it besides what was pushed here.
    pub(crate) taken: u64,
    pub(crate) members: BTreeMap<String, Role>,
    /// Patterns of tags that stay where they are: a text that they begin with.
    pub(crate) immutable: Vec<String>,
    /// Nothing may be pulled: it is unsigned, or vulnerable.
    pub(crate) policy: bool,
    /// What it counts, by digest.
    pub(crate) blobs: BTreeMap<String, u64>,
}

impl Project {
    pub(crate) fn member(mut self, name: &str, role: Role) -> Self {
        self.members.insert(name.to_owned(), role);
        self
    }

    pub(crate) fn used(&self) -> u64 {
        self.taken + self.blobs.values().sum::<u64>()
    }
}

/// Everything that Harbor keeps in its database.
#[derive(Debug)]
struct State {
    version: (u32, u32),
    read_only: bool,
    /// Whether only administrators create projects.
    restricted: bool,
    accounts: HashMap<String, Account>,
    projects: BTreeMap<String, Project>,
    /// Who has a token, and what was allowed in each project when it was given out.
    tokens: HashMap<String, (String, HashMap<String, Vec<&'static str>>)>,
    /// Bytes that came to an upload by `PATCH`.
    sessions: HashMap<String, u64>,
    /// What refers to a manifest: by repository and digest, as the list says it.
    referrers: HashMap<(String, String), Vec<Value>>,
    log: Vec<Access>,
}

/// It runs until it is dropped.
pub(crate) struct Harbor {
    pub(crate) behind: Registry,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
}

impl Harbor {
    /// Harbor 2.9 with an administrator, `admin`, and a developer, `dev`, whose passwords are
    /// `canary-admin` and `canary-dev`, and with no project.
    pub(crate) fn start() -> Self {
        Self::of_version(2, 9)
    }

    pub(crate) fn of_version(major: u32, minor: u32) -> Self {
        let behind = Registry::start();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            version: (major, minor),
            read_only: false,
            restricted: false,
            accounts: HashMap::new(),
            projects: BTreeMap::new(),
            tokens: HashMap::new(),
            sessions: HashMap::new(),
            referrers: HashMap::new(),
            log: Vec::new(),
        }));
        let stopped = Arc::new(AtomicBool::new(false));
        let port = behind.host().rsplit_once(':').unwrap().1.parse().unwrap();
        let (kept, stop) = (Arc::clone(&state), Arc::clone(&stopped));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let kept = Arc::clone(&kept);
                // A peer that hangs up early is none of our business.
                std::thread::spawn(move || stream.and_then(|stream| serve(&stream, &kept, port)));
            }
        });
        let harbor = Self { behind, address, state, stopped };
        harbor.account("admin", "canary-admin", true);
        harbor.account("dev", "canary-dev", false);
        harbor
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn account(&self, name: &str, password: &str, admin: bool) {
        let account = Account { password: password.to_owned(), admin };
        lock(&self.state).accounts.insert(name.to_owned(), account);
    }

    pub(crate) fn project(&self, name: &str, project: Project) {
        lock(&self.state).projects.insert(name.to_owned(), project);
    }

    /// Changes a project, as somebody else does meanwhile.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Project)) {
        change(lock(&self.state).projects.get_mut(name).unwrap());
    }

    /// A project as it is now.
    pub(crate) fn look(&self, name: &str) -> Option<Project> {
        lock(&self.state).projects.get(name).cloned()
    }

    pub(crate) fn read_only(&self) {
        lock(&self.state).read_only = true;
    }

    pub(crate) fn only_admins_create(&self) {
        lock(&self.state).restricted = true;
    }

    /// Every request so far.
    pub(crate) fn accesses(&self) -> Vec<Access> {
        lock(&self.state).log.clone()
    }
}

impl Drop for Harbor {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn serve(stream: &TcpStream, state: &Mutex<State>, port: u16) -> std::io::Result<()> {
    let Some(request) = Request::read(stream)? else { return Ok(()) };
    let answer = match request.path.as_str() {
        "/service/token" => api::token(&request, &mut lock(state)),
        path if path.starts_with("/api/v2.0/") => api::answer(&request, &mut lock(state)),
        path if path.starts_with("/v2/") => v2::answer(&request, state, port)?,
        _ => Answer::of(404),
    };
    lock(state).log.push(Access {
        method: request.method.clone(),
        path: request.path.clone(),
        status: answer.status,
    });
    answer.write(stream, &request.method)
}

/// Who asks.
enum Caller {
    /// By name and password.
    Known(String),
    /// By a token.
    Token(String),
    /// Nobody, or somebody with a wrong password: Harbor makes no difference.
    Stranger,
}

impl State {
    fn caller(&self, request: &Request) -> Caller {
        let authorization = request.header("authorization");
        if let Some(token) = authorization.strip_prefix("Bearer ")
            && self.tokens.contains_key(token)
        {
            return Caller::Token(token.to_owned());
        }
        let pair = authorization
            .strip_prefix("Basic ")
            .and_then(|encoded| base64::engine::general_purpose::STANDARD.decode(encoded).ok());
        let pair = String::from_utf8(pair.unwrap_or_default()).unwrap_or_default();
        match pair.split_once(':') {
            Some((name, password))
                if self.accounts.get(name).is_some_and(|known| known.password == password) =>
            {
                Caller::Known(name.to_owned())
            }
            _ => Caller::Stranger,
        }
    }

    /// What somebody may do in a project, as tokens put it.
    fn rights(&self, name: Option<&str>, project: &str) -> Vec<&'static str> {
        let Some(project) = self.projects.get(project) else { return Vec::new() };
        let is_admin = name.is_some_and(|name| self.accounts[name].admin);
        let role = name.and_then(|name| project.members.get(name)).copied();
        match role {
            _ if is_admin => vec!["pull", "push", "delete"],
            Some(Role::Maintainer) => vec!["pull", "push", "delete"],
            Some(Role::Developer) => vec!["pull", "push"],
            Some(Role::Guest) => vec!["pull"],
            None if project.public => vec!["pull"],
            None => Vec::new(),
        }
    }
}
