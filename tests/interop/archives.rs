//! Layouts and archives, against docker and skopeo.

use std::path::Path;
use std::process::Command;

use sealift::codec::tarball::Writer;
use sealift::endpoint::{Origin, Source, Target};
use sealift::model::{Digest, Error, Kind, Platform};
use sealift::transport::archive::{self, ArchiveKind, DockerArchiveTarget, OciArchiveTarget};
use sealift::transport::layout::{LayoutSource, LayoutTarget};

use crate::support::carry::Cargo;
use crate::support::dockerd::Dockerd;
use crate::support::images::{self, Built, Packing, gzip, write_layout};

fn read(path: &Path, kind: ArchiveKind, which: Option<&str>) -> Result<Cargo, Error> {
    Cargo::load(archive::open(path, kind, which)?)
}

fn from_layout(folder: &Path, built: &[(&str, &Built)]) -> Cargo {
    let layout = folder.join("in");
    write_layout(&layout, built);
    Cargo::from_source(&LayoutSource::open(&layout, None).unwrap()).unwrap()
}

fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo")
        .args(["--insecure-policy"])
        .args(arguments)
        .output()
        .expect("skopeo is needed");
    assert!(
        output.status.success(),
        "skopeo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn id(built: &Built) -> String {
    built.id.unwrap().to_string()
}

#[test]
fn what_docker_saves_is_read_in_every_wrapping() {
    let folder = tempfile::tempdir().unwrap();
    let built = images::image("saved\n", Packing::Gzip);
    let daemon = Dockerd::start();
    let cargo = from_layout(folder.path(), &[("h.example/app:1", &built)]);
    let given = folder.path().join("given.tar");
    cargo.deliver(&DockerArchiveTarget::create(&given, None)).unwrap();
    daemon.ok(&["load", "-i", given.to_str().unwrap()]);
    assert_eq!(daemon.run("h.example/app:1"), "saved");
    assert_eq!(daemon.id("h.example/app:1"), id(&built));
    daemon.ok(&["tag", "h.example/app:1", "other:2"]);

    let saved = folder.path().join("saved.tar");
    daemon.ok(&["save", "-o", saved.to_str().unwrap(), "h.example/app:1", "other:2"]);
    let plain = std::fs::read(&saved).unwrap();
    let wrapped = [
        ("saved.tar.gz", gzip(&plain)),
        ("saved.tar.zst", zstd::encode_all(&plain[..], 3).unwrap()),
    ];
    for (name, bytes) in &wrapped {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut digests = Vec::new();
    for name in ["saved.tar", "saved.tar.gz", "saved.tar.zst"] {
        let path = folder.path().join(name);
        let cargo = read(&path, ArchiveKind::Docker, None).unwrap();
        let mut names = cargo.names();
        names.sort();
        assert_eq!(names, ["docker.io/library/other:2", "h.example/app:1"], "{name}");
        for parcel in &cargo.parcels {
            assert!(parcel.root.synthesized);
            let layers: Vec<Digest> =
                parcel.graph.leaves.iter().skip(1).map(|leaf| leaf.descriptor.digest).collect();
            let diff_ids: Vec<Digest> = built.plain.iter().map(|(digest, _)| *digest).collect();
            assert_eq!(layers, diff_ids);
            assert_eq!(parcel.graph.leaves[0].descriptor.digest, built.id.unwrap());
            digests.push(parcel.root.descriptor.digest);
        }
        let one = read(&path, ArchiveKind::Docker, Some("other:2")).unwrap();
        assert_eq!(one.names(), ["docker.io/library/other:2"]);
        let error = read(&path, ArchiveKind::Docker, Some("absent:1")).err().unwrap();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.get_hint().unwrap().contains("other:2"));
        let error = read(&path, ArchiveKind::Oci, None).err().unwrap();
        assert_eq!(error.kind(), Kind::Usage);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "one image, one digest, whatever it was wrapped in");
}

