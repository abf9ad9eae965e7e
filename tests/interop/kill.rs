//! kill -9 at any moment of an export and of an import: nothing half-done has a name, and the next
//! run completes what the killed one began.
//!
//! The moments are random and spread over the time that an undisturbed run takes. `SEALIFT_KILLS`
//! says how many there are, `SEALIFT_SEED` which; both are printed.

#![expect(clippy::print_stdout, reason = "which moments they were, for who has to find them again")]

use std::cell::RefCell;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sealift::model::Digest;

use crate::round_trip::changes;
use crate::support::command::{Run, Station};
use crate::support::dockerd::Dockerd;
use crate::support::gallery::Gallery;
use crate::support::images::{self, Packing};
use crate::support::registry::Registry;
use crate::support::strike::{SENDS, Strikes};
use crate::support::{crowd, judge};

/// Kills of each command in an ordinary run.
const KILLS: u32 = 6;

/// Random moments.
struct Moments {
    state: u64,
    whole: Duration,
}

impl Moments {
    /// Moments of what `once` does; a run in which the machine was busy with other things does not
    /// count.
    fn of(what: &str, mut once: impl FnMut()) -> (Self, u32) {
        let whole = (0..2).map(|_| {
            let began = Instant::now();
            once();
            began.elapsed()
        });
        let whole = whole.min().unwrap();
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
        let kills = number("SEALIFT_KILLS").map_or(KILLS, |kills: u64| kills as u32);
        let clock = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = number("SEALIFT_SEED").unwrap_or(clock);
        println!("{what}: {whole:?} undisturbed, {kills} kills, SEALIFT_SEED={seed}");
        (Self { state: seed, whole }, kills)
    }

    /// A moment within part `at` of `of`.
    fn next(&mut self, at: u32, of: u32) -> Duration {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let fraction = (self.state >> 40) as f64 / f64::from(1 << 24);
        self.whole.mul_f64((f64::from(at) + fraction) / f64::from(of))
    }
}

/// Runs a command and kills it after a while; true where it had ended by itself.
fn kill_after(command: &mut Command, moment: Duration) -> bool {
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
    std::thread::sleep(moment);
    child.kill().unwrap();
    child.wait().unwrap().success()
}

