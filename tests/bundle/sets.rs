//! Sets of volumes: found by what they say that they are, read as one, and what is missing, foreign
//! or damaged is named by number and file.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealift::bundle::Bundle;
use sealift::codec::encryption::Identities;
use sealift::endpoint::Silent;
use sealift::model::{Kind, Result};
use sealift::operation::verify::{Depth, Report, verify, verify_volume};

use crate::contents::restores;
use crate::forge::{end, member, put_member};
use crate::split::Set;

impl Set {
    fn open(&self, paths: &[PathBuf]) -> Result<Bundle<sealift::bundle::Authentic>> {
        Bundle::open_set(paths, None, &Identities::default())?.authenticate(&self.bench.trust)
    }

    fn report(&self, paths: &[PathBuf], depth: Depth) -> Report {
        verify(&self.open(paths).unwrap(), depth, 2, &Silent).unwrap()
    }

    fn folder_report(&self) -> Report {
        let quick = self.report(std::slice::from_ref(&self.folder), Depth::Quick);
        let full = self.report(std::slice::from_ref(&self.folder), Depth::Full);
        let kinds = |report: &Report| -> Vec<Kind> {
            report.problems.iter().map(|problem| problem.error.kind()).collect()
        };
        assert_eq!(kinds(&quick), kinds(&full));
        full
    }

    #[track_caller]
    fn only(report: Report) -> sealift::operation::verify::Problem {
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        report.problems.into_iter().next().unwrap()
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.volumes[number - 1].clone();
        change(&mut bytes);
        std::fs::write(self.file(number), bytes).unwrap();
    }
}

fn run(set: &Set, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sealift"))
        .current_dir(set.bench.folder.path())
        .env_clear()
        .envs(crate::coverage::passed_on())
        .env("HOME", set.bench.folder.path())
        .args(arguments)
        .args(["--key", "key.pub"])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_set_is_one_bundle_wherever_its_files_lie_and_whatever_they_are_called() {
    let set = Set::new();
    let names: Vec<PathBuf> = (1..=3).map(|number| set.file(number)).collect();
    let everywhere = set.bench.path("second stick");
    std::fs::create_dir(&everywhere).unwrap();
    let mut ways = vec![vec![set.folder.clone()], vec![names[2].clone(), names[0].clone()]];
    ways.extend(names.iter().map(|name| vec![name.clone()]));
    ways.push([&names[..], &[set.folder.clone(), set.folder.clone()]].concat());
    // What the set was exported as, where no file is called so.
    ways.push(vec![set.folder.join("app.sealift")]);
    for way in &ways {
        let report = set.report(way, Depth::Quick);
        assert!(report.problems.is_empty(), "{way:?}: {:?}", report.problems);
        assert_eq!(report.packs, set.open(way).unwrap().contents().manifest.packs.len());
    }
    let bundle = set.open(&ways[0]).unwrap();
    restores(&bundle, &set.images);
    assert_eq!(bundle.length(), set.volumes.iter().map(|volume| volume.len() as u64).sum::<u64>());
    assert!(bundle.title().ends_with("/set/app.sealift"), "{}", bundle.title());

    for (name, new) in names.iter().zip(["z", "y", "app.001.sealift.bak"]) {
        std::fs::rename(name, everywhere.join(new)).unwrap();
    }
    std::fs::rename(everywhere.join("y"), set.folder.join("middle")).unwrap();
    let both = [set.folder.clone(), everywhere.clone()];
    assert!(set.report(&both, Depth::Full).problems.is_empty());
    let apart = [everywhere.join("z"), set.folder.join("middle")];
    assert!(set.report(&apart, Depth::Quick).problems.is_empty());
}

#[test]
fn the_independent_reader_reads_sets() {
    let set = Set::new();
    let reader = || {
        Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format/reader.py"))
            .arg(set.file(3))
            .arg("--key")
            .arg(set.bench.path("key.pub"))
            .arg("check")
            .output()
            .unwrap()
    };
    let output = reader();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().filter(|line| line.ends_with(" whole")).count(), 3, "{said}");
    for at in [600, 1600, 30_000, set.volumes[1].len() - 1000] {
        set.change(2, |bytes| bytes[at] ^= 1);
        assert!(!reader().status.success(), "byte {at}");
    }
    std::fs::remove_file(set.file(2)).unwrap();
    let said = String::from_utf8(reader().stderr).unwrap();
    assert!(said.contains("volume 2 is not there"), "{said}");
}

