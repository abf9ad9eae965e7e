//! The floors of `docs/architecture.md`, read from the imports.
//!
//! A floor may use those below it and never one above; bundle and transport never use each other;
//! no modules form a circle, neither at the top nor within a folder. Some habits that a reader can
//! check are checked here too. [`source`] reads Rust just well enough for that; [`rules`] judge.

mod rules;
mod source;

use std::collections::BTreeMap;
use std::path::Path;

use source::Source;

/// Every file under `src`, by its path below it; unit tests that grew out of their file
/// (`tests.rs`) are no part of the house.
fn house() -> BTreeMap<String, Source> {
    fn gather(folder: &Path, below: &str, files: &mut BTreeMap<String, Source>) {
        for entry in std::fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            let name = path.file_name().expect("entries have names").to_string_lossy();
            let below = if below.is_empty() { name.to_string() } else { format!("{below}/{name}") };
            if path.is_dir() {
                gather(&path, &below, files);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && name != "tests.rs"
            {
                let text = std::fs::read_to_string(&path).expect("sources are text");
                files.insert(below, Source::read(&text));
            }
        }
    }
    let mut files = BTreeMap::new();
    gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files);
    files
}

fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn no_floor_looks_up() {
    assert_none(&rules::floors(&house()));
}

#[test]
fn no_modules_form_a_circle() {
    assert_none(&rules::circles(&house()));
}

#[test]
fn files_stay_short_and_say_what_they_are() {
    assert_none(&rules::files(&house()));
}

#[test]
fn only_the_command_line_prints_and_reads_the_environment() {
    assert_none(&rules::surroundings(&house()));
}

#[test]
fn the_whole_house_was_read() {
    let house = house();
    let imports: usize = house.values().map(|source| source.imports.len()).sum();
    assert!(house.len() > 30 && imports > 60, "{} files, {imports} imports", house.len());
    for floor in ["model/digest.rs", "codec/atomic.rs", "cli/mod.rs", "main.rs", "lib.rs"] {
        assert!(house.contains_key(floor), "{floor}");
    }
}
