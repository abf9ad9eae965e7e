//! Sets of volumes that are made of a bundle in one volume, cut wherever a test wants it, by somebody
//! who can sign.

use std::path::{Path, PathBuf};

use sealift::bundle::Preset;
use sealift::model::manifest::media;

use crate::Bench;
use crate::contents::Choice;
use crate::forge::Forge;
use crate::memory::{Memory, noise, tar};

/// Images with nothing in common, each of more than a pack.
pub(crate) fn three_images() -> Memory {
    let mut memory = Memory::default();
    for n in 0..3 {
        let content = tar(&[("file".into(), noise(n + 1, 5_000_000))]);
        let layer = memory.layer(&content, media::OCI_LAYER);
        memory.image(&format!("h.example/app:{n}"), "amd64", &[layer]);
    }
    memory
}

/// Three volumes of a bundle, which gets another name: with two packs, with one, with the rest.
fn split(bench: &Bench, path: &Path, set: &str) -> Vec<Vec<u8>> {
    let whole = Forge::of(&std::fs::read(path).unwrap());
    let packs = whole.pack_count();
    assert!(packs >= 4);
    whole.with_set(set).spread(&[2, 1, packs - 3]).sealed_set(&[bench.key()])
}

/// A set in a folder of its own, beside the key.
pub(crate) struct Set {
    pub(crate) bench: Bench,
    pub(crate) images: Memory,
    pub(crate) volumes: Vec<Vec<u8>>,
    pub(crate) folder: PathBuf,
}

impl Set {
    /// Three images in three volumes. The first image needs nothing of the second volume, the others
    /// do.
    pub(crate) fn new() -> Self {
        let (bench, images) = (Bench::new(), three_images());
        let whole = bench.path("whole.sealift");
        let choice = Choice { preset: Preset::Fast, ..Choice::default() };
        bench.write(images.clone(), &whole, choice);
        let volumes = split(&bench, &whole, &"a".repeat(32));
        let folder = bench.path("set");
        let set = Self { bench, images, volumes, folder };
        set.write();
        set
    }

    /// The same under another name.
    pub(crate) fn other(&self) -> Vec<Vec<u8>> {
        split(&self.bench, &self.bench.path("whole.sealift"), &"b".repeat(32))
    }

    /// Writes all volumes, as they were.
    pub(crate) fn write(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        std::fs::create_dir(&self.folder).unwrap();
        for (bytes, number) in self.volumes.iter().zip(1..) {
            std::fs::write(self.file(number), bytes).unwrap();
        }
    }

    pub(crate) fn file(&self, number: usize) -> PathBuf {
        self.folder.join(format!("app.{number:03}.sealift"))
    }

    pub(crate) fn name(n: usize) -> String {
        format!("h.example/app:{n}")
    }
}