#[test]
fn a_killed_export_leaves_no_bundle_or_a_whole_one_and_the_next_completes_it() {
    let from = Registry::start();
    let _gallery = Gallery::hang(&from);
    let station = Station::new();
    fs::create_dir(station.path("out")).unwrap();
    let export = |bundle: &str, resume: bool| {
        let mut command = station.program();
        command.env("SOURCE_DATE_EPOCH", "1700000000").args(["export", "-q", "-o", bundle]);
        command.args(resume.then_some("--resume")).args(Gallery::references(&from));
        command
    };
    let left = |folder| -> Vec<String> {
        let entries = fs::read_dir(station.path(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let (mut moments, kills) = Moments::of("export", || {
        let _ = fs::remove_file(station.path("whole.sealift"));
        Run::of(&mut export("whole.sealift", false)).succeeds();
    });
    let whole = fs::read(station.path("whole.sealift")).unwrap();
    let bundle = station.path("out/b.sealift");
    for at in 0..kills {
        // Some are killed while they go on from one that was killed.
        for resume in [false, true].into_iter().take(1 + at as usize % 2) {
            let moment = moments.next(at, kills);
            let ended = kill_after(&mut export("out/b.sealift", resume), moment);
            println!("export killed after {moment:?}, ended {ended}, resume {resume}");
            if bundle.exists() {
                assert!(fs::read(&bundle).unwrap() == whole, "half a bundle has a name");
                station.sealift(["verify", "-q", "out/b.sealift"]).succeeds();
                fs::remove_file(&bundle).unwrap();
            } else {
                assert!(!ended);
            }
            let (out, tmp) = (left("out"), left("tmp"));
            assert!(out.iter().all(|name| name == ".b.sealift.partial"), "{out:?}");
            assert!(tmp.is_empty(), "temporary files have names: {tmp:?}");
        }
        let next = Run::of(&mut export("out/b.sealift", at % 3 != 0));
        next.succeeds();
        assert!(fs::read(&bundle).unwrap() == whole, "the next run makes another bundle");
        assert_eq!(left("out"), ["b.sealift"]);
        fs::remove_file(&bundle).unwrap();
    }
}

/// A bundle of the gallery, on its way into registries.
struct ToRegistries {
    from: Registry,
    _gallery: Gallery,
    station: Station,
    /// What a registry holds afterwards, below `m/`.
    expected: Vec<(String, Digest)>,
}

impl ToRegistries {
    fn new() -> Self {
        let from = Registry::start();
        let gallery = Gallery::hang(&from);
        let station = Station::new();
        station.export("all.sealift", Gallery::references(&from));
        let expected = crowd::whole(&from).into_iter().collect();
        Self { from, _gallery: gallery, station, expected }
    }

    fn give(command: &mut Command, to: &Registry) {
        command.args(["import", "-q", "all.sealift", "--to", &format!("{}/m", to.host())]);
    }

    fn import(&self, to: &Registry) -> Command {
        let mut command = self.station.program();
        Self::give(&mut command, to);
        command
    }

    /// After an import that was killed: what has a tag is whole, the next completes it, and the one
    /// after that has nothing to do. Gives how many tags were there.
    fn judge(&self, to: &Registry, step: &str) -> usize {
        let found = crowd::whole(to);
        for (name, digest) in &found {
            let own = name.strip_prefix("m/").unwrap().to_owned();
            assert!(self.expected.contains(&(own, *digest)), "{step}: {name} is something else");
        }
        assert_eq!(fs::read_dir(self.station.temporary()).unwrap().count(), 0, "{step}");

        Run::of(&mut self.import(to)).succeeds();
        let there: Vec<_> = crowd::whole(to)
            .into_iter()
            .map(|(name, digest)| (name.replacen("m/", "", 1), digest))
            .collect();
        assert_eq!(there, self.expected, "{step}: the next run completes it");
        let before = to.accesses().len();
        Run::of(&mut self.import(to)).succeeds();
        let third = to.accesses_since(before);
        assert_eq!(changes(&third), Vec::<&_>::new(), "{step}: a third sends nothing");
        found.len()
    }
}

#[test]
fn a_killed_import_leaves_no_half_image_under_a_tag_and_the_next_completes_it() {
    let way = ToRegistries::new();
    let undisturbed = [Registry::start(), Registry::start()];
    let mut next = undisturbed.iter();
    let (mut moments, kills) =
        Moments::of("import", || drop(Run::of(&mut way.import(next.next().unwrap())).succeeds()));
    judge::same(&way.from, &undisturbed[0], "m/");
    drop(undisturbed);
    for at in 0..kills {
        let to = Registry::start();
        let moment = moments.next(at, kills);
        let ended = kill_after(&mut way.import(&to), moment);
        let there = way.judge(&to, &format!("killed after {moment:?}"));
        println!("import killed after {moment:?}, ended {ended}, {there} tags there");
    }
}

#[test]
fn an_import_into_a_registry_that_is_killed_before_it_sends() {
    let way = ToRegistries::new();
    let to = RefCell::new(Registry::start());
    let given = |command: &mut Command| ToRegistries::give(command, &to.borrow());
    let what = "import into a registry";
    Strikes { what, station: &way.station, given: &given, calls: &SENDS, sparsely: 4 }
        .at_every_step(|step| {
            way.judge(&to.borrow(), step);
            drop(to.replace(Registry::start()));
        });
}

/// A bundle of three small images, on its way into a daemon.
struct ToDaemon {
    daemon: Dockerd,
    station: Station,
    /// What the daemon holds afterwards.
    expected: Vec<String>,
}

impl ToDaemon {
    fn new() -> Self {
        let daemon = Dockerd::start();
        let station = Station::new();
        let names = ["h.example/one:1", "h.example/two:2", "h.example/three:3"];
        let built: Vec<_> = names
            .iter()
            .zip(1..)
            .map(|(name, seed)| {
                let noise = images::noise(seed, 3 << 20);
                let message = images::layer(&[("message", name.as_bytes()), ("noise", &noise)]);
                images::image_of(&[images::base(), message], Packing::Gzip, "amd64", name)
            })
            .collect();
        let named: Vec<_> = names.iter().copied().zip(&built).collect();
        images::write_layout(&station.path("images"), &named);
        station.export("b.sealift", ["oci:images"]);
        let mut way = Self { daemon, station, expected: Vec::new() };
        Run::of(&mut way.import()).succeeds();
        way.expected = way.daemon.images();
        assert_eq!(way.expected.len(), names.len());
        way
    }

    fn give(&self, command: &mut Command) {
        command.env("DOCKER_HOST", self.daemon.host());
        command.args(["import", "-q", "b.sealift", "--to", "docker-daemon:"]);
    }

    fn import(&self) -> Command {
        let mut command = self.station.program();
        self.give(&mut command);
        command
    }

    fn forget(&self) {
        for image in self.daemon.images() {
            let name = image.split(' ').next().unwrap();
            // What has no name was never finished by the daemon.
            let by = if name.contains("<none>") { image.split(' ').nth(1).unwrap() } else { name };
            self.daemon.ok(&["rmi", "-f", by]);
        }
    }

    /// After an import that was killed: what has a name is whole and runs, the next completes it, and
    /// the one after that has nothing to do. Gives how many images were there.
    fn judge(&self, step: &str) -> usize {
        let there = self.daemon.images();
        // The daemon names an image once it has all of it.
        for image in there.iter().filter(|image| !image.contains("<none>")) {
            assert!(self.expected.contains(image), "{step}: {image} is something else");
            let name = image.split(' ').next().unwrap();
            assert_eq!(self.daemon.run(name), name, "{step}: an image with a name runs");
        }
        assert_eq!(fs::read_dir(self.station.temporary()).unwrap().count(), 0, "{step}");
        Run::of(&mut self.import()).succeeds();
        assert_eq!(self.daemon.images(), self.expected, "{step}: the next run completes it");
        let third = Run::of(&mut self.import()).succeeds();
        assert!(third.contains("sent 0 blobs"), "{step}: a third run sends something: {third}");
        there.len()
    }
}

#[test]
fn a_killed_import_leaves_whole_images_at_a_daemon_and_the_next_completes_it() {
    let way = ToDaemon::new();
    let (mut moments, kills) = Moments::of("import into a daemon", || {
        way.forget();
        drop(Run::of(&mut way.import()).succeeds());
    });
    for at in 0..kills {
        way.forget();
        let moment = moments.next(at, kills);
        let ended = kill_after(&mut way.import(), moment);
        let there = way.judge(&format!("killed after {moment:?}"));
        println!("import killed after {moment:?}, ended {ended}, {there} images there");
    }
}

#[test]
fn an_import_into_a_daemon_that_is_killed_before_it_sends() {
    let way = ToDaemon::new();
    let given = |command: &mut Command| way.give(command);
    let what = "import into a daemon";
    way.forget();
    Strikes { what, station: &way.station, given: &given, calls: &SENDS, sparsely: 4 }
        .at_every_step(|step| {
            way.judge(step);
            way.forget();
        });
}
