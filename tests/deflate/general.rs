//! The general way: streams of every encoder at hand, streams that no encoder would make, and
//! corrections that somebody tampered with.

use std::io::{Cursor, Read, Write};
use std::process::{Command, Stdio};

use flate2::{Compress, Compression, FlushCompress, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use sealift::codec::deflate::codes::{
    DISTANCE_EXTRA, FIXED_LITERAL_LENGTHS, LENGTH_BASE, LENGTH_EXTRA, canonical_codes,
};
use sealift::codec::deflate::general::{Analysis, AnalysisError, Failure, Rebuild};
use sealift::codec::deflate::tokens::TokenError;
use sealift::codec::deflate::{BitWriter, Encoder};

/// Plain bytes and corrections of a stream that is fed in such pieces; how much of it was used.
fn analyse(stream: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<u8>, usize), AnalysisError> {
    let mut analysis = Analysis::new();
    let (mut plain, mut corrections, mut used) = (Vec::new(), Vec::new(), 0);
    for piece in stream.chunks(piece) {
        used += analysis.write(piece, &mut plain)?;
        corrections.extend(analysis.take());
    }
    corrections.extend(analysis.finish()?);
    Ok((plain, corrections, used))
}

/// What corrections make of plain bytes that come in such pieces, and how it ended.
fn rebuild(plain: &[u8], corrections: &[u8], piece: usize) -> (Vec<u8>, Option<String>) {
    let mut rebuild = Rebuild::new(Box::new(Cursor::new(corrections.to_vec())));
    let mut out = BitWriter::default();
    for piece in plain.chunks(piece) {
        rebuild.write(piece, &mut out);
    }
    rebuild.finish(&mut out);
    (out.finish(), rebuild.failure().map(Failure::to_string))
}

/// A stream must come back as it is, however it is cut; how long its corrections are.
#[track_caller]
fn assert_comes_back(stream: &[u8], plain: &[u8]) -> usize {
    let (found, corrections, used) = analyse(stream, 8 << 10).expect("a stream that is in order");
    assert!(found == plain, "other plain bytes");
    assert_eq!(used, stream.len());
    for piece in [1 << 10, 100_000] {
        let (again, failure) = rebuild(plain, &corrections, piece);
        assert_eq!(failure, None);
        assert!(again == stream, "another stream, pieces of {piece}");
    }
    let behind = [stream, b"behind it"].concat();
    let (_, others, used) = analyse(&behind, 777).expect("a stream with something behind it");
    assert_eq!(used, stream.len());
    assert!(others == corrections, "other corrections, in other pieces");
    corrections.len()
}

/// The deflate stream in a gzip member.
fn without_gzip(member: &[u8]) -> &[u8] {
    let flags = member[3];
    let mut at = 10;
    if flags & 4 > 0 {
        at += 2 + usize::from(u16::from_le_bytes([member[10], member[11]]));
    }
    for flag in [8, 16] {
        if flags & flag > 0 {
            at += member[at..].iter().position(|&byte| byte == 0).expect("an end") + 1;
        }
    }
    &member[at..member.len() - 8]
}

/// What a program makes of bytes.
#[track_caller]
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("an end");
    feeder.join().expect("no panic").expect("all taken");
    assert!(output.status.success(), "{program} {arguments:?}");
    output.stdout
}

fn deflate(plain: &[u8], level: u32, flush_each: usize, flush: FlushCompress) -> Vec<u8> {
    let mut compress = Compress::new(Compression::new(level), false);
    let mut stream = Vec::with_capacity(plain.len() * 2 + 1000);
    for piece in plain.chunks(flush_each) {
        let start = compress.total_in();
        while compress.total_in() - start < piece.len() as u64 {
            let rest = &piece[(compress.total_in() - start) as usize..];
            stream.reserve(rest.len() + 100);
            compress.compress_vec(rest, &mut stream, flush).expect("deflate");
        }
    }
    loop {
        stream.reserve(1000);
        let status = compress.compress_vec(&[], &mut stream, FlushCompress::Finish);
        if status.expect("deflate") == Status::StreamEnd {
            return stream;
        }
    }
}

