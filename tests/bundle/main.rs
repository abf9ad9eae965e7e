//! The bundle, through the library: what goes in comes out, nothing else does.

#[path = "../support/coverage.rs"]
mod coverage;
#[path = "../support/forge.rs"]
#[allow(dead_code)]
mod forge;
#[path = "../support/memory.rs"]
mod memory;
#[path = "../support/volume.rs"]
mod volume;

mod contents;
mod damage;
mod deltas;
mod media;
mod packing;
mod parity;
mod read_back;
mod reader;
mod receipts;
mod remake;
mod resealed;
mod resume;
mod round_trip;
mod sealing;
mod sets;
mod shared_folder;
mod split;
mod strange;
mod volumes;
mod vouching;

use std::path::{Path, PathBuf};

use memory::Memory;
use sealift::bundle::{Preset, WriterOptions};
use sealift::endpoint::{Origin, Silent, Source};
use sealift::operation::export::{self, Report};
use sealift::operation::gather::Wanted;
use sealift::trust::{SecretKey, Trust};

/// A folder with a key pair and a trust in it.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) trust: Trust,
    key_file: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretKey::generate().unwrap();
        let key_file = folder.path().join("key.pem");
        sealift::codec::atomic::write_file(&key_file, 0o600, key.to_pem(None).unwrap().as_bytes())
            .unwrap();
        let public = folder.path().join("key.pub");
        std::fs::write(&public, key.public().to_pem().unwrap()).unwrap();
        Self { trust: Trust::from_files(&[public]).unwrap(), folder, key_file }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn key(&self) -> SecretKey {
        SecretKey::load(&self.key_file, &mut || unreachable!("the key has no passphrase")).unwrap()
    }

    pub(crate) fn export(&self, memory: Memory, output: &Path, threads: usize) -> Report {
        export::export(self.request(memory, output, threads, None), &Silent).unwrap()
    }

    /// An export of everything that a source has. What else is wanted of it, a test says.
    pub(crate) fn request(
        &self,
        source: impl Source + 'static,
        output: &Path,
        threads: usize,
        volume_size: Option<u64>,
    ) -> export::Request<'_> {
        export::Request {
            origins: vec![Origin::Source(Box::new(source))],
            wanted: Wanted { platforms: Vec::new(), attachments: true },
            output: output.to_owned(),
            signers: vec![self.key()],
            writer: WriterOptions {
                created: 1_700_000_000,
                set: "0".repeat(32),
                threads,
                preset: Preset::default(),
                temporary: std::env::temp_dir(),
                volume_size,
                imprint: false,
            },
            recipients: None,
            base: None,
            dating: sealift::operation::freshness::Dating::default(),
            resume: false,
            parity: None,
            temporary: self.folder.path(),
        }
    }
}
