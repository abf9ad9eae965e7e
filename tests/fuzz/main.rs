//! The bodies of the fuzz targets, over their seeds and over mutants of them: what fuzzing has once
//! found stays found, and each target is run where there is no fuzzer.

#![expect(clippy::print_stdout, reason = "the seed at work, for who has to find what stopped it")]

#[path = "../../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub)]
mod bodies;
#[path = "../support/memory.rs"]
#[allow(dead_code)]
mod memory;

mod seeds;

use std::fs;
use std::path::{Path, PathBuf};

use bodies::{BODIES, Body};

/// Mutants of each seed in an ordinary run.
const MUTANTS: u64 = 40;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz").join(name)
}

/// The seeds of a target, in the order of their names.
fn seeds_of(name: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder(name)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{name} has no seeds");
    let named = |path: PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
    };
    paths.into_iter().map(named).collect()
}

/// Some bytes changed, a stretch gone, doubled or moved: the same for the same number.
fn mutant(seed: &[u8], number: u64) -> Vec<u8> {
    let dice = memory::noise(number + 1, 64);
    let at = |die: usize, most: usize| {
        let bytes: [u8; 4] = dice[die * 4..][..4].try_into().unwrap();
        u32::from_le_bytes(bytes) as usize % (most + 1)
    };
    let mut bytes = seed.to_vec();
    let (from, length) = (at(0, bytes.len()), at(1, 40));
    let to = (from + length).min(bytes.len());
    match number % 4 {
        0 => drop(bytes.drain(from..to)),
        1 => {
            let stretch = bytes[from..to].to_vec();
            let place = at(2, bytes.len());
            bytes.splice(place..place, stretch);
        }
        2 => bytes.truncate(from),
        _ => {}
    }
    for change in 0..at(3, 3) {
        if let Some(byte) = bytes.len().checked_sub(1).map(|last| at(4 + change, last)) {
            let values = [0, 1, 0x7f, 0x80, 0xff, bytes[byte] ^ 1, bytes[byte].wrapping_add(1)];
            bytes[byte] = values[at(8 + change, values.len() - 1)];
        }
    }
    bytes
}

fn run(name: &str, body: Body) {
    for (file, seed) in seeds_of(name) {
        println!("{name}/{file}");
        body(&seed);
        for number in 0..MUTANTS {
            println!("{name}/{file} mutant {number}");
            body(&mutant(&seed, number));
        }
    }
}

#[test]
fn every_target_has_a_body_and_seeds() {
    let mut targets: Vec<String> = fs::read_dir(folder("../../fuzz/fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().replace(".rs", ""))
        .collect();
    targets.sort();
    let names: Vec<&str> = BODIES.iter().map(|(name, _)| *name).collect();
    assert_eq!(targets, names);
    for (name, _) in BODIES {
        let all: u64 = seeds_of(name).iter().map(|(_, seed)| seed.len() as u64).sum();
        assert!(all < 256 << 10, "the seeds of {name} are {all} bytes");
    }
}

#[test]
fn no_seed_and_no_mutant_does_harm() {
    for (name, body) in BODIES {
        run(name, body);
    }
}

/// The seeds of whole bundles are not refused at the door: else nothing behind it is fuzzed.
#[test]
fn a_sealed_seed_is_looked_at_to_its_end() {
    let whole = seeds_of("sealed").into_iter().filter(|(name, _)| name.starts_with("whole"));
    let mut count = 0;
    for (name, seed) in whole {
        assert_eq!(bodies::looked_at(&seed), Some(0), "{name}");
        count += 1;
    }
    assert!(count > 0);
}