/// Real bytes: this very test, programs, and what is alike in them.
fn real(length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let own = std::env::current_exe().expect("a path");
    for path in [concat!(env!("CARGO_MANIFEST_DIR"), "/docs/format.md").into(), own] {
        let file = std::fs::File::open(path).expect("a file that is there");
        file.take(length as u64).read_to_end(&mut bytes).expect("readable");
    }
    bytes.truncate(length);
    assert_eq!(bytes.len(), length);
    bytes
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Bytes that are hard in one way or another.
fn samples() -> Vec<Vec<u8>> {
    let mut mixed = real(80_000);
    mixed.extend(noise(70_000));
    mixed.extend(vec![b'x'; 90_000]);
    mixed.extend(real(60_000));
    vec![vec![], vec![7], b"abc".to_vec(), b"abcabcabcabc".to_vec(), vec![0; 70_000], mixed]
}

#[test]
fn streams_of_the_library_in_use_come_back() {
    for plain in samples() {
        for level in 0..=9 {
            assert_comes_back(&deflate(&plain, level, usize::MAX, FlushCompress::None), &plain);
        }
        assert_comes_back(&deflate(&plain, 6, 5000, FlushCompress::Sync), &plain);
        assert_comes_back(&deflate(&plain, 6, 50_000, FlushCompress::Full), &plain);
    }
}

#[test]
fn streams_of_programs_come_back_with_few_corrections() {
    let plain = real(1_000_000);
    // Corrections in ten-thousandths of the stream.
    let programs: &[(&str, &[&str], usize)] = &[
        ("gzip", &["-n", "-1"], 10),
        ("gzip", &["-n", "-6"], 10),
        ("gzip", &["-n", "-9"], 10),
        ("busybox", &["gzip"], 10),
        ("libdeflate-gzip", &["-1"], 250),
        ("libdeflate-gzip", &["-3"], 50),
        ("libdeflate-gzip", &["-6"], 50),
        ("libdeflate-gzip", &["-9"], 50),
        ("libdeflate-gzip", &["-12"], 900),
        ("igzip", &["-0"], 900),
        ("igzip", &["-3"], 900),
    ];
    for (program, arguments, most) in programs {
        let member = run(program, &[arguments, &["-c"][..]].concat(), &plain);
        let stream = without_gzip(&member);
        let corrections = assert_comes_back(stream, &plain);
        let share = corrections * 10_000 / stream.len();
        assert!(share <= *most, "{program} {arguments:?}: {share} of 10000");
    }
}

#[test]
fn streams_of_zopfli_come_back() {
    let plain = real(300_000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plain");
    std::fs::write(&path, &plain).expect("written");
    let path = path.to_str().expect("a name in UTF-8");
    let member = run("zopfli", &["-c", "--i5", path], &[]);
    assert_comes_back(without_gzip(&member), &plain);
}

#[test]
fn streams_of_every_strategy_of_zlib_come_back() {
    let script = "import sys, zlib\n\
        level, memory, strategy = map(int, sys.argv[1:])\n\
        make = zlib.compressobj(level, zlib.DEFLATED, -15, memory, strategy)\n\
        plain = sys.stdin.buffer.read()\n\
        sys.stdout.buffer.write(make.compress(plain) + make.flush())\n";
    for plain in [real(400_000), samples().pop().expect("the last one")] {
        for (level, memory) in [("1", "8"), ("4", "9"), ("9", "1")] {
            for strategy in ["0", "1", "2", "3", "4"] {
                let arguments = ["-c", script, level, memory, strategy];
                let stream = run("python3", &arguments, &plain);
                let corrections = assert_comes_back(&stream, &plain);
                let share = corrections * 10_000 / stream.len();
                assert!(memory == "1" || share <= 60, "{level} {memory} {strategy}: {share}");
            }
        }
    }
}

#[test]
fn what_is_no_stream_is_refused() {
    let stream = deflate(&real(100_000), 6, usize::MAX, FlushCompress::None);
    for end in [0, 1, 100, stream.len() - 1] {
        let refused = analyse(&stream[..end], 1000).expect_err("cut off");
        assert_eq!(refused, AnalysisError::Truncated, "{end}");
    }
    let broken: [(&[u8], TokenError); 6] = [
        (&[0x07, 0], TokenError::BlockType),
        (&[0x01, 5, 0, 0, 0], TokenError::StoredLength),
        (&[0xfd, 0xff, 0xff, 0xff], TokenError::TooManyCodes),
        (&[0x05, 0, 0, 0, 0, 0, 0], TokenError::CodeLengths),
        // The code of symbol 286.
        (&[0x1b, 0x03, 0, 0], TokenError::NoCode),
        // A length of 3 at the very beginning.
        (&[0x03, 0x02, 0, 0], TokenError::TooFarBack),
    ];
    for (stream, error) in broken {
        for piece in [1, 10] {
            assert_eq!(analyse(stream, piece).err(), Some(AnalysisError::Broken(error)));
        }
    }
}

#[test]
fn a_stream_of_empty_blocks_is_refused_before_it_fills_the_memory() {
    let empty = [0u8, 0, 0, 0xff, 0xff].repeat(100_000);
    assert_eq!(analyse(&empty, 1000).err(), Some(AnalysisError::TooLong));
}

#[test]
fn padding_that_is_not_zero_is_kept() {
    // A stored block with 0b10101 before its length, then a fixed one with ones behind it.
    let mut stream = vec![0b1010_1000, 2, 0, 0xfd, 0xff, b'h', b'i'];
    stream.extend([0b0000_0011, 0b1111_1100]);
    assert_comes_back(&stream, b"hi");
}

#[test]
fn a_block_without_end_is_told_in_little_memory() {
    // More tokens than wait for the head of their block.
    let plain = noise(400_000);
    let mut tokens = Vec::new();
    tokens.extend(plain.iter().map(|&byte| (u16::from(byte), 0, 0)));
    let (stream, made) = fixed_block(&tokens);
    assert_eq!(made, plain);
    assert_comes_back(&stream, &plain);
}

/// A block with fixed codes of tokens: a literal, or a length symbol with its extra bits, and a
/// distance symbol; and what it stands for.
fn fixed_block(tokens: &[(u16, u16, u16)]) -> (Vec<u8>, Vec<u8>) {
    let mut codes = [0; 288];
    canonical_codes(&FIXED_LITERAL_LENGTHS, &mut codes);
    let mut distances = [0; 32];
    canonical_codes(&[5; 32], &mut distances);
    let mut out = BitWriter::default();
    let mut plain: Vec<u8> = Vec::new();
    out.put(0b011, 3);
    for &(symbol, extra, distance) in tokens {
        let at = usize::from(symbol);
        if symbol < 256 {
            plain.push(symbol as u8);
        } else {
            let back = 1 + usize::from(distance);
            let which = at - 257;
            let extra = extra & ((1 << LENGTH_EXTRA[which]) - 1);
            if distance > 3 || back > plain.len() {
                continue;
            }
            out.put(codes[at].into(), FIXED_LITERAL_LENGTHS[at].into());
            out.put(extra.into(), LENGTH_EXTRA[which].into());
            out.put(distances[usize::from(distance)].into(), 5);
            assert_eq!(DISTANCE_EXTRA[usize::from(distance)], 0);
            for _ in 0..LENGTH_BASE[which] + extra {
                plain.push(plain[plain.len() - back]);
            }
            continue;
        }
        out.put(codes[at].into(), FIXED_LITERAL_LENGTHS[at].into());
    }
    out.put(codes[256].into(), 7);
    (out.finish(), plain)
}

#[test]
fn a_longest_match_in_either_spelling_comes_back() {
    let mut tokens = vec![(65, 0, 0)];
    for round in 0..50 {
        // 258 as symbol 285, and as 284 with all its extra bits.
        tokens.push(if round % 3 == 0 { (284, 31, 0) } else { (285, 0, 0) });
        tokens.push((66 + round, 0, 0));
    }
    let (stream, plain) = fixed_block(&tokens);
    assert_comes_back(&stream, &plain);
}

fn any_plain() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..3000),
        vec(0u8..3, 0..5000),
        (any::<u8>(), 0usize..5000).prop_map(|(byte, count)| vec![byte; count]),
        (vec(any::<u8>(), 1..300), 1usize..40).prop_map(|(part, count)| part.repeat(count)),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_come_back_at_any_level(plain in any_plain(), level in 0u32..=9) {
        assert_comes_back(&deflate(&plain, level, usize::MAX, FlushCompress::None), &plain);
    }

    #[test]
    fn tokens_that_no_encoder_would_choose_come_back(
        tokens in vec(
            prop_oneof![
                (97u16..100, Just(0u16), Just(0u16)),
                (257u16..=285, any::<u16>(), 0u16..4),
            ],
            0..2000,
        ),
    ) {
        let (stream, plain) = fixed_block(&tokens);
        assert_comes_back(&stream, &plain);
    }

    #[test]
    fn any_bytes_are_taken_or_refused_as_by_zlib(
        bytes in vec(any::<u8>(), 0..400),
        kind in 0u8..3,
    ) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = *first & !7 | 1 | kind << 1;
        }
        let mut inflated = Vec::new();
        let theirs = flate2::read::DeflateDecoder::new(&bytes[..]).read_to_end(&mut inflated);
        match analyse(&bytes, 100) {
            Ok((plain, corrections, used)) => {
                prop_assert!(theirs.is_ok());
                prop_assert_eq!(&plain, &inflated);
                let (again, failure) = rebuild(&plain, &corrections, 100);
                prop_assert_eq!(failure, None);
                prop_assert_eq!(&again[..], &bytes[..used]);
            }
            Err(error) => prop_assert!(theirs.is_err(), "{error}"),
        }
    }

    #[test]
    fn a_stream_with_a_flipped_bit_is_taken_or_refused_as_by_zlib(
        plain in any_plain(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let mut bytes = deflate(&plain, 6, usize::MAX, FlushCompress::None);
        let at = at.index(bytes.len().min(100));
        bytes[at] ^= 1 << bit;
        let mut inflated = Vec::new();
        let theirs = flate2::read::DeflateDecoder::new(&bytes[..]).read_to_end(&mut inflated);
        match analyse(&bytes, 1000) {
            Ok((plain, corrections, used)) => {
                prop_assert!(theirs.is_ok());
                prop_assert!(plain == inflated);
                let (again, failure) = rebuild(&plain, &corrections, 1000);
                prop_assert_eq!(failure, None);
                prop_assert!(again == bytes[..used]);
            }
            Err(error) => prop_assert!(theirs.is_err(), "{error}"),
        }
    }

    #[test]
    fn corrections_that_were_tampered_with_do_no_harm(
        plain in any_plain(),
        level in 0u32..=9,
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let stream = deflate(&plain, level, usize::MAX, FlushCompress::None);
        let (_, mut corrections, _) = analyse(&stream, 1000).unwrap();
        for (at, byte) in flips {
            let at = at.index(corrections.len());
            corrections[at] ^= byte;
        }
        let (made, _) = rebuild(&plain, &corrections, 1000);
        prop_assert!(made.len() <= 8 * plain.len() + (72 << 10));
        let (made, _) = rebuild(&plain, &corrections[..cut.index(corrections.len())], 1000);
        prop_assert!(made.len() <= 8 * plain.len() + (72 << 10));
    }

    #[test]
    fn corrections_out_of_nowhere_do_no_harm(plain in any_plain(), noise in vec(any::<u8>(), 0..3000)) {
        // With a head that is in order, or without.
        let stream = deflate(&plain, 6, usize::MAX, FlushCompress::None);
        let (_, corrections, _) = analyse(&stream, 1000).unwrap();
        let head = &corrections[..corrections.len().min(18)];
        for corrections in [noise.clone(), [head, &noise[..]].concat()] {
            let (made, _) = rebuild(&plain, &corrections, 1000);
            prop_assert!(made.len() <= 8 * plain.len() + (72 << 10));
        }
    }
}

