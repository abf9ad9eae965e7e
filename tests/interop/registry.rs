//! The registry transport against docker-registry and skopeo, and against servers that misbehave.

#[path = "registry/downloads.rs"]
mod downloads;
#[path = "registry/faults.rs"]
mod faults;
#[path = "registry/lines.rs"]
mod lines;
#[path = "registry/preflight.rs"]
mod preflight;
#[path = "registry/tokens.rs"]
mod tokens;
#[path = "registry/uploads.rs"]
mod uploads;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use sealift::codec::checked::VerifiedReader;
use sealift::endpoint::{
    Action, AttachmentKind, Form, Parcel, Plan, Satellite, Source, Target, read_small,
};
use sealift::model::{Descriptor, Error, Graph, Kind, limits};
use sealift::transport::registry::{
    Client, CredentialPaths, CredentialStore, Credentials, Options, Patience, RegistrySource,
    RegistryTarget,
};

use crate::support::mock::{Server, reply};
use crate::support::pictures::{self, Layout, push, push_image, raw};
use crate::support::registry::{Registry, Setup, run};

fn client(options: Options) -> Client {
    Client::new(options).unwrap()
}

fn anonymous() -> Client {
    client(Options::default())
}

fn source(client: &Client, name: &str) -> RegistrySource {
    RegistrySource::new(client.clone(), name.parse().unwrap())
}

fn walk(source: &RegistrySource, root: &Descriptor) -> Result<Graph, Error> {
    Graph::walk(root, &mut |wanted| read_small(source, wanted, limits::MANIFEST_BYTES))
}

/// The image and what is attached to its root.
fn parcel(source: &RegistrySource) -> Result<Parcel, Error> {
    let root = source.roots()?.remove(0);
    let graph = walk(source, &root.descriptor)?;
    let satellites = source
        .attachments(&root.descriptor)?
        .into_iter()
        .map(|attachment| {
            let graph = walk(source, &attachment.descriptor)?;
            Ok(Satellite { kind: attachment.kind, subject: attachment.subject, graph })
        })
        .collect::<Result<_, Error>>()?;
    Ok(Parcel { root, graph, satellites, plain: Vec::new(), assigned: None })
}

fn content(source: &RegistrySource, blob: &Descriptor) -> Result<Arc<[u8]>, Error> {
    read_small(source, blob, 1 << 30)
}

/// Carries a plan out as `operation::copy` does: what is sent, what is linked, manifests, tags.
fn carry_out(source: &RegistrySource, target: &RegistryTarget, plan: &Plan) -> Result<(), Error> {
    target.begin(plan)?;
    let put = |step: &sealift::endpoint::BlobStep| {
        let bytes = content(source, &step.descriptor)?;
        target.put_blob(step, &mut || {
            let reader = Cursor::new(Arc::clone(&bytes));
            let (digest, size) = (step.descriptor.digest, step.descriptor.size);
            Ok(Box::new(VerifiedReader::new(reader, digest, size, "test")))
        })
    };
    let sent: Vec<_> = plan.blobs.iter().filter(|step| step.action == Action::Send).collect();
    for steps in sent.chunks(target.lanes()) {
        std::thread::scope(|scope| {
            let lanes: Vec<_> = steps.iter().map(|step| scope.spawn(|| put(step))).collect();
            lanes.into_iter().try_for_each(|lane| lane.join().unwrap())
        })?;
    }
    for step in plan.blobs.iter().filter(|step| matches!(step.action, Action::Mount { .. })) {
        if !target.mount(step)? {
            put(step)?;
        }
    }
    for step in plan.manifests.iter().filter(|step| step.action == Action::Send) {
        target.put_manifest(step)?;
    }
    for step in plan.tags.iter().filter(|step| step.action == Action::Send) {
        target.put_tag(step)?;
    }
    target.finish(plan)
}

fn all_present(plan: &Plan) -> bool {
    plan.blobs.iter().all(|step| step.action == Action::Present)
        && plan.manifests.iter().all(|step| step.action == Action::Present)
        && plan.tags.iter().all(|step| step.action == Action::Present)
}

