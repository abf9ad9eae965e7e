//! Cases 40 to 46: bundles that were right once.

use std::fs;

use serde_json::json;

use crate::catalogue::Entry;
use crate::sample::{key, sample};
use crate::scene::{Case, files};
use crate::support::command::BINARY;
use crate::support::forge::Forge;

pub(crate) const CASES: &[Entry] = &[
    Entry { number: 40, name: "a lower number of its stream", play: lower },
    Entry { number: 41, name: "the same bundle again", play: same },
    Entry { number: 42, name: "another bundle with the same number", play: forked },
    Entry { number: 43, name: "expired", play: expired },
    Entry { number: 44, name: "a clock that was never set, or runs far ahead", play: wrong_clock },
    Entry { number: 45, name: "what is remembered was damaged", play: damaged_state },
    Entry { number: 46, name: "number 2^64 - 1", play: highest },
];

/// What the sample is, as this number of a stream.
fn numbered(sequence: u64, note: &str) -> Vec<u8> {
    let forged = Forge::of(&sample().small).with_manifest(|manifest| {
        manifest["stream"] = json!("prod");
        manifest["sequence"] = json!(sequence);
        manifest["generator"] = json!(note);
    });
    forged.sealed(&[key(1)])
}

fn lower(case: &mut Case) {
    case.accepts("number 5 comes first", &numbered(5, "a"));
    case.refuses("then number 4", &numbered(4, "a"), 6);
    // What was only looked at quickly stands in nobody's way.
    fs::write(case.station.path("quick.sealift"), numbered(9, "a")).unwrap();
    let told = case.run(&["verify", "-q", "--quick", "quick.sealift"]);
    assert_eq!(told.code, 0, "{}", told.text);
    case.accepts("number 6 comes after it", &numbered(6, "a"));
    case.refuses("then number 5, which was right before", &numbered(5, "a"), 6);
    fs::write(case.station.path("old.sealift"), numbered(1, "a")).unwrap();
    let told = case.run(&["verify", "-q", "--no-state", "old.sealift"]);
    assert_eq!(told.code, 0, "{}", told.text);
    case.row("without state it is said that nobody looked", &told);
}

fn same(case: &mut Case) {
    case.accepts("number 5", &numbered(5, "a"));
    case.accepts("number 5 again", &numbered(5, "a"));
}

fn forked(case: &mut Case) {
    case.accepts("number 5", &numbered(5, "a"));
    case.refuses("another number 5", &numbered(5, "b"), 6);
}

fn expired(case: &mut Case) {
    let old = Forge::of(&sample().small).with_manifest(|manifest| {
        let created = manifest["created"].as_u64().unwrap();
        manifest["expires"] = json!(created + 3600);
    });
    case.refuses("an hour after it was made", &old.sealed(&[key(1)]), 6);
}

fn wrong_clock(case: &mut Case) {
    fs::write(case.station.path("good.sealift"), numbered(5, "a")).unwrap();
    let state = case.station.path(".local/state/sealift/received");
    for (what, date) in [("in 1970", "1970-01-02 00:00:00"), ("in 2099", "2099-01-01 00:00:00")] {
        for verb in [&["verify", "-q"][..], &["import", "-q", "--to", "oci:there"]] {
            let arguments = [&[date, BINARY], verb, &["good.sealift"]].concat();
            let before = files(&case.station.path("there"));
            let told = case.told(case.watched("faketime", &arguments), &arguments);
            assert_eq!(told.code, 6, "{}", told.text);
            assert!(files(&case.station.path("there")) == before);
            if verb[0] == "verify" {
                case.row(what, &told);
            }
        }
        assert!(!files(&state).keys().any(|path| path.ends_with("record")), "it was remembered");
    }
    case.accepts_with("the right time again: nothing was remembered", &["good.sealift"]);
}

fn damaged_state(case: &mut Case) {
    case.accepts("number 5", &numbered(5, "a"));
    let record = case.station.path(".local/state/sealift/received/prod/record");
    let good = fs::read(&record).expect("there is a record");
    for (what, bytes) in [
        ("garbage", b"\xff\0garbage".to_vec()),
        ("nothing", Vec::new()),
        ("cut off", good[..good.len() / 2].to_vec()),
    ] {
        fs::write(&record, bytes).unwrap();
        case.refuses(what, &numbered(6, "a"), 6);
    }
    // One bit in every byte: refused, or the record says the same.
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&record, &bytes).unwrap();
        fs::write(case.station.path("old.sealift"), numbered(4, "a")).unwrap();
        let told = case.run(&["verify", "-q", "old.sealift"]);
        assert_eq!(told.code, 6, "byte {at}: {}", told.text);
    }
    case.note("every byte of the record changed: number 4 never passes", "6", "");
    fs::write(&record, &good).unwrap();
    case.accepts("number 6, the record whole again", &numbered(6, "a"));
}

fn highest(case: &mut Case) {
    case.accepts("number 5", &numbered(5, "a"));
    case.refuses("a step of 2^32 + 1", &numbered(5 + (1 << 32) + 1, "a"), 6);
    let last = numbered(u64::MAX, "a");
    case.refuses("unless it is confirmed", &last, 6);
    case.accepts_with("confirmed", &["--accept-jump", "bad.sealift"]);
    case.refuses("and nothing below it after that", &numbered(6, "a"), 6);
}
