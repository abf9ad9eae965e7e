//! Readers that make sure that what was read is what was promised.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256, Sha512};

use crate::model::{Algorithm, Digest, Error};

/// A running hash of either algorithm.
#[derive(Clone)]
pub enum Hasher {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// A fresh hash.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Box::default()),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of everything added.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hash) => Digest::Sha256(hash.finalize().into()),
            Self::Sha512(hash) => Digest::Sha512(hash.finalize().into()),
        }
    }
}

/// Hashes and counts what is read through it.
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    count: u64,
}

impl<R: Read> HashingReader<R> {
    /// Wraps `inner`.
    pub fn new(inner: R, algorithm: Algorithm) -> Self {
        Self { inner, hasher: Hasher::new(algorithm), count: 0 }
    }

    /// Digest and length of everything read.
    pub fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.count)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.count += n as u64;
        Ok(n)
    }
}

/// Passes bytes through and fails at the end where they are not those of the digest, earlier where
/// there are too many.
///
/// The failure is a [`Kind::Damaged`](crate::model::Kind::Damaged) error inside the I/O error
/// (see [`Error::from_io`]). Whoever reads must not act on the bytes before the end was reached
/// without one.
pub struct VerifiedReader<R> {
    inner: R,
    hasher: Option<Hasher>,
    expected: Digest,
    size: u64,
    count: u64,
    origin: String,
}

impl<R: Read> VerifiedReader<R> {
    /// Expects `size` bytes with digest `expected`; `origin` says in errors where they came from.
    pub fn new(inner: R, expected: Digest, size: u64, origin: impl Into<String>) -> Self {
        let hasher = Some(Hasher::new(expected.algorithm()));
        Self { inner, hasher, expected, size, count: 0, origin: origin.into() }
    }

    fn wrong(&self, how: &str) -> io::Error {
        Error::damaged(format!(
            "{} from {} is not what its digest says: {how}",
            self.expected, self.origin
        ))
        .hint("the copy at its source is damaged or was changed on the way; nothing of it was used")
        .into_io()
    }
}

impl<R: Read> Read for VerifiedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let n = self.inner.read(buffer)?;
        if n > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..n]);
            }
            self.count += n as u64;
            if self.count > self.size {
                return Err(self.wrong(&format!("more than {} bytes came", self.size)));
            }
            return Ok(n);
        }
        if self.count < self.size {
            return Err(self.wrong(&format!("{} of {} bytes came", self.count, self.size)));
        }
        let found = self.hasher.take().map(Hasher::finish);
        match found {
            Some(found) if found == self.expected => Ok(0),
            Some(found) => Err(self.wrong(&format!("its bytes have digest {found}"))),
            None => Ok(0),
        }
    }
}

/// Reads all of `reader`, refusing more than `limit` bytes.
pub fn read_bounded(reader: impl Read, limit: u64, what: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    reader
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::from_io(format!("cannot read {what}"), e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::malformed(format!("{what} is longer than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn read(content: &[u8], promised: &[u8], size: u64) -> Result<Vec<u8>, Kind> {
        let mut out = Vec::new();
        VerifiedReader::new(content, Digest::of(promised), size, "test")
            .read_to_end(&mut out)
            .map(|_| out)
            .map_err(|e| Error::from_io("reading", e).kind())
    }

    #[test]
    fn only_the_promised_bytes_reach_the_end() {
        assert_eq!(read(b"abc", b"abc", 3).unwrap(), b"abc");
        assert_eq!(read(b"", b"", 0).unwrap(), b"");
        assert_eq!(read(b"abd", b"abc", 3), Err(Kind::Damaged));
        assert_eq!(read(b"ab", b"abc", 3), Err(Kind::Damaged));
        assert_eq!(read(b"abcd", b"abc", 3), Err(Kind::Damaged));
        assert_eq!(read(b"abc", b"abc", 4), Err(Kind::Damaged));
    }

    #[test]
    fn sha512_is_checked_with_sha512() {
        let digest = Digest::Sha512([0; 64]).of_same_kind(b"abc");
        let mut out = Vec::new();
        VerifiedReader::new(&b"abc"[..], digest, 3, "test").read_to_end(&mut out).unwrap();
    }

    #[test]
    fn a_second_look_at_the_end_proves_nothing_anew() {
        let mut reader = VerifiedReader::new(&b"abc"[..], Digest::of(b"abc"), 3, "test");
        assert_eq!(reader.read(&mut []).unwrap(), 0);
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        assert_eq!((out.as_slice(), reader.read(&mut [0; 8]).unwrap()), (&b"abc"[..], 0));
    }

    #[test]
    fn more_than_the_limit_is_refused() {
        assert_eq!(read_bounded(&b"abc"[..], 3, "it").unwrap(), b"abc");
        let error = read_bounded(&b"abcd"[..], 3, "it").unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Malformed, "it is longer than 3 bytes"));
        let broken = VerifiedReader::new(&b"abc"[..], Digest::of(b"abd"), 3, "test");
        assert_eq!(read_bounded(broken, 3, "it").unwrap_err().kind(), Kind::Damaged);
    }
}
