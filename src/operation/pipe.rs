//! Hands a borrowed reader to someone who keeps readers: a scoped thread reads, the other end is a
//! reader of its own. What reading costs (decompressing, hashing) then runs beside what sending
//! costs.

use std::io::{self, Read};
use std::thread::Scope;

use crossbeam_channel::{Receiver, bounded};

/// Bytes that travel at once.
const PIECE: usize = 256 << 10;
/// Pieces that wait at most.
const WAITING: usize = 3;

/// The far end of a pipe.
pub(super) struct PipeReader {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

/// Starts reading `inner` in a thread of `scope`. The thread ends with `inner`, at its first
/// error, or when the far end is dropped.
pub(super) fn pipe<'scope, R: Read + Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut inner: R,
) -> PipeReader {
    let (pieces, pieces_out) = bounded(WAITING);
    scope.spawn(move || {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            match inner.by_ref().take(PIECE as u64).read_to_end(&mut piece) {
                // An empty piece is the end: a thread that dies must not look like one.
                Ok(n) => {
                    if pieces.send(Ok(piece)).is_err() || n == 0 {
                        return;
                    }
                }
                Err(error) => {
                    let _ = pieces.send(Err(error));
                    return;
                }
            }
        }
    });
    PipeReader { pieces: pieces_out, piece: Vec::new(), at: 0, ended: false }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.at == self.piece.len() {
            if self.ended {
                return Ok(0);
            }
            match self.pieces.recv() {
                Ok(piece) => (self.piece, self.at) = (piece?, 0),
                Err(_) => return Err(io::Error::other("the thread that reads a blob died")),
            }
            self.ended = self.piece.is_empty();
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
    fn bytes_and_errors_come_through_and_dropping_stops_the_reader() {
        let data: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        std::thread::scope(|scope| {
            let mut out = Vec::new();
            pipe(scope, &data[..]).read_to_end(&mut out).unwrap();
            assert!(out == data);
            let failing = (&data[..1000]).chain(Failing);
            let error = pipe(scope, failing).read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), "broken");
            drop(pipe(scope, io::repeat(1)));
        });
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
}
