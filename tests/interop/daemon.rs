//! The docker daemon of the machine (20.10, classic store), both ways.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use sealift::endpoint::{Action, Feed, Target};
use sealift::model::{Digest, Kind, Platform};
use sealift::transport::archive::DockerArchiveTarget;
use sealift::transport::daemon::{DaemonFeed, DaemonTarget, Endpoint};
use sealift::transport::layout::LayoutSource;

use crate::support::carry::Cargo;
use crate::support::dockerd::Dockerd;
use crate::support::images::{self, Built, Packing, write_layout};

fn cargo(built: &[(&str, &Built)]) -> Cargo {
    let folder = tempfile::tempdir().unwrap();
    write_layout(folder.path(), built);
    Cargo::from_source(&LayoutSource::open(folder.path(), None).unwrap()).unwrap()
}

fn target(daemon: &Dockerd) -> DaemonTarget {
    DaemonTarget::new(&daemon.endpoint(), None).unwrap()
}

fn id(built: &Built) -> String {
    built.id.unwrap().to_string()
}

#[test]
fn only_what_changed_travels_and_the_image_runs() {
    let daemon = Dockerd::start();
    let first = images::image("first\n", Packing::Gzip);
    let delivered = cargo(&[("h.example/app:1", &first)]).deliver(&target(&daemon)).unwrap();
    let whole: u64 = first.plain.iter().map(|(_, size)| size).sum();
    let config = |built: &Built| built.blobs[&built.id.unwrap()].len() as u64;
    assert_eq!(delivered.sent, whole + config(&first), "plain layers travel, and the config");
    assert_eq!(daemon.run("h.example/app:1"), "first");
    assert_eq!(daemon.id("h.example/app:1"), id(&first));
    assert_eq!(delivered.plan.arrivals[0].target_digest.to_string(), id(&first));

    // The same layers in another packing: the store knows them by their content.
    let second = images::image("second\n", Packing::Zstd);
    let cargo_of_two = cargo(&[("h.example/app:1", &second), ("other:2", &second)]);
    let dry = target(&daemon).plan(&cargo_of_two.parcels).unwrap();
    let changed = second.plain[2].1 + config(&second);
    assert_eq!(dry.bytes_to_send(), changed, "a dry run shows what would travel");
    assert_eq!(dry.tags[0].replaces, first.id);
    assert_eq!(daemon.id("h.example/app:1"), id(&first), "a dry run changes nothing");
    let delivered = cargo_of_two.deliver(&target(&daemon)).unwrap();
    assert_eq!((delivered.sent, delivered.again), (changed, 0));
    assert_eq!(daemon.run("h.example/app:1"), "second");
    assert_eq!(daemon.run("other:2"), "second");

    let third = cargo_of_two.deliver(&target(&daemon)).unwrap();
    assert_eq!(third.sent, 0);
    assert!(third.plan.tags.iter().all(|step| step.action == Action::Present));

    // An image that is there under another name only gets the name.
    let renamed = cargo(&[("new:3", &second)]).deliver(&target(&daemon)).unwrap();
    assert_eq!(renamed.sent, 0);
    assert_eq!(daemon.id("new:3"), id(&second));
}

#[test]
fn a_failure_changes_no_name() {
    let daemon = Dockerd::start();
    let first = images::image("first\n", Packing::Gzip);
    cargo(&[("app:1", &first)]).deliver(&target(&daemon)).unwrap();
    let before = daemon.images();

    // The media went bad after planning.
    let second = images::image_of(
        &[images::base(), images::layer(&[("message", b"second\n")])],
        Packing::Gzip,
        "amd64",
        "second",
    );
    let mut bad = cargo(&[("app:1", &second)]);
    let top = second.layers[1].digest;
    let size = bad.blobs[&top].len();
    bad.blobs.get_mut(&top).unwrap()[size / 2] ^= 1;
    assert!(bad.deliver(&target(&daemon)).is_err());
    assert_eq!(daemon.images(), before);

    // The daemon finds something wrong that we could not know.
    let good = cargo(&[("app:1", &second)]);
    let mut lying = cargo(&[("app:1", &second)]);
    let config = lying.blobs.get_mut(&second.id.unwrap()).unwrap();
    let at = config.windows(4).position(|w| w == b"2024").unwrap();
    config[at + 3] = b'5';
    let error = lying.deliver(&target(&daemon)).err().unwrap();
    assert!(matches!(error.kind(), Kind::Remote | Kind::Damaged), "{error:?}");
    assert_eq!(daemon.id("app:1"), id(&first));
    good.deliver(&target(&daemon)).unwrap();
    assert_eq!(daemon.run("app:1"), "second");
}

