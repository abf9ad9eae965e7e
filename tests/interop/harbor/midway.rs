//! What goes wrong only while things are sent.

use super::{Crossing, snapshot};
use crate::support::harbor::{Harbor, Project, Role};
use crate::support::pictures::push;
use crate::support::registry::Registry;

#[test]
fn somebody_else_fills_the_project_meanwhile() {
    let crossing = Crossing::new(Harbor::start());
    crossing.harbor.account("robot$mirror+ci", "canary-robot", false);
    // A robot is not told what room there is, so it finds out on the way.
    let full = Project { quota: Some(10 << 20), taken: 8 << 20, ..Project::default() };
    crossing.harbor.project("mirror", full.member("robot$mirror+ci", Role::Developer));
    crossing.sign_in("robot$mirror+ci", "canary-robot");
    let told = crossing.import("/mirror", &[]).refused(8);
    snapshot!(crossing.anonymous(&told), @r"
    warning: HARBOR does not tell this account how much room there is in project mirror; what does not fit is refused when it is sent
    error: cannot upload blob DIGEST to HARBOR/mirror/team/app: project mirror has no room left for it; registry HARBOR answered 403 Forbidden: DENIED: Quota exceeded when processing the request of adding 3.0 MiB of storage resource, which when updated to current usage of N MiB will exceed the configured upper limit of 10.0 MiB.
      hint: make room in the project at HARBOR, or have its quota raised; run it again, and only what is missing is sent
    ");
    assert!(crossing.harbor.look("mirror").unwrap().used() <= 10 << 20);

    // With more room, only what is missing is sent.
    crossing.harbor.change("mirror", |project| project.quota = None);
    crossing.import("/mirror", &[]).succeeds();
    crossing.arrived("mirror/");
}

#[test]
fn a_tag_that_is_pinned_meanwhile_is_told_apart() {
    let crossing = Crossing::new(Harbor::start());
    crossing.harbor.project("mirror", Project::default().member("dev", Role::Developer));
    crossing.import("/mirror", &[]).succeeds();
    // Another image for the same tag; a developer is not told about rules.
    let (from, harbor) = (Registry::start(), crossing.harbor);
    push(&from, "app");
    let crossing = Crossing::with(from, harbor, &["app:1"]);
    crossing.harbor.change("mirror", |project| project.immutable.push("1".to_owned()));
    let told = crossing.import("/mirror", &[]).refused(8);
    snapshot!(crossing.anonymous(&told), @r"
    warning: HARBOR does not tell this account which tags must not move in project mirror; to be moved: mirror/app:1; a tag that must not move is refused when its turn comes, after everything was sent
    error: cannot put manifest 1 to HARBOR/mirror/app: a rule of project mirror keeps this tag where it is; registry HARBOR answered 412 Precondition Failed: PRECONDITION: Failed to process request due to 'app:1' configured as immutable.
      hint: bring the image under another tag, or have the rule changed
    ");
}