#[test]
fn a_missing_volume_is_named_with_the_images_that_it_hits() {
    let set = Set::new();
    std::fs::remove_file(set.file(2)).unwrap();
    let report = set.folder_report();
    let whole: Vec<bool> = report.images.iter().map(|image| image.whole).collect();
    assert_eq!(whole, [true, false, false]);
    let problem = Set::only(report);
    assert_eq!((problem.volume, problem.file, problem.offset), (2, None, None));
    assert_eq!(problem.images, [Set::name(1), Set::name(2)]);
    assert_eq!(problem.error.kind(), Kind::Damaged);
    let said = problem.error.message();
    assert!(said.starts_with("volume 2 of 3 of ") && said.contains("(set aaaaaaaa…)"), "{said}");
    assert!(said.contains("app.002.sealift"), "{said}");

    // Other damage is told in the same run.
    set.change(1, |bytes| bytes[20_000] ^= 1);
    let report = set.folder_report();
    let numbers: Vec<u64> = report.problems.iter().map(|problem| problem.volume).collect();
    assert_eq!(numbers, [2, 1], "{:?}", report.problems);
    assert!(report.images.iter().filter(|image| image.whole).count() <= 1);

    set.write();
    std::fs::remove_file(set.file(1)).unwrap();
    let problem = Set::only(set.report(&[set.file(3)], Depth::Full));
    assert_eq!(problem.volume, 1);
    assert!(problem.error.message().contains("app.001.sealift"), "{}", problem.error);

    set.write();
    std::fs::remove_file(set.file(3)).unwrap();
    for paths in [vec![set.folder.clone()], vec![set.file(1)], vec![set.file(2), set.file(1)]] {
        let error = Bundle::open_set(&paths, None, &Identities::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged, "{error}");
        assert!(error.message().starts_with("the last volume of "), "{error}");
        let hint = error.get_hint().unwrap();
        assert!(hint.starts_with("volumes 1, 2 are there: ") || paths.len() == 1, "{hint}");
        assert!(hint.contains(".sealift or a later one"), "{hint}");
    }
}

