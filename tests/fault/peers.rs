//! The same harm to other people's archives, and what other people's tools say to it: `make peers`
//! prints the table that `docs/security.md` shows. dockerd and skopeo are those of the machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift::model::Digest;
use serde_json::Value;

use crate::flips::places;
use crate::sample::station;
use crate::scene::files;
use crate::support::command::Station;
use crate::support::dockerd::Dockerd;
use crate::support::forge::{member, members};
use crate::support::images::{self, Packing, image_of, layer, noise};

/// How often each region is harmed for each tool.
const SAMPLES: usize = 60;

/// What became of an archive that was not the one that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Rejected,
    Unchanged,
    Changed,
}

/// Harm, by where it is done.
type Harm = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// The regions of an archive: what a member is, is for the archive to say.
fn regions(
    archive: &[u8],
    kind: impl Fn(&str) -> Option<&'static str>,
) -> BTreeMap<&'static str, Vec<Range<usize>>> {
    let mut regions: BTreeMap<_, Vec<Range<usize>>> = BTreeMap::new();
    for member in members(archive) {
        regions.entry("tar headers").or_default().push(member.at..member.at + 512);
        if let Some(kind) = kind(&member.name).filter(|_| !member.content.is_empty()) {
            let content = member.at + 512..member.at + 512 + member.content.len();
            regions.entry(kind).or_default().push(content);
        }
    }
    regions
}

/// One bit in each region, blocks of zeros, and early ends.
fn harm(archive: &[u8], kind: impl Fn(&str) -> Option<&'static str>) -> Harm {
    let mut harm = Harm::new();
    for (name, ranges) in regions(archive, kind) {
        let bytes: Vec<usize> = ranges.into_iter().flatten().collect();
        let flipped = places(60, SAMPLES, bytes.len() as u64 * 8).into_iter().map(|bit| {
            let mut copy = archive.to_vec();
            copy[bytes[bit as usize / 8]] ^= 1 << (bit % 8);
            copy
        });
        harm.insert(name, flipped.collect());
    }
    let length = archive.len() as u64;
    let zeroed = places(61, SAMPLES, length / 4096).into_iter().filter_map(|block| {
        let mut copy = archive.to_vec();
        copy[block as usize * 4096..][..4096].fill(0);
        (copy != archive).then_some(copy)
    });
    harm.insert("4 KiB of zeros", zeroed.collect());
    let cut = places(62, SAMPLES, length).into_iter().map(|end| archive[..end as usize].to_vec());
    harm.insert("cut off", cut.collect());
    harm
}

/// Runs the tool on every copy and counts what became of them.
fn judge(harm: &Harm, mut fate: impl FnMut(&[u8]) -> Fate) -> BTreeMap<&'static str, [usize; 3]> {
    let mut counts = BTreeMap::new();
    for (name, copies) in harm {
        let count: &mut [usize; 3] = counts.entry(*name).or_default();
        for copy in copies {
            count[fate(copy) as usize] += 1;
        }
    }
    counts
}

fn run(station: &Station, program: &str, arguments: &[&str]) -> bool {
    let output = station.command(program).args(arguments).output().expect(program);
    output.status.success()
}

fn version(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

const NAME: &str = "h.example/app:1";

/// Docker's daemon; `there` says whether the image is there already.
fn docker(
    daemon: &Dockerd,
    archive: &Path,
    there: bool,
    harm: &Harm,
) -> BTreeMap<&'static str, [usize; 3]> {
    let load = |path: &Path| daemon.docker(&["load", "-q", "-i", &path.display().to_string()]);
    let clean = || {
        for id in daemon.ok(&["images", "-aq", "--no-trunc"]).lines() {
            daemon.docker(&["rmi", "-f", id]);
        }
    };
    clean();
    assert!(load(archive).status.success());
    let right = daemon.images();
    let bad = archive.with_file_name("bad.tar");
    judge(harm, |bytes| {
        clean();
        if there {
            assert!(load(archive).status.success());
        }
        fs::write(&bad, bytes).unwrap();
        match (load(&bad).status.success(), daemon.images() == right) {
            (false, _) => Fate::Rejected,
            (true, true) => Fate::Unchanged,
            (true, false) => Fate::Changed,
        }
    })
}

/// What a layout holds under its only name: the digests of the manifest's parts, all hashed again.
fn held(layout: &Path) -> Option<(Value, BTreeMap<String, Digest>)> {
    let files = files(layout);
    let index: Value = serde_json::from_slice(files.get("index.json")?).ok()?;
    let blobs = files.iter().filter(|(path, _)| path.starts_with("blobs/"));
    Some((
        index["manifests"][0]["digest"].clone(),
        blobs.map(|(path, bytes)| (path.clone(), Digest::of(bytes))).collect(),
    ))
}

