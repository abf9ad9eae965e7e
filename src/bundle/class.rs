//! What kind of content a file is: like goes with like into one pack.

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Class {
    /// Headers of tars: they compress fifty times.
    Meta,
    /// Programs and libraries for the processor.
    Machine,
    /// Programs for a virtual machine: compiled Python, Java classes.
    Bytecode,
    /// Text and scripts.
    Text,
    /// Any other content that shrinks.
    Data,
    /// What is compressed or random already: zstd only wraps it.
    Opaque,
}

impl Class {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 6] =
        [Self::Meta, Self::Machine, Self::Bytecode, Self::Text, Self::Data, Self::Opaque];

    /// Whether files of it are likely to come again in another version.
    pub(super) const fn has_versions(self) -> bool {
        !matches!(self, Self::Meta | Self::Opaque)
    }

    /// The class of a file, by its path and its first bytes.
    pub(super) fn of(path: &[u8], head: &[u8]) -> Self {
        let sample = &head[..head.len().min(SAMPLE)];
        if head.starts_with(b"\x7fELF") {
            Self::Machine
        } else if path.ends_with(b".pyc") || head.starts_with(&[0xca, 0xfe, 0xba, 0xbe]) {
            Self::Bytecode
        } else if is_dense(sample) {
            Self::Opaque
        } else if sample.contains(&0) {
            Self::Data
        } else {
            Self::Text
        }
    }
}

/// How many bytes are looked at.
const SAMPLE: usize = 4096;

/// Whether bytes are spread as those of compressed or random content. The collision entropy tells
/// (Rényi, order 2): the chance that two bytes are the same, which is 1/256 at best.
fn is_dense(sample: &[u8]) -> bool {
    if sample.len() < 1024 {
        return false;
    }
    let mut counts = [0u32; 256];
    for &byte in sample {
        counts[usize::from(byte)] += 1;
    }
    let pairs: u64 = counts.iter().map(|&n| u64::from(n) * u64::from(n.max(1) - 1)).sum();
    let all = sample.len() as u64 * (sample.len() as u64 - 1);
    // Within a seventh of the best: random samples of this size vary by a few hundredths.
    pairs * 256 * 7 < all * 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_told_by_its_first_bytes_and_its_name() {
        let noise: Vec<u8> = {
            let mut state = 1u64;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            };
            (0..5000).map(|_| next()).collect()
        };
        let zip = zstd::encode_all(&std::fs::read("Cargo.lock").unwrap()[..], 19).unwrap();
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let cases: [(&[u8], &[u8], Class); 8] = [
            (b"usr/bin/x", &own, Class::Machine),
            (b"a/b.cpython-311.pyc", &own[5000..], Class::Bytecode),
            (b"A.class", &[0xca, 0xfe, 0xba, 0xbe, 0, 0], Class::Bytecode),
            (b"noise", &noise, Class::Opaque),
            (b"x.zst", &zip, Class::Opaque),
            (b"README", b"a text", Class::Text),
            (b"", b"", Class::Text),
            (b"table", &[1, 0, 0, 0, 2, 0, 0, 0], Class::Data),
        ];
        for (path, head, class) in cases {
            assert_eq!(Class::of(path, head), class, "{}", String::from_utf8_lossy(path));
        }
    }
}
