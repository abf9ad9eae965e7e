//! Cases 14 to 21: a set of volumes of which one is missing, strange, or somebody else's.

use std::fs;

use serde_json::json;

use crate::catalogue::Entry;
use crate::sample::{key, sample};
use crate::scene::Case;
use crate::support::forge::{Forge, member};

pub(crate) const CASES: &[Entry] = &[
    Entry { number: 14, name: "a volume is missing", play: missing },
    Entry { number: 15, name: "renamed, in another order, 8.3", play: renamed },
    Entry { number: 16, name: "a volume of an older set under the right name", play: older_set },
    Entry { number: 17, name: "a volume of another signer", play: other_signer },
    Entry { number: 18, name: "the number of volumes edited", play: edited_count },
    Entry { number: 19, name: "a stray copy beside them", play: stray },
    Entry { number: 20, name: "a volume exchanged between verify and import", play: exchanged },
    Entry { number: 21, name: "a volume exactly as large as it may be", play: largest },
];

/// The small bundle in a volume for each pack.
fn forged() -> Forge {
    let small = Forge::of(&sample().small);
    small.spread(&vec![1; small.pack_count()])
}

fn volumes() -> Vec<Vec<u8>> {
    let volumes = forged().sealed_set(&[key(1)]);
    assert!(volumes.len() >= 3, "there is one between the first and the last");
    volumes
}

