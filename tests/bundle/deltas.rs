//! Deltas: three versions of an image, each sent as what the one before it lacks, and brought with
//! the base at hand, with the destination alone, and with neither.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use sealift::bundle::{Base, Body, Encoding, Held, Known, Receipt};
use sealift::model::Digest;

use crate::Bench;
use crate::contents::{
    Choice, Files, edited, go_gzip, gzip_layer, letters, packs_with_prefix, records, text,
};
use crate::forge::number;
use crate::memory::{Memory, noise, tar};
use crate::resealed::Resealed;

/// What the program under test said.
struct Run {
    code: Option<i32>,
    said: String,
}

impl Run {
    #[track_caller]
    fn succeeds(&self) {
        assert_eq!(self.code, Some(0), "{}", self.said);
    }

    #[track_caller]
    fn refused(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}", self.said);
        &self.said
    }
}

/// Bundles and destinations in one folder.
struct Yard {
    bench: Bench,
}

impl Yard {
    fn new() -> Self {
        Self { bench: Bench::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bench.path(name)
    }

    fn sealift(&self, arguments: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_sealift"))
            .current_dir(self.bench.folder.path())
            .env_clear()
            .envs(crate::coverage::passed_on())
            .env("HOME", self.bench.folder.path())
            .args(["-q"])
            .args(arguments)
            .args(["--key", "key.pub"])
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        Run { code: output.status.code(), said: String::from_utf8(said).unwrap() }
    }

    fn import(&self, bundle: &str, to: &str, bases: &[&str]) -> Run {
        let mut arguments = vec!["import", bundle, "--to", to];
        arguments.extend(bases.iter().flat_map(|base| ["--base", base]));
        self.sealift(&arguments)
    }

    /// The bases of an export, the newest first, as the command line opens them.
    fn known(&self, files: &[&str]) -> Base {
        let mut known = Vec::new();
        let mut older: Vec<Arc<dyn Held>> = Vec::new();
        for file in files.iter().rev() {
            let path = self.path(file);
            if Receipt::is_one(&path).unwrap() {
                known.insert(
                    0,
                    Receipt::open(&path).unwrap().authenticate(&self.bench.trust).unwrap(),
                );
                continue;
            }
            let bundle = Arc::new(self.bench.open(&path));
            bundle.set_bases(older.clone());
            older.push(Arc::clone(&bundle) as Arc<dyn Held>);
            known.insert(0, Known::Bundle(bundle));
        }
        Base::new(&known).unwrap().unwrap()
    }

    /// Exports and says how long the bundle is.
    fn export(&self, memory: Memory, output: &str, bases: &[&str]) -> u64 {
        let base = (!bases.is_empty()).then(|| self.known(bases));
        let created = 1_700_000_000 + output.len() as u64;
        self.bench.write(memory, &self.path(output), Choice { base, created, ..Choice::default() })
    }

    fn receipt(&self, bundle: &str, receipt: &str) {
        self.bench.open(&self.path(bundle)).write_receipt(&self.path(receipt)).unwrap();
    }

    /// Every file below a folder, with the digest of what is in it.
    fn listing(&self, name: &str) -> BTreeMap<PathBuf, Digest> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path(name)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let digest = Digest::of(&std::fs::read(&path).unwrap());
                    found.insert(path, digest);
                }
            }
        }
        found
    }

    /// Everything that an image consists of is in a layout, byte for byte.
    fn holds(&self, layout: &str, image: &Memory) {
        for (digest, bytes) in &image.blobs {
            let path = self.path(layout).join("blobs/sha256").join(digest.hex());
            let there = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(there == bytes[..], "{digest} is something else in {layout}");
        }
        let index = std::fs::read_to_string(self.path(layout).join("index.json")).unwrap();
        assert!(index.contains(&image.roots[0].descriptor.digest.to_string()), "{index}");
    }
}

/// The files of the program in one of its versions: from one to the next, some change, one comes,
/// one gets another name.
fn program(version: u64) -> Files {
    let path = |n: u64| format!("opt/program/{}/file", letters(n));
    let mut files: Files = (0..30).map(|n| (path(n), text(100 + n, 40_000))).collect();
    files.extend((30..40).map(|n| (path(n), records(100 + n, 50_000))));
    files.push(("opt/program/large".into(), records(99, 1_500_000)));
    for step in 2..=version {
        for n in [3, 7, 33, 40, 10 + step as usize] {
            files[n].1 = edited(&files[n].1, step);
        }
        files[20 + step as usize].0 = format!("opt/program/moved/{}", letters(step));
        files.push((format!("opt/program/new/{}", letters(step)), text(200 + step, 3_000)));
    }
    files
}

