//! A blob on its way up: one session, one `PUT` that streams, and what to do when it breaks.
//!
//! The bytes go in a single request (OCI distribution, "POST then PUT"): everything between client
//! and registry handles one request better than many. Where that is too large for somebody on the
//! way, or breaks again and again, they go in [`pieces`]. A broken request is begun again from the
//! start; registries keep no part of a connection that dropped.

use std::io::{self, Read};
use std::time::Duration;

use reqwest::blocking::Body;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::client::Registry;
use super::course::{STEP, Setback};
use super::exchange::{Answer, Ask, Fault};
use super::outgoing::Outgoing;
use super::scope::Scope;
use super::session::{Broken, Outcome, Upload};
use super::{blob, failure, pieces};
use crate::model::{Descriptor, Result};

/// Opens the content of a blob from its start.
pub(super) type Open<'a> = dyn FnMut() -> Result<Box<dyn Read + Send>> + 'a;

/// How often a blob that goes in one request may break off, having come some way, before it goes
/// in pieces.
const BREAKS_IN_ONE: u32 = 2;

/// How often an upload may be begun again at all, however far it came.
const BREAKS: u32 = 100;

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
    let upload = Upload::new(registry, repository, descriptor);
    let mut tries = registry.tries();
    let (mut breaks, mut breaks_in_one) = (0, 0);
    let mut piece = pieces::known(registry, descriptor.size);
    loop {
        let outcome = match piece {
            None => in_one(&upload, open, breaks_in_one == 0)?,
            Some(piece) => pieces::send(&upload, open()?, piece, &mut tries)?,
        };
        let broken = match outcome {
            Outcome::Done => return Ok(()),
            Outcome::TooLarge(error) if piece.is_some() => return Err(error),
            Outcome::TooLarge(error) => {
                piece = Some(pieces::after_refusal(registry, descriptor.size).ok_or(error)?);
                continue;
            }
            Outcome::Broken(broken) => broken,
        };
        // The answer may have been lost after the blob had arrived.
        if blob::has_arrived(registry, repository, &descriptor.digest) {
            return Ok(());
        }
        breaks += 1;
        if piece.is_none() && broken.reached >= STEP {
            breaks_in_one += 1;
            if breaks_in_one == BREAKS_IN_ONE {
                piece = pieces::after_breaks(registry, descriptor.size, broken.reached);
            }
        }
        if breaks == BREAKS || !registry.course().again(&mut tries, &broken.setback) {
            return Err(broken.error);
        }
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
    let mut tries = registry.tries();
    loop {
        let result = registry.attempt(&ask).map(|opened| opened.answer);
        let setback = match &result {
            Ok(answer) => Setback::of_answer(answer),
            Err(fault) => Setback::of_fault(fault),
        };
        if let Some(setback) = setback {
            if blob::has_arrived(registry, repository, &descriptor.digest) {
                return Ok(true);
            }
            if registry.course().again(&mut tries, &setback) {
                continue;
            }
        }
        let answer = result.map_err(|fault| failure::fault(registry.peer(), &ask.what, fault))?;
        if answer.status == StatusCode::ACCEPTED {
            // It opened a session for an upload instead, which would lie about until it is purged.
            let upload = Upload::new(registry, repository, descriptor);
            if let Ok(Some(session)) = upload.location(&answer) {
                let _ = registry.attempt(&Ask::new(Method::DELETE, session, scope, ask.what));
            }
            return Ok(false);
        }
        // Whatever it has against the link, the upload that follows will say it or do without.
        return Ok(answer.status == StatusCode::CREATED);
    }
}

/// Sends all of it in one request.
fn in_one(upload: &Upload<'_>, open: &mut Open<'_>, listens: bool) -> Result<Outcome> {
    let registry = upload.registry;
    let target = upload.closing(&upload.session()?.location);
    let content = Outgoing::new(open()?, upload.descriptor, registry.course().limiter())?;
    let trouble = content.trouble();
    let result = put(upload, &target, content);
    // What the reader met is the cause of whatever the transfer then ran into.
    let (error, reached) = trouble.take();
    if let Some(error) = error {
        return Err(error);
    }
    let fault = match result {
        Ok(answer) => return upload.judge(answer, reached),
        Err(fault) => fault,
    };
    let setback = Setback::of_fault(&fault);
    let error = failure::fault(registry.peer(), &upload.what, fault);
    let Some(setback) = setback else { return Err(error) };
    if listens
        && reached < upload.descriptor.size
        && let Some(answer) = last_words(upload)
    {
        return upload.judge(answer, reached);
    }
    Ok(Outcome::Broken(Broken { error, setback, reached }))
}

fn put(
    upload: &Upload<'_>,
    target: &Url,
    content: impl Read + Send + 'static,
) -> Result<Answer, Fault> {
    let (registry, size) = (upload.registry, upload.descriptor.size);
    let permit = registry.course().limiter().enter();
    let authorization = registry.authorization(&upload.scope).map_err(Fault::Final)?;
    let mut request = registry
        .wires()
        .to(target)?
        .put(target.clone())
        .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
        .timeout(upload.patience(size))
        .body(Body::sized(content, size));
    if let Some(value) = &authorization {
        request = request.header(AUTHORIZATION, value.clone());
    }
    let mut answer = Answer::new(target.clone(), request.send().map_err(Fault::broken)?);
    permit.answered(answer.status);
    answer.used = authorization;
    Ok(answer)
}

/// Why the registry, or a proxy in front of it, hung up in the middle of an upload. Its answer is
/// lost when the connection breaks under the content, so we announce the same upload once more and
/// hold the content back until the answer had time to come.
fn last_words(upload: &Upload<'_>) -> Option<Answer> {
    let target = upload.closing(&upload.session().ok()?.location);
    let answer = put(upload, &target, Silence(upload.registry.patience().last_words)).ok()?;
    (!answer.status.is_success()).then_some(answer)
}

/// Content that does not come.
struct Silence(Duration);

impl Read for Silence {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(self.0);
        Ok(0)
    }
}
