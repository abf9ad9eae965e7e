//! Makes a gzip stream again from its plain bytes, on several threads.
//!
//! The plain bytes are read in order and cut at the marks of the recipe. Each segment is encoded by
//! a fresh encoder that is given the window before it, wherever a thread is free; the pieces are
//! put together at the bit where one ends and the next begins. A stretch without marks goes through
//! one encoder in pieces. Nothing here says that the result is right: the digest of the stream does.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use crossbeam_channel::Receiver;
use flate2::Crc;

use super::Encoder;
use super::bits::BitWriter;
use super::codes::WINDOW;
use super::general::Rebuild;
use super::header;
use super::pool::Pool;
use super::recipe::{Coder, GzipRecipe, Member};
use crate::model::Error;

/// Plain bytes after a segment that its encoder may be shown, so that it decides as if the stream
/// went on. Most look ahead for a longest match; zlib fills its window first.
const LOOK_AHEAD: usize = 64 << 10;

/// Steps in which an encoder is shown what comes after its segment.
const STEP: usize = 2 << 10;

/// Plain bytes of a segment that a thread of the pool takes; a longer one is encoded in place.
const AT_ONCE: u64 = 16 << 20;

/// Pieces in which encoders are fed.
const PIECE: usize = 256 << 10;

/// A gzip stream that is made as it is read.
pub struct Rebuilt<R> {
    plain: Ahead<R>,
    recipe: GzipRecipe,
    /// What is left of the corrections.
    corrections: Vec<u8>,
    pool: Arc<Pool>,
    /// The member whose turn it is, and the segment of it that comes next.
    next: (usize, usize),
    /// What is being made, in order.
    coming: VecDeque<Coming>,
    /// A long segment that is being encoded in place, once nothing else is coming.
    long: Option<Long>,
    /// Bits of the last byte, where a segment ended inside it.
    open: Option<u8>,
    ready: Vec<u8>,
    at: usize,
}

/// What comes next.
enum Coming {
    /// Bytes that stand in the recipe, or end a member.
    Bytes(Vec<u8>),
    /// Bits from here to there of a member; the first and the last byte may be shared with the
    /// neighbours.
    Bits { made: Receiver<Option<Vec<u8>>>, from: u64, to: u64 },
}

/// A segment that is encoded in place.
struct Long {
    encoder: Box<dyn Encoder>,
    out: BitWriter,
    /// Plain bytes that it still takes.
    left: u64,
    to: u64,
    ends: bool,
}

/// Where a segment lies in its member.
struct Stretch {
    plain: u64,
    length: u64,
    from: u64,
    to: u64,
    ends: bool,
}

impl Member {
    fn stretch(&self, segment: usize) -> Stretch {
        let (plain, from) = match segment.checked_sub(1) {
            None => (0, 0),
            Some(mark) => (self.marks[mark].plain, self.marks[mark].bit),
        };
        let (end, to) = match self.marks.get(segment) {
            None => (self.plain, self.packed.saturating_mul(8)),
            Some(mark) => (mark.plain, mark.bit),
        };
        Stretch { plain, length: end - plain, from, to, ends: segment == self.marks.len() }
    }
}

impl<R: Read> Rebuilt<R> {
    /// Will make the stream of `recipe` from `plain`, with the threads of `pool`. `corrections` are
    /// those of all members, one after another.
    pub fn new(plain: R, recipe: GzipRecipe, corrections: Vec<u8>, pool: Arc<Pool>) -> Self {
        Self {
            plain: Ahead { source: plain, buffer: Vec::new(), at: 0, begun: 0, crc: Crc::new() },
            recipe,
            corrections,
            pool,
            next: (0, 0),
            coming: VecDeque::new(),
            long: None,
            open: None,
            ready: Vec::new(),
            at: 0,
        }
    }

    /// Makes more of the stream; false at its end.
    fn advance(&mut self) -> io::Result<bool> {
        self.ready.clear();
        self.at = 0;
        if self.long.is_some() {
            self.advance_long()?;
            return Ok(true);
        }
        // One stream keeps all threads busy, but many streams do not each lay in for all of them.
        while (self.coming.len() < 2 || self.pool.has_room())
            && self.coming.len() <= self.pool.threads()
            && self.schedule()?
        {}
        match self.coming.pop_front() {
            None if self.long.is_some() => self.advance_long()?,
            None => return Ok(false),
            Some(Coming::Bytes(bytes)) => self.ready = bytes,
            Some(Coming::Bits { made, from, to }) => {
                let made = made.recv().ok().flatten().ok_or_else(misfit)?;
                self.splice(made, from, to)?;
            }
        }
        Ok(true)
    }

