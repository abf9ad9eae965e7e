//! Cases 58 to 62: images that are not what they say, in bundles and where bundles are made.

use std::fs;

use serde_json::{Value, json};

use crate::catalogue::Entry;
use crate::sample::{FIRST, key, sample};
use crate::scene::{Case, files};
use crate::support::forge::{Forge, member, put_member};
use crate::support::images::{self, Packing, image_of, layer};
use crate::support::mock::{Server, reply};

pub(crate) const CASES: &[Entry] = &[
    Entry { number: 58, name: "digests that are none", play: odd_digests },
    Entry { number: 59, name: "manifests and layers in one manifest", play: both_kinds },
    Entry { number: 60, name: "sizes and digests that do not fit each other", play: mismatches },
    Entry { number: 61, name: "urls that lead inside", play: urls },
    Entry { number: 62, name: "a layer that wants out of its tree", play: escaping_layer },
];

fn small() -> Forge {
    Forge::of(&sample().small)
}

/// Digest and bytes of the manifest of the first image.
fn manifest() -> (String, Vec<u8>) {
    let index: Value = serde_json::from_slice(&sample().arrived["index.json"]).unwrap();
    let named = |entry: &&Value| {
        entry["annotations"]["org.opencontainers.image.ref.name"].as_str() == Some(FIRST)
    };
    let entry = index["manifests"].as_array().unwrap().iter().find(named).expect(FIRST);
    let hex = entry["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
    let bytes = sample().arrived[&format!("blobs/sha256/{hex}")].clone();
    (hex, bytes)
}

/// The small bundle with other words in the manifest of its first image, as long as before: all
/// digests follow.
fn with_manifest(from: &str, to: &str) -> Forge {
    let bytes = manifest().1;
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    let changed = text.replacen(from, &format!("{to:<width$}", width = from.len()), 1);
    small().with_blob(&bytes, changed.as_bytes())
}

/// What stands behind the first such key of that manifest, and its quotes or comma.
fn value(key: &str) -> String {
    let manifest: Value = serde_json::from_slice(&manifest().1).unwrap();
    manifest.pointer(key).unwrap().to_string()
}

fn refuse(case: &mut Case, what: &str, forged: &Forge, code: i32) {
    case.refuses(what, &forged.sealed(&[key(1)]), code);
}

/// 64 characters that lead out of any folder of blobs.
fn way_up() -> String {
    format!("{}x", "../".repeat(21))
}

fn odd_digests(case: &mut Case) {
    let (hex, _) = manifest();
    let full = format!("sha256:{hex}");
    for (what, digest) in [
        ("a path", "sha256:../../x".to_owned()),
        ("a path as long as a digest", format!("sha256:{}", way_up())),
        ("too short", "sha256:abcd".to_owned()),
        ("md5", format!("md5:{}", &hex[..32])),
        ("upper case", full.to_uppercase().replace("SHA", "sha")),
    ] {
        refuse(case, &format!("{what}, of an image"), &small().with_words(&full, &digest), 7);
    }
    let config = value("/config/digest");
    let path = format!("\"sha256:{}\"", way_up());
    refuse(case, "a path, in the manifest of an image", &with_manifest(&config, &path), 7);
    let short = "\"sha256:abcd\"";
    refuse(case, "too short, in the manifest of an image", &with_manifest(&config, short), 7);
}

fn both_kinds(case: &mut Case) {
    let annotations = format!("\"annotations\":{}", value("/annotations"));
    let both = with_manifest(&annotations, "\"manifests\":[]");
    refuse(case, "in a bundle", &both, 7);

    let image = image_of(&[layer(&[("a", b"a")])], Packing::Plain, "amd64", "a");
    let mut both: Value = serde_json::from_slice(&image.blobs[&image.root.digest]).unwrap();
    both["manifests"] = json!([]);
    let told = export(case, &image, &both);
    assert_eq!(told.code, 7, "{}", told.text);
    case.row("in a layout that is exported", &told);
}

/// Exports an image under another manifest.
fn export(case: &Case, image: &images::Built, manifest: &Value) -> crate::scene::Told {
    let bytes = manifest.to_string().into_bytes();
    let mut other = image.clone();
    other.blobs.remove(&image.root.digest);
    other.root = sealift::model::Descriptor::of(&image.root.media_type, &bytes);
    other.blobs.insert(other.root.digest, bytes);
    let folder = case.station.path("source");
    let _ = fs::remove_dir_all(&folder);
    images::write_layout(&folder, &[("h.example/x:1", &other)]);
    let told = case.run(&["export", "-q", "--force", "oci:source", "-o", "new.sealift"]);
    assert_eq!(told.code == 0, case.station.path("new.sealift").exists(), "{}", told.text);
    told
}

fn mismatches(case: &mut Case) {
    let size = format!("\"size\":{}", value("/layers/0/size"));
    let smaller = format!("{}0", &size[..size.len() - 1]);
    assert_ne!(size, smaller);
    refuse(case, "a layer of another size", &with_manifest(&size, &smaller), 7);
    let digest = value("/layers/0/digest");
    let nowhere = format!("\"sha256:{}\"", "0".repeat(64));
    refuse(case, "a layer that is not there", &with_manifest(&digest, &nowhere), 4);
    let config = value("/config/digest");
    refuse(case, "a configuration that is not there", &with_manifest(&config, &nowhere), 4);

    // A configuration with another diff ID, and a manifest that names it.
    let path = format!("blobs/sha256/{}", config.trim_matches('"').trim_start_matches("sha256:"));
    let old = sample().arrived[&path].clone();
    let text = String::from_utf8(old.clone()).unwrap();
    let parsed: Value = serde_json::from_slice(&old).unwrap();
    let diff_id = parsed["rootfs"]["diff_ids"][0].as_str().unwrap();
    let new = text.replace(diff_id, nowhere.trim_matches('"'));
    let named = format!("\"{}\"", sealift::model::Digest::of(new.as_bytes()));
    let lying = with_manifest(&config, &named).with_blob(&old, new.as_bytes());
    fs::write(case.station.path("bad.sealift"), lying.sealed(&[key(1)])).unwrap();
    let told = case.run(&["verify", "-q", "bad.sealift"]);
    assert_eq!(told.code, 7, "{}", told.text);
    case.row("a layer that opens to something else than its diff ID", &told);
}

fn urls(case: &mut Case) {
    let server = Server::start(|_| reply(200).body("secret"));
    for (what, kind, carried) in [
        (
            "a foreign layer is not carried",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            false,
        ),
        ("any other layer comes from its source", "application/vnd.oci.image.layer.v1.tar", true),
    ] {
        let image = image_of(&[layer(&[("a", b"a")])], Packing::Plain, "amd64", "a");
        let mut manifest: Value = serde_json::from_slice(&image.blobs[&image.root.digest]).unwrap();
        manifest["layers"][0]["mediaType"] = json!(kind);
        let inside = [
            "http://169.254.169.254/latest/meta-data".to_owned(),
            format!("http://{}/x", server.host()),
        ];
        manifest["layers"][0]["urls"] = json!(inside);
        let mut image = image;
        if !carried {
            image.blobs.remove(&image.layers[0].digest);
        }
        let told = export(case, &image, &manifest);
        assert_eq!(told.code, 0, "{}", told.text);
        let imported = case.run(&["import", "-q", "new.sealift", "--to", "oci:there"]);
        assert_eq!(imported.code, 0, "{}", imported.text);
        case.row(what, &told);
    }
    assert!(server.seen().is_empty(), "something was fetched from inside");
}

fn escaping_layer(case: &mut Case) {
    let sentinel = case.station.path("sentinel");
    fs::write(&sentinel, "untouched").unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    let mut put = |name: &str, kind: tar::EntryType, link: &str| {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(if link.is_empty() { 4 } else { 0 });
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, if link.is_empty() { &b"evil"[..] } else { b"" }).unwrap();
    };
    let outside = sentinel.display().to_string();
    put("../sentinel", tar::EntryType::Regular, "");
    put("../../sentinel", tar::EntryType::Regular, "");
    put("way", tar::EntryType::Symlink, "..");
    put("way/sentinel", tar::EntryType::Regular, "");
    put("hard", tar::EntryType::Link, &outside[..outside.len().min(99)]);
    put("hard", tar::EntryType::Regular, "");
    let escaping = builder.into_inner().unwrap();
    let image = image_of(&[escaping], Packing::Gzip, "amd64", "x");
    let manifest = serde_json::from_slice(&image.blobs[&image.root.digest]).unwrap();
    let told = export(case, &image, &manifest);
    assert_eq!(told.code, 0, "{}", told.text);
    let imported = case.run(&["import", "-q", "new.sealift", "--to", "oci:there"]);
    assert_eq!(imported.code, 0, "{}", imported.text);
    let arrived = files(&case.station.path("there"));
    let digest = image.layers[0].digest;
    assert!(arrived[&format!("blobs/sha256/{}", digest.hex())] == image.blobs[&digest]);
    case.row("it is carried as it is and never unpacked", &told);

    let small = &sample().small;
    let index = member(small, "index/").at;
    for (what, name) in [("in front of the index", "../sentinel"), ("an absolute one", "/etc/x")] {
        let mut bytes = small[..index].to_vec();
        put_raw(&mut bytes, name, b"evil");
        bytes.extend(&small[index..]);
        case.refuses(&format!("a member {name} of the bundle, {what}"), &bytes, 4);
    }
    assert_eq!(fs::read_to_string(&sentinel).unwrap(), "untouched");
    case.shown(
        "tests/interop/archives.rs",
        "hostile_and_damaged_archives_are_refused_with_the_reason",
    );
    case.shown("tests/interop/archives.rs", "a_layout_cannot_be_led_out_of_its_directory");
}

/// Appends a member whose name no tar library would write.
fn put_raw(volume: &mut Vec<u8>, name: &str, content: &[u8]) {
    let at = volume.len();
    put_member(volume, &"n".repeat(name.len()), content, 1_700_000_000);
    volume[at..at + name.len()].copy_from_slice(name.as_bytes());
    let mut header = tar::Header::from_byte_slice(&volume[at..at + 512]).clone();
    header.set_cksum();
    volume[at..at + 512].copy_from_slice(header.as_bytes());
}
