//! Compares what two registries hold, with other people's tools and no knowledge of what was put
//! there: skopeo reads every manifest, curl asks for every blob.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::pictures::raw;
use super::registry::{Registry, run};

/// What was found the same on both sides.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) tags: usize,
    /// Of all repositories, each counted where it lies.
    pub(crate) manifests: usize,
    pub(crate) blobs: usize,
}

/// Everything in every repository of `from` is in `to`, below `prefix`, byte for byte under the
/// same tags, and nothing else is there.
pub(crate) fn same(from: &Registry, to: &Registry, prefix: &str) -> Verdict {
    let repositories = repositories(from);
    let expected: BTreeSet<String> =
        repositories.iter().map(|repository| format!("{prefix}{repository}")).collect();
    assert_eq!(self::repositories(to), expected);
    let mut verdict = Verdict { tags: 0, manifests: 0, blobs: 0 };
    for repository in repositories {
        let there = format!("{prefix}{repository}");
        let tags = tags(from, &repository);
        assert_eq!(self::tags(to, &there), tags, "{repository}");
        let mut found = Found::default();
        for tag in &tags {
            found.compare(from, to, &repository, &there, &format!(":{tag}"));
        }
        for (digest, size) in &found.blobs {
            let arrived = blob_size(to, &there, digest);
            assert_eq!(arrived, Some(*size), "{there}@{digest}");
        }
        verdict.tags += tags.len();
        verdict.manifests += found.manifests.len();
        verdict.blobs += found.blobs.len();
    }
    verdict
}

/// What the manifests of a repository name.
#[derive(Default)]
struct Found {
    manifests: BTreeSet<Vec<u8>>,
    blobs: BTreeMap<String, u64>,
}

impl Found {
    fn compare(
        &mut self,
        from: &Registry,
        to: &Registry,
        repository: &str,
        there: &str,
        reference: &str,
    ) {
        let bytes = raw(&format!("{}/{repository}{reference}", from.host()));
        let arrived = raw(&format!("{}/{there}{reference}", to.host()));
        assert!(arrived == bytes, "{repository}{reference} differs");
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        if !self.manifests.insert(bytes) {
            return;
        }
        for child in manifest["manifests"].as_array().into_iter().flatten() {
            let reference = format!("@{}", child["digest"].as_str().unwrap());
            self.compare(from, to, repository, there, &reference);
        }
        let layers = manifest["layers"].as_array().into_iter().flatten();
        let here = |blob: &&Value| blob.get("urls").is_none();
        for blob in layers.chain(manifest.get("config")).filter(here) {
            let digest = blob["digest"].as_str().unwrap().to_owned();
            self.blobs.insert(digest, blob["size"].as_u64().unwrap());
        }
    }
}

/// What is filed under a registry's repositories.
pub(crate) fn repositories(registry: &Registry) -> BTreeSet<String> {
    list(&format!("{}/v2/_catalog?n=1000", registry.url()), "repositories")
}

/// The tags of a repository; none where it holds no manifest or is not there.
pub(crate) fn tags(registry: &Registry, repository: &str) -> BTreeSet<String> {
    list(&format!("{}/v2/{repository}/tags/list", registry.url()), "tags")
}

fn list(url: &str, name: &str) -> BTreeSet<String> {
    let answer = run(Command::new("curl").args(["--silent", "--show-error", url]));
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    if answer["errors"][0]["code"] == "NAME_UNKNOWN" {
        return BTreeSet::new();
    }
    serde_json::from_value(answer[name].clone()).unwrap()
}

/// The size of a blob as the registry says it; `None` where it has none.
pub(crate) fn blob_size(registry: &Registry, repository: &str, digest: &str) -> Option<u64> {
    let url = format!("{}/v2/{repository}/blobs/{digest}", registry.url());
    let answer = run(Command::new("curl")
        .args(["--silent", "--show-error", "--head", "-o", "/dev/null"])
        .args(["-w", "%{http_code} %header{content-length}", &url]));
    let answer = String::from_utf8(answer).unwrap();
    answer.strip_prefix("200 ").map(|size| size.trim().parse().unwrap())
}
