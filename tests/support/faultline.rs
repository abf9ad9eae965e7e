//! A line that goes wrong: a proxy before a real registry that does harm to some requests.
//!
//! Every request has a connection of its own on both sides, is read whole, handed on, and its
//! answer handed back; unless it is of the kind that is to be harmed, and it is its turn.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often a byte drips.
const DRIP: Duration = Duration::from_millis(100);

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Ping,
    Token,
    HeadBlob,
    GetBlob,
    Mount,
    PostUpload,
    Patch,
    UploadStatus,
    /// The `PUT` that ends an upload.
    PutBlob,
    HeadManifest,
    GetManifest,
    /// Under its digest.
    PutManifest,
    PutTag,
    Referrers,
    Other,
}

impl Phase {
    fn of(method: &str, path: &str) -> Self {
        let plain = path.split('?').next().unwrap();
        let name = plain.rsplit('/').next().unwrap();
        match method {
            "GET" if plain == "/v2/" => Self::Ping,
            _ if plain == "/token" => Self::Token,
            "POST" if path.contains("mount=") => Self::Mount,
            "POST" => Self::PostUpload,
            "PATCH" => Self::Patch,
            "PUT" if plain.contains("/blobs/uploads/") => Self::PutBlob,
            "GET" if plain.contains("/blobs/uploads/") => Self::UploadStatus,
            "HEAD" if plain.contains("/blobs/") => Self::HeadBlob,
            "GET" if plain.contains("/blobs/") => Self::GetBlob,
            "HEAD" if plain.contains("/manifests/") => Self::HeadManifest,
            "GET" if plain.contains("/manifests/") => Self::GetManifest,
            "PUT" if plain.contains("/manifests/") && name.contains(':') => Self::PutManifest,
            "PUT" if plain.contains("/manifests/") => Self::PutTag,
            "GET" if plain.contains("/referrers/") => Self::Referrers,
            _ => Self::Other,
        }
    }
}

/// What is done to a request.
#[derive(Clone, Debug)]
pub(crate) enum Harm {
    /// The connection drops; nothing was handed on.
    DropBefore,
    /// It drops with half of the request handed on.
    DropInRequest,
    /// The request is carried out, and its answer lost.
    DropBeforeAnswer,
    /// It drops with half of the answer handed back.
    DropInAnswer,
    /// The answer comes a byte at a time.
    Drip,
    /// It is answered so, and not handed on: status, a header line or none, content.
    Answer(u16, String, String),
    /// What is longer is refused with 413, unread.
    Limit(u64),
    /// This line stands in the answer instead of the one of that name.
    Header(&'static str, String),
    /// The registry does not get this header.
    Without(&'static str),
    /// One byte of the answer's content is another one.
    SpoilAnswer,
    /// One byte of the request's content is another one.
    SpoilRequest,
}

/// Which requests are harmed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) phase: Phase,
    /// Passes over requests with more or less content; for a `GET`, that of the answer counts.
    pub(crate) content: Range<usize>,
    pub(crate) harm: Harm,
    /// How many are let through before.
    pub(crate) after: usize,
    /// How many are harmed.
    pub(crate) times: usize,
}

/// A proxy; it ends when it is dropped.
pub(crate) struct Faultline {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    /// Who gives tokens for it, if anybody does.
    tokens: Option<String>,
    rules: Mutex<Vec<Rule>>,
    harmed: Mutex<Vec<Phase>>,
    seen: Mutex<Vec<(Phase, String)>>,
    stopped: AtomicBool,
    /// Requests under way, and how many there may be at once.
    busy: AtomicUsize,
    crowd: AtomicUsize,
}

struct Request {
    /// The first line and the headers, each with its end of line.
    head: Vec<String>,
    content: Vec<u8>,
}

impl Faultline {
    /// Stands before `upstream`, a host and port, and before the one who gives tokens for it.
    pub(crate) fn before(upstream: &str, tokens: Option<&str>, rules: Vec<Rule>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            tokens: tokens.map(str::to_owned),
            busy: AtomicUsize::new(0),
            crowd: AtomicUsize::new(usize::MAX),
            rules: Mutex::new(rules),
            harmed: Mutex::default(),
            seen: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let line = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if line.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let line = Arc::clone(&line);
                // Who hangs up early has his reasons.
                std::thread::spawn(move || stream.and_then(|stream| line.serve(stream)));
            }
        });
        Self { address, shared }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Answers `429` to whoever comes while so many others are being served.
    pub(crate) fn crowd(&self, most: usize) {
        self.shared.crowd.store(most, Ordering::SeqCst);
    }

    /// Harms nothing any more.
    pub(crate) fn heal(&self) {
        self.shared.rules.lock().unwrap().clear();
        self.crowd(usize::MAX);
    }

    /// How many requests were harmed.
    pub(crate) fn harmed(&self) -> usize {
        self.shared.harmed.lock().unwrap().len()
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    /// The requests of a kind, as `METHOD /path`.
    pub(crate) fn seen(&self, phase: Phase) -> Vec<String> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|(known, _)| *known == phase).map(|(_, line)| line.clone()).collect()
    }
}

