//! Volumes on several media, of which one is in at a time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sealift::bundle::{Answer, Bundle, Changer, Media, Wanted};
use sealift::codec::encryption::Identities;
use sealift::endpoint::Silent;
use sealift::model::Kind;
use sealift::operation::verify::{Depth, verify};

use crate::contents::restores;
use crate::split::Set;

/// Volumes by number, and their bytes.
type Stick = Vec<(usize, Vec<u8>)>;

/// Somebody with several sticks and one place to put them.
struct Person<'a> {
    set: &'a Set,
    /// What is on the sticks that come next; `None` where the person has no more.
    sticks: RefCell<Vec<Stick>>,
    asked: RefCell<Vec<String>>,
    troubles: RefCell<Vec<String>>,
    kept: Cell<u64>,
}

impl<'a> Person<'a> {
    /// The first stick is in.
    fn with(set: &'a Set, mut sticks: Vec<Stick>) -> Self {
        sticks.reverse();
        let person = Self {
            set,
            sticks: RefCell::new(sticks),
            asked: RefCell::default(),
            troubles: RefCell::default(),
            kept: Cell::new(0),
        };
        person.change();
        person
    }

    fn change(&self) -> bool {
        let Some(stick) = self.sticks.borrow_mut().pop() else { return false };
        std::fs::remove_dir_all(&self.set.folder).unwrap();
        std::fs::create_dir(&self.set.folder).unwrap();
        for (number, bytes) in stick {
            std::fs::write(self.set.file(number), bytes).unwrap();
        }
        true
    }

    /// Opens, verifies, reads everything.
    fn verifies(&self, first: &Path) -> Vec<String> {
        let temporary = self.set.bench.folder.path();
        let changer = Changer { media: self, temporary };
        let bundle =
            Bundle::open_asking(&[first.to_owned()], None, &Identities::default(), Some(changer))
                .unwrap();
        let bundle = bundle.authenticate(&self.set.bench.trust).unwrap();
        bundle.fetch(&BTreeSet::from([1, 2, 3]), changer).unwrap();
        let report = verify(&bundle, Depth::Full, 1, &Silent).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        restores(&bundle, &self.set.images);
        self.asked.take()
    }
}

impl Media for Person<'_> {
    fn ask(&self, wanted: &Wanted) -> Answer {
        let held = open_files_below(&self.set.folder);
        assert!(held.is_empty(), "still open: {held:?}");
        let number =
            wanted.number.map_or_else(|| "last".to_owned(), |(number, _)| number.to_string());
        assert!(wanted.set.contains("/app.sealift (set "), "{wanted:?}");
        assert_eq!(wanted.places, std::slice::from_ref(&self.set.folder));
        self.asked.borrow_mut().push(number);
        self.troubles.borrow_mut().extend(wanted.trouble.as_ref().map(ToString::to_string));
        if self.change() { Answer::Look } else { Answer::GiveUp }
    }

    fn keeps(&self, _: &Path, bytes: u64) {
        self.kept.set(self.kept.get() + bytes);
    }
}

/// What this process has open below a folder.
fn open_files_below(folder: &Path) -> Vec<PathBuf> {
    let handles = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = handles.filter_map(|handle| std::fs::read_link(handle.unwrap().path()).ok());
    targets.filter(|target| target.starts_with(folder)).collect()
}

fn stick(set: &Set, numbers: &[usize]) -> Vec<(usize, Vec<u8>)> {
    numbers.iter().map(|&number| (number, set.volumes[number - 1].clone())).collect()
}

