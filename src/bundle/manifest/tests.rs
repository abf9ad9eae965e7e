use super::*;
use crate::model::Kind;
use serde_json::{Value, json};

/// Two volumes, with a pack in the first, a pack and the index in the second.
fn sample() -> Value {
    let frame = |volume: u64, offset: u64, content: &str| {
        json!({
            "volume": volume, "offset": offset, "size": 100, "content": 90,
            "digest": Digest::of(content.as_bytes()),
        })
    };
    json!({
        "set": "a".repeat(32),
        "created": 1_700_000_000u64,
        "generator": "test",
        "images": [{
            "name": "h.example/app:1",
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": Digest::of(b"image"),
            "size": 7,
        }],
        "volumes": [{"number": 1, "size": 4096}, {"number": 2, "size": 4096}],
        "readme": {"size": 3, "digest": Digest::of(b"abc")},
        "packs": [frame(1, 2048, "one"), frame(2, 2048, "two")],
        "index": frame(2, 3072, "index"),
        "encoder": {"zstd": "1", "level": 3, "windowLog": 23, "chunker": "c"},
    })
}

fn parse(manifest: &Value) -> Result<Manifest> {
    Manifest::parse(format!("{TYPE_LINE}{manifest}").as_bytes())
}

/// What is said of the sample with another value in this place, or with one more.
#[track_caller]
fn refused(place: &str, value: impl Into<Value>) -> String {
    let mut manifest = sample();
    let (parent, name) = place.rsplit_once('/').unwrap();
    match manifest.pointer_mut(parent).unwrap() {
        Value::Object(object) => drop(object.insert(name.to_owned(), value.into())),
        array => array[name.parse::<usize>().unwrap()] = value.into(),
    }
    let error = parse(&manifest).unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed, "{error}");
    error.message().to_owned()
}

#[test]
fn the_sample_is_a_manifest_and_is_read_as_it_is_written() {
    let manifest = parse(&sample()).unwrap();
    assert_eq!(manifest.position(), None);
    assert_eq!(manifest.packs[1].data_offset(), 2560);
    assert_eq!(Manifest::parse(&manifest.to_bytes().unwrap()).unwrap(), manifest);
    let mut long = manifest;
    long.generator = "x".repeat(17 << 20);
    let error = long.to_bytes().unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(error.message().ends_with("a manifest of more than 16 MiB"), "{error}");
}

#[test]
fn what_is_no_manifest_of_this_version_is_refused() {
    for (text, says) in [
        ("sealift manifest 2\n{}", "begins with \"sealift manifest 2\""),
        ("\u{1b}[2J\n{}", "begins with \"\\u{1b}[2J\""),
        ("", "begins with \"\""),
        ("sealift manifest 1\n[]", "is no JSON object"),
        ("sealift manifest 1\n", "is no JSON object"),
        ("sealift manifest 1\n{}", "is not the JSON document it should be"),
    ] {
        let error = Manifest::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed, "{text}");
        assert!(error.message().contains(says), "{text}: {error}");
    }
}