#[test]
fn a_base_that_vanishes_after_planning_is_sent_after_all() {
    let daemon = Dockerd::start();
    let first = images::image("first\n", Packing::Gzip);
    let second = images::image("second\n", Packing::Gzip);
    cargo(&[("app:1", &first)]).deliver(&target(&daemon)).unwrap();
    let cargo = cargo(&[("app:2", &second)]);
    let target = target(&daemon);
    let plan = target.plan(&cargo.parcels).unwrap();
    let left_out = plan.bytes_present();
    assert!(left_out > 500_000);
    daemon.ok(&["rmi", "app:1"]);
    // What deliver() does, with the plan from before.
    let delivered = cargo.carry_out(&target, plan).unwrap();
    assert_eq!(delivered.again, 1);
    assert_eq!(daemon.run("app:2"), "second");
}

#[test]
fn the_daemon_gets_its_own_platform_of_an_index() {
    let daemon = Dockerd::start();
    let both = images::two_architectures("two\n");
    let cargo = cargo(&[("two:2", &both)]);
    let delivered = cargo.deliver(&target(&daemon)).unwrap();
    assert!(delivered.plan.notes.iter().any(|note| note.contains("linux/amd64")));
    assert_eq!(daemon.run("two:2"), "two");
    let wish: Platform = "linux/s390x".parse().unwrap();
    let strange = DaemonTarget::new(&daemon.endpoint(), Some(wish)).unwrap();
    assert_eq!(strange.plan(&cargo.parcels).unwrap_err().kind(), Kind::Usage);
}

#[test]
fn images_come_out_as_they_went_in() {
    let daemon = Dockerd::start();
    let one = images::image("one\n", Packing::Gzip);
    let two = images::image("two\n", Packing::Gzip);
    cargo(&[("h.example/app:1", &one), ("app:2", &two)]).deliver(&target(&daemon)).unwrap();
    daemon.ok(&["tag", "app:2", "app:other"]);

    let names = vec!["h.example/app:1".to_owned(), "app:2".to_owned(), id(&one)];
    let mut feed = DaemonFeed::new(&daemon.endpoint(), names).unwrap();
    let announced = feed.announce().unwrap();
    assert_eq!(announced[0].0, "h.example/app:1");
    assert!(announced[0].1 > 500_000);
    let cargo = Cargo::from_feed(&mut feed).unwrap();
    assert_eq!(cargo.names(), ["h.example/app:1", "docker.io/library/app:2", "-"]);
    for (parcel, built) in cargo.parcels.iter().zip([&one, &two, &one]) {
        assert!(parcel.root.synthesized);
        let leaves: Vec<Digest> = parcel.graph.leaves.iter().map(|l| l.descriptor.digest).collect();
        let mut expected = vec![built.id.unwrap()];
        expected.extend(built.plain.iter().map(|(digest, _)| *digest));
        assert_eq!(leaves, expected);
    }

    // And into another daemon, and a file.
    let other = Dockerd::start();
    cargo.deliver(&target(&other)).unwrap();
    assert_eq!(other.run("h.example/app:1"), "one");
    assert_eq!(other.run("app:2"), "two");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    cargo.deliver(&DockerArchiveTarget::create(&path, None)).unwrap();
    other.ok(&["load", "-i", path.to_str().unwrap()]);
    assert_eq!(other.id("app:2"), id(&two));

    let error = DaemonFeed::new(&daemon.endpoint(), vec!["absent:1".into()]).err().unwrap();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.message().contains("absent:1"));
    let error = DaemonFeed::new(&daemon.endpoint(), vec!["../info".into()]).err().unwrap();
    assert_eq!(error.kind(), Kind::Usage);
}

#[test]
fn no_daemon_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = Endpoint::Unix(folder.path().join("s"));
    let error = DaemonFeed::new(&nowhere, vec!["a:1".into()]).err().unwrap();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.get_hint().unwrap().contains("DOCKER_HOST"));
    let target = DaemonTarget::new(&nowhere, None).unwrap();
    assert_eq!(target.plan(&[]).unwrap_err().kind(), Kind::Remote);
}

