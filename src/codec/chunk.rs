//! Cuts a stream into chunks that another version of the stream is likely to share.
//!
//! A stream of up to [`WHOLE`] bytes is one chunk; a longer one is cut by content (`FastCDC`, Xia
//! and others 2020, with the gear table of the `fastcdc` crate), so that an insertion moves the
//! cuts next to it and no others. The sizes were measured: smaller chunks find little more and cost
//! a longer chunk table.

use fastcdc::v2020::{Normalization, cut, select_masks};

/// Streams up to this many bytes stay whole.
pub const WHOLE: usize = 64 << 10;
/// Smallest chunk of a longer stream, but for its last.
pub const MIN: usize = 16 << 10;
/// Size that the cuts aim at.
pub const AVERAGE: usize = 64 << 10;
/// Largest chunk.
pub const MAX: usize = 256 << 10;

/// Cuts one stream after another.
#[derive(Debug)]
pub struct Chunker {
    buffer: Vec<u8>,
    start: usize,
    /// Whether the current stream is known to be longer than [`WHOLE`] and was cut already.
    cutting: bool,
    masks: (u64, u64),
}

impl Default for Chunker {
    fn default() -> Self {
        Self {
            buffer: Vec::with_capacity(4 * MAX),
            start: 0,
            cutting: false,
            masks: select_masks(AVERAGE, Normalization::Level1),
        }
    }
}

impl Chunker {
    /// Adds bytes of the current stream; every chunk that they complete goes to `emit`.
    pub fn push(&mut self, mut bytes: &[u8], emit: &mut dyn FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = 4 * MAX - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            while self.buffer.len() - self.start >= MAX {
                self.cut(emit);
            }
            if self.start > 0 && self.buffer.len() >= 3 * MAX {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
        }
    }

    /// Ends the current stream: what is left goes to `emit`.
    pub fn end(&mut self, emit: &mut dyn FnMut(&[u8])) {
        let left = self.buffer.len() - self.start;
        if !self.cutting && left <= WHOLE && left > 0 {
            emit(&self.buffer[self.start..]);
            self.start = self.buffer.len();
        }
        while self.start < self.buffer.len() {
            self.cut(emit);
        }
        self.buffer.clear();
        self.start = 0;
        self.cutting = false;
    }

    fn cut(&mut self, emit: &mut dyn FnMut(&[u8])) {
        let (short, long) = self.masks;
        let rest = &self.buffer[self.start..];
        let (_, length) = cut(rest, MIN, AVERAGE, MAX, short, long, short << 1, long << 1);
        let length = length.clamp(1, rest.len());
        emit(&rest[..length]);
        self.start += length;
        self.cutting = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed | 1;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect()
    }

    fn chunks(data: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let mut chunker = Chunker::default();
        let mut emit = |chunk: &[u8]| out.push(chunk.to_vec());
        for part in data.chunks(step.max(1)) {
            chunker.push(part, &mut emit);
        }
        chunker.end(&mut emit);
        out
    }

    #[test]
    fn small_streams_stay_whole_and_empty_ones_vanish() {
        assert_eq!(chunks(&noise(1, WHOLE), 1000).len(), 1);
        assert!(!chunks(&noise(1, WHOLE + 1), 1000).is_empty());
        assert!(chunks(&[], 1).is_empty());
    }

    #[test]
    fn an_insertion_leaves_most_chunks_alone() {
        let before = noise(3, 8 << 20);
        let mut after = before.clone();
        after.splice(1_000_000..1_000_000, *b"inserted");
        let known: std::collections::HashSet<_> = chunks(&before, 1 << 16).into_iter().collect();
        let fresh = chunks(&after, 1 << 16).into_iter().filter(|c| !known.contains(c)).count();
        assert!(fresh <= 3, "{fresh} chunks are new");
    }

    /// The cuts are part of what makes two exports share: another version of the chunker must not
    /// move them unseen.
    #[test]
    fn the_cuts_are_pinned() {
        let lengths: Vec<usize> = chunks(&noise(42, 600_000), 7777).iter().map(Vec::len).collect();
        assert_eq!(lengths, PINNED);
    }

    const PINNED: &[usize] = &[63120, 84859, 77380, 158_282, 88579, 73819, 22781, 31180];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn chunks_join_to_the_stream_and_do_not_depend_on_the_steps(
            seed: u64, length in 0usize..1_500_000, step in 1usize..700_000, other in 1usize..700_000,
        ) {
            let data = noise(seed, length);
            let cut = chunks(&data, step);
            prop_assert_eq!(&cut.concat(), &data);
            prop_assert!(cut.iter().all(|chunk| chunk.len() <= MAX));
            prop_assert_eq!(chunks(&data, other), cut);
        }
    }
}
