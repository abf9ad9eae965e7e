//! A blob on its way up: one session, one `PUT` that streams, and what to do when it breaks.
//!
//! The bytes go in a single request (OCI distribution, "POST then PUT"): Harbor takes a blob's size
//! from the length of the final `PUT`, and everything between client and registry handles one
//! request better than many. A broken upload is begun again from the start; registries keep no
//! part of a connection that dropped.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::blocking::Body;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

use super::client::{Registry, lock};
use super::exchange::{Answer, Ask, Fault};
use super::retry::{is_passing, retry_after};
use super::scope::Scope;
use super::{address, blob, failure, manifest};
use crate::model::{Descriptor, Error, Result};

/// Opens the content of a blob from its start.
pub(super) type Open<'a> = dyn FnMut() -> Result<Box<dyn Read + Send>> + 'a;

/// Uploads a blob.
///
/// # Errors
/// What `open` or its reader reported, as it was; else what the registry answered.
pub(super) fn upload(
    registry: &Registry,
    repository: &str,
    descriptor: &Descriptor,
    open: &mut Open<'_>,
) -> Result<()> {
    let upload = Upload {
        registry,
        repository,
        descriptor,
        scope: Scope::push(repository),
        what: format!(
            "cannot upload blob {} to {}/{repository}",
            descriptor.digest,
            registry.name()
        ),
    };
    let mut attempt = 1;
    loop {
        let (error, asked) = match upload.once(open)? {
            Outcome::Done => return Ok(()),
            Outcome::Broken(error, asked) => (error, asked),
        };
        // The answer may have been lost after the blob had arrived.
        if blob::exists(registry, repository, &descriptor.digest, upload.scope.clone())
            .unwrap_or(false)
        {
            return Ok(());
        }
        if attempt >= registry.patience().attempts {
            return Err(error);
        }
        std::thread::sleep(registry.patience().wait(attempt, asked));
        attempt += 1;
    }
}

/// Asks the registry to link a blob from another repository of its own. `false` where it will not.
pub(super) fn mount(
    registry: &Registry,
    repository: &str,
    descriptor: &Descriptor,
    from: &str,
) -> Result<bool> {
    let mut url = registry.url(repository, "blobs/uploads/")?;
    url.query_pairs_mut()
        .append_pair("mount", &descriptor.digest.to_string())
        .append_pair("from", from);
    let what =
        format!("cannot link blob {} to {}/{repository}", descriptor.digest, registry.name());
    let scope = Scope::push(repository).and_pull(from);
    let ask = Ask::new(Method::POST, url, scope.clone(), what);
    let answer = registry.send(&ask)?;
    if answer.status == StatusCode::ACCEPTED {
        // It opened a session for an upload instead, which would lie about until it is purged.
        if let Some(Ok(session)) = answer
            .header(LOCATION)
            .map(|text| address::upload_location(&registry.peer().base, &answer.url, text))
        {
            let cancel = Ask::new(Method::DELETE, session, scope, ask.what);
            let _ = registry.send(&cancel);
        }
        return Ok(false);
    }
    // Whatever it has against the link, the upload that follows will say it or do without.
    Ok(answer.status == StatusCode::CREATED)
}

enum Outcome {
    Done,
    /// It may work another time: why it did not, and the wait that the registry asked for.
    Broken(Error, Option<Duration>),
}

struct Upload<'a> {
    registry: &'a Registry,
    repository: &'a str,
    descriptor: &'a Descriptor,
    scope: Scope,
    what: String,
}