/// A daemon that knows one image and whose save stream is `body`, sent as chunks; `whole` says
/// whether it ends as HTTP wants it.
fn fake_daemon(id: Digest, body: Vec<u8>, whole: bool) -> (tempfile::TempDir, Endpoint) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        // Two requests: the question about the image, and the save.
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            loop {
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") {
                    match connection.read(&mut byte) {
                        Ok(1) => request.push(byte[0]),
                        _ => break,
                    }
                }
                if request.is_empty() {
                    break;
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                if request.starts_with("GET /images/get") {
                    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                    let chunk = format!("{:x}\r\n", body.len());
                    let _ = connection.write_all(head.as_bytes());
                    let _ = connection.write_all(chunk.as_bytes());
                    let _ = connection.write_all(&body);
                    if whole {
                        let _ = connection.write_all(b"\r\n0\r\n\r\n");
                    }
                    break;
                }
                let answer = format!(r#"{{"Id":"{id}","RepoTags":["app:1"],"Size":5}}"#);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
                let _ = connection.write_all(head.as_bytes());
                let _ = connection.write_all(answer.as_bytes());
            }
        }
    });
    (folder, Endpoint::Unix(socket))
}

#[test]
fn a_save_that_is_cut_off_or_fails_is_an_error() {
    let daemon = Dockerd::start();
    let built = images::image("one\n", Packing::Gzip);
    cargo(&[("app:1", &built)]).deliver(&target(&daemon)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    daemon.ok(&["save", "-o", path.to_str().unwrap(), "app:1"]);
    let saved = std::fs::read(&path).unwrap();
    let run = |id: Digest, body: Vec<u8>, whole: bool| {
        let (_folder, endpoint) = fake_daemon(id, body, whole);
        let mut feed = DaemonFeed::new(&endpoint, vec!["app:1".into()]).unwrap();
        Cargo::from_feed(&mut feed)
    };
    let id = built.id.unwrap();
    assert_eq!(run(id, saved.clone(), true).unwrap().names(), ["docker.io/library/app:1"]);
    for cut in [0, 512, 100_000, saved.len() / 2, saved.len() - 1024, saved.len() - 5000] {
        for whole in [true, false] {
            let result = run(id, saved[..cut].to_vec(), whole);
            assert!(result.is_err(), "cut at {cut}, http ended: {whole}");
        }
    }
    let mut failed = saved[..200_000].to_vec();
    failed.extend_from_slice(b"{\"message\":\"open /layer: input/output error\"}\n");
    let error = run(id, failed, true).err().unwrap();
    assert!(error.chain().contains("input/output error"), "{error:?}");
    let mut flipped = saved.clone();
    flipped[300_000] ^= 1;
    assert_eq!(run(id, flipped, true).err().unwrap().kind(), Kind::Damaged);
    let error = run(Digest::of(b"another image"), saved, true).err().unwrap();
    assert!(error.message().contains("something else"), "{error:?}");
}

#[test]
fn a_daemon_without_room_says_so_and_keeps_its_names() {
    let daemon = Dockerd::start_with_tiny_disk();
    let before = daemon.images();
    let noise = images::layer(&[("message", b"x"), ("noise", &images::noise(3, 24 << 20))]);
    let big = images::image_of(&[noise], Packing::Gzip, "amd64", "big");
    let error = cargo(&[("app:1", &big)]).deliver(&target(&daemon)).err().unwrap();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.chain().contains("no space left"), "{error:?}");
    assert!(error.get_hint().unwrap().contains("make room"), "{error:?}");
    assert_eq!(daemon.images(), before);
}

#[test]
fn a_daemon_that_hangs_up_is_an_error_and_no_hang() {
    let real = Dockerd::start();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let Endpoint::Unix(behind) = real.endpoint() else { panic!("dockerd listens on a socket") };
    // Passes everything on to the real one, but not more than half a megabyte of an upload.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut client = connection.unwrap();
            let mut daemon = std::os::unix::net::UnixStream::connect(&behind).unwrap();
            let (mut back, mut to) = (daemon.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back, &mut to));
            std::thread::spawn(move || {
                let mut few = (&mut client).take(512 << 10);
                let _ = std::io::copy(&mut few, &mut daemon);
                let _ = client.shutdown(std::net::Shutdown::Both);
                let _ = daemon.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    let noise = images::layer(&[("message", b"x"), ("noise", &images::noise(3, 4 << 20))]);
    let built = images::image_of(&[noise], Packing::Gzip, "amd64", "x");
    let target = DaemonTarget::new(&Endpoint::Unix(socket), None).unwrap();
    let begun = std::time::Instant::now();
    let error = cargo(&[("app:1", &built)]).deliver(&target).err().unwrap();
    assert_eq!(error.kind(), Kind::Remote, "{error:?}");
    assert!(begun.elapsed().as_secs() < 20);
    assert!(real.images().is_empty());
}