#[test]
fn skopeo_reads_what_we_write() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let one = images::image("one\n", Packing::Gzip);
    let two = images::two_architectures("two\n");
    let cargo = from_layout(folder.path(), &[("h.example/a/one:1", &one), ("two:2", &two)]);

    let layout = out("layout");
    cargo.deliver(&LayoutTarget::create(&layout).unwrap()).unwrap();
    let oci = out("oci.tar");
    cargo.deliver(&OciArchiveTarget::create(&oci)).unwrap();
    let docker = out("docker.tar");
    cargo.deliver(&DockerArchiveTarget::create(&docker, None)).unwrap();

    let raw = |place: &str| skopeo(&["inspect", "--raw", place]);
    for prefix in [format!("oci:{}", layout.display()), format!("oci-archive:{}", oci.display())] {
        assert_eq!(
            Digest::of(raw(&format!("{prefix}:h.example/a/one:1")).as_bytes()),
            one.root.digest
        );
        let index = raw(&format!("{prefix}:docker.io/library/two:2"));
        assert_eq!(Digest::of(index.as_bytes()), two.root.digest);
        let copied = out("copied");
        let to = format!("oci:{}:x", copied.display());
        skopeo(&["copy", "--all", "-q", &format!("{prefix}:docker.io/library/two:2"), &to]);
        let again = LayoutSource::open(&copied, Some("x".into())).unwrap();
        assert_eq!(again.roots().unwrap()[0].descriptor.digest, two.root.digest);
        std::fs::remove_dir_all(copied).unwrap();
    }
    for (name, built) in [("h.example/a/one:1", &one), ("two:2", &two)] {
        let from = format!("docker-archive:{}:{name}", docker.display());
        let config = skopeo(&["inspect", "--config", "--raw", &from]);
        assert!(built.blobs.contains_key(&Digest::of(config.as_bytes())), "{name}");
    }
}

#[test]
fn we_read_what_skopeo_writes() {
    let folder = tempfile::tempdir().unwrap();
    let built = images::image("skopeo\n", Packing::Gzip);
    let layout = folder.path().join("layout");
    write_layout(&layout, &[("1", &built)]);
    let from = format!("oci:{}:1", layout.display());
    let docker = folder.path().join("docker.tar");
    let oci = folder.path().join("oci.tar");
    skopeo(&["copy", "-q", &from, &format!("docker-archive:{}:h.example/app:1", docker.display())]);
    skopeo(&["copy", "-q", &from, &format!("oci-archive:{}:h.example/app:1", oci.display())]);
    for (path, kind) in [(&docker, ArchiveKind::Docker), (&oci, ArchiveKind::Oci)] {
        let bytes = std::fs::read(path).unwrap();
        let wrapped = path.with_extension("tgz");
        std::fs::write(&wrapped, gzip(&bytes)).unwrap();
        for path in [path, &wrapped] {
            let cargo = read(path, kind, None).unwrap();
            assert_eq!(cargo.names(), ["h.example/app:1"]);
            assert_eq!(cargo.parcels[0].root.synthesized, kind == ArchiveKind::Docker);
            if kind == ArchiveKind::Oci {
                assert_eq!(cargo.parcels[0].root.descriptor.digest, built.root.digest);
            }
        }
    }
}

#[test]
fn docker_loads_our_archives_and_runs_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Dockerd::start();
    for (packing, message) in
        [(Packing::Plain, "plain\n"), (Packing::Gzip, "gzip\n"), (Packing::Zstd, "zstd\n")]
    {
        let built = images::image(message, packing);
        let scratch = tempfile::tempdir().unwrap();
        let cargo = from_layout(scratch.path(), &[("h.example/app:1", &built)]);
        let path = folder.path().join("out.tar");
        let delivered = cargo.deliver(&DockerArchiveTarget::create(&path, None)).unwrap();
        let arrival = &delivered.plan.arrivals[0];
        assert_eq!(arrival.target_digest, built.id.unwrap());
        daemon.ok(&["load", "-i", path.to_str().unwrap()]);
        assert_eq!(daemon.id("h.example/app:1"), id(&built));
        assert_eq!(daemon.run("h.example/app:1"), message.trim());

        // An OCI archive goes in by way of skopeo.
        let path = folder.path().join("oci.tar");
        cargo.deliver(&OciArchiveTarget::create(&path)).unwrap();
        daemon.ok(&["rmi", "h.example/app:1"]);
        if packing == Packing::Zstd {
            continue;
        }
        let host = match daemon.endpoint() {
            sealift::transport::daemon::Endpoint::Unix(path) => {
                format!("unix://{}", path.display())
            }
            sealift::transport::daemon::Endpoint::Tcp(place) => format!("tcp://{place}"),
        };
        skopeo(&[
            "copy",
            "-q",
            "--dest-daemon-host",
            &host,
            &format!("oci-archive:{}:h.example/app:1", path.display()),
            "docker-daemon:h.example/app:1",
        ]);
        assert_eq!(daemon.run("h.example/app:1"), message.trim());
    }
}

