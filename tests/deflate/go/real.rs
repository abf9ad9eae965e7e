//! The real encoder, behind a pipe.

use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A program around `compress/flate` that answers as long as it lives.
pub(super) struct Go(Child);

impl Go {
    pub(super) fn start() -> Self {
        static PROGRAM: OnceLock<String> = OnceLock::new();
        let program = PROGRAM.get_or_init(build);
        let (asked, answers) = (Stdio::piped(), Stdio::piped());
        Self(Command::new(program).stdin(asked).stdout(answers).spawn().expect("it starts"))
    }

    /// Whether Go makes this stream of these bytes.
    pub(super) fn makes(&mut self, level: i8, plain: &[u8], stream: &[u8]) -> bool {
        let questions = self.0.stdin.as_mut().expect("a pipe");
        questions.write_all(&level.to_be_bytes()).expect("a question");
        questions.write_all(&(plain.len() as u64).to_be_bytes()).expect("a question");
        questions.write_all(plain).expect("a question");
        questions.flush().expect("a question");
        let mut length = [0; 8];
        let mut digest = [0; 32];
        let answers = self.0.stdout.as_mut().expect("a pipe");
        answers.read_exact(&mut length).expect("an answer");
        answers.read_exact(&mut digest).expect("an answer");
        u64::from_be_bytes(length) == stream.len() as u64 && Sha256::digest(stream)[..] == digest
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let ended = self.0.wait().expect("it ends");
        assert!(ended.success() || std::thread::panicking(), "{ended}");
    }
}

/// Builds the program with Debian's Go, or with any that is found; from 1.27 on the encoder is
/// another.
fn build() -> String {
    let compiler = ["/usr/lib/go/bin/go", "go"]
        .into_iter()
        .find(|go| Command::new(go).arg("version").output().is_ok())
        .expect("Debian's golang-go is installed");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = place.join("go-flate").display().to_string();
    let built = Command::new(compiler)
        .args([
            "build",
            "-o",
            &program,
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deflate/go/main.go"),
        ])
        .env("GOCACHE", place.join("go-cache"))
        .env("GO111MODULE", "off")
        .env("GOFLAGS", "")
        .env("GOTOOLCHAIN", "local")
        .status()
        .expect("Go runs");
    assert!(built.success(), "{built}");
    program
}
