//! zlib, GNU gzip, `busybox gzip` and pigz, as installed here, on everything that is known to be
//! hard, and on what layers are made of.

use sealift::codec::deflate::codes::WINDOW;
use sealift::codec::deflate::zlib::{Blocks, Program, Setting, engine, pigz};
use sealift::codec::deflate::{BitWriter, Engine, Mark};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit as u64) as usize
    }

    fn of(&mut self, choices: &[usize]) -> usize {
        choices[self.below(choices.len())]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll() as u8).collect()
    }
}

fn dice(seed: usize) -> Dice {
    Dice(0x9e37_79b9_7f4a_7c15 ^ (seed as u64) << 20)
}

/// Noise, few letters, runs, and repetitions near and far, in pieces of all sizes.
fn mixture(seed: usize, length: usize) -> Vec<u8> {
    let mut dice = dice(seed);
    let letters = dice.of(&[2, 4, 16, 64]);
    let mut mixed = Vec::with_capacity(length + 100_000);
    while mixed.len() < length {
        match dice.below(20) {
            0..5 => {
                let most = dice.of(&[10, 300, 40_000]);
                let count = 1 + dice.below(most);
                mixed.extend(dice.bytes(count));
            }
            5..10 => {
                let most = dice.of(&[20, 3000]);
                let count = 1 + dice.below(most);
                mixed.extend((0..count).map(|_| dice.below(letters) as u8 * 3));
            }
            10..12 => {
                let most = dice.of(&[10, 700, 70_000]);
                let count = 1 + dice.below(most);
                mixed.resize(mixed.len() + count, dice.roll() as u8);
            }
            _ if mixed.is_empty() => {}
            _ => {
                let most = dice.of(&[10, 300, 5000, 33_000, 70_000]).min(mixed.len());
                let distance = 1 + dice.below(most);
                let most = dice.of(&[5, 20, 300, 3000]);
                for _ in 0..=dice.below(most) {
                    mixed.push(mixed[mixed.len() - distance]);
                }
            }
        }
    }
    mixed.truncate(length);
    mixed
}

/// Noise in which no three bytes occur twice: all of it is literals, so that a second block of 32767
/// begins one byte too early to be stored when it is full.
fn noise_without_matches(length: usize) -> Vec<u8> {
    let (mut dice, mut seen) = (dice(length), HashSet::new());
    let mut noise = dice.bytes(2);
    while noise.len() < length {
        let byte = dice.roll() as u8;
        if seen.insert([noise[noise.len() - 2], noise[noise.len() - 1], byte]) {
            noise.push(byte);
        }
    }
    noise
}

/// Lengths at which a match, a distance, the window or a block of pigz is just full.
const EDGES: [usize; 26] = [
    0, 1, 2, 3, 257, 258, 259, 262, 263, 32_506, 32_507, 32_767, 32_768, 32_769, 65_273, 65_274,
    65_275, 65_400, 65_535, 65_536, 65_537, 98_304, 131_071, 131_072, 131_073, 262_144,
];

fn small_inputs() -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for length in EDGES {
        inputs.push((format!("{length} zeros"), vec![0; length]));
        inputs.push((format!("{length} bytes of noise"), dice(length).bytes(length)));
        inputs.push((format!("a mixture of {length} bytes"), mixture(length, length)));
    }
    for seed in 0..12 {
        let length = dice(seed).below(400_000);
        inputs.push((format!("mixture {seed}"), mixture(seed, length)));
    }
    for length in [65_534, 65_536, 100_000, 300_000] {
        let name = format!("{length} bytes of noise without matches");
        inputs.push((name, noise_without_matches(length)));
    }
    let tar = real_tar();
    for (name, begin) in [("the beginning", 0), ("the middle", tar.len() / 2)] {
        inputs.push((format!("{name} of a tar"), tar[begin..begin + 500_000].to_vec()));
    }
    inputs
}