#[test]
fn a_docker_archive_takes_the_platform_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let built = images::two_architectures("two\n");
    let cargo = from_layout(folder.path(), &[("two:2", &built)]);
    let wish = |text: &str| Some(text.parse::<Platform>().unwrap());
    let path = folder.path().join("out.tar");
    let plan = |platform| DockerArchiveTarget::create(&path, platform).plan(&cargo.parcels);
    let ids: Vec<Digest> = ["linux/amd64", "linux/arm64"]
        .map(|text| plan(wish(text)).unwrap().arrivals[0].target_digest)
        .to_vec();
    assert_ne!(ids[0], ids[1]);
    let error = plan(wish("linux/s390x")).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.get_hint().unwrap().contains("linux/amd64, linux/arm64"));
    assert!(!path.exists());
}

#[test]
fn a_layout_is_added_to_and_damage_in_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let one = images::image("one\n", Packing::Gzip);
    let two = images::image("two\n", Packing::Gzip);
    let out = folder.path().join("out");
    write_layout(&out, &[("kept", &one)]);
    let damaged = out.join("blobs/sha256").join(one.layers[0].digest.hex());
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();

    let cargo = from_layout(folder.path(), &[("h.example/app:1", &two)]);
    let first = cargo.deliver(&LayoutTarget::create(&out).unwrap()).unwrap();
    // The base is shared but was damaged; the middle is shared and whole.
    let left_out = two.layers[1].size;
    let all: u64 = first.plan.blobs.iter().map(|step| step.bytes).sum();
    assert_eq!(first.sent, all - left_out);
    let second = cargo.deliver(&LayoutTarget::create(&out).unwrap()).unwrap();
    assert_eq!(second.sent, 0);

    let source = LayoutSource::open(&out, None).unwrap();
    let again = Cargo::from_source(&source).unwrap();
    assert_eq!(again.names(), ["localhost/out:kept", "h.example/app:1"]);
    let hidden = std::fs::read_dir(out.join("blobs/sha256"))
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with('.'));
    assert!(!hidden, "a temporary file was left");
}

#[test]
fn attachments_travel_through_layouts_and_archives() {
    let folder = tempfile::tempdir().unwrap();
    let one = images::image("one\n", Packing::Gzip);
    let signature =
        images::image_of(&[images::layer(&[("s", b"sig")])], Packing::Plain, "amd64", "s");
    let tag = format!("h.example/app:{}.sig", one.root.digest.as_tag());
    let cargo = from_layout(folder.path(), &[("h.example/app:1", &one), (&tag, &signature)]);
    assert_eq!(cargo.names(), ["h.example/app:1"]);
    assert_eq!(cargo.parcels[0].satellites.len(), 1);
    let path = folder.path().join("out.tar");
    cargo.deliver(&OciArchiveTarget::create(&path)).unwrap();
    let again = read(&path, ArchiveKind::Oci, None).unwrap();
    assert_eq!(again.names(), ["h.example/app:1"]);
    assert_eq!(
        again.parcels[0].satellites[0].graph.root().descriptor.digest,
        signature.root.digest
    );
}

#[test]
fn a_blob_that_turns_out_wrong_leaves_no_archive() {
    let folder = tempfile::tempdir().unwrap();
    let built = images::image("one\n", Packing::Gzip);
    let mut cargo = from_layout(folder.path(), &[("h.example/app:1", &built)]);
    cargo.blobs.get_mut(&built.layers[0].digest).unwrap()[5000] ^= 1;
    let path = folder.path().join("out.tar");
    let error = cargo.deliver(&OciArchiveTarget::create(&path)).err().unwrap();
    assert_eq!(error.kind(), Kind::Damaged);
    let out = folder.path().join("out");
    let target = LayoutTarget::create(&out).unwrap();
    assert_eq!(cargo.deliver(&target).err().unwrap().kind(), Kind::Damaged);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "in" && name != "out")
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!out.join("index.json").exists());
    let blob = out.join("blobs/sha256").join(built.layers[0].digest.hex());
    assert!(!blob.exists());
}

