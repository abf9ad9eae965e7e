use super::*;
use crate::model::Kind;
use crate::trust::{POLICY_FILE, SecretKey};

/// A folder with a key file for each key, and what a trust.toml there says.
struct Desk {
    folder: tempfile::TempDir,
    keys: Vec<SecretKey>,
}

impl Desk {
    fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys: Vec<SecretKey> = (0..count).map(|_| SecretKey::generate().unwrap()).collect();
        for (key, number) in keys.iter().zip(0..) {
            let path = folder.path().join(format!("{number}.pub"));
            std::fs::write(path, key.public().to_pem().unwrap()).unwrap();
        }
        Self { folder, keys }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(POLICY_FILE)
    }

    fn policy(&self, text: &str) -> Result<Trust> {
        let mut text = text.to_owned();
        for (key, number) in self.keys.iter().zip(0..) {
            text = text.replace(&format!("ID{number}"), &key.public().id().to_string());
            text = text.replace(&format!("LINE{number}"), &key.public().to_line().unwrap());
        }
        std::fs::write(self.path(), text).unwrap();
        Trust::from_policy(&self.path())
    }

    fn files(&self, numbers: &[usize]) -> Trust {
        let files: Vec<PathBuf> =
            numbers.iter().map(|n| self.folder.path().join(format!("{n}.pub"))).collect();
        Trust::from_files(&files).unwrap()
    }

    fn sign(&self, number: usize, message: &[u8]) -> (KeyId, [u8; 64]) {
        (self.keys[number].public().id(), self.keys[number].sign(message))
    }

    fn signed(&self, numbers: &[usize]) -> Vec<(KeyId, [u8; 64])> {
        numbers.iter().map(|&number| self.sign(number, b"m")).collect()
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), Kind::Untrusted, "{error:?}");
    error.chain()
}

#[test]
fn one_trusted_signature_is_enough_and_none_is_not() {
    let desk = Desk::new(2);
    let trust = desk.files(&[0]);
    let garbage = (desk.keys[0].public().id(), [7; 64]);
    let good = [desk.sign(1, b"m"), desk.sign(0, b"m"), garbage];
    let signers = trust.require(b"m", &good, "x").unwrap();
    assert_eq!(signers.iter().filter(|s| s.trusted.is_some()).count(), 1);
    for bad in [
        vec![],
        vec![desk.sign(1, b"m")],
        vec![desk.sign(0, b"other")],
        vec![(desk.keys[0].public().id(), desk.keys[1].sign(b"m"))],
    ] {
        refusal(trust.require(b"m", &bad, "x"));
    }
    refusal(Trust::default().require(b"m", &good, "x"));
}

#[test]
fn different_keys_are_counted_and_not_signatures() {
    let desk = Desk::new(3);
    let mut trust = desk.files(&[0, 0, 1]);
    trust.raise_threshold(2).unwrap();
    let (one, two) = (desk.sign(0, b"m"), desk.sign(1, b"m"));
    let garbage = (desk.keys[2].public().id(), [7; 64]);
    trust.require(b"m", &[one, garbage, two], "x").unwrap();
    assert!(refusal(trust.require(b"m", &[one, one], "x")).contains("1 of the 2"));
    // The same signature under another key's name.
    let renamed = (desk.keys[1].public().id(), one.1);
    refusal(trust.require(b"m", &[one, renamed], "x"));
    refusal(trust.require(b"m", &[one, desk.sign(2, b"m")], "x"));
    // One key under two names is one key.
    let twice = desk
        .policy("threshold = 2\n[[key]]\nname = \"a\"\nfile = \"0.pub\"\n[[key]]\nname = \"b\"\npublic = \"LINE0\"\n")
        .unwrap();
    refusal(twice.require(b"m", &desk.signed(&[0]), "x"));
}