impl Upload<'_> {
    fn once(&self, open: &mut Open<'_>) -> Result<Outcome> {
        let target = self.session()?;
        let content = Outgoing::new(open()?, self.descriptor)?;
        let trouble = content.trouble();
        let result = self.put(&target, content);
        // What the reader met is the cause of whatever the transfer then ran into.
        let (error, released) = trouble.take();
        if let Some(error) = error {
            return Err(error);
        }
        match result {
            Ok(answer) => self.judge(answer),
            Err(fault) if fault.is_passing() => {
                if released < self.descriptor.size
                    && let Some(answer) = self.last_words()
                {
                    return self.judge(answer);
                }
                Ok(Outcome::Broken(failure::fault(self.registry.peer(), &self.what, fault), None))
            }
            Err(fault) => Err(failure::fault(self.registry.peer(), &self.what, fault)),
        }
    }

    /// Opens a session; the address that the content goes to.
    fn session(&self) -> Result<Url> {
        let url = self.registry.url(self.repository, "blobs/uploads/")?;
        let ask = Ask::new(Method::POST, url, self.scope.clone(), self.what.clone());
        let answer = self.registry.send(&ask)?;
        if answer.status != StatusCode::ACCEPTED {
            return Err(failure::refused(self.registry.peer(), &self.what, answer));
        }
        let location = answer.header(LOCATION).ok_or_else(|| {
            Error::remote(format!(
                "{}: registry {} does not say where to send it",
                self.what,
                self.registry.name()
            ))
        })?;
        let mut target =
            address::upload_location(&self.registry.peer().base, &answer.url, location)?;
        // Whatever the address carries already is the registry's own and stays as it is.
        target.query_pairs_mut().append_pair("digest", &self.descriptor.digest.to_string());
        Ok(target)
    }

    fn put(&self, target: &Url, content: impl Read + Send + 'static) -> Result<Answer, Fault> {
        let size = self.descriptor.size;
        let authorization = self.registry.authorization(&self.scope).map_err(Fault::Final)?;
        let mut request = self
            .registry
            .wires()
            .to(target)?
            .put(target.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .timeout(self.registry.patience().upload(size))
            .body(Body::sized(content, size));
        if let Some(value) = &authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let mut answer = Answer::new(target.clone(), request.send().map_err(Fault::broken)?);
        answer.used = authorization;
        Ok(answer)
    }

    fn judge(&self, answer: Answer) -> Result<Outcome> {
        let status = answer.status;
        if status.is_success() {
            return match manifest::announced(&answer) {
                Some(digest)
                    if digest.algorithm() == self.descriptor.digest.algorithm()
                        && digest != self.descriptor.digest =>
                {
                    Err(Error::remote(format!(
                        "{}: registry {} says that it has digest {digest}",
                        self.what,
                        self.registry.name()
                    )))
                }
                _ => Ok(Outcome::Done),
            };
        }
        let asked = retry_after(&answer.headers);
        let again = match status {
            // The session is gone, as after a restart of the registry.
            StatusCode::NOT_FOUND => true,
            // The token expired between the two requests; the next session needs another one.
            StatusCode::UNAUTHORIZED => {
                let used = answer.used.as_ref();
                self.registry.renew(&self.scope, used, &answer.headers)?.is_some()
            }
            _ => is_passing(status),
        };
        let error = failure::refused(self.registry.peer(), &self.what, answer);
        if again { Ok(Outcome::Broken(error, asked)) } else { Err(error) }
    }

    /// Why the registry, or a proxy in front of it, hung up in the middle of an upload. Its answer
    /// is lost when the connection breaks under the content, so we announce the same upload once
    /// more and hold the content back until the answer had time to come.
    fn last_words(&self) -> Option<Answer> {
        let target = self.session().ok()?;
        let answer = self.put(&target, Silence(self.registry.patience().last_words)).ok()?;
        (!answer.status.is_success()).then_some(answer)
    }
}

/// Content that does not come.
struct Silence(Duration);

impl Read for Silence {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(self.0);
        Ok(0)
    }
}

/// Content on its way out.
///
/// The HTTP library stops reading once the announced length is reached, and so would never hear
/// what a digest-checking reader says at its end. Therefore the last bytes are not let go before
/// that end was reached without complaint: a registry never gets all bytes of a bad blob.
struct Outgoing {
    inner: Box<dyn Read + Send>,
    left: u64,
    trouble: Trouble,
}

/// What became of outgoing content, for whoever started it.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<(Option<Error>, u64)>>);

impl Trouble {
    /// What the reader reported, and how many bytes were let go.
    fn take(&self) -> (Option<Error>, u64) {
        let mut state = lock(&self.0);
        (state.0.take(), state.1)
    }
}

impl Outgoing {
    /// # Errors
    /// What the end of an empty blob reports.
    fn new(inner: Box<dyn Read + Send>, descriptor: &Descriptor) -> Result<Self> {
        let mut outgoing = Self { inner, left: descriptor.size, trouble: Trouble::default() };
        if outgoing.left == 0 {
            // Nothing will be read of it.
            outgoing.check_end()?;
        }
        Ok(outgoing)
    }

    fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }

    fn check_end(&mut self) -> Result<()> {
        match read(&mut self.inner, &mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::damaged("a blob is longer than its description says")),
            Err(error) => Err(Error::from_io("cannot read a blob", error)),
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
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
        let mut outgoing = match Outgoing::new(Box::new(reader), &descriptor) {
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
