//! Cases 63 to 72: registries that lie, and what they are told. Each is shown at length in
//! `tests/interop/registry`; here the binary meets the short form.

use std::net::Ipv4Addr;

use sealift::model::manifest::media;
use sealift::model::{Descriptor, Digest};
use serde_json::json;

use crate::catalogue::Entry;
use crate::sample::sample;
use crate::scene::Case;
use crate::support::mock::{Reply, Seen, Server, reply};

pub(crate) const CASES: &[Entry] = &[
    Entry { number: 63, name: "wrong bytes for a digest", play: wrong_bytes },
    Entry { number: 64, name: "another manifest for a pinned digest", play: other_manifest },
    Entry { number: 65, name: "a redirect to another host", play: redirect },
    Entry { number: 66, name: "a token service elsewhere", play: foreign_realm },
    Entry { number: 67, name: "an upload that is to go elsewhere", play: foreign_location },
    Entry { number: 68, name: "answers and pages without end", play: endless },
    Entry { number: 69, name: "Retry-After: 10^9 seconds", play: retry_after },
    Entry { number: 70, name: "the answer to a commit is lost", play: lost_answer },
    Entry { number: 71, name: "a tag that moves meanwhile", play: moving_tag },
    Entry { number: 72, name: "schema 1, or a type that nobody knows", play: unknown_types },
];

const FAULTS: &str = "tests/interop/registry/faults.rs";
const UPLOADS: &str = "tests/interop/registry/uploads.rs";

const CONFIG: &[u8] = br#"{"os":"linux","architecture":"amd64"}"#;

fn manifest() -> Vec<u8> {
    let config = Descriptor::of(media::OCI_CONFIG, CONFIG);
    json!({"schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "config": config, "layers": []})
        .to_string()
        .into_bytes()
}

fn manifest_reply() -> Reply {
    reply(200).with("Content-Type", media::OCI_MANIFEST).body(manifest())
}

/// A registry with one image, that gives `blob` for its configuration.
fn registry(blob: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |seen| match seen.path.as_str() {
        "/v2/" => reply(200),
        path if path.contains("/blobs/") => blob(seen),
        path if path.ends_with("/manifests/1") || path.contains("/manifests/sha256:") => {
            manifest_reply()
        }
        _ => reply(404),
    })
}

/// Exports from there; nothing is left but the sentence.
fn refused(case: &mut Case, what: &str, name: &str, more: &[&str], code: i32) {
    let told =
        case.run(&[&["export", "-q", "--retries", "0", "-o", "n.sealift", name], more].concat());
    assert_eq!(told.code, code, "{what}: {}", told.text);
    assert!(!case.station.path("n.sealift").exists(), "{what}: a bundle was left");
    let (host, _) = name.split_once('/').unwrap();
    let text = told.text.replace(host, "REGISTRY");
    case.row(what, &crate::scene::Told { text, ..told });
}

fn wrong_bytes(case: &mut Case) {
    let mut wrong = CONFIG.to_vec();
    wrong[3] ^= 1;
    let server = registry(move |_| reply(200).body(wrong.clone()));
    refused(case, "a blob", &format!("{}/a:1", server.host()), &[], 8);
    let short = registry(|_| reply(200).body(&CONFIG[1..]));
    refused(case, "a blob that is too short", &format!("{}/a:1", short.host()), &[], 8);
    case.shown(FAULTS, "bytes_of_another_digest_are_refused");
    case.shown("tests/interop/registry.rs", "bad_content_never_becomes_a_blob");
}

fn other_manifest(case: &mut Case) {
    let server = registry(|_| reply(200).body(CONFIG));
    let name = format!("{}/a@{}", server.host(), Digest::of(b"other"));
    refused(case, "named by digest", &name, &[], 8);
}

/// A registry that wants a password, which is the canary.
fn guarded(blob: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |seen| match seen.path.as_str() {
        _ if seen.header("authorization").is_none() => {
            reply(401).with("WWW-Authenticate", "Basic realm=\"here\"")
        }
        "/v2/" => reply(200),
        path if path.contains("/blobs/") => blob(seen),
        path if path.contains("/manifests/") => manifest_reply(),
        _ => reply(404),
    })
}

/// Another host on this machine, which gives the configuration to whoever asks.
fn elsewhere() -> Server {
    Server::start_at(Ipv4Addr::new(127, 0, 0, 2), |_| reply(200).body(CONFIG))
}

fn signed_in(case: &Case) -> [String; 4] {
    std::fs::write(case.station.path("password"), "canary").unwrap();
    ["--username", "user", "--password-file", "password"].map(str::to_owned)
}