#[test]
fn a_revoked_key_counts_nowhere() {
    let desk = Desk::new(2);
    let gone = "[[key]]\nfile = \"0.pub\"\n[[key]]\nfile = \"1.pub\"\n[[key]]\nid = \"ID0\"\nname = \"Anna\"\nrevoked = 2026-10-01\nreason = \"lost\"\n";
    let trust = desk.policy(gone).unwrap();
    let why = refusal(trust.require(b"m", &desk.signed(&[0]), "x"));
    assert!(why.contains("Anna") && why.contains("2026-10-01 (lost)"), "{why}");
    let signers = trust.require(b"m", &desk.signed(&[0, 1]), "x").unwrap();
    assert!(signers[0].trusted.is_none() && signers[0].revoked.is_some());
    // It may be given as any key is.
    for named in ["file = \"0.pub\"", "public = \"LINE0\""] {
        let gone = format!("[[key]]\nfile = \"0.pub\"\n[[key]]\n{named}\nrevoked = 2026-10-01\n");
        let why = refusal(desk.policy(&gone).unwrap().require(b"m", &desk.signed(&[0]), "x"));
        assert!(why.contains("2026-10-01"), "{why}");
    }
    // Not where it is named, nor where it is one's own.
    for mut trust in
        [desk.files(&[0]), Trust::default().or_own([desk.keys[0].public()].into_iter())]
    {
        trust.require(b"m", &desk.signed(&[0]), "x").unwrap();
        trust.heed_revocations(&desk.path()).unwrap();
        refusal(trust.require(b"m", &desk.signed(&[0]), "x"));
    }
}

/// Whether these signers may sign an image in a stream.
fn permits(trust: &Trust, desk: &Desk, signers: &[usize], stream: &str, image: &str) -> bool {
    let signers = trust.require(b"m", &desk.signed(signers), "x").unwrap();
    let stream = (!stream.is_empty()).then(|| stream.parse().unwrap());
    let image: Option<ImageName> = (!image.is_empty()).then(|| image.parse().unwrap());
    let images = [(image.as_ref(), "it".to_owned())].into_iter();
    match trust.permit(&signers, stream.as_ref(), images, "x") {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), Kind::Untrusted);
            false
        }
    }
}

#[test]
fn keys_sign_what_they_may_and_nothing_else() {
    let desk = Desk::new(3);
    let trust = desk
        .policy("[[key]]\nfile = \"0.pub\"\nstreams = [\"prod\"]\nrepositories = [\"r.example/team/\"]\n[[key]]\nfile = \"0.pub\"\nstreams = [\"test\"]\n[[key]]\nfile = \"1.pub\"\n")
        .unwrap();
    let may = |signers: &[usize], stream, image| permits(&trust, &desk, signers, stream, image);
    assert!(may(&[0], "prod", "r.example/team/app:1"));
    assert!(may(&[0], "test", "other.example/app:1"));
    assert!(may(&[0], "test", ""));
    assert!(!may(&[0], "prod", "other.example/app:1"));
    assert!(!may(&[0], "prod", ""));
    assert!(!may(&[0], "", "r.example/team/app:1"));
    assert!(!may(&[0], "dev", "r.example/team/app:1"));
    for stream in ["", "prod", "dev"] {
        assert!(may(&[1], stream, "other.example/app:1") && may(&[0, 1], stream, ""));
    }
}

#[test]
fn each_image_takes_as_many_keys_as_the_bundle() {
    let desk = Desk::new(2);
    let trust = desk
        .policy("threshold = 2\n[[key]]\nfile = \"0.pub\"\nrepositories = [\"r.example/\"]\n[[key]]\nfile = \"1.pub\"\n")
        .unwrap();
    assert!(permits(&trust, &desk, &[0, 1], "", "r.example/app"));
    assert!(!permits(&trust, &desk, &[0, 1], "", "docker.io/library/nginx"));
    refusal(trust.require(b"m", &desk.signed(&[1]), "x"));
    let eased = trust.clone().where_one_is_enough();
    assert!(permits(&eased, &desk, &[1], "", "docker.io/library/nginx"));
    let own = trust.or_own([desk.keys[1].public()].into_iter());
    assert!(permits(&own, &desk, &[1], "", "docker.io/library/nginx"));
}

