//! What docker-registry really keeps, read from its folder behind its back: the judge of whether
//! anything half done or wrong was left there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sealift::model::Digest;
use serde_json::Value;

use super::registry::Registry;

/// The storage of one registry (docker-registry's filesystem driver).
pub(crate) struct Vault(PathBuf);

impl Vault {
    pub(crate) fn of(registry: &Registry) -> Self {
        Self(registry.storage().join("docker/registry/v2"))
    }

    fn blob(&self, digest: &str) -> PathBuf {
        let (algorithm, hex) = digest.split_once(':').unwrap();
        self.0.join("blobs").join(algorithm).join(&hex[..2]).join(hex).join("data")
    }

    /// Every blob, hashed again: those whose bytes are not what their name says.
    pub(crate) fn damaged(&self) -> Vec<String> {
        let shards = entries(&self.0.join("blobs/sha256"));
        let blobs = shards.iter().flat_map(|shard| entries(shard));
        blobs
            .filter(|blob| {
                let hex = blob.file_name().unwrap().to_string_lossy();
                fs::read(blob.join("data")).is_ok_and(|bytes| Digest::of(&bytes).hex() != hex)
            })
            .map(|blob| blob.display().to_string())
            .collect()
    }

    /// Repositories whose names begin with `prefix` and a slash.
    fn repositories(&self, prefix: &str) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in entries(folder) {
                let name = entry.file_name().unwrap().to_string_lossy().into_owned();
                if name == "_manifests" {
                    found.push(folder.to_owned());
                } else if !name.starts_with('_') {
                    walk(&entry, found);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.0.join("repositories").join(prefix), &mut found);
        found
    }

    /// What the tags below `prefix` point to, by repository and tag.
    pub(crate) fn tags(&self, prefix: &str) -> BTreeMap<String, String> {
        let root = self.0.join("repositories").join(prefix);
        let mut tags = BTreeMap::new();
        for repository in self.repositories(prefix) {
            let name = repository.strip_prefix(&root).unwrap().display().to_string();
            for tag in entries(&repository.join("_manifests/tags")) {
                let tagged = format!("{name}:{}", tag.file_name().unwrap().to_string_lossy());
                tags.insert(tagged, fs::read_to_string(tag.join("current/link")).unwrap());
            }
        }
        tags
    }

    /// What the tags below `prefix` need, down to the last blob, and is not there.
    pub(crate) fn missing(&self, prefix: &str) -> Vec<String> {
        let mut missing = Vec::new();
        for repository in self.repositories(prefix) {
            for tag in entries(&repository.join("_manifests/tags")) {
                let digest = fs::read_to_string(tag.join("current/link")).unwrap();
                self.look(&repository, &digest, &mut missing);
            }
        }
        missing
    }

    fn look(&self, repository: &Path, digest: &str, missing: &mut Vec<String>) {
        let is_in = |list: &str, digest: &str| {
            let (algorithm, hex) = digest.split_once(':').unwrap();
            repository.join(list).join(algorithm).join(hex).join("link").exists()
                && self.blob(digest).exists()
        };
        if !is_in("_manifests/revisions", digest) {
            missing.push(format!("manifest {digest}"));
            return;
        }
        let manifest: Value =
            serde_json::from_slice(&fs::read(self.blob(digest)).unwrap()).unwrap();
        for child in manifest["manifests"].as_array().into_iter().flatten() {
            self.look(repository, child["digest"].as_str().unwrap(), missing);
        }
        let layers = manifest["layers"].as_array().into_iter().flatten();
        for blob in layers.chain(manifest.get("config")) {
            let digest = blob["digest"].as_str().unwrap();
            if !is_in("_layers", digest) {
                missing.push(format!("blob {digest}"));
            }
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
