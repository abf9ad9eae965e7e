//! A bundle over several volumes: each is a plain tar within its limit, holds whole packs, and is
//! what the signed manifest in the last one says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sealift::bundle::{Occupied, Preset, SMALLEST_VOLUME};
use sealift::endpoint::Silent;
use sealift::model::manifest::media;
use sealift::model::{Digest, Kind, Result};
use sealift::operation::export::{self, Report};
use serde_json::Value;

use crate::Bench;
use crate::contents::{Files, go_gzip, gzip_layer, letters, odd_gzip, restores, text};
use crate::memory::{Memory, noise, tar};

/// About four megabytes that do not shrink, some text, a layer that is carried as it came.
pub(crate) fn images() -> Memory {
    let mut memory = Memory::default();
    for seed in 1..4 {
        let name = |n: u64| format!("usr/lib/{}/{}", letters(seed), letters(n));
        let files: Files = (0..8)
            .map(|n| (name(n), noise(seed * 100 + n, 150_000)))
            .chain((8..12).map(|n| (name(n), text(seed * 100 + n, 60_000))))
            .collect();
        let plain = tar(&files);
        let layers = [gzip_layer(&mut memory, &plain, &go_gzip(&plain, 6)), {
            let odd = tar(&[(name(20), noise(seed * 100 + 20, 300_000))]);
            gzip_layer(&mut memory, &odd, &odd_gzip(&odd))
        }];
        memory.image(&format!("h.example/app:{seed}"), "amd64", &layers);
    }
    let layer = memory.layer(&tar(&[("etc/x".to_owned(), text(9, 1000))]), media::OCI_LAYER);
    memory.image("h.example/small:1", "amd64", &[layer]);
    memory
}

impl Bench {
    pub(crate) fn volumes(
        &self,
        memory: Memory,
        output: &Path,
        threads: usize,
        volume_size: Option<u64>,
    ) -> Result<Report> {
        export::export(self.request(memory, output, threads, volume_size), &Silent)
    }
}

/// The files of a folder and what is in them.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let name = |entry: &std::fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| (name(&entry), std::fs::read(entry.path()).unwrap())).collect()
}

/// The members of a volume: where each header begins, its name and its content. Nothing but the
/// end of a tar follows them.
fn members(volume: &[u8]) -> Vec<(usize, String, Vec<u8>)> {
    let mut members = Vec::new();
    let mut at = 0;
    while volume[at] != 0 {
        let header = tar::Header::from_byte_slice(&volume[at..at + 512]);
        let size = header.entry_size().unwrap() as usize;
        let name = header.path().unwrap().to_str().unwrap().to_owned();
        members.push((at, name, volume[at + 512..at + 512 + size].to_vec()));
        at += 512 + size.next_multiple_of(512);
    }
    assert_eq!(volume.len() - at, 1024);
    assert!(volume[at..].iter().all(|&byte| byte == 0));
    members
}

/// Walks over the volumes of a set and compares each with what the last one says. Gives the
/// manifest.
fn walk(volumes: &[Vec<u8>]) -> Value {
    let tail = members(volumes.last().unwrap());
    let names: Vec<&str> = tail.iter().rev().take(3).map(|(_, name, _)| &**name).collect();
    assert!(names[0] == "tail" && names[1].starts_with("signatures/") && names[2] == "manifest");
    let (manifest_at, _, manifest) = &tail[tail.len() - 3];
    let json = manifest.strip_prefix(b"sealift manifest 1\n").unwrap();
    let manifest: Value = serde_json::from_slice(json).unwrap();
    let mut frames = manifest["packs"].as_array().unwrap().clone();
    frames.push(manifest["index"].clone());
    let mut frames = frames.iter();
    assert_eq!(manifest["volumes"].as_array().unwrap().len(), volumes.len());
    for (number, volume) in (1..).zip(volumes) {
        let is_last = number == volumes.len();
        let entry = &manifest["volumes"][number - 1];
        let size = if is_last { *manifest_at } else { volume.len() };
        assert_eq!(
            (entry["number"].as_u64(), entry["size"].as_u64()),
            (Some(number as u64), Some(size as u64))
        );
        let members = members(volume);
        assert_eq!(members[0].1, "README.txt");
        let text = format!("sealift volume 1\nset {}\nnumber {number}\n", "0".repeat(32));
        assert_eq!((&*members[1].1, &*members[1].2), ("volume", text.as_bytes()));
        let packs = members[2..].iter().filter(|(at, ..)| !is_last || at < manifest_at);
        for (at, name, content) in packs {
            let frame = frames.next().unwrap();
            let digest = Digest::of(content);
            assert_eq!(frame["volume"].as_u64(), Some(number as u64));
            assert_eq!(frame["offset"].as_u64(), Some(*at as u64));
            assert_eq!(frame["digest"].as_str(), Some(&*digest.to_string()));
            assert!(name.ends_with(&format!("/{}.zst", digest.hex())), "{name}");
        }
    }
    assert_eq!(frames.next(), None);
    manifest
}

