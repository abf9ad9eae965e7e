//! The encoder of klauspost/compress, judged by skopeo, which has it built in, and by answers that
//! programs with each of its generations gave.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use sealift::codec::deflate::klauspost::{Generation, Klauspost};
use sealift::codec::deflate::{BitWriter, Engine, Mark};
use serde_json::json;
use sha2::{Digest, Sha256};

/// The stream of an engine whose input comes in pieces of `cut` bytes, and its marks.
fn encode(engine: &dyn Engine, plain: &[u8], cut: usize) -> (Vec<u8>, Vec<Mark>) {
    let (mut encoder, mut out, mut stream) = (engine.begin(), BitWriter::default(), Vec::new());
    for piece in plain.chunks(cut) {
        encoder.write(piece, &mut out);
        stream.extend(out.take());
    }
    encoder.finish(&mut out);
    let marks = out.take_marks();
    stream.extend(out.finish());
    (stream, marks)
}

/// Goes on from a mark and compares what follows.
fn resumes(engine: &dyn Engine, plain: &[u8], stream: &[u8], mark: &Mark) {
    let at = mark.plain as usize;
    let history = &plain[at.saturating_sub(32 << 10)..at];
    let mut encoder = engine.resume(mark.plain, history, &mark.state).expect("a mark of its own");
    let mut out = BitWriter::starting_at(mark.bit);
    encoder.write(&plain[at..], &mut out);
    encoder.finish(&mut out);
    let before = mark.bit % 8;
    let mut expected = stream[(mark.bit / 8) as usize..].to_vec();
    expected[0] &= 0xff << before;
    assert_eq!(out.finish(), expected, "what follows the mark at {at}");
}

/// Bytes that look like nothing, text, counters, runs and copies of what came before, in turn.
fn mixture(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(length + (1 << 16));
    while bytes.len() < length {
        let piece = 1 + draw(1 << 16);
        match draw(6) {
            0 => bytes.extend((0..piece).map(|_| draw(256) as u8)),
            1 => bytes.extend((0..piece).map(|_| b"etaoin shrdlu\n"[draw(14)])),
            2 => bytes
                .extend((0..piece / 8).flat_map(|at| format!("{at},{};", draw(999)).into_bytes())),
            3 => bytes.resize(bytes.len() + piece, draw(256) as u8),
            4 => bytes.extend((0..piece).map(|_| ((draw(256) * draw(256)) >> 8) as u8)),
            _ => {
                let back = 1 + draw(bytes.len().clamp(1, 70_000));
                for _ in 0..piece {
                    let copied = bytes.len().checked_sub(back).map_or(0, |from| bytes[from]);
                    bytes.push(copied);
                }
            }
        }
    }
    bytes.truncate(length);
    bytes
}