/// A tool that copies into a fresh layout.
fn into_layout(
    station: &Station,
    archive: &Path,
    harm: &Harm,
    copy: impl Fn(&Path, &str) -> bool,
) -> BTreeMap<&'static str, [usize; 3]> {
    let attempt = |path: &Path| {
        let target = station.path("target");
        let _ = fs::remove_dir_all(&target);
        copy(path, "target").then(|| held(&target))
    };
    let right = attempt(archive).expect("the whole archive is taken").expect("it arrived");
    let bad = archive.with_file_name("bad");
    judge(harm, |bytes| {
        fs::write(&bad, bytes).unwrap();
        match attempt(&bad) {
            None => Fate::Rejected,
            Some(arrived) if arrived.as_ref() == Some(&right) => Fate::Unchanged,
            Some(_) => Fate::Changed,
        }
    })
}

#[test]
#[ignore = "several minutes of other people's programs: make peers"]
fn the_same_harm_to_other_tools() {
    let station = station();
    let lower = layer(&[("etc/words", &b"some words\n".repeat(2000)), ("n", &noise(1, 40_000))]);
    let upper = layer(&[("app", &noise(2, 20_000))]);
    let image = image_of(&[lower, upper], Packing::Plain, "amd64", "app");
    images::write_layout(&station.path("layout"), &[(NAME, &image)]);
    let make = |to: String| {
        assert!(run(&station, "skopeo", &["copy", "-q", &format!("oci:layout:{NAME}"), &to]));
    };
    make(format!("docker-archive:docker.tar:{NAME}"));
    make(format!("oci-archive:oci.tar:{NAME}"));
    station.export("app.sealift", ["oci:layout"]);
    let file = |name: &str| -> (PathBuf, Vec<u8>) {
        (station.path(name), fs::read(station.path(name)).unwrap())
    };
    let ((docker_path, docker_bytes), (oci_path, oci_bytes), (bundle_path, bundle_bytes)) =
        (file("docker.tar"), file("oci.tar"), file("app.sealift"));

    let config = image.id.unwrap().hex();
    let docker_harm = harm(&docker_bytes, |name| match name {
        "manifest.json" | "repositories" => Some("manifest"),
        name if name.starts_with(&config) => Some("configuration"),
        name if name.split('.').nth(1) == Some("tar") => Some("layers"),
        _ => None,
    });
    // skopeo writes a manifest of its own.
    let index: Value = serde_json::from_slice(&member(&oci_bytes, "index.json").content).unwrap();
    let manifest = index["manifests"][0]["digest"].as_str().unwrap().replace("sha256:", "");
    let oci_harm = harm(&oci_bytes, |name| match name {
        "index.json" | "oci-layout" => Some("index.json"),
        name if name.ends_with(&manifest) => Some("manifest"),
        name if name.ends_with(&config) => Some("configuration"),
        name if name.starts_with("blobs/sha256/") => Some("layers"),
        _ => None,
    });
    let kinds = ["README.txt", "volume", "packs", "index", "manifest", "signatures", "tail"];
    let bundle_harm =
        harm(&bundle_bytes, |name| kinds.into_iter().find(|kind| name.starts_with(kind)));

    let daemon = Dockerd::start();
    let skopeo = |scheme: &'static str| {
        let station = &station;
        move |path: &Path, to: &str| {
            let from = format!("{scheme}:{}", path.display());
            run(station, "skopeo", &["copy", "-q", &from, &format!("oci:{to}:x")])
        }
    };
    let sealift = |path: &Path, to: &str| {
        let path = path.display().to_string();
        let program = crate::support::command::BINARY;
        run(&station, program, &["verify", "-q", &path])
            && run(&station, program, &["import", "-q", &path, "--to", &format!("oci:{to}")])
    };
    let results = [
        ("`docker load`, empty daemon", docker(&daemon, &docker_path, false, &docker_harm)),
        ("`docker load`, layers there already", docker(&daemon, &docker_path, true, &docker_harm)),
        (
            "`skopeo copy docker-archive:`",
            into_layout(&station, &docker_path, &docker_harm, skopeo("docker-archive")),
        ),
        (
            "`skopeo copy oci-archive:`",
            into_layout(&station, &oci_path, &oci_harm, skopeo("oci-archive")),
        ),
        ("`sealift verify`, `import`", into_layout(&station, &bundle_path, &bundle_harm, sealift)),
    ];
    let mut table = String::from(
        "| Tool | Where | Rejected | Accepted unchanged | **Accepted changed** |\n|---|---|---:|---:|---:|\n",
    );
    for (tool, regions) in &results {
        for (region, [rejected, unchanged, changed]) in regions {
            let _ = writeln!(table, "| {tool} | {region} | {rejected} | {unchanged} | {changed} |");
        }
    }
    let docker_version = daemon.ok(&["version", "--format", "{{.Server.Version}}"]);
    println!(
        "dockerd {docker_version}, {}, sealift {}\n\n{table}",
        version("skopeo", &["--version"]),
        env!("CARGO_PKG_VERSION")
    );
    for (region, counts) in &results.last().unwrap().1 {
        assert_eq!(counts[1..], [0, 0], "sealift took harm in {region}");
    }
}
