//! Where images arrive by rules, and what is refused before anything is sent.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{bundle_of, image, listed, map};
use crate::support::command::Station;
use crate::support::dockerd::Dockerd;
use crate::support::judge;
use crate::support::pictures::{Layout, push, raw};
use crate::support::registry::{Registry, run};

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// The bytes of what skopeo finds at a place.
fn found(place: &str) -> Vec<u8> {
    run(Command::new("skopeo").args(["--insecure-policy", "inspect", "--raw", place]))
}

#[test]
fn rules_say_where_images_arrive_and_what_is_attached_follows() {
    let (from, to) = (Registry::start(), Registry::start());
    let pushed = push(&from, "team/app");
    let layout = Layout::new();
    layout.put(&from, "team/tool", "7", &image(&layout, 1));
    layout.put(&from, "base", "1", &image(&layout, 2));
    let station = Station::new();
    let host = from.host();
    station.export(
        "b.sealift",
        [format!("{host}/team/app:1"), format!("{host}/team/tool:7"), format!("{host}/base:1")],
    );
    let rules = format!("# ours\n{host}/base:1=/root/base:stable\n?{host}/gone=x\n");
    fs::write(station.path("rules"), rules).unwrap();
    let rule = format!("{host}/team/=apps/");
    let target = format!("{}/mirror", to.host());
    let arguments = ["--map", &rule, "--map-file", "rules", "--json"];
    let mapped = map(&station, &target, &arguments).json();
    let imported: Value =
        serde_json::from_str(&station.import("b.sealift", &target, arguments)).unwrap();

    let there = names(["mirror/apps/app", "mirror/apps/tool", "root/base"]);
    assert_eq!(judge::repositories(&to), there);
    let [signature, referrers] = [&*pushed.signature_tag, &*pushed.referrers_tag];
    assert_eq!(judge::tags(&to, "mirror/apps/app"), names(["1", signature, referrers]));
    for (old, new) in [
        ("team/app:1", "mirror/apps/app:1"),
        (&format!("team/app:{signature}"), &format!("mirror/apps/app:{signature}")),
        (&format!("team/app:{referrers}"), &format!("mirror/apps/app:{referrers}")),
        ("team/tool:7", "mirror/apps/tool:7"),
        ("base:1", "root/base:stable"),
    ] {
        assert_eq!(
            raw(&format!("{host}/{old}")),
            raw(&format!("{}/{new}", to.host())),
            "{old} is not {new}"
        );
    }
    // What was foretold without a network is what was done.
    for (told, done) in
        mapped["images"].as_array().unwrap().iter().zip(imported["images"].as_array().unwrap())
    {
        for key in ["image", "digest", "target", "targetDigest"] {
            assert_eq!(told[key], done[key]);
        }
    }
    assert_eq!(mapped["images"][0]["rule"], rule);
    assert_eq!(
        mapped["images"][2]["rule"],
        format!("{host}/base:1=/root/base:stable (rules, line 2)")
    );
}

#[test]
fn a_template_keeps_registries_apart() {
    let to = Registry::start();
    let station = bundle_of(&["web:1", "registry.example:5000/web:1", "registry.example/web:1"]);
    let rule = "*={registry}/{repository}:{tag}";
    station.import("b.sealift", &to.host(), ["--map", rule]);
    assert_eq!(
        judge::repositories(&to),
        names(["docker.io/library/web", "registry.example-5000/web", "registry.example/web"])
    );
    let (_, digest) = &listed(&station)[1];
    let there = raw(&format!("{}/registry.example-5000/web:1", to.host()));
    assert_eq!(sealift::model::Digest::of(&there).to_string(), *digest);
}

