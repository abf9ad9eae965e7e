//! Whatever happens to a bundle on its way, nothing of it is taken for something else.

use std::path::Path;

use sealift::bundle::Bundle;
use sealift::endpoint::Silent;
use sealift::model::{Kind, Result};
use sealift::operation::verify::{Depth, verify};

use crate::Bench;
use crate::memory::noise;
use crate::round_trip::assortment;

/// What became of a copy: `None` where it was taken as whole.
fn judge(bench: &Bench, path: &Path, depth: Depth) -> Option<Kind> {
    let run = || -> Result<Option<Kind>> {
        let bundle = Bundle::open(path)?.authenticate(&bench.trust)?;
        Ok(verify(&bundle, depth, 1, &Silent)?.worst())
    };
    run().unwrap_or_else(|error| Some(error.kind()))
}

struct Sample {
    bench: Bench,
    bytes: Vec<u8>,
}

impl Sample {
    fn new() -> Self {
        let bench = Bench::new();
        let path = bench.path("good.sealift");
        bench.export(assortment(), &path, 2);
        let bytes = std::fs::read(path).unwrap();
        Self { bench, bytes }
    }

    /// What becomes of these bytes.
    fn verdict(&self, bytes: &[u8], depth: Depth) -> Option<Kind> {
        let path = self.bench.path("bad.sealift");
        std::fs::write(&path, bytes).unwrap();
        judge(&self.bench, &path, depth)
    }

    /// Where the member whose name begins so has its header.
    fn member(&self, name: &str) -> usize {
        let mut at = 0;
        while !self.bytes[at..].starts_with(name.as_bytes()) {
            let size = std::str::from_utf8(&self.bytes[at + 124..at + 135]).unwrap();
            let size = usize::from_str_radix(size, 8).expect("a member before the end");
            at += 512 + size.next_multiple_of(512);
        }
        at
    }
}

const REFUSALS: [Kind; 3] = [Kind::Damaged, Kind::Untrusted, Kind::Malformed];

#[test]
fn the_sample_itself_is_fine() {
    let sample = Sample::new();
    assert_eq!(sample.verdict(&sample.bytes, Depth::Full), None);
    assert_eq!(sample.verdict(&sample.bytes, Depth::Quick), None);
}

#[test]
fn no_flipped_bit_is_accepted() {
    let sample = Sample::new();
    let places = noise(4, 8 * 700);
    for place in places.chunks_exact(8) {
        let bit = usize::from_le_bytes(place.try_into().unwrap()) % (sample.bytes.len() * 8);
        let mut bytes = sample.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let verdict = sample.verdict(&bytes, Depth::Quick);
        assert!(verdict.is_some_and(|kind| REFUSALS.contains(&kind)), "bit {bit}: {verdict:?}");
    }
}

#[test]
fn a_flipped_bit_in_any_region_is_refused_with_its_kind() {
    let sample = Sample::new();
    let cases = [
        (600, Kind::Damaged),
        (sample.member("volume"), Kind::Damaged),
        (sample.member("volume") + 520, Kind::Damaged),
        (sample.member("packs/"), Kind::Damaged),
        (sample.member("packs/") + 700, Kind::Damaged),
        (sample.member("index/") + 520, Kind::Damaged),
        (sample.member("manifest") + 900, Kind::Untrusted),
        (sample.member("signatures/") + 520, Kind::Untrusted),
        (sample.member("tail") + 520, Kind::Damaged),
        (sample.bytes.len() - 3, Kind::Damaged),
    ];
    for (at, kind) in cases {
        let mut bytes = sample.bytes.clone();
        bytes[at] ^= 4;
        for depth in [Depth::Quick, Depth::Full] {
            assert_eq!(sample.verdict(&bytes, depth), Some(kind), "byte {at}");
        }
    }
}

#[test]
fn a_bundle_that_ends_early_is_incomplete() {
    let sample = Sample::new();
    let length = sample.bytes.len();
    let mut cuts: Vec<usize> = ["volume", "packs/", "index/", "manifest", "signatures/", "tail"]
        .iter()
        .flat_map(|name| {
            let at = sample.member(name);
            [at - 1, at, at + 1, at + 512]
        })
        .collect();
    cuts.extend([1, 511, 512, length / 2, length - 1, length - 512, length - 1024, length - 1025]);
    for cut in cuts {
        assert_eq!(
            sample.verdict(&sample.bytes[..cut], Depth::Quick),
            Some(Kind::Damaged),
            "cut at {cut}"
        );
    }
}

