//! A blob that goes up in pieces: `POST`, a `PATCH` for each piece, and an empty `PUT` (OCI
//! distribution, "Pushing a blob in chunks").
//!
//! The way for blobs that are too large for one request: a proxy limits what may be sent at once,
//! or the line does not live as long as the request. A piece is kept until the registry has
//! acknowledged it. Where a request breaks, the registry is asked how far it is, and it goes on
//! from there; where the registry has forgotten the session, as docker-registry does when a
//! connection drops within a piece, the blob begins anew.
//!
//! The last piece never goes with the `PUT`: Harbor takes that request's length for the size of the
//! blob.

use std::io::Read;
use std::sync::Arc;

use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, StatusCode};
use url::Url;

use super::blob;
use super::client::Registry;
use super::course::{Setback, Tries};
use super::exchange::{Answer, Ask};
use super::failure;
use super::outgoing::Outgoing;
use super::session::{Broken, Outcome, Session, Upload};
use crate::model::{Error, Result};

/// A piece where nothing speaks for less: more than the 5 MiB that object stores want of a part,
/// so that a registry need not put parts together.
const PIECE: u64 = 8 << 20;

/// Pieces are not made smaller than this: a proxy that takes less takes no layers at all.
const SMALLEST: u64 = 256 << 10;

/// A line that breaks is not given pieces smaller than this; each costs a round trip.
const SMALLEST_ON_A_BAD_LINE: u64 = 1 << 20;

/// The largest piece that a registry may demand. Each one that is on its way is held in memory.
const LARGEST: u64 = 32 << 20;

/// How large the pieces of a blob of `size` are from the start, because the registry is known to
/// take no such blob in one request.
pub(super) fn known(registry: &Registry, size: u64) -> Option<u64> {
    let (too_large, piece) = registry.habits().too_large?;
    (size >= too_large).then_some(piece)
}

/// How large pieces may be after `refused` bytes were too many. `None` where there is no sense in
/// sending less.
pub(super) fn after_refusal(registry: &Registry, refused: u64) -> Option<u64> {
    let piece = smaller(refused).min(PIECE);
    if piece < SMALLEST {
        return None;
    }
    let mut habits = registry.habits();
    let (known, smallest) = habits.too_large.unwrap_or((u64::MAX, PIECE));
    let piece = piece.min(smallest);
    habits.too_large = Some((known.min(refused), piece));
    drop(habits);
    registry.course().warn(&format!(
        "takes no {} at once: sending pieces of {}",
        kibibytes(refused),
        kibibytes(piece)
    ));
    Some(piece)
}

/// How large pieces should be after a blob of `size` broke off again at about `reached` bytes.
/// `None` where it is too small for pieces.
pub(super) fn after_breaks(registry: &Registry, size: u64, reached: u64) -> Option<u64> {
    let piece = smaller(reached).clamp(SMALLEST_ON_A_BAD_LINE, PIECE);
    if piece >= size {
        return None;
    }
    let text = kibibytes(piece);
    registry.course().warn(&format!("breaks off long uploads: sending pieces of {text}"));
    Some(piece)
}

/// The next smaller power of two.
fn smaller(bytes: u64) -> u64 {
    bytes.saturating_sub(1).checked_ilog2().map_or(0, |log| 1 << log)
}

fn kibibytes(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

/// Sends a blob in pieces of `piece` bytes. `tries` is what was tried so far.
///
/// # Errors
/// What the content's reader reported, as it was; else what the registry answered for good.
pub(super) fn send(
    upload: &Upload<'_>,
    content: Box<dyn Read + Send>,
    piece: u64,
    tries: &mut Tries,
) -> Result<Outcome> {
    let Session { location, least } = upload.session()?;
    if least > LARGEST {
        return Err(Error::remote(format!(
            "{}: registry {} wants pieces of {least} bytes, and more than {LARGEST} are not held",
            upload.what,
            upload.registry.name()
        )));
    }
    let limiter = upload.registry.course().limiter();
    let mut sending = Sending {
        upload,
        content: Outgoing::new(content, upload.descriptor, limiter)?,
        location,
        least,
        piece: piece.max(least),
        offset: 0,
        pending: Vec::new(),
    };
    while sending.offset < upload.descriptor.size {
        sending.fill()?;
        if let Some(lost) = sending.advance(tries)? {
            return Ok(Outcome::Broken(lost));
        }
    }
    sending.close(tries)
}

struct Sending<'a> {
    upload: &'a Upload<'a>,
    content: Outgoing,
    /// Where the next piece goes: from the last answer.
    location: Url,
    least: u64,
    piece: u64,
    /// What the registry has acknowledged.
    offset: u64,
    /// What comes after that, as far as it was read.
    pending: Vec<u8>,
}

