//! What speaks against an import is found before anything is sent, at registries of any kind, with
//! few questions and nothing left behind.

use sealift::endpoint::{Finding, Gravity};

use super::faults::{image_parcel, known_at};
use super::*;
use crate::support::mock::{Reply, Seen};

/// The same image under many names.
fn parcels(names: impl Iterator<Item = String>) -> Vec<Parcel> {
    names
        .map(|name| {
            let mut parcel = image_parcel();
            parcel.root.name = Some(name.parse().unwrap());
            parcel
        })
        .collect()
}

fn plan(target: &RegistryTarget, parcels: &[Parcel]) -> Plan {
    target.plan(parcels).unwrap()
}

fn hindrances(plan: &Plan) -> Vec<&Finding> {
    assert!(plan.findings.iter().all(|found| found.gravity == Gravity::Hinders), "{plan:?}");
    plan.hindrances().collect()
}

/// An empty registry that begins any upload.
fn willing(seen: &Seen) -> Reply {
    match (seen.method.as_str(), seen.path.as_str()) {
        (_, "/v2/") => reply(200),
        ("POST", _) => reply(202).with("Location", format!("{}1", seen.path)),
        ("DELETE", _) => reply(204),
        _ => reply(404),
    }
}

#[test]
fn five_hundred_repositories_are_asked_for_in_a_few_questions() {
    let server = Server::start(willing);
    let names = (0..500).map(|n| format!("r.example/team{}/app{n}:1", n % 5));
    let parcels = parcels(names);
    let target = RegistryTarget::new(known_at(&[]), server.host(), "mirror");
    assert_eq!(hindrances(&plan(&target, &parcels)), Vec::<&Finding>::new());
    let begun = server.count("POST", "/blobs/uploads/");
    assert_eq!((begun, server.count("DELETE", "/blobs/uploads/1")), (5, 5), "one for each path");

    // Where nobody is let in, hardly anything is asked at all.
    let server = Server::start(|_| reply(401).with("WWW-Authenticate", "Basic realm=\"x\""));
    let target = RegistryTarget::new(known_at(&[]), server.host(), "mirror");
    let plan = plan(&target, &parcels);
    let found = hindrances(&plan);
    let host = server.host();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].what,
        format!(
            "nobody is signed in to {host}, as it wants for {host}/mirror/team0, {host}/mirror/team1, {host}/mirror/team2 and 2 more"
        )
    );
    assert!(found[0].advice.contains("sign in with"), "{found:?}");
    assert!(server.seen().len() < 100, "{} requests", server.seen().len());
}

#[test]
fn a_wrong_password_is_told_from_a_missing_right() {
    let login = Some(("user", "canary"));
    let registry = Registry::start_with(Setup { login, ..Setup::default() });
    let as_somebody = |password: &str| {
        let given = BTreeMap::from([(registry.host(), Credentials::password("user", password))]);
        let credentials = CredentialStore::with(given, CredentialPaths::default());
        RegistryTarget::new(
            client(Options { credentials, ..Options::default() }),
            registry.host(),
            "",
        )
    };
    let parcels = [image_parcel()];
    assert_eq!(hindrances(&plan(&as_somebody("canary"), &parcels)), Vec::<&Finding>::new());
    let plan_of_wrong = plan(&as_somebody("canary-wrong"), &parcels);
    let found = hindrances(&plan_of_wrong);
    assert_eq!(found.len(), 1, "{found:?}");
    let host = registry.host();
    let expected = format!("{host} did not accept the sign-in: asked as \"user\"");
    assert_eq!(found[0].what, expected);
    assert!(!format!("{found:?}").contains("canary"));

    let server = Server::start(|seen| match (seen.method.as_str(), &*seen.path) {
        ("POST", _) => reply(403).body(r#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
        _ => willing(seen),
    });
    let target = RegistryTarget::new(known_at(&[server.host()]), server.host(), "mirror");
    let plan = plan(&target, &parcels);
    let found = hindrances(&plan);
    let host = server.host();
    assert_eq!(found[0].what, format!("user may not push to {host}/mirror (403 Forbidden)"));
}

#[test]
fn a_mirror_takes_nothing_and_a_registry_that_has_all_is_asked_nothing() {
    let server = Server::start(|seen| match (seen.method.as_str(), &*seen.path) {
        ("POST", _) => {
            reply(405).body(r#"{"errors":[{"code":"UNSUPPORTED","message":"unsupported"}]}"#)
        }
        _ => willing(seen),
    });
    let target = RegistryTarget::new(known_at(&[]), server.host(), "mirror");
    let plan_of_mirror = plan(&target, &[image_parcel()]);
    let found = hindrances(&plan_of_mirror);
    let host = server.host();
    let expected =
        format!("{host}/mirror takes no push (405 Method Not Allowed): UNSUPPORTED: unsupported");
    assert_eq!((found.len(), &found[0].what), (1, &expected));
    assert!(found[0].advice.contains("mirror"), "{found:?}");

    let (from, to) = (Registry::start(), Registry::start());
    push_image(&from);
    let client = anonymous();
    let source = source(&client, &format!("{}/app:1", from.host()));
    let parcel = parcel(&source).unwrap();
    let target = RegistryTarget::new(client.clone(), to.host(), "");
    carry_out(&source, &target, &plan(&target, std::slice::from_ref(&parcel))).unwrap();
    let before = to.accesses_since(0).len();
    assert!(all_present(&plan(&target, &[parcel])));
    let asked = to.accesses_since(before);
    assert!(asked.iter().all(|access| access.method == "HEAD"), "{asked:?}");
}

#[test]
fn what_is_begun_to_find_out_is_not_left_behind() {
    let registry = Registry::start();
    let target = RegistryTarget::new(anonymous(), registry.host(), "mirror");
    plan(&target, &[image_parcel()]);
    let asked = registry.accesses_since(0);
    assert!(asked.iter().any(|access| access.method == "DELETE" && access.status == 204));
    assert!(crate::support::judge::repositories(&registry).is_empty());
}