#[test]
fn what_is_no_bundle_or_more_than_one_is_malformed() {
    let sample = Sample::new();
    assert_eq!(sample.verdict(b"", Depth::Quick), Some(Kind::Malformed));
    assert_eq!(sample.verdict(&noise(1, 5000), Depth::Quick), Some(Kind::Malformed));
    assert_eq!(
        sample.verdict(&crate::memory::tar(&crate::memory::package(1)), Depth::Quick),
        Some(Kind::Malformed)
    );
    for more in [&b"x"[..], &[0; 512], &[0; 10_240]] {
        let longer = [&sample.bytes[..], more].concat();
        assert_eq!(
            sample.verdict(&longer, Depth::Quick),
            Some(Kind::Malformed),
            "{} more",
            more.len()
        );
    }
    let twice = [&sample.bytes[..], &sample.bytes].concat();
    assert!(sample.verdict(&twice, Depth::Quick).is_some());
}

#[test]
fn swapped_packs_are_found_and_named_with_the_images_they_hit() {
    let sample = Sample::new();
    let path = sample.bench.path("bad.sealift");
    std::fs::write(&path, &sample.bytes).unwrap();
    let bundle = Bundle::open(&path).unwrap().authenticate(&sample.bench.trust).unwrap();
    let packs = bundle.contents().manifest.packs.clone();
    assert!(packs.len() >= 2);
    let range = |n: usize| {
        let at = packs[n].offset as usize;
        at..at + 512 + (packs[n].size as usize).next_multiple_of(512)
    };
    let (a, b) = (range(0), range(1));
    let swapped = [
        &sample.bytes[..a.start],
        &sample.bytes[b.clone()],
        &sample.bytes[a],
        &sample.bytes[b.end..],
    ]
    .concat();
    assert_eq!(swapped.len(), sample.bytes.len());
    std::fs::write(&path, swapped).unwrap();
    let bundle = Bundle::open(&path).unwrap().authenticate(&sample.bench.trust).unwrap();
    let report = verify(&bundle, Depth::Full, 2, &Silent).unwrap();
    assert_eq!(report.worst(), Some(Kind::Damaged));
    let packs = report.problems.iter().filter(|problem| !problem.blobs.is_empty());
    let packs: Vec<_> = packs.collect();
    assert_eq!(packs.len(), 2, "{:?}", report.problems);
    assert!(packs.iter().all(|problem| problem.offset.is_some() && !problem.images.is_empty()));
    assert!(report.images.iter().any(|image| !image.whole));
}

#[test]
fn a_bad_pack_leaves_images_without_it_whole() {
    let bench = Bench::new();
    let path = bench.path("b.sealift");
    let mut memory = crate::memory::Memory::default();
    for n in 0..2u64 {
        let layer = memory.layer(
            &crate::memory::tar(&[("f".into(), noise(n, 20 << 20))]),
            sealift::model::manifest::media::OCI_LAYER,
        );
        memory.image(&format!("h.example/a:{n}"), "amd64", &[layer]);
    }
    bench.export(memory, &path, 2);
    let bundle = Bundle::open(&path).unwrap().authenticate(&bench.trust).unwrap();
    let first = bundle.contents().manifest.packs[0];
    drop(bundle);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[first.data_offset() as usize + 5000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let bundle = Bundle::open(&path).unwrap().authenticate(&bench.trust).unwrap();
    let report = verify(&bundle, Depth::Full, 2, &Silent).unwrap();
    let whole: Vec<bool> = report.images.iter().map(|image| image.whole).collect();
    assert_eq!(whole, [false, true], "{:?}", report.problems);
    assert_eq!(report.problems[0].offset, Some(first.offset));
}

#[test]
fn a_bad_pack_is_read_once_however_many_blobs_need_it() {
    const IMAGES: u64 = 60;
    let bench = Bench::new();
    let folder = bench.path("alone");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("b.sealift");
    let mut memory = crate::memory::Memory::default();
    for n in 0..IMAGES {
        let files = [("all".into(), noise(1000, 300_000)), ("own".into(), noise(n, 3000))];
        let layer =
            memory.layer(&crate::memory::tar(&files), sealift::model::manifest::media::OCI_LAYER);
        memory.image(&format!("h.example/a:{n}"), "amd64", &[layer]);
    }
    bench.export(memory, &path, 2);
    let calls = bench.path("calls");
    let reads = |code: i32| {
        let output = std::process::Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=pread64", "-o"])
            .arg(&calls)
            .args([env!("CARGO_BIN_EXE_sealift"), "verify", "-q", "--no-state", "--jobs", "1"])
            .arg(&path)
            .arg("--key")
            .arg(bench.path("key.pub"))
            .output()
            .expect("strace is there");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}");
        if code != 0 {
            assert!(said.contains("blobs lost: ") && said.contains("a:59"), "{said}");
        }
        std::fs::read_to_string(&calls).unwrap().matches("pread64(").count()
    };
    let whole = reads(0);
    let bundle = Bundle::open(&path).unwrap().authenticate(&bench.trust).unwrap();
    let packs = bundle.contents().manifest.packs.clone();
    let common = packs.iter().find(|pack| pack.size > 300_000).expect("the common file");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[common.data_offset() as usize + 150_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = reads(4);
    // What a failed check looks for beside the bundle is little.
    assert!(damaged < whole + IMAGES as usize / 2, "{damaged} reads, {whole} of the whole one");
}
