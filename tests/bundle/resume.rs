//! An export that was interrupted goes on from what it had, and makes the bundle that it would have
//! made. What was left of it may be damaged in any way: then it is fetched again.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use sealift::bundle::{Base, Kept, Known};
use sealift::endpoint::{Attachment, Form, Root, Silent, Source};
use sealift::model::manifest::media;
use sealift::model::{Descriptor, Digest, Error, Kind, Result};
use sealift::operation::export::{self, Report};
use sealift::operation::gather::Wanted;

use crate::Bench;
use crate::contents::{Files, go_gzip, gzip_layer, letters, odd_gzip, text};
use crate::memory::{Memory, noise, tar};
use crate::volumes::files as lying_in;

/// A line to a registry, which breaks after some blobs.
struct Line {
    memory: Memory,
    breaks_after: usize,
    fetched: Arc<Mutex<Vec<Digest>>>,
}

impl Source for Line {
    fn describe(&self) -> String {
        "line".to_owned()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        self.memory.roots()
    }

    fn open(&self, blob: &Descriptor, form: Form) -> Result<Box<dyn Read + Send + '_>> {
        if !blob.is_manifest() {
            let mut fetched = self.fetched.lock().unwrap();
            if fetched.len() == self.breaks_after {
                return Err(Error::remote("the line is broken"));
            }
            fetched.push(blob.digest);
        }
        self.memory.open(blob, form)
    }

    fn attachments(&self, subject: &Descriptor) -> Result<Vec<Attachment>> {
        self.memory.attachments(subject)
    }

    fn is_remote(&self) -> bool {
        true
    }
}

/// Some text, and something that does not shrink.
fn files(seed: u64, texts: u64) -> Files {
    let name = |n: u64| format!("usr/share/{}/{}", letters(seed), letters(n));
    let mut files: Files = (0..texts).map(|n| (name(n), text(seed * 1000 + n, 60_000))).collect();
    files.push((name(texts), noise(seed, 200_000)));
    files
}

/// Three images of four blobs each, the first with more than a pack of text, and one with another
/// version of that text.
fn images() -> Memory {
    static MADE: OnceLock<Memory> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut memory = Memory::default();
        let bulk = files(1, 150);
        for seed in 1..4 {
            let [go, other] = [seed + 10, seed + 20].map(|seed| tar(&files(seed, 2)));
            let plain = tar(if seed == 1 { &bulk } else { &[] });
            let other_packed = if seed == 1 { odd_gzip(&other) } else { go_gzip(&other, 1) };
            let layers = [
                memory.layer(&plain, media::OCI_LAYER),
                gzip_layer(&mut memory, &go, &go_gzip(&go, 6)),
                gzip_layer(&mut memory, &other, &other_packed),
            ];
            memory.image(&format!("h.example/app:{seed}"), "amd64", &layers);
        }
        let mut next = bulk[..30].to_vec();
        for (_, content) in &mut next {
            content.truncate(50_000);
        }
        let next = tar(&next);
        let layer = gzip_layer(&mut memory, &next, &go_gzip(&next, 6));
        memory.image("h.example/app:4", "amd64", &[layer]);
        memory
    })
    .clone()
}

/// The second and third image share their empty layer.
const BLOBS: usize = 13;

struct Desk {
    bench: Bench,
    volume_size: Option<u64>,
    fetched: Arc<Mutex<Vec<Digest>>>,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { bench: Bench::new(), volume_size: None, fetched: Arc::default() };
        std::fs::create_dir(desk.bench.path("out")).unwrap();
        desk
    }

    fn output(&self) -> PathBuf {
        self.bench.path("out/b.sealift")
    }

    /// Where the last interrupted export was.
    fn kept(&self) -> Option<PathBuf> {
        Kept::find(&self.output()).map(|kept| kept.folder)
    }

    fn export(&self, breaks_after: usize, resume: bool, base: Option<Base>) -> Result<Report> {
        self.export_to(&self.output(), images(), breaks_after, resume, base)
    }

    fn export_to(
        &self,
        output: &Path,
        memory: Memory,
        breaks_after: usize,
        resume: bool,
        base: Option<Base>,
    ) -> Result<Report> {
        self.fetched.lock().unwrap().clear();
        let line = Line { memory, breaks_after, fetched: Arc::clone(&self.fetched) };
        let mut request = self.bench.request(line, output, 2, self.volume_size);
        (request.base, request.resume) = (base, resume);
        request.wanted = Wanted::default();
        export::export(request, &Silent)
    }

    fn interrupted(&self, breaks_after: usize, resume: bool) {
        let error = self.export(breaks_after, resume, None).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Remote, "the line is broken"));
        assert!(!self.output().exists());
    }

    /// The same, never interrupted.
    fn whole(&self) -> Vec<u8> {
        let path = self.bench.path("whole.sealift");
        self.export_to(&path, images(), usize::MAX, false, None).unwrap();
        assert_eq!(self.fetched.lock().unwrap().len(), BLOBS);
        std::fs::read(path).unwrap()
    }

    fn only_the_bundle_is_left(&self) {
        let left = std::fs::read_dir(self.bench.path("out")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["b.sealift"]);
    }
}

