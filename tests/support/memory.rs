//! Images in memory: a source that needs no network, no daemon and no disk.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use sealift::endpoint::{Attachment, Form, Root, Source};
use sealift::model::manifest::media;
use sealift::model::{Descriptor, Digest, Error, Result};

/// Blobs by digest, and the images that are made of them.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    pub(crate) blobs: HashMap<Digest, Arc<[u8]>>,
    pub(crate) roots: Vec<Root>,
    pub(crate) attachments: Vec<Attachment>,
}

impl Memory {
    /// Keeps bytes and describes them.
    pub(crate) fn put(&mut self, media_type: &str, bytes: &[u8]) -> Descriptor {
        let descriptor = Descriptor::of(media_type, bytes);
        self.blobs.insert(descriptor.digest, bytes.into());
        descriptor
    }

    /// Makes an image of finished layers, each with its plain form.
    pub(crate) fn image(
        &mut self,
        name: &str,
        architecture: &str,
        layers: &[(Descriptor, Digest)],
    ) -> Descriptor {
        let diff_ids: Vec<_> = layers.iter().map(|(_, diff_id)| diff_id).collect();
        let config = serde_json::json!({
            "os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = self.put(media::OCI_CONFIG, config.to_string().as_bytes());
        let list: Vec<_> = layers.iter().map(|(layer, _)| layer).collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "config": config, "layers": list,
        });
        let root = self.put(media::OCI_MANIFEST, manifest.to_string().as_bytes());
        if !name.is_empty() {
            self.name(name, &root);
        }
        root
    }

    /// Gives a root a name.
    pub(crate) fn name(&mut self, name: &str, descriptor: &Descriptor) {
        self.roots.push(Root {
            name: Some(name.parse().unwrap()),
            descriptor: descriptor.clone(),
            synthesized: false,
            from_index: None,
            origin: None,
        });
    }

    /// Keeps a tar as a layer, plain or compressed.
    pub(crate) fn layer(&mut self, tar: &[u8], media_type: &str) -> (Descriptor, Digest) {
        let bytes = match media_type {
            media::OCI_LAYER => tar.to_vec(),
            media::OCI_LAYER_GZIP => {
                let mut packed = Vec::new();
                sealift::codec::compression::gzip(tar).read_to_end(&mut packed).unwrap();
                packed
            }
            media::OCI_LAYER_ZSTD => zstd::encode_all(tar, 3).unwrap(),
            other => panic!("no layer of type {other}"),
        };
        (self.put(media_type, &bytes), Digest::of(tar))
    }
}

impl Source for Memory {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        Ok(self.roots.clone())
    }

    fn open(&self, blob: &Descriptor, _: Form) -> Result<Box<dyn Read + Send + '_>> {
        match self.blobs.get(&blob.digest) {
            Some(bytes) => Ok(Box::new(&bytes[..])),
            None => Err(Error::damaged(format!("memory has no {}", blob.digest))),
        }
    }

    fn attachments(&self, subject: &Descriptor) -> Result<Vec<Attachment>> {
        Ok(self.attachments.iter().filter(|a| a.subject == subject.digest).cloned().collect())
    }
}

/// Bytes that look random and are the same every time.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// A tar of files with these names and contents.
pub(crate) fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Files such as a package has: some text, some binary, one large.
pub(crate) fn package(seed: u64) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = (0..60)
        .map(|n| {
            let text = format!("file {n} of package {seed}\n").repeat(40 + (n * 7) % 90);
            (format!("usr/share/package-{seed}/file-{n}"), text.into_bytes())
        })
        .collect();
    files.push((format!("usr/bin/package-{seed}"), noise(seed, 700_000)));
    files
}
