//! Harbor's own API (`/api/v2.0`), asked only where a registry turns out to be a Harbor: for what
//! the registry protocol cannot tell, and to create projects.
//!
//! [`recognise`] looks at the name under which the token service knows the registry. Whatever the
//! API does not tell, because the account may not see it, or because it is not let through, is
//! [`Known::Untold`]: nothing fails for it. Only name and password open the API; identity tokens do
//! not. Shapes as in Harbor's `swagger.yaml`, from 2.0 to 2.16.

mod glob;
mod rules;

use std::fmt;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use url::Url;

use super::client::Registry;
use super::exchange::Ask;
use super::failure;
use super::scope::Scope;
use crate::model::{Error, Result};
pub(super) use rules::Rule;

/// The name under which Harbor's token service knows its registry.
const SERVICE: &str = "harbor-registry";

/// Bytes of an answer. The largest, a hundred immutability rules, has some ten KiB.
const ANSWER_BYTES: u64 = 1 << 20;

/// Tells Harbor that a project is named, not numbered: a name may consist of digits.
const BY_NAME: HeaderName = HeaderName::from_static("x-is-resource-name");

/// How projects are made that are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewProjects {
    /// Everybody may pull, without signing in.
    pub public: bool,
    /// Bytes that a project may hold; what Harbor gives any project where it is not said. Only an
    /// administrator's wish counts.
    pub quota: Option<u64>,
}

/// What an API tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known<T> {
    /// This.
    This(T),
    /// There is no such thing.
    Nothing,
    /// It does not say.
    Untold,
}

/// A version of Harbor; only the first two numbers tell what it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// From which version on Harbor lists what refers to a manifest.
pub(super) const LISTS_REFERRERS: Version = Version(2, 8);

/// A Harbor.
pub(super) struct Harbor<'a> {
    registry: &'a Registry,
    /// Whether its API is let through to us.
    pub(super) has_api: bool,
    /// Its version, if it says it.
    pub(super) version: Option<Version>,
    /// Nobody may write anything.
    pub(super) is_read_only: bool,
    /// Only administrators, and system robots with leave, may create projects.
    pub(super) only_admins_create: bool,
}

/// `GET /systeminfo`; most of it is for those who are signed in.
#[derive(Deserialize)]
struct SystemInfo {
    harbor_version: Option<String>,
    read_only: Option<bool>,
    project_creation_restriction: Option<String>,
}

/// `GET /projects/NAME`.
#[derive(Deserialize)]
struct ProjectAnswer {
    registry_id: Option<i64>,
}

/// A project, as far as it matters to who wants to push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Project {
    /// It holds what Harbor fetches from elsewhere, and nothing else.
    pub(super) is_proxy_cache: bool,
}

/// `GET /projects/NAME/summary`.
#[derive(Deserialize)]
struct Summary {
    quota: Option<QuotaAnswer>,
    /// Only those see it who also see the quota.
    project_admin_count: Option<u64>,
}

#[derive(Deserialize)]
struct QuotaAnswer {
    hard: Storage,
    used: Storage,
}

#[derive(Deserialize)]
struct Storage {
    storage: Option<i64>,
}

/// Bytes that a project may hold, and holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    /// `None` for as many as there is room for.
    pub(super) limit: Option<u64>,
    pub(super) used: u64,
}

/// `GET /users/current`.
#[derive(Deserialize)]
struct User {
    sysadmin_flag: bool,
}

/// What came of the wish for a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// It is there now.
    Made,
    /// We may not.
    Forbidden,
}

/// The Harbor that a registry is; `None` where it is none. `repository` says with whose eyes.
pub(super) fn recognise<'a>(
    registry: &'a Registry,
    repository: &str,
) -> Result<Option<Harbor<'a>>> {
    if registry.service().as_deref() != Some(SERVICE) {
        return Ok(None);
    }
    let mut harbor = Harbor {
        registry,
        has_api: false,
        version: None,
        is_read_only: false,
        only_admins_create: false,
    };
    if let Known::This(info) = harbor.get::<SystemInfo>(&["systeminfo"], repository)? {
        harbor.has_api = true;
        harbor.version = info.harbor_version.as_deref().and_then(version);
        harbor.is_read_only = info.read_only.unwrap_or(false);
        harbor.only_admins_create =
            info.project_creation_restriction.as_deref() == Some("adminonly");
    }
    Ok(Some(harbor))
}

/// From `v2.9.1-3d4f5a6b`.
fn version(text: &str) -> Option<Version> {
    let mut numbers = text.trim_start_matches('v').split(['.', '-']).map(str::parse);
    Some(Version(numbers.next()?.ok()?, numbers.next()?.ok()?))
}

