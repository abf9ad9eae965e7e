//! Blobs on their way up, to servers that make it hard.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::faults::known_at;
use super::*;
use crate::support::mock::{CONTENT_LIMIT, Reply, Seen, Server, reply};
use sealift::endpoint::BlobStep;
use sealift::model::Digest;

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

const MIB: usize = 1 << 20;

/// A registry that takes no content in a `PUT`, and pieces of up to `largest`.
#[derive(Default)]
struct Taker {
    largest: usize,
    /// What it says that a piece must have at least.
    least: usize,
    content: Vec<u8>,
    /// Where pieces came from and went to, as they said themselves.
    pieces: Vec<(usize, usize)>,
    /// What the nth piece comes to instead: how much of it is taken, and what is answered.
    odd: HashMap<usize, (usize, Reply)>,
    closed: bool,
}

impl Taker {
    fn range(&self) -> String {
        format!("0-{}", self.content.len().saturating_sub(1))
    }

    fn answer(&mut self, seen: &Seen) -> Reply {
        let next = format!("/upload?_state={}", self.pieces.len());
        match seen.method.as_str() {
            "POST" => {
                self.content.clear();
                let least = self.least.to_string();
                reply(202).with("Location", "/upload?_state=0").with("OCI-Chunk-Min-Length", least)
            }
            "PUT" if seen.headers["content-length"] != "0" => reply(413),
            "PUT" => {
                assert!(seen.path.starts_with(&format!("{next}&digest=")), "{}", seen.path);
                self.closed = true;
                reply(201)
            }
            "PATCH" if seen.body.len() > self.largest => reply(413),
            "PATCH" => {
                assert_eq!(seen.headers["content-type"], "application/octet-stream");
                let (start, last) = seen.headers["content-range"].split_once('-').unwrap();
                let (start, end) = (start.parse().unwrap(), last.parse::<usize>().unwrap() + 1);
                assert_eq!(end - start, seen.body.len());
                let number = self.pieces.len();
                self.pieces.push((start, end));
                let odd = self.odd.remove(&number);
                let taken = odd.as_ref().map_or(end - start, |(taken, _)| *taken);
                self.content.truncate(start);
                assert_eq!(self.content.len(), start, "something is left out");
                self.content.extend_from_slice(&seen.body[..taken]);
                let answer = odd.map_or(reply(202), |(_, answer)| answer);
                let next = format!("/upload?_state={}", self.pieces.len());
                answer.with("Location", next).with("Range", self.range())
            }
            "GET" if seen.path.starts_with("/upload") => {
                assert_eq!(seen.path, format!("/upload?_state={}", self.pieces.len() - 1));
                reply(204).with("Location", next).with("Range", self.range())
            }
            "HEAD" => reply(404),
            _ => reply(200),
        }
    }

    /// Serves until the blob is there; then what came of it, and the server.
    fn serve(self) -> (Arc<Mutex<Self>>, Server) {
        let taker = Arc::new(Mutex::new(self));
        let shared = Arc::clone(&taker);
        (taker, Server::start(move |seen| shared.lock().unwrap().answer(seen)))
    }
}

fn noise(length: usize) -> &'static [u8] {
    pictures::noise(11, length).leak()
}

#[test]
fn what_is_too_large_goes_in_pieces_that_the_registry_takes() {
    for (largest, least, pieces) in [
        (8 * MIB, 0, vec![4 * MIB, MIB + 5]),
        (4 * MIB - 1, 0, vec![2 * MIB, 2 * MIB, MIB + 5]),
        (8 * MIB, 5 * MIB, vec![5 * MIB, 5]),
        (MIB, 3, vec![MIB, MIB, MIB, MIB, MIB, 5]),
    ] {
        let content = noise(5 * MIB + 5);
        let (taker, server) = Taker { largest, least, ..Taker::default() }.serve();
        let client = known_at(&[]);
        put(&client, &server.host(), content).unwrap();
        let taken = taker.lock().unwrap();
        assert!(taken.closed && taken.content == content, "{largest} {least}");
        let sizes: Vec<_> = taken.pieces.iter().map(|(start, end)| end - start).collect();
        assert_eq!(sizes, pieces, "{largest} {least}");
        drop(taken);

        // The next one is not tried in one request first.
        let before = server.count("PUT", "");
        taker.lock().unwrap().pieces.clear();
        put(&client, &server.host(), noise(6 * MIB)).unwrap();
        assert_eq!(server.count("PUT", ""), before + 1);
    }
}

#[test]
fn pieces_that_fit_nobody_are_refused() {
    let (_, server) = Taker { largest: MIB, least: 2 * MIB, ..Taker::default() }.serve();
    let error = put(&known_at(&[]), &server.host(), noise(5 * MIB)).unwrap_err();
    assert!(error.message().contains("413"), "{error:?}");
    let (_, server) = Taker { least: 64 * MIB, ..Taker::default() }.serve();
    let error = put(&known_at(&[]), &server.host(), noise(5 * MIB)).unwrap_err();
    assert!(error.message().contains("wants pieces of 67108864 bytes"), "{error:?}");
    let (_, server) = Taker::default().serve();
    let error = put(&known_at(&[]), &server.host(), noise(5 * MIB)).unwrap_err();
    assert!(error.message().contains("413"), "{error:?}");
    assert!(server.count("PATCH", "") < 10);
}

#[test]
fn an_upload_goes_on_where_the_registry_says_that_it_is() {
    for (name, odd, starts) in [
        ("took half and failed", (MIB, reply(502)), vec![0, MIB]),
        ("took half and said so", (MIB, reply(202)), vec![0, MIB]),
        ("took nothing and failed", (0, reply(503)), vec![0, 0]),
        ("took all and failed", (2 * MIB, reply(500)), vec![0, 2 * MIB]),
        ("took half and wants the rest", (MIB, reply(416)), vec![0, MIB]),
        ("has nothing of it and says so", (0, reply(202)), vec![0, 0]),
    ] {
        let content = noise(3 * MIB);
        let taker = Taker { largest: 8 * MIB, odd: [(0, odd)].into(), ..Taker::default() };
        let (taker, server) = taker.serve();
        let mut opened = 0;
        let target = RegistryTarget::new(known_at(&[]), server.host(), "");
        let step = blob_step(content);
        target
            .put_blob(&step, &mut || {
                opened += 1;
                Ok(Box::new(content))
            })
            .unwrap();
        let taken = taker.lock().unwrap();
        assert!(taken.closed && taken.content == content, "{name}");
        let begun: Vec<_> = taken.pieces.iter().map(|(start, _)| *start).take(2).collect();
        assert_eq!(begun, starts, "{name}");
        assert_eq!(opened, 2, "{name}: once in one request, once in pieces");
    }
}

#[test]
fn a_registry_that_never_takes_anything_is_given_up() {
    let odd = (0..100).map(|number| (number, (0, reply(202)))).collect();
    let (taker, server) = Taker { largest: 8 * MIB, odd, ..Taker::default() }.serve();
    let error = put(&known_at(&[]), &server.host(), noise(3 * MIB)).unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(taker.lock().unwrap().pieces.len() < 20, "{error:?}");
}
