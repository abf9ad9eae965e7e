//! The independent reader, written from `docs/format.md` alone, agrees; and bundles that were
//! written once are read for ever.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sealift::bundle::{Bundle, Encoding};
use sealift::endpoint::{Silent, Source as _};
use sealift::model::Digest;
use sealift::operation::verify::{Depth, verify};
use sealift::trust::Trust;

use crate::Bench;
use crate::memory::Memory;
use crate::round_trip::assortment;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn reader(bundle: &Path, key: &Path, command: &[&str]) -> Output {
    Command::new("python3")
        .arg(file("tests/format/reader.py"))
        .arg(bundle)
        .arg("--key")
        .arg(key)
        .args(command)
        .output()
        .expect("python3 is there")
}

/// Every blob of the bundle comes out of the reader with its digest. The reader has no encoder for
/// gzip layers that were opened: of those, their plain form does.
fn restores_everything(path: &Path, trust: &Trust, key: &Path, originals: &Memory) {
    let bundle = Bundle::open(path).unwrap().authenticate(trust).unwrap();
    let mut opened = 0;
    for (digest, bytes) in &originals.blobs {
        let name = digest.to_string();
        let entry = bundle.contents().index.blob(digest).unwrap();
        let expected = match (&entry.recipe.encoding, entry.plain) {
            (Encoding::Gzip { .. }, Some(plain)) => {
                opened += 1;
                plain.digest
            }
            _ => Digest::of(bytes),
        };
        let form: &[&str] = if expected == *digest { &[] } else { &["--plain"] };
        let output = reader(path, key, &[&["restore", &name], form].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(Digest::of(&output.stdout), expected, "{digest}");
    }
    assert!(opened > 0, "no gzip layer was opened");
}

#[test]
fn the_independent_reader_agrees_about_every_kind_of_blob() {
    let bench = Bench::new();
    let path = bench.path("b.sealift");
    let mut images = assortment();
    let origin = Some("mirror.example:5000/hub/app:1".parse().unwrap());
    images.roots[0].origin.clone_from(&origin);
    bench.export(images, &path, 2);
    let opened = Bundle::open(&path).unwrap().authenticate(&bench.trust).unwrap();
    let origins: Vec<_> = opened.roots().unwrap().into_iter().map(|root| root.origin).collect();
    assert_eq!(origins.iter().flatten().count(), 1, "{origins:?}");
    assert!(origins.contains(&origin));
    let key = bench.path("key.pub");
    let output = reader(&path, &key, &["check"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().filter(|line| line.ends_with(" whole")).count(), 6, "{said}");
    restores_everything(&path, &bench.trust, &key, &assortment());
}

#[test]
fn the_independent_reader_refuses_what_we_refuse() {
    let bench = Bench::new();
    let path = bench.path("b.sealift");
    bench.export(assortment(), &path, 2);
    let good = std::fs::read(&path).unwrap();
    let key = bench.path("key.pub");
    let step = good.len() / 12;
    for at in (0..12).map(|n| n * step + 600) {
        let mut bytes = good.clone();
        bytes[at] ^= 16;
        std::fs::write(&path, bytes).unwrap();
        assert!(!reader(&path, &key, &["check"]).status.success(), "byte {at}");
    }
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert!(!reader(&path, &key, &["check"]).status.success());
    let stranger = sealift::trust::SecretKey::generate().unwrap().public().to_pem().unwrap();
    std::fs::write(&path, &good).unwrap();
    std::fs::write(bench.path("stranger.pub"), stranger).unwrap();
    assert!(!reader(&path, &bench.path("stranger.pub"), &["check"]).status.success());
}

/// The bundles in `testdata` were written by released formats. They are never written anew: a
/// change that makes one of them unreadable breaks what users keep on their shelves.
#[test]
fn golden_bundles_are_read_for_ever() {
    let golden = [(
        "version-1",
        "sha256:997c25cf47ba50c3665b34dc83c9edd38efe13fa21604a53932f6248cd64abc3",
        9,
    )];
    for (name, digest, blobs) in golden {
        let path = file(&format!("testdata/{name}.sealift"));
        let key = file(&format!("testdata/{name}.pub"));
        let trust = Trust::from_files(&[&key]).unwrap();
        let bundle = Bundle::open(&path).unwrap().authenticate(&trust).unwrap();
        assert_eq!(bundle.digest(), digest.parse::<Digest>().unwrap());
        let report = verify(&bundle, Depth::Full, 1, &Silent).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert_eq!(report.blobs, blobs);
        assert!(reader(&path, &key, &["check"]).status.success());
    }
}
