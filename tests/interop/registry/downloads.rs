//! Blobs on their way down, over lines that break.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::faults::{hasty, known_at};
use super::*;
use crate::support::mock::{Reply, Server, reply};

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
