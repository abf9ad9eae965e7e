//! Registries that lie, dawdle or lead astray: a small server that answers as it is told and keeps
//! what it was sent.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use sealift::endpoint::BlobStep;
use sealift::model::Digest;
use sealift::model::manifest::media;

/// Bytes of content that the server reads.
const CONTENT_LIMIT: u64 = 8 << 20;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&String> {
        self.headers.get(name)
    }

    /// What stands behind the question mark, decoded.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        let (_, query) = self.path.split_once('?').unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    pub(super) fn has_credentials(&self) -> bool {
        self.headers.contains_key("authorization")
            || self.path.contains("canary")
            || String::from_utf8_lossy(&self.body).contains("canary")
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Bytes of the body after which the connection drops.
    cut: Option<usize>,
    /// The body comes again and again, for ever.
    endless: bool,
    /// Waits before each of eight pieces of the body.
    pause: Duration,
}

pub(super) fn reply(status: u16) -> Reply {
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
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// The server; it stops taking connections when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    pub(super) fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, answer)
    }

    fn start_at(ip: Ipv4Addr, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
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

    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn count(&self, method: &str, part: &str) -> usize {
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

/// A client that speaks plain HTTP, loses no time and is somebody at `host`.
pub(super) fn known_at(hosts: &[String]) -> Client {
    let given =
        hosts.iter().map(|host| (host.clone(), Credentials::password("user", "canary"))).collect();
    client(Options {
        plain_http: true,
        credentials: CredentialStore::with(given, CredentialPaths::default()),
        patience: hasty(),
        ..Options::default()
    })
}

fn hasty() -> Patience {
    Patience {
        attempts: 3,
        first_wait: Duration::from_millis(2),
        longest_retry_after: Duration::from_millis(50),
        silence: Duration::from_secs(5),
        last_words: Duration::from_millis(200),
        ..Patience::default()
    }
}

fn image() -> (Vec<u8>, Descriptor) {
    let config = Descriptor::of(media::OCI_CONFIG, b"{}");
    let raw = serde_json::json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
    let descriptor = Descriptor::of(media::OCI_MANIFEST, raw.as_bytes());
    (raw.into_bytes(), descriptor)
}

fn manifest_reply() -> Reply {
    let (raw, descriptor) = image();
    reply(200)
        .with("Content-Type", descriptor.media_type)
        .with("Docker-Content-Digest", descriptor.digest.to_string())
        .body(raw)
}

pub(super) fn image_parcel() -> Parcel {
    let (raw, descriptor) = image();
    let graph = Graph::walk(&descriptor, &mut |_| Ok(raw.clone().into())).unwrap();
    let root = sealift::endpoint::Root {
        name: Some("r.example/app:1".parse().unwrap()),
        descriptor,
        synthesized: false,
        from_index: None,
        origin: None,
    };
    Parcel { root, graph, satellites: Vec::new(), plain: Vec::new(), assigned: None }
}

fn roots(client: &Client, host: &str) -> Result<Descriptor, Error> {
    source(client, &format!("{host}/app:1")).roots().map(|mut roots| roots.remove(0).descriptor)
}

fn bearer(realm: &str) -> Reply {
    reply(401).with("WWW-Authenticate", format!("Bearer realm=\"{realm}\",service=\"test\""))
}

#[test]
fn a_token_is_asked_for_with_basic_credentials_and_used() {
    let server = Server::start(|seen| match seen.path.split('?').next().unwrap() {
        "/token" => {
            assert_eq!(seen.headers["authorization"], "Basic dXNlcjpjYW5hcnk=");
            reply(200).body(r#"{"token":"t0","expires_in":300}"#)
        }
        _ if seen.headers.get("authorization").is_some_and(|value| value == "Bearer t0") => {
            manifest_reply()
        }
        _ => bearer(&format!("http://{}/token", seen.headers["host"])),
    });
    let client = known_at(&[server.host()]);
    assert_eq!(roots(&client, &server.host()).unwrap(), image().1);
    assert_eq!(roots(&client, &server.host()).unwrap(), image().1);
    assert_eq!(server.count("GET", "/token"), 1, "the token is kept");
    assert_eq!(server.count("GET", "scope=repository%3Aapp%3Apull"), 1);
}

#[test]
fn a_token_that_expires_on_the_way_is_renewed_once() {
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let server = Server::start(move |seen| match seen.path.split('?').next().unwrap() {
        "/token" => {
            let number = count.fetch_add(1, Ordering::SeqCst);
            reply(200).body(format!(r#"{{"access_token":"t{number}"}}"#))
        }
        // Refused without a challenge, as Harbor does.
        "/v2/app/manifests/1" if seen.headers["authorization"] == "Bearer t0" => reply(401),
        "/v2/app/manifests/1" if seen.headers["authorization"] == "Bearer t1" => manifest_reply(),
        "/v2/app/manifests/2" => reply(401),
        _ => bearer(&format!("http://{}/token", seen.headers["host"])),
    });
    let client = known_at(&[server.host()]);
    roots(&client, &server.host()).unwrap();
    assert_eq!(server.count("GET", "/token"), 2);
    let error = source(&client, &format!("{}/app:2", server.host())).roots().unwrap_err();
    assert!(error.get_hint().is_some_and(|hint| hint.contains("the password")), "{error:?}");
    assert_eq!(server.count("GET", "/token"), 3, "renewed once, then given up");
}

#[test]
fn an_identity_token_is_traded_by_post() {
    let server = Server::start(|seen| match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", "/token") => reply(200).body(r#"{"access_token":"t0"}"#),
        (_, "/v2/app/manifests/1") if seen.headers.contains_key("authorization") => {
            manifest_reply()
        }
        _ => bearer(&format!("http://{}/token", seen.headers["host"])),
    });
    let folder = tempfile::tempdir().unwrap();
    let text = format!(r#"{{"auths":{{"{}":{{"identitytoken":"re fresh"}}}}}}"#, server.host());
    let credentials = CredentialStore::new(config_file(folder.path(), &text));
    let client = client(Options { plain_http: true, credentials, ..Options::default() });
    roots(&client, &server.host()).unwrap();
    let seen = server.seen();
    let post = seen.iter().find(|seen| seen.method == "POST").unwrap();
    let form = String::from_utf8(post.body.clone()).unwrap();
    assert_eq!(
        form,
        "grant_type=refresh_token&client_id=sealift&service=test&scope=repository%3Aapp%3Apull&refresh_token=re+fresh"
    );
    assert!(!post.headers.contains_key("authorization"));
}

#[test]
fn a_foreign_token_service_gets_no_credentials() {
    let thief =
        Server::start_at(Ipv4Addr::new(127, 0, 0, 2), |_| reply(200).body(r#"{"token":"t"}"#));
    let realm = format!("http://{}/token", thief.host());
    let server = Server::start(move |_| bearer(&realm));
    let error = roots(&known_at(&[server.host()]), &server.host()).unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.message().contains("does not belong"), "{error:?}");
    assert!(thief.seen().is_empty(), "{:?}", thief.seen());
}

#[test]
fn no_authorization_crosses_to_another_origin() {
    let blob = Descriptor::of("x", b"layer");
    let storage = Server::start(|_| reply(200).body("layer"));
    let elsewhere = storage.host();
    let server = Server::start(move |seen| match seen.path.as_str() {
        _ if !seen.headers.contains_key("authorization") => {
            reply(401).with("WWW-Authenticate", "Basic realm=\"x\"")
        }
        path if path.contains("/blobs/") => {
            reply(307).with("Location", format!("http://{elsewhere}/data?sig=x"))
        }
        _ => manifest_reply(),
    });
    // The storage is known to us too, and gets nothing all the same.
    let client = known_at(&[server.host(), storage.host()]);
    let source = source(&client, &format!("{}/app:1", server.host()));
    assert_eq!(&*content(&source, &blob).unwrap(), b"layer");
    assert_eq!(storage.seen().len(), 1);
    assert!(!storage.seen()[0].has_credentials(), "{:?}", storage.seen());
    assert!(server.seen().iter().any(Seen::has_credentials));
}

#[test]
fn redirects_that_go_round_end() {
    let server = Server::start(|seen| reply(302).with("Location", format!("{}x", seen.path)));
    let error = roots(&known_at(&[]), &server.host()).unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(server.seen().len() < 10);
}

fn blob_step(bytes: &[u8]) -> BlobStep {
    let descriptor = Descriptor::of("x", bytes);
    BlobStep {
        form: Form::Exact,
        bytes: descriptor.size,
        place: "app".into(),
        action: Action::Send,
        descriptor,
    }
}

fn put(client: &Client, host: &str, content: &'static [u8]) -> Result<(), Error> {
    let target = RegistryTarget::new(client.clone(), host, "");
    target.put_blob(&blob_step(content), &mut || Ok(Box::new(content)))
}

#[test]
fn nothing_is_uploaded_to_another_origin() {
    let thief = Server::start(|_| reply(201));
    let location = format!("http://{}/upload", thief.host());
    let server = Server::start(move |seen| match seen.method.as_str() {
        "POST" => reply(202).with("Location", &*location),
        "HEAD" => reply(404),
        _ => reply(200),
    });
    let error = put(&known_at(&[server.host()]), &server.host(), b"layer").unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.message().contains("another place"), "{error:?}");
    assert!(thief.seen().is_empty());
}

#[test]
fn a_lost_answer_is_looked_into_before_anything_is_sent_again() {
    let server = Server::start(|seen| match seen.method.as_str() {
        "POST" => reply(202).with("Location", "/upload?_state=a%2Bb"),
        "PUT" => reply(504),
        _ => reply(200),
    });
    put(&known_at(&[]), &server.host(), b"layer").unwrap();
    assert_eq!(server.count("PUT", ""), 1);
    let put = server.seen().into_iter().find(|seen| seen.method == "PUT").unwrap();
    assert_eq!(
        put.path,
        format!("/upload?_state=a%2Bb&digest=sha256%3A{}", Digest::of(b"layer").hex())
    );
    assert_eq!((put.body, &*put.headers["content-length"]), (b"layer".to_vec(), "5"));
}

#[test]
fn a_broken_upload_begins_again_and_ends_some_time() {
    let failures = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&failures);
    let server = Server::start(move |seen| match seen.method.as_str() {
        "POST" => reply(202).with("Location", "upload"),
        "PUT" if count.fetch_add(1, Ordering::SeqCst) < 2 => reply(503),
        "PUT" => reply(201),
        "HEAD" => reply(404),
        _ => reply(200),
    });
    put(&known_at(&[]), &server.host(), b"layer").unwrap();
    assert_eq!((server.count("POST", ""), server.count("PUT", "")), (3, 3));

    let server = Server::start(|seen| match seen.method.as_str() {
        "POST" => reply(202).with("Location", "upload"),
        "PUT" => reply(503).body(r#"{"errors":[{"code":"UNAVAILABLE","message":"full"}]}"#),
        "HEAD" => reply(404),
        _ => reply(200),
    });
    let error = put(&known_at(&[]), &server.host(), b"layer").unwrap_err();
    assert!(error.message().contains("UNAVAILABLE: full"), "{error:?}");
    assert_eq!(server.count("PUT", ""), 3);
}

#[test]
fn a_proxys_refusal_in_the_middle_of_an_upload_is_heard() {
    static LARGE: [u8; 16 << 20] = [7; 16 << 20];
    assert!(LARGE.len() as u64 > CONTENT_LIMIT);
    let server = Server::start(|seen| match seen.method.as_str() {
        "POST" => reply(202).with("Location", "upload"),
        "PUT" => reply(413).with("Content-Type", "text/html").body("<html>too large</html>"),
        "HEAD" => reply(404),
        _ => reply(200),
    });
    let error = put(&known_at(&[]), &server.host(), &LARGE).unwrap_err();
    assert!(error.message().contains("413"), "{error:?}");
    assert!(error.get_hint().is_some_and(|hint| hint.contains("client_max_body_size")));
}

#[test]
fn bytes_of_another_digest_are_refused() {
    let (raw, descriptor) = image();
    let other = Digest::of(b"other");
    let wrong = raw.clone();
    let server = Server::start(move |seen| match seen.path.as_str() {
        "/v2/" => reply(200),
        // A body that is not what was asked for.
        path if path.ends_with(&other.to_string()) => manifest_reply(),
        // A header that does not fit the body.
        _ => reply(200)
            .with("Content-Type", media::OCI_MANIFEST)
            .with("Docker-Content-Digest", other.to_string())
            .body(wrong.clone()),
    });
    let client = known_at(&[]);
    let pinned = source(&client, &format!("{}/app:1@{other}", server.host()));
    for error in [
        pinned.roots().unwrap_err(),
        roots(&client, &server.host()).unwrap_err(),
        content(&pinned, &descriptor).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Remote, "{error:?}");
        assert!(error.message().contains(&other.to_string()), "{error:?}");
    }
}

#[test]
fn a_tag_that_moves_gives_one_image() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |seen| {
        if seen.path.contains("/manifests/1") && count.fetch_add(1, Ordering::SeqCst) >= 1 {
            return reply(404);
        }
        manifest_reply()
    });
    let client = known_at(&[]);
    let source = source(&client, &format!("{}/app:1", server.host()));
    let first = source.roots().unwrap().remove(0).descriptor;
    assert_eq!(source.roots().unwrap().remove(0).descriptor, first);
    assert_eq!(&*content(&source, &first).unwrap(), image().0);
    assert_eq!(server.count("GET", "/manifests/"), 1);
}

#[test]
fn endless_answers_are_cut_short() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/v2/" => reply(200),
        _ => Reply {
            endless: true,
            ..reply(200).with("Content-Type", media::OCI_MANIFEST).body(vec![b' '; 1 << 16])
        },
    });
    let begun = Instant::now();
    let error = roots(&known_at(&[]), &server.host()).unwrap_err();
    assert_eq!(error.kind(), Kind::Remote, "{error:?}");
    assert_eq!(server.count("GET", "/manifests/"), 1, "not even tried again");
    assert!(begun.elapsed() < Duration::from_secs(20));
    // The same for what an error says.
    let server = Server::start(|_| Reply { endless: true, ..reply(403).body(vec![b'x'; 1 << 16]) });
    let error = roots(&known_at(&[]), &server.host()).unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.message().len() < 1000, "{}", error.message().len());
}

