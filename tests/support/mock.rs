//! A small server that answers as it is told and keeps what it was sent.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bytes of content that the server reads.
pub(crate) const CONTENT_LIMIT: u64 = 8 << 20;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&String> {
        self.headers.get(name)
    }

    /// What stands behind the question mark, decoded.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        let (_, query) = self.path.split_once('?').unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    pub(crate) fn has_credentials(&self) -> bool {
        self.headers.contains_key("authorization")
            || self.path.contains("canary")
            || String::from_utf8_lossy(&self.body).contains("canary")
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Bytes of the body after which the connection drops.
    pub(crate) cut: Option<usize>,
    /// The body comes again and again, for ever.
    pub(crate) endless: bool,
    /// Waits before each of eight pieces of the body.
    pub(crate) pause: Duration,
}

pub(crate) fn reply(status: u16) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: Vec::new(),
        cut: None,
        endless: false,
        pause: Duration::ZERO,
    }
}

impl Reply {
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// The server; it stops taking connections when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, answer)
    }

    pub(crate) fn start_at(
        ip: Ipv4Addr,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((IpAddr::V4(ip), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let answer: Arc<Answer> = Arc::new(answer);
        let (kept, stop) = (Arc::clone(&seen), Arc::clone(&stopped));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                // A peer that hangs up early is none of our business.
                std::thread::spawn(move || {
                    stream.and_then(|stream| serve(stream, &kept, &*answer))
                });
            }
        });
        Self { address, seen, stopped }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        let fits = |seen: &&Seen| seen.method == method && seen.path.contains(part);
        self.seen().iter().filter(fits).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// One request, one answer, and the connection is closed.
fn serve(stream: TcpStream, kept: &Mutex<Vec<Seen>>, answer: &Answer) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut seen = Seen { method, path, headers, body: Vec::new() };
    let length = seen.headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    // More than that is answered unread, as by a proxy with a limit.
    if length <= CONTENT_LIMIT {
        (&mut reader).take(length).read_to_end(&mut seen.body)?;
    }
    let reply = answer(&seen);
    kept.lock().unwrap().push(seen.clone());
    write_reply(stream, &seen, &reply)
}

fn write_reply(mut stream: TcpStream, seen: &Seen, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    if !reply.endless {
        write!(head, "Content-Length: {}\r\n", reply.body.len()).unwrap();
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if seen.method == "HEAD" {
        return Ok(());
    }
    let body = &reply.body[..reply.cut.unwrap_or(reply.body.len())];
    for piece in body.chunks((body.len() / 8).max(1)) {
        std::thread::sleep(reply.pause);
        stream.write_all(piece)?;
    }
    if reply.endless {
        loop {
            stream.write_all(body)?;
        }
    }
    Ok(())
}
