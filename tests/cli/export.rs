//! Export as somebody meets it who has not read the guide: what is wrong is said before anything is
//! fetched and all at once, and what was made says what it is good for.

use std::fs;

use insta::assert_snapshot;

use crate::support::command::{Run, Station};
use crate::support::images::{Packing, image_of, layer, noise, write_layout};

/// A machine with two layouts: `old` with two images, `new` with a third that shares a layer with
/// them. They are named after a registry that nobody runs.
struct Sender {
    station: Station,
}

impl Sender {
    fn new() -> Self {
        let station = Station::new();
        let base = layer(&[("lib", &noise(1, 200 << 10))]);
        let image = |seed| {
            let own = layer(&[("app", &noise(seed, 20 << 10))]);
            image_of(&[base.clone(), own], Packing::Plain, "amd64", "test")
        };
        let (one, two, tool) = (image(2), image(3), image(4));
        let one = ("127.0.0.1:1/team/app:1", &one);
        let two = ("127.0.0.1:1/team/app:2", &two);
        let tool = ("127.0.0.1:1/team/tool:1", &tool);
        write_layout(&station.path("old"), &[one, tool]);
        write_layout(&station.path("new"), &[one, two, tool]);
        Self { station }
    }

    /// Runs sealift with the words of a line.
    fn run(&self, line: &str) -> Run {
        Run::of(self.station.program().env("SOURCE_DATE_EPOCH", "1700000000").args(line.split(' ')))
    }

    /// What is said of a line that is refused; digests are left out.
    fn refused(&self, line: &str, code: i32) -> String {
        let run = self.run(line);
        assert_eq!(run.stdout, "", "{line}");
        run.refused(code).replace(self.station.home().to_str().unwrap(), "HOME")
    }

    /// The last lines of what a line prints.
    fn last(&self, line: &str, lines: usize) -> String {
        let text = self.run(line).succeeds();
        let all: Vec<&str> = text.lines().collect();
        without_digests(&all[all.len() - lines..].join("\n"))
    }
}