#[test]
fn a_resumed_export_is_the_one_that_was_interrupted() {
    let desk = Desk::new();
    let whole = desk.whole();
    let mut hands = Vec::new();
    for breaks_after in [0, 1, 5, 12] {
        desk.interrupted(breaks_after, false);
        let report = desk.export(usize::MAX, true, None).unwrap();
        let at_hand = report.at_hand.0;
        // What other lanes had not handed over when the line broke is lost.
        assert!(at_hand <= breaks_after && at_hand + 3 > breaks_after, "{at_hand} {breaks_after}");
        assert_eq!(desk.fetched.lock().unwrap().len(), BLOBS - at_hand);
        assert!(std::fs::read(desk.output()).unwrap() == whole, "another bundle came of it");
        desk.only_the_bundle_is_left();
        std::fs::remove_file(desk.output()).unwrap();
        hands.push(at_hand);
    }
    assert!(hands.is_sorted() && hands[3] > 9, "{hands:?}");
}

#[test]
fn volumes_that_were_written_are_gone_on_from() {
    let desk = Desk { volume_size: Some(1 << 20), ..Desk::new() };
    let whole = desk.bench.path("whole");
    std::fs::create_dir(&whole).unwrap();
    desk.export_to(&whole.join("b.sealift"), images(), usize::MAX, false, None).unwrap();
    let whole = lying_in(&whole);
    assert!(whole.len() > 2, "{} volumes", whole.len());
    desk.interrupted(12, false);
    let kept = lying_in(&desk.kept().unwrap().join("1"));
    assert!(kept.contains_key("bundle-2"), "{:?}", kept.keys());
    let report = desk.export(usize::MAX, true, None).unwrap();
    assert!(report.at_hand.0 > 9, "{:?}", report.at_hand);
    assert!(lying_in(&desk.bench.path("out")) == whole);
    // What only the second volume had is fetched again where that is lost.
    std::fs::remove_dir_all(desk.bench.path("out")).unwrap();
    std::fs::create_dir(desk.bench.path("out")).unwrap();
    desk.interrupted(12, false);
    std::fs::remove_file(desk.kept().unwrap().join("1/bundle-2")).unwrap();
    let again = desk.export(usize::MAX, true, None).unwrap();
    assert!((1..report.at_hand.0).contains(&again.at_hand.0), "{:?}", again.at_hand);
    assert!(lying_in(&desk.bench.path("out")) == whole);
}

#[test]
fn an_export_may_be_interrupted_again_and_again() {
    let desk = Desk::new();
    let whole = desk.whole();
    desk.interrupted(9, false);
    let many = Kept::find(&desk.output()).unwrap().bytes;
    // Nothing new, and less than before: what there was stays.
    for fetched in [0, 1] {
        desk.interrupted(fetched, true);
        assert!(Kept::find(&desk.output()).unwrap().bytes >= many);
    }
    // One that starts anew leaves what there was to the next, and so do many.
    for _ in 0..4 {
        desk.interrupted(1, false);
    }
    let runs = std::fs::read_dir(desk.kept().unwrap()).unwrap().count();
    assert!(runs <= 3, "{runs} runs are kept");
    let report = desk.export(usize::MAX, true, None).unwrap();
    assert!(report.at_hand.0 >= 7, "{:?}", report.at_hand);
    assert!(std::fs::read(desk.output()).unwrap() == whole);
    desk.only_the_bundle_is_left();
}

/// What happens to the bytes of a file.
type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);

