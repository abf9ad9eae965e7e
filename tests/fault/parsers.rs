//! Cases 47 to 57: bundles made by somebody whose key is trusted here. The signature holds, and
//! what is behind it is met.

use serde_json::json;

use crate::catalogue::Entry;
use crate::sample::{FIRST, key, sample};
use crate::scene::Case;
use crate::support::forge::{Forge, TYPE_LINE, frame, number};

pub(crate) const CASES: &[Entry] = &[
    Entry { number: 47, name: "lengths up to 2^64 - 1", play: huge_lengths },
    Entry { number: 48, name: "overlaps and circles", play: overlaps },
    Entry { number: 49, name: "one key twice in an object", play: duplicate_keys },
    Entry { number: 50, name: "100,000 levels deep", play: deep },
    Entry { number: 51, name: "NaN, byte order mark, more behind the document", play: odd_json },
    Entry { number: 52, name: "NUL, bidi and escape sequences in names", play: hostile_names },
    Entry { number: 53, name: "a feature or version from the future", play: future },
    Entry { number: 54, name: "10 GiB of zeros in 330 KB", play: bomb },
    Entry { number: 55, name: "a window of 2 GiB", play: wide_window },
    Entry { number: 56, name: "dictionary, skippable frame, second frame", play: odd_frames },
    Entry { number: 57, name: "YAML aliases that multiply", play: yaml },
];

fn small() -> Forge {
    Forge::of(&sample().small)
}

impl Case {
    /// What the sender's own key signed is refused as malformed.
    fn malformed(&mut self, what: &str, forged: &Forge) {
        self.refuses(what, &forged.sealed(&[key(1)]), 7);
    }
}

fn huge_lengths(case: &mut Case) {
    let small = small();
    for (what, path) in [
        ("length of a pack", "/packs/0/size"),
        ("offset of a pack", "/packs/0/offset"),
        ("content of a pack", "/packs/0/content"),
        ("number of a volume", "/packs/0/volume"),
        ("length of the index", "/index/size"),
        ("content of the index", "/index/content"),
        ("length of the volume", "/volumes/0/size"),
        ("length of the README", "/readme/size"),
        ("created", "/created"),
    ] {
        let forged = small.with_manifest(|m| *m.pointer_mut(path).unwrap() = json!(u64::MAX));
        case.malformed(what, &forged);
    }
    let size = "\"size\": ";
    case.malformed("a length past 2^64", &small.with_words(size, "\"size\": 99999999999999999999"));
    case.malformed("a length below zero", &small.with_words(size, "\"size\": -1, \"was\": "));
    // The index counts in numbers of its own.
    let index = small.index();
    let counts = 16 + number(pack_count(&small)).len();
    let mut long = index.clone();
    long.splice(counts..=counts, number(u64::MAX));
    case.malformed("chunks of a pack, in the index", &small.with_index(&long));
    let mut longer = index[..16].to_vec();
    longer.extend([0xff; 12]);
    case.malformed("a number of more than 64 bits", &small.with_index(&longer));
    let mut padded = index;
    padded[16] |= 0x80;
    padded.insert(17, 0);
    case.malformed("a number that is longer than it needs", &small.with_index(&padded));
}

fn pack_count(forged: &Forge) -> u64 {
    forged.manifest()["packs"].as_array().unwrap().len() as u64
}

fn overlaps(case: &mut Case) {
    let small = small();
    let move_pack = |by: i64| {
        small.with_manifest(|m| {
            let offset = m["packs"][0]["offset"].as_i64().unwrap();
            m["packs"][0]["offset"] = json!(offset + by);
        })
    };
    case.malformed("a pack over the README", &move_pack(-512));
    case.malformed("a gap before a pack", &move_pack(512));
    let twice = small.with_manifest(|m| {
        let first = m["packs"][0].clone();
        m["packs"].as_array_mut().unwrap().insert(1, first);
    });
    case.malformed("one pack twice", &twice);
    let itself = small.with_manifest(|m| m["index"] = m["packs"][0].clone());
    case.malformed("the index is a pack", &itself);

    // Prefixes stand behind the chunk table; the first pack gets its own first chunk.
    let index = small.index();
    let at = prefixes_at(&index, pack_count(&small));
    assert_eq!(index[at], 0, "the first pack has no prefix");
    let mut circle = index.clone();
    circle.splice(at..=at, [1, 0, 1]);
    case.malformed("a pack is its own prefix", &small.with_index(&circle));
    let mut outside = index.clone();
    outside.splice(at..=at, [vec![1], number(u64::from(u32::MAX) * 2), vec![1]].concat());
    case.malformed("a run that leaves the chunk table", &small.with_index(&outside));
    let mut before = index;
    before.splice(at..=at, [1, 1, 1]);
    case.malformed("a run that begins before the first chunk", &small.with_index(&before));
}

