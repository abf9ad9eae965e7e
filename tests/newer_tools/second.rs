//! A registry of another make than docker-registry: that of go-containerregistry, which lists
//! referrers itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::support::command::Station;
use super::support::gallery::Gallery;
use super::support::registry::{Registry, run};
use super::tree::Tree;

/// Runs until it is dropped.
struct Second {
    child: Child,
    host: String,
}

impl Second {
    fn start() -> Self {
        let program = build();
        let mut child = Command::new(program).stdout(Stdio::piped()).spawn().unwrap();
        let mut host = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut host).unwrap();
        Self { child, host: host.trim().to_owned() }
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds it with Debian's Go from modules whose sums are kept next to it.
fn build() -> String {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = place.join("second-registry").display().to_string();
    run(Command::new("/usr/lib/go/bin/go")
        .args(["build", "-o", &program, "."])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/newer_tools/second"))
        .env("GOCACHE", place.join("go-cache"))
        .env("GOFLAGS", "-mod=readonly -modcacherw")
        .env("GOPATH", place.join("go-path"))
        .env("GOTOOLCHAIN", "local"));
    program
}

#[test]
fn everything_goes_through_it_and_comes_back() {
    let (from, second) = (Registry::start(), Second::start());
    Gallery::hang(&from);
    let station = Station::new();
    station.export("there.sealift", Gallery::references(&from));
    let first = station.import("there.sealift", &second.host, [""; 0]);
    assert!(!first.contains("sent 0 blobs"), "{first}");
    let again = station.import("there.sealift", &second.host, [""; 0]);
    assert!(again.contains("sent 0 blobs"), "{again}");

    let names = Gallery::references(&from);
    let names = names.iter().map(|name| name.replace(&from.host(), &second.host));
    station.export("back.sealift", names);
    let (there, back) = (held(&station, "there.sealift"), held(&station, "back.sealift"));
    let apart = |held: &BTreeMap<String, Held>| -> BTreeMap<String, BTreeSet<String>> {
        held.iter().map(|(name, held)| (name.clone(), held.by_name.clone())).collect()
    };
    assert_eq!(apart(&there), apart(&back));
    assert!(there.values().any(|held| held.by_name.len() > 1), "{there:?}");
    // What was found through a list under a tag is found through the registry's own list.
    assert!(there.values().all(|held| held.by_list.is_empty()), "{there:?}");
    assert!(back.values().any(|held| !held.by_list.is_empty()), "{back:?}");
}

/// Digests of an image and of what is attached to it.
#[derive(Debug, Default)]
struct Held {
    by_name: BTreeSet<String>,
    by_list: BTreeSet<String>,
}

/// What a bundle holds of each repository and tag. Not the list under a tag that stands in for the
/// referrers API: this registry needs none.
fn held(station: &Station, bundle: &str) -> BTreeMap<String, Held> {
    let told = station.sealift(["inspect", "--json", bundle]).json();
    let images = told["images"].as_array().unwrap().iter();
    let entry = |image: &Value| {
        let mut held = Held::default();
        for part in image["attached"].as_array().unwrap().iter().chain([image]) {
            let digest = part["digest"].as_str().unwrap().to_owned();
            match part["kind"].as_str() {
                Some("fallback-index") => continue,
                Some("referrer") => held.by_list.insert(digest),
                _ => held.by_name.insert(digest),
            };
        }
        let name = image["name"].as_str().unwrap();
        (name.split_once('/').unwrap().1.to_owned(), held)
    };
    images.map(entry).collect()
}

#[test]
fn podman_and_oras_pull_what_was_pushed_to_it() {
    let (from, second) = (Registry::start(), Second::start());
    Gallery::hang(&from);
    let station = Station::new();
    station.export("b.sealift", [format!("{}/plain/ordinary:1", from.host())]);
    station.import("b.sealift", &format!("{}/mirror", second.host), [""; 0]);
    let arrived = format!("{}/mirror/plain/ordinary:1", second.host);
    let tree = Tree::enter();
    let own = ["--root", "storage", "--runroot", "run", "--storage-driver", "vfs"];
    let pull = ["pull", "--quiet", "--tls-verify=false", &arrived];
    tree.run("podman", &[&own[..], &pull].concat());
    tree.run("oras", &["copy", "--from-plain-http", &arrived, "--to-oci-layout", "pulled:1"]);
    assert!(tree.path("pulled/index.json").exists());
}
