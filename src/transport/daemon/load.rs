//! One upload to a daemon: a tar that is composed while it is sent.
//!
//! The tar is written straight into the request; a thread reads the answer, which may come at any
//! time. The request ends well only if the tar was ended on purpose: one that is dropped, by an
//! error or a panic, breaks, and the daemon forgets what it had.

use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde::Deserialize;

use super::api::{Api, SILENCE};
use super::upload::{Reply, Upload};
use crate::codec::tarball::Writer;
use crate::model::{Error, Result, limits};

/// How long to wait for the reason when a daemon hangs up in the middle of an upload.
const REASON: Duration = Duration::from_secs(10);

/// What a daemon says whose disk is full.
pub(super) const NO_ROOM: &str = "no space left";

/// What the thread of the answer has heard.
#[derive(Debug)]
enum Heard {
    /// A line of progress: the daemon lives.
    Life,
    /// The answer ended; with what the daemon found wrong, if anything.
    Done(Option<String>),
    /// There was no answer, or none that counts.
    Failed(Error),
}

/// An upload under way.
pub(super) struct Load {
    tar: Writer<Upload>,
    heard: Receiver<Heard>,
    shown: String,
}

impl Load {
    /// Begins the request.
    pub(super) fn start(api: &Arc<Api>) -> Result<Self> {
        let (upload, reply) = api.load()?;
        let (tell, heard) = bounded(16);
        let shown = api.shown().to_owned();
        let api = api.clone();
        std::thread::Builder::new()
            .name("docker load".to_owned())
            .spawn(move || {
                let outcome = hear(&api, reply, &tell);
                let last = outcome.map_or_else(Heard::Failed, Heard::Done);
                // Nobody listens any more where the upload was given up.
                let _ = tell.send(last);
            })
            .map_err(|e| Error::io("cannot start a thread", e))?;
        Ok(Self { tar: Writer::new(upload), heard, shown })
    }

    /// Sends what waits to become a larger piece.
    pub(super) fn flush(&mut self) -> Result<()> {
        let flushed = self.tar.get_mut().flush();
        flushed.map_err(|e| self.reason_for(Error::io("cannot send an image", e)))
    }

    /// Adds a file to the tar. After an error the upload is of no use and must be dropped.
    pub(super) fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let done = self.tar.file(path, size, content);
        done.map_err(|e| self.reason_for(e))
    }

    /// Ends the tar and waits until the daemon has loaded it. `Some` is what the daemon found
    /// wrong with it.
    ///
    /// # Errors
    /// [`Kind::Remote`](crate::model::Kind::Remote) where the daemon hangs up, refuses the request
    /// as a whole, or falls silent.
    pub(super) fn finish(self) -> Result<Option<String>> {
        let Self { tar, heard, shown } = self;
        let ended = tar.finish().and_then(|mut upload| {
            let ended = upload.end().map_err(|e| Error::io("cannot end the upload", e));
            // The connection must outlast the answer.
            ended.map(|()| upload)
        });
        match ended {
            Ok(_upload) => wait(&heard, SILENCE, &shown),
            Err(error) => match wait(&heard, REASON, &shown) {
                Ok(Some(message)) => Ok(Some(message)),
                Err(reason) => Err(reason),
                Ok(None) => Err(error),
            },
        }
    }

    /// A broken connection is only the sign that the request ended; why, the answer says.
    fn reason_for(&self, error: Error) -> Error {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(now) = cause {
            let io = now.downcast_ref::<io::Error>().map(io::Error::kind);
            if matches!(io, Some(io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)) {
                return match wait(&self.heard, REASON, &self.shown) {
                    Err(reason) => reason,
                    Ok(Some(message)) => refused(&self.shown, &message),
                    Ok(None) => error,
                };
            }
            cause = now.source();
        }
        error
    }
}

