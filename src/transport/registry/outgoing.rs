//! The content of a blob on its way out, checked to its end before that end is let go.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use super::client::lock;
use super::limiter::Limiter;
use crate::model::{Descriptor, Error, Result};

/// Content on its way out.
///
/// The HTTP library stops reading once the announced length is reached, and so would never hear
/// what a digest-checking reader says at its end. Therefore the last bytes are not let go before
/// that end was reached without complaint: a registry never gets all bytes of a bad blob.
pub(super) struct Outgoing {
    inner: Box<dyn Read + Send>,
    left: u64,
    trouble: Trouble,
    limiter: Arc<Limiter>,
}

/// What became of outgoing content, for whoever started it.
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<(Option<Error>, u64)>>);

impl Trouble {
    /// What the reader reported, and how many bytes were let go.
    pub(super) fn take(&self) -> (Option<Error>, u64) {
        let mut state = lock(&self.0);
        (state.0.take(), state.1)
    }
}

impl Outgoing {
    /// `limiter` is told that bytes move.
    ///
    /// # Errors
    /// What the end of an empty blob reports.
    pub(super) fn new(
        inner: Box<dyn Read + Send>,
        descriptor: &Descriptor,
        limiter: &Arc<Limiter>,
    ) -> Result<Self> {
        let mut outgoing = Self {
            inner,
            left: descriptor.size,
            trouble: Trouble::default(),
            limiter: Arc::clone(limiter),
        };
        if outgoing.left == 0 {
            // Nothing will be read of it.
            outgoing.check_end()?;
        }
        Ok(outgoing)
    }

    pub(super) fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }

    fn check_end(&mut self) -> Result<()> {
        match read(&mut self.inner, &mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::damaged("a blob is longer than its description says")),
            Err(error) => Err(Error::from_io("cannot read a blob", error)),
        }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// What the content's reader reported, and content of another length than was described.
    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let n = read(&mut self.inner, buffer)
            .map_err(|error| Error::from_io("cannot read a blob", error))?;
        if n == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(Error::damaged(format!(
                "a blob ends {} bytes earlier than its description says",
                self.left
            )));
        }
        self.left = self
            .left
            .checked_sub(n as u64)
            .ok_or_else(|| Error::damaged("a blob is longer than its description says"))?;
        if n > 0 && self.left == 0 {
            self.check_end()?;
        }
        Ok(n)
    }
}

impl Read for Outgoing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.next(buffer) {
            Ok(n) => {
                lock(&self.trouble.0).1 += n as u64;
                self.limiter.moves();
                Ok(n)
            }
            Err(error) => {
                lock(&self.trouble.0).0 = Some(error);
                Err(io::Error::other("the content of the upload failed"))
            }
        }
    }
}

fn read(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checked::VerifiedReader;
    use crate::model::Kind;

    /// What gets out of a blob whose content should be `promised`, and what is reported.
    fn out(content: &'static [u8], promised: &[u8]) -> (Vec<u8>, Option<Kind>) {
        let descriptor = Descriptor::of("x", promised);
        let reader = VerifiedReader::new(content, descriptor.digest, descriptor.size, "test");
        let mut outgoing = match Outgoing::new(Box::new(reader), &descriptor, &Limiter::new()) {
            Ok(outgoing) => outgoing,
            Err(error) => return (Vec::new(), Some(error.kind())),
        };
        let mut bytes = Vec::new();
        let mut piece = [0; 4];
        while (bytes.len() as u64) < descriptor.size {
            match outgoing.read(&mut piece) {
                Ok(n) => bytes.extend_from_slice(&piece[..n]),
                Err(_) => break,
            }
        }
        (bytes, outgoing.trouble().take().0.map(|error| error.kind()))
    }

    #[test]
    fn good_content_gets_out_whole_and_bad_content_never_does() {
        assert_eq!(out(b"123456789", b"123456789"), (b"123456789".to_vec(), None));
        assert_eq!(out(b"12345678", b"12345678"), (b"12345678".to_vec(), None));
        assert_eq!(out(b"", b""), (Vec::new(), None));
        for bad in [&b"12345678X"[..], b"1234567890", b"12345678", b""] {
            let (bytes, kind) = out(bad, b"123456789");
            assert!(bytes.len() < 9, "{bad:?} got out");
            assert_eq!(kind, Some(Kind::Damaged));
        }
        assert_eq!(out(b"x", b""), (Vec::new(), Some(Kind::Damaged)));
    }
}