#[test]
fn what_is_torn_or_damaged_is_fetched_again() {
    let desk = Desk::new();
    let whole = desk.whole();
    let damages: [(&str, Damage); 7] = [
        ("checkpoint", &|bytes| bytes.truncate(bytes.len() - 1)),
        ("checkpoint", &|bytes| *bytes.last_mut().unwrap() ^= 1),
        ("checkpoint", &|bytes| {
            let at = bytes.len() - 200;
            bytes[at] ^= 1;
        }),
        ("checkpoint", &|bytes| bytes[100] ^= 1),
        ("bundle", &Vec::clear),
        ("bundle", &|bytes| bytes.truncate(bytes.len() / 2)),
        ("bundle", &|bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1)),
    ];
    desk.interrupted(12, false);
    let kept = desk.kept().unwrap();
    let spare = desk.bench.path("spare");
    std::fs::rename(&kept, &spare).unwrap();
    let with = |name: &str, damage: Damage| {
        std::fs::create_dir_all(kept.join("1")).unwrap();
        for file in ["bundle", "checkpoint"] {
            let mut bytes = std::fs::read(spare.join("1").join(file)).unwrap();
            if file == name {
                damage(&mut bytes);
            }
            std::fs::write(kept.join("1").join(file), bytes).unwrap();
        }
        let report = desk.export(usize::MAX, true, None).unwrap();
        assert!(std::fs::read(desk.output()).unwrap() == whole, "{name}");
        desk.only_the_bundle_is_left();
        std::fs::remove_file(desk.output()).unwrap();
        report.at_hand.0
    };
    let at_hand = with("", &|_| ());
    assert!(at_hand > 9, "{at_hand}");
    for (name, damage) in damages {
        assert!(with(name, damage) < at_hand, "{name}");
    }
}

#[test]
fn images_that_changed_meanwhile_are_taken_as_they_are_now() {
    let desk = Desk::new();
    desk.interrupted(9, false);
    let moved = || {
        let mut memory = images();
        let layer = tar(&files(77, 4));
        let layer = gzip_layer(&mut memory, &layer, &go_gzip(&layer, 6));
        let root = memory.image("", "amd64", &[layer]);
        memory.roots[0].descriptor = root;
        memory
    };
    let path = desk.bench.path("moved.sealift");
    desk.export_to(&path, moved(), usize::MAX, false, None).unwrap();
    let report = desk.export_to(&desk.output(), moved(), usize::MAX, true, None).unwrap();
    assert!((2..7).contains(&report.at_hand.0), "{:?}", report.at_hand);
    assert!(std::fs::read(desk.output()).unwrap() == std::fs::read(path).unwrap());
}

#[test]
fn a_delta_goes_on_where_its_base_is_at_hand() {
    let desk = Desk::new();
    let old = desk.bench.path("old.sealift");
    let mut memory = Memory::default();
    let layer = memory.layer(&tar(&files(1, 150)), media::OCI_LAYER);
    memory.image("h.example/app:1", "amd64", &[layer]);
    desk.export_to(&old, memory, usize::MAX, false, None).unwrap();
    let base = || {
        let bundle = Arc::new(desk.bench.open(&old));
        Base::new(&[Known::Bundle(bundle)]).unwrap()
    };
    let path = desk.bench.path("delta.sealift");
    desk.export_to(&path, images(), usize::MAX, false, base()).unwrap();
    let all = desk.fetched.lock().unwrap().len();
    assert_eq!(all, BLOBS - 1, "the base has one layer");
    for goes_on_with in [true, false] {
        desk.export(all - 1, false, base()).unwrap_err();
        let base = if goes_on_with { base() } else { None };
        let report = desk.export(usize::MAX, true, base).unwrap();
        // The last image holds pieces of the base; the line breaks before it is there.
        assert!(report.at_hand.0 >= 9, "{:?}", report.at_hand);
        if goes_on_with {
            assert!(std::fs::read(desk.output()).unwrap() == std::fs::read(&path).unwrap());
        }
        std::fs::remove_file(desk.output()).unwrap();
    }
}

#[test]
fn two_exports_to_one_file_do_not_get_into_each_other() {
    let desk = Desk::new();
    desk.interrupted(9, false);
    let bundle = desk.kept().unwrap().join("1/bundle");
    let at_work = std::fs::File::open(bundle).unwrap();
    at_work.try_lock().unwrap();
    let error = desk.export(usize::MAX, true, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.message().starts_with("another export is writing"), "{error}");
    drop(at_work);
    desk.export(usize::MAX, true, None).unwrap();

    // Nor is a folder of somebody else's taken for one's own.
    std::os::unix::fs::symlink("/tmp", desk.bench.path("out/.b.sealift.partial")).unwrap();
    let error = desk.export(usize::MAX, true, None).unwrap_err();
    assert!(error.chain().ends_with("is there and is not a folder"), "{error:?}");
}
