//! sealift beside newer tools than this Debian has: cosign, oras and podman out of a trixie tree
//! (`make interop` makes it).

mod second;
#[path = "../support/mod.rs"]
mod support;
mod tree;

use std::fs;

use serde_json::Value;
use support::command::Station;
use support::gallery::{self, Gallery, Layer};
use support::judge;
use support::pictures::{Layout, raw};
use support::registry::Registry;
use tree::Tree;

/// An image like others, as `app:1`; its digest.
fn put_app(registry: &Registry) -> String {
    let layout = Layout::new();
    let layer = Layer::gzip(&layout, &gallery::tar_of("usr/share/common-licenses"));
    let image = gallery::image(&layout, "amd64", &[layer]);
    layout.put(registry, "app", "1", &image);
    image.digest.to_string()
}

/// Everything that hangs on `app:1`, through a bundle.
fn carry(from: &Registry, to: &Registry) {
    let station = Station::new();
    station.export("b.sealift", [format!("{}/app:1", from.host())]);
    station.import("b.sealift", &format!("{}/mirror", to.host()), [""; 0]);
}

#[test]
fn what_cosign_signed_it_verifies_on_the_far_side() {
    let (from, to) = (Registry::start(), Registry::start());
    let digest = put_app(&from);
    let tree = Tree::enter();
    let cosign = |arguments: &[&str]| tree.run("cosign", arguments);
    for name in ["sender", "stranger"] {
        cosign(&["generate-key-pair", "--output-key-prefix", name]);
    }
    let image = format!("{}/app@{digest}", from.host());
    let offline = ["--tlog-upload=false", "--allow-insecure-registry", "--yes", "--key"];
    cosign(&[&["sign"], &offline[..], &["sender.key", &image]].concat());
    fs::write(tree.path("sbom.json"), r#"{"spdxVersion":"SPDX-2.3"}"#).unwrap();
    let predicate = ["sender.key", "--type=spdxjson", "--predicate=sbom.json", &image];
    cosign(&[&["attest"], &offline[..], &predicate].concat());

    carry(&from, &to);

    let arrived = format!("{}/mirror/app:1", to.host());
    let check = ["--insecure-ignore-tlog", "--allow-insecure-registry", "--key"];
    let told = cosign(&[&["verify"], &check[..], &["sender.pub", &arrived]].concat());
    assert!(told.contains(&digest), "{told}");
    let attestation = ["sender.pub", "--type=spdxjson", &arrived];
    cosign(&[&["verify-attestation"], &check[..], &attestation].concat());
    assert!(
        !tree.succeeds("cosign", &[&["verify"], &check[..], &["stranger.pub", &arrived]].concat())
    );
    judge::same(&from, &to, "mirror/");
}

#[test]
fn what_oras_attached_it_discovers_on_the_far_side() {
    let (from, to) = (Registry::start(), Registry::start());
    put_app(&from);
    let tree = Tree::enter();
    let attach = |to: &str, name: &str| {
        fs::write(tree.path(name), format!("{{\"name\":\"{name}\"}}")).unwrap();
        let file = format!("{name}:application/json");
        let kind = ["--artifact-type", "application/vnd.example.sbom"];
        tree.run("oras", &[&["attach", "--plain-http"], &kind[..], &[to, &file]].concat());
    };
    let image = format!("{}/app:1", from.host());
    attach(&image, "sbom.json");
    attach(&image, "licences.json");
    let discover = |name: &str| -> Value {
        let arguments = ["discover", "--plain-http", "--format", "json", name];
        serde_json::from_str(&tree.run("oras", &arguments)).unwrap()
    };
    // Something that is attached to what is attached.
    let known = discover(&image);
    let first = known["manifests"][0]["digest"].as_str().unwrap();
    attach(&format!("{}/app@{first}", from.host()), "note.json");

    carry(&from, &to);

    let arrived = format!("{}/mirror/app:1", to.host());
    let digests = |found: &Value| -> Vec<String> {
        let list = found["manifests"].as_array().unwrap().iter();
        list.map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(digests(&discover(&arrived)), digests(&known));
    assert_eq!(digests(&known).len(), 2, "{known}");
    let on_it = discover(&format!("{}/mirror/app@{first}", to.host()));
    assert_eq!(digests(&on_it).len(), 1, "{on_it}");
    tree.run(
        "oras",
        &["pull", "--plain-http", "-o", "pulled", &format!("{}/mirror/app@{first}", to.host())],
    );
    assert_eq!(fs::read(tree.path("pulled/sbom.json")).unwrap(), br#"{"name":"sbom.json"}"#);
    judge::same(&from, &to, "mirror/");
}

#[test]
fn podman_pulls_what_arrived() {
    let (from, to) = (Registry::start(), Registry::start());
    Gallery::hang(&from);
    let station = Station::new();
    let names = ["plain/ordinary:1", "modern/zstd:1", "legacy/schema2:1", "odd/twice:1"];
    station.export("b.sealift", names.map(|name| format!("{}/{name}", from.host())));
    station.import("b.sealift", &to.host(), [""; 0]);
    let tree = Tree::enter();
    let podman = |arguments: &[&str]| {
        let own = ["--root", "storage", "--runroot", "run", "--storage-driver", "vfs"];
        tree.run("podman", &[&own[..], arguments].concat())
    };
    for name in names {
        let arrived = format!("{}/{name}", to.host());
        podman(&["pull", "--quiet", "--tls-verify=false", &arrived]);
        let expected = sealift::model::Digest::of(&raw(&format!("{}/{name}", from.host())));
        let digests =
            podman(&["image", "inspect", "--format", "{{.Digest}} {{.RepoDigests}}", &arrived]);
        assert!(digests.contains(&expected.to_string()), "{name}: {digests}");
    }
}