#[test]
fn endless_pages_of_referrers_end() {
    let list = serde_json::json!({"schemaVersion": 2, "manifests": []}).to_string();
    let server = Server::start(move |seen| {
        if seen.path.contains("/referrers/") {
            return reply(200)
                .with("Content-Type", media::OCI_INDEX)
                .with("Link", format!("<{}x>; rel=\"next\"", seen.path))
                .body(list.clone());
        }
        manifest_reply()
    });
    let client = known_at(&[]);
    let source = source(&client, &format!("{}/app:1", server.host()));
    let error = source.attachments(&image().1).unwrap_err();
    assert_eq!(error.kind(), Kind::Remote, "{error:?}");
    assert!(server.count("GET", "/referrers/") <= 128);
}

#[test]
fn referrers_come_from_all_pages_and_only_from_the_registry() {
    let subject = image().1;
    let page = |name: &[u8]| {
        let entry = Descriptor::of(media::OCI_MANIFEST, name);
        serde_json::json!({"schemaVersion": 2, "manifests": [entry]}).to_string()
    };
    let (first, second) = (page(b"a"), page(b"b"));
    let astray = Arc::new(AtomicUsize::new(0));
    let lead = Arc::clone(&astray);
    let server = Server::start(move |seen| match seen.path.as_str() {
        path if path.contains("/referrers/") && path.contains("page=2") => {
            reply(200).with("Content-Type", media::OCI_INDEX).body(second.clone())
        }
        path if path.contains("/referrers/") => {
            let next = match lead.load(Ordering::SeqCst) {
                0 => format!("{path}?page=2"),
                _ => "http://127.0.0.2:1/v2/app/referrers/x?page=2".to_owned(),
            };
            reply(200)
                .with("Content-Type", media::OCI_INDEX)
                .with("Link", format!("<{next}>; rel=\"next\""))
                .body(first.clone())
        }
        path if path.contains("/manifests/") => reply(404),
        _ => reply(200),
    });
    let client = known_at(&[]);
    let source = source(&client, &format!("{}/app:1", server.host()));
    let found = source.attachments(&subject).unwrap();
    let digests: Vec<Digest> = found.iter().map(|found| found.descriptor.digest).collect();
    assert_eq!(digests, [Digest::of(b"a"), Digest::of(b"b")]);
    assert!(found.iter().all(|found| found.kind == AttachmentKind::Referrer));
    astray.store(1, Ordering::SeqCst);
    assert_eq!(source.attachments(&subject).unwrap_err().kind(), Kind::Remote);
}

