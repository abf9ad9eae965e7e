//! What is filed: reports, their signatures, and the log.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::refusals::{home, sealift};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/version-1.sealift");
const SENDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/version-1.pub");

/// Somebody who got a bundle, `b.sealift`, and the sender's key, `sender.pub`.
struct Desk {
    home: TempDir,
}

/// What a run came to: exit code, stdout, stderr.
type Outcome = (i32, String, String);

impl Desk {
    fn new() -> Self {
        let home = home();
        fs::copy(GOLDEN, home.path().join("b.sealift")).unwrap();
        fs::copy(SENDER, home.path().join("sender.pub")).unwrap();
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = sealift(self.home.path());
        let output = command.args(arguments).env("SOURCE_DATE_EPOCH", "1800000000").output();
        let output = output.expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("messages are UTF-8");
        (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
    }

    /// Verifies the bundle against the sender's key.
    fn verify(&self, arguments: &[&str]) -> Outcome {
        self.run(&[&["verify", "-q", "b.sealift", "--key", "sender.pub"], arguments].concat())
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// Changes one byte of the bundle.
    fn damage(&self, at: usize) {
        let mut bytes = fs::read(self.path("b.sealift")).unwrap();
        bytes[at] ^= 1;
        fs::write(self.path("b.sealift"), bytes).unwrap();
    }

    fn log(&self) -> PathBuf {
        self.path(".local/state/sealift/log.jsonl")
    }

    fn openssl(&self, key: &str, file: &str) -> bool {
        let signature = format!("{file}.sig");
        Command::new("openssl")
            .current_dir(self.home.path())
            .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", key, "-in", file])
            .args(["-sigfile", &signature])
            .output()
            .expect("openssl is there")
            .status
            .success()
    }
}

/// Keeps what differs from machine to machine out of snapshots.
fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"by sealift \S+( on [^<]*)?</p>", "by sealift VERSION on MACHINE</p>"),
        (r"sealift \d+\.\d+\.\d+[^ <\x22]*", "sealift VERSION"),
        ("\"machine\": \"[^\"]*\"", "\"machine\": \"MACHINE\""),
    ]
}

