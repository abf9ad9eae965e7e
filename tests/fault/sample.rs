//! The bundles on which everything is tried, made once by the real binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use sealift::trust::SecretKey;

use crate::support::command::Station;
use crate::support::images::{self, Built, Packing, image_of, layer, noise};

/// Small bundles that have everything in them, and one that is large enough for large harm.
pub(crate) struct Sample {
    /// Several images that share layers, in gzip, zstd and plain, with a signature attached.
    pub(crate) small: Vec<u8>,
    /// A newer version of one of them, as a delta to `small`.
    pub(crate) delta: Vec<u8>,
    /// 6 MiB, of which most does not compress.
    pub(crate) large: Vec<u8>,
    /// The same in volumes of 3 MiB, by file name.
    pub(crate) set: BTreeMap<String, Vec<u8>>,
    /// Files of a layout that got all of `small`, by path.
    pub(crate) arrived: BTreeMap<String, Vec<u8>>,
}

/// Name of the first image of the small bundle.
pub(crate) const FIRST: &str = "h.example/team/app:1";

/// The bundles, made by whoever asks first.
pub(crate) fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(make)
}

/// The secret key that is the same every time: that of the sender is number 1.
pub(crate) fn key(number: u8) -> SecretKey {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    write_key(&path, number);
    SecretKey::load(&path, &mut || unreachable!("it has no passphrase")).unwrap()
}

/// Writes that key as PKCS#8 PEM (RFC 8410, section 7).
pub(crate) fn write_key(path: &Path, number: u8) {
    let mut der = hex::decode("302e020100300506032b657004220420").unwrap();
    der.extend([number; 32]);
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    sealift::codec::atomic::write_file(path, 0o600, pem.as_bytes()).unwrap();
}

/// A machine that signs with the first key and trusts it.
pub(crate) fn station() -> Station {
    let station = Station::without_keys();
    let folder = station.path(".config/sealift");
    fs::create_dir_all(folder.join("trust")).unwrap();
    write_key(&folder.join("signing.pem"), 1);
    let public = key(1).public().to_pem().unwrap();
    fs::write(folder.join("signing.pub"), &public).unwrap();
    fs::write(folder.join("trust/sender.pub"), &public).unwrap();
    station
}

fn text(seed: u64, lines: usize) -> Vec<u8> {
    let line = |n: usize| format!("line {n} of {seed}: {}\n", n * n % 97).into_bytes();
    (0..lines).flat_map(line).collect()
}

fn make() -> Sample {
    let station = station();
    let write = |source: &str, file: &str, more: &[&str]| {
        let mut command = station.program();
        command.args(["export", "-q", "-o", file, source]).args(more);
        let output = command.env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let export = |name: &str, made: &[(&str, &Built)], more: &[&str]| {
        let folder = format!("{name}.layout");
        images::write_layout(&station.path(&folder), made);
        let file = format!("{name}.sealift");
        write(&format!("oci:{folder}"), &file, more);
        fs::read(station.path(&file)).unwrap()
    };

    let base = layer(&[("etc/words", &text(1, 300)), ("lib/noise", &noise(1, 6000))]);
    let first = layer(&[("app/one", &text(2, 200)), ("app/noise", &noise(2, 3000))]);
    let second = layer(&[("app/two", &text(3, 200))]);
    let one = image_of(&[base.clone(), first.clone()], Packing::Gzip, "amd64", "one");
    let two = image_of(&[base.clone(), second.clone()], Packing::Zstd, "amd64", "two");
    let other = image_of(&[second], Packing::Plain, "arm64", "other");
    let both = images::index(&[("amd64", &two), ("arm64", &other)]);
    let signature = layer(&[("signature", b"of one")]);
    let signature = image_of(&[signature], Packing::Plain, "amd64", "signature");
    let attached = format!("h.example/team/app:{}.sig", one.root.digest.as_tag());
    let small = [(FIRST, &one), ("h.example/team/both:1", &both), (&attached, &signature)];
    let small = export("small", &small, &[]);

    let newer = layer(&[("app/one", &text(2, 220)), ("app/noise", &noise(2, 3000))]);
    let newer = image_of(&[base, newer], Packing::Gzip, "amd64", "newer");
    let newer = [("h.example/team/app:2", &newer)];
    let delta = export("delta", &newer, &["--base", "small.sealift"]);

    let heavy = layer(&[("a", &noise(5, 5 << 20)), ("b", &text(5, 20_000))]);
    let light = layer(&[("c", &noise(6, 1 << 20))]);
    let heavy = image_of(&[heavy, light], Packing::Plain, "amd64", "heavy");
    let large = export("large", &[("h.example/heavy:1", &heavy)], &[]);

    fs::create_dir(station.path("set")).unwrap();
    write("oci:large.layout", "set/app.sealift", &["--volume-size", "3MiB"]);
    let set = crate::scene::files(&station.path("set"));

    station.import("small.sealift", "oci:arrived", [""; 0]);
    let arrived = crate::scene::files(&station.path("arrived"));
    Sample { small, delta, large, set, arrived }
}

#[test]
fn a_bundle_that_was_taken_apart_and_put_together_is_whole() {
    let small = &sample().small;
    let again = crate::support::forge::Forge::of(small).sealed(&[key(1)]);
    assert_eq!(
        crate::support::forge::members(&again).len(),
        crate::support::forge::members(small).len()
    );
    crate::scene::Case::new("forged").accepts("put together again", &again);
}
