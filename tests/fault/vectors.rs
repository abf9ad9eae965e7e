//! Case 32: other people's Ed25519 vectors, and who takes them.
//!
//! Each is put to the key itself, to the whole of a machine's trust (a key file, a named signature)
//! and to OpenSSL. Where the two differ, ours is the stricter one, and the table says why.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift::model::{Digest, Kind};
use sealift::trust::{KeyId, PublicKey, Trust};
use serde_json::Value;

use crate::signatures::public_pem;

/// A vector: a key, a message and what is said to be its signature.
struct Vector {
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// What somebody makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepts,
    Rejects,
    /// The key is not taken at all.
    NoKey,
}

impl Verdict {
    fn of(accepts: bool) -> Self {
        if accepts { Self::Accepts } else { Self::Rejects }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Accepts => "accepts",
            Self::Rejects => "rejects",
            Self::NoKey => "refuses the key",
        }
    }
}

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/ed25519").join(name);
    let bytes = fs::read(&path).unwrap();
    let pinned = fs::read_to_string(path.with_file_name("README.md")).unwrap();
    assert!(pinned.contains(&Digest::of(&bytes).hex()), "{name} is not the file that was pinned");
    serde_json::from_slice(&bytes).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

impl Vector {
    /// What our key makes of it, and our trust; the two must agree.
    fn ours(&self, folder: &Path) -> Verdict {
        let pem = public_pem(&self.key);
        let path = folder.join("key.pub");
        fs::write(&path, &pem).unwrap();
        let trust = Trust::from_files(&[&path]);
        let key = match PublicKey::from_pem(&pem, "the vector") {
            Ok(key) => key,
            Err(error) => {
                assert_eq!(error.kind(), Kind::Usage, "{error}");
                assert_eq!(trust.unwrap_err().kind(), Kind::Usage);
                return Verdict::NoKey;
            }
        };
        // A signature of another length does not come as far as a key.
        let Ok(signature) = <[u8; 64]>::try_from(&self.signature[..]) else {
            return Verdict::Rejects;
        };
        let accepts = key.verifies(&self.message, &signature);
        let id = KeyId::parse(&Digest::of(&self.key).hex()).unwrap();
        let judged = trust.unwrap().require(&self.message, &[(id, signature)], "the vector");
        assert_eq!(judged.is_ok(), accepts && id == key.id());
        if let Err(error) = judged {
            assert_eq!(error.kind(), Kind::Untrusted);
        }
        Verdict::of(accepts)
    }

    /// What `openssl pkeyutl` makes of it; `None` for an empty message, which it cannot read.
    fn openssl(&self, folder: &Path) -> Option<Verdict> {
        if self.message.is_empty() {
            return None;
        }
        let write = |name: &str, content: &[u8]| -> PathBuf {
            let path = folder.join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let (key, message, signature) = (
            write("o.pub", public_pem(&self.key).as_bytes()),
            write("message", &self.message),
            write("signature", &self.signature),
        );
        let run = |arguments: &[&Path]| {
            let output = Command::new("openssl").args(arguments).output();
            output.expect("openssl is needed").status.success()
        };
        let path = Path::new;
        if !run(&[path("pkey"), path("-pubin"), path("-noout"), path("-in"), &key]) {
            return Some(Verdict::NoKey);
        }
        let verify = ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"].map(Path::new);
        let files = [&*key, path("-in"), &*message, path("-sigfile"), &*signature];
        Some(Verdict::of(run(&[&verify[..], &files].concat())))
    }
}

/// What each of the twelve is about, as the paper has it (table 5).
const SPECCHECK: [&str; 12] = [
    "S = 0, A and R of small order",
    "A of small order, R mixed",
    "A mixed, R of small order",
    "A and R mixed, holds with and without the cofactor",
    "holds with the cofactor alone",
    "holds with the cofactor alone, if it is multiplied late",
    "S > L",
    "S >> L",
    "R of small order, not canonical, hashed reduced",
    "R of small order, not canonical, hashed as it is",
    "A of small order, not canonical, hashed reduced",
    "A of small order, not canonical, hashed as it is",
];

#[test]
fn the_twelve_cases_of_the_paper_have_a_pinned_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let cases = read("speccheck.json");
    let mut table = String::new();
    for (case, about) in cases.as_array().unwrap().iter().zip(SPECCHECK) {
        let vector = Vector {
            key: bytes(&case["pub_key"]),
            message: bytes(&case["message"]),
            signature: bytes(&case["signature"]),
        };
        let (ours, theirs) = (vector.ours(folder.path()), vector.openssl(folder.path()));
        let number = table.lines().count();
        let (ours, theirs) = (ours.word(), theirs.expect("no message is empty").word());
        let _ = writeln!(table, "{number:>2}  {ours:<15}  openssl {theirs:<15}  {about}");
    }
    assert_eq!(table.lines().count(), 12);
    println!("{table}");
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("speccheck", table);
    });
}

#[test]
fn wycheproofs_vectors_end_as_wycheproof_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = read("wycheproof.json");
    let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut number = 0;
    for group in file["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let vector = Vector {
                key: bytes(&group["publicKey"]["pk"]),
                message: bytes(&test["msg"]),
                signature: bytes(&test["sig"]),
            };
            let should = Verdict::of(test["result"] == "valid");
            let ours = vector.ours(folder.path());
            assert_eq!(ours, should, "{test}");
            let theirs = vector.openssl(folder.path());
            assert!(theirs.is_none_or(|theirs| theirs == should), "OpenSSL {theirs:?} on {test}");
            let flag = test["flags"][0].as_str().unwrap().to_owned();
            *counts.entry((flag, ours.word().to_owned())).or_default() += 1;
            number += 1;
        }
    }
    assert_eq!(file["numberOfTests"], number);
    let mut table = String::new();
    for ((flag, word), count) in counts {
        let _ = writeln!(table, "{count:>3}  {word}  {flag}");
    }
    println!("{table}");
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("wycheproof", table);
    });
}
