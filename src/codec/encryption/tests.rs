//! Files that are read at random, and files that lie. The real `age` has its say in `tests/encryption`.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use age::secrecy::ExposeSecret;
use age::x25519;
use zeroize::Zeroizing;

use super::*;
use crate::model::{Error, Kind, limits};

/// A folder, an identity in it, and its recipient.
struct Place {
    folder: tempfile::TempDir,
    recipient: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recipient = identity(&folder.path().join("identity"));
        Self { folder, recipient }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn identities(&self) -> Identities {
        Identities::load([self.path("identity")]).unwrap()
    }

    fn recipients(&self) -> Recipients {
        Recipients::parse([self.recipient.as_str()]).unwrap()
    }

    /// Encrypts, in writes of odd lengths.
    fn encrypt(&self, name: &str, content: &[u8], recipients: &Recipients) -> PathBuf {
        let path = self.path(name);
        let mut file = Encrypted::begin(File::create(&path).unwrap(), recipients).unwrap();
        let header = file.header();
        for part in content.chunks(100_003) {
            file.write_all(part).unwrap();
        }
        file.finish().unwrap();
        let length = path.metadata().unwrap().len();
        assert_eq!(length, length_of(header, content.len() as u64));
        assert_eq!(content_within(header, length), content.len() as u64);
        path
    }

    fn open(&self, path: &Path) -> Result<Option<Reader>, Error> {
        Reader::open(&File::open(path).unwrap(), &self.identities(), "it")
    }
}

fn identity(path: &Path) -> String {
    let identity = x25519::Identity::generate();
    let text = format!("# comment\n\n{}\n", identity.to_string().expose_secret());
    crate::codec::atomic::write_file(path, 0o600, text.as_bytes()).unwrap();
    identity.to_public().to_string()
}

/// Bytes that do not repeat.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(step).collect()
}

/// All of it, or the kind of what is wrong: what a reader of bundles does.
fn whole(reader: &Reader) -> Result<Vec<u8>, Fault> {
    let mut content = vec![0; reader.length() as usize];
    reader.read_exact_at(&mut content, 0).map(|()| content)
}

#[test]
fn any_stretch_can_be_read_in_any_order() {
    let place = Place::new();
    let chunk = CHUNK as usize;
    for length in [1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 777] {
        let content = noise(length);
        let path = place.encrypt("x", &content, &place.recipients());
        let reader = place.open(&path).unwrap().unwrap();
        assert_eq!(reader.length(), length as u64);
        let edges =
            [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk - 1, length - 1, length];
        let edges = || edges.into_iter().filter(|&edge| edge <= length);
        for (from, to) in edges().flat_map(|from| edges().map(move |to| (from, to))) {
            let mut part = vec![0; to.saturating_sub(from)];
            reader.read_exact_at(&mut part, from as u64).unwrap();
            assert!(part == content[from..from + part.len()], "{from}..{to} of {length}");
        }
    }
}

#[test]
fn threads_read_side_by_side() {
    let place = Place::new();
    let content = noise(1 << 20);
    let path = place.encrypt("x", &content, &place.recipients());
    let reader = place.open(&path).unwrap().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (reader, content) = (&reader, &content);
            scope.spawn(move || {
                for step in 0..40 {
                    let at = (thread * 7919 + step * 104_729) % (content.len() - 70_000);
                    let mut part = vec![0; 70_000];
                    reader.read_exact_at(&mut part, at as u64).unwrap();
                    assert!(part == content[at..at + 70_000]);
                }
            });
        }
    });
}

#[test]
fn the_same_content_is_never_the_same_file() {
    let place = Place::new();
    let one = place.encrypt("one", b"content", &place.recipients());
    let two = place.encrypt("two", b"content", &place.recipients());
    assert_ne!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
}