#[test]
fn an_image_and_what_is_attached_to_it_arrive_byte_for_byte() {
    let (from, to) = (Registry::start(), Registry::start());
    let pushed = push(&from, "team/app");
    let client = anonymous();
    let source = source(&client, &format!("{}/team/app:1", from.host()));
    let target = RegistryTarget::new(client.clone(), to.host(), "mirror");

    let parcel = parcel(&source).unwrap();
    assert_eq!(parcel.root.descriptor.digest, pushed.root.digest);
    let kinds: Vec<_> = parcel.satellites.iter().map(|satellite| &satellite.kind).collect();
    assert_eq!(
        kinds,
        [
            &AttachmentKind::FallbackIndex(pushed.referrers_tag.clone()),
            &AttachmentKind::Tag(pushed.signature_tag.clone()),
        ]
    );
    let plan = target.plan(std::slice::from_ref(&parcel)).unwrap();
    assert!(plan.blobs.iter().all(|step| step.action == Action::Send), "{plan:?}");
    assert_eq!(plan.arrivals[0].target, format!("{}/mirror/team/app:1", to.host()));
    let asked = to.accesses_since(1);
    assert_eq!(crate::round_trip::changes(&asked), Vec::<&_>::new(), "a plan changes nothing");
    let heads = asked.iter().filter(|access| access.path.contains("/blobs/sha256:")).count();
    assert_eq!(heads, plan.blobs.len(), "each blob is asked for once");
    carry_out(&source, &target, &plan).unwrap();

    for tag in ["1", &pushed.referrers_tag, &pushed.signature_tag] {
        let name = |registry: &Registry, path| format!("{}/{path}:{tag}", registry.host());
        assert_eq!(raw(&name(&from, "team/app")), raw(&name(&to, "mirror/team/app")), "{tag}");
    }
    // Nothing was sent twice.
    let mut puts: Vec<_> = to
        .accesses_since(0)
        .into_iter()
        .filter(|access| access.method == "PUT")
        .map(|access| match access.path.split_once("digest=") {
            Some((_, digest)) => digest.to_owned(),
            None => access.path,
        })
        .collect();
    let count = puts.len();
    puts.sort();
    puts.dedup();
    assert_eq!(puts.len(), count, "{puts:?}");

    // A second run finds everything in place and only asks.
    let before = to.accesses().len();
    let again = RegistryTarget::new(anonymous(), to.host(), "mirror");
    let plan = again.plan(&[parcel]).unwrap();
    assert!(all_present(&plan), "{plan:?}");
    carry_out(&source, &again, &plan).unwrap();
    let asked = to.accesses_since(before);
    assert!(
        asked.iter().all(|access| matches!(access.method.as_str(), "HEAD" | "GET")),
        "{asked:?}"
    );
}

#[test]
fn every_manifest_is_read_once() {
    let registry = Registry::start();
    let pushed = push(&registry, "app");
    let before = registry.accesses().len();
    let client = anonymous();
    let source = source(&client, &format!("{}/app:1@{}", registry.host(), pushed.root.digest));
    assert_eq!(source.roots().unwrap()[0].name.as_ref().unwrap().tag(), Some("1"));
    let first = walk(&source, &source.roots().unwrap()[0].descriptor).unwrap();
    walk(&source, &pushed.root).unwrap();
    let reads = registry.accesses_since(before);
    let reads = reads.iter().filter(|access| access.path.contains("/manifests/")).count();
    assert_eq!((first.nodes.len(), reads), (3, 3));
}