#[test]
fn the_threshold_can_be_raised_and_not_lowered() {
    let desk = Desk::new(1);
    let mut trust = desk.policy("threshold = 2\n[[key]]\nfile = \"0.pub\"\n").unwrap();
    trust.raise_threshold(3).unwrap();
    assert_eq!(trust.threshold(), 3);
    assert_eq!(trust.raise_threshold(2).unwrap_err().kind(), Kind::Usage);
}

#[test]
fn the_simplest_file_is_two_lines_and_three_with_a_name() {
    let desk = Desk::new(1);
    for text in ["[[key]]\nfile = \"0.pub\"\n", "[[key]]\nname = \"Vendor\"\npublic = \"LINE0\"\n"]
    {
        let trust = desk.policy(text).unwrap();
        assert_eq!((trust.threshold(), trust.grants().len()), (1, 1));
    }
    let pem = desk.keys[0].public().to_pem().unwrap();
    desk.policy(&format!("[[key]]\npublic = \"\"\"\n{pem}\"\"\"\n")).unwrap();
}

#[test]
fn a_file_that_is_not_quite_right_is_refused() {
    let desk = Desk::new(1);
    // A point of small order.
    let weak = "MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (text, word) in [
        ("[[key]]\nfile = \"0.pub\"\nstream = [\"a\"]\n", "line 3"),
        ("[[keys]]\nfile = \"0.pub\"\n", "unknown field"),
        ("threshold = 0\n", "threshold is 0"),
        ("threshold = 17\n", "threshold is 17"),
        ("threshold = -1\n", "line 1"),
        ("[[key]]\n", "one of file, public and id"),
        ("[[key]]\nfile = \"0.pub\"\npublic = \"LINE0\"\n", "one of file, public and id"),
        ("[[key]]\nid = \"ID0\"\n", "only for a key that is revoked"),
        ("[[key]]\nid = \"0f\"\nrevoked = 2026-10-01\n", "not the ID"),
        ("[[key]]\nfile = \"0.pub\"\nreason = \"lost\"\n", "is not revoked"),
        ("[[key]]\nfile = \"0.pub\"\nrevoked = \"yesterday\"\n", "line 3"),
        ("[[key]]\nfile = \"0.pub\"\nstreams = [\"Prod\"]\n", "name of a stream"),
        ("[[key]]\nfile = \"0.pub\"\nrepositories = [\"a/b:1\"]\n", "names an image"),
        ("[[key]]\nfile = \"0.pub\"\nrepositories = [\"r.example/*\"]\n", "stands for everything"),
        ("[[key]]\nname = \"W\"\npublic = \"WEAK\"\n", "weak"),
        ("[[key]]\npublic = \"AAAA\"\n", "no Ed25519 public key"),
        ("key: &a [*a, *a]\n", "line 1"),
    ] {
        let error = desk.policy(&text.replace("WEAK", weak)).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{text}: {error:?}");
        assert!(error.chain().contains(word), "{text}: {error:?}");
    }
    let missing = desk.policy("[[key]]\nfile = \"9.pub\"\n").unwrap_err();
    assert_eq!(missing.kind(), Kind::Io);
    let long = desk.policy(&"#".repeat(limits::TRUST_FILE_BYTES as usize + 1)).unwrap_err();
    assert_eq!(long.kind(), Kind::Malformed);
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_write_is_no_policy() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new(1);
    desk.policy("[[key]]\nfile = \"0.pub\"\n").unwrap();
    for name in [POLICY_FILE, "0.pub"] {
        let path = desk.folder.path().join(name);
        for (mode, fine) in [(0o664, false), (0o646, false), (0o644, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Trust::from_policy(&desk.path()).is_ok(), fine, "{name} {mode:o}");
        }
    }
}