/// What became of one piece.
enum Step {
    /// The registry has everything up to here.
    At(u64),
    /// Nobody knows how far the registry is: why, and the error if it stays so.
    Unknown(Setback, Error),
    /// So many bytes at once are too many.
    TooLarge(Error),
    /// The session is gone.
    Lost(Setback, Error),
}

impl Sending<'_> {
    /// Reads until a piece is full or the content ends.
    fn fill(&mut self) -> Result<()> {
        let left = self.upload.descriptor.size - self.offset;
        let wanted = usize::try_from(self.piece.min(left)).unwrap_or(usize::MAX);
        while self.pending.len() < wanted {
            let before = self.pending.len();
            self.pending.resize(wanted.min(before + (256 << 10)), 0);
            let read = self.content.next(&mut self.pending[before..])?;
            self.pending.truncate(before + read);
        }
        Ok(())
    }

    /// Sends the next piece until the registry is known to have some of it. `Some` where the blob
    /// has to begin anew.
    fn advance(&mut self, tries: &mut Tries) -> Result<Option<Broken>> {
        let course = self.upload.registry.course();
        let mut step = self.patch()?;
        let mut waited = false;
        loop {
            match step {
                Step::At(end) => {
                    let taken = end.checked_sub(self.offset).and_then(|n| usize::try_from(n).ok());
                    let Some(taken) = taken.filter(|taken| *taken <= self.pending.len()) else {
                        let what = format!("says that it has {end} bytes of an upload");
                        return Ok(Some(self.lost(Setback::new(what), None)));
                    };
                    self.pending.drain(..taken);
                    self.offset = end;
                    tries.came_to(end);
                    if taken == 0 && !waited {
                        let setback = Setback::new("takes nothing of an upload");
                        if !course.again(tries, &setback) {
                            return Err(self.lost(setback, None).error);
                        }
                    }
                    return Ok(None);
                }
                Step::TooLarge(error) => {
                    let sent = self.piece.min(self.pending.len() as u64);
                    let smaller = after_refusal(self.upload.registry, sent);
                    self.piece = smaller.filter(|piece| *piece >= self.least).ok_or(error)?;
                    step = self.patch()?;
                }
                Step::Lost(setback, error) => return Ok(Some(self.lost(setback, Some(error)))),
                Step::Unknown(setback, error) => {
                    if !course.again(tries, &setback) {
                        return Err(error);
                    }
                    waited = true;
                    let floor = SMALLEST_ON_A_BAD_LINE.min(self.piece).max(self.least);
                    self.piece = (self.piece / 2).max(floor);
                    step = self.ask()?;
                }
            }
        }
    }

    fn lost(&self, setback: Setback, error: Option<Error>) -> Broken {
        let error = error.unwrap_or_else(|| {
            let name = self.upload.registry.name();
            Error::remote(format!("{}: registry {name} has lost count of it", self.upload.what))
                .hint("try again")
        });
        Broken { error, setback, reached: self.offset }
    }

    fn patch(&mut self) -> Result<Step> {
        let length = usize::try_from(self.piece).unwrap_or(usize::MAX).min(self.pending.len());
        let end = self.offset + length as u64;
        let octets = HeaderValue::from_static("application/octet-stream");
        let piece: Arc<[u8]> = Arc::from(&self.pending[..length]);
        let mut ask = self.request(Method::PATCH, self.location.clone()).content(&octets, piece);
        ask.patience = Some(self.upload.patience(length as u64));
        // Without a unit, unlike elsewhere (OCI distribution, "Pushing a blob in chunks").
        let range = HeaderValue::from_str(&format!("{}-{}", self.offset, end - 1));
        ask.headers.extend(range.ok().map(|range| (CONTENT_RANGE, range)));
        self.step(&ask, Some(end))
    }

    /// Asks how far the registry is (OCI distribution, "GET upload status").
    fn ask(&mut self) -> Result<Step> {
        self.step(&self.request(Method::GET, self.location.clone()), None)
    }

    fn request(&self, method: Method, url: Url) -> Ask {
        Ask::new(method, url, self.upload.scope.clone(), self.upload.what.clone())
    }

    /// Sends a request about the session. `expected` is how far the registry should be after it.
    fn step(&mut self, ask: &Ask, expected: Option<u64>) -> Result<Step> {
        let upload = self.upload;
        let answer = match upload.registry.attempt(ask) {
            Ok(opened) => opened.answer,
            Err(fault) => {
                let setback = Setback::of_fault(&fault);
                let error = failure::fault(upload.registry.peer(), &upload.what, fault);
                return match setback {
                    Some(setback) => Ok(Step::Unknown(setback, error)),
                    None => Err(error),
                };
            }
        };
        let status = answer.status;
        if status.is_success() {
            if let Some(location) = upload.location(&answer)? {
                self.location = location;
            }
            let known = acknowledged(&answer, expected);
            return Ok(known.or(expected).map_or_else(
                || Step::Lost(Setback::new("does not say how far it is"), upload.refused(answer)),
                Step::At,
            ));
        }
        let passing = Setback::of_answer(&answer);
        let known = acknowledged(&answer, None);
        let error = upload.refused(answer);
        Ok(match (passing, status) {
            (Some(setback), _) => Step::Unknown(setback, error),
            (None, StatusCode::RANGE_NOT_SATISFIABLE) => match known {
                Some(end) => Step::At(end),
                None if expected.is_some() => {
                    Step::Unknown(Setback::new("wants another part of an upload"), error)
                }
                None => Step::Lost(Setback::new("has lost count of an upload"), error),
            },
            (None, StatusCode::PAYLOAD_TOO_LARGE) if expected.is_some() => Step::TooLarge(error),
            // docker-registry says so of a session in which a connection dropped.
            (None, StatusCode::NOT_FOUND) => {
                Step::Lost(Setback::new("has lost the session of an upload"), error)
            }
            // A registry that cannot be asked how far it is.
            (None, StatusCode::METHOD_NOT_ALLOWED | StatusCode::BAD_REQUEST)
                if expected.is_none() =>
            {
                Step::Lost(Setback::new("does not say how far it is"), error)
            }
            _ => return Err(error),
        })
    }

    /// Ends the upload.
    fn close(self, tries: &mut Tries) -> Result<Outcome> {
        let Upload { registry, repository, descriptor, .. } = *self.upload;
        let url = self.upload.closing(&self.location);
        let octets = HeaderValue::from_static("application/octet-stream");
        let mut ask = self.request(Method::PUT, url).content(&octets, Arc::from([]));
        ask.patience = Some(self.upload.patience(descriptor.size));
        loop {
            let (setback, error) = match registry.attempt(&ask) {
                Ok(opened) => match Setback::of_answer(&opened.answer) {
                    None => return self.upload.judge(opened.answer, self.offset),
                    Some(setback) => (setback, self.upload.refused(opened.answer)),
                },
                Err(fault) => {
                    let setback = Setback::of_fault(&fault);
                    let error = failure::fault(registry.peer(), &self.upload.what, fault);
                    match setback {
                        None => return Err(error),
                        Some(setback) => (setback, error),
                    }
                }
            };
            if blob::has_arrived(registry, repository, &descriptor.digest) {
                return Ok(Outcome::Done);
            }
            if !registry.course().again(tries, &setback) {
                return Err(error);
            }
        }
    }
}

