//! Bundles that are damaged, forged or no bundles, and places that are not there: each is refused
//! with its exit code and a sentence that helps, and the destination stays as it was.

use std::fs;
use std::ops::Range;
use std::path::Path;

use insta::assert_snapshot;

use super::changes;
use crate::support::command::{Run, Station};
use crate::support::gallery::{self, Layer};
use crate::support::judge;
use crate::support::pictures::Layout;
use crate::support::registry::Registry;

/// A bundle with two images, and where they are to go.
struct Crossing {
    station: Station,
    from: Registry,
    to: Registry,
    bytes: Vec<u8>,
}

impl Crossing {
    fn new() -> Self {
        let (from, to) = (Registry::start(), Registry::start());
        let layout = Layout::new();
        for (name, seed) in [("one", 1), ("two", 2)] {
            let layers = [
                Layer::gzip(&layout, &gallery::tar_of_noise(seed, 300_000)),
                // What opens and what does not lie in packs of their own.
                Layer::plain(&layout, &gallery::tar_of("usr/share/common-licenses")),
            ];
            layout.put(&from, name, "1", &gallery::image(&layout, "amd64", &layers));
        }
        let station = Station::new();
        station.export("good.sealift", ["one:1", "two:1"].map(|n| format!("{}/{n}", from.host())));
        let bytes = fs::read(station.path("good.sealift")).unwrap();
        Self { station, from, to, bytes }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.station.sealift(arguments)
    }

    /// What a person is told, without what differs from run to run.
    fn told(&self, text: &str) -> String {
        let text = text.replace(self.station.home().to_str().unwrap(), "HOME");
        text.replace(&self.from.host(), "SOURCE").replace(&self.to.host(), "TARGET")
    }

    /// Brings a copy with this content to a registry and to a layout that holds something already;
    /// it has to be refused at both. Says what was told about the registry.
    fn refused(&self, content: &[u8], code: i32) -> String {
        fs::write(self.station.path("bad.sealift"), content).unwrap();
        self.refused_with(&[], code)
    }

    fn refused_with(&self, more: &[&str], code: i32) -> String {
        let import = |to: &str| {
            self.run(&[&["import", "-q", "bad.sealift", "--to", to], more].concat()).refused(code)
        };
        let before = self.to.accesses_since(0).len();
        let told = import(&self.to.host());
        let asked = self.to.accesses_since(before);
        assert_eq!(changes(&asked), Vec::<&_>::new(), "the registry was changed");

        import("oci:new");
        assert!(!self.station.path("new").exists());
        let there = self.station.path("there");
        if !there.exists() {
            self.station.import("good.sealift", "oci:there", ["--image", &self.name("one:1")]);
        }
        let before = contents(&there);
        import("oci:there");
        assert!(contents(&there) == before, "the layout was changed");
        self.told(&told)
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.from.host())
    }
}

/// Paths and contents of everything below a folder.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.push((path.display().to_string(), Vec::new()));
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Where the members lie whose name begins so, header and padding included.
fn members(bundle: &[u8], name: &str) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while bundle[at] != 0 {
        let size = std::str::from_utf8(&bundle[at + 124..at + 135]).unwrap();
        let size = usize::from_str_radix(size, 8).unwrap();
        let end = at + 512 + size.next_multiple_of(512);
        if bundle[at..].starts_with(name.as_bytes()) {
            found.push(at..end);
        }
        at = end;
    }
    found
}

macro_rules! snapshot {
    ($told:expr, @$expected:literal) => {
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"sha256:[0-9a-f]{64}", "DIGEST");
        settings.add_filter(r"\b[0-9a-f]{64}\b", "HEX");
        settings.add_filter(r"\b[0-9a-f]{16}\b", "KEY");
        settings.add_filter(r"\b(at|byte) \d+", "$1 N");
        // Which of several is met first is up to the threads.
        settings.add_filter(r"\bpack \d of", "pack N of");
        settings.add_filter(r"\d+ (bytes|more)", "N $1");
        settings.bind(|| assert_snapshot!($told, @$expected));
    };
}

