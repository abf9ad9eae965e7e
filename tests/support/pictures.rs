//! An image written by hand, with everything that a registry may hold of it, pushed by skopeo.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift::model::manifest::media;
use sealift::model::{Descriptor, Digest};
use serde_json::{Value, json};

use super::registry::{Registry, run};

/// Type of the configuration of what is no image: two bytes, `{}` (OCI image specification,
/// "Guidance for an Empty Descriptor").
pub(crate) const EMPTY_CONFIG: &str = "application/vnd.oci.empty.v1+json";

/// An OCI layout directory that grows.
pub(crate) struct Layout {
    folder: tempfile::TempDir,
    entries: Vec<Value>,
}

impl Layout {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { folder, entries: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder.path().join("blobs/sha256").join(digest.hex())
    }

    pub(crate) fn add(&self, media_type: &str, bytes: &[u8]) -> Descriptor {
        let descriptor = Descriptor::of(media_type, bytes);
        fs::write(self.blob_path(&descriptor.digest), bytes).unwrap();
        descriptor
    }

    /// Adds a manifest with spaces in it, so that whoever writes it anew changes it.
    pub(crate) fn add_json(&self, media_type: &str, value: &Value) -> Descriptor {
        self.add(media_type, &serde_json::to_vec_pretty(value).unwrap())
    }

    /// An image of one platform: a configuration and layers.
    pub(crate) fn add_image(&self, architecture: &str, layers: &[Descriptor]) -> Descriptor {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.digest).collect();
        let config = self.add_json(
            media::OCI_CONFIG,
            &json!({
                "os": "linux",
                "architecture": architecture,
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
                "config": {},
            }),
        );
        let mut descriptor = self.add_json(
            media::OCI_MANIFEST,
            &json!({
                "schemaVersion": 2,
                "mediaType": media::OCI_MANIFEST,
                "config": config,
                "layers": layers,
            }),
        );
        descriptor.platform = Some(format!("linux/{architecture}").parse().unwrap());
        descriptor
    }

    pub(crate) fn name(&mut self, name: &str, descriptor: &Descriptor) {
        let mut entry = descriptor.clone();
        entry.platform = None;
        entry.annotations =
            BTreeMap::from([("org.opencontainers.image.ref.name".to_owned(), name.to_owned())]);
        self.entries.push(json!(entry));
        let index = json!({"schemaVersion": 2, "manifests": self.entries});
        fs::write(self.folder.path().join("index.json"), index.to_string()).unwrap();
    }

    /// Pushes what is named `name` to `target`, every platform and byte of it.
    pub(crate) fn push(&self, name: &str, target: &str, more: &[&str]) {
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--all", "--preserve-digests"])
            .arg("--dest-tls-verify=false")
            .args(more)
            .arg(format!("oci:{}:{name}", self.path().display()))
            .arg(format!("docker://{target}")));
    }

    /// Puts a manifest and everything below it into a repository, byte for byte: this skopeo
    /// writes artifacts and indexes that name some anew, so that they lose their digest.
    pub(crate) fn put(&self, to: &Registry, repository: &str, tag: &str, root: &Descriptor) {
        let place = format!("{}/v2/{repository}", to.url());
        let bytes = fs::read(self.blob_path(&root.digest)).unwrap();
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        let listed = |list: &str| -> Vec<Descriptor> {
            serde_json::from_value(manifest.get(list).cloned().unwrap_or(json!([]))).unwrap()
        };
        for child in listed("manifests") {
            self.put(to, repository, &child.digest.to_string(), &child);
        }
        let mut blobs = listed("layers");
        blobs.extend(manifest.get("config").cloned().map(|c| serde_json::from_value(c).unwrap()));
        blobs.sort_by_key(|blob| blob.digest.to_string());
        blobs.dedup_by_key(|blob| blob.digest);
        for blob in blobs.iter().filter(|blob| !blob.is_foreign()) {
            upload(&place, to.login(), self, blob);
        }
        run(curl(to.login())
            .args(["-X", "PUT", "-H", &format!("Content-Type: {}", root.media_type)])
            .args(["--data-binary", &format!("@{}", self.blob_path(&root.digest).display())])
            .arg(format!("{place}/manifests/{tag}")));
    }
}

