//! Blobs at a registry: asked after, and read with as many requests as a bad line takes.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::blocking::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Method, StatusCode};
use url::Url;

use super::client::Registry;
use super::course::{Setback, Tries};
use super::exchange::{Answer, Ask, Opened};
use super::failure::{self, Refusal};
use super::limiter::Permit;
use super::retry::Patience;
use super::scope::Scope;
use crate::codec::checked::Hasher;
use crate::model::{Descriptor, Digest, Error, Result};

/// How often it may break off at all: ten gigabytes over a line that drops every hundred megabytes
/// get through.
const BREAKS: u32 = 100;

/// Whether a repository has a blob. Where the registry does not say, it has not; what it refuses to
/// say is not an error yet.
pub(super) fn inquire(
    registry: &Registry,
    repository: &str,
    digest: &Digest,
    scope: Scope,
) -> Result<Result<bool, Refusal>> {
    let ask = question(registry, repository, digest, scope)?;
    let answer = registry.send(&ask)?;
    Ok(match answer.status.as_u16() {
        // A redirect to the storage is only made for what is there.
        200..=399 => Ok(true),
        404 | 405 | 412 => Ok(false),
        _ => Err(registry.refusal(&ask, answer)),
    })
}

/// Whether a blob that may have been sent has arrived, as far as that can be found out at once:
/// the answer that would have said so was lost.
pub(super) fn has_arrived(registry: &Registry, repository: &str, digest: &Digest) -> bool {
    let Ok(ask) = question(registry, repository, digest, Scope::push(repository)) else {
        return false;
    };
    let answer = registry.attempt(&ask).map(|opened| opened.answer.status.as_u16());
    matches!(answer, Ok(200..=399))
}

fn question(registry: &Registry, repository: &str, digest: &Digest, scope: Scope) -> Result<Ask> {
    let url = registry.url(repository, &format!("blobs/{digest}"))?;
    let what = format!("cannot ask for blob {digest} of {}/{repository}", registry.name());
    Ok(Ask::new(Method::HEAD, url, scope, what))
}

/// Opens a blob.
///
/// # Errors
/// [`Kind::Remote`](crate::model::Kind::Remote) where the registry does not have it or has it in
/// another length; from the reader, at its end, where the bytes are not those of the digest.
pub(super) fn open(
    registry: &Arc<Registry>,
    repository: &str,
    blob: &Descriptor,
) -> Result<BlobReader> {
    let mut reader = BlobReader::new(registry, repository, blob)?;
    match reader.connect()? {
        None => Ok(reader),
        Some(missing) => Err(reader.refused(*missing)),
    }
}

/// Opens a blob; `None` where the registry says that it does not have it.
pub(super) fn open_if_there(
    registry: &Arc<Registry>,
    repository: &str,
    blob: &Descriptor,
) -> Result<Option<BlobReader>> {
    let mut reader = BlobReader::new(registry, repository, blob)?;
    Ok(reader.connect()?.is_none().then_some(reader))
}

/// A blob as it comes; where it breaks off, it is asked for from there on.
pub(super) struct BlobReader {
    registry: Arc<Registry>,
    url: Url,
    scope: Scope,
    what: String,
    digest: Digest,
    size: u64,
    offset: u64,
    /// `None` at the end.
    flow: Option<Flow>,
    /// Of everything up to `offset`; `None` once it was compared.
    hasher: Option<Hasher>,
    /// The name of this very copy, so that the parts of two are not put together.
    etag: Option<HeaderValue>,
    /// Whether the registry gives parts, as far as is known.
    gives_parts: bool,
    breaks: u32,
    tries: Tries,
}

/// An answer that flows.
struct Flow {
    body: Response,
    permit: Permit,
    speed: Speed,
}

impl BlobReader {
    fn new(registry: &Arc<Registry>, repository: &str, blob: &Descriptor) -> Result<Self> {
        Ok(Self {
            url: registry.url(repository, &format!("blobs/{}", blob.digest))?,
            scope: Scope::pull(repository),
            what: format!("cannot read blob {} of {}/{repository}", blob.digest, registry.name()),
            digest: blob.digest,
            size: blob.size,
            offset: 0,
            flow: None,
            hasher: Some(Hasher::new(blob.digest.algorithm())),
            etag: None,
            gives_parts: true,
            breaks: 0,
            tries: registry.tries(),
            registry: Arc::clone(registry),
        })
    }

    fn refused(&self, answer: Answer) -> Error {
        failure::refused(self.registry.peer(), &self.what, answer)
    }

