//! sealift against daemons newer than Debian 12 has, out of a chroot: docker with the classic and
//! with the containerd store. `make interop` runs these; they need `/var/lib/sealift-trixie`, or
//! the chroot that `SEALIFT_TRIXIE` names.

#[path = "../support/mod.rs"]
mod support;

use sealift::endpoint::{Action, Target};
use sealift::model::Digest;
use sealift::transport::archive::{self, ArchiveKind, DockerArchiveTarget, OciArchiveTarget};
use sealift::transport::daemon::{DaemonFeed, DaemonTarget};
use sealift::transport::layout::LayoutSource;

use support::carry::Cargo;
use support::dockerd::Dockerd;
use support::images::{self, Built, Packing, write_layout};

fn cargo(built: &[(&str, &Built)]) -> Cargo {
    let folder = tempfile::tempdir().unwrap();
    write_layout(folder.path(), built);
    Cargo::from_source(&LayoutSource::open(folder.path(), None).unwrap()).unwrap()
}

fn target(daemon: &Dockerd) -> DaemonTarget {
    DaemonTarget::new(&daemon.endpoint(), None).unwrap()
}

fn saved(daemon: &Dockerd, names: &[&str]) -> Cargo {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let mut feed = DaemonFeed::new(&daemon.endpoint(), names).unwrap();
    Cargo::from_feed(&mut feed).unwrap()
}

#[test]
fn classic_store_both_ways() {
    let daemon = Dockerd::start_newer(false);
    let first = images::image("first\n", Packing::Gzip);
    let second = images::image("second\n", Packing::Zstd);
    cargo(&[("h.example/app:1", &first)]).deliver(&target(&daemon)).unwrap();
    assert_eq!(daemon.run("h.example/app:1"), "first");
    let delivered = cargo(&[("app:2", &second)]).deliver(&target(&daemon)).unwrap();
    let config = second.blobs[&second.id.unwrap()].len() as u64;
    assert_eq!((delivered.sent, delivered.again), (second.plain[2].1 + config, 0));
    assert_eq!(daemon.run("app:2"), "second");
    assert_eq!(daemon.id("app:2"), second.id.unwrap().to_string());

    let id = daemon.id("app:2");
    let out = saved(&daemon, &["h.example/app:1", "app:2", &id]);
    assert_eq!(out.names(), ["h.example/app:1", "docker.io/library/app:2", "-"]);
    for (parcel, built) in out.parcels.iter().zip([&first, &second, &second]) {
        assert!(parcel.root.synthesized);
        let leaves: Vec<Digest> = parcel.graph.leaves.iter().map(|l| l.descriptor.digest).collect();
        let mut expected = vec![built.id.unwrap()];
        expected.extend(built.plain.iter().map(|(digest, _)| *digest));
        assert_eq!(leaves, expected);
    }
    // The same image out of the older daemon has the same digest.
    let older = Dockerd::start();
    out.deliver(&target(&older)).unwrap();
    assert_eq!(older.run("app:2"), "second");
    let again = saved(&older, &["h.example/app:1"]);
    assert_eq!(again.parcels[0].root.descriptor.digest, out.parcels[0].root.descriptor.digest);
}

#[test]
fn classic_store_takes_several_uploads() {
    let daemon = Dockerd::start_newer(false);
    let one = images::image("one\n", Packing::Gzip);
    let two = images::image("two\n", Packing::Zstd);
    let both = images::two_architectures("both\n");
    let target = DaemonTarget::new(&daemon.endpoint(), None).unwrap().in_uploads_of(0);
    let delivered =
        cargo(&[("one:1", &one), ("two:1", &two), ("both:1", &both)]).deliver(&target).unwrap();
    assert_eq!(delivered.again, 0);
    for name in ["one", "two", "both"] {
        assert_eq!(daemon.run(&format!("{name}:1")), name);
    }
}

