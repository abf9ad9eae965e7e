//! What a case is played on: a receiver's machine with a layout that holds something already, and
//! the binary, watched while it runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use sealift::model::Digest;

use crate::sample::{sample, station};
use crate::support::command::{BINARY, Station};
use crate::support::images::{self, Packing, image_of, layer};

/// Resident memory that no run on small inputs may pass, in KiB.
const MOST_MEMORY: u64 = 256 << 10;

/// Processor seconds after which a run counts as stalled, and wall seconds after which it is
/// stopped: a busy machine is no fault of the program.
const MOST_SECONDS: f64 = 10.0;
const PATIENCE: &str = "120";

/// What a run of the binary came to.
pub(crate) struct Told {
    pub(crate) code: i32,
    /// What was found, from its output, then all of what it said to the person.
    pub(crate) text: String,
}

/// One thing that was tried, and what came of it.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) code: String,
    pub(crate) text: String,
}

/// A case while it is played.
pub(crate) struct Case {
    pub(crate) station: Station,
    pub(crate) rows: Vec<Row>,
    label: String,
}

/// The bundle that a case is about.
const BAD: &str = "bad.sealift";

impl Case {
    pub(crate) fn new(label: &str) -> Self {
        let station = station();
        let old = image_of(&[layer(&[("old", b"old")])], Packing::Plain, "amd64", "old");
        images::write_layout(&station.path("there"), &[("h.example/old:1", &old)]);
        Self { station, rows: Vec::new(), label: label.to_owned() }
    }

    /// Runs sealift, which must end by itself, soon, and without much memory.
    pub(crate) fn run(&self, arguments: &[&str]) -> Told {
        let command = self.watched(BINARY, arguments);
        self.told(command, arguments)
    }

    /// A command that is watched.
    pub(crate) fn watched(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.station.command("/usr/bin/time");
        command
            .args(["-q", "-f", "%M %U %S", "-o", "watched", "timeout", "-s", "KILL", PATIENCE])
            .arg(program)
            .args(arguments);
        command
    }

    pub(crate) fn told(&self, mut command: Command, arguments: &[&str]) -> Told {
        let output = command.output().expect("time is needed: install the Debian package of it");
        let (stdout, stderr) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let code = output.status.code().expect("time itself is not killed");
        let said = format!("{}: {arguments:?} ends with {code}:\n{stdout}{stderr}", self.label);
        assert!((0..=8).contains(&code), "a signal, a stall or a panic? {said}");
        assert!(!stderr.contains("panicked"), "{said}");
        let watched = fs::read_to_string(self.station.path("watched")).unwrap();
        fs::remove_file(self.station.path("watched")).unwrap();
        let mut numbers = watched.split_whitespace();
        let memory: u64 = numbers.next().unwrap().parse().unwrap();
        let seconds: f64 = numbers.map(|number| number.parse::<f64>().unwrap()).sum();
        assert!(memory < MOST_MEMORY, "{memory} KiB resident: {said}");
        assert!(seconds < MOST_SECONDS, "{seconds} s of the processor: {said}");
        let found = stdout.lines().filter(|line| line.starts_with("problem: "));
        let text = found.chain(stderr.lines()).collect::<Vec<_>>().join("\n");
        Told { code, text }
    }

    /// Keeps a row. A sentence must be one: an exit code alone tells nobody anything.
    pub(crate) fn row(&mut self, what: &str, told: &Told) {
        let speaks = told.code == 0 || told.text.lines().any(|line| line.starts_with("error: "));
        assert!(speaks, "{}, {what}: {} without a word", self.label, told.code);
        let (code, text) = (told.code.to_string(), told.text.clone());
        self.rows.push(Row { what: what.to_owned(), code, text });
    }

    /// A row without a run of its own.
    pub(crate) fn note(&mut self, what: &str, code: &str, text: impl Into<String>) {
        self.rows.push(Row { what: what.to_owned(), code: code.to_owned(), text: text.into() });
    }

    /// A row that says which other test shows it; that test must be there.
    pub(crate) fn shown(&mut self, file: &str, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = fs::read_to_string(&path).expect(file);
        assert!(text.contains(&format!("fn {name}(")), "{file} has no test {name}");
        self.note(&format!("see {name} in {file}"), "", "");
    }

    /// Verify and import both refuse these bytes with this exit code, and nothing arrives.
    pub(crate) fn refuses(&mut self, what: &str, bytes: &[u8], code: i32) {
        fs::write(self.station.path(BAD), bytes).unwrap();
        self.refuses_with(what, &[BAD], code);
    }

    /// The same with the files and options that both are given.
    pub(crate) fn refuses_with(&mut self, what: &str, arguments: &[&str], code: i32) {
        let verified = self.run(&[&["verify", "-q"], arguments].concat());
        assert_eq!(verified.code, code, "{}, {what}: verify: {}", self.label, verified.text);
        self.row(what, &verified);
        let imported = self.import_refused(what, arguments, &[code]);
        if timeless(&imported.text) != timeless(&verified.text) {
            self.row("  … and by import", &imported);
        }
    }

    /// Import refuses with one of these codes, and the layout is what it was, but for blobs that
    /// nothing names.
    pub(crate) fn import_refused(&self, what: &str, arguments: &[&str], codes: &[i32]) -> Told {
        let there = self.station.path("there");
        let before = files(&there);
        let told = self.run(&[&["import", "-q", "--to", "oci:there"], arguments].concat());
        let context = format!("{}, {what}: import: {}: {}", self.label, told.code, told.text);
        assert!(codes.contains(&told.code), "{context}");
        if told.code != 0 {
            assert_nothing_named(&before, &files(&there), &context);
        }
        told
    }

    /// Verify and import both take these bytes, and what arrives is exactly what was sealed.
    pub(crate) fn accepts(&mut self, what: &str, bytes: &[u8]) {
        fs::write(self.station.path(BAD), bytes).unwrap();
        self.accepts_with(what, &[BAD]);
    }

    /// The same with the files and options that both are given.
    pub(crate) fn accepts_with(&mut self, what: &str, arguments: &[&str]) {
        let verified = self.run(&[&["verify", "-q"], arguments].concat());
        assert_eq!(verified.code, 0, "{}, {what}: {}", self.label, verified.text);
        let new = self.station.path("new");
        let _ = fs::remove_dir_all(&new);
        let imported = self.run(&[&["import", "-q", "--to", "oci:new"], arguments].concat());
        assert_eq!(imported.code, 0, "{}, {what}: {}", self.label, imported.text);
        assert!(files(&new) == sample().arrived, "{}, {what}: other bytes arrived", self.label);
        self.row(what, &verified);
    }
}

/// Without the moments in it: a second may pass between two runs.
fn timeless(text: &str) -> Vec<&str> {
    let words = text.split_whitespace();
    words.filter(|word| !(word.contains('T') && word.contains(':') && word.contains('Z'))).collect()
}

/// What was there is there unchanged; what came is only whole blobs under their own names.
pub(crate) fn assert_nothing_named(
    before: &BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
    context: &str,
) {
    for (path, bytes) in before {
        assert!(after.get(path) == Some(bytes), "{path} was changed: {context}");
    }
    for (path, bytes) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
        let name = path.strip_prefix("blobs/sha256/").unwrap_or_default();
        assert_eq!(Digest::of(bytes).hex(), name, "{path} was left: {context}");
    }
}

/// Everything below a folder, by its path there.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}
