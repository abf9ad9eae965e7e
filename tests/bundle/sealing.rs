//! Who sealed it: only keys that are trusted here count, and only over the exact bytes.

use std::process::Command;

use sealift::bundle::Bundle;
use sealift::endpoint::Silent;
use sealift::model::{Kind, Result};
use sealift::operation::export;
use sealift::trust::{SecretKey, Trust};

use crate::Bench;
use crate::memory::{Memory, package, tar};

fn small() -> Memory {
    let mut memory = Memory::default();
    let layer = memory.layer(&tar(&package(1)), sealift::model::manifest::media::OCI_LAYER);
    memory.image("h.example/a:1", "amd64", &[layer]);
    memory
}

fn sealed_by(bench: &Bench, name: &str, signers: Vec<SecretKey>) -> Result<std::path::PathBuf> {
    let path = bench.path(name);
    let mut request = bench.request(small(), &path, 1, None);
    request.signers = signers;
    export::export(request, &Silent).map(|_| path)
}

fn kind(path: &std::path::Path, trust: &Trust) -> Option<Kind> {
    Bundle::open(path).unwrap().authenticate(trust).err().map(|error| error.kind())
}

#[test]
fn one_trusted_signer_among_several_is_enough() {
    let bench = Bench::new();
    let stranger = || SecretKey::generate().unwrap();
    let both = sealed_by(&bench, "both", vec![stranger(), bench.key()]).unwrap();
    assert_eq!(kind(&both, &bench.trust), None);
    assert_eq!(Bundle::open(&both).unwrap().signers(&bench.trust).len(), 2);
    let other = sealed_by(&bench, "other", vec![stranger()]).unwrap();
    assert_eq!(kind(&other, &bench.trust), Some(Kind::Untrusted));
    assert_eq!(kind(&both, &Trust::default()), Some(Kind::Untrusted));
    let error = sealed_by(&bench, "none", Vec::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(!bench.path("none").exists());
}

#[test]
fn a_signature_fits_one_bundle() {
    let bench = Bench::new();
    let good = std::fs::read(sealed_by(&bench, "a", vec![bench.key()]).unwrap()).unwrap();
    let mut memory = small();
    let layer = memory.layer(&tar(&package(2)), sealift::model::manifest::media::OCI_LAYER);
    memory.image("h.example/b:1", "amd64", &[layer]);
    let path = bench.path("b");
    bench.export(memory, &path, 1);
    let mut other = std::fs::read(&path).unwrap();
    let signature = |bytes: &[u8]| {
        bytes.windows(11).rposition(|window| window == b"signatures/").unwrap() + 512
    };
    let (from, to) = (signature(&good), signature(&other));
    other[to..to + 64].copy_from_slice(&good[from..from + 64]);
    std::fs::write(&path, other).unwrap();
    assert_eq!(kind(&path, &bench.trust), Some(Kind::Untrusted));
}

#[test]
fn a_dropped_signature_is_no_signature() {
    let bench = Bench::new();
    let path = sealed_by(&bench, "a", vec![bench.key()]).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(11).rposition(|window| window == b"signatures/").unwrap();
    std::fs::write(&path, [&bytes[..at], &bytes[at + 1024..]].concat()).unwrap();
    let error = Bundle::open(&path).unwrap().authenticate(&bench.trust).unwrap_err();
    assert_eq!(error.kind(), Kind::Untrusted);
    assert!(error.message().contains("not signed"), "{error}");
}

/// The auditor's way: tar and openssl alone.
#[test]
fn tar_and_openssl_agree() {
    let bench = Bench::new();
    let path = sealed_by(&bench, "a.sealift", vec![bench.key()]).unwrap();
    let run = |program: &str, args: &[&str]| {
        Command::new(program).args(args).current_dir(bench.folder.path()).output().unwrap()
    };
    assert!(run("tar", &["xf", path.to_str().unwrap()]).status.success());
    let signature = format!("signatures/{}.sig", bench.key().public().id());
    let check = [
        "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pub", "-in", "manifest",
        "-sigfile", &signature,
    ];
    assert!(run("openssl", &check).status.success());
    let mut manifest = std::fs::read(bench.path("manifest")).unwrap();
    manifest[30] ^= 1;
    std::fs::write(bench.path("manifest"), manifest).unwrap();
    assert!(!run("openssl", &check).status.success());
}

#[test]
fn openssl_keys_sign_and_ours_open_in_openssl() {
    let bench = Bench::new();
    let run = |args: &[&str]| {
        Command::new("openssl").args(args).current_dir(bench.folder.path()).output().unwrap()
    };
    assert!(run(&["genpkey", "-algorithm", "ed25519", "-out", "o.pem"]).status.success());
    assert!(run(&["pkey", "-in", "o.pem", "-pubout", "-out", "o.pub"]).status.success());
    assert!(
        run(&["pkey", "-in", "o.pem", "-aes256", "-passout", "pass:secret", "-out", "e.pem"])
            .status
            .success()
    );
    for (file, passphrase) in [("o.pem", ""), ("e.pem", "secret")] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(bench.path(file), std::fs::Permissions::from_mode(0o600)).unwrap();
        let key =
            SecretKey::load(&bench.path(file), &mut || Ok(passphrase.to_owned().into())).unwrap();
        let path = sealed_by(&bench, "o.sealift", vec![key]).unwrap();
        let trust = Trust::from_files(&[bench.path("o.pub")]).unwrap();
        assert_eq!(kind(&path, &trust), None);
    }
    let encrypted = bench.key().to_pem(Some("secret")).unwrap();
    std::fs::write(bench.path("mine.pem"), encrypted).unwrap();
    assert!(run(&["pkey", "-in", "key.pem", "-noout"]).status.success());
    assert!(run(&["pkey", "-in", "mine.pem", "-passin", "pass:secret", "-noout"]).status.success());
}