    /// Sets the next segment going. False where there is none, or it must wait for those before.
    fn schedule(&mut self) -> io::Result<bool> {
        let (at, segment) = self.next;
        if self.long.is_some() {
            return Ok(false);
        }
        let Some(member) = self.recipe.members.get(at) else {
            if at > self.recipe.members.len() {
                return Ok(false);
            }
            self.next.0 += 1;
            self.coming.push_back(Coming::Bytes(std::mem::take(&mut self.recipe.rest)));
            return Ok(true);
        };
        if segment > member.marks.len() {
            let trailer = member.trailer.unwrap_or_else(|| header::trailer(&self.plain.crc));
            self.coming.push_back(Coming::Bytes(trailer.to_vec()));
            self.next = (at + 1, 0);
            return Ok(true);
        }
        let stretch = member.stretch(segment);
        let is_long = stretch.length > AT_ONCE || member.coder == Coder::GENERAL;
        if is_long && !self.coming.is_empty() {
            return Ok(false);
        }
        if segment == 0 {
            self.plain.begin();
            self.coming.push_back(Coming::Bytes(member.header.clone()));
        }
        if member.coder == Coder::GENERAL {
            let corrections = usize::try_from(member.corrections)
                .ok()
                .filter(|&length| length <= self.corrections.len())
                .ok_or_else(misfit)?;
            let rest = self.corrections.split_off(corrections);
            let own = std::mem::replace(&mut self.corrections, rest);
            self.next.1 += 1;
            self.long =
                Some(Long::new(Box::new(Rebuild::new(Box::new(Cursor::new(own)))), &stretch));
            return Ok(true);
        }
        let engine = member.coder.engine().ok_or_else(|| unknown(member.coder))?;
        let state = segment.checked_sub(1).map(|mark| member.marks[mark].state.clone());
        let history = self.plain.history().to_vec();
        self.next.1 += 1;
        let begin = move |stretch: &Stretch| match state {
            None => Some(engine.begin()),
            Some(state) => engine.resume(stretch.plain, &history, &state),
        };
        if is_long {
            self.long = Some(Long::new(begin(&stretch).ok_or_else(misfit)?, &stretch));
            return Ok(true);
        }
        // `AT_ONCE` bounds it.
        let length = stretch.length as usize;
        let beyond = if stretch.ends { 0 } else { self.beyond(at, &stretch) };
        let bytes = self.plain.show(length + beyond)?.to_vec();
        self.plain.pass(length);
        let (from, to) = (stretch.from, stretch.to);
        let made = self.pool.run(move || {
            let encoder = begin(&stretch)?;
            encode(encoder, &stretch, &bytes)
        });
        self.coming.push_back(Coming::Bits { made, from, to });
        Ok(true)
    }

    /// How far an encoder may look past the end of a segment.
    fn beyond(&self, member: usize, stretch: &Stretch) -> usize {
        let left = self.recipe.members[member].plain - stretch.plain - stretch.length;
        usize::try_from(left).map_or(LOOK_AHEAD, |left| left.min(LOOK_AHEAD))
    }

    /// Goes on with a segment that is encoded in place.
    fn advance_long(&mut self) -> io::Result<()> {
        let Some(mut long) = self.long.take() else { return Ok(()) };
        if let Some(piece) = long.piece() {
            let bytes = self.plain.show(piece)?;
            long.encoder.write(bytes, &mut long.out);
            long.left -= piece as u64;
            self.plain.pass(piece);
        }
        if long.left == 0 {
            if long.ends {
                long.encoder.finish(&mut long.out);
                long.out.align();
            } else {
                let (member, segment) = (self.next.0, self.next.1 - 1);
                let stretch = self.recipe.members[member].stretch(segment);
                let beyond = self.beyond(member, &stretch);
                long.encoder.write(self.plain.show(beyond)?, &mut long.out);
            }
            if !long.out.rewind(long.to) {
                return Err(misfit());
            }
            let from = long.out.begun();
            return self.splice(long.out.finish(), from, long.to);
        }
        // A long segment begins at the first bit of a byte or shares it with the one before.
        let from = long.out.begun();
        let made = long.out.take();
        if long.out.position() > long.to.saturating_add(bits_of(LOOK_AHEAD)) {
            return Err(misfit());
        }
        let to = from - from % 8 + made.len() as u64 * 8;
        self.long = Some(long);
        if made.is_empty() { Ok(()) } else { self.splice(made, from, to) }
    }

