//! What `sealift map` writes for other programs, read by those programs.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{bundle_of, listed, map};
use crate::support::command::Station;
use crate::support::containerd::Containerd;
use crate::support::dockerd::Dockerd;
use crate::support::registry::{Registry, run};

/// Names that no registry behind them answers to; the last one changes its tag.
const NAMES: [&str; 6] = [
    "docker.io/library/web:1.27",
    "registry.example/team/app:1.2",
    "registry.example/team/app:1.3",
    "registry.example:5000/tools/lint:3",
    "registry.example/base:1",
    "registry.example/odd:1",
];

/// Exceptions: another repository, another tag.
const RULES: [&str; 4] = [
    "--map",
    "registry.example/base=apps/ground",
    "--map",
    "registry.example/odd:1=apps/other:stable",
];

/// The images, imported below `mirror`.
fn imported() -> (Station, Registry, String) {
    let to = Registry::start();
    let station = bundle_of(&NAMES);
    let target = format!("{}/mirror", to.host());
    station.import("b.sealift", &target, RULES);
    (station, to, target)
}

/// What `sealift map` writes in a format, and says on stderr.
fn piece(station: &Station, target: &str, format: &str) -> (String, String) {
    let arguments = [&RULES[..], &["--plain-http", "--format", format]].concat();
    let run = map(station, target, &arguments);
    let told = run.stderr.clone();
    (run.succeeds(), told)
}

#[test]
fn a_shell_gives_dockers_images_their_old_names() {
    let (station, _to, target) = imported();
    let (script, told) = piece(&station, &target, "docker");
    assert_eq!(told, "");
    fs::write(station.path("pull.sh"), &script).unwrap();
    let daemon = Dockerd::start();
    let mut shell = station.command("sh");
    shell.args(["-e", "pull.sh"]).env("DOCKER_HOST", daemon.host());
    shell.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    run(&mut shell);
    for (name, digest) in listed(&station) {
        let format = "{{range .RepoDigests}}{{.}} {{end}}";
        let digests = daemon.ok(&["image", "inspect", "--format", format, &name]);
        assert!(digests.contains(&digest), "{name} is {digests}, not {digest}");
    }

    // One that cannot be had does not keep the others away, and is told at the end.
    let broken = script.replace("library/web@sha256:", "library/gone@sha256:");
    assert_ne!(broken, script);
    daemon.ok(&["image", "rm", "registry.example/odd:1"]);
    let mut shell = Command::new("sh");
    let path = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    shell.arg("-c").arg(broken).env("DOCKER_HOST", daemon.host()).env("PATH", path);
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    daemon.id("registry.example/odd:1");
}

#[test]
fn containerd_finds_images_at_the_mirror() {
    let (station, _to, target) = imported();
    let arguments = [&RULES[..], &["--plain-http", "--format", "hosts.toml"]].concat();
    let told = map(&station, &target, &arguments).refused(2);
    assert!(told.contains("there is a hosts.toml for each of 3 registries"), "{told}");
    let arguments = [&arguments[..], &["-o", "certs.d"]].concat();
    let run = map(&station, &target, &arguments);
    let left_out = ["registry.example/base:1", "registry.example/odd:1"];
    for name in left_out {
        assert!(run.stderr.contains(&format!("left out: {name}: ")), "{}", run.stderr);
    }
    run.succeeds();
    let registries = ["docker.io", "registry.example", "registry.example:5000"];
    for registry in registries {
        assert!(station.path("certs.d").join(registry).join("hosts.toml").is_file());
    }
    let containerd = Containerd::start();
    for (name, digest) in listed(&station) {
        let fetched = containerd.fetch(&name, &station.path("certs.d"));
        if left_out.contains(&&*name) {
            assert!(fetched.is_err(), "{name} is {fetched:?}");
        } else {
            assert_eq!(fetched, Ok(digest), "{name}");
        }
    }
    // What is there is not replaced unasked: somebody else's certificates may be named in it.
    let told = map(&station, &target, &arguments).refused(2);
    assert!(told.contains("docker.io/hosts.toml is already there"), "{told}");
    map(&station, &target, &[&arguments[..], &["--force"]].concat()).succeeds();
}

#[test]
fn skopeo_finds_images_at_the_mirror() {
    let (station, _to, target) = imported();
    let folder = station.path(".config/containers/registries.conf.d");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("harbor.conf").display().to_string();
    let arguments =
        [&RULES[..], &["--plain-http", "--format", "registries.conf", "-o", &path]].concat();
    let run = map(&station, &target, &arguments);
    assert!(run.stderr.contains("left out: registry.example/odd:1: "), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert_eq!(run.succeeds(), "");
    for (name, digest) in listed(&station) {
        let (repository, _) = name.rsplit_once(':').unwrap();
        for reference in [name.clone(), format!("{repository}@{digest}")] {
            let mut skopeo = station.command("skopeo");
            skopeo.args(["--insecure-policy", "inspect", "--raw"]);
            let output = skopeo.arg(format!("docker://{reference}")).output().unwrap();
            if repository == "registry.example/odd" {
                assert!(!output.status.success(), "{reference}");
                continue;
            }
            let found = sealift::model::Digest::of(&output.stdout).to_string();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(found, digest, "{reference}: {said}");
        }
    }
}

#[test]
fn a_kustomization_is_yaml_with_every_spelling() {
    let station = bundle_of(&NAMES);
    let (text, told) = piece(&station, "harbor.example/mirror", "kustomize");
    assert_eq!(told, "");
    fs::write(station.path("images.yaml"), text).unwrap();
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let mut python = Command::new("python3");
    let parsed = run(python.args(["-c", script]).arg(station.path("images.yaml")));
    let parsed: Value = serde_json::from_slice(&parsed).unwrap();
    let of = |name: &str| {
        let images = parsed["images"].as_array().unwrap();
        images.iter().find(|image| image["name"] == name).unwrap_or_else(|| panic!("no {name}"))
    };
    let digests: std::collections::BTreeMap<String, String> =
        listed(&station).into_iter().collect();
    for name in ["web", "library/web", "docker.io/web", "docker.io/library/web"] {
        assert_eq!(of(name)["newName"], "harbor.example/mirror/library/web");
        assert_eq!(of(name)["newTag"], "1.27", "a tag is text");
        assert_eq!(of(name)["digest"], digests["docker.io/library/web:1.27"]);
    }
    assert_eq!(of("registry.example/odd")["newName"], "harbor.example/mirror/apps/other");
    assert_eq!(of("registry.example/odd")["newTag"], "stable");
    // Two tags of one repository keep theirs.
    let app = of("registry.example/team/app").as_object().unwrap();
    assert_eq!(app.keys().collect::<Vec<_>>(), ["name", "newName"]);
}

#[test]
fn a_list_has_old_and_new_and_the_digest() {
    let station = bundle_of(&NAMES);
    let (text, _) = piece(&station, "harbor.example/mirror", "list");
    let digests: Vec<String> = listed(&station).into_iter().map(|(_, digest)| digest).collect();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), NAMES.len());
    assert_eq!(
        lines[5],
        format!("registry.example/odd:1 harbor.example/mirror/apps/other:stable@{}", digests[5])
    );
}

#[test]
fn only_what_is_signed_and_a_registry_is_mapped() {
    let station = bundle_of(&NAMES[..1]);
    let told = map(&station, "oci:layout", &[]).refused(2);
    assert!(told.contains("oci:layout is no registry"), "{told}");
    let stranger = Station::new();
    fs::copy(station.path("b.sealift"), stranger.path("b.sealift")).unwrap();
    map(&stranger, "harbor.example", &[]).refused(5);
}