#[test]
fn two_images_for_one_name_are_refused_with_a_way_out_that_works() {
    let to = Registry::start();
    let station = bundle_of(&["registry.example/a:1", "other.example/a:1", "other.example/b:1"]);
    let rules = [
        "--map",
        "registry.example/a=apps/x",
        "--map",
        "?nothing.example/=y/",
        "--map",
        "*=apps/x",
    ];
    let told = station.sealift(["import", "b.sealift", "--to", &to.host()].iter().chain(&rules));
    // `*=apps/x` would give every image one name.
    let told = told.refused(2);
    assert!(told.contains("the rule \"*=apps/x\" cannot be meant"), "{told}");

    let rules = ["--map", "registry.example/a=apps/x", "--map", "other.example/b=apps/x"];
    let arguments = ["import", "b.sealift", "--to", &to.host()];
    let told = station.sealift(arguments.iter().chain(&rules)).refused(2);
    for part in [
        "registry.example/a:1 (",
        "by the rule registry.example/a=apps/x)",
        "other.example/b:1 (",
        "by the rule other.example/b=apps/x)",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(to.accesses().iter().all(|access| access.method == "GET"), "{:?}", to.accesses());
    let (_, hint) = told.split_once("as with --map ").unwrap();
    let way_out = hint.split(',').next().unwrap();
    station.import("b.sealift", &to.host(), rules.into_iter().chain(["--map", way_out]));
    assert_eq!(judge::repositories(&to), names(["a", "apps/x", "other.example/b"]));
}

#[test]
fn platforms_get_their_tags_in_the_new_repository() {
    let (from, to) = (Registry::start(), Registry::start());
    push(&from, "team/app");
    let station = Station::new();
    station.export("b.sealift", [format!("{}/team/app:1", from.host())]);
    let rule = format!("{}/team/app:1=apps/other:2", from.host());
    let platforms = ["--platform", "linux/amd64", "--platform", "linux/arm64"];
    station.import("b.sealift", &to.host(), ["--map", &rule].into_iter().chain(platforms));
    assert_eq!(judge::repositories(&to), names(["apps/other"]));
    assert_eq!(judge::tags(&to, "apps/other"), names(["2-linux-amd64", "2-linux-arm64"]));
}

#[test]
fn a_rule_that_nothing_needs_is_refused_and_nobody_is_asked() {
    let to = Registry::start();
    let before = to.accesses_since(0).len();
    let station = bundle_of(&["registry.example/team/app:1"]);
    let arguments =
        ["import", "b.sealift", "--to", &to.host(), "--map", "registry.example/taem/=x/"];
    let told = station.sealift(arguments).refused(2);
    assert!(told.contains("registry.example/taem/=x/ is for no image of the bundle"), "{told}");
    assert!(told.contains("registry.example/team/app:1"), "{told}");
    assert_eq!(to.accesses_since(before), []);
}

#[test]
fn a_layout_and_an_archive_take_whole_names() {
    let station = bundle_of(&["registry.example/team/app:1", "web:1"]);
    let rule = ["--map", "registry.example/team/=harbor.example:8443/apps/"];
    let digest = &listed(&station)[0].1;
    let layout = station.path("layout");
    let said = station.import("b.sealift", "oci:layout", rule);
    assert!(said.contains("registry.example/team/app:1 "), "{said}");
    let new = "harbor.example:8443/apps/app:1";
    assert!(said.contains(new), "{said}");
    let bytes = found(&format!("oci:{}:{new}", layout.display()));
    assert_eq!(sealift::model::Digest::of(&bytes).to_string(), *digest);
    let index = fs::read_to_string(layout.join("index.json")).unwrap();
    assert!(!index.contains("registry.example") && index.contains("docker.io/library/web:1"));

    station.import("b.sealift", "docker-archive:a.tar", rule);
    let archive = station.path("a.tar");
    let list = run(Command::new("tar").arg("-xOf").arg(&archive).arg("manifest.json"));
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list[0]["RepoTags"][0], new);
    let told =
        station.sealift(["import", "b.sealift", "--to", "oci:x", "--map", "*=/x/"]).refused(2);
    assert!(told.contains("leaves the prefix of a registry"), "{told}");
}

#[test]
fn a_daemon_knows_the_new_name_and_not_the_old_one() {
    let daemon = Dockerd::start();
    let station = bundle_of(&["registry.example/team/app:1"]);
    let host = daemon.host();
    let rule = "registry.example/team/app:1=tools/app:stable";
    let mut import = station.program();
    import.args(["import", "-q", "b.sealift", "--to", "docker-daemon:", "--map", rule]);
    crate::support::command::Run::of(import.env("DOCKER_HOST", host)).succeeds();
    let images = daemon.images();
    assert_eq!(images.len(), 1, "{images:?}");
    assert!(images[0].starts_with("tools/app:stable "), "{images:?}");
}

#[test]
fn what_has_no_name_can_be_given_one() {
    let to = Registry::start();
    let station = Station::new();
    let layout = Layout::new();
    let image = image(&layout, 1);
    // An index that names nothing.
    let mut entry = image.clone();
    entry.platform = None;
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(layout.path().join("index.json"), index.to_string()).unwrap();
    station.export("b.sealift", [format!("oci:{}", layout.path().display())]);
    let told = station.sealift(["import", "b.sealift", "--to", &to.host()]).refused(2);
    let (_, hint) = told.split_once("as with --map ").unwrap();
    let rule = hint.trim();
    assert_eq!(rule, format!("{}=app:1.2", image.digest));
    station.import("b.sealift", &to.host(), ["--map", rule]);
    assert_eq!(judge::tags(&to, "app"), names(["1.2"]));
}