    /// Asks for everything from the current offset on. `Some` where the registry does not have it.
    fn connect(&mut self) -> Result<Option<Box<Answer>>> {
        loop {
            let wants_part = self.offset > 0 && self.gives_parts;
            let mut ask = Ask::get(self.url.clone(), self.scope.clone(), self.what.clone());
            if wants_part {
                let range = HeaderValue::from_str(&format!("bytes={}-", self.offset));
                ask.headers.extend(range.ok().map(|range| (RANGE, range)));
                ask.headers.extend(self.etag.clone().map(|etag| (IF_RANGE, etag)));
            }
            let Opened { answer, permit } = self.registry.open(&ask)?;
            let start = match answer.status {
                StatusCode::OK => Some(0),
                StatusCode::PARTIAL_CONTENT if wants_part => {
                    range_start(&answer, self.size).filter(|start| *start <= self.offset)
                }
                StatusCode::RANGE_NOT_SATISFIABLE if wants_part => None,
                StatusCode::NOT_FOUND => return Ok(Some(Box::new(answer))),
                _ => return Err(self.refused(answer)),
            };
            let length: Option<u64> =
                answer.header(CONTENT_LENGTH).and_then(|text| text.parse().ok());
            let fits = |start: &u64| length.is_none_or(|length| length == self.size - start);
            match start.filter(fits) {
                Some(start) => {
                    // A weak tag names what is alike, not what is the same (RFC 9110, section
                    // 8.8.1).
                    let etag = answer.headers.get(ETAG);
                    self.etag = etag.filter(|etag| !etag.as_bytes().starts_with(b"W/")).cloned();
                    let speed = Speed::new(self.registry.patience());
                    self.flow = Some(Flow { body: answer.body, permit, speed });
                    self.skip(self.offset - start)?;
                    return Ok(None);
                }
                // Somebody on the way is not good at parts: all of it is asked for, and what is
                // known of it is passed over.
                None if wants_part => self.gives_parts = false,
                None => {
                    return Err(Error::remote(format!(
                        "{}: {} bytes are offered where {} were described",
                        self.what,
                        length.unwrap_or_default(),
                        self.size
                    ))
                    .hint("the copy at the registry is damaged"));
                }
            }
        }
    }

    /// Passes over what was read before, where the registry begins earlier than it was asked to.
    /// What breaks off here shows at the next read.
    fn skip(&mut self, mut bytes: u64) -> Result<()> {
        let mut scratch = vec![0; 64 << 10];
        while bytes > 0 {
            let Some(flow) = &mut self.flow else { break };
            let most = scratch.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            match flow.read(&mut scratch[..most]) {
                Ok(n) if n > 0 => bytes -= n as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                broken => return self.resume(broken.err()),
            }
        }
        Ok(())
    }

    /// Goes on after the answer broke off.
    fn resume(&mut self, cause: Option<io::Error>) -> Result<()> {
        self.flow = None;
        self.breaks += 1;
        self.tries.came_to(self.offset);
        let cause = cause.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
        let setback = Setback::of_cut(&cause);
        if self.breaks > BREAKS || !self.registry.course().again(&mut self.tries, &setback) {
            return Err(failure::cut(
                self.registry.peer(),
                &format!("{} (at byte {} of {})", self.what, self.offset, self.size),
                cause,
            ));
        }
        match self.connect()? {
            None => Ok(()),
            Some(missing) => Err(self.refused(*missing)),
        }
    }

    /// After the last byte: there must not be another one, and they must be the right ones. Reading
    /// to the end also leaves the connection fit for the next request.
    fn end(&mut self) -> Result<()> {
        if let Some(mut flow) = self.flow.take()
            && matches!(flow.body.read(&mut [0]), Ok(n) if n > 0)
        {
            return Err(Error::remote(format!(
                "{}: more than the {} bytes that were described come",
                self.what, self.size
            )));
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.digest => Err(Error::remote(format!(
                "{}: what came has digest {found}",
                self.what
            ))
            .hint(
                "the registry, or a proxy on the way, is damaged or lies; nothing of it was used",
            )),
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
            let read = match &mut self.flow {
                Some(flow) => flow.read(&mut buffer[..most]),
                None => Ok(0),
            };
            match read {
                Ok(n) if n > 0 => {
                    self.offset += n as u64;
                    if let Some(hasher) = &mut self.hasher {
                        hasher.update(&buffer[..n]);
                    }
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                broken => self.resume(broken.err()).map_err(Error::into_io)?,
            }
        }
    }
}

impl Read for Flow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begun = Instant::now();
        let n = self.body.read(buffer)?;
        self.permit.moves();
        if self.speed.is_too_slow(n, begun.elapsed()) {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("less than {} bytes a second", self.speed.slowest),
            ));
        }
        Ok(n)
    }
}

/// Notices an answer that drips. Only the time that was spent waiting for it counts.
struct Speed {
    slowest: u64,
    window: Duration,
    bytes: u64,
    waited: Duration,
}

impl Speed {
    fn new(patience: &Patience) -> Self {
        let (slowest, window) = (patience.slowest, patience.silence);
        Self { slowest, window, bytes: 0, waited: Duration::ZERO }
    }

    fn is_too_slow(&mut self, bytes: usize, waited: Duration) -> bool {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.waited < self.window {
            return false;
        }
        let enough = self.waited.as_secs_f64() * self.slowest as f64;
        let slow = (self.bytes as f64) < enough;
        (self.bytes, self.waited) = (0, Duration::ZERO);
        slow
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
    #[test]
    fn a_line_that_drips_is_told_from_one_that_is_read_seldom() {
        let patience =
            Patience { slowest: 1000, silence: Duration::from_secs(10), ..Patience::default() };
        let mut speed = Speed::new(&patience);
        for _ in 0..50 {
            assert!(!speed.is_too_slow(1, Duration::from_millis(1)), "most time was ours");
        }
        assert!(!speed.is_too_slow(1, Duration::from_secs(9)), "too early to say");
        assert!(speed.is_too_slow(1, Duration::from_secs(1)));
        assert!(!speed.is_too_slow(10_000, Duration::from_secs(10)), "slow, but fast enough");
    }
}
