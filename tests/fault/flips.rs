//! Bits that turn over: by the ten thousand, through the library, over small bundles that have
//! everything in them. `FLIPS=1000000` asks for more, with a seed of its own that is printed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sealift::bundle::{Authentic, Bundle, Held};
use sealift::endpoint::Silent;
use sealift::model::{Kind, Result};
use sealift::operation::verify::{Depth, verify};
use sealift::trust::Trust;

use crate::sample::{key, sample};
use crate::support::images::noise;

/// How many flips an ordinary run makes, and with which seed.
const FLIPS: u64 = 10_000;
const SEED: u64 = 20_261_121;

/// What may become of a bundle that is not the one that was sealed.
pub(crate) const REFUSALS: [Kind; 3] = [Kind::Damaged, Kind::Untrusted, Kind::Malformed];

/// Copies of the small bundles, and whoever judges them.
pub(crate) struct Judge {
    folder: tempfile::TempDir,
    trust: Trust,
}

impl Judge {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let public = folder.path().join("sender.pub");
        std::fs::write(&public, key(1).public().to_pem().unwrap()).unwrap();
        std::fs::write(folder.path().join("base"), &sample().small).unwrap();
        Self { trust: Trust::from_files(&[public]).unwrap(), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self, path: &Path) -> Result<Bundle<Authentic>> {
        Bundle::open(path)?.authenticate(&self.trust)
    }

    /// What verify finds; `None` where a file is taken as whole.
    pub(crate) fn verdict(&self, path: &Path, is_delta: bool) -> Option<Kind> {
        let run = || -> Result<Option<Kind>> {
            let bundle = self.open(path)?;
            if is_delta {
                let base: Arc<dyn Held> = Arc::new(self.open(&self.path("base"))?);
                bundle.set_bases(vec![base]);
            }
            Ok(verify(&bundle, Depth::Full, 1, &Silent)?.worst())
        };
        run().unwrap_or_else(|error| Some(error.kind()))
    }

    /// The same of these bytes.
    pub(crate) fn verdict_on(&self, bytes: &[u8]) -> Option<Kind> {
        let path = self.path("bad");
        std::fs::write(&path, bytes).unwrap();
        self.verdict(&path, false)
    }
}

/// A file in which one bit at a time is another one.
pub(crate) struct Flipper<'a> {
    judge: &'a Judge,
    path: PathBuf,
    file: File,
    is_delta: bool,
}

impl<'a> Flipper<'a> {
    pub(crate) fn new(judge: &'a Judge, name: &str, bytes: &[u8], is_delta: bool) -> Self {
        let path = judge.path(name);
        std::fs::write(&path, bytes).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let flipper = Self { judge, path, file, is_delta };
        assert_eq!(flipper.verdict(), None, "the sample itself is whole");
        flipper
    }

    fn verdict(&self) -> Option<Kind> {
        self.judge.verdict(&self.path, self.is_delta)
    }

    fn turn(&self, bit: u64) {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, bit / 8).unwrap();
        self.file.write_all_at(&[byte[0] ^ 1 << (bit % 8)], bit / 8).unwrap();
    }

    /// What is said to the file with this bit turned. Nothing else than a refusal is right: every
    /// byte of a bundle is accounted for.
    pub(crate) fn flip(&self, bit: u64) -> Kind {
        self.turn(bit);
        let verdict = self.verdict();
        self.turn(bit);
        match verdict {
            Some(kind) if REFUSALS.contains(&kind) => kind,
            other => panic!("bit {bit} of {}: {other:?}", self.path.display()),
        }
    }
}

/// Numbers below `limit` that look random and are the same for the same seed.
pub(crate) fn places(seed: u64, count: usize, limit: u64) -> Vec<u64> {
    let bytes = noise(seed, count * 8);
    bytes.chunks_exact(8).map(|n| u64::from_le_bytes(n.try_into().unwrap()) % limit).collect()
}

fn wanted() -> (u64, u64) {
    match std::env::var("FLIPS").ok().filter(|flips| !flips.is_empty()) {
        None => (FLIPS, SEED),
        Some(flips) => {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
            let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
            (flips.parse().expect("FLIPS is a number"), seed.unwrap_or(now))
        }
    }
}

/// Turns so many bits of both bundles, on all processors, and counts what was said.
pub(crate) fn storm(flips: u64, seed: u64) -> BTreeMap<Kind, u64> {
    let (small, delta) = (&sample().small, &sample().delta);
    let (small_bits, delta_bits) = (small.len() as u64 * 8, delta.len() as u64 * 8);
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let judge = Judge::new();
                    let whole = Flipper::new(&judge, "whole", small, false);
                    let added = Flipper::new(&judge, "delta", delta, true);
                    let mut counts: BTreeMap<Kind, u64> = BTreeMap::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= flips {
                            break counts;
                        }
                        let of = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                        let bit = places(of, 2, small_bits + delta_bits)[1];
                        let kind = match bit.checked_sub(small_bits) {
                            None => whole.flip(bit),
                            Some(bit) => added.flip(bit),
                        };
                        *counts.entry(kind).or_default() += 1;
                    }
                })
            })
            .collect();
        let mut all: BTreeMap<Kind, u64> = BTreeMap::new();
        for thread in threads {
            for (kind, count) in thread.join().expect("every flip is refused") {
                *all.entry(kind).or_default() += count;
            }
        }
        all
    })
}

#[test]
fn no_flipped_bit_is_ever_accepted() {
    let (flips, seed) = wanted();
    println!("{flips} flips, SEED={seed}");
    let counts = storm(flips, seed);
    println!("{counts:?}");
    assert_eq!(counts.values().sum::<u64>(), flips);
    let kinds: Vec<_> = counts.keys().collect();
    assert!(kinds.starts_with(&[&Kind::Damaged, &Kind::Untrusted]), "{counts:?}");
}
