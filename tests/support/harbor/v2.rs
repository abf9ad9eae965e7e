//! The registry protocol as Harbor speaks it: its checks, in their order, then the registry.

use std::io;
use std::sync::Mutex;

use sealift::model::Digest;
use serde_json::{Value, json};

use super::wire::{Answer, Request};
use super::{Caller, Project, State, lock};

/// What a path below `/v2/` names.
struct Place<'a> {
    project: &'a str,
    repository: &'a str,
    kind: Kind<'a>,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Manifest(&'a str),
    Upload(&'a str),
    Blob,
    Referrers(&'a str),
    Other,
}

fn place(path: &str) -> Option<Place<'_>> {
    let rest = path.strip_prefix("/v2/")?;
    let (repository, kind) = if let Some((repository, session)) = rest.split_once("/blobs/uploads")
    {
        (repository, Kind::Upload(session.trim_matches('/')))
    } else if let Some((repository, _)) = rest.rsplit_once("/blobs/") {
        (repository, Kind::Blob)
    } else if let Some((repository, reference)) = rest.rsplit_once("/manifests/") {
        (repository, Kind::Manifest(reference))
    } else if let Some((repository, subject)) = rest.rsplit_once("/referrers/") {
        (repository, Kind::Referrers(subject))
    } else {
        (rest.strip_suffix("/tags/list")?, Kind::Other)
    };
    let project = repository.split('/').next().unwrap_or_default();
    Some(Place { project, repository, kind })
}

pub(super) fn answer(request: &Request, state: &Mutex<State>, port: u16) -> io::Result<Answer> {
    let Some(place) = place(&request.path) else {
        return Ok(match lock(state).caller(request) {
            Caller::Stranger => challenge(request, None, "unauthorized"),
            _ => Answer::json(200, &json!({})),
        });
    };
    if let Some(refusal) = refusal(request, &place, &lock(state)) {
        return Ok(refusal);
    }
    let exists = |path: &str| -> io::Result<bool> {
        Ok(request.asking("HEAD", path).forward(port)?.status == 200)
    };
    let coming = match (request.method.as_str(), place.kind) {
        ("PUT", Kind::Manifest(reference)) => {
            let kept = immutable(&lock(state).projects[place.project], reference);
            if kept && exists(&request.path)? {
                let (_, own) = place.repository.split_once('/').unwrap_or_default();
                let told = format!(
                    "Failed to process request due to '{own}:{reference}' configured as immutable."
                );
                return Ok(Answer::error(412, "PRECONDITION", &told));
            }
            manifest_parts(request)
        }
        ("PUT", Kind::Upload(session)) => {
            let sent = request.body.len() as u64;
            let before = lock(state).sessions.remove(session).unwrap_or(0);
            // Where the last request has content, what came before is not counted.
            vec![(request.parameter("digest"), if sent > 0 { sent } else { before })]
        }
        ("POST", Kind::Upload("")) if !request.parameter("mount").is_empty() => {
            let (digest, from) = (request.parameter("mount"), request.parameter("from"));
            let there = format!("/v2/{from}/blobs/{digest}");
            let held = request.asking("HEAD", &there).forward(port)?;
            let size = held.header("content-length").parse().ok();
            size.filter(|_| held.status == 200).map(|size| (digest, size)).into_iter().collect()
        }
        _ => Vec::new(),
    };
    if let Some(refusal) = over_quota(&lock(state).projects[place.project], &coming) {
        return Ok(refusal);
    }
    if let Some(answer) = referrers(&place, &lock(state)) {
        return Ok(answer);
    }
    let answer = request.forward(port)?;
    Ok(after(request, &place, coming, answer, &mut lock(state)))
}

/// The checks that need no registry.
fn refusal(request: &Request, place: &Place<'_>, state: &State) -> Option<Answer> {
    let method = request.method.as_str();
    if !place.repository.contains('/') {
        let told = format!("invalid repository name: {}", place.repository);
        return Some(Answer::error(400, "BAD_REQUEST", &told));
    }
    if state.read_only && !matches!(method, "GET" | "HEAD") {
        let told = "The system is in read only mode. Any modification is prohibited.";
        return Some(Answer::error(403, "DENIED", told));
    }
    if method == "HEAD" && request.header("authorization").is_empty() {
        let told = "authorize header needed to send HEAD to repository";
        return Some(challenge(request, Some(place), told));
    }
    let action = match method {
        "GET" | "HEAD" => "pull",
        "DELETE" => "delete",
        _ => "push",
    };
    let from = request.parameter("from");
    let other = from.split('/').next().filter(|_| method == "POST" && !from.is_empty());
    let wanted = [Some((place.project, action)), other.map(|project| (project, "pull"))];
    for (project, action) in wanted.into_iter().flatten() {
        if !state.projects.contains_key(project) {
            let told = format!("project {project} not found");
            return Some(
                Answer::error(401, "UNAUTHORIZED", &told)
                    .with("docker-distribution-api-version", "registry/2.0")
                    .with("www-authenticate", ""),
            );
        }
        let may = match state.caller(request) {
            Caller::Known(name) => state.rights(Some(&name), project).contains(&action),
            Caller::Token(token) => {
                let (_, access) = &state.tokens[&token];
                access.get(project).is_some_and(|actions| actions.contains(&action))
            }
            Caller::Stranger => state.rights(None, project).contains(&action),
        };
        if !may {
            let told = format!(
                "unauthorized to access repository: {}, action: {action}",
                place.repository
            );
            return Some(challenge(request, Some(place), &told));
        }
    }
    let project = &state.projects[place.project];
    let writes =
        matches!((method, place.kind), ("PUT", Kind::Manifest(_)) | ("POST", Kind::Upload(_)));
    if project.proxy_cache && writes {
        let told = format!("can not push artifact to a proxy project: {}", place.project);
        return Some(Answer::error(403, "DENIED", &told));
    }
    if project.policy && matches!((method, place.kind), ("GET" | "HEAD", Kind::Manifest(_))) {
        let told = "The image is not signed in Cosign.";
        return Some(Answer::error(412, "PROJECTPOLICYVIOLATION", told));
    }
    None
}