/// What lies below the program and never changes.
fn system() -> Vec<u8> {
    let mut files: Files =
        (0..20).map(|n| (format!("usr/lib/{}", letters(n)), text(300 + n, 50_000))).collect();
    files.push(("usr/bin/system".into(), noise(300, 200_000)));
    tar(&files)
}

/// The image `h.example/app:VERSION`: a layer that stays, one that changes and a small one on top.
fn image(version: u64) -> Memory {
    let mut memory = Memory::default();
    let (system, program) = (system(), tar(&program(version)));
    let note = tar(&[("etc/version".into(), format!("{version}\n").into_bytes())]);
    let layers = [
        gzip_layer(&mut memory, &system, &go_gzip(&system, 6)),
        gzip_layer(&mut memory, &program, &go_gzip(&program, 6)),
        gzip_layer(&mut memory, &note, &go_gzip(&note, 6)),
    ];
    memory.image(&format!("h.example/app:{version}"), "amd64", &layers);
    memory
}

/// An image that has nothing to do with it.
fn stranger() -> Memory {
    let mut memory = Memory::default();
    let layer = tar(&[("stranger".into(), text(999, 30_000))]);
    let layer = gzip_layer(&mut memory, &layer, &go_gzip(&layer, 6));
    memory.image("h.example/stranger:1", "amd64", &[layer]);
    memory
}

/// Full, delta, delta.
fn chain() -> Yard {
    let yard = Yard::new();
    yard.export(image(1), "full", &[]);
    yard.export(image(2), "second", &["full"]);
    yard.export(image(3), "third", &["second", "full"]);
    yard
}

#[test]
fn a_delta_is_small_and_says_what_it_builds_on() {
    let yard = chain();
    let size = |name: &str| std::fs::metadata(yard.path(name)).unwrap().len();
    let (full, second, third) = (size("full"), size("second"), size("third"));
    assert!(full > 700_000, "{full}");
    assert!(second * 20 < full && third * 20 < full, "{full}, {second}, {third}");
    for (name, base) in [("second", "full"), ("third", "second")] {
        let delta = yard.bench.open(&yard.path(name));
        let base = yard.bench.open(&yard.path(base));
        assert_eq!(delta.contents().manifest.base.unwrap().digest, base.digest());
        assert!(!packs_with_prefix(&delta).is_empty(), "{name}");
        let index = &delta.contents().index;
        assert!(!index.borrowed().pieces.is_empty(), "{name}");
        let bodies = || index.blobs().iter().map(|blob| &blob.recipe);
        assert_eq!(bodies().filter(|recipe| matches!(recipe.body, Body::Base(_))).count(), 1);
        assert!(bodies().any(|recipe| matches!(recipe.encoding, Encoding::Gzip { .. })));
    }
}

#[test]
fn the_bases_in_files_are_enough() {
    let yard = chain();
    yard.import("third", "oci:there", &["second", "full"]).succeeds();
    yard.holds("there", &image(3));
    yard.import("third", "oci:any-order", &["full", "second"]).succeeds();
    yard.import("third", "docker-archive:there.tar", &["second", "full"]).succeeds();
    for (bundle, bases) in [("second", &["full"][..]), ("third", &["second", "full"])] {
        let mut arguments = vec!["verify", bundle];
        arguments.extend(bases.iter().flat_map(|base| ["--base", base]));
        yard.sealift(&arguments).succeeds();
    }
}

#[test]
fn what_the_destination_has_is_enough() {
    let yard = chain();
    for (bundle, version) in [("full", 1), ("second", 2), ("third", 3)] {
        yard.import(bundle, "oci:there", &[]).succeeds();
        yard.holds("there", &image(version));
    }
    // A base that cannot be opened for want of its own is no hindrance where the rest is there.
    yard.import("full", "oci:mixed", &[]).succeeds();
    yard.import("third", "oci:mixed", &["second"]).refused(4);
    yard.import("second", "oci:mixed", &[]).succeeds();
    yard.import("third", "oci:mixed", &["second"]).succeeds();
    yard.holds("mixed", &image(3));
}

