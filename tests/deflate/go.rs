//! Go's encoder, beside the real one.

mod input;
mod real;

use input::Random;
use real::Go;
use sealift::codec::deflate::codes::WINDOW;
use sealift::codec::deflate::go::GoFlate;
use sealift::codec::deflate::{BitWriter, Encoder, Engine, Mark};

const LEVELS: [i8; 12] = [-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// How many random inputs are made; more make a longer trial.
fn seeds() -> u64 {
    let asked = std::env::var("SEALIFT_DEFLATE_SEEDS").ok();
    asked.map_or(24, |asked| asked.parse().expect("a number of seeds"))
}

/// Encodes in random cuts.
fn encode(encoder: &mut dyn Encoder, mut plain: &[u8], random: &mut Random, out: &mut BitWriter) {
    while !plain.is_empty() {
        let most = 1 << random.below(22);
        let (cut, rest) = plain.split_at(plain.len().min(random.below(most) + 1));
        encoder.write(cut, out);
        plain = rest;
    }
}

/// The stream at a level and its marks, made in random cuts.
fn encoded(level: i8, plain: &[u8], random: &mut Random) -> (Vec<u8>, Vec<Mark>) {
    let mut encoder = GoFlate::new(level).expect("a level").begin();
    let mut out = BitWriter::default();
    encode(&mut *encoder, plain, random, &mut out);
    encoder.finish(&mut out);
    let marks = out.take_marks();
    (out.finish(), marks)
}

/// Goes on from a mark for so many bytes, and says whether the stream is the same there.
fn goes_on(level: i8, plain: &[u8], stream: &[u8], mark: &Mark, bytes: usize) -> bool {
    let (before, after) = plain.split_at(mark.plain as usize);
    let history = &before[before.len().saturating_sub(WINDOW)..];
    let engine = GoFlate::new(level).expect("a level");
    let mut encoder = engine.resume(mark.plain, history, &mark.state).expect("a mark");
    let mut out = BitWriter::starting_at(mark.bit);
    let part = &after[..after.len().min(bytes)];
    encode(&mut *encoder, part, &mut Random::new(mark.bit), &mut out);
    let whole = part.len() == after.len();
    let tail = if whole {
        encoder.finish(&mut out);
        out.finish()
    } else {
        out.take()
    };
    let stream = &stream[(mark.bit / 8) as usize..];
    let Some((first, rest)) = tail.split_first() else {
        return bytes < 2 * WINDOW && !whole;
    };
    let above = u8::MAX << (mark.bit % 8);
    *first == stream[0] & above
        && stream[1..].starts_with(rest)
        && (!whole || stream.len() == tail.len())
}

/// Compares levels over an input, and goes on from some of their marks, or from all.
fn compare(go: &mut Go, name: &str, plain: &[u8], levels: &[i8], marks_tried: usize) {
    for &level in levels {
        let mut random = Random::new(plain.len() as u64 + 1);
        let (stream, marks) = encoded(level, plain, &mut random);
        assert!(go.makes(level, plain, &stream), "{name} at level {level}");
        let sample = marks.len().div_ceil(marks_tried).max(1);
        let bytes = if sample == 1 { plain.len() } else { 12 * WINDOW };
        for mark in marks.iter().step_by(sample) {
            let same = goes_on(level, plain, &stream, mark, bytes);
            assert!(same, "{name} at level {level} from byte {}", mark.plain);
        }
    }
}

#[test]
fn short_inputs_and_those_around_limits_are_as_go_makes_them() {
    let mut go = Go::start();
    let mut random = Random::new(1);
    let text = input::mixed(&mut random, 140_000);
    let limits = [0, 16, 128, 258, 262, 16_384, 32_768, 65_274, 65_536, 98_304, 131_072];
    for limit in limits {
        for length in (limit.max(4) - 4)..=limit + 4 {
            let levels: &[i8] = if limit < 1000 { &LEVELS } else { &[-2, 0, 1, 2, 6, 9] };
            compare(&mut go, "mixed", &text[..length], levels, 2);
            compare(&mut go, "noise", &random.bytes(length), &[1, 3, 6], 2);
            compare(&mut go, "zeros", &vec![0; length], &[1, 2, 6], 2);
        }
    }
}

#[test]
fn random_inputs_are_as_go_makes_them() {
    let mut go = Go::start();
    for seed in 1..=seeds() {
        let mut random = Random::new(seed * 0x9e37_79b9);
        let length = 1 << (10 + random.below(11));
        let length = length + random.below(length);
        let plain = input::mixed(&mut random, length);
        compare(&mut go, &format!("seed {seed}"), &plain, &LEVELS, 40);
    }
}

#[test]
fn matches_reach_as_far_as_go_remembers() {
    let mut go = Go::start();
    // Marks after which it matters how far that is.
    let mut about_to_forget = 0;
    for seed in 0..240 {
        let mut random = Random::new(seed);
        let distance = [32_506, 32_507, 32_508, 32_640, 32_766, 32_767, WINDOW][seed as usize % 7];
        let length = [65_536, 65_537, 65_500, 65_700, 70_000, 100_000][seed as usize % 6];
        let plain = input::far(&mut random, distance, length);
        compare(&mut go, &format!("seed {seed}"), &plain, &[6], usize::MAX);
        let marks = encoded(6, &plain, &mut random).1;
        about_to_forget +=
            marks.iter().filter(|mark| (65_137..65_275).contains(&mark.plain)).count();
    }
    assert!(about_to_forget > 0);
}

#[test]
fn bytes_that_do_not_shrink_and_bytes_that_vanish_are_as_go_makes_them() {
    let mut go = Go::start();
    compare(&mut go, "noise", &Random::new(7).bytes(10_000_000), &[-2, 0, 1, 6], 10);
    compare(&mut go, "zeros", &vec![0; 30_000_000], &[0, 1, 6], 10);
}

#[test]
fn a_real_tar_is_as_go_makes_it() {
    let mut go = Go::start();
    compare(&mut go, "tar", &input::tar(20_000_000), &[1, 6], 50);
    compare(&mut go, "tar", &input::tar(4_000_000), &LEVELS, 10);
}

#[test]
fn only_marks_are_resumed() {
    let (plain, mut random) = (vec![7; 3 * WINDOW], Random::new(3));
    for level in LEVELS {
        let engine = GoFlate::new(level).expect("a level");
        let history = &plain[..WINDOW];
        assert!(engine.resume(40_000, history, &[0]).is_none(), "a state that no mark has");
        assert!(engine.resume(0, &[], &[]).is_none(), "the beginning is no mark");
        assert!(engine.resume(u64::MAX, history, &[]).is_none(), "more than there is");
        if (1..4).contains(&level) {
            assert!(engine.resume(40_000, history, &[]).is_none(), "a level without marks");
            assert!(encoded(level, &plain, &mut random).1.is_empty());
        } else if level >= 4 {
            assert!(engine.resume(40_000, &history[1..], &[]).is_none(), "too short a history");
            assert!(engine.resume(40_000, &[], &[]).is_none());
            // A place between two marks gives some stream, and no panic.
            let mut encoder = engine.resume(1 << 60, history, &[]).expect("a place");
            let mut out = BitWriter::default();
            encode(&mut *encoder, &plain, &mut random, &mut out);
            encoder.finish(&mut out);
        }
    }
    assert!(GoFlate::new(10).is_none() && GoFlate::new(-3).is_none());
    assert_eq!(GoFlate::new(-1), GoFlate::new(6));
}
