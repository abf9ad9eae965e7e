//! Blobs at a registry: asked after, and read with as many requests as a bad line takes.

use std::io::{self, Read};
use std::sync::Arc;

use reqwest::blocking::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, StatusCode};
use url::Url;

use super::client::Registry;
use super::exchange::{Answer, Ask};
use super::failure::{self, Refusal};
use super::scope::Scope;
use crate::model::{Descriptor, Digest, Error, Result};

/// How often a download may break off without having come further in between.
const STUCK: u32 = 5;

/// How often it may break off at all: ten gigabytes over a line that drops every hundred megabytes
/// get through.
const BREAKS: u32 = 100;

/// Bytes that count as having come further.
const STEP: u64 = 1 << 20;

/// Whether a repository has a blob. Where the registry does not say, it has not.
pub(super) fn exists(
    registry: &Registry,
    repository: &str,
    digest: &Digest,
    scope: Scope,
) -> Result<bool> {
    inquire(registry, repository, digest, scope)?.map_err(|refusal| refusal.error)
}

/// The same; what the registry refuses to say is not an error yet.
pub(super) fn inquire(
    registry: &Registry,
    repository: &str,
    digest: &Digest,
    scope: Scope,
) -> Result<Result<bool, Refusal>> {
    let url = registry.url(repository, &format!("blobs/{digest}"))?;
    let what = format!("cannot ask for blob {digest} of {}/{repository}", registry.name());
    let ask = Ask::new(Method::HEAD, url, scope, what);
    let answer = registry.send(&ask)?;
    Ok(match answer.status.as_u16() {
        // A redirect to the storage is only made for what is there.
        200..=399 => Ok(true),
        404 | 405 | 412 => Ok(false),
        _ => Err(registry.refusal(&ask, answer)),
    })
}

/// Opens a blob.
///
/// # Errors
/// [`Kind::Remote`](crate::model::Kind::Remote) where the registry does not have it or has it in
/// another length.
pub(super) fn open(
    registry: &Arc<Registry>,
    repository: &str,
    blob: &Descriptor,
) -> Result<BlobReader> {
    let url = registry.url(repository, &format!("blobs/{}", blob.digest))?;
    let mut reader = BlobReader {
        registry: Arc::clone(registry),
        url,
        scope: Scope::pull(repository),
        what: format!("cannot read blob {} of {}/{repository}", blob.digest, registry.name()),
        size: blob.size,
        offset: 0,
        body: None,
        breaks: 0,
        stuck: 0,
        mark: 0,
    };
    reader.connect()?;
    Ok(reader)
}

/// A blob as it comes; where it breaks off, it is asked for from there on.
pub(super) struct BlobReader {
    registry: Arc<Registry>,
    url: Url,
    scope: Scope,
    what: String,
    size: u64,
    offset: u64,
    /// `None` at the end.
    body: Option<Response>,
    breaks: u32,
    stuck: u32,
    /// Where the reader was when it was last seen to have come further.
    mark: u64,
}

impl BlobReader {
    /// Asks for everything from the current offset on.
    fn connect(&mut self) -> Result<()> {
        let mut ask = Ask::get(self.url.clone(), self.scope.clone(), self.what.clone());
        if self.offset > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.offset));
            ask.headers.extend(range.ok().map(|range| (RANGE, range)));
        }
        let answer = self.registry.send(&ask)?;
        let start = match answer.status {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if self.offset > 0 => {
                let start = range_start(&answer, self.size).filter(|start| *start <= self.offset);
                start.ok_or_else(|| {
                    Error::remote(format!(
                        "{}: asked to go on at byte {}, the registry sends another part",
                        self.what, self.offset
                    ))
                })?
            }
            _ => return Err(failure::refused(self.registry.peer(), &self.what, answer)),
        };
        let length: Option<u64> = answer.header(CONTENT_LENGTH).and_then(|text| text.parse().ok());
        if let Some(length) = length
            && length != self.size - start
        {
            return Err(Error::remote(format!(
                "{}: {length} bytes are offered where {} were described",
                self.what,
                self.size - start
            ))
            .hint("the copy at the registry is damaged"));
        }
        self.body = Some(answer.body);
        self.skip(self.offset - start)
    }

    /// Passes over what was read before, where the registry begins earlier than it was asked to.
    /// What breaks off here shows at the next read.
    fn skip(&mut self, mut bytes: u64) -> Result<()> {
        let mut scratch = vec![0; 64 << 10];
        while bytes > 0 {
            let Some(body) = &mut self.body else { break };
            let most = scratch.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            match body.read(&mut scratch[..most]) {
                Ok(n) if n > 0 => bytes -= n as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                broken => return self.resume(broken.err()),
            }
        }
        Ok(())
    }

    /// Goes on after the answer broke off.
    fn resume(&mut self, cause: Option<io::Error>) -> Result<()> {
        self.body = None;
        self.breaks += 1;
        self.stuck += 1;
        if self.offset >= self.mark.saturating_add(STEP) {
            (self.mark, self.stuck) = (self.offset, 1);
        }
        if self.breaks > BREAKS || self.stuck > STUCK {
            let cause = cause.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
            return Err(failure::cut(
                self.registry.peer(),
                &format!("{} (at byte {} of {})", self.what, self.offset, self.size),
                cause,
            ));
        }
        std::thread::sleep(self.registry.patience().wait(self.stuck, None));
        self.connect()
    }

    /// After the last byte: there must not be another one. Reading to the end also leaves the
    /// connection fit for the next request.
    fn end(&mut self) -> Result<()> {
        let Some(mut body) = self.body.take() else { return Ok(()) };
        match body.read(&mut [0]) {
            Ok(n) if n > 0 => Err(Error::remote(format!(
                "{}: more than the {} bytes that were described come",
                self.what, self.size
            ))),
            _ => Ok(()),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let left = self.size - self.offset;
            if left == 0 {
                return self.end().map(|()| 0).map_err(Error::into_io);
            }
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = match &mut self.body {
                Some(body) => body.read(&mut buffer[..most]),
                None => Ok(0),
            };
            match read {
                Ok(n) if n > 0 => {
                    self.offset += n as u64;
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                broken => self.resume(broken.err()).map_err(Error::into_io)?,
            }
        }
    }
}

/// Where a partial answer begins, if it goes to the end of a blob of this size (RFC 9110, section
/// 14.4).
fn range_start(answer: &Answer, size: u64) -> Option<u64> {
    parse_range(answer.header(CONTENT_RANGE)?, size)
}

fn parse_range(text: &str, size: u64) -> Option<u64> {
    let (range, total) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end): (u64, u64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
    let total_fits = total == "*" || total.parse() == Ok(size);
    (total_fits && start <= end && end.checked_add(1) == Some(size)).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rest_of_this_very_blob_is_taken() {
        assert_eq!(parse_range("bytes 5-9/10", 10), Some(5));
        assert_eq!(parse_range("bytes 5-9/*", 10), Some(5));
        for text in [
            "bytes 5-9/11",
            "bytes 5-8/10",
            "bytes 9-5/10",
            "bytes */10",
            "5-9/10",
            "bytes 5-18446744073709551615/10",
            "bytes -9/10",
            "",
        ] {
            assert_eq!(parse_range(text, 10), None, "{text:?}");
        }
    }
}