/// An image of which `layer` is the only one, as an OCI layout.
fn lay_out(folder: &Path, layer: &[u8]) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |kind: &str, bytes: &[u8]| {
        let digest = hex::encode(Sha256::digest(bytes));
        fs::write(blobs.join(&digest), bytes).unwrap();
        let media_type = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let layer = put("layer.v1.tar", layer);
    let root = json!({"type": "layers", "diff_ids": [layer["digest"]]});
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": root});
    let config = put("config.v1+json", config.to_string().as_bytes());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest = put("manifest.v1+json", manifest.to_string().as_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// What skopeo makes of a layer: the whole gzip file.
fn skopeo(layer: &[u8], level: Option<i8>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    lay_out(&from, layer);
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy", "copy", "--quiet"]);
    command.args(["--dest-compress", "--dest-compress-format", "gzip"]);
    command.args(level.map(|level| format!("--dest-compress-level={level}")));
    command.arg(format!("oci:{}", from.display())).arg(format!("dir:{}", to.display()));
    let output = command.output().expect("skopeo is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(to.join("manifest.json")).unwrap()).unwrap();
    let digest = manifest["layers"][0]["digest"].as_str().unwrap();
    fs::read(to.join(digest.trim_start_matches("sha256:"))).unwrap()
}

/// Compares with skopeo's stream, then with our own in other cuts and from every mark.
fn like_skopeo(plain: &[u8], level: Option<i8>) {
    let file = skopeo(plain, level);
    // No name, no time that means anything, a trailer of eight bytes.
    let header = [0x1f, 0x8b, 8, 0, 0, 9, 0x6e, 0x88];
    assert_eq!(file[..8], header);
    let expected = &file[10..file.len() - 8];

    let engine =
        Klauspost::pgzip(Generation::V1_15_11, level.unwrap_or(Klauspost::DEFAULT_LEVEL)).unwrap();
    let (stream, marks) = encode(&engine, plain, 1 << 20);
    let unlike = stream.iter().zip(expected).position(|(ours, theirs)| ours != theirs);
    assert_eq!((unlike, stream.len()), (None, expected.len()), "{} at {level:?}", plain.len());
    assert_eq!(marks.len(), plain.len() >> 20);
    assert!(encode(&engine, plain, 9973) == (stream.clone(), marks.clone()), "other cuts");
    for mark in &marks {
        resumes(&engine, plain, &stream, mark);
    }
}

#[test]
fn lengths_at_which_something_begins_or_ends() {
    let chunk = 65535;
    let block = 1 << 20;
    let all = mixture(1, 2 * block + 200);
    for length in [1, 12, 13, 32, 33, 127, 128, 1000, chunk - 1, chunk, chunk + 1, chunk + 33] {
        like_skopeo(&all[..length], None);
        like_skopeo(&all[all.len() - length..], None);
    }
    for over in [-1isize, 0, 1, 33, 127, 128] {
        like_skopeo(&all[..block.wrapping_add_signed(over)], None);
    }
    like_skopeo(&all[..2 * block], None);
}

#[test]
fn mixtures() {
    for seed in 2..12 {
        like_skopeo(&mixture(seed, 3_000_000 + seed as usize), None);
    }
}

#[test]
fn zeros_and_noise() {
    like_skopeo(&vec![0; 20_000_000], None);
    let mut noise = vec![0; 3_000_000];
    getrandom::fill(&mut noise).unwrap();
    like_skopeo(&noise, None);
}

#[test]
fn a_tar_of_real_files() {
    let tar = Command::new("tar")
        .args(["--create", "--directory=/usr", "bin", "share/perl"])
        .output()
        .unwrap();
    let plain = &tar.stdout[..tar.stdout.len().min(20_000_000)];
    assert!(plain.len() > 10_000_000, "there is too little to pack");
    like_skopeo(plain, None);
}

#[test]
fn every_level() {
    let plain = mixture(20, 2_200_000);
    for level in 1..=9 {
        like_skopeo(&plain, Some(level));
    }
}

/// Compares with what each generation made of an input, at each level. `klauspost/main.go` says how
/// the answers were recorded.
fn answers(drive: &str) {
    let mut known: HashMap<(Generation, i8, u64), String> = HashMap::new();
    let mut inputs: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut checked = 0;
    for line in include_str!("klauspost/answers").lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [name, kind, level, seed, length, expected] = fields[..] else {
            panic!("{line}");
        };
        if kind != drive {
            continue;
        }
        let (generation, default) = match name {
            "1.14.3" | "1.14.4" => (Generation::V1_14_3, Klauspost::DEFAULT_LEVEL),
            "1.15.0" | "1.15.9" => (Generation::V1_15_0, Klauspost::DEFAULT_LEVEL),
            "1.15.11" | "1.15.13" => (Generation::V1_15_11, Klauspost::DEFAULT_LEVEL),
            "1.15.15" | "1.17.11" => (Generation::V1_15_15, Klauspost::DEFAULT_LEVEL),
            "1.18.0" => (Generation::V1_18_0, Klauspost::DEFAULT_LEVEL),
            "1.18.2" | "1.19.2" => (Generation::V1_18_2, Klauspost::DEFAULT_LEVEL),
            "1.20.0" | "1.20.3" => (Generation::V1_20_0, Klauspost::DEFAULT_LEVEL),
            "go1.27.4" => (Generation::Go1_27, Klauspost::GO_DEFAULT_LEVEL),
            _ => panic!("{line}"),
        };
        let level = match level.parse().unwrap() {
            -1 => default,
            level => level,
        };
        let seed: u64 = seed.parse().unwrap();
        let plain = inputs.entry(seed).or_insert_with(|| mixture(seed, length.parse().unwrap()));
        let ours = known.entry((generation, level, seed)).or_insert_with(|| {
            let engine = match drive {
                "pgzip" => Klauspost::pgzip(generation, level),
                _ => Klauspost::plain(generation, level),
            };
            let (stream, _) = encode(&engine.unwrap(), plain, 77_777);
            hex::encode(Sha256::digest(stream))
        });
        assert_eq!(ours, expected, "{line}");
        checked += 1;
    }
    assert!(checked >= 300, "only {checked} answers");
}

#[test]
fn answers_of_plain_writers() {
    answers("plain");
}

#[test]
fn answers_of_pgzip() {
    answers("pgzip");
}

#[test]
fn levels_that_do_not_exist() {
    for level in [-3, -1, 10] {
        assert!(Klauspost::plain(Generation::V1_18_2, level).is_none());
        assert!(Klauspost::pgzip(Generation::V1_18_2, level).is_none());
    }
}

#[test]
fn nothing_at_all() {
    // An empty stored block for the flush, if there is one, and the last block.
    let plain = Klauspost::plain(Generation::V1_18_2, 5).unwrap();
    assert_eq!(encode(&plain, &[], 1).0, [3, 0]);
    let pgzip = Klauspost::pgzip(Generation::V1_18_2, 5).unwrap();
    assert_eq!(encode(&pgzip, &[], 1).0, [0, 0, 0, 0xff, 0xff, 3, 0]);
}

#[test]
fn marks_that_cannot_be_are_refused() {
    let engine = Klauspost::pgzip(Generation::V1_15_11, Klauspost::DEFAULT_LEVEL).unwrap();
    let history = vec![0; 32 << 10];
    assert!(engine.resume(1 << 20, &history, &[]).is_some());
    assert!(engine.resume(1 << 20, &history, &[0]).is_none());
    assert!(engine.resume(1 << 20, &history[..16383], &[]).is_none());
    assert!(engine.resume(0, &[], &[]).is_none());
    assert!(engine.resume((1 << 20) + 1, &history, &[]).is_none());
    assert!(engine.resume(u64::MAX << 20, &history, &[]).is_none());
    let plain = Klauspost::plain(Generation::V1_15_11, Klauspost::DEFAULT_LEVEL).unwrap();
    assert!(plain.resume(1 << 20, &history, &[]).is_none());
}