/// Who comes with an authorization that does not do is asked for a password; who comes without one
/// is sent to the token service.
fn challenge(request: &Request, place: Option<&Place<'_>>, told: &str) -> Answer {
    let wanted = if request.header("authorization").is_empty() {
        let host = request.header("host");
        let scope = place.map_or_else(String::new, |place| {
            let actions =
                if matches!(&*request.method, "GET" | "HEAD") { "pull" } else { "pull,push" };
            format!(",scope=\"repository:{}:{actions}\"", place.repository)
        });
        format!("Bearer realm=\"http://{host}/service/token\",service=\"harbor-registry\"{scope}")
    } else {
        "Basic realm=\"harbor\"".to_owned()
    };
    Answer::error(401, "UNAUTHORIZED", told)
        .with("docker-distribution-api-version", "registry/2.0")
        .with("www-authenticate", wanted)
}

fn immutable(project: &Project, reference: &str) -> bool {
    !reference.contains(':') && project.immutable.iter().any(|begin| reference.starts_with(begin))
}

/// A manifest and what it names, with sizes.
fn manifest_parts(request: &Request) -> Vec<(String, u64)> {
    let manifest: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let named = layers
        .chain(manifest.get("config"))
        .filter_map(|blob| Some((blob["digest"].as_str()?.to_owned(), blob["size"].as_u64()?)));
    let own = (Digest::of(&request.body).to_string(), request.body.len() as u64);
    std::iter::once(own).chain(named).collect()
}

fn over_quota(project: &Project, coming: &[(String, u64)]) -> Option<Answer> {
    let new = coming.iter().filter(|(digest, _)| !project.blobs.contains_key(digest));
    let new: u64 = new.map(|(_, size)| size).sum();
    let (used, limit) = (project.used(), project.quota?);
    let size = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    (new > 0 && used + new > limit).then(|| {
        let told = format!(
            "Quota exceeded when processing the request of adding {} of storage resource, which when updated to current usage of {} will exceed the configured upper limit of {}.",
            size(new),
            size(used),
            size(limit)
        );
        Answer::error(403, "DENIED", &told)
    })
}

/// The list of what refers to a manifest, which the registry behind does not keep. Before 2.8 it is
/// asked all the same.
fn referrers(place: &Place<'_>, state: &State) -> Option<Answer> {
    let Kind::Referrers(subject) = place.kind else { return None };
    if state.version < (2, 8) {
        return None;
    }
    let key = (place.repository.to_owned(), subject.to_owned());
    let listed = state.referrers.get(&key).cloned().unwrap_or_default();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": listed});
    let body = index.to_string().into_bytes();
    Some(Answer { body, ..Answer::of(200) }.with("content-type", media_type))
}

/// What Harbor does with the registry's answer.
fn after(
    request: &Request,
    place: &Place<'_>,
    coming: Vec<(String, u64)>,
    answer: Answer,
    state: &mut State,
) -> Answer {
    let method = request.method.as_str();
    if answer.status == 201
        && let Some(project) = state.projects.get_mut(place.project)
    {
        project.blobs.extend(coming);
    }
    match (method, place.kind) {
        ("PATCH", Kind::Upload(session)) if answer.status == 202 => {
            let end = answer.header("range").rsplit('-').next().and_then(|end| end.parse().ok());
            state.sessions.insert(session.to_owned(), end.map_or(0, |end: u64| end + 1));
            answer
        }
        ("GET" | "HEAD", Kind::Manifest(reference)) if answer.status == 404 => {
            let told = format!("artifact {}:{reference} not found", place.repository);
            Answer::error(404, "NOT_FOUND", &told)
        }
        ("PUT", Kind::Manifest(_)) if answer.status == 201 => {
            let manifest: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let Some(subject) = manifest["subject"]["digest"].as_str() else { return answer };
            let entry = json!({
                "mediaType": request.header("content-type"),
                "digest": Digest::of(&request.body).to_string(),
                "size": request.body.len(),
                "artifactType": manifest["artifactType"],
            });
            let key = (place.repository.to_owned(), subject.to_owned());
            let listed = state.referrers.entry(key).or_default();
            if !listed.iter().any(|known| known["digest"] == entry["digest"]) {
                listed.push(entry);
            }
            if state.version < (2, 9) { answer } else { answer.with("oci-subject", subject) }
        }
        _ => answer,
    }
}