fn paths(report: &Report) -> Vec<PathBuf> {
    report.sealed.volumes.iter().map(|volume| volume.path.clone()).collect()
}

#[test]
fn each_volume_is_a_tar_within_its_limit() {
    let bench = Bench::new();
    let out = bench.path("out");
    std::fs::create_dir(&out).unwrap();
    let report = bench.volumes(images(), &out.join("app.sealift"), 2, Some(1 << 20)).unwrap();
    let files = files(&out);
    let expected: Vec<String> =
        (1..=files.len()).map(|number| format!("app.{number:03}.sealift")).collect();
    assert!(files.len() > 3, "{} volumes", files.len());
    assert!(files.keys().eq(&expected), "{:?}", files.keys());
    assert_eq!(paths(&report), expected.iter().map(|name| out.join(name)).collect::<Vec<_>>());
    let volumes: Vec<Vec<u8>> = files.into_values().collect();
    for volume in &volumes {
        assert!(volume.len() <= 1 << 20, "{}", volume.len());
    }
    // None has room left for another pack of the size that packs have.
    for volume in &volumes[..volumes.len() - 2] {
        assert!(volume.len() > (1 << 20) - (300 << 10), "{}", volume.len());
    }
    assert_eq!(report.sealed.bytes, volumes.iter().map(|volume| volume.len() as u64).sum::<u64>());
    restores(&bench.open(&out), &images());
    let manifest = walk(&volumes);
    assert_eq!(manifest["encoder"]["volumeSize"].as_u64(), Some(1 << 20));
    assert_eq!(manifest["encoder"]["packContent"].as_u64(), Some(1 << 18));
}

#[test]
fn the_bytes_depend_on_no_thread() {
    let bench = Bench::new();
    let volumes = |threads| {
        let out = bench.path(&format!("out{threads}"));
        std::fs::create_dir(&out).unwrap();
        bench.volumes(images(), &out.join("app.sealift"), threads, Some(1_500_000)).unwrap();
        files(&out)
    };
    let one = volumes(1);
    assert!(one.len() > 2);
    assert!(one == volumes(7));
}