#[test]
fn each_medium_goes_in_once_whichever_comes_first() {
    let set = Set::new();
    let orders: [(&[usize], &[&str]); 4] = [
        (&[1, 2, 3], &["last", "last"]),
        (&[3, 1, 2], &["1", "2"]),
        (&[2, 3, 1], &["last", "1"]),
        (&[3, 2, 1], &["1", "1"]),
    ];
    for (order, asked) in orders {
        let sticks = order.iter().map(|&number| stick(&set, &[number])).collect();
        let person = Person::with(&set, sticks);
        assert_eq!(person.verifies(&set.file(order[0])), asked, "{order:?}");
        // What is on the last stick is read from there.
        let copied: usize = order[..2].iter().map(|&number| set.volumes[number - 1].len()).sum();
        assert_eq!(person.kept.get(), copied as u64, "{order:?}");
    }
    let person = Person::with(&set, vec![stick(&set, &[1, 3]), stick(&set, &[2])]);
    assert_eq!(person.verifies(&set.folder), ["2"]);
    let person = Person::with(&set, vec![stick(&set, &[1, 2, 3])]);
    assert!(person.verifies(&set.file(1)).is_empty());
    assert_eq!(person.kept.get(), 0);
}

#[test]
fn what_does_not_do_is_asked_for_again() {
    let set = Set::new();
    let mut bad = stick(&set, &[1]);
    bad[0].1[9000] ^= 1;
    let sticks = vec![bad, stick(&set, &[3]), Vec::new(), stick(&set, &[2]), stick(&set, &[1])];
    let person = Person::with(&set, sticks);
    assert_eq!(person.verifies(&set.folder), ["last", "1", "1", "1"]);
    let troubles = person.troubles.take();
    assert!(troubles[0].starts_with("pack 1 of "), "{troubles:?}");
}

#[test]
fn who_gives_up_learns_what_is_missing() {
    let set = Set::new();
    let person = Person::with(&set, vec![stick(&set, &[1, 2])]);
    let changer = Changer { media: &person, temporary: set.bench.folder.path() };
    let paths = [set.folder.clone()];
    let error =
        Bundle::open_asking(&paths, None, &Identities::default(), Some(changer)).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);

    let person = Person::with(&set, vec![stick(&set, &[1, 3])]);
    let changer = Changer { media: &person, temporary: set.bench.folder.path() };
    let bundle = Bundle::open_asking(&paths, None, &Identities::default(), Some(changer)).unwrap();
    let bundle = bundle.authenticate(&set.bench.trust).unwrap();
    // Nobody is asked for what is not needed.
    bundle.fetch(&BTreeSet::from([1, 3]), changer).unwrap();
    assert!(person.asked.borrow().is_empty());
    bundle.fetch(&BTreeSet::from([2, 3]), changer).unwrap();
    assert_eq!(person.asked.take(), ["2"]);
    let report = verify(&bundle, Depth::Quick, 1, &Silent).unwrap();
    assert_eq!(report.problems.len(), 1);
    assert_eq!(report.problems[0].volume, 2);
}

/// Somebody who has everything in one other place.
struct Elsewhere {
    folder: PathBuf,
    asked: RefCell<Vec<Option<u64>>>,
}

impl Media for Elsewhere {
    fn ask(&self, wanted: &Wanted) -> Answer {
        self.asked.borrow_mut().push(wanted.number.map(|(number, _)| number));
        Answer::LookIn(self.folder.clone())
    }

    fn keeps(&self, _: &Path, _: u64) {}
}

#[test]
fn volumes_may_lie_where_somebody_says() {
    let set = Set::new();
    for (here, asked) in [(1, None), (3, Some(1))] {
        set.write();
        let folder = set.bench.path("elsewhere");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        for number in (1..=3).filter(|&number| number != here) {
            std::fs::rename(set.file(number), folder.join(number.to_string())).unwrap();
        }
        let person = Elsewhere { folder, asked: RefCell::default() };
        let changer = Changer { media: &person, temporary: set.bench.folder.path() };
        let paths = [set.file(here)];
        let bundle =
            Bundle::open_asking(&paths, None, &Identities::default(), Some(changer)).unwrap();
        let bundle = bundle.authenticate(&set.bench.trust).unwrap();
        bundle.fetch(&BTreeSet::from([1, 2, 3]), changer).unwrap();
        assert_eq!(person.asked.take(), [asked]);
        assert!(verify(&bundle, Depth::Quick, 1, &Silent).unwrap().problems.is_empty());
        restores(&bundle, &set.images);
    }
}
