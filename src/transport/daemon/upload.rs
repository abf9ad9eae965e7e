//! One request with a long body, in HTTP/1.1 by hand (RFC 9112).
//!
//! Gigabytes go to a daemon, and a client that moves them in small pieces from thread to thread
//! costs more than what makes them. Here whoever writes writes into the socket, in large chunks
//! that are not copied; another thread may read the answer meanwhile, which can come early.

use std::io::{self, BufRead, BufReader, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::endpoint::Endpoint;
use crate::model::limits;

/// Bytes that are collected before they become a chunk; larger pieces are chunks of their own.
const CHUNK: usize = 256 << 10;
/// How long a connection over the network may take to be made.
pub(super) const CONNECTING: Duration = Duration::from_secs(30);

/// A connection to a daemon.
#[derive(Debug)]
enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        let place = match endpoint {
            Endpoint::Unix(path) => return UnixStream::connect(path).map(Self::Unix),
            Endpoint::Tcp(place) => place,
        };
        let has_port = place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let place = if has_port { place.clone() } else { format!("{place}:80") };
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in place.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECTING) {
                Ok(stream) => return Ok(Self::Tcp(stream)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    fn set_write_timeout(&self, patience: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_write_timeout(Some(patience)),
            Self::Tcp(stream) => stream.set_write_timeout(Some(patience)),
        }
    }

    fn shutdown(&self) {
        // One that is gone already is as good.
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write_vectored(parts),
            Self::Tcp(stream) => stream.write_vectored(parts),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

/// A request whose body is being written, as chunks. It ends well only by [`end`](Self::end); one
/// that is dropped before breaks, and the daemon sees that it is cut short.
#[derive(Debug)]
pub(super) struct Upload {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Upload {
    /// Sends the head of `POST target`. `patience` is how long the daemon may take nothing.
    pub(super) fn start(
        endpoint: &Endpoint,
        target: &str,
        patience: Duration,
    ) -> io::Result<(Self, Reply)> {
        let socket = Socket::connect(endpoint)?;
        socket.set_write_timeout(patience)?;
        let reply = Reply { socket: BufReader::new(socket.try_clone()?), body: Body::Nothing };
        let host = match endpoint {
            Endpoint::Unix(_) => "docker",
            Endpoint::Tcp(place) => place,
        };
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-tar\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        let mut upload = Self { socket, buffer: Vec::with_capacity(CHUNK) };
        upload.send(&mut [IoSlice::new(head.as_bytes())])?;
        Ok((upload, reply))
    }

    /// Ends the body. The connection stays until this is dropped: a daemon that finds it closed
    /// may stop what it does.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.flush()?;
        self.send(&mut [IoSlice::new(b"0\r\n\r\n")])
    }

    fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        let head = format!("{:x}\r\n", bytes.len());
        let mut parts = [IoSlice::new(head.as_bytes()), IoSlice::new(bytes), IoSlice::new(b"\r\n")];
        self.send(&mut parts)
    }

    fn send(&mut self, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        while !parts.is_empty() {
            match self.socket.write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => IoSlice::advance_slices(&mut parts, n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A socket tells a time-out in this way.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > CHUNK {
            self.flush()?;
        }
        // Copying what is large would cost more than a chunk that is not full.
        if bytes.len() >= CHUNK / 4 {
            self.flush()?;
            self.chunk(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // An empty chunk would be the end.
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut full = std::mem::take(&mut self.buffer);
        let sent = self.chunk(&full);
        full.clear();
        self.buffer = full;
        sent
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // The other half may still be reading; it must come to an end, too.
        self.socket.shutdown();
    }
}

/// The answer to an [`Upload`].
#[derive(Debug)]
pub(super) struct Reply {
    socket: BufReader<Socket>,
    body: Body,
}

/// What is left of the body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Nothing.
    Nothing,
    /// Bytes of a known number.
    Counted(u64),
    /// Everything until the connection ends.
    Open,
    /// Bytes of the chunk that is being read; more chunks follow.
    Chunk(u64),
}

impl Reply {
    /// Waits for the head of the answer and gives its status. The body can be read after that.
    pub(super) fn status(&mut self) -> io::Result<u16> {
        loop {
            let (status, body) = self.head()?;
            // Interim answers come before the one that counts.
            if !(100..200).contains(&status) {
                self.body = body;
                return Ok(status);
            }
        }
    }

    fn head(&mut self) -> io::Result<(u16, Body)> {
        let first = self.line()?;
        let mut words = first.split(' ');
        let version = words.next().unwrap_or_default();
        let status = words.next().and_then(|word| word.parse().ok());
        let Some(status) = status.filter(|_| version.starts_with("HTTP/1.")) else {
            return Err(bad("it is no answer of HTTP"));
        };
        let mut body = if matches!(status, 204 | 304) { Body::Nothing } else { Body::Open };
        for _ in 0..limits::DAEMON_HEADERS {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, body));
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| bad("it has a broken header"))?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("transfer-encoding") {
                if !value.eq_ignore_ascii_case("chunked") {
                    return Err(bad("it is encoded in an unknown way"));
                }
                body = Body::Chunk(0);
            } else if name.eq_ignore_ascii_case("content-length") && body == Body::Open {
                let length = value.parse().map_err(|_| bad("it has no length"))?;
                body = Body::Counted(length);
            }
        }
        Err(bad("it has too many headers"))
    }

    /// A line without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.socket).take(limits::DAEMON_HEADER_BYTES).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| bad("it is no text"))
    }

    /// Reads up to `left` bytes, of which there must be at least one.
    fn some(&mut self, buffer: &mut [u8], left: u64) -> io::Result<usize> {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        match self.socket.read(&mut buffer[..most])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => Ok(n),
        }
    }

    /// Begins the next chunk; the last one has no bytes.
    fn next_chunk(&mut self) -> io::Result<()> {
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| bad("it has a broken chunk"))?;
        self.body = Body::Chunk(size);
        if size == 0 {
            // Trailers are of no interest, but they belong to it.
            for _ in 0..limits::DAEMON_HEADERS {
                if self.line()?.is_empty() {
                    self.body = Body::Nothing;
                    return Ok(());
                }
            }
            return Err(bad("it has too many trailers"));
        }
        Ok(())
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Read for Reply {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.body {
                Body::Nothing | Body::Counted(0) => return Ok(0),
                Body::Open => return self.socket.read(buffer),
                Body::Counted(left) => {
                    let n = self.some(buffer, left)?;
                    self.body = Body::Counted(left - n as u64);
                    return Ok(n);
                }
                Body::Chunk(0) => self.next_chunk()?,
                Body::Chunk(left) => {
                    let n = self.some(buffer, left)?;
                    self.body = Body::Chunk(left - n as u64);
                    if left == n as u64 && !self.line()?.is_empty() {
                        return Err(bad("it has a broken chunk"));
                    }
                    return Ok(n);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other end of an upload, which answers with `answer` and gives back all that came.
    fn exchange(answer: &'static [u8], act: impl FnOnce(Upload, Reply)) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let (mut socket, _) = listener.accept().unwrap();
                // Who finds the answer wrong does not take all of it.
                let _ = socket.write_all(answer);
                let _ = socket.shutdown(Shutdown::Write);
                let mut came = Vec::new();
                let _ = socket.read_to_end(&mut came);
                came
            });
            let patience = Duration::from_secs(20);
            let (upload, reply) = Upload::start(&Endpoint::Unix(path), "/x?y=1", patience).unwrap();
            act(upload, reply);
            other.join().unwrap()
        })
    }

    fn answer(text: &'static [u8]) -> io::Result<(u16, Vec<u8>)> {
        let mut result = None;
        exchange(text, |_upload, mut reply| {
            result = Some(reply.status().and_then(|status| {
                let mut body = Vec::new();
                reply.read_to_end(&mut body).map(|_| (status, body))
            }));
        });
        result.unwrap()
    }

    #[test]
    fn what_is_written_arrives_in_chunks_and_only_an_end_ends_it() {
        for end in [true, false] {
            let came = exchange(b"", |mut upload, _| {
                upload.write_all(b"small").unwrap();
                upload.write_all(b" pieces").unwrap();
                upload.write_all(&vec![b'x'; CHUNK]).unwrap();
                upload.write_all(b"last").unwrap();
                if end {
                    upload.end().unwrap();
                } else {
                    upload.flush().unwrap();
                }
            });
            let text = String::from_utf8(came).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /x?y=1 HTTP/1.1\r\nHost: docker\r\n"), "{head}");
            let large = format!("{CHUNK:x}\r\n{}\r\n", "x".repeat(CHUNK));
            let last = if end { "0\r\n\r\n" } else { "" };
            assert!(body == format!("c\r\nsmall pieces\r\n{large}4\r\nlast\r\n{last}"));
        }
    }

    #[test]
    fn answers_are_read_in_every_form() {
        let whole = |text| answer(text).unwrap();
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\n\r\nall"), (200, b"all".to_vec()));
        assert_eq!(
            whole(b"HTTP/1.1 400 Bad\r\ncontent-length: 3\r\n\r\nall that"),
            (400, b"all".to_vec())
        );
        assert_eq!(
            whole(
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
                  \r\n3;x=y\r\nall\r\nA\r\n 123456789\r\n0\r\nTrailer: x\r\n\r\n"
            ),
            (200, b"all 123456789".to_vec())
        );
        assert_eq!(whole(b"HTTP/1.1 204 No Content\r\n\r\n").0, 204);
    }

    #[test]
    fn broken_answers_are_errors() {
        for text in [
            &b""[..],
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nall",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall.\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n",
        ] {
            assert!(answer(text).is_err(), "{:?}", String::from_utf8_lossy(text));
        }
        let endless: &'static [u8] = Box::leak(vec![b'h'; 200_000].into_boxed_slice());
        assert!(answer(endless).is_err());
    }
}
