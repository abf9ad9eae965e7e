//! The docker daemon of the machine (20.10, classic store), given images in several uploads.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealift::endpoint::{Action, Target};
use sealift::model::{Descriptor, Digest, Kind};
use sealift::transport::daemon::{DaemonTarget, Endpoint};
use sealift::transport::layout::LayoutSource;

use crate::support::carry::Cargo;
use crate::support::dockerd::Dockerd;
use crate::support::images::{self, Built, Packing, write_layout};

fn cargo(built: &[(&str, &Built)]) -> Cargo {
    let folder = tempfile::tempdir().unwrap();
    write_layout(folder.path(), built);
    Cargo::from_source(&LayoutSource::open(folder.path(), None).unwrap()).unwrap()
}

/// A target that sends each image in an upload of its own.
fn target(endpoint: &Endpoint) -> DaemonTarget {
    DaemonTarget::new(endpoint, None).unwrap().in_uploads_of(0)
}

/// The common base, something of some size, and the message.
fn on_base(message: &str, size: usize) -> Built {
    let own = images::layer(&[("own", &images::noise(size as u64, size))]);
    let top = images::layer(&[("message", message.as_bytes())]);
    images::image_of(&[images::base(), own, top], Packing::Gzip, "amd64", message)
}

/// An image that shares nothing with those above.
fn alone(message: &str) -> Built {
    let noise = images::layer(&[("alone", &images::noise(9, 200 << 10))]);
    let layers = [noise, images::base(), images::layer(&[("message", message.as_bytes())])];
    images::image_of(&layers, Packing::Gzip, "amd64", message)
}

/// Bytes of these layers and the configuration.
fn bytes(built: &Built, layers: std::ops::RangeFrom<usize>) -> u64 {
    let config = built.blobs[&built.id.unwrap()].len() as u64;
    built.plain[layers].iter().map(|(_, size)| size).sum::<u64>() + config
}

/// The names that the daemon has; images without one are left out.
fn named(daemon: &Dockerd) -> Vec<String> {
    daemon.images().into_iter().filter(|line| !line.starts_with("<none>")).collect()
}

/// Stands in front of a daemon. Does something when an upload has been answered, before the answer
/// is passed on.
struct Door {
    folder: tempfile::TempDir,
    uploads: Arc<AtomicUsize>,
}

impl Door {
    fn open(daemon: &Dockerd, answered: impl Fn(usize) + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        let Endpoint::Unix(behind) = daemon.endpoint() else { panic!("dockerd is at a socket") };
        let uploads = Arc::new(AtomicUsize::new(0));
        let (count, answered) = (uploads.clone(), Arc::new(answered));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut client = connection.unwrap();
                let Ok(daemon) = UnixStream::connect(&behind) else { continue };
                // Counted here, where they come one after another.
                let mut start = vec![0; 4096];
                let n = client.read(&mut start).unwrap_or(0);
                start.truncate(n);
                let upload = start.starts_with(b"POST /images/load");
                let number = upload.then(|| count.fetch_add(1, Ordering::SeqCst));
                let answered = answered.clone();
                std::thread::spawn(move || pass(client, daemon, &start, number, &*answered));
            }
        });
        Self { folder, uploads }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.folder.path().join("s"))
    }

    fn uploads(&self) -> usize {
        self.uploads.load(Ordering::SeqCst)
    }
}

fn pass(
    mut client: UnixStream,
    mut daemon: UnixStream,
    start: &[u8],
    number: Option<usize>,
    answered: &(dyn Fn(usize) + Send + Sync),
) {
    let (mut back, mut to) = (daemon.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let Some(number) = number else { return drop(std::io::copy(&mut back, &mut to)) };
            let mut answer = Vec::new();
            if back.read_to_end(&mut answer).is_ok() && !answer.is_empty() {
                answered(number);
                let _ = to.write_all(&answer);
            }
            let _ = to.shutdown(Shutdown::Both);
        });
        if daemon.write_all(start).is_ok() {
            let _ = std::io::copy(&mut client, &mut daemon);
        }
        let _ = daemon.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_shared_base_goes_ahead_and_everything_arrives() {
    let daemon = Dockerd::start();
    let door = Door::open(&daemon, |_| ());
    let large = on_base("large\n", 300 << 10);
    let small = on_base("small\n", 1000);
    let middle = on_base("middle\n", 100 << 10);
    let other = alone("other\n");
    let named = [("h.example/large:1", &large), ("other:1", &other), ("small:1", &small)];
    let cargo_of_four = cargo(&[named.as_slice(), &[("middle:1", &middle)]].concat());
    let delivered = cargo_of_four.deliver(&target(&door.endpoint())).unwrap();
    assert_eq!((door.uploads(), delivered.again), (4, 0));
    let base = small.plain[0].1;
    // The base lies on nothing in three images, and on another layer in the fourth.
    let others = bytes(&large, 1..) + bytes(&middle, 1..) + bytes(&other, 0..);
    assert_eq!(delivered.sent, base + bytes(&small, 1..) + others);
    for (name, message) in
        [("h.example/large:1", "large"), ("small:1", "small"), ("middle:1", "middle")]
    {
        assert_eq!(daemon.run(name), message);
    }
    assert_eq!(daemon.run("other:1"), "other");
    assert_eq!(daemon.id("small:1"), small.id.unwrap().to_string());

    let again = cargo_of_four.deliver(&target(&door.endpoint())).unwrap();
    assert_eq!((again.sent, door.uploads()), (0, 4));
    assert!(again.plan.tags.iter().all(|step| step.action == Action::Present));
}

