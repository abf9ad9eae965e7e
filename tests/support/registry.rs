//! A real registry: docker-registry as Debian packages it, on loopback and a temporary folder.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a registry may take to answer for the first time on a busy machine.
const START: Duration = Duration::from_secs(20);

/// Somebody asks for a free port and gives it back before the registry takes it; another process
/// may be faster.
const ATTEMPTS: usize = 5;

/// What a registry is to be like.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// Name and password that it wants (basic authentication).
    pub(crate) login: Option<(&'static str, &'static str)>,
    /// Whether it speaks TLS, with a certificate of an authority of its own.
    pub(crate) tls: bool,
    /// Whose tokens it wants.
    pub(crate) tokens: Option<TokenService>,
    /// Where it sends those who want a blob.
    pub(crate) redirect: Option<String>,
    /// The address of the registry that it is a mirror of: it fetches what it is asked for.
    pub(crate) mirror_of: Option<String>,
}

/// A token service: `test` is the name of the registry there, `issuer` its own.
#[derive(Clone)]
pub(crate) struct TokenService {
    pub(crate) realm: String,
    /// The certificate that its tokens are signed with.
    pub(crate) certificate: PathBuf,
}

/// One request as the registry logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) status: u16,
}

/// A registry that runs until it is dropped.
pub(crate) struct Registry {
    child: Child,
    port: u16,
    setup: Setup,
    folder: tempfile::TempDir,
}

impl Registry {
    /// Plain HTTP, open to everybody.
    pub(crate) fn start() -> Self {
        Self::start_with(Setup::default())
    }

    /// As `setup` says.
    pub(crate) fn start_with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if setup.tls {
            make_certificates(folder.path());
        }
        let (child, port) = launch(folder.path(), &setup);
        Self { child, port, setup, folder }
    }

    /// Starts it anew with what it holds, at another port.
    pub(crate) fn restart_with(&mut self, setup: Setup) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.child, self.port) = launch(self.folder.path(), &setup);
        self.setup = setup;
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `http://127.0.0.1:PORT` or `https://…`.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.setup.tls { "https" } else { "http" }, self.host())
    }

    /// The port of it.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Name and password that it wants.
    pub(crate) fn login(&self) -> Option<(&str, &str)> {
        self.setup.login
    }

    /// The certificate of its authority, as PEM; none where it speaks no TLS.
    pub(crate) fn ca_files(&self) -> Vec<PathBuf> {
        self.setup.tls.then(|| self.folder.path().join("ca.pem")).into_iter().collect()
    }

    /// The folder in which its storage begins.
    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Every request so far, in the order in which they ended.
    pub(crate) fn accesses(&self) -> Vec<Access> {
        let text = fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        text.lines().filter_map(access).collect()
    }

    /// The requests since there were `before`, once the log has come to rest.
    pub(crate) fn accesses_since(&self, before: usize) -> Vec<Access> {
        // A request is logged after it was answered.
        let mut known = self.accesses();
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let now = self.accesses();
            if now.len() == known.len() {
                return known.split_off(before);
            }
            known = now;
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(folder: &Path, setup: &Setup) -> (Child, u16) {
    let mut auth = String::new();
    if let Some((user, password)) = setup.login {
        let entry = run(Command::new("htpasswd").args(["-Bbn", user, password]));
        let path = folder.join("htpasswd");
        fs::write(&path, entry).unwrap();
        write!(auth, "auth: {{htpasswd: {{realm: test, path: {}}}}}", path.display()).unwrap();
    }
    if let Some(TokenService { realm, certificate }) = &setup.tokens {
        let certificate = certificate.display();
        write!(
            auth,
            "auth: {{token: {{realm: \"{realm}\", service: test, issuer: issuer, rootcertbundle: {certificate}}}}}"
        )
        .unwrap();
    }
    for _ in 0..ATTEMPTS {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = spawn(folder, port, setup, &auth);
        if comes_up(&mut child, port, setup.tls) {
            return (child, port);
        }
        let _ = child.kill();
        let _ = child.wait();
    }
    panic!("docker-registry does not come up; is the package docker-registry installed?");
}

fn comes_up(child: &mut Child, port: u16, tls: bool) -> bool {
    let end = Instant::now() + START;
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if answers(port, tls) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn answers(port: u16, tls: bool) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    if tls {
        // It listens after everything else is ready.
        return true;
    }
    let mut answer = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let asked = stream.write_all(b"GET /v2/ HTTP/1.0\r\nHost: localhost\r\n\r\n");
    asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok()
        && answer.starts_with("HTTP/1.0 ")
}

fn spawn(folder: &Path, port: u16, setup: &Setup, auth: &str) -> Child {
    let at = folder.display();
    let certificates = if setup.tls {
        format!(", tls: {{certificate: {at}/server.pem, key: {at}/server.key}}")
    } else {
        String::new()
    };
    let redirect = setup.redirect.as_ref().map_or_else(String::new, |place| {
        format!("middleware: {{storage: [{{name: redirect, options: {{baseurl: \"{place}\"}}}}]}}")
    });
    let mirror = setup
        .mirror_of
        .as_ref()
        .map_or_else(String::new, |place| format!("proxy: {{remoteurl: \"{place}\"}}"));
    let config = format!(
        "version: 0.1\n\
         log: {{level: warn, accesslog: {{disabled: false}}}}\n\
         storage: {{filesystem: {{rootdirectory: {at}/data}}, delete: {{enabled: true}}}}\n\
         http: {{addr: \"127.0.0.1:{port}\", secret: test{certificates}}}\n\
         validation: {{manifests: {{urls: {{allow: [\"^https://elsewhere[.]invalid/\"]}}}}}}\n\
         {auth}\n{redirect}\n{mirror}\n"
    );
    let path = folder.join("config.yml");
    fs::write(&path, config).unwrap();
    Command::new("docker-registry")
        .arg("serve")
        .arg(path)
        // Otherwise it looks for a collector of traces.
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdin(Stdio::null())
        .stdout(File::create(folder.join("access.log")).unwrap())
        .stderr(File::create(folder.join("error.log")).unwrap())
        .spawn()
        .expect("docker-registry runs (Debian package docker-registry)")
}

/// One line of the common log format.
fn access(line: &str) -> Option<Access> {
    let (_, rest) = line.split_once('"')?;
    let (request, rest) = rest.split_once('"')?;
    let mut words = request.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let status = rest.split_whitespace().next()?.parse().ok()?;
    Some(Access { method, path, status })
}

/// An authority and a certificate of it for 127.0.0.1.
fn make_certificates(folder: &Path) {
    let file = |name: &str| folder.join(name).display().to_string();
    fs::write(folder.join("server.ext"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").unwrap();
    for arguments in [
        format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test-authority -keyout {} -out {}",
            file("ca.key"),
            file("ca.pem")
        ),
        format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=127.0.0.1 -keyout {} -out {}",
            file("server.key"),
            file("server.csr")
        ),
        format!(
            "x509 -req -days 2 -in {} -CA {} -CAkey {} -CAcreateserial -extfile {} -out {}",
            file("server.csr"),
            file("ca.pem"),
            file("ca.key"),
            file("server.ext"),
            file("server.pem")
        ),
    ] {
        run(Command::new("openssl").args(arguments.split(' ')));
    }
}

/// Runs a program that must succeed, and returns what it says.
pub(crate) fn run(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("{} cannot be run: {error}", command.get_program().display())
    });
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