impl Harbor<'_> {
    /// What is known about a project.
    pub(super) fn project(&self, name: &str, repository: &str) -> Result<Known<Project>> {
        if let Known::This(answer) = self.get::<ProjectAnswer>(&["projects", name], repository)? {
            let is_proxy_cache = answer.registry_id.is_some_and(|id| id > 0);
            return Ok(Known::This(Project { is_proxy_cache }));
        }
        // To those who may not look into it, a project that is missing looks the same as one that
        // is not theirs; but whether there is one, anybody may ask.
        let mut url = self.url(&["projects"])?;
        url.query_pairs_mut().append_pair("project_name", name);
        let answer = self.registry.send_plainly(&self.ask(Method::HEAD, url), repository)?;
        Ok(if answer.status == StatusCode::NOT_FOUND { Known::Nothing } else { Known::Untold })
    }

    /// What a project may hold, and holds.
    pub(super) fn quota(&self, project: &str, repository: &str) -> Result<Known<Quota>> {
        let Known::This(summary) =
            self.get::<Summary>(&["projects", project, "summary"], repository)?
        else {
            return Ok(Known::Untold);
        };
        Ok(match summary.quota {
            Some(QuotaAnswer { hard, used }) => Known::This(Quota {
                // -1 stands for no limit.
                limit: hard.storage.and_then(|bytes| u64::try_from(bytes).ok()),
                used: used.storage.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
            }),
            // This Harbor has no quotas.
            None if summary.project_admin_count.is_some() => Known::Nothing,
            None => Known::Untold,
        })
    }

    /// The rules that keep tags of a project where they point.
    pub(super) fn immutability(&self, project: &str, repository: &str) -> Result<Known<Vec<Rule>>> {
        self.get(&["projects", project, "immutabletagrules"], repository)
    }

    /// Whether we are an administrator. Robots are not told.
    pub(super) fn are_we_admin(&self, repository: &str) -> Result<Known<bool>> {
        Ok(match self.get::<User>(&["users", "current"], repository)? {
            Known::This(user) => Known::This(user.sysadmin_flag),
            Known::Nothing | Known::Untold => Known::Untold,
        })
    }

    fn url(&self, path: &[&str]) -> Result<Url> {
        url(self.registry, path)
    }

    fn ask(&self, method: Method, url: Url) -> Ask {
        let what = format!("cannot ask the Harbor at {}", self.registry.name());
        let mut ask = Ask::new(method, url, Scope::none(), what);
        ask.headers.insert(BY_NAME, HeaderValue::from_static("true"));
        ask
    }

    /// What is at a path of the API. A page of a proxy, a refusal, a shape that is not known: it
    /// does not say.
    fn get<T: DeserializeOwned>(&self, path: &[&str], repository: &str) -> Result<Known<T>> {
        let ask = self.ask(Method::GET, self.url(path)?);
        let mut answer = self.registry.send_plainly(&ask, repository)?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(Known::Nothing),
            _ => return Ok(Known::Untold),
        }
        let patience = self.registry.patience().small_answer;
        let body = answer
            .read_small(ANSWER_BYTES, patience)
            .map_err(|fault| failure::fault(self.registry.peer(), &ask.what, fault))?;
        Ok(serde_json::from_slice(&body).map_or(Known::Untold, Known::This))
    }
}

/// An address of the API; it is at the same place as the registry.
fn url(registry: &Registry, path: &[&str]) -> Result<Url> {
    let mut url = registry.peer().base.clone();
    url.path_segments_mut()
        .map_err(|()| Error::usage(format!("{} has no API", registry.name())))?
        .clear()
        .extend(["api", "v2.0"])
        .extend(path);
    Ok(url)
}

/// Creates a project. One that is there meanwhile is as good.
///
/// # Errors
/// What Harbor says where it has other reasons than that we may not.
pub(super) fn make(registry: &Registry, project: &str, wish: NewProjects) -> Result<Making> {
    let what = format!("cannot create project {project} at {}", registry.name());
    let mut body = json!({
        "project_name": project,
        // A text, in Harbor's interface.
        "metadata": {"public": wish.public.to_string()},
    });
    if let Some(bytes) = wish.quota {
        body["storage_limit"] = json!(bytes);
    }
    let mut ask = Ask::new(Method::POST, url(registry, &["projects"])?, Scope::none(), what);
    ask.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ask.content = Some(body.to_string().into_bytes().into());
    let answer = registry.send_plainly(&ask, &format!("{project}/"))?;
    match answer.status {
        StatusCode::CREATED | StatusCode::CONFLICT => Ok(Making::Made),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(Making::Forbidden),
        _ => Err(registry.refused(&ask, answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_harbor_writes_them() {
        assert_eq!(version("v2.9.1-3d4f5a6b"), Some(Version(2, 9)));
        assert_eq!(version("v2.10.0"), Some(Version(2, 10)));
        assert_eq!(version("2.6"), Some(Version(2, 6)));
        for text in ["", "dev", "v2", "v2.x", "v-1.2"] {
            assert_eq!(version(text), None, "{text}");
        }
        assert!(Version(2, 6) < LISTS_REFERRERS && Version(2, 10) > LISTS_REFERRERS);
    }
}