#[test]
fn a_page_instead_of_referrers_leads_to_the_tag() {
    let server = Server::start(|seen| match seen.path.as_str() {
        path if path.contains("/referrers/") => {
            reply(200).with("Content-Type", "text/html").body("<html>hello</html>")
        }
        // An image under that tag is no list of referrers.
        path if path.ends_with(&image().1.digest.hex()) => manifest_reply(),
        path if path.contains(".att") => manifest_reply(),
        _ => reply(404),
    });
    let client = known_at(&[]);
    let source = source(&client, &format!("{}/app:1", server.host()));
    let found = source.attachments(&image().1).unwrap();
    let kinds: Vec<AttachmentKind> = found.into_iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [AttachmentKind::Tag(format!("{}.att", image().1.digest.as_tag()))]);
}

#[test]
fn a_registry_that_asks_for_ages_is_not_waited_for_that_long() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |seen| match seen.path.as_str() {
        "/v2/" => reply(200),
        _ if count.fetch_add(1, Ordering::SeqCst) < 1 => {
            reply(429).with("Retry-After", "1000000000")
        }
        _ => manifest_reply(),
    });
    let begun = Instant::now();
    assert_eq!(roots(&known_at(&[]), &server.host()).unwrap(), image().1);
    assert!(begun.elapsed() >= Duration::from_millis(50), "it was not waited for at all");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(server.count("GET", "/manifests/"), 2);

    let server = Server::start(|seen| match seen.path.as_str() {
        "/v2/" => reply(200),
        _ => reply(429).with("Retry-After", "1000000000"),
    });
    let error = roots(&known_at(&[]), &server.host()).unwrap_err();
    assert!(error.message().contains("429"), "{error:?}");
    assert_eq!(server.count("GET", "/manifests/"), 3, "tries are bounded");
}

