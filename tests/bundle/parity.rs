//! Parity: what it makes up for comes back byte for byte, and what it does not make up for is not
//! made up.

use std::path::{Path, PathBuf};

use sealift::bundle::{Preset, SMALLEST_VOLUME};
use sealift::codec::encryption::Identities;
use sealift::endpoint::{Event, Progress, Silent};
use sealift::model::{Kind, Result};
use sealift::operation::export::{self, Report};
use sealift::operation::parity;
use sealift::operation::repair::{self, Proof};
use sealift::trust::Trust;

use crate::Bench;
use crate::memory::{Memory, noise, tar};
use crate::volumes::images;

/// Bytes of a shard of bundles as small as these.
const SHARD: usize = 16_384;

impl Bench {
    pub(crate) fn with_parity(
        &self,
        memory: Memory,
        percent: u8,
        volume_size: Option<u64>,
    ) -> Report {
        let output = self.path("sent/app.sealift");
        let _ = std::fs::create_dir(self.path("sent"));
        let mut request = self.request(memory, &output, 2, volume_size);
        request.writer.preset = Preset::Fast;
        request.parity = Some(wanted(percent, self.path("sent/app.parity.sealift")));
        export::export(request, &Silent).unwrap()
    }

    pub(crate) fn repair(&self, places: &[PathBuf], output: &Path) -> Result<repair::Report> {
        let trust = || Ok(self.trust.clone());
        repair_with(places, output, &trust)
    }
}

pub(crate) fn repair_with(
    places: &[PathBuf],
    output: &Path,
    trust: &dyn Fn() -> Result<Trust>,
) -> Result<repair::Report> {
    let request = repair::Request {
        places: places.to_vec(),
        output: output.to_owned(),
        all: false,
        force: false,
        trust,
        identities: Identities::default(),
        must_open: false,
    };
    repair::repair(&request, &Silent)
}

pub(crate) fn wanted(percent: u8, output: PathBuf) -> parity::Wanted {
    parity::Wanted { percent, output, limit: None, force: false }
}

/// Three megabytes that do not shrink.
pub(crate) fn noisy() -> Memory {
    let mut memory = Memory::default();
    let layer = memory.layer(
        &tar(&[("f".into(), noise(3, 3_000_000))]),
        sealift::model::manifest::media::OCI_LAYER,
    );
    memory.image("h.example/a:1", "amd64", &[layer]);
    memory
}

/// A bundle of one volume with parity, and a folder on the far side.
struct Stick {
    bench: Bench,
    bundle: Vec<u8>,
    parity: Vec<u8>,
    budget: usize,
}

impl Stick {
    fn new() -> Self {
        let bench = Bench::new();
        let made = bench.with_parity(noisy(), 10, None).parity.unwrap();
        assert_eq!(made.coverage.stretch, SHARD as u64);
        let bundle = std::fs::read(bench.path("sent/app.sealift")).unwrap();
        let parity = std::fs::read(bench.path("sent/app.parity.sealift")).unwrap();
        assert_eq!((made.bytes, made.files.len()), (parity.len() as u64, 1));
        Self { bench, bundle, parity, budget: made.coverage.budget }
    }

    fn shards(&self) -> usize {
        self.bundle.len().div_ceil(SHARD)
    }

    /// The bundle with a byte changed in each of these shards.
    fn hit(&self, shards: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let mut bytes = self.bundle.clone();
        for shard in shards {
            let end = ((shard + 1) * SHARD).min(bytes.len());
            let at = shard * SHARD + shard * 37 % (end - shard * SHARD);
            bytes[at] ^= 1 << (shard % 8);
        }
        bytes
    }

    /// The parity with a byte changed in each of these recovery shards.
    fn hit_parity(&self, shards: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let mut bytes = self.parity.clone();
        for shard in shards {
            let name = format!("recovery/{shard:06}\0");
            let header = bytes.windows(name.len()).position(|it| it == name.as_bytes()).unwrap();
            bytes[header + 512 + shard * 100] ^= 0x40;
        }
        bytes
    }