#[test]
fn each_of_several_recipients_opens_it_and_nobody_else() {
    let place = Place::new();
    let others: Vec<(PathBuf, String)> = (0..3)
        .map(|number| {
            let path = place.path(&format!("other{number}"));
            let recipient = identity(&path);
            (path, recipient)
        })
        .collect();
    let recipients = Recipients::parse(others[..2].iter().map(|(_, text)| text.as_str())).unwrap();
    let path = place.encrypt("x", b"content", &recipients);
    for (number, (identity, _)) in others.iter().enumerate() {
        let identities = Identities::load([&place.path("identity"), identity]).unwrap();
        let opened = Reader::open(&File::open(&path).unwrap(), &identities, "it");
        if number < 2 {
            assert_eq!(whole(&opened.unwrap().unwrap()).unwrap(), b"content");
        } else {
            let error = opened.err().unwrap();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.message().contains("none of the 2 identities"), "{error}");
        }
    }
    let nobody = Reader::open(&File::open(&path).unwrap(), &Identities::default(), "it");
    let error = nobody.err().unwrap();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.get_hint().unwrap().contains("--identity"));
}

#[test]
fn a_passphrase_is_asked_once_for_all_files() {
    let place = Place::new();
    let recipients = Recipients::passphrase(Zeroizing::new("correct horse".into()));
    let paths = ["one", "two"].map(|name| place.encrypt(name, b"content", &recipients));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let identities = place.identities().asking(Arc::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Zeroizing::new("correct horse".into()))
    }));
    let open = |path: &PathBuf, identities: &Identities| {
        Reader::open(&File::open(path).unwrap(), identities, "it").map(Option::unwrap)
    };
    let unasked = open(&paths[0], &identities.without_asking()).err().unwrap();
    assert_eq!((unasked.kind(), asked.load(Ordering::Relaxed)), (Kind::Usage, 0));
    assert_eq!(whole(&open(&paths[0], &identities).unwrap()).unwrap(), b"content");
    assert_eq!(whole(&open(&paths[1], &identities.without_asking()).unwrap()).unwrap(), b"content");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let wrong = place.identities().asking(Arc::new(|_| Ok(Zeroizing::new("wrong".into()))));
    assert_eq!(open(&paths[0], &wrong).err().unwrap().kind(), Kind::Usage);
}

#[test]
fn a_passphrase_is_tried_in_vain_on_few_files_of_a_folder() {
    let place = Place::new();
    let own = Recipients::passphrase(Zeroizing::new("correct horse".into()));
    let own = place.encrypt("own", b"content", &own);
    // One step of scrypt, where a whole one takes a second.
    let (salt, body) = ("A".repeat(22), "A".repeat(43));
    let text = format!("age-encryption.org/v1\n-> scrypt {salt} 1\n{body}\n--- {body}\n");
    let other = place.path("other");
    std::fs::write(&other, [text.as_bytes(), &[0; 100]].concat()).unwrap();
    let asked = Arc::new(|_: &str| Ok(Zeroizing::new("correct horse".to_owned())));
    let identities = place.identities().asking(asked);
    let refused = |path: &PathBuf, identities: &Identities| {
        let opened = Reader::open(&File::open(path).unwrap(), identities, "it");
        opened.err().map(|error| error.message().to_owned()).unwrap_or_default()
    };
    let in_folder = identities.sparingly();
    // What opens costs nothing of it.
    assert_eq!(refused(&own, &in_folder), "");
    for number in 0..2 * limits::AGE_MISSES {
        let tried = refused(&other, &in_folder) == "the passphrase does not open it";
        assert_eq!(tried, number < limits::AGE_MISSES, "{number}");
    }
    assert!(refused(&own, &in_folder).contains("was not tried"));
    assert_eq!(refused(&own, &in_folder.without_asking()), "", "another folder");
    // A file that was named is tried whatever was before it.
    assert_eq!(refused(&other, &identities), "the passphrase does not open it");
}

