//! A real HTTP proxy, on loopback and a temporary folder.

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use super::port::listens;

/// Another process may be faster to take a port that was free.
const ATTEMPTS: usize = 5;

/// A tinyproxy that runs until it is dropped.
pub(crate) struct Tinyproxy {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Tinyproxy {
    /// One that wants this name and password, if any. It connects to any port.
    pub(crate) fn start(login: Option<(&str, &str)>) -> Self {
        Self::with(
            &login.map_or_else(String::new, |(user, password)| {
                format!("BasicAuth {user} {password}\n")
            }),
        )
    }

    /// One that connects to no port but 443.
    pub(crate) fn strict() -> Self {
        Self::with("ConnectPort 443\n")
    }

    fn with(more: &str) -> Self {
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let path = folder.path().join("tinyproxy.conf");
            let log = folder.path().join("log").display().to_string();
            let config = format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 60\nLogFile \"{log}\"\nLogLevel Connect\n\
                 MaxClients 50\nAllow 127.0.0.1\n{more}"
            );
            fs::write(&path, config).unwrap();
            let mut child = Command::new("tinyproxy")
                .arg("-d")
                .arg("-c")
                .arg(path)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(folder.path().join("stderr.log")).unwrap())
                .spawn()
                .expect("tinyproxy runs (Debian package tinyproxy-bin)");
            if listens(&mut child, port) {
                return Self { child, port, folder };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("tinyproxy does not come up; is the package tinyproxy-bin installed?");
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Requests of a method that went through it so far.
    pub(crate) fn requests(&self, method: &str) -> usize {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(&format!(": {method} "))).count()
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