/// A limit that is just met, and one byte less.
#[test]
fn a_volume_may_be_exactly_as_large_as_its_limit() {
    let bench = Bench::new();
    let mut memory = Memory::default();
    let layer = memory.layer(&tar(&[("x".to_owned(), noise(5, 17 << 20))]), media::OCI_LAYER);
    memory.image("h.example/a:1", "amd64", &[layer]);
    let export = |limit: u64| {
        let out = tempfile::tempdir_in(bench.folder.path()).unwrap();
        let path = out.path().join("a.sealift");
        let mut request = bench.request(memory.clone(), &path, 2, Some(limit));
        // Packs of 4 MiB: the limit does not make them smaller, so the lengths can be met exactly.
        request.writer.preset = Preset::Fast;
        let report = export::export(request, &Silent).unwrap();
        let written = files(out.path());
        let manifest = walk(&written.values().cloned().collect::<Vec<_>>());
        assert_eq!(manifest["encoder"].get("packContent"), None);
        assert_eq!(manifest["encoder"].get("volumeSize").is_some(), written.len() > 1);
        assert!(written.values().all(|volume| volume.len() as u64 <= limit));
        let packs: Vec<u64> = manifest["packs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pack| pack["volume"].as_u64().unwrap())
            .collect();
        let lengths: Vec<u64> = report.sealed.volumes.iter().map(|volume| volume.bytes).collect();
        (written, lengths, packs)
    };
    let (whole, lengths, _) = export(64 << 20);
    assert_eq!((whole.len(), whole.contains_key("a.sealift")), (1, true));
    assert!(export(lengths[0]).0 == whole, "what fits into one volume is the same bundle");
    // One byte less: what is signed goes into a volume of its own.
    let (_, lengths, packs) = export(lengths[0] - 1);
    assert_eq!((lengths.len(), packs.iter().max()), (2, Some(&1)), "{packs:?}");
    let (_, again, packs_again) = export(lengths[0]);
    assert_eq!((&again, &packs_again), (&lengths, &packs));
    // One byte less than the packs take: the last of them goes over.
    let (_, lengths, packs) = export(lengths[0] - 1);
    assert_eq!((lengths.len(), packs.iter().filter(|&&volume| volume == 2).count()), (2, 1));
}

#[test]
fn too_small_volumes_are_refused() {
    let bench = Bench::new();
    let error =
        bench.volumes(images(), &bench.path("a"), 1, Some(SMALLEST_VOLUME - 1)).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(!bench.path("a").exists() && !bench.path(".a.partial").exists());
}

/// A bundle takes the place of an older one as a whole.
#[test]
fn nothing_of_an_older_set_stays_beside_the_new_one() {
    let bench = Bench::new();
    let out = bench.path("out");
    std::fs::create_dir(&out).unwrap();
    let path = out.join("a.sealift");
    let many = bench.volumes(images(), &path, 2, Some(1 << 20)).unwrap().sealed.volumes.len();
    std::fs::write(out.join("a.099.sealift"), "not a volume").unwrap();
    assert_eq!(Occupied::find(&path).unwrap().files().len(), many + 1);
    let report = bench.volumes(images(), &path, 2, Some(3 << 20)).unwrap();
    let few = report.sealed.volumes.len();
    assert!(few < many && report.removed.len() == many - few, "{few} {many}");
    let left: Vec<String> = files(&out).into_keys().collect();
    assert_eq!(left.len(), few + 1);
    assert!(left.contains(&"a.099.sealift".to_owned()), "what is no volume is nobody's to remove");
    let report = bench.volumes(images(), &path, 2, None).unwrap();
    assert_eq!(report.removed.len(), few);
    assert!(files(&out).into_keys().eq(["a.099.sealift", "a.sealift"]));
}

/// An export that was killed while it gave its volumes their names.
#[test]
fn volumes_without_their_last_are_taken_away_by_the_next_export() {
    let bench = Bench::new();
    let out = bench.path("out");
    std::fs::create_dir(&out).unwrap();
    let path = out.join("a.sealift");
    let whole = bench.volumes(images(), &path, 2, Some(1 << 20)).unwrap().sealed.volumes;
    let run = out.join(".a.sealift.partial/1");
    std::fs::create_dir_all(&run).unwrap();
    let lengths = whole.iter().map(|volume| volume.path.metadata().unwrap().len().to_string());
    let lengths = lengths.collect::<Vec<_>>().join("\n");
    let note = |digit: &str| {
        let set = digit.repeat(32);
        std::fs::write(run.join("names"), format!("{set}\n{lengths}\n")).unwrap();
    };
    note("0");
    // The last one is there: it was complete.
    assert_eq!(Occupied::find(&path).unwrap().files().len(), whole.len());
    std::fs::remove_file(&whole.last().unwrap().path).unwrap();
    assert!(Occupied::find(&path).unwrap().files().is_empty());
    // Another set is not touched.
    note("1");
    assert_eq!(Occupied::find(&path).unwrap().files().len(), whole.len() - 1);
    note("0");
    let report = bench.volumes(images(), &path, 2, None).unwrap();
    assert!(report.removed.is_empty());
    assert!(files(&out).into_keys().eq(["a.sealift"]), "{:?}", files(&out).keys());
}

/// A name that cannot be given: nothing is there, and nothing is left.
#[test]
fn all_volumes_get_their_names_or_none() {
    let bench = Bench::new();
    let out = bench.path("out");
    std::fs::create_dir_all(out.join("a.003.sealift")).unwrap();
    let error = bench.volumes(images(), &out.join("a.sealift"), 2, Some(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["a.003.sealift"]);
}

#[test]
fn what_was_written_is_read_back() {
    let bench = Bench::new();
    let out = bench.path("out");
    std::fs::create_dir(&out).unwrap();
    let mut request = bench.request(images(), &out.join("a.sealift"), 2, Some(1 << 20));
    request.writer.imprint = true;
    let report = export::export(request, &Silent).unwrap();
    for volume in &report.sealed.volumes {
        let imprint = volume.imprint.as_ref().unwrap();
        imprint.compare(&volume.path, &|_| ()).unwrap();
        let mut bytes = std::fs::read(&volume.path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&volume.path, bytes).unwrap();
        assert_eq!(imprint.compare(&volume.path, &|_| ()).unwrap_err().kind(), Kind::Damaged);
    }
}
