//! Bits in the order of deflate (RFC 1951, section 3.1.1): the first bit is the lowest of its byte.

/// A place from which a fresh encoder can go on as if it had encoded everything before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// How many plain bytes come before it: an encoder that is resumed here is given those that
    /// follow.
    pub plain: u64,
    /// How many bits of the stream come before it.
    pub bit: u64,
    /// What the encoder must know beside the plain bytes before it; in a form that is written
    /// into bundles, so it never changes.
    pub state: Vec<u8>,
}

/// Collects bits into bytes.
#[derive(Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that fill no byte yet, the first of them lowest.
    held: u64,
    count: u32,
    /// Bits that were taken away with [`BitWriter::take`] or came before the first one.
    before: u64,
    /// Bits of the first byte that belong to whoever wrote before.
    skipped: u32,
    marks: Vec<Mark>,
}

impl BitWriter {
    /// A writer whose first bit is bit number `bit` of its stream: the lower `bit % 8` bits of the
    /// first byte are left 0.
    pub fn starting_at(bit: u64) -> Self {
        let skipped = (bit % 8) as u32;
        Self { count: skipped, before: bit - bit % 8, skipped, ..Self::default() }
    }

    /// Appends the lowest `count` bits of `bits`, the lowest first. At most 48 at once; the others
    /// must be 0.
    #[inline]
    pub fn put(&mut self, bits: u64, count: u32) {
        debug_assert!(count <= 48 && bits >> count == 0);
        self.held |= bits << self.count;
        self.count += count;
        if self.count >= 16 {
            let whole = self.count / 8;
            self.bytes.extend_from_slice(&self.held.to_le_bytes()[..whole as usize]);
            self.held = if whole == 8 { 0 } else { self.held >> (whole * 8) };
            self.count %= 8;
        }
    }

    /// Appends zeros up to the next byte.
    pub fn align(&mut self) {
        let whole = self.count.div_ceil(8);
        self.bytes.extend_from_slice(&self.held.to_le_bytes()[..whole as usize]);
        (self.held, self.count) = (0, 0);
    }

    /// Appends whole bytes. The writer must stand at the start of a byte.
    pub fn bytes(&mut self, bytes: &[u8]) {
        debug_assert!(self.count.is_multiple_of(8), "whole bytes begin at a byte");
        self.align();
        self.bytes.extend_from_slice(bytes);
    }

    /// Number of the first bit that was not taken.
    pub fn begun(&self) -> u64 {
        self.before + u64::from(self.skipped)
    }

    /// Number of the next bit in the stream.
    pub fn position(&self) -> u64 {
        self.before + self.bytes.len() as u64 * 8 + u64::from(self.count)
    }

    /// Notes that a fresh encoder could go on here. Called between two blocks.
    pub fn mark(&mut self, plain: u64, state: Vec<u8>) {
        let bit = self.position();
        self.marks.push(Mark { plain, bit, state });
    }

    /// The marks since they were last taken.
    pub fn take_marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.marks)
    }

    /// The whole bytes that have come together.
    pub fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() {
            self.skipped = 0;
        }
        self.before += bytes.len() as u64 * 8;
        bytes
    }

    /// Goes back to bit number `bit` and forgets everything after it. False where that bit was
    /// taken already or has not been reached.
    #[must_use]
    pub fn rewind(&mut self, bit: u64) -> bool {
        if bit < self.begun() || bit > self.position() {
            return false;
        }
        self.align();
        let keep = ((bit - self.before) / 8) as usize;
        self.count = (bit % 8) as u32;
        self.held = match self.bytes.get(keep) {
            Some(&byte) => u64::from(byte) & ((1 << self.count) - 1),
            None => 0,
        };
        self.bytes.truncate(keep);
        self.marks.clear();
        true
    }

    /// Whole bytes that are ready to be taken.
    pub fn ready(&self) -> &[u8] {
        &self.bytes
    }

    /// Ends the stream: the last byte is filled with zeros and everything is given out.
    pub fn finish(mut self) -> Vec<u8> {
        self.align();
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_out_in_the_order_of_deflate() {
        let mut out = BitWriter::default();
        out.put(0b1, 1);
        out.put(0b10, 2);
        out.put(0xabc, 12);
        assert_eq!(out.position(), 15);
        out.align();
        assert_eq!(out.take(), [0b1110_0101, 0b0101_0101]);
        out.bytes(&[7, 8]);
        out.put((1 << 48) - 1, 48);
        assert_eq!(out.position(), 80);
        assert_eq!(out.finish(), [7, 8, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn rewinding_forgets_what_came_after() {
        for back in 0..40 {
            let (mut one, mut other) = (BitWriter::default(), BitWriter::default());
            one.put(0x5a_5a5a_5a5a & ((1 << back) - 1), back);
            let at = one.position();
            one.put(0x7fff_ffff_ffff, 47);
            one.mark(1, Vec::new());
            assert!(one.rewind(at));
            assert!(!one.rewind(at + 1));
            other.put(0x5a_5a5a_5a5a & ((1 << back) - 1), back);
            for out in [&mut one, &mut other] {
                out.put(0x1234, 13);
            }
            assert!(one.take_marks().is_empty());
            assert_eq!(one.finish(), other.finish(), "{back}");
        }
    }

    #[test]
    fn a_writer_that_starts_inside_a_byte_leaves_the_bits_before_it() {
        let mut whole = BitWriter::default();
        whole.put(0b101_1011_0011, 11);
        let at = whole.position();
        whole.put(0x3fff, 14);
        let whole = whole.finish();
        let mut tail = BitWriter::starting_at(at);
        assert_eq!(tail.position(), at);
        tail.put(0x3fff, 14);
        let tail = tail.finish();
        assert_eq!(tail[0], whole[1] & !0b111);
        assert_eq!(tail[1..], whole[2..]);
    }
}
