//! Whole gzip streams: proved, written down, and made again on several threads.

use std::io::{Cursor, Read};
use std::sync::Arc;

use flate2::Crc;
use sealift::codec::deflate::{BitWriter, Coder, GzipRecipe, Pool, Proof, Rebuilt, prove};

/// Content of a few MiB that is neither random nor the same all over.
fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = Vec::with_capacity(length + 300);
    while out.len() < length {
        let roll = next();
        match roll % 3 {
            0 => out.extend(roll.to_le_bytes()),
            1 if out.len() > 40_000 => {
                let from = out.len() - 1 - (next() % 32_000) as usize;
                let to = (from + (next() % 250) as usize).min(out.len());
                out.extend_from_within(from..to);
            }
            _ => out.extend(format!("line {} of the text\n", roll % 1000).bytes()),
        }
    }
    out.truncate(length);
    out
}

/// A member as the engine of `coder` makes it.
fn member(coder: Coder, plain: &[u8]) -> Vec<u8> {
    let mut encoder = coder.engine().unwrap().begin();
    let mut out = BitWriter::default();
    encoder.write(plain, &mut out);
    encoder.finish(&mut out);
    enclose(&out.finish(), plain)
}

fn enclose(deflate: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(plain);
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    stream.extend_from_slice(deflate);
    stream.extend(crc.sum().to_le_bytes());
    stream.extend(crc.amount().to_le_bytes());
    stream
}

/// Proves the stream, sends the recipe through its written form, and makes the stream again.
fn again(stream: &[u8], plain: &[u8]) -> GzipRecipe {
    let Proof::Exact { recipe, corrections, digest } = prove(&mut Cursor::new(stream)).unwrap()
    else {
        panic!("not proved");
    };
    assert_eq!(digest, sealift::model::Digest::of(plain));
    assert_eq!((recipe.plain(), recipe.packed()), (plain.len() as u64, stream.len() as u64));
    for threads in [1, 3] {
        let recipe = GzipRecipe::parse(&recipe.to_bytes()).unwrap();
        let pool = Arc::new(Pool::new(threads));
        let mut made = Vec::new();
        Rebuilt::new(plain, recipe, corrections.clone(), pool).read_to_end(&mut made).unwrap();
        assert!(made == stream, "{threads} threads");
    }
    recipe
}

const GO: Coder = Coder(0x0106);
const GO_FASTEST: Coder = Coder(0x0101);
const ZLIB: Coder = Coder(0x0286);

#[test]
fn a_long_stream_is_cut_at_marks_and_put_together_again() {
    let plain = content(23 << 20, 7);
    let recipe = again(&member(GO, &plain), &plain);
    assert_eq!(recipe.members[0].coder, GO);
    assert!(recipe.members[0].marks.len() >= 4, "{}", recipe.members[0].marks.len());
}

#[test]
fn an_encoder_without_marks_goes_through_in_one() {
    let plain = content(20 << 20, 8);
    let recipe = again(&member(GO_FASTEST, &plain), &plain);
    assert_eq!((recipe.members[0].coder, recipe.members[0].marks.len()), (GO_FASTEST, 0));
}

#[test]
fn members_of_several_encoders_and_what_follows_them_stay() {
    let (one, two) = (content(100_000, 1), content(9 << 20, 2));
    let mut stream = member(GO, &one);
    stream.extend(member(ZLIB, &two));
    stream.extend(member(GO, b""));
    stream.extend(member(ZLIB, &one));
    stream.extend([0; 700]);
    let recipe = again(&stream, &[&one[..], &two, &one].concat());
    assert_eq!(recipe.members.len(), 4);
    assert_eq!(recipe.rest, [0; 700]);
    // Members that are too short to tell may be said to come from any encoder that makes them.
    assert_eq!((recipe.members[0].coder, recipe.members[1].coder), (GO, ZLIB));
}

#[test]
fn a_wrong_crc_stays_wrong() {
    let plain = content(50_000, 3);
    let mut stream = member(GO, &plain);
    let end = stream.len() - 3;
    stream[end] ^= 1;
    assert!(again(&stream, &plain).members[0].trailer.is_some());
}