#[test]
fn what_the_classic_store_saves_is_read_as_a_file() {
    let daemon = Dockerd::start_newer(false);
    let one = images::image("one\n", Packing::Gzip);
    let two = images::image("two\n", Packing::Gzip);
    cargo(&[("app:1", &one), ("", &two)]).deliver(&target(&daemon)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let untagged = two.id.unwrap().to_string();
    daemon.ok(&["save", "-o", path.to_str().unwrap(), "app:1", &untagged]);
    let read = Cargo::load(archive::open(&path, ArchiveKind::Docker, None).unwrap()).unwrap();
    let mut names = read.names();
    names.sort();
    assert_eq!(names, ["-", "docker.io/library/app:1"]);
    assert!(read.parcels.iter().all(|parcel| parcel.root.synthesized));
}

#[test]
fn containerd_store_keeps_the_digests_both_ways() {
    let daemon = Dockerd::start_newer(true);
    let both = images::two_architectures("two\n");
    let one = images::image("one\n", Packing::Zstd);
    let delivered =
        cargo(&[("two:2", &both), ("h.example/app:1", &one)]).deliver(&target(&daemon)).unwrap();
    assert_eq!(delivered.again, 0);
    assert_eq!(daemon.run("two:2"), "two");
    assert_eq!(daemon.run("h.example/app:1"), "one");
    assert_eq!(daemon.id("two:2"), both.root.digest.to_string());
    assert_eq!(daemon.id("h.example/app:1"), one.root.digest.to_string());

    let out = saved(&daemon, &["two:2", "h.example/app:1"]);
    assert_eq!(out.names(), ["docker.io/library/two:2", "h.example/app:1"]);
    for (parcel, built) in out.parcels.iter().zip([&both, &one]) {
        assert!(!parcel.root.synthesized);
        assert_eq!(parcel.root.descriptor.digest, built.root.digest);
        assert_eq!(parcel.root.from_index, None);
    }

    // A second run finds it all, as far as the daemon tells.
    let again = cargo(&[("h.example/app:1", &one)]).deliver(&target(&daemon)).unwrap();
    assert_eq!(again.sent, 0);
    assert!(again.plan.tags.iter().all(|step| step.action == Action::Present));
}

#[test]
fn containerd_store_takes_images_without_a_manifest() {
    let older = Dockerd::start();
    let one = images::image("one\n", Packing::Gzip);
    cargo(&[("app:1", &one)]).deliver(&target(&older)).unwrap();
    let out = saved(&older, &["app:1"]);
    assert!(out.parcels[0].root.synthesized);
    let daemon = Dockerd::start_newer(true);
    out.deliver(&target(&daemon)).unwrap();
    assert_eq!(daemon.run("app:1"), "one");
    assert_eq!(daemon.id("app:1"), out.parcels[0].root.descriptor.digest.to_string());
}

#[test]
fn containerd_store_gets_what_changed_and_the_rest_if_the_guess_was_wrong() {
    let daemon = Dockerd::start_newer(true);
    let first = images::image("first\n", Packing::Gzip);
    cargo(&[("app:1", &first)]).deliver(&target(&daemon)).unwrap();

    // The same layers, the same blobs: only the top is new.
    let second = images::image("second\n", Packing::Gzip);
    let delivered = cargo(&[("app:2", &second)]).deliver(&target(&daemon)).unwrap();
    let config = second.blobs[&second.id.unwrap()].len() as u64;
    let top = second.layers[2].size + config;
    assert_eq!(delivered.sent, top);
    assert_eq!(delivered.again, 0);
    assert_eq!(daemon.run("app:2"), "second");

    // The same layers in other blobs: the guess that they are there is wrong.
    let third = images::image("third\n", Packing::Zstd);
    let delivered = cargo(&[("app:3", &third)]).deliver(&target(&daemon)).unwrap();
    assert_eq!(delivered.again, 1);
    assert_eq!(daemon.run("app:3"), "third");
    let out = saved(&daemon, &["app:3"]);
    assert_eq!(out.parcels[0].root.descriptor.digest, third.root.digest);
}

#[test]
fn containerd_store_changes_no_name_on_failure() {
    let daemon = Dockerd::start_newer(true);
    let first = images::image("first\n", Packing::Gzip);
    cargo(&[("app:1", &first)]).deliver(&target(&daemon)).unwrap();
    let before = daemon.images();
    let other = images::image_of(
        &[images::base(), images::layer(&[("message", b"second\n")])],
        Packing::Gzip,
        "amd64",
        "second",
    );
    let mut bad = cargo(&[("app:1", &other)]);
    let top = other.layers[1].digest;
    bad.blobs.get_mut(&top).unwrap()[30] ^= 1;
    assert!(bad.deliver(&target(&daemon)).is_err());
    assert_eq!(daemon.images(), before);
}

#[test]
fn both_stores_load_the_archives_that_we_write() {
    let folder = tempfile::tempdir().unwrap();
    let one = images::image("one\n", Packing::Gzip);
    let cargo = cargo(&[("h.example/app:1", &one)]);
    let docker = folder.path().join("docker.tar");
    let oci = folder.path().join("oci.tar");
    cargo.deliver(&DockerArchiveTarget::create(&docker, None)).unwrap();
    cargo.deliver(&OciArchiveTarget::create(&oci)).unwrap();
    for containerd_store in [false, true] {
        let daemon = Dockerd::start_newer(containerd_store);
        daemon.ok(&["load", "-i", docker.to_str().unwrap()]);
        assert_eq!(daemon.run("h.example/app:1"), "one");
        if containerd_store {
            daemon.ok(&["rmi", "-f", "h.example/app:1"]);
            daemon.ok(&["load", "-i", oci.to_str().unwrap()]);
            assert_eq!(daemon.id("h.example/app:1"), one.root.digest.to_string());
            assert_eq!(daemon.run("h.example/app:1"), "one");
        }
    }
}

#[test]
fn a_dry_run_against_either_store_changes_nothing() {
    for containerd_store in [false, true] {
        let daemon = Dockerd::start_newer(containerd_store);
        let one = images::image("one\n", Packing::Gzip);
        let plan = target(&daemon).plan(&cargo(&[("app:1", &one)]).parcels).unwrap();
        assert!(plan.bytes_to_send() > 500_000);
        assert!(daemon.images().is_empty());
        let error = DaemonFeed::new(&daemon.endpoint(), vec!["app:1".into()]).err().unwrap();
        assert!(error.message().contains("app:1"));
    }
}