#[test]
fn a_layout_cannot_be_led_out_of_its_directory() {
    let folder = tempfile::tempdir().unwrap();
    let built = images::image("one\n", Packing::Gzip);
    let layout = folder.path().join("layout");
    write_layout(&layout, &[("1", &built)]);
    let blob = layout.join("blobs/sha256").join(built.layers[1].digest.hex());
    let outside = folder.path().join("outside");
    std::fs::rename(&blob, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &blob).unwrap();
    let source = LayoutSource::open(&layout, None).unwrap();
    assert!(Cargo::from_source(&source).is_err());
    std::fs::remove_file(&blob).unwrap();
    let error = Cargo::from_source(&source).err().unwrap();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.message().contains(&built.layers[1].digest.to_string()));
    let error = LayoutSource::open(folder.path(), None).err().unwrap();
    assert_eq!(error.kind(), Kind::Usage);
}

/// An archive in docker's form, made by hand.
fn docker_form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (path, bytes) in files {
        tar.bytes(path, bytes).unwrap();
    }
    tar.finish().unwrap()
}

#[test]
fn hostile_and_damaged_archives_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let layer = images::layer(&[("a", b"1")]);
    let diff_id = Digest::of(&layer);
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
    );
    let config_name = format!("{}.json", Digest::of(config.as_bytes()).hex());
    let manifest =
        format!(r#"[{{"Config":"{config_name}","RepoTags":["a:1"],"Layers":["l/layer.tar"]}}]"#);
    let (config, manifest) = (config.as_bytes(), manifest.as_bytes());
    let good: Vec<(&str, &[u8])> =
        vec![(&config_name, config), ("l/layer.tar", &layer), ("manifest.json", manifest)];
    let other = images::layer(&[("a", b"2")]);
    let with = |at: usize, entry: (&'static str, &[u8])| {
        let mut files: Vec<(String, Vec<u8>)> =
            good.iter().map(|(p, b)| ((*p).to_owned(), b.to_vec())).collect();
        if at < files.len() {
            let path = if entry.0.is_empty() { files[at].0.clone() } else { entry.0.to_owned() };
            files[at] = (path, entry.1.to_vec());
        } else {
            files.push((entry.0.to_owned(), entry.1.to_vec()));
        }
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(p, b)| (p.as_str(), b.as_slice())).collect();
        docker_form(&files)
    };
    let mut changed = config.to_vec();
    let at = changed.iter().rposition(|b| *b == b'l').unwrap();
    changed[at] = b'm';
    let whole = docker_form(&good);
    let cases: Vec<(&str, Vec<u8>, Kind, &str)> = vec![
        ("another layer", with(1, ("", &other)), Kind::Damaged, ""),
        ("another config", with(0, ("", &changed)), Kind::Damaged, "configuration"),
        ("no layer", with(1, ("x", b"")), Kind::Damaged, "l/layer.tar"),
        ("no config", with(0, ("x", b"")), Kind::Damaged, "configuration"),
        ("out of the tree", with(9, ("../../evil", b"x")), Kind::Malformed, "evil"),
        ("twice", with(9, ("manifest.json", b"[]")), Kind::Malformed, "twice"),
        ("cut short", whole[..whole.len() / 2].to_vec(), Kind::Damaged, ""),
        ("a picture", b"\xff\xd8\xff\xe0".repeat(1000), Kind::Damaged, "tar"),
        ("xz", b"\xfd7zXZ\0\0\0".repeat(100), Kind::Malformed, "xz"),
    ];
    let try_all = |bytes: &[u8]| {
        let path = folder.path().join("x.tar");
        std::fs::write(&path, bytes).unwrap();
        let plain = read(&path, ArchiveKind::Docker, None);
        std::fs::write(&path, gzip(bytes)).unwrap();
        (plain, read(&path, ArchiveKind::Docker, None))
    };
    let (plain, wrapped) = try_all(&whole);
    assert_eq!((plain.unwrap().names().len(), wrapped.unwrap().names().len()), (1, 1));
    for (what, bytes, kind, mentions) in cases {
        let (plain, wrapped) = try_all(&bytes);
        for result in [plain, wrapped] {
            // A foreign compression inside gzip is just a broken tar.
            let Err(error) = result else { panic!("{what} was taken") };
            if what == "xz" && error.kind() == Kind::Damaged {
                continue;
            }
            assert_eq!(error.kind(), kind, "{what}: {error:?}");
            assert!(error.chain().contains(mentions), "{what}: {error:?}");
        }
    }
    let (plain, wrapped) = try_all(b"");
    assert_eq!(plain.err().unwrap().kind(), Kind::Malformed);
    assert_eq!(wrapped.err().unwrap().kind(), Kind::Damaged);
    assert!(!folder.path().join("../evil").exists());
}