/// Puts files into the folder `set`, and nothing else.
fn lay(case: &Case, files: &[(&str, &[u8])]) {
    let folder = case.station.path("set");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// The usual names.
fn usual(number: usize) -> String {
    format!("app.{:03}.sealift", number + 1)
}

fn lay_all(case: &Case, volumes: &[Vec<u8>]) {
    let names: Vec<String> = (0..volumes.len()).map(usual).collect();
    let files = names.iter().zip(volumes);
    lay(case, &files.map(|(name, bytes)| (name.as_str(), &bytes[..])).collect::<Vec<_>>());
}

fn remove(case: &Case, number: usize) {
    fs::remove_file(case.station.path("set").join(usual(number))).unwrap();
}

fn replace(case: &Case, number: usize, bytes: &[u8]) {
    fs::write(case.station.path("set").join(usual(number)), bytes).unwrap();
}

fn missing(case: &mut Case) {
    let volumes = volumes();
    lay_all(case, &volumes);
    case.accepts_with("all are there", &["set"]);
    case.accepts_with("any of them is named", &["set/app.002.sealift"]);
    for (what, number) in [("the first", 0), ("one between", 1), ("the last", volumes.len() - 1)] {
        lay_all(case, &volumes);
        remove(case, number);
        case.refuses_with(what, &["set"], 4);
    }
    lay(case, &[]);
    case.refuses_with("all of them", &["set"], 3);
}

fn renamed(case: &mut Case) {
    let volumes = volumes();
    lay(case, &[("Z", &volumes[0]), ("APP~1.SEA", &volumes[2]), ("a b.bin", &volumes[1])]);
    case.accepts_with("in a folder", &["set"]);
    let files = ["set/a b.bin", "set/APP~1.SEA", "set/Z"];
    case.accepts_with("named one by one, in no order", &files);
}

fn older_set(case: &mut Case) {
    let volumes = volumes();
    let older = Forge::of(&sample().large).with_set(&"0".repeat(32));
    let older = older.spread(&vec![1; older.pack_count()]).sealed_set(&[key(1)]);
    assert_eq!(older.len(), volumes.len());
    for (what, number) in [("the first", 0), ("one between", 1)] {
        lay_all(case, &volumes);
        replace(case, number, &older[number]);
        case.refuses_with(what, &["set"], 5);
    }
    lay_all(case, &volumes);
    let last = volumes.len() - 1;
    replace(case, last, &older[last]);
    case.refuses_with("the last, which is signed itself", &["set"], 5);
    // Sealed twice, the packs are the same: then only the claim to belong there is wrong.
    let twin = forged().with_set(&"0".repeat(32)).sealed_set(&[key(1)]);
    lay_all(case, &volumes);
    replace(case, 0, &twin[0]);
    let told = case.run(&["verify", "-q", "set"]);
    assert!([4, 5].contains(&told.code), "{}", told.text);
    case.row("of the same content", &told);
}

fn other_signer(case: &mut Case) {
    let volumes = volumes();
    let last = volumes.len() - 1;
    // Somebody else's set, with other content, that claims the same name.
    let small = forged();
    let pack = crate::support::forge::frame(b"other content");
    let other = small.with_pack(pack, 13).sealed_set(&[key(2)]);
    lay_all(case, &volumes);
    replace(case, 0, &other[0]);
    case.refuses_with("one that claims to be of this set", &["set"], 4);
    lay_all(case, &volumes);
    replace(case, last, &other[last]);
    case.refuses_with("the last", &["set"], 5);
    lay_all(case, &other);
    case.refuses_with("all of them", &["set"], 5);
}

fn edited_count(case: &mut Case) {
    let forged = forged();
    let count = forged.pack_count();
    let hidden = forged.with_manifest(|manifest| {
        manifest["volumes"].as_array_mut().unwrap().remove(0);
        manifest["packs"].as_array_mut().unwrap().remove(0);
    });
    let signature = member(volumes().last().unwrap(), "signatures/").content;
    let id = key(1).public().id().to_string();
    lay(case, &[("app.sealift", &hidden.with_signatures(&[(id, signature)]))]);
    case.refuses_with("by somebody without a key", &["set"], 5);
    let more = forged.with_manifest(|manifest| {
        let volumes = manifest["volumes"].as_array_mut().unwrap();
        volumes.push(json!({"number": count + 1, "size": 5120}));
    });
    lay_all(case, &more.sealed_set(&[key(1)]));
    case.refuses_with("one more than there are, by somebody with one", &["set"], 7);
    let gap = forged.with_manifest(|manifest| manifest["volumes"][1]["number"] = json!(7));
    lay_all(case, &gap.sealed_set(&[key(1)]));
    case.refuses_with("a gap in the numbers, by somebody with one", &["set"], 7);
}

fn stray(case: &mut Case) {
    let volumes = volumes();
    lay_all(case, &volumes);
    let folder = case.station.path("set");
    fs::write(folder.join("app.001.sealift.bak"), &volumes[0]).unwrap();
    fs::write(folder.join("notes.txt"), "bring the stick back").unwrap();
    fs::write(folder.join("picture.jpg"), b"\xff\xd8\xff\xe0").unwrap();
    fs::create_dir(folder.join("old")).unwrap();
    case.accepts_with("a copy, a text, a picture", &["set"]);
    let mut bad = volumes[0].clone();
    let pack = member(&bad, "packs/");
    bad[pack.at + 512 + pack.content.len() / 2] ^= 1;
    fs::write(folder.join("app.001.sealift.bak"), &bad).unwrap();
    case.accepts_with("a damaged copy", &["set"]);
}

fn exchanged(case: &mut Case) {
    let volumes = volumes();
    lay_all(case, &volumes);
    let told = case.run(&["verify", "-q", "set"]);
    assert_eq!(told.code, 0, "{}", told.text);
    let mut bad = volumes[1].clone();
    let pack = member(&bad, "packs/");
    bad[pack.at + 512 + pack.content.len() / 2] ^= 1;
    replace(case, 1, &bad);
    let told = case.import_refused("a damaged one", &["set"], &[4]);
    case.row("a damaged one", &told);
    let other = forged().with_pack(crate::support::forge::frame(b"other"), 5).sealed_set(&[key(2)]);
    lay_all(case, &volumes);
    replace(case, 0, &other[0]);
    let told = case.import_refused("somebody else's", &["set"], &[4, 5]);
    case.row("somebody else's", &told);
}

fn largest(case: &mut Case) {
    let file = "tests/bundle/volumes.rs";
    case.shown(file, "a_volume_may_be_exactly_as_large_as_its_limit");
    case.shown(file, "each_volume_is_a_tar_within_its_limit");
}
