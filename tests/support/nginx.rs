//! A real nginx in front of a registry, on loopback and a temporary folder.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::authority::Pair;
use super::port::listens;

/// Another process may be faster to take a port that was free.
const ATTEMPTS: usize = 5;

/// What it is to be like.
#[derive(Default)]
pub(crate) struct Front {
    /// The certificate that it shows; without one it speaks plain HTTP.
    pub(crate) certificate: Option<Pair>,
    /// The authority from which it wants everybody to have a certificate.
    pub(crate) clients: Option<PathBuf>,
    /// What a request may bring at most, as nginx writes it.
    pub(crate) limit: Option<&'static str>,
}

/// An nginx that runs until it is dropped.
pub(crate) struct Nginx {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// In front of what answers at `backend`, `HOST:PORT` in plain HTTP.
    pub(crate) fn before(backend: &str, front: &Front) -> Self {
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let path = folder.path().join("nginx.conf");
            fs::write(&path, configuration(&folder, port, backend, front)).unwrap();
            let mut child = Command::new("nginx")
                .arg("-p")
                .arg(folder.path())
                .arg("-e")
                .arg(folder.path().join("start.log"))
                .arg("-c")
                .arg(path)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(folder.path().join("stderr.log")).unwrap())
                .spawn()
                .expect("nginx runs (Debian package nginx)");
            if listens(&mut child, port) {
                return Self { child, port, _folder: folder };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("nginx does not come up; is the package nginx installed?");
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(folder: &tempfile::TempDir, port: u16, backend: &str, front: &Front) -> String {
    let at = folder.path().display();
    let mut server = format!("listen 127.0.0.1:{port}");
    if let Some(Pair { certificate, key }) = &front.certificate {
        write!(
            server,
            " ssl;\nssl_certificate {};\nssl_certificate_key {}",
            certificate.display(),
            key.display()
        )
        .unwrap();
    }
    server.push_str(";\n");
    if let Some(authority) = &front.clients {
        let authority = authority.display();
        write!(server, "ssl_verify_client on;\nssl_client_certificate {authority};\n").unwrap();
    }
    // Without a word about it, nginx takes a mebibyte.
    if let Some(limit) = front.limit {
        writeln!(server, "client_max_body_size {limit};").unwrap();
    }
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\nerror_log {at}/error.log;\npid {at}/nginx.pid;\n\
         events {{}}\nhttp {{\naccess_log {at}/access.log;\n{temporary}server {{\n{server}\
         location / {{\nproxy_pass http://{backend};\nproxy_set_header Host $http_host;\n\
         proxy_set_header X-Forwarded-Proto $scheme;\n}}\n}}\n}}\n"
    )
}
