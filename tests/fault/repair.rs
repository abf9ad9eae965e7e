//! Cases 9 to 11: damage that parity makes up for, and damage that it does not.

use std::fs;

use crate::catalogue::Entry;
use crate::sample::sample;
use crate::scene::{Case, Told};

pub(crate) const CASES: &[Entry] = &[
    Entry { number: 9, name: "as much damage as parity makes up for", play: within },
    Entry { number: 10, name: "one stretch more than that", play: beyond },
    Entry { number: 11, name: "only parity is damaged", play: parity_alone },
];

const BUNDLE: &str = "set/app.sealift";

/// Lays the large bundle out with a tenth of parity; gives the length of a stretch, and how many
/// may be lost.
fn lay(case: &Case) -> (usize, usize) {
    fs::create_dir(case.station.path("set")).unwrap();
    fs::write(case.station.path(BUNDLE), &sample().large).unwrap();
    let made = case.station.sealift(["parity", "-q", BUNDLE, "--percent", "10", "--json"]).json();
    let number = |key: &str| made[key].as_u64().unwrap() as usize;
    (number("stretch"), number("budget"))
}

/// Turns one bit in each of the first stretches.
fn harm(case: &Case, stretch: usize, count: usize) {
    let mut bytes = sample().large.clone();
    for number in 0..count {
        bytes[number * stretch + stretch / 2] ^= 8;
    }
    fs::write(case.station.path(BUNDLE), bytes).unwrap();
}

fn repair(case: &Case) -> Told {
    case.run(&["repair", "-q", "set", "-o", "repaired.sealift"])
}

fn within(case: &mut Case) {
    let (stretch, budget) = lay(case);
    assert!(budget > 10, "{budget}");
    harm(case, stretch, budget);
    let told = case.run(&["verify", "-q", BUNDLE]);
    assert_eq!(told.code, 4, "{}", told.text);
    let told = repair(case);
    assert_eq!(told.code, 0, "{}", told.text);
    let repaired = fs::read(case.station.path("repaired.sealift")).unwrap();
    assert!(repaired == sample().large, "it came back with other bytes");
    case.row("a bit in each of as many stretches: back byte for byte", &told);
    assert_eq!(case.run(&["verify", "-q", "repaired.sealift"]).code, 0);
}

fn beyond(case: &mut Case) {
    let (stretch, budget) = lay(case);
    harm(case, stretch, budget + 1);
    let told = repair(case);
    assert_eq!(told.code, 4, "{}", told.text);
    assert!(!case.station.path("repaired.sealift").exists(), "something was written");
    let mut left = fs::read_dir(case.station.home()).unwrap();
    let partial = |name: &std::ffi::OsStr| name.to_string_lossy().contains("repaired");
    assert!(!left.any(|entry| partial(&entry.unwrap().file_name())));
    case.row("nothing is written", &told);
}

fn parity_alone(case: &mut Case) {
    lay(case);
    let path = case.station.path("set/app.parity.sealift");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 8;
    fs::write(&path, bytes).unwrap();
    let told = case.run(&["repair", "-q", "--check", "set"]);
    assert_eq!(told.code, 0, "{}", told.text);
    case.row("repair --check", &told);
    let told = case.run(&["verify", "-q", BUNDLE]);
    assert_eq!(told.code, 0, "{}", told.text);
    case.row("verify does not need it", &told);
}