#[test]
fn whatever_is_changed_does_not_open() {
    let place = Place::new();
    let content = noise(2 * CHUNK as usize + 100);
    let path = place.encrypt("x", &content, &place.recipients());
    let good = std::fs::read(&path).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let header = good.len() - (content.len() + 3 * TAG as usize);
    // All of the header, and places all over the rest.
    for at in (0..header).chain((header..good.len()).step_by(1009)) {
        file.write_all_at(&[good[at] ^ (1 << (at % 8))], at as u64).unwrap();
        match place.open(&path) {
            Ok(Some(reader)) => {
                let fault = whole(&reader).unwrap_err();
                assert_eq!(fault.error.kind(), std::io::ErrorKind::InvalidData, "byte {at}");
                let chunk = (at.saturating_sub(header) as u64) / STORED;
                assert_eq!(fault.offset, chunk * CHUNK, "byte {at}");
                assert_eq!(fault.stored, header as u64 + chunk * STORED, "byte {at}");
            }
            Ok(None) => panic!("byte {at}: no age file any more"),
            Err(error) => {
                assert!(at < header, "byte {at}: {error}");
                // The line of the recipient may be that of another, the version a later one.
                let may_be_meant = [Kind::Damaged, Kind::Usage];
                let is_version = at == 20 && error.kind() == Kind::Malformed;
                assert!(may_be_meant.contains(&error.kind()) || is_version, "byte {at}: {error}");
                assert!(!error.chain().contains(['\n', '\\']), "byte {at}: {error}");
            }
        }
        file.write_all_at(&good[at..=at], at as u64).unwrap();
    }
    assert_eq!(whole(&place.open(&path).unwrap().unwrap()).unwrap(), content);
}

#[test]
fn a_fault_in_one_chunk_leaves_the_others_readable() {
    let place = Place::new();
    let content = noise(4 * CHUNK as usize);
    let path = place.encrypt("x", &content, &place.recipients());
    let length = path.metadata().unwrap().len();
    let file = File::options().write(true).open(&path).unwrap();
    for at in [length - 3 * STORED + 5, length - 1] {
        file.write_all_at(&[0], at).unwrap();
    }
    let reader = place.open(&path).unwrap().unwrap();
    let good: Vec<bool> = (0..4)
        .map(|number| {
            let mut chunk = vec![0; CHUNK as usize];
            reader.read_exact_at(&mut chunk, number * CHUNK).is_ok()
        })
        .collect();
    assert_eq!(good, [true, false, true, false]);
}

#[test]
fn what_is_cut_off_added_or_moved_does_not_open() {
    let place = Place::new();
    let content = noise(3 * CHUNK as usize);
    let path = place.encrypt("x", &content, &place.recipients());
    let good = std::fs::read(&path).unwrap();
    let (chunk, header) = (STORED as usize, good.len() - 3 * STORED as usize);
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        match place.open(&path) {
            // Without content there is no bundle, whatever its proof says.
            Ok(Some(reader)) if reader.length() == 0 => {
                assert!(bytes.len() == header + 16, "{what}");
            }
            Ok(Some(reader)) => {
                let fault = whole(&reader).expect_err(what);
                let kind = fault.error.kind();
                let damage = [std::io::ErrorKind::InvalidData, std::io::ErrorKind::UnexpectedEof];
                assert!(damage.contains(&kind), "{what}: {kind:?}");
            }
            Ok(None) => assert!(bytes.len() < 19, "{what}"),
            Err(error) => assert_eq!(error.kind(), Kind::Damaged, "{what}: {error}"),
        }
    };
    for border in (0..=3).map(|number| header + number * chunk) {
        for length in [border - 1, border, border + 1, border + 16, border + 17] {
            if length < good.len() {
                refused(&good[..length], &format!("{length} of {} bytes", good.len()));
            }
        }
    }
    refused(&[&good[..], b"x"].concat(), "a byte more");
    refused(&[&good[..], &good[header..header + chunk]].concat(), "a chunk more");
    let mut swapped = good.clone();
    swapped[header..header + 2 * chunk].rotate_left(chunk);
    refused(&swapped, "two chunks swapped");
    let other = std::fs::read(place.encrypt("y", &content, &place.recipients())).unwrap();
    let mut mixed = good.clone();
    mixed[header..header + chunk].copy_from_slice(&other[other.len() - 3 * chunk..][..chunk]);
    refused(&mixed, "the chunk of another file");
}

