//! Bundles whose index was changed by somebody who can sign.

use std::ops::Range;
use std::path::Path;

use sealift::bundle::{Manifest, Run};
use sealift::model::Digest;
use sealift::trust::SecretKey;

use crate::Bench;

/// The parts of a bundle that come before its index, and the index, open.
pub(crate) struct Resealed {
    packs: Vec<u8>,
    pub(crate) index: Vec<u8>,
    manifest: Manifest,
    key: SecretKey,
}

impl Resealed {
    pub(crate) fn of(bench: &Bench, path: &Path) -> Self {
        let bundle = bench.open(path);
        let manifest = bundle.contents().manifest.clone();
        let mut packs = std::fs::read(path).unwrap();
        let at = manifest.index.data_offset() as usize;
        let stored = &packs[at..at + manifest.index.size as usize];
        let index = zstd::decode_all(stored).unwrap();
        packs.truncate(manifest.index.offset as usize);
        Self { packs, index, manifest, key: bench.key() }
    }

    /// Where these bytes stand in the index; they stand there once.
    pub(crate) fn find(&self, bytes: &[u8]) -> Range<usize> {
        let mut found = (0..).zip(self.index.windows(bytes.len())).filter(|(_, at)| *at == bytes);
        let (at, _): (usize, _) = found.next().expect("it is in the index");
        assert!(found.next().is_none(), "it is in the index once");
        at..at + bytes.len()
    }

    /// Where these runs stand in the index.
    pub(crate) fn find_runs(&self, runs: &[Run]) -> Range<usize> {
        let mut bytes = number(runs.len() as u64);
        let mut end = 0;
        for run in runs {
            let step = i64::from(run.first) - end;
            bytes.extend(number(((step << 1) ^ (step >> 63)).cast_unsigned()));
            bytes.extend(number(u64::from(run.count)));
            end = i64::from(run.first) + i64::from(run.count);
        }
        self.find(&bytes)
    }

    /// The bundle with another index, sealed by the same key.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut index = self.index.clone();
        change(&mut index);
        self.sealed(&index, |_| ())
    }

    /// The bundle with a manifest that says something else, sealed by the same key.
    pub(crate) fn with_manifest(&self, change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
        self.sealed(&self.index, change)
    }

    fn sealed(&self, index: &[u8], change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
        let mut packer = zstd::bulk::Compressor::new(3).unwrap();
        packer.include_checksum(true).unwrap();
        let stored = packer.compress(index).unwrap();
        let mut manifest = self.manifest.clone();
        manifest.index.size = stored.len() as u64;
        manifest.index.content = index.len() as u64;
        manifest.index.digest = Digest::of(&stored);
        let mut bytes = self.packs.clone();
        let time = manifest.created;
        let name = format!("index/{}.zst", manifest.index.digest.hex());
        put_member(&mut bytes, &name, &stored, time);
        let manifest_at = bytes.len() as u64;
        manifest.volumes[0].size = manifest_at;
        change(&mut manifest);
        let mut sealed = b"sealift manifest 1\n".to_vec();
        serde_json::to_writer_pretty(&mut sealed, &manifest).unwrap();
        sealed.push(b'\n');
        put_member(&mut bytes, "manifest", &sealed, time);
        let signature = format!("signatures/{}.sig", self.key.public().id());
        put_member(&mut bytes, &signature, &self.key.sign(&sealed), time);
        let tail = format!("sealift tail 1\nmanifest {manifest_at:020}\n");
        put_member(&mut bytes, "tail", tail.as_bytes(), time);
        bytes.extend([0; 1024]);
        bytes
    }
}

/// As the index writes numbers (unsigned LEB128).
pub(crate) fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Appends a member.
pub(crate) fn put_member(bytes: &mut Vec<u8>, name: &str, content: &[u8], time: u64) {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(time);
    header.set_size(content.len() as u64);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    bytes.extend(header.as_bytes());
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
}
