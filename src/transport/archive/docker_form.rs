//! docker's own form: `manifest.json`, and the OCI manifest that stands for an image which has
//! none.
//!
//! Source: moby `image/tarexport` (the manifest items) and, for the manifest that docker 25 and
//! later synthesise when they save from the classic store, the bytes that they write: ours are the
//! same, so that an image has one digest whichever daemon it was saved from.

use serde::{Deserialize, Serialize};

use crate::model::manifest::media;
use crate::model::{Descriptor, Digest, Error, Result, json};

/// The name of the list of images.
pub(crate) const MANIFEST: &str = "manifest.json";

/// One image of `manifest.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Item {
    /// File of the configuration.
    pub(crate) config: String,
    /// Names; null for an image without one.
    #[serde(default)]
    pub(crate) repo_tags: Option<Vec<String>>,
    /// Files of the layers, base first.
    #[serde(default, deserialize_with = "null_is_none")]
    pub(crate) layers: Vec<String>,
    /// Written by docker 25 and later when it saves from the classic store.
    #[serde(default, skip_serializing)]
    layer_sources: Option<serde::de::IgnoredAny>,
}

impl Item {
    /// An image to be written.
    pub(crate) fn new(config: String, repo_tags: Vec<String>, layers: Vec<String>) -> Self {
        let repo_tags = (!repo_tags.is_empty()).then_some(repo_tags);
        Self { config, repo_tags, layers, layer_sources: None }
    }

    /// Whether the manifest that comes with this image was made up by the daemon that saved it.
    pub(crate) fn is_from_classic_store(&self) -> bool {
        self.layer_sources.is_some()
    }
}

/// Go writes an empty list as null.
fn null_is_none<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Reads a `manifest.json`.
pub(crate) fn parse_items(bytes: &[u8], place: &str) -> Result<Vec<Item>> {
    let items: Vec<Item> = json::parse_strict(bytes, &format!("{MANIFEST} of {place}"))?;
    if items.len() > crate::model::limits::LISTED_IMAGES {
        return Err(Error::malformed(format!("{place} lists too many images")));
    }
    Ok(items)
}

/// Writes a `manifest.json`.
pub(crate) fn write_items(items: &[Item]) -> Vec<u8> {
    serde_json::to_vec(items).unwrap_or_default()
}

/// The field order is docker's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Part<'a>,
    layers: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
}

/// The OCI manifest for a configuration and its layers; always the same bytes for the same parts.
pub(crate) fn synthesize(config: &Descriptor, layers: &[Descriptor]) -> Vec<u8> {
    fn part(descriptor: &Descriptor) -> Part<'_> {
        Part {
            media_type: &descriptor.media_type,
            digest: &descriptor.digest,
            size: descriptor.size,
        }
    }
    let made = Made {
        schema_version: 2,
        media_type: media::OCI_MANIFEST,
        config: part(config),
        layers: layers.iter().map(part).collect(),
    };
    serde_json::to_vec(&made).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_the_bytes_of_docker_26() {
        let theirs = concat!(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
            r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:9697316a7cb0b65ab1309ffda178ec3eca8005bdc07728971b525c021c912dab","size":1636},"#,
            r#""layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:5ba34bd090e8b091174b7939860c93330f4fe81b328bc9b4907e8435517a9c48","size":1075200},"#,
            r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:a98163e04b2ec943398207fcd435025b9c9b20a58d39dc6f5cee925c92856f71","size":2048}]}"#
        );
        let digest = |hex: &str| format!("sha256:{hex}").parse().unwrap();
        let config = Descriptor::new(
            media::OCI_CONFIG,
            digest("9697316a7cb0b65ab1309ffda178ec3eca8005bdc07728971b525c021c912dab"),
            1636,
        );
        let layers = [
            ("5ba34bd090e8b091174b7939860c93330f4fe81b328bc9b4907e8435517a9c48", 1_075_200),
            ("a98163e04b2ec943398207fcd435025b9c9b20a58d39dc6f5cee925c92856f71", 2048),
        ]
        .map(|(hex, size)| Descriptor::new(media::OCI_LAYER, digest(hex), size));
        let ours = synthesize(&config, &layers);
        assert_eq!(String::from_utf8(ours.clone()).unwrap(), theirs);
        assert_eq!(
            Digest::of(&ours),
            digest("2a98e944a12f3d12df8285339ee7439422bfa209fbeb202c2003c36d8f1cd340")
        );
    }

    #[test]
    fn items_are_read_as_docker_writes_them() {
        let items = parse_items(
            br#"[{"Config":"a.json","RepoTags":null,"Layers":null,"Parent":"x"}]"#,
            "t",
        );
        assert!(items.unwrap()[0].layers.is_empty());
        let items = parse_items(
            br#"[{"Config":"a.json","RepoTags":["a:1"],"Layers":["x/layer.tar"],"LayerSources":{}}]"#,
            "t",
        )
        .unwrap();
        assert!(items[0].is_from_classic_store());
        assert_eq!(
            write_items(&items),
            br#"[{"Config":"a.json","RepoTags":["a:1"],"Layers":["x/layer.tar"]}]"#
        );
    }
}
