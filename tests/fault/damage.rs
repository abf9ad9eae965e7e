//! Cases 1 to 13: accidents on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;

use sealift::model::Kind;

use crate::catalogue::Entry;
use crate::flips::{Flipper, Judge, REFUSALS, places};
use crate::sample::sample;
use crate::scene::{Case, files};
use crate::support::forge::{member, members};
use crate::support::images::{self, Packing, image_of, layer, noise};

pub(crate) const CASES: &[Entry] = &[
    Entry { number: 1, name: "10,000 uniform bit flips", play: uniform_flips },
    Entry { number: 2, name: "200 flips in every region", play: flips_by_region },
    Entry { number: 3, name: "bursts of zeros, 4 KiB, 64 KiB, 1 MiB", play: bursts },
    Entry { number: 4, name: "truncation", play: truncation },
    Entry { number: 5, name: "something appended", play: appended },
    Entry { number: 6, name: "empty, a picture, somebody else's tar", play: foreign_files },
    Entry { number: 7, name: "blocks of 1 MiB swapped or doubled", play: swapped_blocks },
    Entry { number: 8, name: "the content of another file inside", play: cross_linked },
    Entry { number: 12, name: "a blob at the destination has rotted", play: rotten_destination },
    Entry {
        number: 13,
        name: "the layer is there already, and bad here",
        play: layer_there_already,
    },
];

/// Where the parts of a bundle lie, in bytes.
pub(crate) fn regions(bundle: &[u8]) -> BTreeMap<&'static str, Vec<Range<usize>>> {
    let mut regions: BTreeMap<&'static str, Vec<Range<usize>>> = BTreeMap::new();
    let mut end = 0;
    for member in members(bundle) {
        let kinds = ["README", "volume", "packs", "index", "manifest", "signatures", "tail"];
        let kind = *kinds.iter().find(|kind| member.name.starts_with(**kind)).unwrap();
        let content = member.at + 512..member.at + 512 + member.content.len();
        regions.entry("tar headers").or_default().push(member.at..member.at + 512);
        end = member.end();
        regions.entry("padding").or_default().push(content.end..end);
        regions.entry(kind).or_default().push(content);
    }
    regions.entry("end of the tar").or_default().push(end..bundle.len());
    regions
}

/// The bit of a number, counted over all ranges.
fn bit_in(ranges: &[Range<usize>], mut number: u64) -> u64 {
    for range in ranges {
        let bits = range.len() as u64 * 8;
        match number.checked_sub(bits) {
            None => return range.start as u64 * 8 + number,
            Some(rest) => number = rest,
        }
    }
    unreachable!("there are as many bits")
}

fn uniform_flips(case: &mut Case) {
    // The ten thousand are a test of their own; these go through the binary, and import too.
    let small = &sample().small;
    let mut counts: BTreeMap<i32, u32> = BTreeMap::new();
    for bit in places(1, 30, small.len() as u64 * 8) {
        let mut bytes = small.clone();
        bytes[bit as usize / 8] ^= 1 << (bit % 8);
        fs::write(case.station.path("bad.sealift"), &bytes).unwrap();
        let verified = case.run(&["verify", "-q", "bad.sealift"]);
        assert!([4, 5, 7].contains(&verified.code), "bit {bit}: {}", verified.text);
        *counts.entry(verified.code).or_default() += 1;
        never_changed(case, &format!("bit {bit}"));
    }
    assert!(counts.len() > 1, "{counts:?}");
    case.note("30 through verify and import", "4/5/7", "");
    case.shown("tests/fault/flips.rs", "no_flipped_bit_is_ever_accepted");
}

/// Import refuses, or what arrives is what was sealed: it does not read what it does not need.
fn never_changed(case: &Case, what: &str) {
    let told = case.import_refused(what, &["bad.sealift"], &[0, 4, 5, 7]);
    if told.code == 0 {
        let arrived = files(&case.station.path("there"));
        for (path, bytes) in sample().arrived.iter().filter(|(path, _)| path.starts_with("blobs")) {
            assert!(arrived.get(path) == Some(bytes), "{what}: {path} arrived changed");
        }
        put_back(case);
    }
}

fn flips_by_region(case: &mut Case) {
    let judge = Judge::new();
    let small = &sample().small;
    let flipper = Flipper::new(&judge, "flipped", small, false);
    for (name, ranges) in regions(small) {
        let bits: u64 = ranges.iter().map(|range| range.len() as u64 * 8).sum();
        let kinds: BTreeSet<u8> = places(2, 200, bits)
            .into_iter()
            .map(|number| flipper.flip(bit_in(&ranges, number)).exit_code())
            .collect();
        let kinds: Vec<String> = kinds.iter().map(u8::to_string).collect();
        case.note(name, &kinds.join("/"), "");
    }
}

fn bursts(case: &mut Case) {
    let large = &sample().large;
    let pack = member(large, "packs/");
    for (what, length) in [("4 KiB", 4 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)] {
        let at = (pack.at + (1 << 20)).next_multiple_of(4096);
        let mut bytes = large.clone();
        bytes[at..at + length].fill(0);
        case.refuses(&format!("{what} of a pack"), &bytes, 4);
    }
    for (name, code) in [("README", 4), ("index/", 4), ("manifest", 4), ("signatures/", 4)] {
        let at = member(large, name).at / 4096 * 4096;
        let mut bytes = large.clone();
        let end = (at + 4096).min(bytes.len());
        bytes[at..end].fill(0);
        case.refuses(&format!("4 KiB around {name}"), &bytes, code);
    }
}

