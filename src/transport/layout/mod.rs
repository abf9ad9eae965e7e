//! OCI image layouts: a directory with `oci-layout`, `index.json` and `blobs/ALGORITHM/HEX`
//! (OCI image specification, image-layout.md).
//!
//! [`LayoutSource`] reads one, [`LayoutTarget`] adds to one. What `index.json` says and which names
//! it gives is in [`index`], what has to be written to hold a set of images in [`plan`]; archives
//! are layouts inside a tar and use both. Nothing here writes outside of the directory, and nothing
//! is read through a link that leads out of it.
//!
//! # Names
//!
//! An entry of `index.json` is named by the annotation `io.containerd.image.name`, else by
//! `org.opencontainers.image.ref.name`: the latter is a whole reference (`h.example/app:1`), or
//! only a tag, which then belongs to `localhost/DIRECTORY`. An entry without either has no name and
//! travels by its digest. Entries written here carry both annotations with the whole name, so that
//! several images fit in one layout and `skopeo copy oci:DIR:NAME` finds each.

pub(crate) mod index;
pub(crate) mod plan;
mod source;
mod target;

pub use source::LayoutSource;
pub use target::LayoutTarget;

/// The file that makes a directory a layout.
pub(crate) const MARKER: &str = "oci-layout";
/// Its content: there is one version, and it stays.
pub(crate) const MARKER_BYTES: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The file that lists the images.
pub(crate) const INDEX: &str = "index.json";

/// Where a blob lies, relative to the layout; with slashes, as tars want it.
pub(crate) fn blob_path(digest: &crate::model::Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// Checks `oci-layout`.
pub(crate) fn check_marker(bytes: &[u8], place: &str) -> crate::model::Result<()> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    let marker: Marker = crate::model::json::parse_strict(bytes, &format!("{MARKER} of {place}"))?;
    if marker.image_layout_version.split('.').next() == Some("1") {
        return Ok(());
    }
    Err(crate::model::Error::malformed(format!(
        "{place} is an image layout of version {:?}, only version 1 is known",
        marker.image_layout_version
    )))
}