/// Where the prefixes begin in an index that has no base.
fn prefixes_at(index: &[u8], packs: u64) -> usize {
    let mut at = 16;
    let mut next = || {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = index[at];
            at += 1;
            value |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return value;
            }
        }
    };
    assert_eq!(next(), packs);
    let chunks: u64 = (0..packs).map(|_| next()).sum();
    for _ in 0..chunks {
        next();
    }
    let ids = chunks as usize * 16;
    assert_eq!(index[at + ids], 0, "no blob of a base");
    at + ids + 1
}

fn duplicate_keys(case: &mut Case) {
    let small = small();
    let root = small.with_words("{", "{\"set\": \"00000000000000000000000000000000\", ");
    case.malformed("at the root", &root);
    let escaped = small.with_words("{", "{\"s\\u0065t\": \"00000000000000000000000000000000\", ");
    case.malformed("one of them escaped", &escaped);
    let deep =
        small.with_words("\"packs\": [", "\"unknown\": [[{\"a\": 1, \"a\": 2}]], \"packs\": [");
    case.malformed("in a member that nobody knows", &deep);
    let pack = small.with_words("\"digest\": ", "\"size\": 0, \"digest\": ");
    case.malformed("in a pack", &pack);
}

fn deep(case: &mut Case) {
    let nested = format!("\"deep\": {}{}, \"packs\": [", "[".repeat(100_000), "]".repeat(100_000));
    case.malformed("arrays", &small().with_words("\"packs\": [", &nested));
    let nested =
        format!("\"deep\": {}1{}, \"packs\": [", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    case.malformed("objects", &small().with_words("\"packs\": [", &nested));
}

fn odd_json(case: &mut Case) {
    let small = small();
    let text = String::from_utf8(small.text()).unwrap();
    let document = text.strip_prefix(TYPE_LINE).unwrap();
    case.malformed("NaN", &small.with_words("\"created\": ", "\"created\": NaN, \"was\": "));
    case.malformed("a fraction", &small.with_words("\"created\": ", "\"created\": 1.5, \"was\": "));
    case.malformed(
        "an exponent",
        &small.with_words("\"created\": ", "\"created\": 1e3, \"was\": "),
    );
    case.malformed("null", &small.with_words("\"created\": ", "\"created\": null, \"was\": "));
    let marked = small.with_text(format!("{TYPE_LINE}\u{feff}{document}"));
    case.malformed("a byte order mark", &marked);
    case.malformed("a second document", &small.with_text(format!("{text}{{}}\n")));
    case.malformed("no object", &small.with_text(format!("{TYPE_LINE}[]\n")));
    let manifest = small.manifest();
    let fields =
        ["set", "created", "generator", "images", "volumes", "readme", "packs", "index", "encoder"];
    let mut values: Vec<_> = fields.iter().map(|field| manifest[field].clone()).collect();
    values.insert(0, json!([]));
    values.insert(5, json!(null));
    let array = small.with_text(format!("{TYPE_LINE}{}\n", json!(values)));
    case.malformed("an array of all that an object would have", &array);
    case.malformed("nothing", &small.with_text(TYPE_LINE));
    let latin = text.replacen("one", "\u{e9}", 1).into_bytes();
    let broken = [&latin[..], b"\xff\n"].concat();
    case.malformed("no UTF-8", &small.with_text(broken));
}

fn hostile_names(case: &mut Case) {
    let small = small();
    for (what, name) in [
        ("NUL", "h.example/a\\u0000b:1"),
        ("right to left", "h.example/\\u202eexe:1"),
        ("escape sequence", "h.example/\\u001b[2Ja:1"),
        ("a way up", "h.example/../../etc:1"),
        ("line end", "h.example/a:1\\nerror: fine"),
    ] {
        case.malformed(what, &small.with_words(FIRST, name));
    }
    let critical = small.with_words("{", "{\"critical\": [\"\\u001b]0;pwned\\u0007\\u202e\"], ");
    case.malformed("in a feature that must be known", &critical);
    let line = small.with_text("sealift \u{1b}[2J manifest\n{}\n");
    case.malformed("in the first line", &line);
    // What is only shown is escaped.
    let shown = small.with_manifest(|m| m["generator"] = json!("x\u{1b}[2J\u{202e}\0y"));
    case.accepts("in the name of the program that wrote it", &shown.sealed(&[key(1)]));
    let output = case.station.sealift(["inspect", "bad.sealift"]);
    let printed = output.succeeds();
    assert!(
        !printed.chars().any(|c| c == '\u{202e}' || c.is_control() && c != '\n'),
        "{printed:?}"
    );
}

fn future(case: &mut Case) {
    let small = small();
    case.malformed("a critical feature", &small.with_words("{", "{\"critical\": [\"warp\"], "));
    case.malformed("manifest 2", &small.with_words("sealift manifest 1", "sealift manifest 2"));
    let index = String::from_utf8_lossy(&small.index()[..16]).into_owned();
    assert_eq!(index, "sealift index 2\n");
    let newer = [&b"sealift index 9\n"[..], &small.index()[16..]].concat();
    case.malformed("index 9", &small.with_index(&newer));
    let unknown = small.with_words("{", "{\"warp\": {\"speed\": 9}, ");
    case.accepts("a member that is not critical is ignored", &unknown.sealed(&[key(1)]));
}

/// A frame of blocks that each repeat one zero 128 Ki times, saying that it holds `content` bytes,
/// with a window of 128 KiB; no checksum is reached.
fn zeros(content: u64, blocks: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1100_0100, 7 << 3];
    frame.extend(content.to_le_bytes());
    for at in 1..=blocks {
        let header = u32::from(at == blocks) | 1 << 1 | (128 << 10) << 3;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame.extend([0; 4]);
    frame
}

fn bomb(case: &mut Case) {
    let small = small();
    let blocks = 10 << 13;
    let honest = zeros(10 << 30, blocks);
    case.malformed("a pack that says so", &small.with_pack(honest.clone(), 10 << 30));
    case.malformed("a pack, the manifest says 1 MiB", &small.with_pack(honest, 1 << 20));
    // One that says what the index says, too, so that it comes to the decoder.
    let content = small.manifest()["packs"][0]["content"].as_u64().unwrap();
    let lying = small.with_pack(zeros(content, blocks), content).sealed(&[key(1)]);
    case.refuses("a pack that says as much as it should", &lying, 7);
    let index = zeros(1 << 20, blocks);
    case.malformed("an index that says 1 MiB", &small.with_stored_index(index, 1 << 20));
}

fn wide_window(case: &mut Case) {
    let small = small();
    // The content of a real index in a raw block, behind a header that asks for 2 GiB.
    let content = small.index();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1100_0000, 21 << 3];
    frame.extend((content.len() as u64).to_le_bytes());
    let header = 1 | (content.len() as u32) << 3;
    frame.extend(&header.to_le_bytes()[..3]);
    frame.extend(&content);
    case.malformed(
        "without a checksum",
        &small.with_stored_index(frame.clone(), content.len() as u64),
    );
    // A checksum is the lower half of XXH64: taken from a frame that zstd makes of the same.
    frame[4] |= 0b100;
    let real = crate::support::forge::frame(&content);
    frame.extend(&real[real.len() - 4..]);
    case.malformed("with one", &small.with_stored_index(frame, content.len() as u64));
}

