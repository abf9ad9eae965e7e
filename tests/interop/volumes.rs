//! Volumes from a real registry with the real program: cut, read back, lost, and made again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::command::{Run, Station};
use crate::support::images::{self, Packing, image_of, layer, noise};
use crate::support::registry::{Registry, run};

/// Two images of about two megabytes, one of which moves on after the export.
fn fill(station: &Station, to: &Registry) -> Vec<String> {
    let image = |seed: u64| {
        let plain = layer(&[("noise", &noise(seed, 1_700_000)), ("text", b"the same")]);
        image_of(&[images::base(), plain], Packing::GoGzip, "amd64", &seed.to_string())
    };
    let push = |seed: u64, name: &str| {
        let folder = station.path(&format!("layout{seed}"));
        images::write_layout(&folder, &[("x", &image(seed))]);
        let from = format!("oci:{}:x", folder.display());
        let name = format!("{}/{name}", to.host());
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"])
            .args(["--dest-tls-verify=false", &from])
            .arg(format!("docker://{name}")));
        name
    };
    let names = vec![push(1, "team/app:1"), push(2, "team/other:1")];
    // The same picture under another name, too, so that the old one can still be had.
    push(1, "team/app:old");
    names
}

fn volumes(station: &Station) -> Vec<PathBuf> {
    let entries = fs::read_dir(station.path("out")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn a_lost_volume_is_made_again_from_the_registry() {
    let registry = Registry::start();
    let station = Station::new();
    let names = fill(&station, &registry);
    fs::create_dir(station.path("out")).unwrap();
    let told = station.sealift(
        ["export", "--volume-size", "1MiB", "--read-back", "--json", "-o", "out/a.sealift"]
            .into_iter()
            .chain(names.iter().map(String::as_str)),
    );
    let told = told.json();
    assert_eq!(told["readBack"], true);
    let files = volumes(&station);
    assert!(files.len() > 3, "{files:?}");
    assert_eq!(told["volumes"].as_array().unwrap().len(), files.len());
    let whole: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    station.sealift(["verify", "-q", "out"]).succeeds();
    station.sealift(["inspect", "out", "--receipt", "a.receipt"]).succeeds();

    // The tag moves on; what was signed is fetched by its digest.
    let moved = format!("docker://{}", names[0]);
    let other = format!("docker://{}", names[1]);
    run(Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet"])
        .args(["--src-tls-verify=false", "--dest-tls-verify=false"])
        .args([&other, &moved]));
    // Nobody's secret key is needed.
    fs::remove_file(station.path(".config/sealift/signing.pem")).unwrap();
    for at in [0, 2] {
        fs::remove_file(&files[at]).unwrap();
        let number = (at + 1).to_string();
        let line = ["export", "-q", "--only-volume", &number, "-o", "out/a.sealift"];
        let told = station.sealift(line).succeeds();
        assert!(told.contains("byte for byte as it was signed"), "{told}");
        assert!(fs::read(&files[at]).unwrap() == whole[at], "volume {number}");
        assert_eq!(volumes(&station), files);
    }
    // It is there: it is not replaced without a word.
    let line = ["export", "--only-volume", "1", "-o", "out/a.sealift"];
    assert!(station.sealift(line).refused(2).contains("--force"));

    // The last one, from the receipt and from sources that are named.
    let last = files.len() - 1;
    fs::remove_file(&files[last]).unwrap();
    let number = files.len().to_string();
    let old = format!("{}/team/app:old", registry.host());
    let mut command = station.program();
    command.args(["export", "-q", "--only-volume", &number, "-o", "out/a.sealift"]);
    command.args(["--tail", "a.receipt", "--read-back", &old, &names[1]]);
    Run::of(&mut command).succeeds();
    assert!(fs::read(&files[last]).unwrap() == whole[last]);
    station.sealift(["verify", "-q", "out"]).succeeds();

    // Without the last volume there is nothing to go by.
    for file in &files {
        fs::remove_file(file).unwrap();
    }
    let said = station.sealift(["export", "--only-volume", "1", "-o", "out/a.sealift"]).refused(2);
    assert!(said.contains("--tail"), "{said}");
}