#[test]
fn a_good_bundle() {
    let desk = Desk::new();
    let (code, _, stderr) = desk.verify(&["--report", "r.json", "--report", "r.html"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(desk.text("r.json").starts_with("{\n  \"type\": \"sealift report 1\",\n"));
    insta::with_settings!({filters => filters()}, {
        insta::assert_snapshot!(desk.text("r.json"));
        insta::assert_snapshot!(desk.text("r.html"));
    });
    let digest = Command::new("sha256sum").arg(desk.path("b.sealift")).output().unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    let file = &desk.json("r.json")["files"][0];
    assert_eq!(file["sha256"], digest.split(' ').next().unwrap());
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let desk = Desk::new();
    desk.verify(&["--report", "r.html"]);
    let page = desk.text("r.html");
    assert!(page.starts_with("<!DOCTYPE html>\n"), "{page}");
    for word in ["<script", "javascript:", "http:", "https:", "src=", "href=", "style=", "@import"]
    {
        assert!(!page.contains(word), "{word}");
    }
    // The policy in the page lets its own style pass.
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    fs::write(desk.path("style"), style).unwrap();
    let hash = "openssl dgst -sha256 -binary style | openssl base64";
    let hash = Command::new("sh").current_dir(desk.home.path()).args(["-c", hash]).output();
    let hash = String::from_utf8(hash.unwrap().stdout).unwrap();
    assert!(page.contains(&format!("style-src 'sha256-{}'", hash.trim())), "{hash}");
}

#[test]
fn a_damaged_bundle() {
    let desk = Desk::new();
    desk.damage(5000);
    let (code, _, stderr) = desk.verify(&["--report", "r.json", "--report", "r.html"]);
    assert_eq!(code, 4);
    let report = desk.json("r.json");
    let verdict = &report["verdict"];
    assert_eq!((&verdict["ok"], &verdict["exitCode"]), (&false.into(), &4.into()));
    assert_eq!(verdict["result"], "damaged");
    assert!(stderr.contains(verdict["sentence"].as_str().unwrap()), "{stderr}");
    let [finding] = &report["findings"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!((&finding["volume"], &finding["offset"]), (&1.into(), &3584.into()));
    assert_eq!(finding["images"][0], "registry.example/golden:1");
    assert_eq!(report["images"][0]["state"], "damaged");
    let page = desk.text("r.html");
    assert!(page.contains("NOT VERIFIED: DAMAGED") && !page.contains("> VERIFIED"), "{page}");
}

#[test]
fn of_two_copies_the_one_that_is_whole_is_vouched_for() {
    let desk = Desk::new();
    fs::create_dir(desk.path("two")).unwrap();
    let write = |name: &str, flip: Option<usize>| {
        let mut bytes = fs::read(GOLDEN).unwrap();
        if let Some(at) = flip {
            bytes[at] ^= 1;
        }
        fs::write(desk.path(name), bytes).unwrap();
    };
    let verify =
        |more: &[&str]| desk.run(&[&["verify", "two", "--key", "sender.pub"], more].concat());
    // A pack of the first is bad, and the second is whole.
    write("two/a.sealift", Some(5000));
    write("two/b.sealift", None);
    let (code, stdout, _) = verify(&["--report", "r.json"]);
    assert_eq!(code, 0, "{stdout}");
    let note =
        "note: two/a.sealift claims to be volume 1 too and is not used, since it is damaged: ";
    assert!(stdout.contains(note), "{stdout}");
    let report = desk.json("r.json");
    let files = report["files"].as_array().unwrap();
    let digest = sealift::model::Digest::of(&fs::read(GOLDEN).unwrap()).hex();
    assert_eq!((files.len(), &files[0]["path"]), (1, &"two/b.sealift".into()));
    assert_eq!(files[0]["sha256"], digest);
    let sentence = report["verdict"]["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("two/b.sealift is whole: "), "{sentence}");
    let gaps = report["notChecked"].as_array().unwrap();
    let copy = gaps.iter().find(|gap| gap["what"] == "copies").unwrap();
    assert!(copy["why"].as_str().unwrap().starts_with("two/a.sealift "), "{copy}");
    let json: Value = serde_json::from_str(&verify(&["--json"]).1).unwrap();
    assert_eq!(json["bundle"], "two/b.sealift");
    assert_eq!(json["unused"][0]["file"], "two/a.sealift");
    // In the second the README is bad: of what is needed, each is right in one, and no file is.
    write("two/b.sealift", Some(600));
    for more in [&[][..], &["--quick"]] {
        let (code, stdout, _) = verify(more);
        assert_eq!(code, 4, "{stdout}");
        assert!(stdout.contains("of 2 files that claim to be volume 1, none is whole"), "{stdout}");
    }
}

#[test]
fn what_nobody_vouches_for_is_not_repeated() {
    let desk = Desk::new();
    desk.run(&["key", "generate", "-o", "own.pem"]);
    let untrusted = ["verify", "-q", "b.sealift", "--key", "own.pub", "--report"];
    let name = "registry.example/golden";
    let set = "ec3fd2c1e463779538f829016c3f3c19";
    assert!(desk.run(&[&untrusted[..], &["r.json"]].concat()).0 == 5);
    assert!(desk.run(&[&untrusted[..], &["r.html"]].concat()).0 == 5);
    // Also where there is no key at all, and where the manifest was changed.
    assert_eq!(desk.run(&["verify", "-q", "b.sealift", "--report", "none.json"]).0, 5);
    let manifest = fs::read(GOLDEN).unwrap();
    let at = manifest.windows(name.len()).position(|part| part == name.as_bytes()).unwrap();
    desk.damage(at);
    assert_eq!(desk.verify(&["--report", "changed.json"]).0, 5);
    for file in ["r.json", "r.html", "none.json", "changed.json"] {
        let text = desk.text(file);
        assert!(!text.contains(name) && !text.contains(set), "{file}: {text}");
        assert!(text.contains("nothing that it says is repeated here"), "{file}: {text}");
    }
    let (report, changed) = (desk.json("r.json"), desk.json("changed.json"));
    assert_eq!(report["signatures"][0]["verdict"], "key not trusted here");
    assert_eq!(changed["signatures"][0]["verdict"], "does not fit");
    assert_eq!(report["verdict"]["result"], "untrusted");
    assert!(report["digest"].is_string() && report.get("bundle").is_none(), "{report}");
}

#[test]
fn a_bundle_that_ends_early_and_one_that_is_not_there() {
    let desk = Desk::new();
    let bytes = fs::read(GOLDEN).unwrap();
    fs::write(desk.path("b.sealift"), &bytes[..30_000]).unwrap();
    assert_eq!(desk.verify(&["--report", "r.json"]).0, 4);
    let report = desk.json("r.json");
    assert_eq!(report["files"][0]["bytes"], 30_000);
    assert!(report.get("digest").is_none(), "{report}");
    fs::remove_file(desk.path("b.sealift")).unwrap();
    assert_eq!(desk.verify(&["--report", "gone.json"]).0, 3);
    assert!(desk.json("gone.json")["files"][0]["problem"].is_string());
}

#[test]
fn hostile_names_are_text() {
    let desk = Desk::new();
    let hostile = "<script>alert(1)<!--\u{202e}\u{1b}[31m&\"'.pub";
    fs::copy(SENDER, desk.path(hostile)).unwrap();
    let line = ["verify", "-q", "b.sealift", "--key", hostile, "--report"];
    assert_eq!(desk.run(&[&line[..], &["r.html"]].concat()).0, 0);
    assert_eq!(desk.run(&[&line[..], &["r.json"]].concat()).0, 0);
    let page = desk.text("r.html");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;!--\\u{202e}\\u{1b}[31m&amp;&quot;&#39;.pub"));
    assert!(!page.contains("<script") && !page.contains("<!--"), "{page}");
    for text in [page, desk.text("r.json"), fs::read_to_string(desk.log()).unwrap()] {
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
    }
    assert_eq!(desk.json("r.json")["trust"]["keys"][0]["file"], hostile);
}

#[test]
fn openssl_checks_the_signature_of_a_report() {
    let desk = Desk::new();
    desk.run(&["key", "generate", "-o", "own.pem"]);
    let reports = ["--report", "r.json", "--report", "r.html", "--sign-report", "own.pem"];
    assert_eq!(desk.verify(&reports).0, 0);
    for file in ["r.json", "r.html"] {
        assert!(desk.openssl("own.pub", file), "{file}");
        assert!(!desk.openssl("sender.pub", file), "{file}");
        fs::write(desk.path(file), desk.text(file).replace("whole", "whale")).unwrap();
        assert!(!desk.openssl("own.pub", file), "{file}");
    }
    // A bad bundle's report is signed as well.
    desk.damage(5000);
    assert_eq!(desk.verify(&["--report", "bad.json", "--sign-report", "own.pem"]).0, 4);
    assert!(desk.openssl("own.pub", "bad.json"));
}

#[test]
fn what_cannot_be_written_is_found_before_the_work() {
    let desk = Desk::new();
    let (code, _, stderr) = desk.verify(&["--report", "nowhere/r.json"]);
    assert_eq!(code, 3);
    assert!(stderr.starts_with("error: cannot write nowhere/r.json\n"), "{stderr}");
    let (code, _, stderr) = desk.verify(&["--report", "r.pdf"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @r"
    error: what kind of report is r.pdf to be?
      hint: let its name end with .json or .html
    ");
    fs::write(desk.path("r.html.sig"), "mine").unwrap();
    desk.run(&["key", "generate", "-o", "own.pem"]);
    let (code, _, stderr) = desk.verify(&["--report", "r.html", "--sign-report", "own.pem"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @r"
    error: r.html.sig is already there
      hint: evidence is never replaced: choose another name, or move the old one away
    ");
    assert!(!desk.path("r.html").exists());
    assert_eq!(desk.verify(&["--sign-report", "own.pem"]).0, 2);
    // Nothing of it was work on a bundle.
    assert!(!desk.log().exists());
}

#[test]
fn every_outcome_is_a_line_of_the_log() {
    let desk = Desk::new();
    assert_eq!(desk.verify(&["--report", "r.json"]).0, 0);
    let import = ["import", "-q", "b.sealift", "--key", "sender.pub", "--to", "oci:out"];
    assert_eq!(desk.run(&[&import[..], &["--dry-run"]].concat()).0, 0);
    assert_eq!(desk.run(&import).0, 0);
    assert_eq!(desk.run(&["verify", "-q", "b.sealift"]).0, 5);
    desk.damage(5000);
    assert_eq!(desk.verify(&["--quick"]).0, 4);
    assert_eq!(desk.verify(&["--no-state"]).0, 4);
    let (code, stdout, _) = desk.run(&["log", "--json"]);
    assert_eq!(code, 0);
    let log: Value = serde_json::from_str(&stdout).unwrap();
    let told: Vec<String> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|line| format!("{} {} {}", line["command"], line["result"], line["exitCode"]))
        .collect();
    assert_eq!(
        told,
        [
            r#""verify" "whole" 0"#,
            r#""import" "imported" 0"#,
            r#""verify" "untrusted" 5"#,
            r#""verify" "damaged" 4"#
        ]
    );
    assert_eq!(log[1]["destination"], "oci:out");
    assert_eq!(log[0]["filed"][0]["file"], desk.path("r.json").to_str().unwrap());
    let digest = Command::new("sha256sum").arg(desk.path("r.json")).output().unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    assert!(digest.starts_with(log[0]["filed"][0]["sha256"].as_str().unwrap()), "{digest}");
    // The log goes by the clock, whatever SOURCE_DATE_EPOCH says; a report does not.
    assert_eq!(desk.json("r.json")["check"]["when"], "2027-01-15T08:00:00Z");
    assert_ne!(log[0]["when"], "2027-01-15T08:00:00Z");
    let (code, table, _) = desk.run(&["log"]);
    assert_eq!((code, table.lines().count()), (0, 5), "{table}");
}

#[test]
fn a_log_that_was_changed_is_found_out() {
    let desk = Desk::new();
    for _ in 0..3 {
        desk.verify(&[]);
    }
    let (code, stdout, _) = desk.run(&["log", "--check"]);
    assert_eq!(code, 0, "{stdout}");
    let last = stdout.trim().rsplit(' ').next().unwrap().to_owned();
    let tail = format!("tail -n 1 {} | sha256sum", desk.log().display());
    let tail = Command::new("sh").args(["-c", &tail]).output().unwrap().stdout;
    assert!(String::from_utf8(tail).unwrap().starts_with(last.strip_prefix("sha256:").unwrap()));
    assert_eq!(desk.run(&["log", "--check", "--expect", &last]).0, 0);

    let text = fs::read_to_string(desk.log()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let forged = lines[1].replace("\"exitCode\":0", "\"exitCode\":4");
    for (content, line) in [
        ([lines[0], &forged, lines[2]].concat(), 2),
        ([lines[0], lines[2]].concat(), 2),
        ([lines[1], lines[2]].concat(), 1),
        ([lines[1], lines[0], lines[2]].concat(), 1),
    ] {
        fs::write(desk.log(), content).unwrap();
        let (code, _, stderr) = desk.run(&["log", "--check"]);
        assert_eq!(code, 4);
        assert!(stderr.contains(&format!("\n  - line {line}: ")), "{stderr}");
    }
    // Taken off the end: only who has noted the last digest can tell.
    fs::write(desk.log(), [lines[0], lines[1]].concat()).unwrap();
    assert_eq!(desk.run(&["log", "--check"]).0, 0);
    assert_eq!(desk.run(&["log", "--check", "--expect", &last]).0, 4);
    // Torn by a power cut: told, and no reason to stop.
    fs::write(desk.log(), &text[..text.len() - 40]).unwrap();
    let (code, _, stderr) = desk.run(&["log", "--check"]);
    assert_eq!(code, 0);
    assert!(stderr.contains("line 3") && stderr.contains("never finished"), "{stderr}");
    assert_eq!(desk.verify(&[]).0, 0);
    assert_eq!(desk.run(&["log", "--check"]).0, 0);
}

#[test]
fn a_log_that_cannot_be_written_stops_the_work_before_it_begins() {
    let desk = Desk::new();
    fs::write(desk.path(".local"), "").unwrap();
    let (code, stdout, stderr) = desk.verify(&["--report", "r.json"]);
    assert_eq!((code, &*stdout), (3, ""));
    assert!(stderr.contains("what is done cannot be logged"), "{stderr}");
    assert!(stderr.contains("--no-state") && !desk.path("r.json").exists(), "{stderr}");
    assert_eq!(desk.verify(&["--no-state"]).0, 0);
    assert_eq!(desk.verify(&["--state", "here"]).0, 0);
    assert!(desk.path("here/log.jsonl").exists());
    assert_eq!(desk.run(&["log", "--check", "--state", "here"]).0, 0);
}

#[test]
fn several_at_once_make_one_chain() {
    let desk = Desk::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(desk.verify(&["--quick"]).0, 0));
        }
    });
    let (code, stdout, stderr) = desk.run(&["log", "--check"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("ok: 8 lines, "), "{stdout}");
}
