//! What was brought is what was there, in every generation of Harbor.

use std::process::Command;

use super::{Crossing, snapshot};
use crate::support::harbor::{Harbor, Project, Role};
use crate::support::judge;
use crate::support::pictures::{Layout, Pushed};
use crate::support::registry::{Registry, run};
use sealift::model::manifest::media;

fn mirror(harbor: Harbor) -> (Crossing, Pushed) {
    let (crossing, pushed) = Crossing::with_attachments(harbor);
    crossing.harbor.project("mirror", Project::default().member("dev", Role::Developer));
    (crossing, pushed)
}

/// What Harbor lists as referring to the image.
fn listed(crossing: &Crossing, pushed: &Pushed) -> serde_json::Value {
    let subject = pushed.root.digest;
    let url = format!("http://{}/v2/mirror/team/app/referrers/{subject}", crossing.harbor.host());
    let answer = run(Command::new("curl").args(["-s", "-u", "dev:canary-dev", &url]));
    serde_json::from_slice(&answer).unwrap_or_default()
}

#[test]
fn images_signatures_and_artifacts_arrive_and_only_once() {
    for (major, minor) in [(2, 8), (2, 9)] {
        let (crossing, pushed) = mirror(Harbor::of_version(major, minor));
        crossing.import("/mirror", &[]).succeeds();
        crossing.arrived("mirror/");
        let referrer = pushed.referrer.digest.to_string();
        assert_eq!(listed(&crossing, &pushed)["manifests"][0]["digest"], referrer.as_str());
        let sent = crossing.changes().len();
        crossing.import("/mirror", &[]).succeeds();
        assert_eq!(crossing.changes().len(), sent, "a second import sends nothing");
        let begun = crossing.harbor.accesses();
        let begun = begun.iter().filter(|access| access.method == "POST").count();
        let uploads = crossing.harbor.behind.accesses();
        let mounts = uploads.iter().filter(|access| access.path.contains("mount=")).count();
        let puts = crossing.changes();
        let puts = puts.iter().filter(|access| access.path.contains("/blobs/uploads/")).count();
        assert_eq!(begun, puts + mounts + 1, "one question whether we may push");
    }
}

#[test]
fn charts_arrive_as_they_left() {
    let (from, harbor) = (Registry::start(), Harbor::start());
    harbor.project("charts", Project::default().member("dev", Role::Developer));
    let layout = Layout::new();
    let config = layout.add("application/vnd.cncf.helm.config.v1+json", br#"{"name":"web"}"#);
    let content = layout.add("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"a chart");
    let chart = serde_json::json!({
        "schemaVersion": 2, "config": config, "layers": [content],
        "annotations": {"org.opencontainers.image.title": "web"},
    });
    layout.put(&from, "charts/web", "1.2.3", &layout.add_json(media::OCI_MANIFEST, &chart));
    let crossing = Crossing::with(from, harbor, &["charts/web:1.2.3"]);
    crossing.import("", &[]).succeeds();
    crossing.arrived("");
}

#[test]
fn an_old_harbor_keeps_the_list_under_a_tag() {
    let (crossing, pushed) = mirror(Harbor::of_version(2, 6));
    let run = crossing.import("/mirror", &[]);
    snapshot!(crossing.anonymous(&run.stderr), @r"
    warning: HARBOR is Harbor 2.6, which keeps no list of what refers to an image; the list is kept under a tag of the image's digest, where clients look for it
    ");
    run.succeeds();
    assert_eq!(listed(&crossing, &pushed), serde_json::Value::Null);
    let tags = judge::tags(&crossing.harbor.behind, "mirror/team/app");
    assert!(tags.contains(&pushed.referrers_tag), "{tags:?}");
    crossing.arrived("mirror/");
}

#[test]
fn a_policy_that_hides_images_does_not_keep_them_out() {
    let (crossing, _) = mirror(Harbor::start());
    crossing.harbor.change("mirror", |project| project.policy = true);
    crossing.import("/mirror", &[]).succeeds();
    crossing.arrived("mirror/");
}
