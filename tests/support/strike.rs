//! kill -9 right before a system call, call after call.
//!
//! strace counts the calls of each kind and thread; so call after call is hit, kind after kind, until
//! a run gets to its end: first those of whichever thread is the first to make so many, then those of
//! the first thread alone, which gives files their names. An ordinary test run takes a sample,
//! `SEALIFT_KILLS` (`make kills`) all of the first 64, and of each doubling of those 32 more.

#![expect(clippy::print_stdout, reason = "how many there were is what a long run is made for")]

use std::process::{Command, Stdio};

use super::command::{BINARY, Station};

/// What changes files.
pub(crate) const WRITES: [&str; 16] = [
    "write",
    "pwrite64",
    "writev",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "openat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "unlink",
    "unlinkat",
    "mkdir",
];

/// What somebody at the other end of a connection notices.
pub(crate) const SENDS: [&str; 5] = ["connect", "sendto", "sendmsg", "writev", "shutdown"];

/// A command that is killed again and again.
pub(crate) struct Strikes<'a> {
    /// What it does, for who reads what went wrong.
    pub(crate) what: &'a str,
    pub(crate) station: &'a Station,
    /// Gives the program its arguments, and variables of its environment.
    pub(crate) given: &'a dyn Fn(&mut Command),
    /// Before which calls.
    pub(crate) calls: &'a [&'a str],
    /// In an ordinary run, each call whose number is a power of this.
    pub(crate) sparsely: u32,
}

impl Strikes<'_> {
    /// Kills at each step, and calls `judge` after each kill with words for where it was.
    pub(crate) fn at_every_step(&self, mut judge: impl FnMut(&str)) {
        let mut kills = 0;
        for (threads, call) in self.calls.iter().flat_map(|call| [(true, call), (false, call)]) {
            for number in (1..).filter(|number| self.hits(*number)) {
                let whole = self.killed_at(call, number, threads);
                judge(&format!("{}, {call} {number}, all threads {threads}", self.what));
                if whole {
                    break;
                }
                kills += 1;
            }
        }
        println!("{}: killed {kills} times", self.what);
        assert!(kills >= 5, "{} was killed {kills} times", self.what);
    }

    /// The first calls, and then ever fewer.
    fn hits(&self, number: u32) -> bool {
        if std::env::var_os("SEALIFT_KILLS").is_some() {
            number <= 64 || number.is_multiple_of(1 << (number.ilog2() - 5))
        } else {
            self.sparsely.pow(number.ilog(self.sparsely)) == number
        }
    }

    /// Kills before call `number` of a kind, in any of its threads or the first; true where it got to
    /// its end.
    fn killed_at(&self, call: &str, number: u32, threads: bool) -> bool {
        let mut strace = self.station.command("strace");
        strace
            .args(threads.then_some("-f"))
            .args(["-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:signal=KILL:when={number}")])
            .arg(BINARY)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        (self.given)(&mut strace);
        let status = strace.status().expect("strace is there");
        assert!(status.success() || status.code().is_none(), "{call} {number}: {status}");
        status.success()
    }
}