/// Corrections that never end.
struct Endless(u8);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        buffer.fill(self.0);
        Ok(buffer.len())
    }
}

#[test]
fn corrections_without_end_come_to_an_end() {
    let plain = real(100_000);
    let stream = deflate(&plain, 6, usize::MAX, FlushCompress::None);
    let (_, corrections, _) = analyse(&stream, 1000).expect("in order");
    for byte in 0..=255 {
        let head = Cursor::new(corrections[..18].to_vec());
        let mut rebuild = Rebuild::new(Box::new(head.chain(Endless(byte))));
        let mut out = BitWriter::default();
        rebuild.write(&plain, &mut out);
        rebuild.finish(&mut out);
        assert!(out.finish().len() <= 8 * plain.len() + (72 << 10));
        let _ = rebuild.failure();
    }
}

#[test]
fn a_source_that_breaks_is_reported() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    let mut rebuild = Rebuild::new(Box::new(Broken));
    rebuild.finish(&mut BitWriter::default());
    assert!(matches!(rebuild.failure(), Some(Failure::Source(_))));
}

#[test]
fn other_plain_bytes_make_no_stream() {
    let plain = real(50_000);
    let stream = deflate(&plain, 6, usize::MAX, FlushCompress::None);
    let (_, corrections, _) = analyse(&stream, 1000).expect("in order");
    let (made, failure) = rebuild(&plain[..49_999], &corrections, 1000);
    assert!(failure.is_some() || made != stream);
    let longer = [&plain[..], b"more"].concat();
    let (made, failure) = rebuild(&longer, &corrections, 1000);
    assert!(failure.is_some() || made != stream);
}

