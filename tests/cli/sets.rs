//! A set of volumes with parity, as whoever carries it sees it: what is said leads on, and what is
//! advised can be pasted.

use std::fs;
use std::path::Path;

use crate::support::command::{Run, Station};
use crate::support::images::{Packing, image_of, layer, noise, oci_archive, write_layout};

/// A sender's machine with a set of volumes in `set`, and a key that nobody there trusts by itself.
struct Desk {
    station: Station,
}

/// What the receiver gives, since the key lies in no trust folder.
const KEY: [&str; 2] = ["--key", "my key.pub"];

impl Desk {
    /// Four volumes of about a megabyte.
    fn new(options: &[&str]) -> Self {
        let station = Station::without_keys();
        station.sealift(["key", "generate", "-o", "own.pem"]).succeeds();
        fs::rename(station.path("own.pub"), station.path("my key.pub")).unwrap();
        let layers: Vec<Vec<u8>> =
            (1..5).map(|seed| layer(&[("file", &noise(seed, 900_000))])).collect();
        let image = image_of(&layers, Packing::Plain, "amd64", "set");
        write_layout(&station.path("images"), &[("h.example/app:1", &image)]);
        fs::create_dir(station.path("set")).unwrap();
        let desk = Self { station };
        desk.export("set/app.sealift", &[&["--volume-size", "1MiB"], options].concat()).succeeds();
        desk
    }

    fn export(&self, bundle: &str, options: &[&str]) -> Run {
        let fixed = ["export", "-q", "oci:images", "-k", "own.pem", "-o", bundle];
        self.station.sealift(fixed.iter().chain(options))
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.station.sealift(arguments)
    }

    fn verify(&self, places: &[&str]) -> Run {
        self.run(&[&["verify", "-q"], places, &KEY].concat())
    }

    /// Runs a command as it is advised, by a shell.
    fn paste(&self, command: &str) -> Run {
        let folder = Path::new(crate::support::command::BINARY).parent().unwrap();
        let mut shell = self.station.command("sh");
        shell.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
        Run::of(shell.args(["-c", command]))
    }