/// 20 MB of a tar of what is installed here.
fn real_tar() -> &'static [u8] {
    static TAR: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut tar = Command::new("tar")
            .args([
                "--create",
                "--file=-",
                "--sort=name",
                "--directory=/usr",
                "bin",
                "share",
                "lib",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("tar starts");
        let mut bytes = Vec::new();
        tar.stdout.take().unwrap().take(20_000_000).read_to_end(&mut bytes).unwrap();
        tar.kill().unwrap();
        tar.wait().unwrap();
        assert_eq!(bytes.len(), 20_000_000, "/usr has not enough to make a tar of");
        bytes
    });
    &TAR
}

/// What a command makes of an input.
fn output_of(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).expect("the program reads its input"));
        let mut output = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
        assert!(child.wait().unwrap().success(), "{command:?}");
        output
    })
}

/// The deflate stream in what a gzip program makes of an input.
fn member_of(program: &str, options: &[&str], input: &[u8]) -> Vec<u8> {
    let file = output_of(Command::new(program).args(options), input);
    assert_eq!(file[..4], [0x1f, 0x8b, 8, 0], "a plain gzip header");
    file[10..file.len() - 8].to_vec()
}

/// The deflate streams that Python's zlib makes of an input with each level and `memLevel`.
fn python(settings: &[(u8, u8)], input: &[u8]) -> Vec<Vec<u8>> {
    const SCRIPT: &str = "
import sys, zlib
plain = sys.stdin.buffer.read()
for setting in sys.argv[1:]:
    level, memory = map(int, setting.split(':'))
    encoder = zlib.compressobj(level, zlib.DEFLATED, -15, memory)
    stream = encoder.compress(plain) + encoder.flush()
    sys.stdout.buffer.write(len(stream).to_bytes(8, 'little') + stream)
";
    let settings = settings.iter().map(|(level, memory)| format!("{level}:{memory}"));
    let mut command = Command::new("/usr/bin/python3");
    let output = output_of(command.args(["-c", SCRIPT]).args(settings), input);
    let mut rest = &output[..];
    let mut streams = Vec::new();
    while let Some((length, more)) = rest.split_first_chunk() {
        let (stream, more) = more.split_at(u64::from_le_bytes(*length) as usize);
        streams.push(stream.to_vec());
        rest = more;
    }
    streams
}

fn zlib(level: u8, mem_level: u8) -> Box<dyn Engine> {
    let program = Program::Zlib { mem_level };
    Box::new(engine(Setting { program, level }).expect("zlib has this setting"))
}

fn gzip(level: u8) -> Box<dyn Engine> {
    Box::new(engine(Setting { program: Program::Gzip, level }).expect("gzip has this level"))
}

fn busybox() -> Box<dyn Engine> {
    let program = Program::BusyBox { fast: 2 };
    Box::new(engine(Setting { program, level: 6 }).expect("busybox has this setting"))
}

fn pigz_at(level: u8, kib: usize, blocks: Blocks) -> Box<dyn Engine> {
    Box::new(pigz(level, kib << 10, blocks).expect("pigz has this setting"))
}

/// What an engine makes of an input that comes in writes of many sizes, and its marks.
fn encode(engine: &dyn Engine, mut plain: &[u8]) -> (Vec<u8>, Vec<Mark>) {
    let mut dice = dice(plain.len());
    let mut encoder = engine.begin();
    let mut out = BitWriter::default();
    let (mut stream, mut marks) = (Vec::new(), Vec::new());
    while !plain.is_empty() {
        let most = dice.of(&[1, 50, 5000, 300_000]);
        let (now, later) = plain.split_at((1 + dice.below(most)).min(plain.len()));
        encoder.write(now, &mut out);
        plain = later;
        stream.extend(out.take());
        marks.extend(out.take_marks());
    }
    encoder.finish(&mut out);
    marks.extend(out.take_marks());
    stream.extend(out.finish());
    (stream, marks)
}

#[track_caller]
fn assert_same(ours: &[u8], theirs: &[u8], what: &str) {
    let differs = ours.iter().zip(theirs).position(|(a, b)| a != b);
    assert!(
        ours == theirs,
        "{what}: {} bytes against {}, first different at {differs:?}",
        ours.len(),
        theirs.len()
    );
}