/// How far an answer says that the registry is. `expected` tells one byte from none, which registries
/// write alike.
fn acknowledged(answer: &Answer, expected: Option<u64>) -> Option<u64> {
    parse_acknowledged(answer.header(RANGE)?, expected)
}

fn parse_acknowledged(text: &str, expected: Option<u64>) -> Option<u64> {
    let (start, last) = text.strip_prefix("bytes=").unwrap_or(text).split_once('-')?;
    let (start, last): (u64, u64) = (start.trim().parse().ok()?, last.trim().parse().ok()?);
    if start != 0 {
        return None;
    }
    if last == 0 && expected != Some(1) { Some(0) } else { last.checked_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_powers_of_two_below_what_was_refused() {
        for (refused, piece) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 4), (1 << 20, 1 << 19)]
        {
            assert_eq!(smaller(refused), piece, "{refused}");
        }
        assert_eq!(smaller(u64::MAX), 1 << 63);
    }

    #[test]
    fn how_far_a_registry_is() {
        for (text, expected, end) in [
            ("0-1023", None, Some(1024)),
            ("bytes=0-1023", Some(1024), Some(1024)),
            ("0-0", None, Some(0)),
            ("0-0", Some(1), Some(1)),
            ("0-0", Some(2), Some(0)),
            ("5-9", None, None),
            ("0-18446744073709551615", None, None),
            ("0", None, None),
            ("-", None, None),
        ] {
            assert_eq!(parse_acknowledged(text, expected), end, "{text}");
        }
    }
}
