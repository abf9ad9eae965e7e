//! Servers that take a moment to listen.

use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_secs(20);

/// Waits until a server takes connections; `false` where it ended instead, or took too long.
pub(crate) fn listens(child: &mut Child, port: u16) -> bool {
    let end = Instant::now() + START;
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
