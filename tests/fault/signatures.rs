//! Cases 22 to 36: who signed, and over what.

use std::fs;

use base64::Engine as _;
use serde_json::json;

use crate::catalogue::Entry;
use crate::sample::{key, sample};
use crate::scene::Case;
use crate::support::forge::{Forge, TYPE_LINE, member, members, put_member};

pub(crate) const CASES: &[Entry] = &[
    Entry { number: 22, name: "no signature", play: unsigned },
    Entry { number: 23, name: "a key that nobody here knows", play: unknown_key },
    Entry { number: 24, name: "the key comes with the bundle", play: embedded_key },
    Entry { number: 25, name: "everything rewritten, and it all adds up", play: rewritten },
    Entry { number: 26, name: "the signature of one bundle on another", play: moved_signature },
    Entry { number: 29, name: "two good signatures and garbage", play: two_and_garbage },
    Entry { number: 30, name: "10,000 signatures", play: many_signatures },
    Entry { number: 31, name: "S + L: the same signature, spelt otherwise", play: malleated },
    Entry { number: 33, name: "a weak key is to be trusted", play: weak_key },
    Entry { number: 34, name: "a good signature over something else", play: wrong_context },
    Entry { number: 35, name: "another algorithm", play: downgrade },
    Entry { number: 36, name: "nobody is trusted", play: nobody_trusted },
];

/// The order of the group, as a scalar is written (RFC 8032, section 5.1).
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// The name of the sender's key.
fn sender() -> String {
    key(1).public().id().to_string()
}

/// With one member fewer.
fn without(volume: &[u8], name: &str) -> Vec<u8> {
    let gone = member(volume, name);
    [&volume[..gone.at], &volume[gone.end()..]].concat()
}

fn unsigned(case: &mut Case) {
    let small = &sample().small;
    case.refuses("the signature was taken out", &without(small, "signatures/"), 5);
}

fn unknown_key(case: &mut Case) {
    let forged = Forge::of(&sample().small);
    case.refuses("signed by a stranger", &forged.sealed(&[key(2)]), 5);
}

fn embedded_key(case: &mut Case) {
    let stranger = key(2).public().to_pem().unwrap();
    let small = Forge::of(&sample().small);
    let named = small.with_manifest(|manifest| manifest["publicKey"] = json!(stranger));
    case.refuses("in the manifest", &named.sealed(&[key(2)]), 5);
    let told = small.with_readme(format!("Trust this key:\n{stranger}").as_bytes());
    case.refuses("in the README", &told.sealed(&[key(2)]), 5);
    // A member that does not belong there is met before any signature.
    let sealed = small.sealed(&[key(2)]);
    let tail = member(&sealed, "tail").at;
    let mut bytes = sealed[..tail].to_vec();
    put_member(&mut bytes, "signatures/sender.pub", stranger.as_bytes(), 1_700_000_000);
    bytes.extend(&sealed[tail..]);
    case.refuses("as a member", &bytes, 7);
}

fn rewritten(case: &mut Case) {
    let evil = Forge::of(&sample().large);
    let text = evil.text();
    let signature = key(2).sign(&text).to_vec();
    case.refuses("under the sender's name", &evil.with_signatures(&[(sender(), signature)]), 5);
    let both =
        [(sender(), vec![0; 64]), (key(2).public().id().to_string(), key(2).sign(&text).to_vec())];
    let mut both = both.to_vec();
    both.sort();
    case.refuses("under both names", &evil.with_signatures(&both), 5);
}

fn moved_signature(case: &mut Case) {
    let signature = member(&sample().small, "signatures/").content;
    let other = Forge::of(&sample().large);
    case.refuses("of A on B", &other.with_signatures(&[(sender(), signature)]), 5);
}

fn two_and_garbage(case: &mut Case) {
    let small = Forge::of(&sample().small);
    let text = small.text();
    let mut signatures: Vec<(String, Vec<u8>)> = vec![("0".repeat(64), vec![0xaa; 64])];
    for number in [1, 2] {
        signatures.push((key(number).public().id().to_string(), key(number).sign(&text).to_vec()));
    }
    signatures.sort();
    case.accepts("what does not count is ignored", &small.with_signatures(&signatures));
}

fn many_signatures(case: &mut Case) {
    let small = Forge::of(&sample().small);
    let good = key(1).sign(&small.text()).to_vec();
    let mut signatures: Vec<(String, Vec<u8>)> =
        (0..10_000).map(|n| (format!("{n:064x}"), vec![1; 64])).collect();
    signatures.push((sender(), good));
    case.refuses("10,001, one of them good", &small.with_signatures(&signatures), 7);
}