impl Drop for Faultline {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// What is done to a request with so much content; counts it.
    fn harm(&self, phase: Phase, content: usize) -> Option<Harm> {
        let mut rules = self.rules.lock().unwrap();
        let mut chosen = None;
        for rule in
            rules.iter_mut().filter(|rule| rule.phase == phase && rule.content.contains(&content))
        {
            if rule.after > 0 {
                rule.after -= 1;
            } else if rule.times > 0 && chosen.is_none() {
                if let Harm::Limit(limit) = rule.harm
                    && content as u64 <= limit
                {
                    continue;
                }
                rule.times -= 1;
                chosen = Some(rule.harm.clone());
            }
        }
        drop(rules);
        if chosen.is_some() {
            self.harmed.lock().unwrap().push(phase);
        }
        chosen
    }

    fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut reader = BufReader::new(client.try_clone()?);
        let mut head = read_head(&mut reader)?;
        let line = head.first().cloned().unwrap_or_default();
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let phase = Phase::of(method, path);
        self.seen.lock().unwrap().push((phase, format!("{method} {path}")));
        let crowd = self.crowd.load(Ordering::SeqCst);
        let _one_more = OneMore::of(&self.busy);
        if crowd < usize::MAX {
            // So that those who come together meet.
            std::thread::sleep(Duration::from_millis(5));
            if self.busy.load(Ordering::SeqCst) > crowd {
                self.harmed.lock().unwrap().push(phase);
                return answer(client, 429, "", "", None);
            }
        }
        let length: usize =
            field(&head, "content-length").map_or(0, |length| length.trim().parse().unwrap());
        // Rules about large answers are looked up when the answer is there.
        let at_answer = method == "GET";
        let harm = if at_answer { None } else { self.harm(phase, length) };
        let mut content = Vec::new();
        match &harm {
            Some(Harm::DropBefore) => return client.shutdown(Shutdown::Both),
            Some(Harm::Limit(_)) => {
                let page = "<html>413 Request Entity Too Large</html>";
                return answer(
                    client,
                    413,
                    "Content-Type: text/html",
                    page,
                    Some(Duration::from_millis(200)),
                );
            }
            _ => {}
        }
        (&mut reader).take(length as u64).read_to_end(&mut content)?;
        if let Some(Harm::Answer(status, header, text)) = &harm {
            return answer(client, *status, header, text, None);
        }
        if matches!(harm, Some(Harm::SpoilRequest)) {
            let middle = content.len() / 2;
            content[middle] ^= 1;
        }
        for rule in self.rules.lock().unwrap().iter().filter(|rule| rule.phase == phase) {
            if let Harm::Without(name) = rule.harm {
                head.retain(|line| !is_field(line, name));
                self.harmed.lock().unwrap().push(phase);
            }
        }
        let request = Request { head, content };
        let to = self.tokens.as_ref().filter(|_| phase == Phase::Token);
        let mut upstream = TcpStream::connect(to.unwrap_or(&self.upstream))?;
        upstream.set_read_timeout(Some(Duration::from_secs(20)))?;
        if matches!(harm, Some(Harm::DropInRequest)) {
            request.write(&mut upstream, request.content.len() / 2)?;
            upstream.shutdown(Shutdown::Both)?;
            return client.shutdown(Shutdown::Both);
        }
        request.write(&mut upstream, request.content.len())?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        let harm = if at_answer { self.harm(phase, answer.len()) } else { harm };
        if self.tokens.is_some() {
            let realm = format!("realm=\"http://{}/token\"", client.local_addr()?);
            answer = with_realm(answer, &realm);
        }
        self.hand_back(client, &answer, harm)
    }

    fn hand_back(&self, mut client: TcpStream, raw: &[u8], harm: Option<Harm>) -> io::Result<()> {
        let split =
            raw.windows(4).position(|four| four == b"\r\n\r\n").map_or(raw.len(), |at| at + 4);
        let (head, body) = raw.split_at(split);
        let mut head = String::from_utf8_lossy(head).into_owned();
        let mut body = body.to_vec();
        match harm {
            Some(Harm::DropBefore | Harm::DropBeforeAnswer) => {
                return client.shutdown(Shutdown::Both);
            }
            Some(Harm::DropInAnswer) => {
                let all = [head.as_bytes(), &body].concat();
                let half = if body.is_empty() { head.len() / 2 } else { split + body.len() / 2 };
                client.write_all(&all[..half])?;
                return client.shutdown(Shutdown::Both);
            }
            Some(Harm::Drip) => {
                // Of an answer with content, only that drips.
                let (at_once, slowly) =
                    if body.is_empty() { (0, split) } else { (split, raw.len()) };
                client.write_all(&raw[..at_once])?;
                for byte in &raw[at_once..slowly] {
                    if self.stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    std::thread::sleep(DRIP);
                    client.write_all(&[*byte])?;
                }
                return client.shutdown(Shutdown::Both);
            }
            Some(Harm::Answer(status, header, text)) => {
                return answer(client, status, &header, &text, None);
            }
            Some(Harm::Header(name, value)) => {
                let kept: Vec<&str> = head
                    .split("\r\n")
                    .filter(|line| !line.is_empty() && !is_field(line, name))
                    .collect();
                head = format!("{}\r\n{name}: {value}\r\n\r\n", kept.join("\r\n"));
            }
            Some(Harm::SpoilAnswer) => {
                let middle = body.len() / 2;
                body[middle] ^= 1;
            }
            _ => {}
        }
        client.write_all(head.as_bytes())?;
        client.write_all(&body)
    }
}