#[test]
fn blobs_are_linked_between_repositories() {
    let (from, to) = (Registry::start(), Registry::start());
    let pushed = push(&from, "one");
    pushed.layout.push("image", &format!("{}/two:1", from.host()), &[]);
    let client = anonymous();
    let sources = ["one", "two"].map(|name| source(&client, &format!("{}/{name}:1", from.host())));
    let parcels: Vec<Parcel> = sources.iter().map(|source| parcel(source).unwrap()).collect();
    let target = RegistryTarget::new(client, to.host(), "");
    let plan = target.plan(&parcels).unwrap();
    let linked = plan
        .blobs
        .iter()
        .filter(|step| step.action == Action::Mount { from: "one".to_owned() })
        .collect::<Vec<_>>();
    assert!(linked.iter().any(|step| step.descriptor.digest == pushed.shared_layer.digest));
    target.begin(&plan).unwrap();
    let nobody: Action = Action::Mount { from: "nobody".into() };
    let mut unlucky = linked[0].clone();
    unlucky.action = nobody;
    assert!(!target.mount(&unlucky).unwrap(), "what is not there cannot be linked");
    carry_out(&sources[0], &target, &plan).unwrap();
    assert_eq!(raw(&format!("{}/two:1", to.host())), raw(&format!("{}/one:1", from.host())));
    let accesses = to.accesses_since(0);
    let uploads = accesses
        .iter()
        .filter(|access| access.method == "PUT" && access.path.contains("/two/blobs/"));
    assert_eq!(uploads.count(), 0, "everything was linked: {accesses:?}");
    assert!(
        accesses.iter().any(|access| access.method == "DELETE" && access.status == 204),
        "the session that came instead of a link was closed"
    );
    assert!(all_present(&target.plan(&parcels).unwrap()));
}

#[test]
fn referrers_are_listed_where_the_registry_lists_none() {
    let (from, to) = (Registry::start(), Registry::start());
    let pushed = push(&from, "app");
    let client = anonymous();
    let source = source(&client, &format!("{}/app:1", from.host()));
    let mut parcel = parcel(&source).unwrap();
    // As if the source listed referrers itself: there is no list that could be carried.
    let graph = walk(&source, &pushed.referrer).unwrap();
    let (kind, subject) = (AttachmentKind::Referrer, pushed.root.digest);
    parcel.satellites = vec![Satellite { kind, subject, graph }];
    let target = RegistryTarget::new(client.clone(), to.host(), "");
    let parcels = [parcel];
    let plan = target.plan(&parcels).unwrap();
    carry_out(&source, &target, &plan).unwrap();

    let list = format!("{}/app:{}", to.host(), pushed.referrers_tag);
    let index: serde_json::Value = serde_json::from_slice(&raw(&list)).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");
    assert_eq!(index["manifests"][0]["digest"], pushed.referrer.digest.to_string());
    assert_eq!(index["manifests"][0]["artifactType"], "application/spdx+json");
    assert_eq!(index["manifests"][0]["annotations"]["made"], "by hand");

    let before = to.accesses().len();
    let plan = target.plan(&parcels).unwrap();
    carry_out(&source, &target, &plan).unwrap();
    assert!(to.accesses_since(before).iter().all(|access| access.method != "PUT"));
    // An interrupted run is made whole by the next one.
    let arrived = RegistrySource::new(client, list.parse().unwrap());
    let found = arrived.attachments(&pushed.root).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, AttachmentKind::FallbackIndex(pushed.referrers_tag.clone()));
}

#[test]
fn what_a_tag_pointed_to_is_told_before_it_moves() {
    let (from, to) = (Registry::start(), Registry::start());
    let pushed = push(&from, "app");
    let mut layout = Layout::new();
    let other = layout.add_image("amd64", &[layout.add(&pushed.shared_layer.media_type, b"x")]);
    layout.name("other", &other);
    layout.push("other", &format!("{}/app:1", to.host()), &[]);
    let client = anonymous();
    let source = source(&client, &format!("{}/app:1", from.host()));
    let target = RegistryTarget::new(client, to.host(), "");
    let plan = target.plan(&[parcel(&source).unwrap()]).unwrap();
    let tag = plan.tags.iter().find(|step| step.name.tag() == Some("1")).unwrap();
    assert_eq!((tag.replaces, &tag.action), (Some(other.digest), &Action::Send));
    carry_out(&source, &target, &plan).unwrap();
    assert_eq!(raw(&format!("{}/app:1", to.host())), raw(&format!("{}/app:1", from.host())));
}

