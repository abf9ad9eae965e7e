//! The archive on its way: what is written on one side is the body of a request on the other.

use std::io::{self, Read, Write};

use crossbeam_channel::{Receiver, Sender, bounded};

/// Pieces that wait between the two sides.
const WAITING: usize = 4;
/// Bytes that travel at once.
const PIECE: usize = 256 << 10;

/// The side that is written to. Dropped without [`BodyWriter::end`], it breaks the request off, so
/// that half an archive is never taken for a whole one.
pub(super) struct BodyWriter {
    pieces: Sender<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    ended: bool,
}

/// The side that is read from.
pub(super) struct BodyReader {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
}

/// Both sides.
pub(super) fn body() -> (BodyWriter, BodyReader) {
    let (pieces, pieces_out) = bounded(WAITING);
    (
        BodyWriter { pieces, piece: Vec::with_capacity(PIECE), ended: false },
        BodyReader { pieces: pieces_out, piece: Vec::new(), at: 0 },
    )
}

impl BodyWriter {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.pieces.send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// The archive is complete.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.ended = true;
        if self.piece.is_empty() { Ok(()) } else { self.send() }
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..n]);
        if self.piece.len() == PIECE {
            self.send()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.pieces.send(Err(io::Error::other("the archive was broken off")));
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.pieces.recv() {
                Ok(piece) => (self.piece, self.at) = (piece?, 0),
                Err(_) => return Ok(0),
            }
        }
        let n = buffer.len().min(self.piece.len() - self.at);
        buffer[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_breaking_off_is_an_error() {
        let (mut writer, mut reader) = body();
        let data: Vec<u8> = (0..700_000u32).map(|n| (n % 251) as u8).collect();
        let copy = data.clone();
        let thread = std::thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer.end().unwrap();
        });
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        assert!(out == data);
        thread.join().unwrap();
        let (mut writer, mut reader) = body();
        writer.write_all(b"half").unwrap();
        drop(writer);
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
    }
}
