//! A damaged bundle with parity beside it, as whoever carries it sees it.

use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

/// A folder with a bundle, its parity and the key of its sender.
struct Stick {
    folder: TempDir,
    bundle: Vec<u8>,
}

/// What a command did.
struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Stick {
    fn new() -> Self {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bundle = std::fs::read(testdata.join("version-1.sealift")).unwrap();
        std::fs::write(folder.path().join("app.sealift"), &bundle).unwrap();
        let trust = folder.path().join(".config/sealift/trust");
        std::fs::create_dir_all(&trust).unwrap();
        std::fs::copy(testdata.join("version-1.pub"), trust.join("vendor.pub")).unwrap();
        Self { folder, bundle }
    }

    fn run(&self, line: &str) -> Answer {
        let home = self.folder.path();
        let output = Command::cargo_bin("sealift")
            .expect("the binary is built")
            .current_dir(home)
            .env_clear()
            .envs(crate::support::coverage::passed_on())
            .env("HOME", home)
            .args(line.split_whitespace())
            .output()
            .expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("messages are UTF-8");
        Answer {
            code: output.status.code().expect("no signal"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    /// Changes bytes of a file.
    fn hit(&self, name: &str, places: &[usize]) {
        let mut bytes = self.read(name);
        for &at in places {
            bytes[at] ^= 1;
        }
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
    }
}

#[test]
fn what_verify_advises_repairs_the_bundle() {
    let stick = Stick::new();
    let made = stick.run("-q parity app.sealift");
    insta::assert_snapshot!(made.stdout, @r"
    parity: 10 % in app.parity.sealift (21.0 KiB): makes up for any 1 of 4 damaged stretches of 16.0 KiB; not for a whole volume
    ");
    assert_eq!((made.code, &*made.stderr), (0, ""));
    assert_eq!(stick.run("-q verify app.sealift").code, 0);
    stick.hit("app.sealift", &[20_000]);
    let verdict = stick.run("-q verify app.sealift");
    assert_eq!(verdict.code, 4, "{}", verdict.stderr);
    insta::assert_snapshot!(verdict.stderr, @r"
    error: app.sealift is not whole: 1 problem, 1 of 1 images hit
      hint: damaged, and can be repaired: 1 of 4 stretches of 16.0 KiB are lost, and the parity in app.parity.sealift makes up for 1: sealift repair app.sealift -o repaired-app.sealift
    ");
    let (_, advice) = verdict.stderr.rsplit_once(": sealift ").expect("a command");
    let repaired = stick.run(&format!("-q {advice}"));
    assert_eq!((repaired.code, &*repaired.stderr), (0, ""));
    insta::assert_snapshot!(repaired.stdout, @r"
    wrote repaired-app.sealift
    repaired: 1 stretch of 16.0 KiB made again, signed by a trusted key, every stored byte proved
    next: sealift verify repaired-app.sealift
    ");
    assert!(stick.read("repaired-app.sealift") == stick.bundle);
    let again = stick.run(&format!("-q {advice}"));
    assert_eq!(again.code, 4, "nothing is written, and whoever named the bad copy is told");
    let whole = "and what that is for is whole: ./repaired-app.sealift";
    assert!(again.stderr.contains(whole), "{}", again.stderr);
}

#[test]
fn a_signature_that_came_later_is_not_repaired_away() {
    let stick = Stick::new();
    stick.run("-q parity app.sealift");
    assert_eq!(stick.run("key generate -o second.pem").code, 0);
    let signed = stick.run("-q sign app.sealift --key second.pem");
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    assert!(signed.stderr.contains("parity does not cover"), "{}", signed.stderr);
    let bundle = stick.read("app.sealift");
    let repaired = stick.run("-q repair app.sealift -o again.sealift");
    assert_eq!(repaired.code, 0, "{}", repaired.stderr);
    assert!(repaired.stdout.contains("nothing was written"), "{}", repaired.stdout);
    // What is wrong with signatures is told before what may be wrong with bytes.
    let refused = stick.run("-q verify app.sealift --key second.pub --threshold 2");
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    let first = "hint: have another one of them sign it";
    assert!(refused.stderr.contains(first), "{}", refused.stderr);
    assert!(stick.read("app.sealift") == bundle);
    assert_eq!(stick.run("-q parity app.sealift --force").code, 0);
    assert!(stick.run("-q repair --check app.sealift").stdout.contains("nothing is damaged"));
}

#[test]
fn check_says_how_bad_it_is() {
    let stick = Stick::new();
    stick.run("parity app.sealift");
    let whole = stick.run("-q repair --check app.sealift");
    insta::assert_snapshot!(whole.stdout, @r"
    VOLUME           SIZE  STRETCHES  LOST  STATE
    app.sealift  51.5 KiB          4     0  whole
    parity: app.parity.sealift: 1 of 1 recovery stretches of 16.0 KiB are whole
    ok: nothing is damaged
    ");
    assert_eq!((whole.code, &*whole.stderr), (0, ""));
    stick.hit("app.sealift", &[100, 20_000]);
    let bad = stick.run("-q repair --check app.sealift");
    assert_eq!(bad.code, 4);
    insta::assert_snapshot!(bad.stderr, @r"
    error: damaged, beyond repair: 2 of 4 stretches of 16.0 KiB are lost, and the parity in app.parity.sealift makes up for 1
      hint: bring another copy of any part, damaged or not, and name it too
    ");
    let answer = stick.run("-q repair app.sealift -o new");
    assert_eq!((answer.code, &*answer.stdout), (4, ""));
    insta::assert_snapshot!(answer.stderr, @r"
    error: more is lost than the parity makes up for: 2 stretches of 16384 bytes, and it is good for 1
      - app.sealift: 2 of 4 stretches are lost
      hint: bring another copy of any part, damaged or not, and name it too: what is whole in either is used
    ");
    assert!(!stick.folder.path().join("new").exists());
    let verdict = stick.run("-q verify app.sealift");
    assert!(verdict.stderr.contains("damaged, beyond repair"), "{}", verdict.stderr);
    let json = stick.run("-q repair --check --json app.sealift");
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["lost"], &json["repairable"]), (&2.into(), &false.into()));
}

#[test]
fn worn_parity_is_a_warning_and_no_parity_is_no_help() {
    let stick = Stick::new();
    let none = stick.run("-q repair app.sealift -o new");
    assert_eq!(none.code, 4);
    insta::assert_snapshot!(none.stderr, @r"
    error: there is no parity at app.sealift
      hint: name the file or folder with the parity of this bundle too; without it, only another copy helps
    ");
    stick.run("parity app.sealift --percent 50");
    let middle = stick.read("app.parity.sealift").len() / 2;
    stick.hit("app.parity.sealift", &[middle]);
    for line in ["verify app.sealift", "repair app.sealift -o new", "repair --check ."] {
        let answer = stick.run(&format!("-q {line}"));
        assert_eq!(answer.code, 0, "{line}: {}", answer.stderr);
        let warning = "warning: the parity is damaged: it still makes up for 1 of 2 stretches; ";
        assert!(answer.stderr.starts_with(warning), "{line}: {}", answer.stderr);
        let again = line.contains("app").then_some(": sealift parity app.sealift --force\n");
        let again = again.unwrap_or(": sealift parity . --force\n");
        assert!(answer.stderr.ends_with(again), "{line}: {}", answer.stderr);
    }
    assert!(!stick.folder.path().join("new").exists());
}
