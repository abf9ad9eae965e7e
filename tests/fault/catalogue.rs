//! All cases, in the order of their numbers, and the table of what was said.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::scene::Case;
use crate::{damage, freshness, images, local, network, parsers, policy, signatures, volumes};

/// A case of the catalogue.
pub(crate) struct Entry {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) play: fn(&mut Case),
}

/// The highest number of a case, and the numbers below it that stand for nothing.
const LAST: u32 = 76;
const UNUSED: [u32; 1] = [39];
/// Cases that still wait for what they are about.
const LATER: [u32; 4] = [9, 10, 11, 21];

fn entries() -> Vec<&'static Entry> {
    let parts = [
        damage::CASES,
        volumes::CASES,
        signatures::CASES,
        policy::CASES,
        freshness::CASES,
        parsers::CASES,
        images::CASES,
        network::CASES,
        local::CASES,
    ];
    let mut all: Vec<_> = parts.into_iter().flatten().collect();
    all.sort_by_key(|entry| entry.number);
    all
}

#[test]
fn every_case_of_the_catalogue_ends_as_it_should() {
    let entries = entries();
    let numbers: Vec<u32> = entries.iter().map(|entry| entry.number).collect();
    let wanted: Vec<u32> =
        (1..=LAST).filter(|number| !UNUSED.contains(number) && !LATER.contains(number)).collect();
    let results: Vec<Mutex<String>> = entries.iter().map(|_| Mutex::default()).collect();
    let failures = Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(entry) = entries.get(at) else { break };
                    let mut case = Case::new(&format!("{} {}", entry.number, entry.name));
                    let begin = std::time::Instant::now();
                    let played = catch_unwind(AssertUnwindSafe(|| (entry.play)(&mut case)));
                    println!("case {} took {:?}", entry.number, begin.elapsed());
                    if played.is_err() {
                        failures.lock().unwrap().push(format!("{} {}", entry.number, entry.name));
                    }
                    *results[at].lock().unwrap() = told(entry, &case);
                }
            });
        }
    });
    let table: String = results.iter().map(|text| text.lock().unwrap().clone()).collect();
    let table = tidy(&table);
    println!("{table}");
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "these cases ended otherwise: {failures:#?}");
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("catalogue", table);
    });
    assert_eq!(numbers, wanted, "every number once");
}

/// What became of a case, for the table.
fn told(entry: &Entry, case: &Case) -> String {
    let mut text = format!("{:>2}  {}\n", entry.number, entry.name);
    for row in &case.rows {
        let _ = writeln!(text, "    {:<5} {}", row.code, row.what);
        for line in row.text.lines() {
            let _ = writeln!(text, "          {}", line.trim_end());
        }
    }
    text.replace(&case.station.home().display().to_string(), "HOME")
}

/// Without what differs from run to run, or with every change of the format.
fn tidy(text: &str) -> String {
    let mut tidied = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, word) = rest.split_at(at);
        tidied.push_str(before);
        let inside = before.chars().last().is_some_and(char::is_alphanumeric);
        let end = word.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        let whole = !inside && !after.starts_with(|c: char| c.is_alphanumeric());
        let number = word.bytes().all(|b| b.is_ascii_digit());
        match word.len() {
            64.. if whole => tidied.push_str("HEX"),
            16.. if whole => tidied.push_str("KEY"),
            4.. if whole && number && !word.starts_with('0') => tidied.push('N'),
            _ => tidied.push_str(word),
        }
        rest = after;
    }
    tidied.push_str(rest);
    tidied
}
