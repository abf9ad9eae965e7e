//! Projects that are missing and are made.

use super::{Crossing, snapshot};
use crate::support::harbor::{Harbor, Project, Role};

#[test]
fn missing_projects_are_made_before_anything_is_sent() {
    let crossing = Crossing::new(Harbor::start());
    crossing.sign_in("admin", "canary-admin");
    let wish = ["--create-projects", "--project-quota", "1GiB"];
    let said = crossing.import("/mirror", &[&wish[..], &["--dry-run"]].concat()).succeeds();
    assert!(said.contains("\nproject mirror would be created\n"), "{said}");
    assert!(crossing.harbor.look("mirror").is_none());

    let json = crossing.import("/mirror", &[&wish[..], &["--json"]].concat()).json();
    assert_eq!(json["projectsCreated"], serde_json::json!(["mirror"]));
    crossing.arrived("mirror/");
    let made = crossing.harbor.look("mirror").unwrap();
    assert_eq!((made.public, made.quota), (false, Some(1 << 30)));
    let asked = crossing.harbor.accesses();
    let first = |method: &str, part: &str| {
        asked.iter().position(|access| access.method == method && access.path.contains(part))
    };
    assert!(first("POST", "/api/v2.0/projects") < first("POST", "/blobs/uploads/"), "{asked:?}");

    // Once it is there, there is nothing to make.
    let json = crossing.import("/mirror", &[&wish[..], &["--json"]].concat()).json();
    assert_eq!(json["projectsCreated"], serde_json::json!([]));
    crossing.import("/open", &["--create-projects", "--project-public"]).succeeds();
    assert!(crossing.harbor.look("open").unwrap().public);
}

#[test]
fn whoever_may_not_make_projects_is_told_whom_to_ask() {
    let crossing = Crossing::new(Harbor::start());
    crossing.harbor.only_admins_create();
    snapshot!(crossing.refused("/mirror", &["--create-projects"]), @r"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - only an administrator or a system robot may create projects at HARBOR: it has no project mirror
        hint: ask an administrator for it
    ");

    // Robots are told nothing about themselves: it shows when the project is to be made.
    crossing.harbor.account("robot$other+ci", "canary-robot", false);
    crossing.sign_in("robot$other+ci", "canary-robot");
    let told = crossing.import("/mirror", &["--create-projects"]).refused(8);
    snapshot!(crossing.anonymous(&told), @r"
    error: only an administrator or a system robot may create projects at HARBOR; nothing was sent
      hint: ask an administrator for project mirror
    ");
    assert_eq!(crossing.changes(), []);
}

#[test]
fn a_quota_that_is_wished_for_has_to_do() {
    let crossing = Crossing::new(Harbor::start());
    crossing.sign_in("admin", "canary-admin");
    let wish = ["--create-projects", "--project-quota", "1MiB"];
    snapshot!(crossing.refused("/mirror", &wish), @r"
    error: registry HARBOR/mirror does not take this import; nothing was sent
      - project mirror would be created with a quota of 1.0 MiB, and 3.1 MiB come to it
        hint: give it a larger --project-quota
    ");
    assert!(crossing.harbor.look("mirror").is_none());
}

#[test]
fn a_robot_that_may_ask_little_gets_through() {
    let crossing = Crossing::new(Harbor::start());
    crossing.harbor.account("robot$mirror+ci", "canary-robot", false);
    let project = Project { quota: Some(10 << 20), ..Project::default() };
    crossing.harbor.project("mirror", project.member("robot$mirror+ci", Role::Developer));
    crossing.sign_in("robot$mirror+ci", "canary-robot");
    let run = crossing.import("/mirror", &[]);
    snapshot!(crossing.anonymous(&run.stderr), @r"
    warning: HARBOR does not tell this account how much room there is in project mirror; what does not fit is refused when it is sent
    ");
    run.succeeds();
    crossing.arrived("mirror/");
}

#[test]
fn other_places_have_no_projects() {
    let crossing = Crossing::new(Harbor::start());
    let arguments = ["import", "-q", "b.sealift", "--create-projects", "--to"];
    let layout = crossing.station.sealift([&arguments[..], &["oci:layout"]].concat());
    snapshot!(layout.refused(2), @r"
    error: oci:layout has no projects to create
      hint: leave out --create-projects: it is for Harbor registries
    ");
    let elsewhere = crossing.harbor.behind.host();
    let run = crossing.station.sealift([&arguments[..], &[elsewhere.as_str()]].concat());
    snapshot!(run.stderr.replace(&elsewhere, "REGISTRY"), @r"
    warning: REGISTRY is no Harbor: it has no projects to create
    ");
    run.succeeds();
}
