//! Sets of volumes that are made of a bundle in one volume, cut wherever a test wants it, by somebody
//! who can sign.

use std::path::{Path, PathBuf};

use sealift::bundle::{Manifest, PackEntry, Preset};
use sealift::model::manifest::media;

use crate::Bench;
use crate::contents::Choice;
use crate::memory::{Memory, noise, tar};
use crate::resealed::put_member;

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

/// The volumes of a bundle that is cut before these packs, and gets another name.
pub(crate) fn split(bench: &Bench, path: &Path, cuts: &[usize], set: &str) -> Vec<Vec<u8>> {
    let bundle = bench.open(path);
    let mut manifest: Manifest = bundle.contents().manifest.clone();
    set.clone_into(&mut manifest.set);
    let bytes = std::fs::read(path).unwrap();
    let content = |entry: &PackEntry| {
        let at = entry.data_offset() as usize;
        &bytes[at..at + entry.size as usize]
    };
    let readme = &bytes[512..512 + manifest.readme.size as usize];
    let (time, ends) = (manifest.created, cuts.iter().copied().chain([manifest.packs.len()]));
    let begin = |number: u64| {
        let mut volume = Vec::new();
        put_member(&mut volume, "README.txt", readme, time);
        let text = format!("sealift volume 1\nset {}\nnumber {number}\n", manifest.set);
        put_member(&mut volume, "volume", text.as_bytes(), time);
        volume
    };
    let (packs, mut from) = (manifest.packs.clone(), 0);
    let (mut volumes, mut placed) = (Vec::new(), Vec::new());
    for (end, number) in ends.zip(1..) {
        let mut volume = begin(number);
        for pack in &packs[from..end] {
            placed.push(PackEntry { volume: number, offset: volume.len() as u64, ..*pack });
            put_member(
                &mut volume,
                &format!("packs/{}.zst", pack.digest.hex()),
                content(pack),
                time,
            );
        }
        from = end;
        volumes.push(volume);
    }
    let count = volumes.len();
    for volume in &mut volumes[..count - 1] {
        volume.extend([0; 1024]);
    }
    let last = volumes.last_mut().unwrap();
    let index = manifest.index;
    manifest.index = PackEntry { volume: count as u64, offset: last.len() as u64, ..index };
    put_member(last, &format!("index/{}.zst", index.digest.hex()), content(&index), time);
    manifest.packs = placed;
    let one = manifest.volumes[0];
    manifest.volumes.clear();
    for (volume, number) in volumes.iter().zip(1..) {
        let mut entry = one;
        (entry.number, entry.size) = (number, volume.len() as u64);
        manifest.volumes.push(entry);
    }
    seal(bench, volumes.last_mut().unwrap(), &manifest);
    volumes
}

/// Ends a last volume.
fn seal(bench: &Bench, volume: &mut Vec<u8>, manifest: &Manifest) {
    let (key, time) = (bench.key(), manifest.created);
    let mut sealed = b"sealift manifest 1\n".to_vec();
    serde_json::to_writer_pretty(&mut sealed, manifest).unwrap();
    sealed.push(b'\n');
    let at = volume.len();
    put_member(volume, "manifest", &sealed, time);
    put_member(volume, &format!("signatures/{}.sig", key.public().id()), &key.sign(&sealed), time);
    put_member(volume, "tail", format!("sealift tail 1\nmanifest {at:020}\n").as_bytes(), time);
    volume.extend([0; 1024]);
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
        assert!(packs(&bench, &whole) >= 4);
        let volumes = split(&bench, &whole, &[2, 3], &"a".repeat(32));
        let folder = bench.path("set");
        let set = Self { bench, images, volumes, folder };
        set.write();
        set
    }

    /// The same under another name.
    pub(crate) fn other(&self) -> Vec<Vec<u8>> {
        split(&self.bench, &self.bench.path("whole.sealift"), &[2, 3], &"b".repeat(32))
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

fn packs(bench: &Bench, path: &Path) -> usize {
    bench.open(path).contents().manifest.packs.len()
}
