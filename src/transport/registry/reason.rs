//! What a refusal of Harbor means, and what to do about it.
//!
//! Harbor says things in the words of its middlewares, under codes that other registries use for
//! something else: a missing project is a `401`, a full one a `403`, an immutable tag a `412`. The
//! words are those of Harbor 2.0 to 2.16; where they are unknown, the status has to do.

use reqwest::StatusCode;

/// Why Harbor refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is no such project.
    NoProject(String),
    /// The project's quota does not hold it.
    Quota(String),
    /// A proxy cache; only Harbor itself writes there.
    ProxyCache(String),
    /// A rule of the project keeps the tag where it points.
    Immutable(String),
    /// A policy of the project: unsigned, or too vulnerable.
    Policy(String),
    /// Nobody may write anything.
    ReadOnly,
    /// The name has only one part, so that it names no project.
    NoProjectInName,
}

/// The reason for a refusal of a request to `path` in which the registry `said` something.
pub(super) fn of(status: StatusCode, path: &str, said: &str) -> Option<Reason> {
    let project = || project_of(path.strip_prefix("/v2/").unwrap_or_default()).to_owned();
    let lower = said.to_ascii_lowercase();
    match status.as_u16() {
        401 | 403 | 404 if let Some(project) = named_project(said) => {
            Some(Reason::NoProject(project.to_owned()))
        }
        403 if lower.contains("quota exceeded") || lower.contains("configured upper limit") => {
            Some(Reason::Quota(project()))
        }
        403 | 405 if lower.contains("to a proxy project") => Some(Reason::ProxyCache(project())),
        403 if lower.contains("read only mode") => Some(Reason::ReadOnly),
        412 if lower.contains("configured as immutable") => Some(Reason::Immutable(project())),
        412 if said.contains("PROJECTPOLICYVIOLATION") => Some(Reason::Policy(project())),
        400 if lower.contains("invalid repository name") => Some(Reason::NoProjectInName),
        _ => None,
    }
}

/// The project of a repository: the first part of its path.
pub(super) fn project_of(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}

/// The project that is not there, from `project NAME not found`.
fn named_project(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("project ")?;
    let (name, _) = rest.split_once(" not found")?;
    (!name.is_empty() && !name.contains(' ')).then_some(name)
}

impl Reason {
    /// What is the matter at `host`.
    pub(super) fn sentence(&self, host: &str) -> String {
        match self {
            Self::NoProject(project) => format!("project {project} is not there"),
            Self::Quota(project) => {
                format!("project {project} has no room left for it")
            }
            Self::ProxyCache(project) => {
                format!("project {project} is a proxy cache, to which nobody can push")
            }
            Self::Immutable(project) => {
                format!("a rule of project {project} keeps this tag where it is")
            }
            Self::Policy(project) => format!("a policy of project {project} forbids it"),
            Self::ReadOnly => format!("{host} is in read-only mode"),
            Self::NoProjectInName => "the name names no project".to_owned(),
        }
    }

    /// What to do about it.
    pub(super) fn advice(&self, host: &str) -> String {
        match self {
            Self::NoProject(_) => format!(
                "create the project at {host} first or let import do it with --create-projects, or bring the images below another one"
            ),
            Self::Quota(_) => format!(
                "make room in the project at {host}, or have its quota raised; run it again, and only what is missing is sent"
            ),
            Self::ProxyCache(_) => "bring the images below another project".to_owned(),
            Self::Immutable(_) => {
                "bring the image under another tag, or have the rule changed".to_owned()
            }
            Self::Policy(project) => format!(
                "the policies of project {project} at {host} say which images may be used: signed ones, or those without known vulnerabilities"
            ),
            Self::ReadOnly => {
                "wait until its administrators end it; it is for maintenance and garbage collection"
                    .to_owned()
            }
            Self::NoProjectInName => {
                format!("name a project in the target, as in --to {host}/PROJECT")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(status: u16, said: &str) -> Option<Reason> {
        of(StatusCode::from_u16(status).unwrap(), "/v2/team/app/manifests/1", said)
    }

    #[test]
    fn harbor_is_understood() {
        let team = || "team".to_owned();
        for (status, said, meant) in [
            (401, "UNAUTHORIZED: project lab not found", Reason::NoProject("lab".into())),
            (404, "NOT_FOUND: project lab not found", Reason::NoProject("lab".into())),
            (
                403,
                "DENIED: Quota exceeded when processing the request of adding 5.0 MiB of storage resource, which when updated to current usage of 9.0 MiB will exceed the configured upper limit of 10.0 MiB.",
                Reason::Quota(team()),
            ),
            (
                403,
                "DENIED: can not push artifact to a proxy project: team",
                Reason::ProxyCache(team()),
            ),
            (
                412,
                "PRECONDITION: Failed to process request due to 'app:1' configured as immutable.",
                Reason::Immutable(team()),
            ),
            (412, "PROJECTPOLICYVIOLATION: unsigned", Reason::Policy(team())),
            (
                403,
                "DENIED: The system is in read only mode. Any modification is prohibited.",
                Reason::ReadOnly,
            ),
            (400, "BAD_REQUEST: invalid repository name: app", Reason::NoProjectInName),
        ] {
            assert_eq!(reason(status, said), Some(meant), "{said}");
        }
        for (status, said) in [
            (401, "UNAUTHORIZED: authentication required"),
            (404, "NAME_UNKNOWN: repository name not known to registry"),
            (403, "DENIED: project a b not found"),
            (500, "project lab not found"),
            (412, ""),
        ] {
            assert_eq!(reason(status, said), None, "{said}");
        }
    }
}