    /// What a repair makes of files with this content; names mean nothing. Where it gives something
    /// back, that is the bundle; else there is nothing new.
    fn arrives(&self, files: &[&[u8]]) -> Result<repair::Report> {
        let folder = tempfile::tempdir().unwrap();
        for (number, bytes) in files.iter().enumerate() {
            std::fs::write(folder.path().join(format!("FILE{number}.BIN")), bytes).unwrap();
        }
        let output = folder.path().join("out");
        let result = self.bench.repair(&[folder.path().to_owned()], &output);
        let names = std::fs::read_dir(folder.path()).unwrap().count();
        match &result {
            Ok(report) if report.proof != Proof::Nothing => {
                assert_eq!(report.proof, Proof::Signed);
                assert!(std::fs::read(&output).unwrap() == self.bundle, "other bytes came back");
                assert_eq!(names, files.len() + 1);
            }
            _ => assert_eq!(names, files.len(), "something was left behind"),
        }
        result
    }

    fn repairs(&self, what: &str, files: &[&[u8]]) {
        let result = self.arrives(files);
        assert!(result.is_ok_and(|report| report.written.len() == 1), "{what}");
    }
}

#[test]
fn damage_within_the_budget_leaves_no_trace() {
    let stick = Stick::new();
    let (bundle, parity) = (&stick.bundle[..], &stick.parity[..]);
    let (length, burst) = (bundle.len(), (stick.budget - 1) * SHARD);
    for shard in [0, 1, stick.shards() / 2, stick.shards() - 1] {
        stick.repairs(&format!("shard {shard}"), &[&stick.hit([shard]), parity]);
    }
    for begin in [0, 1000, length / 2, length - burst] {
        let mut bytes = bundle.to_vec();
        bytes[begin..begin + burst].fill(0);
        stick.repairs(&format!("zeros from {begin}"), &[&bytes, parity]);
        stick.repairs(
            &format!("cut out at {begin}"),
            &[&[&bundle[..begin], &bundle[begin + burst..]].concat(), parity],
        );
    }
    stick.repairs("cut off", &[&bundle[..length - burst], parity]);
    stick.repairs("beginning lost", &[&bundle[burst..], parity]);
    stick.repairs("one byte lost", &[&[&bundle[..999_999], &bundle[1_000_000..]].concat(), parity]);
    stick.repairs("one byte more", &[&[&bundle[..9], b"x", &bundle[9..]].concat(), parity]);
    stick.repairs("appended", &[&[bundle, b"something else"].concat(), parity]);
    let swapped = [&bundle[1 << 20..2 << 20], &bundle[..1 << 20], &bundle[2 << 20..]].concat();
    stick.repairs("swapped", &[&swapped, parity]);
    stick.repairs("in pieces", &[&bundle[2_000_000..], parity, &bundle[..2_000_000]]);
    stick.repairs("in one file", &[&[parity, &bundle[7..]].concat()]);
    let odd = (0..stick.shards()).step_by(2);
    let even = (1..stick.shards()).step_by(2);
    stick.repairs("two bad copies", &[&stick.hit(odd), &stick.hit(even), parity]);
}

/// Cases 9 and 10 of the catalogue, with damage in the parity too.
#[test]
fn the_budget_is_exact() {
    let stick = Stick::new();
    let budget = stick.budget;
    let spread = |count: usize| (0..count).map(|n| (n * 7) % stick.shards());
    stick.repairs("as much as can be", &[&stick.hit(spread(budget)), &stick.parity]);
    let error = stick.arrives(&[&stick.hit(spread(budget + 1)), &stick.parity]).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    let parts: Vec<String> = error.get_parts().iter().map(ToString::to_string).collect();
    let part = format!("app.sealift: {} of {} stretches are lost", budget + 1, stick.shards());
    assert_eq!(parts, [part]);

    let worn = stick.hit_parity([0, 2, 5]);
    stick.repairs("parity damaged too", &[&stick.hit(spread(budget - 3)), &worn]);
    let error = stick.arrives(&[&stick.hit(spread(budget - 2)), &worn]).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    let whole = parity::Wanted { force: true, ..wanted(100, stick.bench.path("all")) };
    parity::make_beside(&[stick.bench.path("sent/app.sealift")], &whole, &Silent).unwrap();
    let whole = std::fs::read(stick.bench.path("all")).unwrap();
    stick.repairs("nothing is left but parity", &[&whole]);
    let error = stick.arrives(&[&stick.parity]).unwrap_err();
    assert!(error.chain().contains("app.sealift is missing"), "{}", error.chain());
}