fn truncation(case: &mut Case) {
    let small = &sample().small;
    let judge = Judge::new();
    let mut cuts = BTreeSet::new();
    for member in members(small) {
        for at in [member.at, member.at + 512, member.at + 512 + member.content.len()] {
            cuts.extend([at.saturating_sub(1), at, at + 1]);
        }
    }
    cuts.extend([small.len() - 1025, small.len() - 1024, small.len() - 1023, small.len() - 1]);
    cuts.extend(places(4, 1000, small.len() as u64).into_iter().map(|cut| cut as usize));
    cuts.remove(&0);
    for &cut in &cuts {
        assert_eq!(judge.verdict_on(&small[..cut]), Some(Kind::Damaged), "cut at {cut}");
    }
    case.note("every boundary ±1, and 1,000 anywhere", "4", "");
    case.refuses("cut in a pack", &small[..member(small, "packs/").at + 700], 4);
    case.refuses("cut before the manifest", &small[..member(small, "manifest").at], 4);
    case.refuses("cut in the manifest", &small[..member(small, "manifest").at + 600], 4);
    case.refuses("cut before the tail", &small[..member(small, "tail").at], 4);
    case.refuses("the last byte", &small[..small.len() - 1], 4);
}

fn appended(case: &mut Case) {
    let small = &sample().small;
    case.refuses("one byte", &[&small[..], b"x"].concat(), 7);
    let path = case.station.path("long.sealift");
    fs::write(&path, small).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(small.len() as u64 + (1 << 30)).unwrap();
    case.refuses_with("a sparse GiB", &["long.sealift"], 7);
}

fn foreign_files(case: &mut Case) {
    case.refuses("nothing", b"", 7);
    let picture = [&b"\xff\xd8\xff\xe0\0\x10JFIF\0"[..], &noise(6, 20_000)].concat();
    case.refuses("a JPEG", &picture, 7);
    case.refuses("any tar", &layer(&[("etc/passwd", b"root")]), 7);
    let image = image_of(&[layer(&[("a", b"a")])], Packing::Gzip, "amd64", "a");
    case.refuses("an oci-archive", &images::oci_archive(&[("a:1", &image)]), 7);
    case.refuses("a tar that begins as ours", &layer(&[("README.txt", b"hello")]), 7);
}

fn swapped_blocks(case: &mut Case) {
    let large = &sample().large;
    let block = |n: usize| n << 20..(n + 1) << 20;
    let mut bytes = large.clone();
    bytes[block(1)].copy_from_slice(&large[block(3)]);
    bytes[block(3)].copy_from_slice(&large[block(1)]);
    case.refuses("two swapped", &bytes, 4);
    let mut bytes = large.clone();
    bytes[block(2)].copy_from_slice(&large[block(1)]);
    case.refuses("one doubled over the next", &bytes, 4);
}

fn cross_linked(case: &mut Case) {
    let large = &sample().large;
    let mut bytes = large.clone();
    bytes[3 << 20..(3 << 20) + (32 << 10)].copy_from_slice(&noise(8, 32 << 10));
    case.refuses("a cluster of a pack", &bytes, 4);
    let mut bytes = sample().small.clone();
    let at = member(&bytes, "manifest").at;
    let other = member(large, "manifest").at;
    let length = 4096.min(bytes.len() - at);
    bytes[at..at + length].copy_from_slice(&large[other..other + length]);
    let judged = Judge::new().verdict_on(&bytes);
    assert!(judged.is_some_and(|kind| REFUSALS.contains(&kind)), "{judged:?}");
    case.refuses("a cluster of another bundle's end", &bytes, judged.unwrap().exit_code().into());
}

/// The layout with what was in it before the case.
fn put_back(case: &Case) {
    fs::remove_dir_all(case.station.path("there")).unwrap();
    let fresh = Case::new("fresh");
    for (path, bytes) in files(&fresh.station.path("there")) {
        let path = case.station.path("there").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn rotten_destination(case: &mut Case) {
    fs::write(case.station.path("good.sealift"), &sample().small).unwrap();
    let import = ["import", "-q", "--to", "oci:new", "good.sealift"];
    assert_eq!(case.run(&import).code, 0);
    let whole = files(&case.station.path("new"));
    let (path, bytes) = whole
        .iter()
        .filter(|(path, _)| path.starts_with("blobs/"))
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap();
    let mut rotten = bytes.clone();
    rotten[bytes.len() / 2] ^= 1;
    fs::write(case.station.path("new").join(path), rotten).unwrap();
    let told = case.run(&import);
    assert_eq!(told.code, 0, "{}", told.text);
    assert!(files(&case.station.path("new")) == whole, "the blob was not mended");
    case.row("of the same size: hashed again and replaced", &told);
}

fn layer_there_already(case: &mut Case) {
    // Everything arrived once; now the copy is bad in every pack.
    fs::write(case.station.path("good.sealift"), &sample().small).unwrap();
    let import = |case: &Case, file: &str| case.run(&["import", "-q", "--to", "oci:new", file]);
    assert_eq!(import(case, "good.sealift").code, 0);
    let mut bytes = sample().small.clone();
    for pack in members(&sample().small).iter().filter(|m| m.name.starts_with("packs/")) {
        bytes[pack.at + 512 + pack.content.len() / 2] ^= 1;
    }
    fs::write(case.station.path("bad.sealift"), bytes).unwrap();
    let verified = case.run(&["verify", "-q", "bad.sealift"]);
    assert_eq!(verified.code, 4);
    case.row("verify", &verified);
    let imported = import(case, "bad.sealift");
    assert_eq!(imported.code, 0, "{}", imported.text);
    assert!(files(&case.station.path("new")) == sample().arrived, "other bytes arrived");
    case.row("import: the layer there was hashed again, the one here was not needed", &imported);
}
