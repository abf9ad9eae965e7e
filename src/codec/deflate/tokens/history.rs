//! The latest plain bytes of a stream, as many as somebody still needs.

/// Plain bytes from some position of a stream on.
#[derive(Default)]
pub struct History {
    bytes: Vec<u8>,
    /// Position of the first of them in the stream.
    before: u64,
}

/// Forgotten bytes are given back once there are so many of them.
const SPARE: usize = 256 << 10;

impl History {
    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Position of the first byte that is left.
    #[inline]
    pub fn before(&self) -> u64 {
        self.before
    }

    /// Position behind the last byte.
    #[inline]
    pub fn end(&self) -> u64 {
        self.before + self.bytes.len() as u64
    }

    /// Appends a byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Appends bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends `length` bytes as they were `distance` bytes before; false where there are none.
    #[inline]
    pub fn copy(&mut self, length: usize, distance: usize) -> bool {
        let Some(from) = self.bytes.len().checked_sub(distance) else { return false };
        if distance >= length {
            self.bytes.extend_from_within(from..from + length);
        } else if distance == 1 {
            let byte = self.bytes[from];
            self.bytes.resize(self.bytes.len() + length, byte);
        } else {
            let mut left = length;
            while left > 0 {
                // What was appended repeats with the same distance, so ever more can be copied.
                let count = left.min(self.bytes.len() - from);
                self.bytes.extend_from_within(from..from + count);
                left -= count;
            }
        }
        true
    }

    /// Lets go of what lies before a position.
    pub fn forget(&mut self, position: u64) {
        let count = position.saturating_sub(self.before).min(self.bytes.len() as u64) as usize;
        if count >= SPARE {
            self.bytes.drain(..count);
            self.before += count as u64;
        }
    }
}