fn without_digests(text: &str) -> String {
    let mut parts = text.split("sha256:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + "DIGEST" + &part[64..])
}

/// The source is not even looked for: it is not there.
#[test]
fn a_folder_is_no_name_for_a_bundle() {
    let sender = Sender::new();
    fs::create_dir(sender.station.path("out")).unwrap();
    assert_snapshot!(sender.refused("export h.example/team/app:1 -o out/", 2), @r"
    error: out/ is a folder: the name of a file is wanted
      hint: name the file in it, as in out/app.sealift
    ");
    assert_snapshot!(sender.refused("export oci:nowhere -o out --force", 2), @r"
    error: out is a folder: the name of a file is wanted
      hint: name the file in it, as in out/nowhere.sealift
    ");
    assert_snapshot!(sender.refused("export oci:nowhere -o missing/ --encrypt-passphrase", 2), @r"
    error: missing/ would be a folder, and is not there: the name of a file is wanted
      hint: name the file in it, as in missing/nowhere.sealift
    ");
    assert_snapshot!(sender.refused("export oci:nowhere -o missing/app.sealift", 3), @r"
    error: cannot write missing/app.sealift: its folder is not there
      hint: make missing first, or choose another place
    ");
    assert_snapshot!(sender.refused("export --only-volume 1 -o out", 2), @r"
    error: out is a folder: the name of a file is wanted
      hint: name the file in it, as in out/app.sealift
    ");
    sender.run("export -q oci:old -o b.sealift").succeeds();
    assert_snapshot!(sender.refused("sign -q b.sealift -o out", 2), @r"
    error: out is a folder: the name of a file is wanted
      hint: name the file in it, as in out/app.sealift
    ");
    assert_snapshot!(sender.refused("inspect b.sealift --receipt out", 3), @r"
    error: cannot write out
      caused by: out is a folder
      hint: name the file that is to be written in it
    ");
    assert_eq!(fs::read_dir(sender.station.path("out")).unwrap().count(), 0);
    assert!(!sender.station.path("missing").exists());
}

#[test]
fn all_mistakes_are_told_at_once() {
    let sender = Sender::new();
    fs::write(sender.station.path("b"), "mine").unwrap();
    let line = "export https://x h.example/a UPPER -o b --volume-size 3 --expires soon --key k";
    assert_snapshot!(sender.refused(line, 2), @r#"
    error: 5 things are wrong, and nothing was done
      - sealift does not speak "https" in "https://x"
        hint: places are written REGISTRY/NAME, docker-daemon:NAME, oci:DIR, oci-archive:FILE or docker-archive:FILE
      - not an image reference: "UPPER"
        hint: write it as [registry/]repository[:tag][@digest], for example registry.example/app:1.2
      - a volume of 3 bytes is too small: 1 MiB is the least
        hint: write it as in 700MB, 4GiB or 4700000000, or use one of the names fat32 and dvd
      - not a time to expire at: "soon"
        hint: write it as in 12h, 30d, 8w or 2027-01-31
      - b is already there
        hint: choose another name, or add --force to replace it
    "#);
    assert_eq!(fs::read(sender.station.path("b")).unwrap(), b"mine");
}

#[test]
fn a_volume_replaces_no_bundle_unasked() {
    let sender = Sender::new();
    sender.run("export -q oci:old -o b.sealift").succeeds();
    let path = sender.station.path("b.sealift");
    let bytes = fs::read(&path).unwrap();
    let again = "export -q oci:old -o b.sealift --only-volume 1";
    assert_snapshot!(sender.refused(again, 2), @r"
    error: b.sealift is already there
      hint: add --force to replace it
    ");
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    sender.run(&format!("{again} --force")).succeeds();
    assert!(fs::read(&path).unwrap() == bytes);
    assert_ne!(fs::metadata(&path).unwrap().modified().unwrap(), written, "it was made again");
}

#[test]
fn where_the_images_are_no_more_somebody_says_what_to_name() {
    let sender = Sender::new();
    sender.run("export -q oci:old -o b.sealift --volume-size 1MiB").succeeds();
    sender.run("inspect -q b.sealift --receipt b.receipt").succeeds();
    fs::remove_file(sender.station.path("b.sealift")).unwrap();
    let line = "export -q -o b.sealift --only-volume 1 --tail b.receipt --retries 0";
    assert_snapshot!(sender.refused(line, 8), @r"
    error: cannot reach registry 127.0.0.1:1: Connection refused (os error 111)
      hint: check host and port, and that the registry at 127.0.0.1:1 runs; if the images are somewhere else now, name each as a SOURCE, as at the export
    ");
    sender.run(&format!("{line} oci:old")).succeeds();
    sender.run("verify -q b.sealift").succeeds();
}

#[test]
fn a_delta_says_what_it_needs() {
    let sender = Sender::new();
    let whole = sender.run("export -q oci:old -o old.sealift --json").json();
    assert_eq!(whole["delta"], serde_json::Value::Null);
    // A dry run needs no secret key, and writes nothing.
    let secret = sender.station.path(".config/sealift/signing.pem");
    let aside = sender.station.path("aside");
    fs::rename(&secret, &aside).unwrap();
    let dry = "export -q oci:new -b old.sealift -n";
    assert_snapshot!(sender.last(dry, 2), @r"
    would carry 4 blobs, 22.6 KiB; nothing was written
    delta: 3 blobs (244.5 KiB) would be left out, which old.sealift holds; of the others, what is the same in them
    ");
    assert_eq!(sender.run(&format!("{dry} --json")).json()["leftOut"]["blobs"], 3);
    fs::rename(&aside, &secret).unwrap();

    assert_snapshot!(sender.last("export -q oci:new -b old.sealift -o delta.sealift", 1), @"delta: needs old.sealift (DIGEST) at the destination, or named at the import with --base; it leaves out 3 blobs (244.5 KiB)");
    let told =
        sender.run("export -q oci:new -b old.sealift -o delta.sealift --force --json").json();
    assert_eq!(told["delta"]["base"], whole["digest"]);
    assert_eq!((&told["delta"]["blobs"], &told["delta"]["content"]), (&3.into(), &0.into()));
    // And so it is.
    sender.run("import -q delta.sealift --to oci:there").refused(4);
    sender.run("import -q delta.sealift --to oci:there --base old.sealift").succeeds();
}

#[test]
fn a_name_without_tag_brings_all_tags() {
    let sender = Sender::new();
    sender.run("export -q oci:new -o b.sealift").succeeds();
    let names = |line: &str| {
        let told = sender.run(&format!("map -q b.sealift --to h.example --json {line}")).json();
        let images = told["images"].as_array().unwrap().clone();
        images.iter().map(|image| image["image"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let both = ["127.0.0.1:1/team/app:1", "127.0.0.1:1/team/app:2"];
    assert_eq!(names("--image 127.0.0.1:1/team/app"), both);
    assert_eq!(names("--image 127.0.0.1:1/team/app:2"), both[1..]);
    sender.run("import -q b.sealift --to oci:there -i 127.0.0.1:1/team/app").succeeds();
    let index = fs::read_to_string(sender.station.path("there/index.json")).unwrap();
    assert!(both.iter().all(|name| index.contains(name)) && !index.contains("tool"), "{index}");
    assert_snapshot!(sender.refused("import -q b.sealift --to oci:x -i 127.0.0.1:1/team/ap", 2), @r#"
    error: the bundle holds no image "127.0.0.1:1/team/ap"
      hint: it holds 127.0.0.1:1/team/app:1, 127.0.0.1:1/team/app:2, 127.0.0.1:1/team/tool:1
    "#);
}

/// Off a terminal: nobody is told that all is done while it is packed.
#[test]
fn a_log_says_what_was_done() {
    let sender = Sender::new();
    let run = sender.run("export oci:old -o b.sealift");
    let (said, _) = run.stderr.split_once(" in ").unwrap();
    assert_snapshot!(said, @"sealift: export: fetching and packing: 245.2 KiB");
    run.succeeds();
}