fn malleated(case: &mut Case) {
    let small = Forge::of(&sample().small);
    let mut signature = key(1).sign(&small.text()).to_vec();
    let order = hex::decode(ORDER).unwrap();
    let mut carry = 0;
    for (byte, more) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    case.refuses("S + L", &small.with_signatures(&[(sender(), signature)]), 5);
}

/// SPKI PEM of 32 bytes, whatever they are (RFC 8410, section 4).
pub(crate) fn public_pem(point: &[u8]) -> String {
    let mut der = hex::decode("302a300506032b6570032100").unwrap();
    der.extend(point);
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
}

/// Points of small order in their canonical encodings, and two that are not canonical
/// (RFC 7748, section 5; Chalkias, Garillot, Nikolaenko, table 6b).
const WEAK: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0100000000000000000000000000000000000000000000000000000000000080",
];

fn weak_key(case: &mut Case) {
    // With a key of order 1 anybody signs anything: R is the neutral element and S is 0.
    let small = Forge::of(&sample().small);
    let mut forged = hex::decode(WEAK[0]).unwrap();
    forged.resize(64, 0);
    let id = sealift::model::Digest::of(&hex::decode(WEAK[0]).unwrap()).hex();
    fs::write(case.station.path("bad.sealift"), small.with_signatures(&[(id, forged)])).unwrap();
    let weak = case.station.path("weak.pub");
    for point in WEAK {
        fs::write(&weak, public_pem(&hex::decode(point).unwrap())).unwrap();
        let told = case.run(&["verify", "-q", "--key", "weak.pub", "bad.sealift"]);
        assert_eq!(told.code, 2, "{point}: {}", told.text);
        if point == WEAK[0] {
            case.row("named with --key, under a signature that anybody can make", &told);
        }
    }
    case.note("and seven more points of small order", "2", "");
    let folder = case.station.path(".config/sealift/trust/weak.pub");
    fs::rename(weak, folder).unwrap();
    case.refuses_with("in the trust folder", &["bad.sealift"], 2);
}

fn wrong_context(case: &mut Case) {
    let small = Forge::of(&sample().small);
    let text = small.text();
    let bare = &text[TYPE_LINE.len()..];
    for (what, over) in [
        ("over the manifest without its first line", bare.to_vec()),
        ("over a receipt", [b"sealift receipt 1\n", bare].concat()),
        ("over the digest of the manifest", sealift::model::Digest::of(&text).hex().into_bytes()),
    ] {
        let signature = key(1).sign(&over).to_vec();
        case.refuses(what, &small.with_signatures(&[(sender(), signature)]), 5);
    }
    let letter = small.with_text("Dear receiver, all is well.\n");
    case.refuses("over a letter, which then stands as manifest", &letter.sealed(&[key(1)]), 7);
}

fn downgrade(case: &mut Case) {
    let small = Forge::of(&sample().small);
    let none = small.with_manifest(|manifest| manifest["algorithm"] = json!("none"));
    let zeros = none.with_signatures(&[(sender(), vec![0; 64])]);
    case.refuses("the manifest says: none", &zeros, 5);
    // Ed25519ph of RFC 8032, section 5.1: another context, so another signature.
    let context = [&b"SigEd25519 no Ed25519 collisions\x01\0"[..], &small.text()].concat();
    let prehashed = key(1).sign(&context).to_vec();
    case.refuses("Ed25519ph", &small.with_signatures(&[(sender(), prehashed)]), 5);
    for (what, length) in [("a signature of 32 bytes", 32), ("of 256 bytes, as RSA has", 256)] {
        case.refuses(what, &small.with_signatures(&[(sender(), vec![7; length])]), 7);
    }
    let run = |arguments: &[&str]| {
        let output = case.station.command("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&[
        "genpkey",
        "-quiet",
        "-algorithm",
        "rsa",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        "r",
    ]);
    run(&["pkey", "-in", "r", "-pubout", "-out", "rsa.pub"]);
    fs::write(case.station.path("good.sealift"), &sample().small).unwrap();
    case.refuses_with("an RSA key is to be trusted", &["--key", "rsa.pub", "good.sealift"], 2);
}

fn nobody_trusted(case: &mut Case) {
    fs::remove_dir_all(case.station.path(".config/sealift/trust")).unwrap();
    assert_eq!(members(&sample().small).last().unwrap().name, "tail");
    case.refuses("an empty trust folder", &sample().small, 5);
}
