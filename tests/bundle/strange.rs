//! Folders in which nothing is as it should be, and bundles of which somebody who can sign says what is
//! not so.

use std::path::PathBuf;

use sealift::bundle::{Bundle, files_of_set};
use sealift::codec::encryption::Identities;
use sealift::endpoint::{Silent, Source};
use sealift::model::manifest::media;
use sealift::model::{Digest, Error, Kind, limits};
use sealift::operation::repair;
use sealift::operation::verify::{Depth, verify};
use serde_json::{Value, json};

use crate::Bench;
use crate::contents::Choice;
use crate::memory::{Memory, tar};
use crate::resealed::Resealed;
use crate::split::Set;

/// Files in a new folder.
fn folder(set: &Set, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let folder = set.bench.path(name);
    std::fs::create_dir(&folder).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    folder
}

/// A volume that does not say which it is any more.
fn nameless(volume: &[u8]) -> Vec<u8> {
    let at = volume.windows(7).position(|bytes| bytes == b"volume\0").unwrap();
    let mut bytes = volume.to_vec();
    bytes[at + 512] ^= 1;
    bytes
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: Kind, says: &str) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.chain().contains(says), "{says}: {error:?}");
    error
}

#[test]
fn what_is_missing_or_too_much_is_told_where_no_last_volume_is() {
    let set = Set::new();
    let (one, other) = (&set.volumes, set.other());
    // One volume alone; then volumes of two sets.
    let alone = folder(&set, "alone", &[("a.1", &one[0])]);
    let error = refused(Bundle::open(&alone), Kind::Damaged, "the last volume of ");
    assert!(error.get_hint().unwrap().starts_with("volume 1 is there: bring the"), "{error:?}");
    let two = folder(&set, "two", &[("a.1", &one[0]), ("b.1", &other[0]), ("b.2", &other[1])]);
    let error = refused(Bundle::open(&two), Kind::Usage, "more than one bundle is there");
    let parts: Vec<&str> = error.get_parts().iter().map(Error::message).collect();
    assert!(parts[0].ends_with(&format!("a: volume 1 of set {}", "a".repeat(32))), "{parts:?}");
    assert!(parts[1].ends_with(&format!("b: volumes 1, 2 of set {}", "b".repeat(32))), "{parts:?}");

    // What does not say which volume it is may be a last one, and serve as that.
    let unnamed = folder(&set, "unnamed", &[("x", &nameless(&one[0]))]);
    let error = Bundle::open(&unnamed.join("x"));
    refused(error, Kind::Damaged, "x does not say which volume it is, and it is not the last");
    let last = nameless(&one[2]);
    let files = [("a.1", &one[0][..]), ("a.2", &one[1]), ("x", &last)];
    let bundle = Bundle::open(&folder(&set, "last", &files)).unwrap();
    let report = verify(&bundle.authenticate(&set.bench.trust).unwrap(), Depth::Quick, 1, &Silent);
    let problems = report.unwrap().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].error.message().starts_with("the content of volume at byte "));
    let lasts = folder(&set, "lasts", &[("x", &last), ("y", &nameless(&other[2]))]);
    refused(Bundle::open(&lasts), Kind::Usage, "y are last volumes of two bundles");
}

#[test]
fn a_file_in_the_place_of_a_volume_that_cannot_be_read_is_told() {
    let set = Set::new();
    std::fs::write(set.file(2), "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n").unwrap();
    let bundle = Bundle::open(&set.folder).unwrap().authenticate(&set.bench.trust).unwrap();
    let report = verify(&bundle, Depth::Full, 1, &Silent).unwrap();
    let [problem] = &report.problems[..] else { panic!("{:?}", report.problems) };
    assert_eq!((problem.error.kind(), problem.volume), (Kind::Damaged, 2));
    assert!(problem.error.chain().contains("is an age file in its form for mail"));
    let hint = problem.error.get_hint().unwrap();
    let ways = "copy that file again, or read it in another way; or the sender makes it again";
    assert!(hint.starts_with(ways), "{hint}");
}

#[test]
fn a_folder_of_too_many_files_is_not_looked_through() {
    let set = Set::new();
    let crowd = folder(&set, "crowd", &[("a.1", &set.volumes[0])]);
    for n in 0..=limits::FOLDER_FILES {
        std::fs::write(crowd.join(format!("{n:x}")), b"").unwrap();
    }
    let error = refused(Bundle::open(&crowd), Kind::Usage, "holds more than 32768 files");
    assert!(error.get_hint().unwrap().contains("a folder of their own"), "{error:?}");
    refused(repair::look(std::slice::from_ref(&crowd), &Silent), Kind::Usage, "too many files");
    // What is beside a file is not listed then, and the file is.
    let named = [crowd.join("a.1")];
    assert_eq!(files_of_set(&named, &Identities::default()), named);
}

