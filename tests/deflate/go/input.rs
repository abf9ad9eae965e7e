//! Bytes to encode.

use std::io::Read;
use std::process::{Command, Stdio};

/// Numbers that are the same in every run (xorshift).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        let mut new = Self(seed ^ 0x2545_f491_4f6c_dd1d);
        for _ in 0..8 {
            new.next();
        }
        new
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    /// Bytes that nothing compresses.
    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// So many bytes of pieces of every kind: noise, few letters, one byte, words, records, and what
/// was there before, at distances around those that matter.
pub(super) fn mixed(random: &mut Random, length: usize) -> Vec<u8> {
    let words: Vec<Vec<u8>> = (0..200)
        .map(|_| (0..2 + random.below(9)).map(|_| b'a' + random.below(26) as u8).collect())
        .collect();
    let mut made = Vec::with_capacity(length + 300_000);
    while made.len() < length {
        let most = 1 << random.below(18);
        let count = 1 + random.below(most);
        match random.below(8) {
            0 => made.extend(random.bytes(count)),
            1 => {
                let letters = 1 + random.below(5);
                made.extend((0..count).map(|_| b'A' + random.below(letters) as u8));
            }
            2 => made.extend(std::iter::repeat_n(random.below(256) as u8, count)),
            3 | 4 => {
                let end = made.len() + count;
                while made.len() < end {
                    made.extend(&words[random.below(words.len())]);
                    made.push(b' ');
                }
            }
            5 => {
                let (size, changes) = (1 + random.below(40), 1 + random.below(4));
                let mut record = random.bytes(size);
                for _ in 0..count / size {
                    made.extend(&record);
                    for _ in 0..changes {
                        record[random.below(size)] = random.below(4) as u8;
                    }
                }
            }
            _ => {
                let around = [1, 3, 4, 4096, 32_506, WINDOW, WINDOW, 65_536];
                let distance = around[random.below(around.len())] + random.below(5);
                for _ in 0..count.min(600) {
                    let back = distance.saturating_sub(2).max(1).min(made.len());
                    made.push(if back == 0 { 0 } else { made[made.len() - back] });
                }
            }
        }
    }
    made.truncate(length);
    made
}

const WINDOW: usize = sealift::codec::deflate::codes::WINDOW;

/// The beginning of a tar of what is installed here.
pub(super) fn tar(length: u64) -> Vec<u8> {
    let mut tar = Command::new("tar")
        .args(["-C", "/usr", "-cf", "-", "--sort=name", "bin", "share/doc", "lib"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("tar starts");
    let mut made = Vec::new();
    let files = tar.stdout.take().expect("a pipe");
    files.take(length).read_to_end(&mut made).expect("a tar");
    tar.wait().expect("tar ends when nobody reads on");
    assert!(made.len() as u64 == length, "there is too little in /usr");
    made
}
