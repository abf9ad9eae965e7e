//! Many small images in a registry, and a look at everything that a registry holds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use sealift::model::Digest;
use serde_json::Value;

use super::judge;
use super::registry::{Registry, run};

/// Writes so many images of thirteen blobs each straight into the storage of a registry, and gives
/// their references. Ten blobs of each are its own, three are shared by all of its repository.
pub(crate) fn fill(registry: &Registry, images: usize, repositories: usize) -> Vec<String> {
    let names = run(Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/many.py"))
        .arg(registry.storage())
        .args([images.to_string(), repositories.to_string()]));
    let names = String::from_utf8(names).unwrap();
    names.lines().map(|name| format!("{}/{name}", registry.host())).collect()
}

/// Every tag of a registry with the digest that it points to. What it points to is there, whole:
/// every manifest and every blob is fetched and hashed.
pub(crate) fn whole(registry: &Registry) -> BTreeMap<String, Digest> {
    let mut tags = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for repository in judge::repositories(registry) {
        for tag in judge::tags(registry, &repository) {
            let raw = get(registry, &format!("/v2/{repository}/manifests/{tag}"));
            let raw = raw.unwrap_or_else(|| panic!("{repository}:{tag} points nowhere"));
            tags.insert(format!("{repository}:{tag}"), Digest::of(&raw));
            walk(registry, &repository, &raw, &mut seen);
        }
    }
    tags
}

/// What a manifest names is there.
fn walk(registry: &Registry, repository: &str, raw: &[u8], seen: &mut BTreeSet<String>) {
    let manifest: Value = serde_json::from_slice(raw).unwrap();
    let mut fetch = |digest: &Value, kind: &str| {
        let path = format!("/v2/{repository}/{kind}/{}", digest.as_str().unwrap());
        if !seen.insert(path.clone()) {
            return None;
        }
        let content = get(registry, &path).unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(Digest::of(&content).to_string(), digest.as_str().unwrap(), "{path}");
        Some(content)
    };
    let here = |blob: &&Value| blob.get("urls").is_none();
    let layers = manifest["layers"].as_array().into_iter().flatten();
    for blob in layers.chain(manifest.get("config")).filter(here) {
        fetch(&blob["digest"], "blobs");
    }
    let children = manifest["manifests"].as_array().into_iter().flatten();
    let children: Vec<_> =
        children.filter_map(|child| fetch(&child["digest"], "manifests")).collect();
    for child in children {
        walk(registry, repository, &child, seen);
    }
}

/// The body of an answer; `None` for 404.
fn get(registry: &Registry, path: &str) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(registry.host()).unwrap();
    let accept = [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ];
    let (host, accept) = (registry.host(), accept.join(", "));
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    match head.split(' ').nth(1) {
        Some("200") => Some(answer.split_off(end + 4)),
        Some("404") => None,
        _ => panic!("{path}: {head}"),
    }
}