/// Case 11 of the catalogue.
#[test]
fn where_only_the_parity_is_damaged_nothing_is_written() {
    let stick = Stick::new();
    for (parity, left) in [
        (stick.parity.clone(), stick.budget),
        (stick.hit_parity([1, 3]), stick.budget - 2),
        (stick.parity[..stick.parity.len() / 2].to_vec(), stick.budget / 2 - 1),
    ] {
        let report = stick.arrives(&[&stick.bundle, &parity]).unwrap();
        assert_eq!((report.proof, report.written.len()), (Proof::Nothing, 0));
        assert!(report.state.is_whole());
        assert!(report.state.budget.abs_diff(left) <= 1, "{} and {left}", report.state.budget);
        assert_eq!(report.state.parity_is_damaged(), left < stick.budget);
    }
}

#[test]
fn one_whole_description_is_enough() {
    let stick = Stick::new();
    let bad = stick.hit([3, 30]);
    let length = stick.parity.len();
    let mut front = stick.parity.clone();
    front[..3000].fill(0xff);
    stick.repairs("front", &[&bad, &front]);
    let mut back = stick.parity.clone();
    back[length - 4000..].fill(0xff);
    stick.repairs("back", &[&bad, &back]);
    stick.repairs("cut in front", &[&bad, &stick.parity[10_000..]]);
    let mut both = front;
    both[length - 4000..].fill(0xff);
    let error = stick.arrives(&[&bad, &both]).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.message().starts_with("there is no parity at "), "{error}");
}

#[test]
fn what_comes_out_is_trusted_no_more_than_what_arrives() {
    let stick = Stick::new();
    let other = Bench::new();
    let folder = stick.bench.path("sent");
    std::fs::write(folder.join("app.sealift"), stick.hit([9])).unwrap();
    let output = folder.join("new");
    let trust = || Ok(other.trust.clone());
    let error = repair_with(std::slice::from_ref(&folder), &output, &trust).unwrap_err();
    assert_eq!(error.kind(), Kind::Untrusted);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "something was left behind");
}