/// Goes on from a mark with no more than `limit` plain bytes, and compares what comes out.
#[track_caller]
fn assert_resumes(
    engine: &dyn Engine,
    plain: &[u8],
    stream: &[u8],
    mark: &Mark,
    limit: usize,
    what: &str,
) {
    let at = mark.plain as usize;
    assert!(mark.state.len() <= 16, "{what}: {mark:?}");
    let history = &plain[at.saturating_sub(WINDOW)..at];
    let mut encoder = engine.resume(mark.plain, history, &mark.state).expect("its own mark");
    let mut out = BitWriter::starting_at(mark.bit);
    let end = plain.len().min(at.saturating_add(limit));
    for piece in plain[at..end].chunks(10_007) {
        encoder.write(piece, &mut out);
    }
    let (mut ours, whole) = (Vec::new(), end == plain.len());
    if whole {
        encoder.finish(&mut out);
        ours = out.finish();
    } else {
        ours.extend(out.ready());
        assert!(!ours.is_empty(), "{what}: {mark:?}: nothing to compare");
    }
    let begin = (mark.bit / 8) as usize;
    let theirs = if whole { &stream[begin..] } else { &stream[begin..begin + ours.len()] };
    if let Some(first) = ours.first_mut() {
        *first |= theirs[0] & !(0xff << (mark.bit % 8));
    }
    assert_same(&ours, theirs, &format!("{what}: {mark:?}"));
}

#[test]
fn zlib_at_every_level() {
    let settings: Vec<(u8, u8)> = (1..=9)
        .flat_map(|level| [(level, 8), (level, 9)])
        .chain([(1, 1), (6, 1), (5, 5)])
        .collect();
    for (name, plain) in small_inputs() {
        let expected = python(&settings, &plain);
        for (&(level, memory), expected) in settings.iter().zip(expected) {
            let (stream, _) = encode(&*zlib(level, memory), &plain);
            assert_same(&stream, &expected, &format!("zlib {level}, memory {memory}, {name}"));
        }
    }
}

#[test]
fn gzip_at_every_level() {
    for (name, plain) in small_inputs() {
        for level in 1..=9 {
            let expected = member_of("gzip", &["-n", &format!("-{level}")], &plain);
            let (stream, _) = encode(&*gzip(level), &plain);
            assert_same(&stream, &expected, &format!("gzip {level}, {name}"));
        }
    }
}

#[test]
fn busybox_as_debian_builds_it() {
    for (name, plain) in small_inputs() {
        let (stream, _) = encode(&*busybox(), &plain);
        assert_same(&stream, &member_of("busybox", &["gzip", "-c"], &plain), &name);
    }
}

#[test]
fn pigz_with_many_threads_with_one_and_with_independent_blocks() {
    let modes = [(Blocks::Primed, "-p3"), (Blocks::Continued, "-p1"), (Blocks::Independent, "-i")];
    for (number, (name, plain)) in small_inputs().into_iter().enumerate() {
        for level in 1..=9 {
            let (blocks, option) = modes[(number + usize::from(level)) % modes.len()];
            let kib = [128, 32, 33, 128, 500, 128, 40][(number + usize::from(level)) % 7];
            let options = ["-n", option, "-b", &kib.to_string(), &format!("-{level}")];
            let expected = member_of("pigz", &options, &plain);
            let (stream, _) = encode(&*pigz_at(level, kib, blocks), &plain);
            assert_same(&stream, &expected, &format!("pigz {options:?}, {name}"));
        }
    }
}

/// Inputs whose last bytes occurred twice before, once followed by what gzip takes for more input:
/// bytes of 32 KiB before, or two zeros.
fn inputs_that_tempt_beyond_their_end() -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for length in [50_000, 65_536, 65_400, 90_000, 98_280, 98_304, 200_000] {
        for zeros in [0, 2] {
            let mut plain = dice(length).bytes(length);
            let old = if length > 65_536 { length - WINDOW } else { length - 300 };
            let mut beyond = vec![0; zeros];
            beyond.extend_from_slice(&plain[old + zeros..old + 8]);
            let (last, far, near) = (length - 40, length - 3000, length - 1000);
            plain.copy_within(last.., near);
            plain.copy_within(last.., far);
            plain[far + 40..far + 40 + beyond.len()].copy_from_slice(&beyond);
            inputs.push((format!("{length} bytes with {zeros} zeros behind"), plain));
        }
    }
    inputs
}