    /// Changes a byte in the middle of a file.
    fn hit(&self, name: &str) {
        let mut bytes = fs::read(self.station.path(name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(self.station.path(name), bytes).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.station.path(name)).unwrap();
    }

    fn rename(&self, old: &str, new: &str) {
        fs::rename(self.station.path(old), self.station.path(new)).unwrap();
    }
}

/// The command at the end of what was said.
fn advised(text: &str) -> &str {
    let at = text.rfind(": sealift ").unwrap_or_else(|| panic!("no command in {text}"));
    text[at + 2..].lines().next().unwrap()
}

#[test]
fn from_damage_to_a_proved_set_by_what_is_advised() {
    let desk = Desk::new(&["--parity", "40%"]);
    desk.hit("set/app.002.sealift");
    let verified = desk.verify(&["set"]).refused(4);
    let imported =
        desk.run(&["import", "-q", "set", "--to", "oci:there", KEY[0], KEY[1]]).refused(4);
    let command = "sealift repair set -o repaired --key 'my key.pub'";
    assert_eq!((advised(&verified), advised(&imported)), (command, command));
    let refused = desk.run(&["repair", "-q", "--check", "set", KEY[0], KEY[1]]).refused(4);
    assert!(refused.contains(&format!("hint: {command}\n")), "{refused}");
    let repaired = desk.paste(command).succeeds();
    let next = advised(&repaired);
    assert_eq!(
        next,
        "sealift verify repaired/app.002.sealift set/app.001.sealift --key 'my key.pub'"
    );
    desk.paste(next).succeeds();
    // All of them in one place need no other.
    let all = desk.run(&["repair", "-q", "set", "-o", "all", "--all", KEY[0], KEY[1]]).succeeds();
    assert_eq!(advised(&all), "sealift verify all --key 'my key.pub'");
    desk.paste(advised(&all)).succeeds();
}

#[test]
fn a_missing_or_foreign_volume_is_to_be_brought_or_made_again() {
    let desk = Desk::new(&["--parity", "1%"]);
    desk.rename("set/app.002.sealift", "away");
    let told = desk.verify(&["set"]).refused(4);
    let again = "the sender makes it again with sealift export --only-volume 2 -o app.sealift";
    assert!(told.contains("bring it to the other volumes") && told.contains(again), "{told}");
    assert!(told.contains("beyond repair") && !told.contains("copy"), "{told}");
    assert!(!told.contains("images that are not hit"), "{told}");
    fs::create_dir(desk.station.path("other")).unwrap();
    desk.export("other/app.sealift", &["--volume-size", "1MiB"]).succeeds();
    desk.rename("other/app.002.sealift", "set/app.002.sealift");
    let told = desk.verify(&["set"]).refused(5);
    assert!(told.contains("two exports were mixed up; or the sender makes it"), "{told}");
    assert!(!told.contains("copy"), "{told}");
    // What the sender is told to run does it: the set lies there, without that volume.
    desk.remove("set/app.002.sealift");
    let made = ["export", "-q", "--only-volume", "2", "oci:images", "-o", "set/app.sealift"];
    desk.run(&[&made[..], &KEY].concat()).succeeds();
    desk.verify(&["set"]).succeeds();
}

#[test]
fn a_set_is_not_called_after_a_renamed_volume() {
    let desk = Desk::new(&[]);
    desk.rename("set/app.001.sealift", "set/copy1.bin");
    desk.rename("set/app.002.sealift", "set/Z");
    desk.remove("set/app.003.sealift");
    let run = desk.verify(&["set"]);
    assert!(run.stdout.contains("volume 3 of 4 of set/app.sealift (set "), "{run:?}");
    assert!(run.refused(4).contains("error: set/app.sealift is not whole"));
    desk.rename("set/app.004.sealift", "set/last");
    desk.remove("set/copy1.bin");
    let run = desk.verify(&["set"]);
    assert!(run.stdout.contains("problem: volume 1 of 4 of the set "), "{run:?}");
    let told = run.refused(4);
    assert!(told.starts_with("error: the set ") && !told.contains("set/"), "{told}");
    desk.remove("set/last");
    let told = desk.verify(&["set"]).refused(4);
    assert!(told.starts_with("error: the last volume of the set "), "{told}");
}

#[test]
fn parity_takes_what_verify_takes() {
    let desk = Desk::new(&["--parity", "10%"]);
    let good = fs::read(desk.station.path("set/app.parity.sealift")).unwrap();
    for places in [
        &["set"][..],
        &["set/app.sealift"],
        &["set/app.003.sealift"],
        &["set/app.002.sealift", "set/app.001.sealift"],
    ] {
        desk.run(&[&["parity", "-q", "--force"], places].concat()).succeeds();
        let made = fs::read(desk.station.path("set/app.parity.sealift")).unwrap();
        assert!(made == good, "{places:?}");
    }
    let told = desk.run(&["parity", "set/app.parity.sealift"]).refused(2);
    assert!(told.contains("is parity"), "{told}");
    desk.export("set/another.sealift", &[]).succeeds();
    let told = desk.run(&["parity", "set"]).refused(2);
    assert!(told.contains("more than one bundle"), "{told}");
    desk.remove("set/app.003.sealift");
    let told = desk.run(&["parity", "--force", "set/app.001.sealift"]).refused(4);
    assert!(told.contains("volume 3 of 4") && told.contains("is not there"), "{told}");
}

#[test]
fn parity_of_an_earlier_bundle_is_told_of() {
    let desk = Desk::new(&["--parity", "10%"]);
    let again = desk.export("set/app.sealift", &["--force"]);
    let told =
        "warning: app.parity.sealift was made for an earlier bundle: remove it, or make it anew: ";
    assert!(again.stderr.contains(told), "{again:?}");
    desk.paste(advised(&again.stderr)).succeeds();
    desk.run(&["repair", "-q", "--check", "set/app.sealift"]).succeeds();
    let json = desk.export("set/app.sealift", &["--force", "--parity", "5%", "--json"]).json();
    assert_eq!(json["staleParity"], serde_json::json!([]));
}

#[test]
fn what_is_no_bundle_is_called_by_its_name() {
    let desk = Desk::new(&["--parity", "10%"]);
    desk.export("one.sealift", &[]).succeeds();
    desk.run(&["inspect", "-q", "one.sealift", "--receipt", "a.receipt", KEY[0], KEY[1]])
        .succeeds();
    let image = image_of(&[layer(&[("a", b"a")])], Packing::Gzip, "amd64", "a");
    fs::write(desk.station.path("oci.tar"), oci_archive(&[("a:1", &image)])).unwrap();
    desk.run(&["import", "-q", "one.sealift", "--to", "docker-archive:docker.tar", KEY[0], KEY[1]])
        .succeeds();
    let docker = fs::read(desk.station.path("docker.tar")).unwrap();
    fs::write(desk.station.path("docker.tgz"), crate::support::images::gzip(&docker)).unwrap();
    for (name, code, what) in [
        ("a.receipt", 2, "is the receipt of a bundle"),
        ("set/app.parity.sealift", 2, "is parity"),
        ("oci.tar", 7, "is an OCI archive"),
        ("docker.tar", 7, "is an archive of docker"),
        ("docker.tgz", 7, "is a compressed file"),
        ("images", 7, "is an OCI layout"),
    ] {
        let import = desk.run(&["import", "-q", name, "--to", "oci:there", KEY[0], KEY[1]]);
        for run in [desk.verify(&[name]), import] {
            let told = run.refused(code);
            assert!(told.contains(what) && told.contains("hint: "), "{name}: {told}");
        }
        if name != "a.receipt" {
            assert!(desk.run(&["inspect", "-q", name]).refused(code).contains(what));
        }
        if code == 7 {
            let told = desk.verify(&[name]).stderr;
            let place = told.split("sealift export ").nth(1).unwrap().split(' ').next().unwrap();
            desk.run(&["export", "-q", "--dry-run", place]).succeeds();
        }
    }
}

#[test]
fn what_is_not_there_is_told_before_anything_else() {
    let station = Station::without_keys();
    for line in [&["verify", "nothere"][..], &["import", "nothere", "--to", "oci:x"]] {
        let told = station.sealift(line).refused(3);
        assert!(told.starts_with("error: cannot open the bundle nothere\n"), "{told}");
    }
    fs::write(station.path("there"), "").unwrap();
    assert!(station.sealift(["verify", "there"]).refused(5).contains("no trusted key"));
}