/// What was pushed.
pub(crate) struct Pushed {
    pub(crate) layout: Layout,
    pub(crate) root: Descriptor,
    pub(crate) shared_layer: Descriptor,
    pub(crate) referrer: Descriptor,
    pub(crate) referrers_tag: String,
    pub(crate) signature_tag: String,
}

/// A two-platform image with a shared layer, a signature in the manner of cosign and an artifact
/// that refers to it, pushed to `host/repository:1`.
pub(crate) fn push(to: &Registry, repository: &str) -> Pushed {
    let host = to.host();
    let credentials = to.login().map(|(user, password)| format!("{user}:{password}"));
    let more: Vec<&str> =
        credentials.iter().flat_map(|pair| ["--dest-creds", pair.as_str()]).collect();
    let mut layout = Layout::new();
    let tar = media::OCI_LAYER;
    let shared_layer = layout.add(tar, &noise(1, 3 << 20));
    let own = layout.add(tar, &noise(2, 100_000));
    let amd64 = layout.add_image("amd64", &[shared_layer.clone(), own]);
    let arm64 = layout.add_image("arm64", &[shared_layer.clone(), shared_layer.clone()]);
    let root = layout.add_json(
        media::OCI_INDEX,
        &json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [amd64, arm64]}),
    );
    layout.name("image", &root);
    layout.push("image", &format!("{host}/{repository}:1"), &more);

    let signature = layout.add_image("amd64", &[layout.add(tar, b"signed")]);
    layout.name("signature", &signature);
    let signature_tag = format!("{}.sig", root.digest.as_tag());
    layout.push("signature", &format!("{host}/{repository}:{signature_tag}"), &more);

    let config = layout.add(EMPTY_CONFIG, b"{}");
    let content = layout.add("application/spdx+json", br#"{"spdxVersion":"SPDX-2.3"}"#);
    let mut referrer = layout.add_json(
        media::OCI_MANIFEST,
        &json!({
            "schemaVersion": 2,
            "mediaType": media::OCI_MANIFEST,
            "artifactType": "application/spdx+json",
            "config": &config,
            "layers": [&content],
            "subject": root,
            "annotations": {"made": "by hand"},
        }),
    );
    referrer.artifact_type = Some("application/spdx+json".into());
    referrer.annotations.insert("made".into(), "by hand".into());
    let list = layout.add_json(
        media::OCI_INDEX,
        &json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [&referrer]}),
    );
    // The list names the artifact, which goes with it.
    let referrers_tag = root.digest.as_tag();
    layout.put(to, repository, &referrers_tag, &list);
    Pushed { layout, root, shared_layer, referrer, referrers_tag, signature_tag }
}

/// A small image, pushed as `app:1`; its layer.
pub(crate) fn push_image(to: &Registry) -> Descriptor {
    let mut layout = Layout::new();
    let layer = layout.add(media::OCI_LAYER, &noise(3, 50_000));
    let image = layout.add_image("amd64", std::slice::from_ref(&layer));
    layout.name("image", &image);
    let credentials = to.login().map(|(user, password)| format!("{user}:{password}"));
    let more: Vec<&str> =
        credentials.iter().flat_map(|pair| ["--dest-creds", pair.as_str()]).collect();
    layout.push("image", &format!("{}/app:1", to.host()), &more);
    layer
}

fn curl(login: Option<(&str, &str)>) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--insecure"]);
    if let Some((user, password)) = login {
        command.args(["--user", &format!("{user}:{password}")]);
    }
    command
}

fn upload(place: &str, login: Option<(&str, &str)>, layout: &Layout, blob: &Descriptor) {
    let session = run(curl(login)
        .args(["-X", "POST", "-o", "/dev/null", "-w", "%header{location}"])
        .arg(format!("{place}/blobs/uploads/")));
    let session = String::from_utf8(session).unwrap();
    run(curl(login)
        .args(["-X", "PUT", "-H", "Content-Type: application/octet-stream"])
        .args(["--data-binary", &format!("@{}", layout.blob_path(&blob.digest).display())])
        .arg(format!("{}&digest={}", session.trim(), blob.digest)));
}

/// Bytes that do not compress, the same for the same seed (xorshift).
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The manifest behind a name, byte for byte, as skopeo sees it.
pub(crate) fn raw(name: &str) -> Vec<u8> {
    run(Command::new("skopeo")
        .args(["--insecure-policy", "inspect", "--raw", "--tls-verify=false"])
        .arg(format!("docker://{name}")))
}