#[test]
fn parity_made_later_is_the_same() {
    let stick = Stick::new();
    let later = wanted(10, stick.bench.path("later"));
    parity::make_beside(&[stick.bench.path("sent/app.sealift")], &later, &Silent).unwrap();
    assert!(std::fs::read(stick.bench.path("later")).unwrap() == stick.parity);
    let again = parity::make_beside(&[stick.bench.path("sent/app.sealift")], &later, &Silent);
    assert_eq!(again.unwrap_err().kind(), Kind::Usage, "it is there already");
    let of_parity = wanted(10, stick.bench.path("more"));
    let parity = stick.bench.path("sent/app.parity.sealift");
    let error = parity::make_beside(&[parity], &of_parity, &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

/// Whoever makes the parity can write any table that fits itself; what comes out must still be
/// what the table says, and the bundle must be signed.
#[test]
fn parity_that_is_at_odds_with_itself_gives_nothing() {
    let stick = Stick::new();
    let parity = resealed(&stick.hit_parity([0]), &stick.parity);
    let report = stick.arrives(&[&stick.bundle, &parity]).unwrap();
    assert!(!report.state.parity_is_damaged(), "the forgery does not fit its own table");
    let error = stick.arrives(&[&stick.hit([5]), &parity]).unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(error.message().starts_with("the parity is at odds with itself"), "{error}");
}

/// Changed parity whose table says that it is right: recovery shard 0 and both descriptions.
fn resealed(changed: &[u8], original: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let find = |bytes: &[u8], wanted: &[u8]| {
        bytes.windows(wanted.len()).position(|it| it == wanted).expect("it is there")
    };
    let at = find(original, b"recovery/000000\0") + 512;
    let mark = |bytes: &[u8]| {
        let shard = &bytes[at..at + SHARD];
        let weak = shard.iter().fold(0u64, |sum, &byte| {
            sum.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(byte))
        });
        [&weak.to_be_bytes()[..], &Sha256::digest(shard)].concat()
    };
    let (old, new) = (mark(original), mark(changed));
    let begin = find(original, b"sealift parity 1\n");
    let size = std::str::from_utf8(&original[begin - 512 + 124..begin - 512 + 135]).unwrap();
    let size = usize::from_str_radix(size, 8).unwrap();
    let mut description = changed[begin..begin + size].to_vec();
    let row = find(&description, &old);
    description[row..row + old.len()].copy_from_slice(&new);
    let own = Sha256::digest(&description[..size - 32]);
    description[size - 32..].copy_from_slice(&own);
    let mut bytes = changed.to_vec();
    bytes[begin..begin + size].copy_from_slice(&description);
    let second = begin + 1 + find(&original[begin + 1..], b"sealift parity 1\n");
    bytes[second..second + size].copy_from_slice(&description);
    bytes
}

#[test]
fn numbers_that_cannot_be_are_malformed_parity() {
    use sha2::{Digest as _, Sha256};
    let bench = Bench::new();
    let place = bench.path("hostile");
    // No set, a shard of 4,096 bytes, 2^64 − 1 files.
    let mut bytes = b"sealift parity 1\n\x00\x80\x20".to_vec();
    bytes.extend([0xff; 9]);
    bytes.push(1);
    let own = Sha256::digest(&bytes);
    bytes.extend_from_slice(&own);
    std::fs::write(&place, bytes).unwrap();
    let error = repair::look(&[place], &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed, "{error}");
}

#[test]
fn a_missing_volume_of_a_set_comes_back() {
    let bench = Bench::new();
    let report = bench.with_parity(images(), 50, Some(SMALLEST_VOLUME));
    let made = report.parity.unwrap();
    assert!(report.sealed.volumes.len() >= 3 && made.files.len() >= 2, "{made:?}");
    assert!(made.coverage.whole_volumes() >= 1);
    let limit = |path: &PathBuf| path.metadata().unwrap().len() <= SMALLEST_VOLUME;
    assert!(made.files.iter().all(limit));
    let sent = bench.path("sent");
    for lost in &report.sealed.volumes {
        let arrived = bench.path("arrived");
        std::fs::create_dir(&arrived).unwrap();
        for entry in std::fs::read_dir(&sent).unwrap() {
            let entry = entry.unwrap();
            if entry.path() != lost.path {
                std::fs::copy(entry.path(), arrived.join(entry.file_name())).unwrap();
            }
        }
        let output = bench.path("whole");
        let report = bench.repair(std::slice::from_ref(&arrived), &output).unwrap();
        let name = lost.path.file_name().unwrap();
        assert_eq!(report.written, [output.join(name)]);
        assert_eq!(report.proof, Proof::Signed);
        assert!(std::fs::read(output.join(name)).unwrap() == std::fs::read(&lost.path).unwrap());
        std::fs::remove_dir_all(&arrived).unwrap();
        std::fs::remove_dir_all(&output).unwrap();
    }
}

#[test]
fn what_is_encrypted_is_covered_as_it_lies_there() {
    let bench = Bench::new();
    let volume = bench.path("app.sealift.age");
    let bytes = [&b"age-encryption.org/v1\n"[..], &noise(8, 400_000)].concat();
    std::fs::write(&volume, &bytes).unwrap();
    let made = parity::make_beside(
        std::slice::from_ref(&volume),
        &wanted(20, bench.path("app.parity.sealift")),
        &Silent,
    );
    made.unwrap();
    std::fs::write(&volume, &bytes[..350_000]).unwrap();
    let output = bench.path("new");
    let trust = || unreachable!("nobody needs a key for what is encrypted");
    let report = repair_with(&[volume], &output, &trust).unwrap();
    assert_eq!(report.proof, Proof::Table);
    assert!(std::fs::read(output).unwrap() == bytes);
}

#[test]
fn of_several_bundles_one_must_be_named() {
    let stick = Stick::new();
    let (sent, output) = (stick.bench.path("sent"), stick.bench.path("new"));
    std::fs::write(sent.join("other"), noise(4, 300_000)).unwrap();
    let other = wanted(20, sent.join("other.parity"));
    parity::make_beside(&[sent.join("other")], &other, &Silent).unwrap();
    std::fs::write(sent.join("app.sealift"), stick.hit([4])).unwrap();
    let error = stick.bench.repair(std::slice::from_ref(&sent), &output).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.message().starts_with("there is parity of several bundles at "), "{error}");
    let named = [sent.join("app.sealift")];
    assert!(repair::is_there(&named));
    let condition = repair::condition(&named, &Silent).unwrap();
    assert_eq!((condition.left, condition.whole), (stick.budget, stick.budget));
    assert_eq!(repair::outlook(&named, &Silent).unwrap().lost, 1);
    let report = stick.bench.repair(&named, &output).unwrap();
    assert_eq!((report.written, report.proof), (vec![output.clone()], Proof::Signed));
    assert!(std::fs::read(&output).unwrap() == stick.bundle);

    // What is there is not replaced unless somebody says so.
    let error = stick.bench.repair(&named, &output).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.chain().contains("new"), "{error:?}");

    // A file of neither, named beside the parity of one.
    std::fs::write(stick.bench.path("stranger"), noise(5, 50_000)).unwrap();
    let both = [stick.bench.path("stranger"), sent.join("app.parity.sealift")];
    let error = repair::look(&both, &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.message().contains("is not for "), "{error}");
    assert!(repair::condition(&[stick.bench.path("stranger")], &Silent).is_none());
}

