//! Packs: gzip layers that are opened and made again, content that is packed against what went by
//! before, and what happens where a pack that others need is damaged or an index lies.

use std::collections::BTreeSet;

use sealift::bundle::{Body, Bundle, Encoding, Preset};
use sealift::endpoint::Silent;
use sealift::model::manifest::media;
use sealift::model::{Digest, Kind};
use sealift::operation::verify::{Depth, verify};

use crate::Bench;
use crate::contents::{
    Choice, Files, cut_gzip, edited, go_gzip, gzip_layer, letters, odd_gzip, packs_with_prefix,
    read, records, restores, text, wrong_gzip,
};
use crate::memory::{Memory, tar};
use crate::resealed::Resealed;

/// So many files of text and records of 60,000 bytes: each is one chunk.
fn files(seed: u64, texts: u64, tables: u64) -> Files {
    let file = |folder: &str, n: u64, content| {
        (format!("usr/share/{}/{folder}/{}", letters(seed), letters(n)), content)
    };
    let texts = (0..texts).map(|n| file("doc", n, text(seed * 1000 + n, 60_000)));
    let tables = (0..tables).map(|n| file("db", n, records(seed * 2000 + n, 60_000)));
    texts.chain(tables).collect()
}

/// Files of the next version: each changed in one place.
fn next(files: &[(String, Vec<u8>)]) -> Files {
    files.iter().map(|(name, content)| (name.clone(), edited(content, 1))).collect()
}

/// More than one pack of text and of records, then versions of the same files in other images.
fn versions() -> Memory {
    let mut memory = Memory::default();
    let (go, fast) = (tar(&files(1, 40, 0)), tar(&files(2, 40, 0)));
    let (odd, plain) = (tar(&files(3, 0, 1)), tar(&files(4, 80, 150)));
    let layers = [
        gzip_layer(&mut memory, &go, &go_gzip(&go, 6)),
        gzip_layer(&mut memory, &fast, &go_gzip(&fast, 1)),
        gzip_layer(&mut memory, &odd, &odd_gzip(&odd)),
        memory.layer(&plain, media::OCI_LAYER),
    ];
    memory.image("h.example/first:1", "amd64", &layers);

    let (go, odd) = (tar(&next(&files(1, 40, 0))), tar(&next(&files(3, 0, 1))));
    let layers = [
        gzip_layer(&mut memory, &go, &go_gzip(&go, 6)),
        gzip_layer(&mut memory, &odd, &odd_gzip(&odd)),
    ];
    memory.image("h.example/second:1", "amd64", &layers);

    let alone = tar(&files(9, 3, 3));
    let layer = gzip_layer(&mut memory, &alone, &go_gzip(&alone, 6));
    memory.image("h.example/third:1", "amd64", &[layer]);
    memory
}

#[test]
fn opened_layers_and_prefixes_do_not_depend_on_threads_and_come_back() {
    let bench = Bench::new();
    let bundles = [1, 8].map(|threads| {
        let path = bench.path(&format!("{threads}.sealift"));
        bench.write(versions(), &path, Choice { threads, ..Choice::default() });
        path
    });
    let bytes = bundles.each_ref().map(|path| std::fs::read(path).unwrap());
    assert!(bytes[0] == bytes[1], "the number of threads shows");

    let bundle = bench.open(&bundles[1]);
    let index = &bundle.contents().index;
    let made_again =
        |blob: &&sealift::bundle::BlobEntry| matches!(blob.recipe.encoding, Encoding::Gzip { .. });
    assert_eq!(index.blobs().iter().filter(made_again).count(), 6);
    let (all, with_prefix) = (bundle.pack_count(), packs_with_prefix(&bundle));
    // Text and records take two packs each, what describes files one, what is packed against
    // older text one.
    assert!(all >= 6, "{all} packs");
    assert!(!with_prefix.is_empty());
    for &pack in &with_prefix {
        let runs = index.prefix(pack);
        let from: BTreeSet<u32> = index.chunks_of(runs).map(|(_, pack, _)| pack).collect();
        assert!(from.iter().all(|&older| older < pack && !with_prefix.contains(&older)));
    }
    let report = verify(&bundle, Depth::Full, 2, &Silent).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    restores(&bundle, &versions());
}

