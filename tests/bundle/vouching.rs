//! What a repair vouches for: parity is nobody's word, and may cover more than a bundle, or something
//! else in place of a part of it. Each file that gets a name is a volume that was signed, or none does.

use std::fs;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;
use sealift::bundle::SMALLEST_VOLUME;
use sealift::codec::encryption::Identities;
use sealift::endpoint::Silent;
use sealift::model::{Error, Kind, Result};
use sealift::operation::export;
use sealift::operation::parity;
use sealift::operation::repair::{self, Proof};

use crate::Bench;
use crate::memory::noise;
use crate::parity::{noisy, wanted};
use crate::volumes::images;

/// A folder with a bundle, as somebody has it who may change what is in it on its way.
struct Carrier {
    bench: Bench,
    /// The volumes.
    volumes: Vec<PathBuf>,
}

impl Carrier {
    fn new(volume_size: Option<u64>) -> Self {
        let bench = Bench::new();
        fs::create_dir(bench.path("stick")).unwrap();
        let memory = if volume_size.is_some() { images() } else { noisy() };
        let bundle = bench.path("stick/app.sealift");
        let report =
            export::export(bench.request(memory, &bundle, 2, volume_size), &Silent).unwrap();
        let volumes = report.sealed.volumes.into_iter().map(|volume| volume.path).collect();
        Self { bench, volumes }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bench.path("stick").join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Makes parity for these files, however little belongs together.
    fn cover(&self, files: &[PathBuf]) {
        let wanted = wanted(100, self.path("app.parity.sealift"));
        parity::make_beside(files, &wanted, &Silent).unwrap();
    }

    /// What a repair of all that is there says, which writes nothing.
    fn refused(&self, all: bool, identities: &Identities) -> Error {
        let output = self.bench.path("out");
        let error = self.repair(&output, all, identities).unwrap_err();
        let left = fs::read_dir(&output).map_or(0, Iterator::count);
        assert_eq!(left, 0, "something was written: {}", error.chain());
        error
    }

    fn repair(&self, output: &Path, all: bool, identities: &Identities) -> Result<repair::Report> {
        let request = repair::Request {
            places: vec![self.bench.path("stick")],
            output: output.to_owned(),
            all,
            force: false,
            trust: &|| Ok(self.bench.trust.clone()),
            identities: identities.clone(),
            must_open: false,
        };
        repair::repair(&request, &Silent)
    }
}

/// Changes a byte in the middle.
fn hit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn nobody() -> Identities {
    Identities::default()
}

#[test]
fn no_file_is_written_that_only_lies_with_the_bundle() {
    let carrier = Carrier::new(None);
    let bundle = &carrier.volumes[0];
    let key = carrier.write("vendor.pub", b"a key that nobody trusts\n");
    carrier.cover(&[bundle.clone(), key.clone()]);
    let good = fs::read(bundle).unwrap();
    hit(bundle);
    for state in ["whole", "damaged", "gone"] {
        match state {
            "damaged" => hit(&key),
            "gone" => fs::remove_file(&key).unwrap(),
            _ => {}
        }
        for all in [false, true] {
            let error = carrier.refused(all, &nobody());
            assert_eq!(error.kind(), Kind::Untrusted, "{state}: {}", error.chain());
            let told = error.chain();
            assert!(told.contains("vendor.pub is no volume of the bundle"), "{state}: {told}");
        }
    }
    // Nor where the bundle itself is whole.
    fs::write(bundle, good).unwrap();
    assert_eq!(carrier.refused(true, &nobody()).kind(), Kind::Untrusted);
    let report = carrier.repair(&carrier.bench.path("out"), false, &nobody()).unwrap();
    assert_eq!((report.proof, report.outgrown), (Proof::Nothing, true));
}

/// The true volume is in the table under another name, or only beside.
#[test]
fn nothing_is_written_in_place_of_a_volume() {
    for is_covered in [true, false] {
        let carrier = Carrier::new(Some(SMALLEST_VOLUME));
        let second = &carrier.volumes[1];
        let length = fs::metadata(second).unwrap().len() as usize;
        fs::rename(second, carrier.path("spare.sealift")).unwrap();
        fs::write(second, noise(77, length)).unwrap();
        let mut covered = carrier.volumes.clone();
        if is_covered {
            covered.push(carrier.path("spare.sealift"));
        }
        carrier.cover(&covered);
        fs::remove_file(second).unwrap();
        for all in [false, true] {
            let error = carrier.refused(all, &nobody());
            assert_eq!(error.kind(), Kind::Untrusted, "{is_covered}: {}", error.chain());
            assert!(error.chain().contains("app.002.sealift is no volume"), "{}", error.chain());
        }
    }
}

#[test]
fn two_files_that_are_one_volume_are_not_proved_by_each_other() {
    let carrier = Carrier::new(Some(SMALLEST_VOLUME));
    let second = &carrier.volumes[1];
    let copy = carrier.path("copy.sealift");
    fs::copy(second, &copy).unwrap();
    hit(&copy);
    carrier.cover(&[&carrier.volumes[..], std::slice::from_ref(&copy)].concat());
    fs::remove_file(copy).unwrap();
    let error = carrier.refused(false, &nobody());
    assert_eq!(error.kind(), Kind::Untrusted, "{}", error.chain());
}

#[test]
fn a_volume_that_only_lies_beside_proves_nothing() {
    let carrier = Carrier::new(Some(SMALLEST_VOLUME));
    let last = carrier.volumes.len() - 1;
    for left_out in [0, last] {
        let mut covered = carrier.volumes.clone();
        covered.remove(left_out);
        carrier.cover(&covered);
        let good = fs::read(&covered[0]).unwrap();
        hit(&covered[0]);
        let error = carrier.refused(false, &nobody());
        assert_eq!(error.kind(), Kind::Damaged, "{}", error.chain());
        fs::write(&covered[0], good).unwrap();
        fs::remove_file(carrier.path("app.parity.sealift")).unwrap();
    }
}

#[test]
fn two_bad_copies_are_no_bundle_that_stands() {
    let carrier = Carrier::new(None);
    let bundle = &carrier.volumes[0];
    let good = fs::read(bundle).unwrap();
    carrier.cover(std::slice::from_ref(bundle));
    fs::rename(carrier.path("app.parity.sealift"), carrier.path("parity")).unwrap();
    let (mut readme, mut packs) = (good.clone(), good.clone());
    readme[600] ^= 1;
    packs[good.len() / 2] ^= 1;
    fs::write(bundle, readme).unwrap();
    carrier.write("copy.sealift", &packs);
    let output = carrier.bench.path("new");
    let report = carrier.repair(&output, false, &nobody()).unwrap();
    assert_eq!(report.proof, Proof::Signed);
    assert!(fs::read(output).unwrap() == good);
}

/// Whoever knows a recipient can encrypt to it: what opens is no better for that.
#[test]
fn what_an_identity_opens_is_proved_and_nothing_else_is_written_with_it() {
    let carrier = Carrier::new(None);
    let own = age::x25519::Identity::generate();
    let other = age::x25519::Identity::generate();
    let key = carrier.bench.path("key.txt");
    fs::write(&key, own.to_string().expose_secret()).unwrap();
    let identities = Identities::load([&key]).unwrap();
    let plain = fs::read(&carrier.volumes[0]).unwrap();
    fs::remove_file(&carrier.volumes[0]).unwrap();
    let bytes = age::encrypt(&own.to_public(), &plain).unwrap();
    let bundle = carrier.write("app.sealift.age", &bytes);
    let mut foreign = plain.clone();
    // Another set, by what it says of itself, so that more than one bundle is there.
    let at = foreign.windows(4).position(|it| it == b"set ").unwrap() + 4;
    foreign[at..at + 32].fill(b'7');
    let opens = |bytes: &[u8]| age::encrypt(&own.to_public(), bytes).unwrap();
    for (what, bytes, with, kind) in [
        ("opens", opens(b"#!/bin/sh\n"), &identities, Kind::Untrusted),
        ("seems another bundle", opens(&foreign), &identities, Kind::Usage),
        (
            "is for somebody else",
            age::encrypt(&other.to_public(), b"#!/bin/sh\n").unwrap(),
            &identities,
            Kind::Usage,
        ),
        ("is not encrypted", b"#!/bin/sh\n".to_vec(), &nobody(), Kind::Usage),
    ] {
        let extra = carrier.write("install.age", &bytes);
        carrier.cover(&[bundle.clone(), extra.clone()]);
        fs::remove_file(&extra).unwrap();
        let error = carrier.refused(false, with);
        assert_eq!(error.kind(), kind, "{what}: {}", error.chain());
        fs::remove_file(carrier.path("app.parity.sealift")).unwrap();
    }
    // The bundle alone comes back, proved.
    carrier.cover(std::slice::from_ref(&bundle));
    hit(&bundle);
    let output = carrier.bench.path("new.age");
    let report = carrier.repair(&output, false, &identities).unwrap();
    assert_eq!(report.proof, Proof::Signed);
    assert!(fs::read(output).unwrap() == bytes);
}

/// What only seems encrypted gets no name that it chose.
#[test]
fn without_proof_no_name_is_given_but_that_of_an_encrypted_file() {
    let carrier = Carrier::new(None);
    let bytes = [&b"age-encryption.org/v1\n"[..], &noise(8, 100_000)].concat();
    fs::remove_file(&carrier.volumes[0]).unwrap();
    let bundle = carrier.write("app.sealift.age", &bytes);
    let script = carrier.write("install.sh", b"age-encryption.org/v1\nrm -rf /\n");
    carrier.cover(&[bundle, script.clone()]);
    fs::remove_file(script).unwrap();
    let error = carrier.refused(false, &nobody());
    assert_eq!(error.kind(), Kind::Untrusted, "{}", error.chain());
    assert!(error.message().contains("install.sh"), "{error}");
}