#[test]
fn what_only_looks_encrypted_by_its_name_is_proved_all_the_same() {
    let stick = Stick::new();
    let file = stick.bench.path("app.age");
    std::fs::write(&file, &stick.bundle).unwrap();
    let made = wanted(10, stick.bench.path("app.parity"));
    parity::make_beside(std::slice::from_ref(&file), &made, &Silent).unwrap();
    std::fs::write(&file, stick.hit([7])).unwrap();
    let report = stick.bench.repair(&[file], &stick.bench.path("new")).unwrap();
    assert_eq!(report.proof, Proof::Signed);
    assert!(std::fs::read(stick.bench.path("new")).unwrap() == stick.bundle);
}

/// Hears how much is looked through.
#[derive(Default)]
struct Listener {
    read: std::sync::atomic::AtomicU64,
}

impl Progress for Listener {
    fn event(&self, event: Event<'_>) {
        if let Event::Advanced { bytes, .. } = event {
            self.read.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// In passing, nobody's other files are looked through, however much is lost.
#[test]
fn only_what_can_be_of_the_bundle_is_looked_through_in_passing() {
    let stick = Stick::new();
    let folder = stick.bench.path("sent");
    let place = |name: &str| folder.join(name);
    std::fs::write(place("film.mkv"), noise(7, 9_000_000)).unwrap();
    let mut another = noisy();
    let layer = another.layer(
        &tar(&[("g".into(), noise(4, 5_000_000))]),
        sealift::model::manifest::media::OCI_LAYER,
    );
    another.image("h.example/b:1", "amd64", &[layer]);
    let mut request = stick.bench.request(another, &place("another.sealift"), 1, None);
    request.writer.set = "1".repeat(32);
    export::export(request, &Silent).unwrap();
    let bad = stick.hit(0..=stick.budget);
    std::fs::write(place("app.sealift"), &bad).unwrap();
    let outlook = |place: PathBuf| {
        let listener = Listener::default();
        let state = repair::outlook(&[place], &listener).unwrap();
        assert_eq!((state.lost, state.can_be_repaired()), (stick.budget + 1, false));
        listener.read.into_inner()
    };
    let own = (bad.len() + stick.parity.len()) as u64;
    assert_eq!(outlook(place("app.sealift")), own);
    assert_eq!(outlook(folder.clone()), own);
    // A renamed one is found by what it says that it is of.
    std::fs::rename(place("app.sealift"), place("copy")).unwrap();
    assert_eq!(outlook(folder.clone()), own);
}
