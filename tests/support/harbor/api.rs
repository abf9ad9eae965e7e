//! Harbor's token service and as much of its API as concerns who pushes.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::wire::{Answer, Request};
use super::{Account, Caller, Project, Role, State};

/// `GET /service/token`.
pub(super) fn token(request: &Request, state: &mut State) -> Answer {
    if request.method != "GET" {
        return Answer::of(405);
    }
    let caller = match state.caller(request) {
        Caller::Known(name) => Some(name),
        _ => None,
    };
    let scopes: Vec<String> = request
        .parameters("scope")
        .iter()
        .flat_map(|scope| scope.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    // Strangers get a token too, as long as they say what for; it lists what is open to all.
    if caller.is_none() && scopes.is_empty() {
        return Answer::error(401, "UNAUTHORIZED", "Unauthorized");
    }
    let mut access = HashMap::new();
    for scope in &scopes {
        let name = scope.split(':').nth(1).unwrap_or_default();
        let Some((project, _)) = name.split_once('/') else {
            return Answer::error(500, "UNKNOWN", "internal server error");
        };
        // Whatever was asked for, it says all that is allowed.
        access.insert(project.to_owned(), state.rights(caller.as_deref(), project));
    }
    let token = format!("token-{}", state.tokens.len());
    state.tokens.insert(token.clone(), (caller.unwrap_or_default(), access));
    Answer::json(200, &json!({"token": token, "access_token": "", "expires_in": 1800}))
}

/// `/api/v2.0/…`. Tokens count for nothing here.
pub(super) fn answer(request: &Request, state: &mut State) -> Answer {
    let caller = match state.caller(request) {
        Caller::Known(name) => Some(name),
        _ => None,
    };
    let path: Vec<&str> = request.path.split('/').skip(3).collect();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["ping"]) => Answer { body: b"Pong".to_vec(), ..Answer::of(200) },
        ("GET", ["systeminfo"]) => system(caller.is_some(), state),
        ("GET", ["users", "current"]) => match caller {
            None => unauthorized(),
            Some(name) if Account::is_robot(&name) => Answer::error(
                412,
                "PRECONDITION",
                "get current user not available for security context: robot",
            ),
            Some(name) => {
                let admin = state.accounts[&name].admin;
                Answer::json(200, &json!({"username": name, "sysadmin_flag": admin}))
            }
        },
        ("HEAD", ["projects"]) => match caller {
            None => unauthorized(),
            Some(_) if state.projects.contains_key(&request.parameter("project_name")) => {
                Answer::of(200)
            }
            Some(_) => Answer::of(404),
        },
        ("POST", ["projects"]) => create(request, caller.as_deref(), state),
        ("GET", ["projects", name, rest @ ..]) => project(name, rest, caller.as_deref(), state),
        _ => Answer::error(404, "NOT_FOUND", "The requested resource could not be found."),
    }
}

fn unauthorized() -> Answer {
    Answer::error(401, "UNAUTHORIZED", "unauthorized")
}

fn forbidden(message: &str) -> Answer {
    Answer::error(403, "FORBIDDEN", message)
}

fn system(is_known: bool, state: &State) -> Answer {
    let mut info = json!({"auth_mode": "db_auth", "self_registration": false});
    if is_known {
        let (major, minor) = state.version;
        info["harbor_version"] = json!(format!("v{major}.{minor}.1-1a2b3c4d"));
        info["read_only"] = json!(state.read_only);
        info["project_creation_restriction"] =
            json!(if state.restricted { "adminonly" } else { "everyone" });
    }
    Answer::json(200, &info)
}

fn create(request: &Request, caller: Option<&str>, state: &mut State) -> Answer {
    let Some(caller) = caller else { return unauthorized() };
    let is_admin = state.accounts[caller].admin;
    if Account::is_robot(caller) && caller.contains('+') {
        return forbidden("Only system level robot can create project");
    }
    if state.restricted && !is_admin {
        return forbidden("Only system admin can create project");
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(name) = body["project_name"].as_str().filter(|name| !name.is_empty()) else {
        return Answer::error(400, "BAD_REQUEST", "project_name in body is required");
    };
    if state.projects.contains_key(name) {
        let told = format!("The project named {name} already exists");
        return Answer::error(409, "CONFLICT", &told);
    }
    let quota = body["storage_limit"].as_i64().filter(|_| is_admin);
    let project = Project {
        public: body["metadata"]["public"] == "true",
        quota: quota.and_then(|bytes| u64::try_from(bytes).ok()),
        ..Project::default()
    };
    // Whoever creates a project is its administrator.
    state.projects.insert(name.to_owned(), project.member(caller, Role::Maintainer));
    Answer::of(201).with("location", format!("/api/v2.0/projects/{}", state.projects.len()))
}

fn project(name: &str, rest: &[&str], caller: Option<&str>, state: &State) -> Answer {
    let Some(caller) = caller else { return unauthorized() };
    let is_admin = state.accounts[caller].admin;
    let project = state.projects.get(name);
    let role = project.and_then(|project| project.members.get(caller)).copied();
    // Robots push and pull, and are not given more.
    let reads = is_admin
        || !Account::is_robot(caller)
            && (role.is_some() || project.is_some_and(|project| project.public));
    let project = match project {
        Some(project) if reads => project,
        None if is_admin => {
            return Answer::error(404, "NOT_FOUND", &format!("project {name} not found"));
        }
        _ => return forbidden("forbidden"),
    };
    match rest {
        [] => {
            let registry = if project.proxy_cache { json!(3) } else { Value::Null };
            Answer::json(
                200,
                &json!({"name": name, "registry_id": registry, "metadata": {"public": project.public.to_string()}}),
            )
        }
        ["summary"] => {
            let mut summary = json!({"repo_count": 1});
            if is_admin || role.is_some() {
                let limit = project.quota.map_or(json!(-1), |bytes| json!(bytes));
                summary["quota"] =
                    json!({"hard": {"storage": limit}, "used": {"storage": project.used()}});
                summary["project_admin_count"] = json!(1);
            }
            Answer::json(200, &summary)
        }
        ["immutabletagrules"] if is_admin || role == Some(Role::Maintainer) => {
            let rules: Vec<Value> = project
                .immutable
                .iter()
                .enumerate()
                .map(|(id, begin)| {
                    json!({
                        "id": id,
                        "disabled": false,
                        "action": "immutable",
                        "template": "immutable_template",
                        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": format!("{begin}*")}],
                        "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
                    })
                })
                .collect();
            Answer::json(200, &json!(rules))
        }
        _ => forbidden("forbidden"),
    }
}