fn odd_frames(case: &mut Case) {
    let small = small();
    let content = small.index();
    let length = content.len() as u64;
    let good = frame(&content);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    let mut named = good.clone();
    // The header says that the frame needs dictionary 7.
    named[4] |= 1;
    named.insert(if named[4] & 0b10_0000 == 0 { 6 } else { 5 }, 7);
    let empty = frame(b"");
    for (what, stored) in [
        ("needs a dictionary", named),
        ("a skippable frame before it", [&skippable[..], &good].concat()),
        ("a skippable frame behind it", [&good[..], &skippable].concat()),
        ("a second frame", [&good[..], &good].concat()),
        ("an empty frame behind it", [&good[..], &empty].concat()),
        ("no checksum", zstd::bulk::compress(&content, 3).unwrap()),
        ("no content size", zstd::encode_all(&content[..], 3).unwrap()),
        ("no frame", content.clone()),
    ] {
        case.malformed(what, &small.with_stored_index(stored, length));
    }
    let pack = [small.pack(), &skippable].concat();
    let content = small.manifest()["packs"][0]["content"].as_u64().unwrap();
    case.refuses(
        "a pack with a skippable frame",
        &small.with_pack(pack, content).sealed(&[key(1)]),
        7,
    );
}

fn yaml(case: &mut Case) {
    case.note("sealift reads no YAML", "", "");
}
