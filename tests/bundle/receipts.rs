//! Receipts: what they say of a bundle and of its import, and what becomes of those that lie.

use std::path::{Path, PathBuf};

use sealift::bundle::{Amount, Authentic, Bundle, Known, Landed, Manifest, Receipt, Statement};
use sealift::codec::atomic::AtomicFile;
use sealift::codec::encryption::Identities;
use sealift::model::manifest::media;
use sealift::model::{Digest, Error, Kind, limits};
use sealift::trust::{SIGNATURE_BYTES, SecretKey, Trust};

use crate::Bench;
use crate::contents::Choice;
use crate::memory::{Memory, tar};
use crate::volume::put_member;

/// An image of so many files that its index is longer than what a receipt begins with.
fn image() -> Memory {
    let mut memory = Memory::default();
    let files: Vec<_> =
        (0..400u32).map(|n| (format!("f/{n}"), n.to_string().repeat(9).into_bytes())).collect();
    let layer = memory.layer(&tar(&files), media::OCI_LAYER);
    memory.image("h.example/app:1", "amd64", &[layer]);
    memory
}

/// A bundle, and receipts of it.
struct Desk {
    bench: Bench,
    bundle: Bundle<Authentic>,
}

impl Desk {
    fn new() -> Self {
        let bench = Bench::new();
        let path = bench.path("app.sealift");
        bench.write(image(), &path, Choice::default());
        let bundle = bench.open(&path);
        Self { bench, bundle }
    }

    /// The digests of all its blobs, in order.
    fn blobs(&self) -> Vec<Digest> {
        let blobs = self.bundle.contents().index.blobs();
        let mut blobs: Vec<Digest> = blobs.iter().map(|blob| blob.digest).collect();
        blobs.sort();
        blobs
    }

    /// That all of it arrived.
    fn statement(&self) -> Statement {
        let root = self.bundle.contents().manifest.images[0].root.digest;
        Statement {
            bundle: self.bundle.digest(),
            imported: 1_700_000_001,
            generator: "sealift test".into(),
            machine: None,
            destination: "there.example/mirror".into(),
            images: vec![Landed {
                image: "h.example/app:1".into(),
                digest: root,
                target: "there.example/mirror/app:1".into(),
                target_digest: root,
                read_back: None,
                already: false,
            }],
            sent: Amount { blobs: 3, bytes: 4 },
            present: Amount::default(),
            linked: Amount::default(),
            blobs: self.blobs(),
        }
    }

    /// The receipt of an import that says so, signed by these keys.
    fn receipt(&self, statement: &Statement, keys: &[SecretKey]) -> PathBuf {
        let path = self.bench.path("import.receipt");
        let _ = std::fs::remove_file(&path);
        let file = AtomicFile::create(&path, 0o644).unwrap();
        let digest = self.bundle.write_import_receipt(file, statement, keys).unwrap();
        assert_eq!(digest, Digest::of(&std::fs::read(&path).unwrap()));
        path
    }

    /// The members of the receipt of a signed import.
    fn members(&self) -> Vec<Member> {
        let receipt = self.receipt(&self.statement(), &[self.bench.key()]);
        members(&std::fs::read(receipt).unwrap())
    }

    /// What is said of these members as a receipt: when it is opened, looked at, or believed.
    #[track_caller]
    fn refused(&self, members: &[Member]) -> Error {
        let path = self.bench.path("bad.receipt");
        std::fs::write(&path, joined(members, &self.bundle.contents().manifest)).unwrap();
        let receipt = match Receipt::open(&path) {
            Ok(receipt) => receipt,
            Err(error) => return error,
        };
        assert!(Receipt::is_one(&path).unwrap());
        receipt.authenticate(&self.bench.trust).err().expect("it is refused")
    }
}

/// Name and content.
type Member = (String, Vec<u8>);

fn members(receipt: &[u8]) -> Vec<Member> {
    let mut archive = tar::Archive::new(receipt);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        (name, content)
    });
    entries.collect()
}

/// A receipt of these members, whose tail says where its manifest is.
fn joined(members: &[Member], manifest: &Manifest) -> Vec<u8> {
    let (mut bytes, mut manifest_at) = (Vec::new(), 0);
    for (name, content) in members {
        if name == "manifest" {
            manifest_at = bytes.len();
        }
        match name.as_str() {
            "tail" => {
                let text = format!("sealift tail 1\nmanifest {manifest_at:020}\n");
                put_member(&mut bytes, name, text.as_bytes(), manifest.created);
            }
            _ => put_member(&mut bytes, name, content, manifest.created),
        }
    }
    bytes.extend([0; 1024]);
    bytes
}