#[test]
fn an_archive_that_lacks_a_blob_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let mut built = images::image("one\n", Packing::Gzip);
    let gone = built.layers[1].digest;
    built.blobs.remove(&gone);
    let path = folder.path().join("x.tar");
    std::fs::write(&path, images::oci_archive(&[("a:1", &built)])).unwrap();
    let error = read(&path, ArchiveKind::Oci, None).err().unwrap();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.message().contains(&gone.to_string()));
}

#[test]
fn a_sparse_index_in_an_archive_gives_its_child() {
    let folder = tempfile::tempdir().unwrap();
    let mut built = images::two_architectures("two\n");
    let index = built.root.digest;
    let here = images::image("two\n", Packing::Gzip);
    built.blobs.retain(|digest, _| *digest == index || here.blobs.contains_key(digest));
    for (name, bytes) in [
        ("x.tar", images::oci_archive(&[("a:1", &built)])),
        ("x.tar.gz", gzip(&images::oci_archive(&[("a:1", &built)]))),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let cargo = read(&path, ArchiveKind::Oci, None).unwrap();
        let root = &cargo.parcels[0].root;
        assert_eq!((cargo.parcels.len(), root.from_index), (1, Some(index)));
        assert_eq!(root.descriptor.digest, here.root.digest);
    }
}

#[test]
fn a_plain_archive_is_a_source_and_a_wrapped_one_a_feed() {
    let folder = tempfile::tempdir().unwrap();
    let built = images::image("one\n", Packing::Gzip);
    let path = folder.path().join("x.tar");
    std::fs::write(&path, images::oci_archive(&[("a:1", &built)])).unwrap();
    assert!(matches!(archive::open(&path, ArchiveKind::Oci, None).unwrap(), Origin::Source(_)));
    std::fs::write(&path, gzip(&images::oci_archive(&[("a:1", &built)]))).unwrap();
    match archive::open(&path, ArchiveKind::Oci, Some("a:1")).unwrap() {
        Origin::Feed(feed) => {
            let announced = feed.announce().unwrap();
            assert_eq!(announced[0].0, "docker.io/library/a:1");
            assert!(announced[0].1 > 500_000);
        }
        Origin::Source(_) => panic!("a compressed archive cannot be a source"),
    }
}

#[test]
fn no_flipped_bit_brings_other_content() {
    let folder = tempfile::tempdir().unwrap();
    let small = images::image_of(
        &[images::layer(&[("a", b"1")]), images::layer(&[("b", b"2")])],
        Packing::Plain,
        "amd64",
        "small",
    );
    let cargo = from_layout(folder.path(), &[("a:1", &small)]);
    let docker = folder.path().join("docker.tar");
    cargo.deliver(&DockerArchiveTarget::create(&docker, None)).unwrap();
    let archives = [
        (ArchiveKind::Docker, std::fs::read(&docker).unwrap()),
        (ArchiveKind::Oci, images::oci_archive(&[("a:1", &small)])),
    ];
    let path = folder.path().join("x.tar");
    for (kind, good) in &archives {
        let mut refused = 0;
        for at in (0..good.len()).step_by(17) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, &bytes).unwrap();
            let Ok(read) = read(&path, *kind, None) else {
                refused += 1;
                continue;
            };
            for parcel in &read.parcels {
                let leaves: Vec<Digest> =
                    parcel.graph.leaves.iter().map(|leaf| leaf.descriptor.digest).collect();
                let mut expected = vec![small.id.unwrap()];
                expected.extend(small.layers.iter().map(|layer| layer.digest));
                assert_eq!(leaves, expected, "{kind:?}: a flip at {at} was accepted");
            }
        }
        assert!(refused > 40, "{kind:?}: only {refused} flips were noticed");
    }
}