/// The error for what a daemon found wrong.
pub(super) fn refused(shown: &str, message: &str) -> Error {
    let hint = if message.contains(NO_ROOM) {
        "the daemon unpacks a copy in its data directory first: make room there"
    } else {
        "names in the daemon are as they were; its own log may say more"
    };
    Error::remote(format!("{shown} could not load the images: {message}")).hint(hint)
}

fn wait(heard: &Receiver<Heard>, silence: Duration, shown: &str) -> Result<Option<String>> {
    loop {
        match heard.recv_timeout(silence) {
            Ok(Heard::Life) => {}
            Ok(Heard::Done(wrong)) => return Ok(wrong),
            Ok(Heard::Failed(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) => {
                return Err(Error::remote(format!(
                    "{shown} says nothing for {} seconds while it loads",
                    silence.as_secs()
                ))
                .hint("it may still finish: look with docker images, then run it again"));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::remote(format!(
                    "the upload to {shown} ended without an answer"
                )));
            }
        }
    }
}

/// Reads the answer to its end. It may come while the tar is still being sent.
fn hear(api: &Api, mut reply: Reply, tell: &Sender<Heard>) -> Result<Option<String>> {
    let status = reply.status().map_err(|e| api.unreachable(e))?;
    if !(200..300).contains(&status) {
        return Err(api.refusal("load the images", status, reply));
    }
    read_progress(BufReader::new(reply), || {
        // A listener that is behind knows already that the daemon lives.
        let _ = tell.try_send(Heard::Life);
    })
    .map_err(|e| e.context(format!("cannot read the answer of {}", api.shown())))
}

/// Reads the lines that a daemon writes while it loads, under HTTP 200 whatever happens, and finds
/// the one that says what went wrong.
fn read_progress(mut answer: impl BufRead, mut life: impl FnMut()) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(default)]
        error: Option<String>,
        #[serde(default)]
        stream: Option<String>,
    }
    let mut wrong = None;
    let mut text = Vec::new();
    loop {
        text.clear();
        let n = (&mut answer)
            .take(limits::DAEMON_LINE_BYTES)
            .read_until(b'\n', &mut text)
            .map_err(|e| Error::remote("the answer was cut off").because(e))?;
        if n == 0 {
            return Ok(wrong);
        }
        life();
        let Ok(told) = serde_json::from_slice::<Line>(&text) else { continue };
        // docker 28 with the containerd store says so and then pretends that all is well.
        let unpacking = told.stream.filter(|said| said.starts_with("Error "));
        wrong = wrong.or(told.error).or_else(|| unpacking.map(|said| said.trim_end().to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_found_under_any_status() {
        let read = |text: &str| read_progress(text.as_bytes(), || ()).unwrap();
        assert_eq!(read(""), None);
        assert_eq!(read("{\"stream\":\"Loaded image: a:1\\n\"}\n"), None);
        assert_eq!(
            read(
                "{\"status\":\"Loading\"}\n{\"errorDetail\":{\"message\":\"x\"},\"error\":\"x\"}\n"
            ),
            Some("x".to_owned())
        );
        assert_eq!(
            read(
                "{\"stream\":\"Loaded image: a\\n\"}\n{\"stream\":\"Error unpacking image a: y\\n\"}\n"
            ),
            Some("Error unpacking image a: y".to_owned())
        );
        let long = format!("{{\"stream\":\"{}\"}}\n{{\"error\":\"z\"}}\n", "x".repeat(3 << 20));
        assert_eq!(read(&long), Some("z".to_owned()));
    }

    #[test]
    fn silence_is_an_error_and_life_is_none() {
        let (tell, heard) = bounded(4);
        let short = Duration::from_millis(20);
        tell.send(Heard::Life).unwrap();
        let error = wait(&heard, short, "daemon").unwrap_err();
        assert!(error.message().contains("says nothing"), "{error:?}");
        tell.send(Heard::Life).unwrap();
        tell.send(Heard::Done(None)).unwrap();
        assert_eq!(wait(&heard, short, "daemon").unwrap(), None);
        drop(tell);
        assert!(wait(&heard, short, "daemon").is_err());
    }
}