fn at(members: &[Member], name: &str) -> usize {
    members.iter().position(|(own, _)| own.starts_with(name)).expect(name)
}

fn signature(key: &SecretKey, message: &[u8]) -> Member {
    (format!("import-signatures/{}.sig", key.public().id()), key.sign(message).to_vec())
}

#[test]
fn what_an_import_brought_is_read_as_it_was_written() {
    let desk = Desk::new();
    let mut statement = desk.statement();
    statement.blobs.pop();
    let stranger = SecretKey::generate().unwrap();
    let keys = [desk.bench.key(), desk.bench.key(), stranger];
    let path = desk.receipt(&statement, &keys);
    assert!(Receipt::is_one(&path).unwrap());
    let receipt = Receipt::open(&path).unwrap();
    assert_eq!(receipt.digest(), desk.bundle.digest());
    assert_eq!(receipt.length(), std::fs::metadata(&path).unwrap().len());
    assert_eq!(receipt.statement().unwrap().as_ref(), Some(&statement));
    assert_eq!(receipt.peek().unwrap().manifest, desk.bundle.contents().manifest);
    let trusted = |signers: Vec<sealift::trust::Signer>| -> Vec<bool> {
        let mut trusted: Vec<bool> =
            signers.iter().map(|signer| signer.trusted.is_some()).collect();
        trusted.sort_unstable();
        trusted
    };
    assert_eq!(trusted(receipt.signers(&desk.bench.trust)), [true]);
    // A key that is named twice has signed once.
    assert_eq!(trusted(receipt.import_signers(&desk.bench.trust)), [false, true]);
    let Known::Receipt { digest, held, .. } = receipt.authenticate(&desk.bench.trust).unwrap()
    else {
        panic!("it is a receipt")
    };
    assert_eq!((digest, held), (desk.bundle.digest(), Some(statement.blobs.into_iter().collect())));

    // One that nobody signed is believed: it makes less of the bundle count, and not more.
    let receipt = Receipt::open(&desk.receipt(&desk.statement(), &[])).unwrap();
    assert!(receipt.import_signers(&desk.bench.trust).is_empty());
    assert!(receipt.authenticate(&desk.bench.trust).is_ok());

    // One that speaks of no import.
    let plain = desk.bench.path("plain.receipt");
    desk.bundle.write_receipt(&plain).unwrap();
    let receipt = Receipt::open(&plain).unwrap();
    assert!(receipt.import_signers(&desk.bench.trust).is_empty());
    assert_eq!(receipt.statement().unwrap(), None);
    assert!(receipt.peek().is_ok());
    let Known::Receipt { held, .. } = receipt.authenticate(&desk.bench.trust).unwrap() else {
        panic!("it is a receipt")
    };
    assert_eq!(held, None);
}

#[test]
fn a_receipt_is_known_from_everything_else() {
    let desk = Desk::new();
    let is_one = |path: &Path| Receipt::is_one(path).unwrap();
    assert!(!is_one(desk.bundle.path()));
    assert!(!is_one(desk.bench.folder.path()));
    assert!(!is_one(&desk.bench.path("nowhere")));
    let other = desk.bench.path("other");
    let receipt = std::fs::read(desk.receipt(&desk.statement(), &[])).unwrap();
    for (bytes, what) in [
        (&b""[..], "nothing"),
        (b"README.txt", "less than a block"),
        (&receipt[..700], "its first member"),
        (&[7; 4096], "anything"),
        (b"age-encryption.org/v1\n-> X25519 a\nb\n--- c\n", "what is encrypted"),
    ] {
        std::fs::write(&other, bytes).unwrap();
        assert!(!is_one(&other), "{what}");
    }
    std::fs::write(&other, &receipt[..2048]).unwrap();
    assert!(is_one(&other));
}

#[test]
fn a_tail_is_a_last_volume_or_a_receipt() {
    let desk = Desk::new();
    let mut volume = std::fs::read(desk.bundle.path()).unwrap();
    volume.truncate(desk.bundle.contents().manifest.index.offset as usize);
    volume.resize(volume.len() + 1024, 0);
    let path = desk.bench.path("first");
    std::fs::write(&path, volume).unwrap();
    let error = Bundle::open_set(&[], Some(&path), &Identities::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.message().ends_with("first is not the last volume of its set"), "{error}");
}