/// Layers of every sort that there is.
fn sorts() -> Memory {
    let mut memory = crate::round_trip::assortment();
    let plain = tar(&files(5, 2, 2));
    let layers = [
        gzip_layer(&mut memory, &plain, &go_gzip(&plain, 6)),
        gzip_layer(&mut memory, &plain, &odd_gzip(&plain)),
        gzip_layer(&mut memory, &plain, &cut_gzip(&plain)),
        gzip_layer(&mut memory, &plain, &wrong_gzip(&plain)),
        gzip_layer(&mut memory, b"", &go_gzip(b"", 6)),
        memory.layer(&plain, media::OCI_LAYER_ZSTD),
        memory.layer(&plain, media::OCI_LAYER),
    ];
    memory.image("h.example/sorts:1", "amd64", &layers);
    memory
}

#[test]
fn every_preset_gives_back_every_byte() {
    let bench = Bench::new();
    let mut sizes = Vec::new();
    for preset in [Preset::Fast, Preset::Balanced, Preset::Max] {
        let path = bench.path(&format!("{}.sealift", preset.name()));
        sizes.push(bench.write(sorts(), &path, Choice { preset, ..Choice::default() }));
        let bundle = bench.open(&path);
        assert_eq!(bundle.contents().manifest.encoder.preset, preset.name());
        let report = verify(&bundle, Depth::Full, 2, &Silent).unwrap();
        assert!(report.problems.is_empty(), "{preset:?}: {:?}", report.problems);
        restores(&bundle, &sorts());

        let index = &bundle.contents().index;
        let plain = tar(&files(5, 2, 2));
        let is_opened = |packed: &[u8]| {
            let blob = index.blob(&Digest::of(packed)).unwrap();
            let opened = matches!(blob.recipe.encoding, Encoding::Gzip { .. });
            assert_eq!(opened, matches!(blob.recipe.body, Body::Tar { .. }));
            opened
        };
        let opens = preset != Preset::Fast;
        assert_eq!(is_opened(&go_gzip(&plain, 6)), opens, "{preset:?}");
        assert_eq!(is_opened(&odd_gzip(&plain)), opens, "{preset:?}");
        assert!(!is_opened(&cut_gzip(&plain)), "{preset:?}");
        assert!(!is_opened(&zstd::encode_all(&plain[..], 3).unwrap()), "{preset:?}");
    }
    let [fast, balanced, max] = sizes[..] else { unreachable!() };
    assert!(balanced + 200_000 < fast && max <= balanced, "{sizes:?}");
}

/// Text that takes more than one pack; an image of versions of some of it, which has no chunk in
/// common with it; and one that has to do with neither.
fn related() -> Memory {
    let mut memory = Memory::default();
    let old = files(1, 160, 0);
    let layer = memory.layer(&tar(&old), media::OCI_LAYER);
    memory.image("h.example/old:1", "amd64", &[layer]);
    let new = tar(&next(&old[..20]));
    let layer = gzip_layer(&mut memory, &new, &go_gzip(&new, 6));
    memory.image("h.example/new:1", "amd64", &[layer]);
    let layer = memory.layer(&tar(&files(2, 0, 5)), media::OCI_LAYER);
    memory.image("h.example/other:1", "amd64", &[layer]);
    memory
}

