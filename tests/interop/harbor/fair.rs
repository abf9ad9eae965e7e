//! The front is fair: skopeo and curl meet in it what they meet in a Harbor.

use std::process::{Command, Output};

use crate::support::harbor::{Harbor, Project, Role};
use crate::support::pictures::{Layout, noise, raw};
use sealift::model::manifest::media;

/// An image of one layer.
fn layout() -> Layout {
    let mut layout = Layout::new();
    let layer = layout.add(media::OCI_LAYER, &noise(7, 200_000));
    let image = layout.add_image("amd64", &[layer]);
    layout.name("image", &image);
    layout
}

/// Pushes with skopeo; what it says where it fails.
fn push(layout: &Layout, name: &str, user: &str) -> Result<(), String> {
    let output = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--retry-times=0", "--dest-tls-verify=false"])
        .args(["--dest-creds", &format!("{user}:canary-{user}")])
        .arg(format!("oci:{}:image", layout.path().display()))
        .arg(format!("docker://{name}"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    if output.status.success() { Ok(()) } else { Err(told) }
}

/// What curl is answered: head and body.
fn curl(arguments: &[&str]) -> String {
    let Output { stdout, .. } = Command::new("curl")
        .args(["-s", "-i", "--max-time", "20"])
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8(stdout).unwrap()
}

#[test]
fn skopeo_pushes_where_it_may_and_is_refused_where_it_may_not() {
    let harbor = Harbor::start();
    let developer = || Project::default().member("dev", Role::Developer);
    harbor.project("team", developer());
    harbor.project("small", Project { quota: Some(100_000), ..developer() });
    harbor.project("hub", Project { proxy_cache: true, ..developer() });
    harbor.project("read", Project::default().member("dev", Role::Guest));
    harbor.project("kept", Project { immutable: vec!["v".into()], ..developer() });
    let layout = layout();
    let name = |path: &str| format!("{}/{path}", harbor.host());
    let refused = |path: &str| push(&layout, &name(path), "dev").unwrap_err();

    push(&layout, &name("team/app:1"), "dev").unwrap();
    let behind = |path: &str| raw(&format!("{}/{path}", harbor.behind.host()));
    assert!(!behind("team/app:1").is_empty());
    let used = harbor.look("team").unwrap().used();
    assert!((200_000..210_000).contains(&used), "{used}");
    push(&layout, &name("team/app:2"), "dev").unwrap();
    assert_eq!(harbor.look("team").unwrap().used(), used, "each blob counts once");

    // What every other client says of a project that is not there.
    let told = refused("none/app:1");
    assert!(told.contains("authentication required") || told.contains("unauthorized"), "{told}");
    assert!(refused("read/app:1").contains("unauthorized"));
    let told = refused("small/app:1");
    assert!(
        told.contains("denied: Quota exceeded when processing the request of adding"),
        "{told}"
    );
    assert!(told.contains("upper limit of 0.1 MiB"), "{told}");
    assert_eq!(harbor.look("small").unwrap().used(), 0);
    assert!(refused("hub/app:1").contains("can not push artifact to a proxy project: hub"));
    refused("app:1");

    // Even the same image is refused under a tag that must not move.
    push(&layout, &name("kept/app:v1"), "dev").unwrap();
    assert!(refused("kept/app:v1").contains("'app:v1' configured as immutable"));
    push(&layout, &name("kept/app:1"), "dev").unwrap();
    push(&layout, &name("kept/app:1"), "dev").unwrap();
    harbor.read_only();
    assert!(refused("team/app:1").contains("read only mode"));
}

#[test]
fn robots_need_to_push_and_to_pull() {
    let harbor = Harbor::start();
    harbor.account("robot$team+ci", "canary-robot$team+ci", false);
    harbor.project("team", Project::default().member("robot$team+ci", Role::Developer));
    push(&layout(), &format!("{}/team/app:1", harbor.host()), "robot$team+ci").unwrap();
    let api = format!("http://{}/api/v2.0/projects", harbor.host());
    let robot = "robot$team+ci:canary-robot$team+ci";
    // What there is, it may know; what is in it, it may not.
    assert!(curl(&["-u", robot, "-I", &format!("{api}?project_name=team")]).contains(" 200 "));
    assert!(curl(&["-u", robot, &format!("{api}/team/summary")]).contains(" 403 "));
}

#[test]
fn the_answers_are_those_of_harbor() {
    let harbor = Harbor::start();
    harbor.project("team", Project::default().member("dev", Role::Developer));
    let url = |path: &str| format!("http://{}{path}", harbor.host());
    let dev = "dev:canary-dev";
    let get = |path: &str| curl(&["-u", dev, &url(path)]);

    let told = curl(&[&url("/v2/")]);
    let realm = format!(
        "Bearer realm=\"http://{}/service/token\",service=\"harbor-registry\"",
        harbor.host()
    );
    assert!(told.contains(" 401 ") && told.contains(&realm), "{told}");
    assert!(get("/v2/").contains(" 200 "));
    assert!(curl(&["-u", "dev:wrong", &url("/v2/")]).contains("Basic realm=\"harbor\""));
    let told = curl(&["-u", dev, "-X", "POST", &url("/v2/none/app/blobs/uploads/")]);
    assert!(told.contains(" 401 ") && told.contains("project none not found"), "{told}");
    assert!(told.contains("www-authenticate: \r\n"), "an empty challenge: {told}");
    assert!(get("/v2/team/app/manifests/1").contains("\"code\":\"NOT_FOUND\""));
    let told = get("/v2/app/manifests/1");
    assert!(told.contains(" 400 ") && told.contains("invalid repository name: app"), "{told}");
    assert!(curl(&["-I", &url("/v2/team/app/manifests/1")]).contains("Bearer realm"));

    // The token service: by GET only, and a token says what was allowed when it was given out.
    assert!(curl(&["-X", "POST", &url("/service/token")]).contains(" 405 "));
    assert!(curl(&["-u", "dev:wrong", &url("/service/token")]).contains(" 401 "));
    let told = get("/service/token?scope=repository:late/app:pull,push");
    let token = told.split('"').find(|text| text.starts_with("token-")).unwrap().to_owned();
    harbor.project("late", Project::default().member("dev", Role::Developer));
    let bearer = format!("Authorization: Bearer {token}");
    let post =
        |how: &[&str]| curl(&[how, &["-X", "POST", &url("/v2/late/app/blobs/uploads/")]].concat());
    assert!(post(&["-H", &bearer]).contains(" 401 "), "an old token knows no new project");
    assert!(post(&["-u", dev]).contains(" 202 "));

    // Projects are asked for and made.
    let projects = url("/api/v2.0/projects");
    assert!(curl(&["-I", &format!("{projects}?project_name=team")]).contains(" 401 "));
    assert!(curl(&["-u", dev, "-I", &format!("{projects}?project_name=none")]).contains(" 404 "));
    let make = |who: &str, name: &str| {
        let body = format!(r#"{{"project_name":"{name}","metadata":{{"public":"false"}}}}"#);
        curl(&["-u", who, "-H", "Content-Type: application/json", "-d", &body, &projects])
    };
    assert!(make(dev, "new").contains(" 201 "));
    assert!(make(dev, "new").contains(" 409 "));
    assert!(make(dev, "").contains(" 400 "));
    harbor.only_admins_create();
    assert!(make(dev, "newer").contains(" 403 "));
    assert!(make("admin:canary-admin", "newer").contains(" 201 "));

    // A policy hides what it does not like, from HEAD too; an index needs its children.
    harbor.change("team", |project| project.policy = true);
    assert!(get("/v2/team/app/manifests/1").contains(" 412 "));
    assert!(curl(&["-u", dev, "-I", &url("/v2/team/app/manifests/1")]).contains(" 412 "));
    let child = sealift::model::Descriptor::of(media::OCI_MANIFEST, b"{}");
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [child]});
    let put = ["-u", dev, "-X", "PUT", "-H", &format!("Content-Type: {}", media::OCI_INDEX)];
    let place = url("/v2/team/app/manifests/1");
    let told = curl(&[&put[..], &["-d", &index.to_string(), &place]].concat());
    assert!(told.contains(" 400 ") && told.contains("MANIFEST_BLOB_UNKNOWN"), "{told}");
}