#[test]
fn what_lies_in_a_receipt_and_does_not_belong_there_is_refused() {
    let desk = Desk::new();
    let good = desk.members();
    let names: Vec<&str> = good.iter().map(|(name, _)| name.split('/').next().unwrap()).collect();
    let expected =
        ["README.txt", "receipt", "import", "import-signatures", "index", "manifest", "signatures"];
    assert_eq!(names, [&expected[..], &["tail"]].concat());
    let import = good[at(&good, "import")].1.clone();
    let mut keys: Vec<SecretKey> =
        (0..=limits::SIGNATURES).map(|_| SecretKey::generate().unwrap()).collect();
    keys.sort_by_key(|key| key.public().id());
    let with = |members: &[Member]| {
        let mut all = good.clone();
        let place = at(&all, "import-signatures");
        all.splice(place..=place, members.iter().cloned());
        all
    };
    let signatures: Vec<Member> = keys.iter().map(|key| signature(key, &import)).collect();
    let one = signatures[0].clone();
    for (what, members, says) in [
        ("too many", with(&signatures), "does not belong in a receipt"),
        ("the other way round", with(&[signatures[1].clone(), one.clone()]), "does not belong"),
        ("twice", with(&[one.clone(), one.clone()]), "does not belong in a receipt"),
        ("short", with(&[(one.0.clone(), vec![0; SIGNATURE_BYTES - 1])]), "does not belong"),
        ("of nobody", with(&[("import-signatures/0f.sig".into(), one.1.clone())]), "0f.sig\" does"),
        ("of another name", with(&[(one.0.replace(".sig", ""), one.1)]), "does not belong"),
        ("before the index", with(&[("note".into(), b"note".to_vec())]), "something lies between"),
    ] {
        let error = desk.refused(&members);
        assert_eq!(error.kind(), Kind::Malformed, "{what}: {error}");
        assert!(error.message().contains(says), "{what}: {error}");
    }
    // What is said of the import is looked at too where nothing is proved.
    let note = with(&[("note".into(), b"note".to_vec())]);
    let path = desk.bench.path("noted.receipt");
    std::fs::write(&path, joined(&note, &desk.bundle.contents().manifest)).unwrap();
    let error = Receipt::open(&path).unwrap().peek().unwrap_err();
    assert!(error.message().contains("something lies between"), "{error}");

    let mut long = good.clone();
    long[at(&good, "import")].1 = vec![b' '; limits::STATEMENT_BYTES as usize + 1];
    let error = desk.refused(&long);
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(error.message().contains("has 16777217 bytes to say of an import"), "{error}");
}

#[test]
fn what_an_import_says_is_believed_of_its_bundle_and_of_who_may_say_it() {
    let desk = Desk::new();
    let refused = |statement: &Statement, keys: &[SecretKey]| {
        let receipt = Receipt::open(&desk.receipt(statement, keys)).unwrap();
        receipt.authenticate(&desk.bench.trust).err().expect("it is refused")
    };
    let stranger = [SecretKey::generate().unwrap()];
    let error = refused(&desk.statement(), &stranger);
    assert_eq!(error.kind(), Kind::Untrusted);
    assert!(error.message().contains("import.receipt says of an import is signed by"), "{error}");

    let other = Statement { bundle: Digest::of(b"another"), ..desk.statement() };
    let error = refused(&other, &[desk.bench.key()]);
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(error.message().contains("speaks of an import of sha256:"), "{error}");

    let mut more = desk.statement();
    more.blobs.push(Digest::of(b"never sent"));
    more.blobs.sort();
    let error = refused(&more, &[desk.bench.key()]);
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(error.message().ends_with("which is not in its bundle"), "{error}");

    // The receipt of a bundle that nobody here trusts is none, whoever signed for the import.
    let receipt = Receipt::open(&desk.receipt(&desk.statement(), &stranger)).unwrap();
    let public = desk.bench.path("stranger.pub");
    std::fs::write(&public, stranger[0].public().to_pem().unwrap()).unwrap();
    let error = receipt.authenticate(&Trust::from_files(&[public]).unwrap()).err().unwrap();
    assert_eq!(error.kind(), Kind::Untrusted);
}

#[test]
fn a_receipt_has_the_index_that_was_signed() {
    let desk = Desk::new();
    let good = desk.members();
    let mut bad = good.clone();
    bad[at(&good, "index/")].1[100] ^= 1;
    let error = desk.refused(&bad);
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.message().contains("is damaged: its digest is"), "{error}");

    let without: Vec<Member> =
        good.into_iter().filter(|(name, _)| !name.starts_with('i')).collect();
    assert!(desk.bundle.contents().manifest.index.size > 2048);
    let error = desk.refused(&without);
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.message().ends_with("bad.receipt ends early"), "{error}");
}
