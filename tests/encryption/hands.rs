//! A station with images, and the commands of age beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::command::{Run, Station};
use crate::support::images::{Packing, image_of, layer, noise, write_layout};

/// What no encrypted file and nothing beside it may show. It is in a configuration, in a name and in
/// a layer that is carried as it came.
pub(crate) const CANARY: &str = "canary-7f3a9c51e2";

/// Somebody with two images, each in an OCI layout.
pub(crate) struct Hands {
    pub(crate) station: Station,
}

impl Hands {
    /// With half a megabyte in each.
    pub(crate) fn new() -> Self {
        Self::of(90_000)
    }

    /// With six files of so many bytes in each.
    pub(crate) fn of(length: usize) -> Self {
        let station = Station::new();
        for (name, seed) in [("one", 1), ("two", 2)] {
            // Most of the second is in the first, with a difference in each file.
            let files: Vec<(String, Vec<u8>)> = (0..6)
                .map(|number| {
                    let mut content = noise(number + 10, length);
                    content[length / 2..length / 2 + 100]
                        .copy_from_slice(&noise(seed * 100 + number, 100));
                    (format!("usr/lib/lib{number}.so"), content)
                })
                .collect();
            let files: Vec<(&str, &[u8])> =
                files.iter().map(|(path, content)| (path.as_str(), &content[..])).collect();
            let top = layer(&[("etc/secret", CANARY.repeat(50).as_bytes())]);
            let built = image_of(&[layer(&files), top], Packing::Gzip, "amd64", CANARY);
            write_layout(&station.path(name), &[(&format!("h.example/{CANARY}/{name}:1"), &built)]);
        }
        Self { station }
    }

    /// Makes an identity with `age-keygen`, and gives its recipient.
    pub(crate) fn identity(&self, file: &str) -> String {
        let run = Run::of(self.station.command("age-keygen").args(["-o", file]));
        assert_eq!(run.code, Some(0), "{run:?}");
        let asked = self.station.command("age-keygen").args(["-y", file]).output().unwrap();
        assert!(asked.status.success());
        String::from_utf8(asked.stdout).unwrap().trim().to_owned()
    }

    /// Exports what is in these layouts, dated so that the same is the same again.
    pub(crate) fn export(&self, layouts: &[&str], arguments: &[&str]) -> Run {
        let mut command = self.station.program();
        command.env("SOURCE_DATE_EPOCH", "1700000000").args(["export", "-q"]);
        command.args(layouts.iter().map(|layout| format!("oci:{layout}"))).args(arguments);
        Run::of(&mut command)
    }

    /// What `age` makes of a file; it must succeed.
    pub(crate) fn age(&self, arguments: &[&str]) {
        let status = self.station.command("age").args(arguments).status().unwrap();
        assert!(status.success(), "age {arguments:?}");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.station.path(name)).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.station.path(name)
    }

    /// Runs a command on a terminal of its own, and types each answer where a passphrase is asked
    /// for, by sealift only while nothing shows that is typed. Gives what it showed and its exit code.
    pub(crate) fn on_a_terminal(&self, command: &[&str], answers: &[&str]) -> (String, i32) {
        let script = "\
import os, pty, sys, termios
answers = sys.argv[2].split('\\n')
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[3], sys.argv[3:])
shown = b''
while True:
    try:
        got = os.read(terminal, 4096)
    except OSError:
        break
    if not got:
        break
    shown += got
    if answers and shown.rstrip(b' ').endswith(b':'):
        if 'sealift' in sys.argv[3] and termios.tcgetattr(terminal)[3] & termios.ECHO:
            sys.exit('asked while the terminal showed what is typed')
        os.write(terminal, answers.pop(0).encode() + b'\\n')
        shown += b'\\n'
if not termios.tcgetattr(terminal)[3] & termios.ECHO:
    sys.exit('left a terminal that shows nothing of what is typed')
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";
        let output = self
            .station
            .command("python3")
            .args(["-c", script, "-", &answers.join("\n")])
            .args(command)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap())
    }
}

/// Names of all that is below a folder, with what it holds.
pub(crate) fn everything_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything_below(&path));
        } else {
            let content = fs::read(&path).unwrap();
            found.push((path, content));
        }
    }
    found
}

/// Whether these bytes show the canary.
pub(crate) fn shows(bytes: &[u8]) -> bool {
    bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
}

/// The version of the tool, so that a missing one is named.
#[test]
fn the_tools_are_there() {
    for tool in ["age", "age-keygen"] {
        let output = Command::new(tool).arg("--version").output();
        assert!(
            output.is_ok_and(|output| output.status.success()),
            "install {tool}: apt install age"
        );
    }
}