#[test]
fn what_no_engine_makes_is_corrected() {
    let plain = content(3 << 20, 4);
    // zlib's encoder up to the middle, Go's from there: no engine makes the whole.
    let half = plain.len() / 2;
    let mut out = Vec::new();
    let mut deflate = flate2::Compress::new(flate2::Compression::new(5), false);
    out.reserve(plain.len());
    deflate.compress_vec(&plain[..half], &mut out, flate2::FlushCompress::Sync).unwrap();
    let mut encoder = GO.engine().unwrap().begin();
    let mut bits = BitWriter::default();
    encoder.write(&plain[half..], &mut bits);
    encoder.finish(&mut bits);
    out.extend(bits.finish());
    let stream = enclose(&out, &plain);
    let recipe = again(&stream, &plain);
    assert_eq!(recipe.members[0].coder, Coder::GENERAL);
    assert!(recipe.corrections() < stream.len() as u64 / 8, "{}", recipe.corrections());
}

#[test]
fn what_does_not_open_is_not_proved() {
    let plain = content(300_000, 5);
    let stream = member(GO, &plain);
    for broken in
        [&stream[..stream.len() / 2], &stream[..stream.len() - 1], &stream[..5], b"", b"no gzip"]
    {
        assert!(matches!(prove(&mut Cursor::new(broken)).unwrap(), Proof::No(_)));
    }
}

#[test]
fn a_recipe_for_other_content_is_an_error_or_other_bytes_never_a_hang() {
    let plain = content(9 << 20, 6);
    let stream = member(GO, &plain);
    let Proof::Exact { recipe, .. } = prove(&mut Cursor::new(&stream)).unwrap() else { panic!() };
    let other = content(9 << 20, 60);
    for (content, shorter) in [(&other[..], 0), (&plain[..1 << 20], 0), (&[][..], 0), (&plain, 7)] {
        let mut recipe = recipe.clone();
        recipe.members[0].packed -= shorter;
        let mut made = Vec::new();
        let rebuilt = Rebuilt::new(content, recipe, Vec::new(), Arc::new(Pool::new(2)));
        let result = rebuilt.take(1 << 30).read_to_end(&mut made);
        assert!(result.is_err() || made != stream);
        assert!(made.len() < 20 << 20);
    }
}

#[test]
fn hostile_recipes_end_in_bounds() {
    let plain = content(6 << 20, 9);
    let Proof::Exact { recipe, .. } = prove(&mut Cursor::new(member(GO, &plain))).unwrap() else {
        panic!()
    };
    let mark = recipe.members[0].marks[0].clone();
    let with = |change: &dyn Fn(&mut GzipRecipe)| {
        let mut recipe = recipe.clone();
        change(&mut recipe);
        let mut made = Vec::new();
        let rebuilt = Rebuilt::new(&plain[..], recipe, vec![0xff; 1000], Arc::new(Pool::new(2)));
        let result = rebuilt.take(1 << 30).read_to_end(&mut made);
        assert!(made.len() < 20 << 20);
        result.is_err()
    };
    assert!(with(&|recipe| recipe.members[0].plain = u64::MAX));
    assert!(with(&|recipe| recipe.members[0].plain += 1));
    assert!(with(&|recipe| recipe.members[0].marks[0].bit += 9));
    assert!(with(&|recipe| recipe.members[0].marks[0].bit = 1));
    assert!(with(&|recipe| recipe.members[0].coder = Coder(0xffff)));
    assert!(with(&|recipe| recipe.members[0].marks[0].state = vec![0xff; 16]));
    with(&|recipe| recipe.members[0].marks[0].plain = 1);
    with(&|recipe| recipe.members[0].coder = ZLIB);
    with(&|recipe| {
        recipe.members[0].coder = Coder::GENERAL;
        recipe.members[0].marks.clear();
        recipe.members[0].corrections = 1000;
    });
    assert!(with(&|recipe| {
        let again = recipe.members[0].clone();
        recipe.members.extend(std::iter::repeat_n(again, 100));
    }));
    assert_eq!(mark, recipe.members[0].marks[0]);
}