/// Serves `content` in pieces: each answer breaks off after `step` bytes.
fn piecemeal(content: Vec<u8>, step: usize, honours_ranges: bool) -> Server {
    let pieces = AtomicUsize::new(0);
    Server::start(move |seen| {
        if !seen.path.contains("/blobs/") {
            return reply(200);
        }
        let range = seen
            .headers
            .get("range")
            .and_then(|text| text.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let number = pieces.fetch_add(1, Ordering::SeqCst) + 1;
        let total = content.len();
        match range.filter(|_| honours_ranges) {
            Some(start) => Reply {
                cut: Some(step.min(total - start)),
                ..reply(206)
                    .with("Content-Range", format!("bytes {start}-{}/{total}", total - 1))
                    .body(&content[start..])
            },
            None => {
                Reply { cut: Some((step * number).min(total)), ..reply(200).body(content.clone()) }
            }
        }
    })
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let bytes = pictures::noise(9, 10 << 20);
    let blob = Descriptor::of("x", &bytes);
    for honours_ranges in [true, false] {
        let server = piecemeal(bytes.clone(), 3 << 20, honours_ranges);
        let source = source(&known_at(&[]), &format!("{}/app:1", server.host()));
        assert_eq!(*content(&source, &blob).unwrap(), *bytes, "{honours_ranges}");
        assert_eq!(server.count("GET", "/blobs/"), 4, "{honours_ranges}");
    }
}

#[test]
fn a_download_that_never_comes_further_fails() {
    let bytes = pictures::noise(9, 1 << 20);
    let blob = Descriptor::of("x", &bytes);
    let server = piecemeal(bytes, 0, true);
    let source = source(&known_at(&[]), &format!("{}/app:1", server.host()));
    let error = content(&source, &blob).unwrap_err();
    assert_eq!(error.kind(), Kind::Remote, "{error:?}");
    assert!(error.message().contains("byte 0 of 1048576"), "{error:?}");
    assert!(server.count("GET", "/blobs/") < 10);
}

#[test]
fn a_blob_of_another_length_is_refused() {
    let server = Server::start(|_| reply(200).body("layers"));
    let source = source(&known_at(&[]), &format!("{}/app:1", server.host()));
    for wrong in [&b"layer"[..], b"layers of an image"] {
        let blob = Descriptor::of("x", wrong);
        let Err(error) = source.open(&blob, Form::Exact) else { panic!("{wrong:?} was taken") };
        assert_eq!(error.kind(), Kind::Remote);
    }
    let plain = source.open(&Descriptor::of("x", b"layers"), Form::Plain);
    assert_eq!(plain.err().map(|error| error.kind()), Some(Kind::Usage));
}

#[test]
fn a_policy_that_hides_a_manifest_does_not_stop_the_push() {
    let server = Server::start(|seen| match (seen.method.as_str(), seen.path.as_str()) {
        ("HEAD", path) if path.contains("/manifests/") => reply(412),
        ("PUT", _) => reply(201),
        _ => reply(200),
    });
    let client = known_at(&[]);
    let target = RegistryTarget::new(client.clone(), server.host(), "");
    let plan = target.plan(&[image_parcel()]).unwrap();
    assert_eq!((&plan.manifests[0].action, &plan.tags[0].action), (&Action::Send, &Action::Send));
    assert_eq!(plan.blobs[0].action, Action::Present);
    carry_out(&source(&client, "r.example/app:1"), &target, &plan).unwrap();
    assert_eq!(server.count("PUT", "/manifests/"), 2);
}

#[test]
fn a_tag_that_does_not_hold_is_noticed() {
    let server = Server::start(|seen| match (seen.method.as_str(), seen.path.as_str()) {
        ("HEAD", path) if path.ends_with("/manifests/1") => {
            reply(200).with("Docker-Content-Digest", Digest::of(b"other").to_string())
        }
        ("PUT", _) => reply(201),
        _ => reply(200),
    });
    let (raw, descriptor) = image();
    let step = sealift::endpoint::ManifestStep {
        descriptor: descriptor.clone(),
        raw: raw.into(),
        place: "app".into(),
        subject: None,
        action: Action::Send,
    };
    let name = format!("{}/app:1", server.host()).parse().unwrap();
    let tag = sealift::endpoint::TagStep { descriptor, name, action: Action::Send, replaces: None };
    let plan = Plan { manifests: vec![step], tags: vec![tag], ..Plan::default() };
    let target = RegistryTarget::new(known_at(&[]), server.host(), "");
    target.begin(&plan).unwrap();
    let error = target.put_tag(&plan.tags[0]).unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.message().contains(&Digest::of(b"other").to_string()), "{error:?}");
}