/// The image with a configuration that says something else of its topmost layer.
fn lying(built: &Built) -> Built {
    let mut lying = built.clone();
    let replace = |lying: &mut Built, old: Digest, new: &[u8]| {
        lying.blobs.remove(&old);
        let digest = Digest::of(new);
        lying.blobs.insert(digest, new.to_vec());
        digest
    };
    let text = |digest: &Digest| String::from_utf8(built.blobs[digest].clone()).unwrap();
    let id = built.id.unwrap();
    let top = built.plain.last().unwrap().0.to_string();
    let config = text(&id).replace(&top, &Digest::of(b"something else").to_string());
    let new_id = replace(&mut lying, id, config.as_bytes());
    let manifest = text(&built.root.digest).replace(&id.to_string(), &new_id.to_string());
    replace(&mut lying, built.root.digest, manifest.as_bytes());
    lying.root = Descriptor::of(&built.root.media_type, manifest.as_bytes());
    lying.id = Some(new_id);
    lying
}

#[test]
fn one_that_is_refused_leaves_names_alone_and_the_rest_need_not_travel_again() {
    let daemon = Dockerd::start();
    let before = on_base("before\n", 500);
    cargo(&[("good:1", &before), ("bad:1", &before)]).deliver(&target(&daemon.endpoint())).unwrap();
    let names = named(&daemon);

    let good = on_base("good\n", 1000);
    let bad = lying(&on_base("bad\n", 100 << 10));
    let behind = on_base("behind\n", 300 << 10);
    let all = cargo(&[("behind:1", &behind), ("bad:1", &bad), ("good:1", &good)]);
    let error = all.deliver(&target(&daemon.endpoint())).err().unwrap();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.message().contains("invalid diffID"), "{error:?}");
    assert_eq!(named(&daemon), names);
    assert_eq!(daemon.run("good:1"), "before");

    // What arrived before is there, without a name.
    let rest = cargo(&[("behind:1", &behind), ("good:1", &good)]);
    let plan = target(&daemon.endpoint()).plan(&rest.parcels).unwrap();
    let config_of_good = good.id.unwrap();
    let step = plan.blobs.iter().find(|step| step.descriptor.digest == config_of_good).unwrap();
    assert_eq!(step.action, Action::Present);
    rest.deliver(&target(&daemon.endpoint())).unwrap();
    assert_eq!(daemon.run("good:1"), "good");
    assert_eq!(daemon.run("behind:1"), "behind");
}

#[test]
fn a_daemon_that_is_killed_between_two_uploads_gets_only_the_rest_later() {
    let mut daemon = Dockerd::start();
    let before = on_base("before\n", 500);
    cargo(&[("first:1", &before)]).deliver(&target(&daemon.endpoint())).unwrap();
    let names = named(&daemon);

    let process = daemon.process().to_string();
    let door = Door::open(&daemon, move |number| {
        assert_eq!(number, 0, "the second waits for the first");
        assert!(Command::new("kill").args(["-9", &process]).status().unwrap().success());
    });
    let first = on_base("first\n", 1000);
    // Stands on the layers of the first, but for the topmost.
    let own = images::layer(&[("own", &images::noise(1000, 1000))]);
    let top = images::layer(&[("message", b"second\n"), ("more", &images::noise(4, 200 << 10))]);
    let second = images::image_of(&[images::base(), own, top], Packing::Gzip, "amd64", "second");
    let both = cargo(&[("second:1", &second), ("first:1", &first)]);
    let error = both.deliver(&target(&door.endpoint())).err().unwrap();
    assert_eq!(error.kind(), Kind::Remote, "{error:?}");

    daemon.start_again();
    assert_eq!(named(&daemon), names);
    assert_eq!(daemon.run("first:1"), "before");
    let delivered = both.deliver(&target(&daemon.endpoint())).unwrap();
    assert_eq!((delivered.sent, delivered.again), (bytes(&second, 2..), 0));
    assert_eq!(daemon.run("first:1"), "first");
    assert_eq!(daemon.run("second:1"), "second");
}

#[test]
fn what_somebody_removes_in_between_is_sent_once_more() {
    let daemon = Dockerd::start();
    let Endpoint::Unix(socket) = daemon.endpoint() else { panic!("dockerd is at a socket") };
    let first = on_base("first\n", 1000);
    let second = on_base("second\n", 100 << 10);
    let host = format!("unix://{}", socket.display());
    let door = Door::open(&daemon, move |number| {
        if number == 0 {
            let prune = ["-H", &host, "image", "prune", "--force"];
            assert!(Command::new("docker").args(prune).output().unwrap().status.success());
        }
    });
    let delivered =
        cargo(&[("first:1", &first), ("second:1", &second)]).deliver(&target(&door.endpoint()));
    assert_eq!(delivered.unwrap().again, 1);
    assert_eq!(door.uploads(), 3, "the second time all of it travels together");
    assert_eq!(daemon.run("first:1"), "first");
    assert_eq!(daemon.run("second:1"), "second");
}
