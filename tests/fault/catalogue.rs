//! All cases, in the order of their numbers, and the table of what was said.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::scene::Case;
use crate::{
    damage, freshness, images, local, network, parsers, policy, repair, signatures, volumes,
};

/// A case of the catalogue.
pub(crate) struct Entry {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) play: fn(&mut Case),
}

/// The highest number of a case, and the numbers below it that stand for nothing.
const LAST: u32 = 76;
const UNUSED: [u32; 1] = [39];

fn entries() -> Vec<&'static Entry> {
    let parts = [
        damage::CASES,
        repair::CASES,
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
    let wanted: Vec<u32> = (1..=LAST).filter(|number| !UNUSED.contains(number)).collect();
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
    println!("{table}");
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "these cases ended otherwise: {failures:#?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // What differs from run to run, or with every change of the format.
    settings.add_filter(r"\b\d{4}-\d\d-\d\dT[\d:]+Z", "TIME");
    settings.add_filter(r"\b([0-9a-f]{64}|[0-9A-F]{64}|[0-9a-f]{32})\b", "HEX");
    settings.add_filter(r"\b[0-9a-f]{16}\b", "KEY");
    settings.add_filter(r"\b[0-9a-f]{8}…", "SET…");
    settings.add_filter(r"\b[1-9]\d{3,6}\b", "N");
    settings.bind(|| insta::assert_snapshot!("catalogue", table));
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