#[test]
fn what_is_no_age_file_is_left_to_others() {
    let place = Place::new();
    for content in ["", "README.txt\0", "age-encryption.org", "AGE-ENCRYPTION.ORG/v1\n"] {
        std::fs::write(place.path("x"), content).unwrap();
        assert!(place.open(&place.path("x")).unwrap().is_none(), "{content:?}");
    }
    std::fs::write(place.path("x"), "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n").unwrap();
    let error = place.open(&place.path("x")).err().unwrap();
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(error.get_hint().unwrap().contains("--armor"));
    std::fs::write(place.path("x"), "age-encryption.org/v2\n").unwrap();
    assert_eq!(place.open(&place.path("x")).err().unwrap().kind(), Kind::Malformed);
}

#[test]
fn a_header_that_nobody_writes_is_damage() {
    let place = Place::new();
    let path = place.encrypt("x", b"content", &place.recipients());
    let good = std::fs::read(&path).unwrap();
    let end = good.windows(4).position(|four| four == b"--- ").unwrap();
    let overwritten = |range: std::ops::Range<usize>, with: u8| {
        let mut bytes = good.clone();
        bytes[range].fill(with);
        bytes
    };
    let spoiled = [
        overwritten(0..4, 0),
        overwritten(19..21, b'w'),
        overwritten(22..24, b'+'),
        overwritten(30..34, 0xff),
        overwritten(end..end + 4, b' '),
        overwritten(end..end + 48, 0),
        [&good[..end], &noise(1 << 17)[..]].concat(),
    ];
    for bytes in spoiled {
        std::fs::write(&path, bytes).unwrap();
        let error = place.open(&path).err().unwrap();
        assert_eq!(error.kind(), Kind::Damaged, "{error}");
    }
}

#[test]
fn a_hostile_header_is_refused_before_anything_is_done() {
    let place = Place::new();
    let asking = Identities::default().asking(Arc::new(|_| panic!("asked for a passphrase")));
    let refused = |text: &str| {
        std::fs::write(place.path("x"), text).unwrap();
        Reader::open(&File::open(place.path("x")).unwrap(), &asking, "it").err().unwrap()
    };
    let body = "A".repeat(43);
    let head = "age-encryption.org/v1\n";
    let scrypt = |work: &str| {
        format!(
            "{head}-> scrypt c2FsdHNhbHRzYWx0c2FsdA {work}\n{body}\n--- {body}\n0123456789abcdef0123456789abcdef"
        )
    };
    for work in ["21", "30", "63", "64", "18446744073709551616"] {
        assert_eq!(refused(&scrypt(work)).kind(), Kind::Malformed, "{work:?}");
    }
    for work in ["-1", "x", ""] {
        assert_eq!(refused(&scrypt(work)).kind(), Kind::Damaged, "{work:?}");
    }
    let stanza = "-> X25519 a\n\n";
    let many = stanza.repeat(limits::AGE_STANZAS + 1);
    let error = refused(&format!("{head}{many}--- {body}\n0123456789abcdef0123456789abcdef"));
    assert!(error.message().contains("recipients"), "{error}");
    let long = "-> x\n".to_owned() + &format!("{}\n", "A".repeat(64)).repeat(1 << 16);
    assert!(refused(&format!("{head}{long}")).message().contains("longer"));
    assert!(refused(&format!("{head}-> {}", "A".repeat(1 << 20))).message().contains("longer"));
    assert_eq!(refused(&format!("{head}{stanza}")).kind(), Kind::Damaged);
}

#[test]
fn what_was_written_can_be_read_back_at_any_time() {
    let place = Place::new();
    let content = noise(300_000);
    let file =
        File::options().read(true).write(true).create_new(true).open(place.path("x")).unwrap();
    let mut encrypted = Encrypted::begin(file.try_clone().unwrap(), &place.recipients()).unwrap();
    let back = encrypted.written_so_far();
    let mut written = 0;
    let same = |written: usize| {
        for from in [0, 1, 65_535, 65_536, 65_537, 131_072, written.saturating_sub(10)] {
            let mut part = vec![0; written.saturating_sub(from)];
            back.read_exact_at(file.try_clone().unwrap(), &mut part, from as u64).unwrap();
            assert!(part == content[from.min(written)..written], "{from}..{written}");
        }
    };
    for length in [1, 65_534, 1, 1, 65_535, 1, 100_000, 0, 68_927] {
        encrypted.write_all(&content[written..written + length]).unwrap();
        written += length;
        same(written);
    }
    assert_eq!(written, content.len());
    assert!(
        back.read_exact_at(file.try_clone().unwrap(), &mut [0; 2], written as u64 - 1).is_err()
    );
    encrypted.finish().unwrap();
    same(written);
}