#[test]
fn every_field_that_cannot_be_right_is_told() {
    let long = |name: &str| Value::from(format!("sha512:{}", name.repeat(128)));
    let base = json!({"digest": Digest::of(b"base"), "created": 1});
    let attached: Vec<Value> = (0..=limits::ATTACHMENTS)
        .map(|n| {
            json!({
                "kind": "tag", "subject": Digest::of(b"image"), "mediaType": "m",
                "digest": Digest::of(&n.to_le_bytes()), "size": 1,
            })
        })
        .collect();
    let volumes = |count: usize| vec![json!({"number": 1, "size": 4096}); count];
    for (place, value, says) in [
        ("/critical", json!(["warp"]), "needs the feature \"warp\""),
        ("/critical", json!(["base"]), "its base is not named as a feature"),
        ("/base", base, "its base is not named as a feature"),
        ("/set", json!("a".repeat(31)), "not named by 32 hexadecimal digits"),
        ("/set", json!("A".repeat(32)), "not named by 32 hexadecimal digits"),
        ("/stream", json!("s"), "a stream without a number"),
        ("/sequence", json!(1), "a number without a stream"),
        ("/expires", json!(1_700_000_000u64), "expires before it was made"),
        ("/expires", json!(moment::LATEST), "or never"),
        ("/volumes", json!([]), ": 0 volumes"),
        ("/volumes", volumes(limits::VOLUMES + 1).into(), ": 10000 volumes"),
        ("/volumes", volumes(2).into(), "not numbered from 1"),
        ("/readme/size", json!(limits::README_BYTES + 1), "a README of 65537 bytes"),
        ("/readme/digest", long("a"), "a README of 3 bytes"),
        ("/index/content", json!(limits::INDEX_BYTES + 1), "an index of 536870913 bytes"),
        ("/index/size", json!(90 + 4097), "an index of 90 bytes"),
        ("/packs/0/size", json!(limits::INDEX_BYTES * 2 + 1), "a pack of 1073741825 bytes"),
        ("/packs/0/digest", long("b"), "a pack of 100 bytes with digest sha512:bb"),
        ("/index/digest", long("c"), "a pack of 100 bytes with digest sha512:cc"),
        ("/packs/0/volume", json!(0), "is out of order or stands twice"),
        ("/packs/0/volume", json!(2), "begins at 2048, not at 3072"),
        ("/packs/1/volume", json!(1), "begins at 2048, not at 3072"),
        ("/packs/1/volume", json!(3), "is in volume 3, which is not there"),
        ("/packs/1/digest", json!(Digest::of(b"one")), "is out of order or stands twice"),
        ("/packs/1/offset", json!(2049), "begins at 2049, not at 2048"),
        ("/index/volume", json!(1), "is out of order or stands twice"),
        ("/packs/0/content", json!(0), "holds 0 bytes"),
        ("/packs/0/content", json!(limits::PACK_CONTENT_BYTES + 1), "holds 67108865 bytes"),
        ("/volumes/0/size", json!(3072), "volume 1 has 3072 bytes, not 4096"),
        ("/volumes/1/size", json!(5120), "volume 2 has 5120 bytes, not 4096"),
        ("/images/0/attached", attached.into(), "1025 artifacts attached to sha256:"),
    ] {
        let said = refused(place, value);
        assert!(said.contains(says), "{place}: {said}");
    }
}

#[test]
fn fields_that_fit_one_by_one_must_fit_together() {
    let mut manifest = sample();
    manifest["critical"] = json!(["base"]);
    manifest["base"] = json!({"digest": format!("sha512:{}", "a".repeat(128)), "created": 1});
    let error = parse(&manifest).unwrap_err();
    assert!(error.message().contains("its base is not named by a SHA-256 digest"), "{error}");
    manifest["base"]["digest"] = json!(Digest::of(b"base"));
    assert!(parse(&manifest).is_ok());

    let mut manifest = sample();
    (manifest["stream"], manifest["sequence"]) = (json!("s"), json!(0));
    assert!(parse(&manifest).unwrap_err().message().contains("a stream without a number"));
    manifest["sequence"] = json!(1);
    assert_eq!(parse(&manifest).unwrap().position().unwrap().sequence, 1);

    let mut manifest = sample();
    manifest["packs"].as_array_mut().unwrap().pop();
    (manifest["index"]["volume"], manifest["index"]["offset"]) = (json!(1), json!(3072));
    let error = parse(&manifest).unwrap_err();
    assert!(error.message().contains("its index is not in the last volume"), "{error}");

    // As much as a frame can need for its content, and one byte more.
    let mut manifest = sample();
    manifest["packs"][1]["size"] = json!(4096 + 90);
    manifest["index"]["offset"] = json!(2048 + 512 + 4608);
    manifest["volumes"][1]["size"] = json!(2048 + 512 + 4608 + 1024);
    assert!(parse(&manifest).is_ok());
    manifest["packs"][1]["size"] = json!(4096 + 91);
    let error = parse(&manifest).unwrap_err();
    assert!(error.message().ends_with("holds 90 bytes"), "{error}");
}
