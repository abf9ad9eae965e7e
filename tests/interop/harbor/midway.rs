//! What goes wrong only while things are sent.

use super::{Crossing, snapshot};
use crate::support::harbor::{Harbor, Project, Role};

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
    error: cannot upload blob DIGEST to HARBOR/mirror/team/app: project mirror has no room left for it; registry HARBOR answered 403 Forbidden: DENIED: Quota exceeded when processing the request of adding 3.0 MiB of storage resource, which when updated to current usage of 8.0 MiB will exceed the configured upper limit of 10.0 MiB.
      hint: make room in the project at HARBOR, or have its quota raised; run it again, and only what is missing is sent
    ");
    assert!(crossing.harbor.look("mirror").unwrap().used() <= 10 << 20);

    // With more room, only what is missing is sent.
    crossing.harbor.change("mirror", |project| project.quota = None);
    crossing.import("/mirror", &[]).succeeds();
    crossing.arrived("mirror/");
}