/// Corrections that were made once, and a hash (64-bit FNV-1a) of the stream that they make of
/// [`golden_plain`].
const GOLDEN: &[(&[u8], u64)] = &[
    (include_bytes!("../../testdata/deflate-general/go6.corrections"), 0xd459_282a_a1ca_5f34),
    (include_bytes!("../../testdata/deflate-general/gzip6.corrections"), 0xb8d1_9c82_71cb_cc2d),
    (include_bytes!("../../testdata/deflate-general/igzip1.corrections"), 0xb218_7d94_77f3_4ada),
    (
        include_bytes!("../../testdata/deflate-general/libdeflate12.corrections"),
        0x3b9b_0183_1b33_df6b,
    ),
    (
        include_bytes!("../../testdata/deflate-general/libdeflate9.corrections"),
        0x6cb6_ca05_3e60_46fe,
    ),
    (include_bytes!("../../testdata/deflate-general/zopfli.corrections"), 0xde3f_0d96_4510_a880),
];

/// Words, noise and runs that are the same every time.
fn golden_plain() -> Vec<u8> {
    let words =
        ["layer ", "manifest ", "config ", "digest ", "index\n", "pack ", "chunk, ", "recipe. "];
    let mut state = 1u32;
    let mut plain = Vec::new();
    while plain.len() < 40_000 {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345) & 0x7fff_ffff;
        let roll = state >> 16;
        if roll.is_multiple_of(11) {
            plain.extend([roll as u8, (roll >> 3) as u8]);
        } else if roll.is_multiple_of(13) {
            plain.resize(plain.len() + roll as usize % 97, roll as u8 & 127);
        } else {
            plain.extend(words[(roll >> 4) as usize % 8].bytes());
        }
    }
    plain
}

#[test]
fn corrections_mean_what_they_always_meant() {
    let plain = golden_plain();
    for (number, &(corrections, hash)) in GOLDEN.iter().enumerate() {
        let (stream, failure) = rebuild(&plain, corrections, 5000);
        assert_eq!(failure, None);
        let found = stream.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(found, hash, "number {number}");
        let mut inflated = Vec::new();
        let mut inflate = flate2::read::DeflateDecoder::new(&stream[..]);
        inflate.read_to_end(&mut inflated).expect("a stream");
        assert!(inflated == plain);
    }
}