#[test]
fn what_lies_behind_the_end() {
    let (gnu, small) = (gzip(6), busybox());
    for (name, plain) in inputs_that_tempt_beyond_their_end() {
        for level in [1, 9] {
            let expected = member_of("gzip", &["-n", &format!("-{level}")], &plain);
            assert_same(&encode(&*gzip(level), &plain).0, &expected, &format!("gzip, {name}"));
        }
        assert_same(&encode(&*zlib(6, 8), &plain).0, &python(&[(6, 8)], &plain)[0], &name);
        for (engine, program, option) in [(&gnu, "gzip", "-n"), (&small, "busybox", "gzip")] {
            let what = format!("{program}, {name}");
            let (stream, marks) = encode(&**engine, &plain);
            assert_same(&stream, &member_of(program, &[option], &plain), &what);
            for mark in &marks {
                assert_resumes(&**engine, &plain, &stream, mark, usize::MAX, &what);
            }
        }
    }
}

#[test]
fn a_tar_of_real_files() {
    let plain = real_tar();
    let expected = python(&[(1, 8), (6, 8), (6, 9)], plain);
    for ((level, memory), expected) in [(1, 8), (6, 8), (6, 9)].into_iter().zip(expected) {
        let (stream, _) = encode(&*zlib(level, memory), plain);
        assert_same(&stream, &expected, &format!("zlib {level}, memory {memory}"));
    }
    let part = &plain[..4_000_000];
    let (stream, _) = encode(&*zlib(9, 8), part);
    assert_same(&stream, &python(&[(9, 8)], part)[0], "zlib 9");
    let (stream, _) = encode(&*gzip(9), part);
    assert_same(&stream, &member_of("gzip", &["-n", "-9"], part), "gzip 9");
    let (stream, _) = encode(&*gzip(6), plain);
    assert_same(&stream, &member_of("gzip", &["-n"], plain), "gzip");
    let (stream, _) = encode(&*busybox(), plain);
    assert_same(&stream, &member_of("busybox", &["gzip", "-c"], plain), "busybox");
    let (stream, _) = encode(&*pigz_at(6, 128, Blocks::Primed), plain);
    assert_same(&stream, &member_of("pigz", &["-n", "-p2"], plain), "pigz");
}

#[test]
fn tens_of_megabytes_of_zeros() {
    let plain = vec![0; 40_000_000];
    for (level, expected) in [1, 6, 9].into_iter().zip(python(&[(1, 8), (6, 8), (9, 8)], &plain)) {
        assert_same(&encode(&*zlib(level, 8), &plain).0, &expected, &format!("zlib {level}"));
    }
    assert_same(&encode(&*gzip(9), &plain).0, &member_of("gzip", &["-n9"], &plain), "gzip 9");
    let expected = member_of("pigz", &["-n", "-p2"], &plain);
    assert_same(&encode(&*pigz_at(6, 128, Blocks::Primed), &plain).0, &expected, "pigz");
}

#[test]
fn every_mark_leads_to_the_same_end() {
    let lazy = [4, 5, 6, 9].into_iter();
    let lazy = lazy.flat_map(|level| [zlib(level, 8), zlib(level, 9), gzip(level)]);
    let lazy = lazy.chain([busybox(), pigz_at(6, 128, Blocks::Continued)]);
    let pigz = [(1, 128, Blocks::Primed), (6, 32, Blocks::Primed), (9, 128, Blocks::Independent)];
    let pigz = pigz.map(|(level, kib, blocks)| pigz_at(level, kib, blocks));
    let tar = real_tar();
    // The last ends where the window is full.
    let inputs =
        [mixture(7, 400_000), tar[3_000_000..3_400_000].to_vec(), mixture(9, 9 * WINDOW - 20)];
    for (number, engine) in lazy.chain(pigz).enumerate() {
        for (input, plain) in inputs.iter().enumerate() {
            let (stream, marks) = encode(&*engine, plain);
            assert!(marks.len() >= 2, "engine {number}, input {input}: {} marks", marks.len());
            for mark in &marks {
                let what = format!("engine {number}, input {input}");
                assert_resumes(&*engine, plain, &stream, mark, usize::MAX, &what);
            }
        }
    }
}

