//! Registries that lie, dawdle or lead astray.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::support::mock::{Reply, Seen, Server, reply};
use sealift::model::Digest;
use sealift::model::manifest::media;

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

pub(super) fn hasty() -> Patience {
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
