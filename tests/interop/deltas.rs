//! Versions of a real image, built and pushed by a real daemon, sent as full, delta, delta: brought
//! to a registry and to a daemon that have what was sent before and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift::transport::daemon::Endpoint;

use crate::round_trip::fetched;
use crate::support::command::{Run, Station};
use crate::support::dockerd::Dockerd;
use crate::support::images;
use crate::support::judge;
use crate::support::registry::{Registry, run};

/// Versions that are built: each changes some files of the program; the last one changes what lies
/// below it too.
const VERSIONS: u32 = 3;
const REBASED: u32 = 4;

/// Builds every version up to `last` in one daemon and pushes it to `to`; gives the names.
fn push_versions(builder: &Dockerd, to: &Registry, last: u32) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let context = folder.path();
    let system = context.join("system");
    fs::create_dir(&system).unwrap();
    tar::Archive::new(&images::base()[..]).unpack(&system).unwrap();
    copy(&files_below(Path::new("/usr/share/dpkg"), ""), &system);
    // Small files of every kind, with times and folders as they are here.
    let files = files_below(Path::new("/usr/share/doc"), "-size -40k");
    assert!(files.len() > 200, "{} files", files.len());
    let files = &files[..files.len().min(400)];
    let program = context.join("program");
    let below = program.join("opt");
    fs::create_dir_all(&below).unwrap();
    copy(files, &below);
    let inside = |path: &Path| below.join(path.strip_prefix("/").unwrap());
    fs::write(
        context.join("Dockerfile"),
        "FROM scratch\nADD system.tar /\nADD program.tar /\nCOPY message /\nCMD [\"/bin/say\"]\n",
    )
    .unwrap();
    (1..=last)
        .map(|version| {
            fs::write(context.join("message"), format!("version {version}\n")).unwrap();
            match version {
                1 => {}
                REBASED => fs::write(system.join("security"), "mended\n").unwrap(),
                _ => {
                    for path in files.iter().skip(version as usize).step_by(40) {
                        let mut bytes = fs::read(inside(path)).unwrap();
                        bytes.extend(format!("changed in {version}\n").bytes());
                        fs::write(inside(path), bytes).unwrap();
                    }
                    let new = images::noise(version.into(), 2_000);
                    fs::write(below.join(format!("new-{version}")), new).unwrap();
                }
            }
            pack(&system);
            pack(&program);
            let name = format!("{}/app:{version}", to.host());
            builder.ok(&["build", "--quiet", "--tag", &name, context.to_str().unwrap()]);
            builder.ok(&["push", "--quiet", &name]);
            name
        })
        .collect()
}

/// The files below a folder, sorted.
fn files_below(folder: &Path, more: &str) -> Vec<PathBuf> {
    let found =
        run(Command::new("find").arg(folder).args(["-type", "f"]).args(more.split_whitespace()));
    let mut files: Vec<PathBuf> =
        String::from_utf8(found).unwrap().lines().map(PathBuf::from).collect();
    files.sort();
    files
}

/// Copies files with the folders that they are in.
fn copy(files: &[PathBuf], into: &Path) {
    run(Command::new("cp").args(["--parents", "--preserve=timestamps"]).args(files).arg(into));
}

/// Makes `FOLDER.tar` of what is in a folder: the same for the same files.
fn pack(folder: &Path) {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    run(Command::new("tar")
        .args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .arg("--mtime=@1000000000")
        .arg(format!("--directory={}", folder.display()))
        .arg(format!("--file={}", folder.with_extension("tar").display()))
        .args(names));
}

/// What goes over: four bundles, and where they come from.
struct Crossing {
    builder: Dockerd,
    from: Registry,
    names: Vec<String>,
    station: Station,
}

impl Crossing {
    fn new(last: u32) -> Self {
        let (builder, from) = (Dockerd::start(), Registry::start());
        let names = push_versions(&builder, &from, last);
        let crossing = Self { builder, from, names, station: Station::new() };
        crossing.station.export("1", [&crossing.names[0]]);
        for version in 2..=last {
            let name = &crossing.names[version as usize - 1];
            let mut arguments = vec![name.clone()];
            for base in (1..version).rev() {
                arguments.extend(["--base".to_owned(), base.to_string()]);
            }
            crossing.station.export(&version.to_string(), &arguments);
        }
        crossing
    }