#[test]
fn marks_of_a_long_stream_lead_on() {
    let plain = real_tar();
    for engine in [zlib(6, 8), gzip(6)] {
        let (stream, marks) = encode(&*engine, plain);
        assert!(marks.len() > 200, "{} marks", marks.len());
        for mark in marks.iter().step_by(5) {
            assert_resumes(&*engine, plain, &stream, mark, 400_000, "a tar");
        }
    }
}

#[test]
fn what_makes_no_marks_resumes_from_none() {
    let plain = mixture(1, 300_000);
    let (_, marks) = encode(&*zlib(6, 8), &plain);
    let mark = &marks[0];
    let history = &plain[(mark.plain as usize).saturating_sub(WINDOW)..mark.plain as usize];
    for engine in [zlib(3, 8), gzip(1), pigz_at(6, 128, Blocks::Primed)] {
        assert!(encode(&*engine, &plain[..100_000]).1.is_empty());
        assert!(engine.resume(mark.plain, history, &mark.state).is_none());
    }
}

#[test]
fn hostile_states_are_refused_or_do_no_harm() {
    let plain = mixture(2, 400_000);
    let (mut refused, mut taken) = (0, 0);
    for engine in [zlib(6, 8), zlib(9, 9), gzip(6), busybox(), pigz_at(6, 32, Blocks::Continued)] {
        let (_, marks) = encode(&*engine, &plain);
        let mut dice = dice(1);
        for _ in 0..300 {
            let mark = &marks[dice.below(marks.len())];
            let (mut at, mut state) = (mark.plain, mark.state.clone());
            match dice.below(4) {
                0 => {
                    let count = dice.below(20);
                    state = dice.bytes(count);
                }
                1 => at += dice.below(3) as u64,
                2 => state[..2].copy_from_slice(&((at % 0x1_0000) as u16).to_le_bytes()),
                _ => {
                    // Sound, but not what is there.
                    state.truncate(2);
                    state.extend([dice.of(&[3, 100, 255]) as u8, 0]);
                    state.extend((1 + dice.below(300) as u16).to_le_bytes());
                }
            }
            let history = &plain[(at as usize).saturating_sub(WINDOW)..at as usize];
            let Some(mut encoder) = engine.resume(at, history, &state) else {
                refused += 1;
                continue;
            };
            taken += 1;
            let mut out = BitWriter::starting_at(mark.bit);
            let count = dice.of(&[0, 1, 2, 50, 100_000]);
            encoder.write(&plain[at as usize..plain.len().min(at as usize + count)], &mut out);
            encoder.finish(&mut out);
            assert!(!out.finish().is_empty());
        }
    }
    assert!(refused > 100 && taken > 100, "{refused} refused, {taken} taken");
}

#[test]
fn settings_that_no_program_has() {
    for (program, level) in [
        (Program::Zlib { mem_level: 8 }, 0),
        (Program::Zlib { mem_level: 8 }, 10),
        (Program::Zlib { mem_level: 0 }, 6),
        (Program::Zlib { mem_level: 10 }, 6),
        (Program::Gzip, 0),
        (Program::BusyBox { fast: 2 }, 3),
        (Program::BusyBox { fast: 3 }, 6),
    ] {
        assert!(engine(Setting { program, level }).is_none(), "{program:?} {level}");
    }
    assert!(pigz(6, WINDOW - 1, Blocks::Primed).is_none());
    assert!(pigz(11, 1 << 17, Blocks::Primed).is_none());
}