#[test]
fn another_base_is_refused_by_name() {
    let yard = chain();
    yard.export(stranger(), "stranger", &[]);
    let second = yard.bench.open(&yard.path("second")).digest().to_string();
    for bases in [&["stranger"][..], &["full"], &["stranger", "full"]] {
        let run = yard.import("third", "oci:there", bases);
        assert!(run.refused(4).contains(&second), "{bases:?}: {}", run.said);
        let mut arguments = vec!["verify", "third"];
        arguments.extend(bases.iter().flat_map(|base| ["--base", base]));
        assert!(yard.sealift(&arguments).refused(4).contains(&second), "{bases:?}");
    }
    assert!(!yard.path("there").exists());
    assert!(yard.import("full", "oci:there", &["stranger"]).refused(2).contains("no delta"));
}

#[test]
fn without_its_base_nothing_is_sent() {
    let yard = chain();
    let second = yard.bench.open(&yard.path("second")).digest().to_string();
    let run = yard.import("third", "oci:there", &[]);
    assert!(run.refused(4).contains(&second) && run.said.contains("--base"), "{}", run.said);
    assert!(!yard.path("there").exists());
    // A base that is a delta itself does not help without its own.
    yard.import("third", "oci:there", &["second"]).refused(4);
    assert!(!yard.path("there").exists());
    yard.import("third", "oci-archive:there.tar", &["second"]).refused(4);
    assert!(!yard.path("there.tar").exists());

    yard.export(stranger(), "stranger", &[]);
    for bundle in ["stranger", "full"] {
        yard.import(bundle, "oci:there", &[]).succeeds();
        let before = yard.listing("there");
        let run = yard.import("third", "oci:there", &[]);
        run.refused(4);
        assert_eq!(yard.listing("there"), before, "{bundle}");
    }
}

#[test]
fn a_damaged_layer_at_the_destination_is_not_used() {
    let yard = chain();
    yard.import("full", "oci:good", &[]).succeeds();
    yard.import("second", "oci:good", &[]).succeeds();
    let layers = image(2);
    let (packed, system) = (go_gzip(&tar(&program(2)), 6), go_gzip(&system(), 6));
    for layer in [packed, system] {
        let digest = Digest::of(&layer);
        assert!(layers.blobs.contains_key(&digest));
        // In the header, in the stream, in the check sum; and cut off.
        for at in [3, layer.len() / 3, layer.len() / 2, layer.len() - 6, layer.len()] {
            let _ = std::fs::remove_dir_all(yard.path("bad"));
            let mut copy = Command::new("cp");
            copy.args(["-r", "good", "bad"]).current_dir(yard.bench.folder.path());
            assert!(copy.status().unwrap().success());
            let blob = yard.path("bad/blobs/sha256").join(digest.hex());
            let mut bytes = layer.clone();
            match bytes.get_mut(at) {
                Some(byte) => *byte ^= 8,
                None => bytes.truncate(at / 2),
            }
            std::fs::write(&blob, bytes).unwrap();
            let before = yard.listing("bad");
            let run = yard.import("third", "oci:bad", &[]);
            assert!(run.refused(4).contains(&digest.to_string()), "byte {at}: {}", run.said);
            assert_eq!(yard.listing("bad"), before, "byte {at}");
        }
    }
}

#[test]
fn a_receipt_leaves_out_what_was_sent() {
    let yard = chain();
    for name in ["full", "second"] {
        yard.receipt(name, &format!("{name}.receipt"));
        let size = std::fs::metadata(yard.path(&format!("{name}.receipt"))).unwrap().len();
        assert!(size < 40_000, "{size}");
    }
    let full = std::fs::metadata(yard.path("full")).unwrap().len();
    let second = yard.export(image(2), "second-r", &["full.receipt"]);
    let third = yard.export(image(3), "third-r", &["second.receipt", "full.receipt"]);
    for (name, size) in [("second-r", second), ("third-r", third)] {
        let delta = yard.bench.open(&yard.path(name));
        assert!(packs_with_prefix(&delta).is_empty(), "there is nothing to pack it against");
        assert!(size * 2 < full, "{name}: {size} of {full}");
    }
    // It names the same base, so that the bundle itself serves on the far side.
    yard.import("second-r", "oci:there", &["full"]).succeeds();
    yard.import("third-r", "oci:files", &["second", "full"]).succeeds();
    yard.holds("files", &image(3));
    yard.import("full", "oci:alone", &[]).succeeds();
    yard.import("second", "oci:alone", &[]).succeeds();
    yard.import("third-r", "oci:alone", &[]).succeeds();
    yard.holds("alone", &image(3));
    // Of the chain, only the newest is at hand.
    yard.export(image(3), "third-m", &["second", "full.receipt"]);
    yard.import("third-m", "oci:alone-too", &["second", "full"]).succeeds();
    yard.holds("alone-too", &image(3));
    // A receipt has no content to import.
    assert!(yard.import("second", "oci:x", &["full.receipt"]).refused(2).contains("receipt"));
}

