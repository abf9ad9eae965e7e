//! One load: an archive goes in while it is composed, and the answer is read to its end.

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread::JoinHandle;

use serde::Deserialize;

use super::body::{BodyWriter, body};
use super::engine::Engine;
use crate::codec::checked::read_bounded;
use crate::model::{Error, Kind, Result};

/// Bytes of what a daemon says while it loads: a progress line of 200 bytes for each half MiB of a
/// 100 GiB load.
const ANSWER_BYTES: u64 = 64 << 20;

/// A load under way.
pub(super) struct Load {
    archive: Option<BodyWriter>,
    answer: Option<JoinHandle<Result<()>>>,
}

impl Load {
    /// Begins: the request waits for the archive.
    pub(super) fn begin(engine: Arc<Engine>) -> Self {
        let (writer, reader) = body();
        let answer = std::thread::spawn(move || {
            let response = engine.load(reader)?;
            let text = read_bounded(response, ANSWER_BYTES, "what the daemon says of its load")?;
            judge(&text)
        });
        Self { archive: Some(writer), answer: Some(answer) }
    }

    /// Adds a file to the archive. A file whose reader fails breaks the load off.
    pub(super) fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let result = self.try_file(path, size, content);
        if result.is_err() {
            // Dropped without its end, the archive breaks the request off.
            self.archive = None;
        }
        result
    }

    fn try_file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header
            .set_path(path)
            .map_err(|e| Error::io(format!("cannot name {path} in an archive"), e))?;
        header.set_mode(0o644);
        header.set_size(size);
        header.set_cksum();
        self.write(header.as_bytes())?;
        let mut buffer = vec![0; 256 << 10];
        let mut left = size;
        loop {
            let n = content
                .read(&mut buffer)
                .map_err(|e| Error::from_io(format!("cannot read {path}"), e))?;
            if n == 0 {
                break;
            }
            left = left
                .checked_sub(n as u64)
                .ok_or_else(|| Error::damaged(format!("{path} is longer than {size} bytes")))?;
            self.write(&buffer[..n])?;
        }
        if left > 0 {
            return Err(Error::damaged(format!("{path} is {left} bytes shorter than {size}")));
        }
        self.write(&[0; 512][..(size.wrapping_neg() % 512) as usize])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = match &mut self.archive {
            Some(archive) => archive.write_all(bytes).is_ok(),
            None => false,
        };
        if written { Ok(()) } else { Err(self.broken_off()) }
    }

    /// Why nobody takes the archive any more.
    fn broken_off(&mut self) -> Error {
        self.archive = None;
        self.wait().err().unwrap_or_else(|| {
            Error::remote("the daemon ended the load before it had everything")
                .hint("the daemon's own log says more: journalctl -u docker")
        })
    }

    /// Ends the archive and waits until the daemon has loaded it.
    pub(super) fn end(mut self) -> Result<()> {
        self.write(&[0; 1024])?;
        if let Some(archive) = self.archive.take()
            && archive.end().is_err()
        {
            return Err(self.broken_off());
        }
        self.wait()
    }

    fn wait(&mut self) -> Result<()> {
        match self.answer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => {
                Err(Error::new(Kind::Remote, "the thread that talks to the daemon died"))
            }
            None => Ok(()),
        }
    }
}

/// Finds the error in what a daemon says of a load: it comes as a line of JSON under status 200, or
/// only as words.
fn judge(answer: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct Line {
        error: Option<String>,
        stream: Option<String>,
    }
    let failed = |text: &str| {
        let said: String = text.trim().chars().take(500).collect();
        let error = Error::remote(format!("the daemon could not load the images: {said}"));
        if said.contains("no space left") {
            error.hint("make room where the daemon keeps its data: docker system df")
        } else {
            error
        }
    };
    for line in serde_json::Deserializer::from_slice(answer).into_iter::<Line>() {
        let Ok(line) = line else {
            return Err(failed(&String::from_utf8_lossy(answer)));
        };
        if let Some(error) = line.error {
            return Err(failed(&error));
        }
        if let Some(text) = line.stream.filter(|text| text.trim_start().starts_with("Error")) {
            return Err(failed(&text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_under_status_200_are_found() {
        assert!(judge(b"{\"stream\":\"Loaded image ID: sha256:x\\n\"}\n").is_ok());
        assert!(
            judge(b"{\"status\":\"Loading layer\",\"progressDetail\":{\"current\":1}}\r\n").is_ok()
        );
        for answer in [
            &b"{\"stream\":\"x\"}\r\n{\"errorDetail\":{\"message\":\"bad\"},\"error\":\"bad\"}\r\n"[..],
            b"{\"stream\":\"Loaded image: a\\n\"}{\"stream\":\"Error unpacking image a: failed\\n\"}",
            b"archive/tar: invalid tar header",
        ] {
            assert_eq!(judge(answer).unwrap_err().kind(), Kind::Remote);
        }
    }
}