#[test]
fn a_truncated_bundle() {
    let crossing = Crossing::new();
    let half = &crossing.bytes[..crossing.bytes.len() / 2];
    snapshot!(crossing.refused(half, 4), @r"
    error: bad.sealift is incomplete: it ends at byte N without manifest and signatures (intact up to byte N)
      hint: the copy was interrupted, or the medium was full or pulled too early: copy the bundle again
    ");
    let almost = &crossing.bytes[..crossing.bytes.len() - 1];
    snapshot!(crossing.refused(almost, 4), @r"
    error: bad.sealift ends in its tail, at byte N
      hint: copy the bundle again
    ");
}

#[test]
fn more_than_a_bundle_and_none() {
    let crossing = Crossing::new();
    let longer = [&crossing.bytes[..], b"x"].concat();
    snapshot!(crossing.refused(&longer, 7), @r"
    error: bad.sealift: N bytes follow the end of the bundle
      hint: something was appended to the file: copy the bundle again
    ");
    snapshot!(crossing.refused(b"PK\x03\x04 a zip, perhaps", 7), @r"
    error: bad.sealift is not a sealift bundle
      hint: a bundle is made by `sealift export`; archives of docker and skopeo are read by export, as docker-archive: and oci-archive:
    ");
    snapshot!(crossing.refused(b"", 7), @r"
    error: bad.sealift is not a sealift bundle
      hint: a bundle is made by `sealift export`; archives of docker and skopeo are read by export, as docker-archive: and oci-archive:
    ");
    snapshot!(crossing.refused(&gallery::tar_of_noise(1, 100_000), 7), @r"
    error: bad.sealift is not a sealift bundle
      hint: a bundle is made by `sealift export`; archives of docker and skopeo are read by export, as docker-archive: and oci-archive:
    ");
}

#[test]
fn a_bundle_that_nobody_trusted_signed() {
    let crossing = Crossing::new();
    let mut bytes = crossing.bytes.clone();
    let signature = members(&bytes, "signatures/").pop().unwrap();
    bytes.drain(signature);
    snapshot!(crossing.refused(&bytes, 5), @r"
    error: bad.sealift is not signed
      hint: do not use it; ask the sender for the bundle as sealift wrote it
    ");

    // The same images, sealed by somebody else.
    let stranger = Station::new();
    stranger.export("s.sealift", [crossing.name("one:1"), crossing.name("two:1")]);
    let sealed = fs::read(stranger.path("s.sealift")).unwrap();
    snapshot!(crossing.refused(&sealed, 5), @r"
    error: bad.sealift is signed by KEY, which is not trusted here
      hint: compare the key with the sender over another channel; if it is theirs, name it with --key or put it into the trust folder
    ");

    // The right signature, and a receiver who trusts only somebody else.
    fs::write(crossing.station.path("bad.sealift"), &crossing.bytes).unwrap();
    let other = stranger.public_key();
    let told = crossing.refused_with(&["--key", other.to_str().unwrap()], 5);
    snapshot!(told, @r"
    error: bad.sealift is signed by KEY, which is not trusted here
      hint: compare the key with the sender over another channel; if it is theirs, name it with --key or put it into the trust folder
    ");

    fs::remove_file(crossing.station.path(".config/sealift/trust/sender.pub")).unwrap();
    snapshot!(crossing.refused_with(&[], 5), @r"
    error: no trusted key: nobody's signature would count
      hint: put the sender's .pub file into HOME/.config/sealift/trust or /etc/sealift/trust, or name it with --key
    ");
}

#[test]
fn damaged_packs() {
    let mut crossing = Crossing::new();
    let packs = members(&crossing.bytes, "packs/");
    assert!(packs.len() >= 2, "{packs:?}");

    let largest = packs.iter().max_by_key(|pack| pack.len()).unwrap();
    let mut flipped = crossing.bytes.clone();
    flipped[largest.start + largest.len() / 2] ^= 0x10;
    snapshot!(nothing_named(&crossing, &flipped), @r"
    error: pack N of 3 (N bytes at N of bad.sealift) is damaged: its digest is DIGEST, not DIGEST
      hint: copy the bundle again, or read the stick in another port; the sender's copy can be checked with `sealift verify`
    ");

    let (a, b) = (packs[0].clone(), packs[1].clone());
    let bytes = &crossing.bytes;
    let swapped = [&bytes[..a.start], &bytes[b.clone()], &bytes[a], &bytes[b.end..]].concat();
    assert_eq!(swapped.len(), bytes.len());
    crossing.to = Registry::start();
    snapshot!(nothing_named(&crossing, &swapped), @r"
    error: pack N of 3 (N bytes at N of bad.sealift) is damaged: its digest is DIGEST, not DIGEST
      hint: copy the bundle again, or read the stick in another port; the sender's copy can be checked with `sealift verify`
    ");

    // Where the bad one left blobs, the good one adds the rest.
    crossing.station.import("good.sealift", &crossing.to.host(), [""; 0]);
    judge::same(&crossing.from, &crossing.to, "");
}

/// Imports what turns out to be damaged only while it is read: by then whole blobs may have
/// arrived, but nothing that names them.
fn nothing_named(crossing: &Crossing, content: &[u8]) -> String {
    fs::write(crossing.station.path("bad.sealift"), content).unwrap();
    crossing.run(&["verify", "-q", "bad.sealift"]).refused(4);
    let run = crossing.run(&["import", "-q", "bad.sealift", "--to", &crossing.to.host()]);
    let told = crossing.told(&run.refused(4));
    for access in crossing.to.accesses_since(0) {
        let names = access.method == "PUT" && access.path.contains("/manifests/");
        assert!(!names, "{access:?}");
    }
    for repository in judge::repositories(&crossing.to) {
        assert_eq!(judge::tags(&crossing.to, &repository).len(), 0, "{repository}");
    }
    crossing.run(&["import", "-q", "bad.sealift", "--to", "oci:layout"]).refused(4);
    let layout = crossing.station.path("layout");
    assert!(!layout.join("index.json").exists(), "{:?}", contents(&layout));
    fs::remove_dir_all(layout).unwrap();
    told
}

#[test]
fn places_that_are_not_there() {
    let mut crossing = Crossing::new();
    let arguments = ["export", "-q", "-o", "b.sealift", &crossing.name("three:1")];
    snapshot!(crossing.told(&crossing.run(&arguments).refused(8)), @r"
    error: SOURCE/three:1 is not at registry SOURCE
      hint: check the name and the tag; if it is private, sign in with `sealift login SOURCE`
    ");
    let arguments = ["export", "-q", "-o", "b.sealift", &crossing.name("one:2")];
    snapshot!(crossing.told(&crossing.run(&arguments).refused(8)), @r"
    error: SOURCE/one:2 is not at registry SOURCE
      hint: check the name and the tag; if it is private, sign in with `sealift login SOURCE`
    ");
    assert!(!crossing.station.path("b.sealift").exists());
    assert!(contents(&crossing.station.temporary()).is_empty());

    let gone = crossing.to.host();
    crossing.to = Registry::start();
    let run = crossing.run(&["import", "-q", "good.sealift", "--to", &gone]);
    let told = run.refused(8).replace(&gone, "TARGET");
    snapshot!(told, @r"
    error: cannot reach registry TARGET: Connection refused (os error 111)
      hint: check host and port, and that the registry at TARGET runs
    ");
}

#[test]
fn wishes_that_cannot_be_met() {
    let crossing = Crossing::new();
    fs::write(crossing.station.path("bad.sealift"), &crossing.bytes).unwrap();
    let three = crossing.name("three:1");
    snapshot!(crossing.refused_with(&["--image", &three], 2), @r#"
    error: the bundle holds no image "SOURCE/three:1"
      hint: it holds SOURCE/one:1, SOURCE/two:1
    "#);
    snapshot!(crossing.refused_with(&["--platform", "linux/s390x"], 2), @r"
    error: cannot take SOURCE/one:1 by platform
      caused by: the image is for linux/amd64 alone
      hint: leave out --platform for it
    ");

    let arguments = ["export", "-q", "-o", "good.sealift", &crossing.name("one:1")];
    let before = crossing.from.accesses_since(0).len();
    snapshot!(crossing.told(&crossing.run(&arguments).refused(2)), @r"
    error: good.sealift is already there
      hint: choose another name, or add --force to replace it
    ");
    assert_eq!(crossing.from.accesses_since(before), [], "nothing was asked in vain");
    assert!(fs::read(crossing.station.path("good.sealift")).unwrap() == crossing.bytes);
}
