//! A set on several sticks, with one place to put them: they are asked for one after another, and
//! each can be unmounted when the next is asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::medium::{Medium, names};
use crate::support::command::{BINARY, Run};
use crate::yard::{NAMES, Yard, tags};

const QUESTION: &str = "(q gives up): ";

/// A set on three sticks, of which the first is in.
struct Desk {
    yard: Yard,
    place: PathBuf,
    count: usize,
}

impl Desk {
    fn new() -> Self {
        let yard = Yard::with_layer(3 << 20);
        fs::create_dir(yard.path("set")).unwrap();
        Run::of(yard.export_to("set/app.sealift").args(["--volume-size", "1MiB"])).succeeds();
        let volumes = names(&yard.path("set"));
        let count = volumes.len();
        assert!(count >= 4, "{volumes:?}");
        for (number, name) in (1..).zip(volumes) {
            let stick = match number {
                1 => "one",
                last if last == count => "three",
                _ => "two",
            };
            fs::create_dir_all(yard.path(stick)).unwrap();
            fs::rename(yard.path("set").join(&name), yard.path(stick).join(name)).unwrap();
        }
        let place = yard.path("usb");
        fs::create_dir(&place).unwrap();
        let desk = Self { yard, place, count };
        assert!(sh(&desk.insert("one")), "one is put in");
        desk
    }

    fn insert(&self, stick: &str) -> String {
        let stick = self.yard.path(stick);
        format!("mount --bind '{}' '{}'", stick.display(), self.place.display())
    }

    /// Takes out what is in, which only goes where nothing of it is open, and puts a stick in.
    fn change(&self, stick: &str) -> String {
        format!("umount '{}' && {}", self.place.display(), self.insert(stick))
    }

    fn asked(&self, answers: &[String], arguments: &[&str]) -> Run {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/media/terminal.py");
        let mut command = self.yard.command("python3");
        command.arg(script).arg(QUESTION).args(answers).arg("--").arg(BINARY).args(arguments);
        Run::of(&mut command)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        sh(&format!("umount -l '{}'", self.place.display()));
    }
}

fn sh(command: &str) -> bool {
    Command::new("sh").args(["-c", command]).status().unwrap().success()
}

#[test]
fn sticks_are_changed_while_sealift_waits() {
    let desk = Desk::new();
    let answers = [desk.change("three") + " => ", desk.change("two") + " => "];
    let said = desk.asked(&answers, &["verify", "usb"]).succeeds();
    assert_eq!(said.matches(QUESTION).count(), 2, "{said}");
    for part in [
        "the last volume of usb/app.sealift (set ",
        &format!("volume 2 of {} of usb/app.sealift (set ", desk.count),
        "probably app.002.sealift, is not in usb: insert its medium",
        "keeping a copy of usb/app.001.sealift",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("ok: "), "{said}");

    // The second stick is in now.
    let answers = [desk.change("three") + " => ", desk.change("one") + " => "];
    let arguments = ["import", "usb/app.002.sealift", "--to", "oci:layout"];
    desk.asked(&answers, &arguments).succeeds();
    assert_eq!(tags(&desk.yard.path("layout")), NAMES);
    assert!(names(&desk.yard.temporary()).is_empty());

    // It may be in another place.
    let answers = [format!("true => {}", desk.yard.path("three").display()), "true => two".into()];
    desk.asked(&answers, &["verify", "--quick", "usb"]).succeeds();
}

#[test]
fn nobody_is_asked_who_is_not_there_or_does_not_want_it() {
    let desk = Desk::new();
    let said = desk.yard.sealift(["verify", "usb"]).refused(4);
    assert!(said.starts_with("error: the last volume of usb/app.sealift"), "{said}");
    for arguments in [&["verify", "-q", "usb"][..], &["verify", "--json", "usb"]] {
        let run = desk.asked(&[], arguments);
        assert_eq!((run.code, run.stdout.contains(QUESTION)), (Some(4), false), "{run:?}");
    }
    let run = desk.asked(&["true => q".to_owned()], &["verify", "usb"]);
    assert_eq!(run.code, Some(4), "{run:?}");
    // Whoever gives up later learns what is whole without it.
    let answers = [desk.change("three") + " => ", "true => q".to_owned()];
    let run = desk.asked(&answers, &["verify", "usb"]);
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.stdout.contains("is not there"), "{run:?}");
}

#[test]
fn copies_that_find_no_room_are_refused_before_they_are_begun() {
    let desk = Desk::new();
    let small = Medium::tmpfs(100 << 10);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/media/terminal.py");
    let mut command = desk.yard.command("python3");
    command.env("TMPDIR", small.path()).arg(script).args([QUESTION, "--", BINARY, "verify", "usb"]);
    let run = Run::of(&mut command);
    assert_eq!(run.code, Some(3), "{run:?}");
    let text = "there is no room for what is kept of volumes while media are changed in ";
    assert!(run.stdout.contains(text) && run.stdout.contains("TMPDIR"), "{run:?}");
}