#[test]
fn a_slow_download_is_not_a_silent_one() {
    let bytes = pictures::noise(9, 80_000);
    let blob = Descriptor::of("x", &bytes);
    let gaps = |pause| {
        let bytes = bytes.clone();
        Server::start(move |seen| match seen.path.as_str() {
            "/v2/" => reply(200),
            _ => Reply { pause, ..reply(200).body(bytes.clone()) },
        })
    };
    let patience = Patience { silence: Duration::from_millis(600), ..hasty() };
    let client = client(Options { plain_http: true, patience, ..Options::default() });
    let server = gaps(Duration::from_millis(200));
    let slow = source(&client, &format!("{}/app:1", server.host()));
    assert_eq!(*content(&slow, &blob).unwrap(), *bytes);
    assert_eq!(server.count("GET", "/blobs/"), 1, "it was broken off");

    let server = gaps(Duration::from_secs(3));
    let silent = source(&client, &format!("{}/app:1", server.host()));
    let begun = Instant::now();
    assert_eq!(content(&silent, &blob).unwrap_err().kind(), Kind::Remote);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_refusal_without_words_is_asked_for_them() {
    let server = Server::start(|seen| match (seen.method.as_str(), seen.path.as_str()) {
        (_, "/v2/") => reply(200),
        ("HEAD", _) => reply(401),
        _ => reply(401)
            .body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"project team not found"}]}"#),
    });
    let target = RegistryTarget::new(known_at(&[]), server.host(), "team");
    let plan = target.plan(&[image_parcel()]).unwrap();
    let findings: Vec<_> = plan.hindrances().collect();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].what.contains("project team is not there"), "{findings:?}");
    assert!(findings[0].advice.contains("create the project"), "{findings:?}");
}