#[test]
fn bad_content_never_becomes_a_blob() {
    let to = Registry::start();
    let target = RegistryTarget::new(anonymous(), to.host(), "");
    let good = pictures::noise(7, 300_000);
    let mut bad = good.clone();
    bad[299_999] ^= 1;
    let descriptor = Descriptor::of("x", &good);
    let step = sealift::endpoint::BlobStep {
        form: Form::Exact,
        bytes: descriptor.size,
        place: "app".into(),
        action: Action::Send,
        descriptor: descriptor.clone(),
    };
    let mut opened = 0;
    let error = target
        .put_blob(&step, &mut || {
            opened += 1;
            let reader = Cursor::new(bad.clone());
            Ok(Box::new(VerifiedReader::new(reader, descriptor.digest, descriptor.size, "stick")))
        })
        .unwrap_err();
    assert_eq!((error.kind(), opened), (Kind::Damaged, 1), "{error:?}");
    assert!(error.message().contains("stick"), "{error:?}");
    let name = format!("{}/app:1", to.host());
    let reader = source(&anonymous(), &name);
    assert!(reader.open(&descriptor, Form::Exact).is_err(), "it became a blob");
    // The same step works with the right bytes, and an empty blob is a blob like any other.
    for content in [good, Vec::new()] {
        let descriptor = Descriptor::of("x", &content);
        let step = sealift::endpoint::BlobStep { descriptor: descriptor.clone(), ..step.clone() };
        target.put_blob(&step, &mut || Ok(Box::new(Cursor::new(content.clone())))).unwrap();
        let mut read = Vec::new();
        reader.open(&descriptor, Form::Exact).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, content);
    }
}

fn config_file(folder: &Path, text: &str) -> CredentialPaths {
    std::fs::write(folder.join("config.json"), text).unwrap();
    CredentialPaths {
        docker_config: Some(folder.to_owned()),
        helper_path: Some(folder.as_os_str().to_owned()),
        ..CredentialPaths::default()
    }
}

fn with_paths(paths: CredentialPaths) -> Client {
    client(Options { credentials: CredentialStore::new(paths), ..Options::default() })
}

#[test]
fn a_registry_with_passwords_takes_what_docker_login_left() {
    let registry =
        Registry::start_with(Setup { login: Some(("user", "pa:ss")), ..Setup::default() });
    let host = registry.host();
    let pushed = push(&registry, "app");
    let name = format!("{host}/app:1");

    let error = source(&anonymous(), &name).roots().unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.message().contains("401"), "{error:?}");
    assert_eq!(
        error.get_hint(),
        Some(&*format!("sign in with `sealift login {host}`, as somebody who may do this"))
    );

    let folder = tempfile::tempdir().unwrap();
    // dXNlcjpwYTpzcw== is user:pa:ss
    let text = format!(r#"{{"auths":{{"{host}":{{"auth":"dXNlcjpwYTpzcw=="}}}}}}"#);
    let signed_in = with_paths(config_file(folder.path(), &text));
    let found = parcel(&source(&signed_in, &name)).unwrap();
    assert_eq!(found.root.descriptor.digest, pushed.root.digest);
    // The same client writes.
    let target = RegistryTarget::new(signed_in.clone(), host.clone(), "copy");
    let plan = target.plan(&[found]).unwrap();
    carry_out(&source(&signed_in, &name), &target, &plan).unwrap();

    let given = BTreeMap::from([(host.clone(), Credentials::password("user", "canary"))]);
    let credentials = CredentialStore::with(given, CredentialPaths::default());
    let wrong = client(Options { credentials, ..Options::default() });
    let error = source(&wrong, &name).roots().unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(!format!("{error:?} {wrong:?}").contains("canary"));
}