fn redirect(case: &mut Case) {
    let other = elsewhere();
    let to = format!("http://{}/blob", other.host());
    let server = guarded(move |_| reply(307).with("Location", to.clone()));
    let name = format!("{}/a:1", server.host());
    let sign_in = signed_in(case);
    let mut arguments =
        vec!["export", "-q", "--no-attachments", "--retries", "0", "-o", "n.sealift", &name];
    arguments.extend(sign_in.iter().map(String::as_str));
    let told = case.run(&arguments);
    assert!([0, 8].contains(&told.code), "{}", told.text);
    assert!(server.seen().iter().any(Seen::has_credentials), "the registry itself is told");
    assert!(!other.seen().iter().any(Seen::has_credentials), "the other host is not");
    case.note("followed without Authorization, or not at all", &told.code.to_string(), "");
    case.shown(FAULTS, "no_authorization_crosses_to_another_origin");
    let storage = "storage_behind_a_redirect_is_asked_without_authorization_and_only_over_tls";
    case.shown("tests/interop/registry.rs", storage);
}

fn foreign_realm(case: &mut Case) {
    let other = elsewhere();
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"x\"", other.host());
    let server = Server::start(move |_| reply(401).with("WWW-Authenticate", realm.clone()));
    let sign_in = signed_in(case);
    let more: Vec<&str> = sign_in.iter().map(String::as_str).collect();
    let name = format!("{}/a:1", server.host());
    let told = case
        .run(&[&["export", "-q", "--retries", "0", "-o", "n.sealift", &name], &more[..]].concat());
    assert_eq!(told.code, 8, "{}", told.text);
    assert!(!other.seen().iter().any(Seen::has_credentials), "it was told the password");
    assert!(!server.seen().iter().any(Seen::has_credentials), "nobody asked for it here");
    let text = told.text.replace(&server.host(), "REGISTRY").replace(&other.host(), "ELSEWHERE");
    case.row("it is told nothing", &crate::scene::Told { text, ..told });
    case.shown(FAULTS, "a_foreign_token_service_gets_no_credentials");
}

fn foreign_location(case: &mut Case) {
    let other = elsewhere();
    let to = format!("http://{}/upload", other.host());
    let server = Server::start(move |seen| match (seen.method.as_str(), seen.path.as_str()) {
        _ if seen.header("authorization").is_none() => {
            reply(401).with("WWW-Authenticate", "Basic realm=\"here\"")
        }
        (_, "/v2/") => reply(200),
        ("POST", _) => reply(202).with("Location", to.clone()),
        _ => reply(404),
    });
    std::fs::write(case.station.path("good.sealift"), &sample().small).unwrap();
    let sign_in = signed_in(case);
    let host = server.host();
    let mut arguments = vec!["import", "-q", "--retries", "0", "good.sealift", "--to", &host];
    arguments.extend(sign_in.iter().map(String::as_str));
    let told = case.run(&arguments);
    assert_eq!(told.code, 8, "{}", told.text);
    assert!(other.seen().is_empty(), "{:?}", other.seen());
    let named = |seen: &&Seen| seen.method == "PUT" && seen.path.contains("/manifests/");
    assert_eq!(server.seen().iter().filter(named).count(), 0);
    let text = told.text.replace(&server.host(), "REGISTRY").replace(&other.host(), "ELSEWHERE");
    case.row("nothing goes there", &crate::scene::Told { text, ..told });
    case.shown(UPLOADS, "nothing_is_uploaded_to_another_origin");
}

fn endless(case: &mut Case) {
    let server = Server::start(|seen| {
        if seen.path == "/v2/" {
            return reply(200);
        }
        let body = vec![b' '; 64 << 10];
        Reply { endless: true, ..reply(200).with("Content-Type", media::OCI_MANIFEST).body(body) }
    });
    refused(case, "a manifest", &format!("{}/a:1", server.host()), &[], 8);
    case.shown(FAULTS, "endless_answers_are_cut_short");
    case.shown(FAULTS, "endless_pages_of_referrers_end");
}

fn retry_after(case: &mut Case) {
    case.shown(FAULTS, "a_registry_that_asks_for_ages_is_not_waited_for_that_long");
}

fn lost_answer(case: &mut Case) {
    case.shown(UPLOADS, "a_lost_answer_is_looked_into_before_anything_is_sent_again");
}

fn moving_tag(case: &mut Case) {
    case.shown(FAULTS, "a_tag_that_moves_gives_one_image");
}

fn unknown_types(case: &mut Case) {
    for (what, kind, version) in [
        ("schema 1", "application/vnd.docker.distribution.manifest.v1+prettyjws", 1),
        ("a type from nowhere", "application/vnd.example.nothing+json", 2),
    ] {
        let server = Server::start(move |seen| match seen.path.as_str() {
            "/v2/" => reply(200),
            path if path.ends_with("/manifests/1") => reply(200).with("Content-Type", kind).body(
                json!({"schemaVersion": version, "mediaType": kind, "fsLayers": []}).to_string(),
            ),
            _ => reply(404),
        });
        refused(case, what, &format!("{}/a:1", server.host()), &[], 7);
    }
}