#[test]
fn verify_wants_the_base_or_looks_quickly() {
    let yard = chain();
    let full = yard.bench.open(&yard.path("full")).digest().to_string();
    let run = yard.sealift(&["verify", "second"]);
    assert!(run.refused(4).contains(&full), "{}", run.said);
    assert!(run.said.contains("hint: ") && run.said.contains("--quick"), "{}", run.said);
    yard.sealift(&["verify", "second", "--quick"]).succeeds();
    yard.sealift(&["verify", "second", "--base", "full"]).succeeds();
    yard.sealift(&["verify", "third", "--base", "second"]).refused(4);
    yard.sealift(&["verify", "third", "--base", "second", "--base", "full"]).succeeds();
    yard.sealift(&["verify", "third", "--quick"]).succeeds();
}

/// Somebody who can sign says that pieces of the base lie elsewhere than they do.
#[test]
fn pieces_that_lie_about_the_base_give_no_other_bytes() {
    let yard = chain();
    let resealed = Resealed::of(&yard.bench, &yard.path("second"));
    let delta = yard.bench.open(&yard.path("second"));
    let pieces = &delta.contents().index.borrowed().pieces;
    // The first of them, as the index writes them: the distance from the one before, the length.
    let (mut bytes, mut end) = (Vec::new(), 0);
    for piece in pieces.iter().take_while(|piece| piece.blob == pieces[0].blob).take(6) {
        bytes.extend(number(piece.offset - end));
        bytes.extend(number(u64::from(piece.length)));
        end = piece.offset + u64::from(piece.length);
    }
    let place = resealed.find(&bytes);
    yard.import("full", "oci:there", &[]).succeeds();
    let before = yard.listing("there");
    let mut tried = 0;
    for at in place.step_by(2) {
        for flip in [1, 2] {
            std::fs::write(yard.path("lie"), resealed.with(|index| index[at] ^= flip)).unwrap();
            for bases in [&[][..], &["full"]] {
                let run = yard.import("lie", "oci:there", bases);
                assert!(matches!(run.code, Some(4 | 7)), "{:?} {}", run.code, run.said);
            }
            tried += 1;
        }
    }
    assert!(tried >= 8);
    // What came before the lie was seen may lie there, under its right name; no image does.
    for (path, digest) in yard.listing("there") {
        match before.get(&path) {
            Some(known) => assert_eq!(*known, digest, "{}", path.display()),
            None => assert_eq!(path.file_name().unwrap().to_str(), Some(&*digest.hex())),
        }
    }
}

/// Files whose names differ in numbers alone are taken for versions of each other, and a base may
/// hold many versions of one: neither makes a pack of every chunk.
#[test]
fn many_likenesses_in_the_base_share_packs() {
    let yard = Yard::new();
    let numbered = |edit: u64| -> Files {
        let table = |n: u64| (format!("var/lib/base/{n}"), edited(&records(n, 60_000), edit));
        (0..400).map(table).collect()
    };
    let image = |edit: u64| {
        let mut memory = Memory::default();
        let media = sealift::model::manifest::media::OCI_LAYER;
        let layer = memory.layer(&tar(&numbered(edit)), media);
        memory.image("h.example/a:1", "amd64", &[layer]);
        memory
    };
    yard.export(image(1), "full", &[]);
    yard.export(image(2), "second", &["full"]);
    let delta = yard.bench.open(&yard.path("second"));
    assert!(!packs_with_prefix(&delta).is_empty());
    assert!(delta.pack_count() < 12, "{} packs for 24 MB", delta.pack_count());
    yard.import("second", "oci:there", &["full"]).succeeds();
    yard.holds("there", &image(2));
}