#[test]
fn a_credential_helper_is_asked() {
    let registry =
        Registry::start_with(Setup { login: Some(("user", "pass")), ..Setup::default() });
    let host = registry.host();
    push(&registry, "app");
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "#!/bin/sh\nread server\necho \"$1 $server\" >> {}\necho '{{\"Username\":\"user\",\"Secret\":\"pass\"}}'\n",
        folder.path().join("asked").display()
    );
    let text = folder.path().join("text");
    std::fs::write(&text, script).unwrap();
    // Made by another process: what a child forked by some other test may hold open for writing
    // cannot be run.
    let helper = folder.path().join("docker-credential-test");
    run(Command::new("install").args(["-m", "755"]).arg(text).arg(helper));
    for text in [
        format!(r#"{{"credHelpers":{{"{host}":"test"}}}}"#),
        format!(r#"{{"auths":{{"{host}":{{}}}},"credsStore":"test"}}"#),
    ] {
        let client = with_paths(config_file(folder.path(), &text));
        source(&client, &format!("{host}/app:1")).roots().unwrap();
    }
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    assert_eq!(asked, format!("get {host}\nget {host}\n"), "once for each client");
    let text = format!(r#"{{"credHelpers":{{"{host}":"missing"}}}}"#);
    let client = with_paths(config_file(folder.path(), &text));
    let error = source(&client, &format!("{host}/app:1")).roots().unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.chain().contains("docker-credential-missing"), "{error:?}");
}

#[test]
fn a_registry_with_an_authority_of_its_own_needs_its_certificate() {
    let registry = Registry::start_with(Setup { tls: true, ..Setup::default() });
    assert!(registry.url().starts_with("https://"));
    let pushed = push(&registry, "app");
    let name = format!("{}/app:1", registry.host());

    let error = source(&anonymous(), &name).roots().unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.get_hint().is_some_and(|hint| hint.contains("--ca-file")), "{error:?}");

    let untrusting = client(Options { plain_http: true, ..Options::default() });
    let error = source(&untrusting, &name).roots().unwrap_err();
    assert!(error.get_hint().is_some_and(|hint| hint.contains("--plain-http")), "{error:?}");

    let trusting = client(Options { ca_files: registry.ca_files(), ..Options::default() });
    let source = source(&trusting, &name);
    let found = parcel(&source).unwrap();
    assert_eq!(found.root.descriptor.digest, pushed.root.digest);
    let target = RegistryTarget::new(trusting.clone(), registry.host(), "copy");
    let plan = target.plan(&[found]).unwrap();
    carry_out(&source, &target, &plan).unwrap();
    assert_eq!(raw(&name), raw(&format!("{}/copy/app:1", registry.host())));
}

#[test]
fn what_is_not_there_is_said_with_a_hint() {
    let registry = Registry::start();
    let quick =
        Options { patience: Patience { attempts: 2, ..Patience::default() }, ..Options::default() };
    let missing = source(&anonymous(), &format!("{}/no/such:1", registry.host()));
    let error = missing.roots().unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.message().contains("no/such:1"), "{error:?}");
    assert!(error.get_hint().is_some_and(|hint| hint.contains("check the name")), "{error:?}");
    let host = registry.host();
    drop(registry);
    let error = source(&client(quick), &format!("{host}/app:1")).roots().unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.chain().contains("refused"), "{error:?}");
    assert!(error.get_hint().is_some_and(|hint| hint.contains(&host)), "{error:?}");
}

#[test]
fn storage_behind_a_redirect_is_asked_without_authorization_and_only_over_tls() {
    let login = Some(("user", "pass"));
    let storage = Server::start(|_| reply(404));
    let redirect = Some(format!("http://{}/", storage.host()));
    let signed_in = |registry: &Registry| {
        let given = BTreeMap::from([(registry.host(), Credentials::password("user", "pass"))]);
        let credentials = CredentialStore::with(given, CredentialPaths::default());
        client(Options { credentials, ca_files: registry.ca_files(), ..Options::default() })
    };

    let plain =
        Registry::start_with(Setup { login, redirect: redirect.clone(), ..Setup::default() });
    let layer = push_image(&plain);
    let source_of =
        |registry: &Registry| source(&signed_in(registry), &format!("{}/app:1", registry.host()));
    let error = content(&source_of(&plain), &layer).unwrap_err();
    assert!(error.message().contains(&format!("{}, to which", storage.host())), "{error:?}");
    assert_eq!(storage.seen().len(), 1);
    assert!(!storage.seen()[0].has_credentials(), "{:?}", storage.seen());
    // What it has, it has, wherever it lies.
    let target = RegistryTarget::new(signed_in(&plain), plain.host(), "");
    assert!(all_present(&target.plan(&[parcel(&source_of(&plain)).unwrap()]).unwrap()));

    let secure = Registry::start_with(Setup { login, redirect, tls: true, ..Setup::default() });
    let layer = push_image(&secure);
    let error = content(&source_of(&secure), &layer).unwrap_err();
    assert!(error.message().contains("not encrypted"), "{error:?}");
    assert_eq!(storage.seen().len(), 1, "nothing more was asked of it");
}