#[test]
fn lengths_are_known_before_anything_is_written() {
    for content in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK, 10 * CHUNK + 5] {
        let length = length_of(200, content);
        assert_eq!(content_length(length - 200), Some(content));
        assert_eq!(content_within(200, length), content);
        // One byte less does not hold it, and more is of no use until a byte of content fits.
        assert!(content == 0 || content_within(200, length - 1) < content);
        assert!(length_of(200, content_within(200, length + 9)) <= length + 9);
    }
    assert_eq!(content_within(200, 100), 0);
    for stored in [0, 1, 15, STORED + 1, STORED + 16] {
        assert_eq!(content_length(stored), None, "{stored}");
    }
}

#[test]
fn only_identities_of_their_owner_alone_are_taken() {
    let place = Place::new();
    let path = place.path("identity");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(Identities::load([&path]).unwrap_err().kind(), Kind::Usage);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!format!("{:?}", Identities::load([&path]).unwrap()).contains("AGE"));
    let secret = std::fs::read_to_string(&path).unwrap();
    let secret = secret.lines().last().unwrap();
    for text in [
        "",
        "# nothing\n",
        "AGE-PLUGIN-X-1ABC",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "age-encryption.org/v1",
        "-----BEGIN AGE ENCRYPTED FILE-----",
        &secret[..70],
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Identities::load([&path]).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{text}");
        let itself = error.message().ends_with("it is encrypted itself");
        assert_eq!(itself, text.contains("age-enc") || text.contains("BEGIN AGE"), "{error}");
        assert!(!error.chain().contains("AGE-SECRET"), "{error}");
    }
    let error = Recipients::parse([secret]).unwrap_err();
    assert!(!error.chain().contains(secret), "{error}");
    for text in ["age1xyz", "ssh-ed25519 AAAA", "me@example.com", ""] {
        assert_eq!(Recipients::parse([text]).unwrap_err().kind(), Kind::Usage);
    }
    assert_eq!(Recipients::parse([&*place.recipient; 2]).unwrap().count(), Some(1));
    let many = vec![place.recipient.as_str(); limits::AGE_STANZAS];
    assert_eq!(Recipients::parse(many).unwrap().count(), Some(1));
}

#[test]
fn a_copy_is_read_with_what_opened_the_original() {
    let place = Place::new();
    let content = noise(200_000);
    let path = place.encrypt("x", &content, &place.recipients());
    let reader = place.open(&path).unwrap().unwrap();
    std::fs::copy(&path, place.path("copy")).unwrap();
    let copy = reader.copied_to(&File::open(place.path("copy")).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(whole(&copy).unwrap() == content);
    assert_eq!(format!("{copy:?}"), "Reader { length: 200000, .. }");
}

#[test]
fn a_file_that_changes_after_it_was_opened_gives_nothing() {
    let place = Place::new();
    let path = place.encrypt("x", &noise(200_000), &place.recipients());
    let bytes = std::fs::read(&path).unwrap();
    let other = std::fs::read(place.encrypt("y", b"y", &place.recipients())).unwrap();
    // Another header under it, and none; then its last chunk is gone.
    for (now, kind) in [
        (&[&other[..200], &bytes[200..]].concat()[..], std::io::ErrorKind::InvalidData),
        (&[&[0; 200], &bytes[200..]].concat(), std::io::ErrorKind::InvalidData),
        (&bytes[..100], std::io::ErrorKind::UnexpectedEof),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let reader = place.open(&path).unwrap().unwrap();
        std::fs::write(&path, now).unwrap();
        let fault = whole(&reader).unwrap_err();
        assert_eq!((fault.error.kind(), fault.offset), (kind, 0), "{fault:?}");
    }
}

#[test]
fn a_header_that_cannot_be_read_is_a_matter_of_the_medium() {
    let place = Place::new();
    let unreadable = File::create(place.path("x")).unwrap();
    let error = is_encrypted(&unreadable, "it").unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Io, "cannot read it"));
}