impl Request {
    /// Hands on the head and some of the content.
    fn write(&self, to: &mut TcpStream, content: usize) -> io::Result<()> {
        let mut head = self.head.clone();
        head.retain(|line| !is_field(line, "connection"));
        let head = format!("{}Connection: close\r\n\r\n", head.concat());
        to.write_all(head.as_bytes())?;
        to.write_all(&self.content[..content])
    }
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(lines);
        }
        lines.push(line);
    }
}

/// The same answer, naming another token service.
fn with_realm(answer: Vec<u8>, realm: &str) -> Vec<u8> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let Some((before, rest)) = head.split_once("realm=\"") else { return answer };
    let (_, after) = rest.split_once('"').unwrap();
    [before.as_bytes(), realm.as_bytes(), after.as_bytes(), &answer[end..]].concat()
}

/// Counts one more as long as it lives.
struct OneMore<'a>(&'a AtomicUsize);

impl<'a> OneMore<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for OneMore<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn is_field(line: &str, name: &str) -> bool {
    line.split_once(':').is_some_and(|(field, _)| field.eq_ignore_ascii_case(name))
}

fn field<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    head.iter().find(|line| is_field(line, name)).and_then(|line| Some(line.split_once(':')?.1))
}

/// Answers for the registry, and after a while hangs up on what is still being sent.
fn answer(
    mut client: TcpStream,
    status: u16,
    header: &str,
    text: &str,
    lingers: Option<Duration>,
) -> io::Result<()> {
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let length = text.len();
    client.write_all(
        format!(
            "HTTP/1.1 {status} X\r\n{header}Connection: close\r\nContent-Length: {length}\r\n\r\n{text}"
        )
        .as_bytes(),
    )?;
    std::thread::sleep(lingers.unwrap_or_default());
    client.shutdown(Shutdown::Both)
}