#[test]
fn an_import_lacks_no_volume_that_it_needs() {
    let set = Set::new();
    let to = format!("oci:{}", set.bench.path("layout").display());
    std::fs::remove_file(set.file(2)).unwrap();
    let (code, said) = run(&set, &["import", "set", "--to", &to]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("2 of 3 images cannot be had whole, and nothing was sent"), "{said}");
    assert!(said.contains("volume 2 of 3 of set/app.sealift"), "{said}");
    assert!(!set.bench.path("layout/index.json").exists());
    let (code, said) = run(&set, &["import", "set", "--to", &to, "--image", &Set::name(0)]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&set, &["import", "set", "--to", &to, "--image", &Set::name(2)]);
    assert_eq!(code, Some(4), "{said}");
    let (code, said) = run(&set, &["inspect", "set/app.003.sealift"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("MISSING (probably app.002.sealift)"), "{said}");
    set.write();
    let (code, said) = run(&set, &["import", "set/app.002.sealift", "--to", &to]);
    assert_eq!(code, Some(0), "{said}");
    for (digest, bytes) in &set.images.blobs {
        let blob = set.bench.path("layout/blobs/sha256").join(digest.hex());
        assert!(std::fs::read(blob).unwrap() == bytes[..], "{digest}");
    }
}

#[test]
fn a_volume_of_another_set_is_told_as_that() {
    let set = Set::new();
    std::fs::write(set.file(2), &set.other()[1]).unwrap();
    let all: Vec<PathBuf> = (1..=3).map(|number| set.file(number)).collect();
    for paths in [vec![set.folder.clone()], vec![set.file(1)], all] {
        let problem = Set::only(set.report(&paths, Depth::Full));
        assert_eq!(problem.error.kind(), Kind::Untrusted);
        assert_eq!((problem.volume, problem.images.len()), (2, 2));
        let said = problem.error.message();
        assert!(said.contains("app.002.sealift is not volume 2 of 3 of "), "{said}");
        assert!(said.ends_with("it belongs to another set, bbbbbbbb…"), "{said}");
    }
    let to = format!("oci:{}", set.bench.path("layout").display());
    let (code, said) = run(&set, &["import", "set", "--to", &to]);
    assert_eq!(code, Some(5), "{said}");
    assert!(!set.bench.path("layout/index.json").exists());
}

#[test]
fn two_bundles_in_a_folder_are_listed_and_neither_is_taken() {
    let set = Set::new();
    for (volume, number) in set.other().iter().zip(1..) {
        std::fs::write(set.folder.join(format!("new.{number}")), volume).unwrap();
    }
    let error = Bundle::open(&set.folder).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    let said = error.chain();
    for part in ["app.sealift: volumes 1 to 3 of set aaaa", "new: volumes 1 to 3 of set bbbb"] {
        assert!(said.contains(part), "{said}");
    }
    // One that is named is taken, with its own.
    assert!(set.report(&[set.folder.join("new.2")], Depth::Quick).problems.is_empty());
    assert!(set.report(&[set.file(2)], Depth::Quick).problems.is_empty());
    let error = Bundle::open(&set.bench.path("none")).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    std::fs::create_dir(set.bench.path("empty")).unwrap();
    let error = Bundle::open(&set.bench.path("empty")).unwrap_err();
    assert!(error.message().starts_with("there is no sealift bundle in "), "{error}");
}

#[test]
fn of_two_copies_one_has_to_be_whole_by_itself() {
    let set = Set::new();
    for number in 1..=3 {
        let copy = set.folder.join(format!("app.{number:03}.sealift.bak"));
        // The copy is bad at its end, the original at its beginning.
        let mut bytes = set.volumes[number - 1].clone();
        let at = if number == 3 { 6000 } else { bytes.len() - 6000 };
        bytes[at] ^= 1;
        std::fs::write(copy, bytes).unwrap();
        if number < 3 {
            set.change(number, |bytes| bytes[6000] ^= 1);
        }
    }
    // The first volume has two packs, and of each one copy is right. The second has one, and none is.
    let report = set.folder_report();
    let told: Vec<(u64, bool, usize)> = report
        .problems
        .iter()
        .map(|problem| (problem.volume, problem.offset.is_some(), problem.images.len()))
        .collect();
    assert_eq!(told, [(1, false, 0), (2, false, 0), (2, true, 2)], "{:?}", report.problems);
    let said = report.problems[0].error.chain();
    assert!(said.starts_with("of 2 files that claim to be volume 1, none is whole: "), "{said}");
    assert!(said.contains("app.001.sealift)") && said.contains("app.001.sealift.bak)"), "{said}");

    let third = [set.folder.join("third copy of 1"), set.folder.join("third copy of 2")];
    std::fs::write(&third[1], &set.volumes[1]).unwrap();
    let problem = Set::only(set.folder_report());
    assert_eq!(problem.volume, 1, "{}", problem.error);
    // An import takes each pack from the file that has it.
    restores(&set.open(std::slice::from_ref(&set.folder)).unwrap(), &set.images);

    std::fs::write(&third[0], &set.volumes[0]).unwrap();
    let bundle = set.open(std::slice::from_ref(&set.folder)).unwrap();
    let report = verify(&bundle, Depth::Full, 2, &Silent).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let files: Vec<_> = bundle.volumes().into_iter().map(|volume| volume.file.unwrap()).collect();
    assert_eq!(files, [third[0].clone(), third[1].clone(), set.file(3)]);
    let unused: Vec<_> = report.unused.iter().map(|it| (it.volume, it.problem.is_some())).collect();
    assert_eq!(unused, [(1, true), (1, true), (2, true), (2, true), (3, false)]);
    // A file that is named stands for its volume.
    let problem = Set::only(set.report(&[set.file(1)], Depth::Quick));
    assert_eq!((problem.volume, problem.file), (1, Some(set.file(1))));
}

#[test]
fn a_last_volume_with_more_in_it_than_was_signed_is_refused() {
    let set = Set::new();
    let receipt = set.bench.path("receipt");
    set.open(std::slice::from_ref(&set.folder)).unwrap().write_receipt(&receipt).unwrap();
    let alone = set.bench.path("alone");
    let look = |bytes: &[u8], tail: &Path| {
        std::fs::write(&alone, bytes).unwrap();
        let paths = [alone.clone()];
        let bundle = Bundle::open_set(&paths, Some(tail), &Identities::default()).unwrap();
        let bundle = bundle.authenticate(&set.bench.trust).unwrap();
        verify_volume(&bundle, 3, &Silent).unwrap()
    };
    let last = &set.volumes[2];
    let manifest = member(last, "manifest");
    let signature = member(last, "signatures/");
    let id = signature.name["signatures/".len()..].strip_suffix(".sig").unwrap().to_owned();
    let signed = [(id, signature.content)];
    let ended = |put: &[&str], signatures: &[(String, Vec<u8>)], time: u64| {
        let mut bytes = last[..manifest.at].to_vec();
        for name in put {
            put_member(&mut bytes, name, b"echo harm\n", 1_700_000_000);
        }
        end(&mut bytes, &manifest.content, signatures, time);
        bytes
    };
    let added = ended(&["packs/install.sh"], &signed, 1_700_000_000);
    let later = ended(&[], &signed, 1_700_000_001);
    let mut index = last.clone();
    index[member(last, "index/").at + 520] ^= 1;
    for bytes in [&added, &later, &index] {
        for tail in [&receipt, &set.file(3)] {
            assert_eq!(look(bytes, tail).worst(), Some(Kind::Damaged));
        }
        // Nor is it one of two copies that is whole.
        std::fs::write(set.folder.join("00 copy"), bytes).unwrap();
        let bundle = set.open(std::slice::from_ref(&set.folder)).unwrap();
        let report = verify(&bundle, Depth::Quick, 1, &Silent).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert_eq!(bundle.volumes()[2].file, Some(set.file(3)));
    }
    assert_eq!(look(last, &receipt).not_judged, None);
    let unsigned = ended(&[], &[], 1_700_000_000);
    let report = look(&unsigned, &receipt);
    assert_eq!((report.worst(), report.not_judged), (None, Some(alone.clone())));
    assert_eq!(look(&unsigned, &set.file(3)).worst(), Some(Kind::Untrusted));
    let (code, said) = run(&set, &["verify", "--volume", "3", "alone", "--tail", "receipt"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("note: the signatures in alone were not judged: those in receipt were"),
        "{said}"
    );
}

#[test]
fn every_byte_of_every_volume_is_accounted_for() {
    let set = Set::new();
    for number in 1..=3 {
        let length = set.volumes[number - 1].len();
        let places = [0, 100, 520, 2000, 2100, 2600, length / 2, length - 1024, length - 1];
        for at in places.into_iter().filter(|&at| number < 3 || at < length / 2) {
            set.write();
            set.change(number, |bytes| bytes[at] ^= 2);
            let paths: Vec<PathBuf> = (1..=3).map(|number| set.file(number)).collect();
            let report = set.report(&paths, Depth::Quick);
            assert_eq!(report.worst(), Some(Kind::Damaged), "byte {at} of volume {number}");
            for problem in &report.problems {
                assert_eq!(problem.volume, number as u64, "{}", problem.error);
                assert!(problem.file.as_ref().is_none_or(|file| *file == set.file(number)));
            }
        }
    }
    set.write();
    for number in [1, 2] {
        for more in [&b"x"[..], &[0; 512], &[0; 4096]] {
            set.change(number, |bytes| bytes.extend(more));
            let report = set.folder_report();
            let problem = Set::only(report);
            assert_eq!(problem.error.kind(), Kind::Malformed, "{}", problem.error);
            assert_eq!(problem.volume, number as u64);
        }
        for less in [1, 1024, 1025, 20_000] {
            set.change(number, |bytes| bytes.truncate(bytes.len() - less));
            let report = set.folder_report();
            assert_eq!(report.worst(), Some(Kind::Damaged));
            assert!(report.problems.iter().all(|problem| problem.volume == number as u64));
        }
        set.write();
    }
}

#[test]
fn a_volume_is_checked_alone_with_what_was_signed() {
    let set = Set::new();
    let receipt = set.bench.path("receipt");
    set.open(std::slice::from_ref(&set.folder)).unwrap().write_receipt(&receipt).unwrap();
    let alone = set.bench.path("brought again");
    let check = |bytes: &[u8], number: u64, tail: &Path| {
        std::fs::write(&alone, bytes).unwrap();
        let bundle =
            Bundle::open_set(std::slice::from_ref(&alone), Some(tail), &Identities::default())
                .unwrap();
        let bundle = bundle.authenticate(&set.bench.trust).unwrap();
        verify_volume(&bundle, number, &Silent).unwrap().worst()
    };
    for (bytes, number) in set.volumes.iter().zip(1..) {
        for tail in [&receipt, &set.file(3)] {
            assert_eq!(check(bytes, number, tail), None, "volume {number}");
            let mut bad = bytes.clone();
            bad[bytes.len() / 3] ^= 1;
            assert_eq!(check(&bad, number, tail), Some(Kind::Damaged), "volume {number}");
            bad[bytes.len() / 3] ^= 1;
            bad.push(0);
            let appended = check(&bad, number, tail);
            assert!(number == 3 || appended == Some(Kind::Malformed), "volume {number}");
        }
        assert_eq!(
            check(&set.other()[number as usize - 1], number, &receipt),
            Some(Kind::Untrusted)
        );
    }
    let (code, said) = run(&set, &["verify", "--volume", "2", "set"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ok: volume 2, stored bytes intact, 1 pack"), "{said}");
    let (code, said) =
        run(&set, &["verify", "--volume", "1", "set/app.001.sealift", "--tail", "receipt"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&set, &["verify", "--volume", "4", "set"]);
    assert_eq!(code, Some(2), "{said}");
    std::fs::remove_file(set.file(3)).unwrap();
    let (code, said) = run(&set, &["verify", "--volume", "2", "set"]);
    assert_eq!(code, Some(4), "{said}");
    set.change(2, |bytes| bytes[9000] ^= 1);
    let (code, said) = run(&set, &["verify", "--volume", "2", "set", "--tail", "receipt"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("images hit: h.example/app:1, h.example/app:2"), "{said}");
}

#[test]
fn hostile_folders_neither_stop_nor_deceive() {
    let set = Set::new();
    let path = |name: &str| set.folder.join(name);
    for n in 0..10_000 {
        std::fs::write(path(&format!("{n}")), b"README.txt").unwrap();
    }
    // Volumes that claim numbers which they do not have, and nothing behind their beginning.
    for claimed in ["1", "3", "4", "9"] {
        let text = String::from_utf8_lossy(&set.volumes[1][..4096]).find("number 2\n").unwrap();
        let mut bytes = set.volumes[1][..text].to_vec();
        bytes.extend(format!("number {claimed}\n").bytes());
        bytes.resize(1 << 20, 0);
        std::fs::write(path(&format!("0 claims {claimed}")), bytes).unwrap();
    }
    assert!(Command::new("mkfifo").arg(path("00 fifo")).status().unwrap().success());
    for (to, name) in [("/dev/zero", "00 zero"), ("00 loop", "00 loop"), ("none", "00 none")] {
        std::os::unix::fs::symlink(to, path(name)).unwrap();
    }
    std::os::unix::fs::symlink(set.file(1), path("00 the same")).unwrap();
    assert!(set.folder_report().problems.is_empty());
    assert!(set.report(&[set.file(1)], Depth::Quick).problems.is_empty());
    std::fs::remove_file(set.file(2)).unwrap();
    assert_eq!(Set::only(set.folder_report()).volume, 2);
    let error = Bundle::open(&path("00 fifo")).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
}

#[test]
fn a_volume_that_is_swapped_after_it_was_checked_is_found_out_when_it_is_used() {
    let set = Set::new();
    let bundle = set.open(std::slice::from_ref(&set.folder)).unwrap();
    assert!(verify(&bundle, Depth::Full, 1, &Silent).unwrap().problems.is_empty());
    let mut bytes = set.volumes[1].clone();
    bytes[5000] ^= 1;
    // In place, so that an open file sees it too.
    std::fs::write(set.file(2), bytes).unwrap();
    let report = verify(&bundle, Depth::Quick, 1, &Silent).unwrap();
    let problem = Set::only(report);
    assert_eq!((problem.error.kind(), problem.volume), (Kind::Damaged, 2));
    let error = problem.error.message();
    assert!(error.contains("app.002.sealift"), "{error}");
}