/// A bundle of one small image, to say other things of.
fn small(diff_ids: usize) -> (Bench, Resealed, Digest) {
    let bench = Bench::new();
    let mut memory = Memory::default();
    let (layer, diff_id) = memory.layer(&tar(&[("f".into(), vec![7; 3000])]), media::OCI_LAYER);
    let config = json!({
        "os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": vec![diff_id; diff_ids]},
    });
    let config = memory.put(media::OCI_CONFIG, config.to_string().as_bytes());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "config": config, "layers": [layer],
    });
    let root = memory.put(media::OCI_MANIFEST, manifest.to_string().as_bytes());
    memory.name("h.example/app:1", &root);
    let path = bench.path("good");
    bench.write(memory, &path, Choice::default());
    let resealed = Resealed::of(&bench, &path);
    (bench, resealed, root.digest)
}

/// What is wrong with the bundle when its manifest says something else.
fn problems(bench: &Bench, resealed: &Resealed, change: impl FnOnce(&mut Value)) -> Vec<Error> {
    let path = bench.path("other");
    std::fs::write(&path, resealed.with_manifest(change)).unwrap();
    let report = verify(&bench.open(&path), Depth::Full, 1, &Silent).unwrap();
    report.problems.into_iter().map(|problem| problem.error).collect()
}

#[test]
fn an_index_that_nobody_vouches_for_is_read_up_to_a_limit() {
    let (bench, resealed, _) = small(1);
    let path = bench.path("large");
    let large = resealed.with_manifest(|it| it["index"]["content"] = json!((64 << 20) + 1));
    std::fs::write(&path, large).unwrap();
    let error = refused(
        Bundle::open(&path).unwrap().peek(),
        Kind::Malformed,
        "the index of the bundle is 67108865 bytes, more than is read of a bundle that no",
    );
    assert_eq!(error.get_hint(), Some("name the sender's key with --key"));
    let trusted = Bundle::open(&path).unwrap().authenticate(&bench.trust);
    refused(trusted, Kind::Malformed, "it states another content size");
    let shown = Bundle::open(&path).unwrap();
    assert!(format!("{shown:?}").starts_with("Bundle { path: \""), "{shown:?}");
}

#[test]
fn what_is_attached_must_be_known_and_have_an_end() {
    let (bench, resealed, root) = small(1);
    assert!(problems(&bench, &resealed, |_| ()).is_empty());
    let attached = |kind: &str, number: usize| {
        json!({
            "kind": kind, "subject": root, "mediaType": media::OCI_MANIFEST, "size": 100,
            "digest": Digest::of(&number.to_le_bytes()),
        })
    };
    let wrong = problems(&bench, &resealed, |manifest| {
        manifest["images"][0]["attached"] = json!([attached("pigeon", 1)]);
    });
    assert_eq!(wrong[0].kind(), Kind::Malformed);
    assert!(wrong[0].chain().ends_with("does not know: \"pigeon\""), "{wrong:?}");

    // Each of two images has as many as it may, and both are one.
    let wrong = problems(&bench, &resealed, |manifest| {
        let image = manifest["images"][0].clone();
        manifest["images"] = json!([image, image]);
        for (image, from) in [(0, 0), (1, limits::ATTACHMENTS)] {
            let own: Vec<Value> = (from..from + limits::ATTACHMENTS)
                .map(|number| attached("referrer", number))
                .collect();
            manifest["images"][image]["attached"] = json!(own);
        }
    });
    assert_eq!(wrong[0].kind(), Kind::Malformed);
    let says = "more than 1024 artifacts are attached to one image";
    assert!(wrong[0].chain().ends_with(says), "{wrong:?}");
}

#[test]
fn a_manifest_that_is_not_where_it_says_is_damage() {
    let (bench, resealed, _) = small(1);
    let path = bench.path("moved");
    let moved = resealed.with_manifest(|it| it["created"] = json!(1_700_000_001));
    std::fs::write(&path, moved).unwrap();
    let error = Bundle::open(&path).unwrap().authenticate(&bench.trust);
    refused(error, Kind::Malformed, "the tar headers of the bundle have another time");
}

#[test]
fn a_configuration_with_other_layers_says_nothing_of_these() {
    for diff_ids in [0, 2] {
        let (bench, resealed, _) = small(diff_ids);
        assert!(problems(&bench, &resealed, |_| ()).is_empty(), "{diff_ids}");
        let bundle = bench.open(&bench.path("other"));
        assert_eq!(bundle.describe(), format!("bundle {}", bench.path("other").display()));
    }
}