    fn layers(&self, version: u32) -> Vec<String> {
        let raw = crate::support::pictures::raw(&self.names[version as usize - 1]);
        let manifest: serde_json::Value = serde_json::from_slice(&raw).unwrap();
        let layers = manifest["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect()
    }

    fn size(&self, bundle: u32) -> u64 {
        fs::metadata(self.station.path(&bundle.to_string())).unwrap().len()
    }

    fn import(&self, version: u32, to: &str, daemon: Option<&Dockerd>) -> Run {
        let mut program = self.station.program();
        if let Some(daemon) = daemon {
            let Endpoint::Unix(socket) = daemon.endpoint() else { panic!("a socket") };
            program.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        }
        let bundle = version.to_string();
        Run::of(program.args(["import", "-q", &bundle, "--to", to, "--json"]))
    }
}

#[test]
fn deltas_of_a_pushed_image_arrive_where_only_the_versions_before_are() {
    let crossing = Crossing::new(REBASED);
    let full = crossing.size(1);
    assert!(full > 1_000_000, "{full}");
    for version in 2..=REBASED {
        let delta = crossing.size(version);
        assert!(delta * 10 < full, "delta {version} is {delta} bytes, the first bundle {full}");
    }
    let [system, program, _] = &crossing.layers(2)[..] else { panic!("three layers") };
    assert_eq!(*system, crossing.layers(3)[0]);
    assert_ne!(*program, crossing.layers(3)[1]);
    assert_eq!(crossing.layers(3)[1], crossing.layers(REBASED)[1]);

    let to = Registry::start();
    for version in 1..=VERSIONS {
        let before = to.accesses_since(0).len();
        let report = crossing.import(version, &to.host(), None).json();
        let asked = to.accesses_since(before);
        if version == 1 {
            continue;
        }
        // The layer that changed and the one on top, and the configuration; of the base, the layer
        // that changed is read back once, the others stay where they are.
        let sent = asked
            .iter()
            .filter(|access| access.method == "PUT" && access.path.contains("/blobs/uploads/"));
        assert_eq!((sent.count(), &report["sent"]["blobs"]), (3, &3.into()), "{report}");
        let read = fetched(&to, before);
        assert_eq!(read.get(&crossing.layers(version - 1)[1]), Some(&1), "{read:?}");
        assert_eq!(read.get(system), None, "{read:?}");
    }
    crossing.import(REBASED, &to.host(), None).succeeds();
    let verdict = judge::same(&crossing.from, &to, "");
    assert_eq!((verdict.tags, verdict.manifests), (REBASED as usize, REBASED as usize));

    let far = Dockerd::start();
    for version in 1..=REBASED {
        let report = crossing.import(version, "docker-daemon:", Some(&far)).json();
        let name = &crossing.names[version as usize - 1];
        assert_eq!(far.id(name), crossing.builder.id(name), "{name}");
        assert_eq!(far.run(name), format!("version {version}"));
        assert_eq!(report["images"][0]["targetDigest"], far.id(name));
    }
}

#[test]
fn a_daemon_or_registry_without_the_base_is_left_as_it_is() {
    let crossing = Crossing::new(VERSIONS);
    let far = Dockerd::start();
    let refused = crossing.import(3, "docker-daemon:", Some(&far)).refused(4);
    assert!(refused.contains("--base"), "{refused}");
    assert!(far.images().is_empty());
    let to = Registry::start();
    crossing.import(3, &to.host(), None).refused(4);
    crossing.import(1, &to.host(), None).succeeds();
    let before = to.accesses_since(0).len();
    crossing.import(3, &to.host(), None).refused(4);
    let asked = to.accesses_since(before);
    assert_eq!(crate::round_trip::changes(&asked), Vec::<&_>::new());
    // The files of the bases do instead.
    let mut program = crossing.station.program();
    program.args(["import", "-q", "3", "--base", "2", "--base", "1", "--to", &to.host()]);
    Run::of(&mut program).succeeds();
    let name = format!("{}/app:3", to.host());
    let raw = crate::support::pictures::raw;
    assert_eq!(raw(&name), raw(&crossing.names[2]));
}
