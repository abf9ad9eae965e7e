//! A volume that was lost is made again, byte for byte, from what was signed and from where the
//! images came from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift::bundle::{Base, Bundle, Known, Sealed, files_of};
use sealift::codec::encryption::Identities;
use sealift::endpoint::{Origin, Silent};
use sealift::model::manifest::media;
use sealift::model::{Kind, Result};
use sealift::operation::{export, remake};

use crate::Bench;
use crate::contents::text;
use crate::memory::{Memory, noise, tar};
use crate::volumes::images;

impl Bench {
    fn make(
        &self,
        number: u64,
        memory: Memory,
        files: &[PathBuf],
        output: &Path,
        base: Option<Base>,
    ) -> Result<PathBuf> {
        let signed = Bundle::open_set(files, None, &Identities::default())
            .unwrap()
            .authenticate(&self.trust)
            .unwrap();
        let request = remake::Request {
            signed: signed.signed(),
            number,
            origins: vec![Origin::Source(Box::new(memory))],
            output: output.to_owned(),
            base,
            threads: 3,
            read_back: true,
            temporary: self.folder.path(),
        };
        remake::remake(request, &Silent).map(|volume| volume.path)
    }
}

fn names(folder: &Path) -> Vec<String> {
    crate::volumes::files(folder).into_keys().collect()
}

fn set(bench: &Bench) -> (PathBuf, Sealed) {
    let out = bench.path("out");
    std::fs::create_dir(&out).unwrap();
    let path = out.join("a.sealift");
    let sealed = bench.volumes(images(), &path, 2, Some(1 << 20)).unwrap().sealed;
    (path, sealed)
}

#[test]
fn any_volume_but_the_last_is_made_by_the_last() {
    let bench = Bench::new();
    let (path, sealed) = set(&bench);
    let count = sealed.volumes.len();
    assert!(count > 3, "{count} volumes");
    for number in [1, 2, count - 1] {
        let lost = &sealed.volumes[number - 1].path;
        let bytes = std::fs::read(lost).unwrap();
        std::fs::remove_file(lost).unwrap();
        let files = files_of(&path).unwrap();
        let made = bench.make(number as u64, images(), &files, &path, None).unwrap();
        assert_eq!(made, *lost);
        assert!(std::fs::read(made).unwrap() == bytes, "volume {number}");
    }
    assert_eq!(names(path.parent().unwrap()).len(), count, "nothing else is left");
    let error =
        bench.make(count as u64 + 1, images(), &files_of(&path).unwrap(), &path, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

#[test]
fn the_last_volume_is_made_by_a_receipt_without_any_key() {
    let bench = Bench::new();
    let (path, sealed) = set(&bench);
    let receipt = bench.path("a.receipt");
    bench.open(path.parent().unwrap()).write_receipt(&receipt).unwrap();
    let last = &sealed.volumes.last().unwrap().path;
    let bytes = std::fs::read(last).unwrap();
    std::fs::remove_file(last).unwrap();
    let none = Identities::default();
    let tail = Bundle::open_set(&[], Some(&receipt), &none).unwrap();
    let tail = tail.authenticate(&bench.trust).unwrap();
    let request = remake::Request {
        signed: tail.signed(),
        number: sealed.volumes.len() as u64,
        origins: vec![Origin::Source(Box::new(images()))],
        output: path.clone(),
        base: None,
        threads: 1,
        read_back: false,
        temporary: bench.folder.path(),
    };
    let made = remake::remake(request, &Silent).unwrap();
    assert_eq!(made.path, *last);
    assert!(std::fs::read(last).unwrap() == bytes);
}

/// The source has other content under other digests, or more than was signed: nothing is left.
#[test]
fn what_comes_out_differently_is_refused() {
    let bench = Bench::new();
    let (path, sealed) = set(&bench);
    let lost = &sealed.volumes[0].path;
    std::fs::remove_file(lost).unwrap();
    let files = files_of(&path).unwrap();
    let before = names(path.parent().unwrap());
    let mut other = Memory::default();
    let layer = other.layer(&tar(&[("x".to_owned(), noise(1, 1000))]), media::OCI_LAYER);
    other.image("h.example/app:1", "amd64", &[layer]);
    let error = bench.make(1, other, &files, &path, None).unwrap_err();
    assert!(error.message().starts_with("cannot get h.example/app:1 as it was"), "{error:?}");
    assert_eq!(names(path.parent().unwrap()), before);

    // The images are there, but a blob is not what it was.
    let mut damaged = images();
    let victim = damaged.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0;
    let victim = *victim;
    let mut bytes = damaged.blobs[&victim].to_vec();
    bytes[70_000] ^= 1;
    damaged.blobs.insert(victim, bytes.into());
    assert_eq!(bench.make(1, damaged, &files, &path, None).unwrap_err().kind(), Kind::Damaged);
    assert_eq!(names(path.parent().unwrap()), before);
}

#[test]
fn a_delta_needs_the_base_that_it_had() {
    let bench = Bench::new();
    let base_path = bench.path("base.sealift");
    let mut old = Memory::default();
    let layer = old.layer(&tar(&[("etc/x".to_owned(), text(9, 1000))]), media::OCI_LAYER);
    old.image("h.example/small:1", "amd64", &[layer]);
    let mut bulk = images();
    bulk.roots.truncate(1);
    old.blobs.extend(bulk.blobs);
    old.roots.extend(bulk.roots);
    bench.volumes(old, &base_path, 2, None).unwrap();
    let base = || {
        let bundle = Arc::new(bench.open(&base_path));
        Base::new(&[Known::Bundle(bundle)]).unwrap()
    };
    let out = bench.path("out");
    std::fs::create_dir(&out).unwrap();
    let path = out.join("d.sealift");
    let mut request = bench.request(images(), &path, 2, Some(1 << 20));
    request.base = base();
    let sealed = export::export(request, &Silent).unwrap().sealed;
    assert!(sealed.volumes.len() > 1);
    let lost = &sealed.volumes[0].path;
    let bytes = std::fs::read(lost).unwrap();
    std::fs::remove_file(lost).unwrap();
    let files = files_of(&path).unwrap();
    let error = bench.make(1, images(), &files, &path, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error:?}");
    let made = bench.make(1, images(), &files, &path, base()).unwrap();
    assert!(std::fs::read(made).unwrap() == bytes);
}
