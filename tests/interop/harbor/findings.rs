//! What is told before anything is sent, as a person sees it.

use super::{Crossing, snapshot};
use crate::support::harbor::{Harbor, Project, Role};
use crate::support::pictures::{Layout, noise};
use sealift::model::manifest::media;

fn developer() -> Project {
    Project::default().member("dev", Role::Developer)
}

#[test]
fn a_project_that_is_missing() {
    let crossing = Crossing::new(Harbor::start());
    snapshot!(crossing.refused("/mirror", &[]), @r"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - HARBOR has no project mirror
        hint: create the project at HARBOR first or let import do it with --create-projects, or bring the images below another one
    ");
}

#[test]
fn no_right_to_push() {
    let crossing = Crossing::new(Harbor::start());
    crossing.harbor.project("mirror", Project::default().member("dev", Role::Guest));
    snapshot!(crossing.refused("/mirror", &[]), @r"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - dev may not push to project mirror of HARBOR (401 Unauthorized)
        hint: have its administrator make the account a developer or maintainer of the project; a robot account needs leave to push and to pull
    ");
    // Nor to look.
    crossing.harbor.change("mirror", |project| project.members.clear());
    snapshot!(crossing.refused("/mirror", &[]), @r"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - dev may not push to project mirror of HARBOR (401 Unauthorized)
        hint: have its administrator make the account a developer or maintainer of the project; a robot account needs leave to push and to pull
    ");
}

#[test]
fn nobody_signed_in() {
    let crossing = Crossing::new(Harbor::start());
    crossing.harbor.project("mirror", Project { public: true, ..developer() });
    crossing.sign_out();
    snapshot!(crossing.refused("/mirror", &[]), @r"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - nobody is signed in to HARBOR
        hint: sign in with `sealift login HARBOR`
    ");
}

#[test]
fn a_wrong_password() {
    let crossing = Crossing::new(Harbor::start());
    crossing.harbor.project("mirror", developer());
    crossing.sign_in("dev", "canary-wrong");
    snapshot!(crossing.refused("/mirror", &[]), @r#"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - HARBOR did not accept the sign-in: asked as "dev", from HOME/.docker/config.json
        hint: sign in with `sealift login HARBOR`, as somebody who may do this
    "#);
    crossing.sign_in("robot+ci", "canary-robot");
    snapshot!(crossing.refused("/mirror", &[]), @r#"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - HARBOR did not accept the sign-in: asked as "robot+ci", from HOME/.docker/config.json
        hint: a shell takes the $ and what follows out of a robot's name: write it in single quotes, as in `sealift login HARBOR --username 'robot$name'`
    "#);
}

#[test]
fn a_quota_that_is_too_small() {
    let crossing = Crossing::new(Harbor::start());
    let full = Project { quota: Some(10 << 20), taken: 8 << 20, ..developer() };
    crossing.harbor.project("mirror", full);
    snapshot!(crossing.refused("/mirror", &[]), @r"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - project mirror of HARBOR has 2.0 MiB left of its quota of 10.0 MiB, and 3.1 MiB come to it
        hint: have its quota raised by 1.1 MiB or more, make room in it (what is removed counts until Harbor's garbage collection), or bring fewer images with --image
    ");
    // One image of the two fits.
    let small = format!("{}/app:1", crossing.from.host());
    crossing.import("/mirror", &["--image", &small]).succeeds();
}

/// Another image under a tag of the bundle.
fn take_the_tag(crossing: &Crossing, repository: &str) {
    let mut layout = Layout::new();
    let layer = layout.add(media::OCI_LAYER, &noise(11, 1000));
    let image = layout.add_image("amd64", &[layer]);
    layout.name("image", &image);
    let name = format!("{}/{repository}:1", crossing.harbor.host());
    layout.push("image", &name, &["--dest-creds", "dev:canary-dev"]);
}

#[test]
fn a_tag_that_must_not_move() {
    let crossing = Crossing::new(Harbor::start());
    let kept = Project { immutable: vec!["1".into()], ..Project::default() };
    crossing.harbor.project("mirror", kept.member("dev", Role::Maintainer));
    take_the_tag(&crossing, "mirror/app");
    let before = crossing.changes().len();
    let told = crossing.import("/mirror", &[]).refused(8);
    snapshot!(crossing.anonymous(&told), @r"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - a rule of project mirror keeps tags where they are that would move: mirror/app:1
        hint: bring the image under another tag, or have the rule changed
    ");
    assert_eq!(crossing.changes().len(), before);

    // A developer is not told about rules, so that the refusal comes at the end.
    crossing.harbor.change("mirror", |project| {
        project.members.insert("dev".to_owned(), Role::Developer);
    });
    let told = crossing.import("/mirror", &[]).refused(8);
    snapshot!(crossing.anonymous(&told), @r"
    warning: HARBOR does not tell this account which tags must not move in project mirror; to be moved: mirror/app:1; a tag that must not move is refused when its turn comes, after everything was sent
    error: cannot put manifest 1 to HARBOR/mirror/app: a rule of project mirror keeps this tag where it is; registry HARBOR answered 412 Precondition Failed: PRECONDITION: Failed to process request due to 'app:1' configured as immutable.
      hint: bring the image under another tag, or have the rule changed
    ");
    crossing.harbor.change("mirror", |project| project.immutable.clear());
    crossing.import("/mirror", &[]).succeeds();
    crossing.arrived("mirror/");
    // What is right already is left alone, whatever the rules.
    crossing.harbor.change("mirror", |project| project.immutable.push(String::new()));
    crossing.import("/mirror", &[]).succeeds();
}

#[test]
fn a_proxy_cache() {
    let crossing = Crossing::new(Harbor::start());
    crossing.harbor.project("hub", Project { proxy_cache: true, ..developer() });
    snapshot!(crossing.refused("/hub", &[]), @r"
    error: registry HARBOR/hub does not take this import; nothing was sent
      - nobody can push to project hub of HARBOR: a proxy cache holds what Harbor fetches itself
        hint: bring the images below another project
    ");
}

#[test]
fn a_path_that_is_too_short_and_a_project_of_its_own() {
    let crossing = Crossing::new(Harbor::start());
    snapshot!(crossing.refused("", &[]), @r"
    error: registry HARBOR does not take this import; nothing was sent
      - HARBOR has no project team
        hint: create the project at HARBOR first or let import do it with --create-projects, or bring the images below another one
      - a Harbor keeps every repository in a project; these would lie in none: HARBOR/app
        hint: name a project in the target, as in --to HARBOR/PROJECT
    ");
}

#[test]
fn nobody_may_write() {
    let crossing = Crossing::new(Harbor::start());
    crossing.harbor.project("mirror", developer());
    let small = format!("{}/app:1", crossing.from.host());
    crossing.import("/mirror", &["--image", &small]).succeeds();
    crossing.harbor.read_only();
    // What is there already needs nobody to write.
    crossing.import("/mirror", &["--image", &small]).succeeds();
    let before = crossing.changes().len();
    let told = crossing.import("/mirror", &[]).refused(8);
    assert_eq!(crossing.changes().len(), before);
    let told = crossing.anonymous(&told);
    snapshot!(told, @r"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - HARBOR is in read-only mode
        hint: wait until its administrators end it; it is for maintenance and garbage collection
    ");
}

#[test]
fn several_at_once() {
    let crossing = Crossing::new(Harbor::start());
    let kept = Project { immutable: vec!["1".into()], ..Project::default() };
    crossing.harbor.project("team", kept.member("dev", Role::Maintainer));
    take_the_tag(&crossing, "team/app");
    crossing.harbor.change("team", |project| project.quota = Some(1 << 20));
    let before = crossing.changes().len();
    let told = crossing.import("", &[]).refused(8);
    snapshot!(crossing.anonymous(&told), @r"
    error: registry HARBOR does not take this import; nothing was sent
      - a Harbor keeps every repository in a project; these would lie in none: HARBOR/app
        hint: name a project in the target, as in --to HARBOR/PROJECT
      - a rule of project team keeps tags where they are that would move: team/app:1
        hint: bring the image under another tag, or have the rule changed
      - project team of HARBOR has 1022.4 KiB left of its quota of 1.0 MiB, and 3.1 MiB come to it
        hint: have its quota raised by 2.1 MiB or more, make room in it (what is removed counts until Harbor's garbage collection), or bring fewer images with --image
    ");
    let rehearsed = crossing.import("", &["--dry-run"]);
    assert_eq!(rehearsed.code, Some(8));
    snapshot!(crossing.anonymous(&rehearsed.stdout), @r"
    IMAGE  BECOMES  DIGEST THERE
    SOURCE/app:1  HARBOR/app:1  DIGEST
    SOURCE/team/app:1  HARBOR/team/app:1  DIGEST
    BLOB  SIZE  PLACE  ACTION
    DIGEST  207 B  app  send
    DIGEST  48.8 KiB  app  send
    DIGEST  288 B  team/app  send
    DIGEST  3.0 MiB  team/app  send
    DIGEST  97.7 KiB  team/app  send
    DIGEST  288 B  team/app  send
    DIGEST  2 B  team/app  send
    DIGEST  26 B  team/app  send
    DIGEST  207 B  team/app  send
    DIGEST  6 B  team/app  send
    HARBOR/team/app:1 would move from DIGEST
    would send 10 blobs, 3.1 MiB to registry HARBOR; there already: 0 blobs, 0 B
             FOUND  WHAT TO DO
    hinders  a Harbor keeps every repository in a project; these would lie in none: HARBOR/app  name a project in the target, as in --to HARBOR/PROJECT
    hinders  a rule of project team keeps tags where they are that would move: team/app:1  bring the image under another tag, or have the rule changed
    hinders  project team of HARBOR has 1022.4 KiB left of its quota of 1.0 MiB, and 3.1 MiB come to it  have its quota raised by 2.1 MiB or more, make room in it (what is removed counts until Harbor's garbage collection), or bring fewer images with --image
    ");
    snapshot!(crossing.anonymous(&rehearsed.stderr), @r"
    error: registry HARBOR would not take this import: 3 things are in the way
    ");
    let json = crossing.import("", &["--dry-run", "--json"]);
    assert_eq!(json.code, Some(8));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let gravities: Vec<_> =
        json["findings"].as_array().unwrap().iter().map(|f| &f["gravity"]).collect();
    assert_eq!(gravities, ["hinders", "hinders", "hinders"]);
    assert_eq!(crossing.changes().len(), before);
}

#[test]
fn nothing_in_the_way() {
    let crossing = Crossing::new(Harbor::start());
    crossing.harbor.project("mirror", Project { quota: Some(10 << 20), ..developer() });
    let said = crossing.import("/mirror", &["--dry-run"]).succeeds();
    snapshot!(crossing.anonymous(&said), @r"
    IMAGE  BECOMES  DIGEST THERE
    SOURCE/app:1  HARBOR/mirror/app:1  DIGEST
    SOURCE/team/app:1  HARBOR/mirror/team/app:1  DIGEST
    BLOB  SIZE  PLACE  ACTION
    DIGEST  207 B  mirror/app  send
    DIGEST  48.8 KiB  mirror/app  send
    DIGEST  288 B  mirror/team/app  send
    DIGEST  3.0 MiB  mirror/team/app  send
    DIGEST  97.7 KiB  mirror/team/app  send
    DIGEST  288 B  mirror/team/app  send
    DIGEST  2 B  mirror/team/app  send
    DIGEST  26 B  mirror/team/app  send
    DIGEST  207 B  mirror/team/app  send
    DIGEST  6 B  mirror/team/app  send
    would send 10 blobs, 3.1 MiB to registry HARBOR/mirror; there already: 0 blobs, 0 B
    ");
    assert_eq!(crossing.changes(), []);
    let json = crossing.import("/mirror", &["--dry-run", "--json"]).json();
    assert_eq!(json["findings"], serde_json::json!([]));
}