    /// Puts made bytes behind those before, which may have ended inside their first byte.
    fn splice(&mut self, mut made: Vec<u8>, from: u64, to: u64) -> io::Result<()> {
        let length = (to.div_ceil(8) - from / 8) as usize;
        if made.len() != length {
            return Err(misfit());
        }
        if let Some(open) = self.open.take() {
            if from.is_multiple_of(8) {
                return Err(misfit());
            }
            match made.first_mut() {
                Some(first) => *first |= open,
                None => self.open = Some(open),
            }
        }
        if !to.is_multiple_of(8) {
            self.open = made.pop();
        }
        self.ready = made;
        Ok(())
    }
}

impl Long {
    fn new(encoder: Box<dyn Encoder>, stretch: &Stretch) -> Self {
        let out = BitWriter::starting_at(stretch.from);
        Self { encoder, out, left: stretch.length, to: stretch.to, ends: stretch.ends }
    }

    /// How much it takes next.
    fn piece(&self) -> Option<usize> {
        let piece = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        (piece > 0).then_some(piece)
    }
}

const fn bits_of(bytes: usize) -> u64 {
    bytes as u64 * 8
}

impl<R: Read> Read for Rebuilt<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            if buffer.is_empty() || !self.advance()? {
                return Ok(0);
            }
        }
        let n = buffer.len().min(self.ready.len() - self.at);
        buffer[..n].copy_from_slice(&self.ready[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// Encodes a segment; `bytes` are those of the segment and what may be looked at beyond it. `None`
/// where the recipe does not fit.
fn encode(mut encoder: Box<dyn Encoder>, stretch: &Stretch, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = BitWriter::starting_at(stretch.from);
    let (own, beyond) = bytes.split_at(stretch.length as usize);
    for piece in own.chunks(PIECE) {
        encoder.write(piece, &mut out);
        out.take_marks();
        if out.position() > stretch.to.saturating_add(bits_of(2 * PIECE)) {
            return None;
        }
    }
    for step in beyond.chunks(STEP) {
        if out.position() >= stretch.to {
            break;
        }
        encoder.write(step, &mut out);
    }
    if stretch.ends {
        encoder.finish(&mut out);
        out.align();
    }
    out.rewind(stretch.to).then(|| out.finish())
}

fn unknown(coder: Coder) -> io::Error {
    Error::malformed(format!(
        "a layer needs encoder {} of sealift, which this version does not have",
        coder.0
    ))
    .hint("use a newer sealift")
    .into_io()
}

fn misfit() -> io::Error {
    Error::malformed("the recipe of a layer does not fit its content")
        .hint(
            "the bundle was written by a faulty or hostile program: nothing of the layer was used",
        )
        .into_io()
}

/// Plain bytes that are shown before they are passed, and remembered for a window after.
struct Ahead<R> {
    source: R,
    buffer: Vec<u8>,
    /// The next byte, in the buffer.
    at: usize,
    /// Where the member begins, in the buffer, as far as that is still there.
    begun: usize,
    /// Of what was passed of the member.
    crc: Crc,
}

impl<R: Read> Ahead<R> {
    /// A member begins.
    fn begin(&mut self) {
        self.begun = self.at;
        self.crc.reset();
    }

    /// The window before the next byte.
    fn history(&self) -> &[u8] {
        &self.buffer[self.at.saturating_sub(WINDOW).max(self.begun)..self.at]
    }

    /// The next `length` bytes.
    fn show(&mut self, length: usize) -> io::Result<&[u8]> {
        if self.buffer.len() < self.at + length {
            let keep = self.history().len();
            self.buffer.drain(..self.at - keep);
            (self.begun, self.at) = (0, keep);
            let missing = self.at + length - self.buffer.len();
            let there = (&mut self.source).take(missing as u64).read_to_end(&mut self.buffer)?;
            if there < missing {
                return Err(misfit());
            }
        }
        Ok(&self.buffer[self.at..self.at + length])
    }

    /// Passes bytes that were shown.
    fn pass(&mut self, length: usize) {
        self.crc.update(&self.buffer[self.at..self.at + length]);
        self.at += length;
    }
}
