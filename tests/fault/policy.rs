//! Cases 27, 28, 37 and 38: which keys count for what.

use std::fs;

use serde_json::json;

use crate::catalogue::Entry;
use crate::sample::{key, sample};
use crate::scene::Case;
use crate::support::forge::Forge;

pub(crate) const CASES: &[Entry] = &[
    Entry { number: 27, name: "one signature twice, where it takes two", play: one_twice },
    Entry { number: 28, name: "one key under two names", play: two_names },
    Entry { number: 32, name: "other people's vectors", play: vectors },
    Entry { number: 37, name: "a key that was revoked", play: revoked },
    Entry { number: 38, name: "a key for something else", play: elsewhere },
];

/// Gives the receiver this policy, and the public keys 1 and 2 beside it.
fn trust(case: &Case, policy: &str) {
    let folder = case.station.path(".config/sealift/trust");
    for (name, number) in [("a.pub", 1), ("b.pub", 2), ("again.pub", 1)] {
        fs::write(folder.join(name), key(number).public().to_pem().unwrap()).unwrap();
    }
    let _ = fs::remove_file(folder.join("sender.pub"));
    fs::write(folder.join("trust.toml"), policy).unwrap();
}

fn small() -> Forge {
    Forge::of(&sample().small)
}

fn named(number: u8) -> String {
    key(number).public().id().to_string()
}

const TWO: &str = "threshold = 2\n[[key]]\nfile = \"a.pub\"\n[[key]]\nfile = \"b.pub\"\n";

fn one_twice(case: &mut Case) {
    trust(case, TWO);
    let small = small();
    let signature = key(1).sign(&small.text()).to_vec();
    case.accepts("both have signed", &small.sealed(&[key(1), key(2)]));
    case.refuses("one has signed", &small.sealed(&[key(1)]), 5);
    let mut both = [(named(1), signature.clone()), (named(2), signature.clone())];
    both.sort();
    case.refuses("one, and the same under the other's name", &small.with_signatures(&both), 5);
    let twice = [(named(1), signature.clone()), (named(1), signature)];
    case.refuses("one, twice under its own name", &small.with_signatures(&twice), 7);
}

fn two_names(case: &mut Case) {
    let policy = TWO.replace("b.pub", "again.pub");
    trust(case, &policy);
    fs::write(case.station.path("bad.sealift"), small().sealed(&[key(1)])).unwrap();
    let told = case.run(&["verify", "-q", "bad.sealift"]);
    case.import_refused("two files", &["bad.sealift"], &[told.code]);
    assert!([2, 5].contains(&told.code), "{}", told.text);
    case.row("two files of one key", &told);
    let three = format!("{policy}[[key]]\nfile = \"b.pub\"\n");
    trust(case, &three);
    case.refuses("two files of one key, and another one", &small().sealed(&[key(1)]), 5);
}

fn vectors(case: &mut Case) {
    case.shown("tests/fault/vectors.rs", "the_twelve_cases_of_the_paper_have_a_pinned_verdict");
    case.shown("tests/fault/vectors.rs", "wycheproofs_vectors_end_as_wycheproof_says");
}

fn revoked(case: &mut Case) {
    let id = named(1);
    let gone = format!("[[key]]\nid = \"{id}\"\nrevoked = 2026-10-01\nreason = \"stolen\"\n");
    trust(case, &format!("[[key]]\nfile = \"a.pub\"\n{gone}[[key]]\nfile = \"b.pub\"\n"));
    case.refuses("signed by it alone", &small().sealed(&[key(1)]), 5);
    case.accepts("signed by another one too", &small().sealed(&[key(1), key(2)]));
    trust(case, &format!("{TWO}{gone}"));
    case.refuses("where it takes two, it is none", &small().sealed(&[key(1), key(2)]), 5);
}

fn elsewhere(case: &mut Case) {
    let prod = small().with_manifest(|manifest| {
        manifest["stream"] = json!("prod");
        manifest["sequence"] = json!(1);
    });
    let prod = prod.sealed(&[key(1)]);
    trust(case, "[[key]]\nfile = \"a.pub\"\nstreams = [\"staging\"]\n");
    case.refuses("another stream", &prod, 5);
    case.refuses("no stream", &sample().small, 5);
    trust(case, "[[key]]\nfile = \"a.pub\"\nrepositories = [\"h.example/team/app\"]\n");
    case.refuses("one of its images is another repository's", &sample().small, 5);
    trust(
        case,
        "[[key]]\nfile = \"a.pub\"\nstreams = [\"prod\"]\nrepositories = [\"h.example/\"]\n",
    );
    case.accepts("its own stream and repositories", &prod);
}