#[test]
fn damage_in_a_pack_hits_the_images_that_are_packed_against_it() {
    let bench = Bench::new();
    let path = bench.path("b.sealift");
    bench.write(related(), &path, Choice::default());
    let bundle = bench.open(&path);
    let index = &bundle.contents().index;
    let [packed] = packs_with_prefix(&bundle)[..] else { panic!("one pack has a prefix") };
    let (_, needed, _) = index.chunks_of(index.prefix(packed)).next().unwrap();
    let is_new = |blob: &&sealift::bundle::BlobEntry| {
        blob.recipe.runs().flat_map(|runs| index.chunks_of(runs)).any(|(_, pack, _)| pack == packed)
    };
    let new = index.blobs().iter().find(is_new).unwrap();
    let directly = new.recipe.runs().flat_map(|runs| index.chunks_of(runs));
    assert!(directly.map(|(_, pack, _)| pack).all(|pack| pack != needed));
    let new = new.digest;

    let place = bundle.contents().manifest.packs[needed as usize];
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[place.data_offset() as usize + 1000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let bundle = bench.open(&path);
    for depth in [Depth::Quick, Depth::Full] {
        let report = verify(&bundle, depth, 2, &Silent).unwrap();
        assert_eq!(report.worst(), Some(Kind::Damaged));
        let whole: Vec<bool> = report.images.iter().map(|image| image.whole).collect();
        assert_eq!(whole, [false, false, true], "{depth:?}: {:?}", report.problems);
        let [problem] = &report.problems[..] else { panic!("{:?}", report.problems) };
        assert_eq!(problem.offset, Some(place.offset), "{depth:?}");
        assert!(problem.blobs.contains(&new), "{depth:?}");
        assert_eq!(problem.images, ["h.example/old:1", "h.example/new:1"], "{depth:?}");
    }
    for (digest, bytes) in &related().blobs {
        let size = bundle.contents().index.blob(digest).unwrap().size;
        let blob = sealift::model::Descriptor::new("", *digest, size);
        if let Ok(again) = read(&bundle, &blob) {
            assert!(again == bytes[..], "{digest} comes back as something else");
            assert_ne!(*digest, new, "it needs the damaged pack");
        }
    }
}

#[test]
fn an_index_that_lies_is_refused_and_never_gives_other_bytes() {
    let bench = Bench::new();
    let path = bench.path("b.sealift");
    bench.write(related(), &path, Choice::default());
    let good = Resealed::of(&bench, &path);
    let bundle = bench.open(&path);
    let index = &bundle.contents().index;
    let [packed] = packs_with_prefix(&bundle)[..] else { panic!("one pack has a prefix") };
    let recipe = index.blobs().iter().find_map(|blob| match &blob.recipe.encoding {
        Encoding::Gzip { recipe, .. } => Some(recipe.to_vec()),
        Encoding::None => None,
    });
    let recipe = good.find(&recipe.unwrap());
    let prefix = good.find_runs(index.prefix(packed));
    let verdict = |bytes: &[u8]| -> Option<Kind> {
        let path = bench.path("lie.sealift");
        std::fs::write(&path, bytes).unwrap();
        let run = || {
            let bundle = Bundle::open(&path)?.authenticate(&bench.trust)?;
            let report = verify(&bundle, Depth::Full, 2, &Silent)?;
            if report.problems.is_empty() {
                restores(&bundle, &related());
            }
            Ok(report.worst())
        };
        run().unwrap_or_else(|error: sealift::model::Error| Some(error.kind()))
    };
    assert_eq!(verdict(&good.with(|_| ())), None, "sealed again without a change it is fine");
    for (what, range) in [("recipe", recipe), ("prefix", prefix)] {
        let (mut tried, mut refused) = (0, 0);
        let step = range.len().div_ceil(12);
        for at in range.step_by(step) {
            for flip in [1, 0x10] {
                let kind = verdict(&good.with(|index| index[at] ^= flip));
                let expected = [None, Some(Kind::Damaged), Some(Kind::Malformed)];
                assert!(expected.contains(&kind), "{what} at {at}: {kind:?}");
                tried += 1;
                refused += usize::from(kind.is_some());
            }
        }
        // What a pack could be, and was not, compressed against may be anything.
        assert!(refused * 4 >= tried * 3, "{what}: {refused} of {tried} refused");
    }
}
