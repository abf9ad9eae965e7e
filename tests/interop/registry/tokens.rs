//! A real registry that wants real tokens: signed by a token service that is made here, which
//! grants what it is told and nothing else.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use sealift::endpoint::BlobStep;
use sealift::transport::registry::Secret;

use super::*;
use crate::support::mock::{Server, reply};
use crate::support::registry::{TokenService, run};

/// What a repository's user may do, by repository: `pull`, `push`. Those of `*` are for all others.
pub(super) type Rights = HashMap<&'static str, &'static [&'static str]>;

/// How a token service gives tokens.
#[derive(Clone, Copy)]
struct Terms {
    /// Seconds that the registry takes them for.
    lives: u64,
    /// Seconds that the service says.
    says: u64,
    /// Whether those with a wrong password get one too, for nobody.
    to_everybody: bool,
    /// The identity token for those who ask to stay.
    identity: Option<&'static str>,
}

const USUAL: Terms = Terms { lives: 300, says: 300, to_everybody: false, identity: None };

/// The registry takes a token this many seconds longer than it says, for clocks that differ.
const LEEWAY: u64 = 60;

/// A token service in the manner of Docker's (registry token authentication, "Requesting a token").
pub(super) struct Issuer {
    pub(super) server: Server,
    certificate: PathBuf,
    rights: Arc<Mutex<Rights>>,
    terms: Arc<Mutex<Terms>>,
    _folder: tempfile::TempDir,
}

impl Issuer {
    pub(super) fn start(rights: Rights) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
        run(Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=issuer", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate));
        let rights = Arc::new(Mutex::new(rights));
        let terms = Arc::new(Mutex::new(USUAL));
        let (granting, certified) = (Arc::clone(&rights), certificate.clone());
        let current = Arc::clone(&terms);
        let server = Server::start(move |seen| {
            let terms = *current.lock().unwrap();
            let basic = STANDARD.encode("user:canary");
            let is_known = seen.header("authorization") == Some(&format!("Basic {basic}"));
            if !is_known && !terms.to_everybody {
                return reply(401);
            }
            let query = seen.query();
            let granted = grant(&query, &granting.lock().unwrap());
            let subject = if is_known { "user" } else { "" };
            let token = sign(&key, &certified, subject, terms.lives, &granted);
            let mut body = serde_json::json!({"token": token, "expires_in": terms.says});
            if query.iter().any(|(name, value)| name == "offline_token" && value == "true") {
                body["refresh_token"] = terms.identity.into();
            }
            reply(200).body(body.to_string())
        });
        Self { server, certificate, rights, terms, _folder: folder }
    }

    fn set(&self, terms: Terms) {
        *self.terms.lock().unwrap() = terms;
    }

    pub(super) fn service(&self) -> TokenService {
        TokenService {
            realm: format!("http://{}/token", self.server.host()),
            certificate: self.certificate.clone(),
        }
    }
}

/// The part of the wanted scopes that is granted.
fn grant(query: &[(String, String)], rights: &Rights) -> Vec<serde_json::Value> {
    let scopes = query.iter().filter(|(name, _)| name == "scope").map(|(_, scope)| scope);
    scopes
        .filter_map(|scope| {
            let mut parts = scope.split(':');
            let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
            let allowed = rights.get(name).or(rights.get("*")).copied().unwrap_or_default();
            let actions: Vec<&str> =
                actions.split(',').filter(|action| allowed.contains(action)).collect();
            Some(serde_json::json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect()
}

/// A JSON web token as the registry reads it, which it takes for `lives` seconds.
fn sign(
    key: &Path,
    certificate: &Path,
    subject: &str,
    lives: u64,
    access: &[serde_json::Value],
) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let pem = fs::read_to_string(certificate).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let header = serde_json::json!({"typ": "JWT", "alg": "RS256", "x5c": [der]});
    let claims = serde_json::json!({
        "iss": "issuer", "sub": subject, "aud": "test", "jti": now.to_string(),
        "nbf": now - 600, "iat": now, "exp": now + lives - LEEWAY, "access": access,
    });
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signed");
    fs::write(&path, &signed).unwrap();
    let signature =
        run(Command::new("openssl").args(["dgst", "-sha256", "-sign"]).arg(key).arg(path));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn user_of(registry: &Registry) -> Client {
    let given = BTreeMap::from([(registry.host(), Credentials::password("user", "canary"))]);
    let credentials = CredentialStore::with(given, CredentialPaths::default());
    client(Options { credentials, ..Options::default() })
}

#[test]
fn tokens_are_asked_for_what_is_to_be_done() {
    let from = Registry::start();
    let pushed = push(&from, "one");
    pushed.layout.push("image", &format!("{}/two:1", from.host()), &[]);
    let reader = anonymous();
    let sources = ["one", "two"].map(|name| source(&reader, &format!("{}/{name}:1", from.host())));
    let parcels: Vec<Parcel> = sources.iter().map(|source| parcel(source).unwrap()).collect();

    let both: &[&str] = &["pull", "push"];
    let issuer = Issuer::start(HashMap::from([("x/one", both), ("x/two", both)]));
    let to = Registry::start_with(Setup { tokens: Some(issuer.service()), ..Setup::default() });
    let user = user_of(&to);
    let target = RegistryTarget::new(user.clone(), to.host(), "x");
    let plan = target.plan(&parcels).unwrap();
    carry_out(&sources[0], &target, &plan).unwrap();

    // A link between repositories works only with leave for both.
    let accesses = to.accesses_since(0);
    let links: Vec<_> = accesses.iter().filter(|access| access.path.contains("mount=")).collect();
    assert!(!links.is_empty());
    assert!(links.iter().all(|access| access.status == 201), "{links:?}");
    let tokens = issuer.server.seen();
    assert!(tokens.len() < 10, "tokens are kept: {} were asked for", tokens.len());
    assert!(all_present(&target.plan(&parcels).unwrap()));

    // Who may only read, reads.
    issuer.rights.lock().unwrap().insert("x/one", &["pull"]);
    let user = user_of(&to);
    let arrived = parcel(&source(&user, &format!("{}/x/one:1", to.host()))).unwrap();
    assert_eq!(arrived.root.descriptor.digest, pushed.root.digest);
    let mut more = arrived.clone();
    more.root.name = Some("r.example/one:2".parse().unwrap());
    let target = RegistryTarget::new(user, to.host(), "x");
    let plan = target.plan(&[more]).unwrap();
    let error = carry_out(&sources[0], &target, &plan).unwrap_err();
    assert_eq!(error.kind(), Kind::Remote);
    assert!(error.message().contains("401"), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"));
}

#[test]
fn wrong_passwords_are_told_from_missing_ones() {
    let issuer = Issuer::start(Rights::new());
    let registry =
        Registry::start_with(Setup { tokens: Some(issuer.service()), ..Setup::default() });
    let name = format!("{}/app:1", registry.host());
    let given = BTreeMap::from([(registry.host(), Credentials::password("user", "wrong"))]);
    let credentials = CredentialStore::with(given, CredentialPaths::default());
    let wrong = client(Options { credentials, ..Options::default() });
    let error = source(&wrong, &name).roots().unwrap_err();
    assert!(error.message().contains("asked as \"user\", which was not accepted"), "{error:?}");
    assert!(error.get_hint().is_some_and(|hint| hint.contains("the password")), "{error:?}");
    let error = source(&anonymous(), &name).roots().unwrap_err();
    assert!(!error.message().contains("not accepted"), "{error:?}");
    assert!(error.get_hint().is_some_and(|hint| hint.contains("sealift login")), "{error:?}");
}

fn blob_step(descriptor: &Descriptor) -> BlobStep {
    BlobStep {
        descriptor: descriptor.clone(),
        form: Form::Exact,
        bytes: descriptor.size,
        place: "x/app".to_owned(),
        action: Action::Send,
    }
}

#[test]
fn a_push_outlives_its_tokens() {
    let issuer = Issuer::start(HashMap::from([("x/app", &["pull", "push"][..])]));
    let to = Registry::start_with(Setup { tokens: Some(issuer.service()), ..Setup::default() });
    let content = pictures::noise(5, 100_000);
    let descriptor = Descriptor::of("application/octet-stream", &content);
    // Content that takes its time to come: longer than a token lives.
    let slow = |target: &RegistryTarget, content: &[u8]| {
        let descriptor = Descriptor::of("application/octet-stream", content);
        let mut first = true;
        target.put_blob(&blob_step(&descriptor), &mut || {
            if std::mem::take(&mut first) {
                std::thread::sleep(Duration::from_millis(3_100));
            }
            Ok(Box::new(Cursor::new(content.to_vec())))
        })
    };
    let puts = |before: usize| -> Vec<u16> {
        let accesses = to.accesses_since(before);
        accesses.iter().filter(|a| a.method == "PUT").map(|a| a.status).collect()
    };

    // A service that says too much: the registry refuses, and the upload is begun anew.
    issuer.set(Terms { lives: 2, ..USUAL });
    let before = to.accesses().len();
    let target = RegistryTarget::new(user_of(&to), to.host(), "x");
    slow(&target, &content).unwrap();
    assert_eq!(puts(before), [401, 201]);
    // What follows, with a token that has run out meanwhile, is asked twice and not refused.
    std::thread::sleep(Duration::from_millis(3_100));
    target
        .put_blob(&blob_step(&descriptor), &mut || Ok(Box::new(Cursor::new(content.clone()))))
        .unwrap();

    // One that says the truth: a new token is there in time.
    issuer.set(Terms { lives: 2, says: 2, ..USUAL });
    let before = to.accesses().len();
    let target = RegistryTarget::new(user_of(&to), to.host(), "x");
    slow(&target, &pictures::noise(6, 100_000)).unwrap();
    assert_eq!(puts(before), [201]);
}

#[test]
fn a_whole_image_outlives_its_tokens() {
    let from = Registry::start();
    push(&from, "app");
    let issuer = Issuer::start(HashMap::from([("x/app", &["pull", "push"][..])]));
    issuer.set(Terms { lives: 1, ..USUAL });
    let to = Registry::start_with(Setup { tokens: Some(issuer.service()), ..Setup::default() });
    let source = source(&anonymous(), &format!("{}/app:1", from.host()));
    let target = RegistryTarget::new(user_of(&to), to.host(), "x");
    let parcels = [parcel(&source).unwrap()];
    let plan = target.plan(&parcels).unwrap();
    std::thread::sleep(Duration::from_millis(2_100));
    carry_out(&source, &target, &plan).unwrap();
    assert!(all_present(&target.plan(&parcels).unwrap()));
}

#[test]
fn tokens_for_many_repositories_are_asked_for_at_once_and_each_once() {
    const REPOSITORIES: usize = 4;
    // The service answers nobody before as many ask as there are repositories: whoever waits for
    // one token before asking for the next waits for ever, or until this gives up.
    let asking = Arc::new((Mutex::new(0), Condvar::new()));
    let server = Server::start(move |seen| {
        if !seen.query().is_empty() {
            let (count, changed) = &*asking;
            let mut count = count.lock().unwrap();
            *count += 1;
            changed.notify_all();
            let patience = Duration::from_secs(20);
            let (count, late) =
                changed.wait_timeout_while(count, patience, |count| *count < REPOSITORIES).unwrap();
            drop(count);
            return if late.timed_out() { reply(400) } else { reply(200).body(r#"{"token":"t"}"#) };
        }
        match seen.header("authorization") {
            Some(_) => reply(404),
            None => reply(401).with(
                "WWW-Authenticate",
                format!(
                    "Bearer realm=\"http://{}/token\",service=\"s\"",
                    seen.header("host").unwrap()
                ),
            ),
        }
    });
    let client = client(Options { plain_http: true, ..Options::default() });
    std::thread::scope(|scope| {
        for number in 0..REPOSITORIES * 2 {
            let source =
                source(&client, &format!("{}/app{}:1", server.host(), number % REPOSITORIES));
            scope.spawn(move || {
                let error = source.roots().unwrap_err();
                assert!(error.message().contains("is not at registry"), "{error:?}");
            });
        }
    });
    let asked = server.seen().iter().filter(|seen| !seen.query().is_empty()).count();
    assert_eq!(asked, REPOSITORIES, "one token for each repository");
}

#[test]
fn an_identity_token_goes_the_other_way_where_post_is_not_known() {
    for (status, user, pair) in [
        (400, Some("user"), "user:canary"),
        (401, Some("user"), "user:canary"),
        (404, None, "<token>:canary"),
        (405, None, "<token>:canary"),
    ] {
        let basic = format!("Basic {}", STANDARD.encode(pair));
        let server = Server::start(move |seen| {
            let authorization = seen.header("authorization");
            if seen.has_credentials() && !seen.query().is_empty() {
                let right = authorization == Some(&basic);
                return if right { reply(200).body(r#"{"token":"t"}"#) } else { reply(403) };
            }
            match authorization {
                Some(_) => reply(404),
                None if seen.has_credentials() => reply(status),
                None => reply(401).with(
                    "WWW-Authenticate",
                    format!("Bearer realm=\"http://{}/token\"", seen.header("host").unwrap()),
                ),
            }
        });
        let identity =
            Credentials::Identity { user: user.map(str::to_owned), token: Secret::new("canary") };
        let given = BTreeMap::from([(server.host(), identity)]);
        let credentials = CredentialStore::with(given, CredentialPaths::default());
        let client = client(Options { plain_http: true, credentials, ..Options::default() });
        let error = source(&client, &format!("{}/app:1", server.host())).roots().unwrap_err();
        assert!(error.message().contains("is not at registry"), "{status}: {error:?}");
    }
}

#[test]
fn a_sign_in_is_looked_at_before_it_counts() {
    let (right, wrong) =
        (Credentials::password("user", "canary"), Credentials::password("user", "wrong"));
    let issuer = Issuer::start(Rights::new());
    let registry =
        Registry::start_with(Setup { tokens: Some(issuer.service()), ..Setup::default() });
    let client = anonymous();
    let signed_in = client.sign_in(&registry.host(), &right).unwrap();
    assert!(signed_in.checked);
    assert_eq!(signed_in.credentials, right);
    let error = client.sign_in(&registry.host(), &wrong).unwrap_err();
    assert!(error.message().contains("was not accepted"), "{error:?}");

    // Where everybody gets a token, only one for somebody counts.
    issuer.set(Terms { to_everybody: true, ..USUAL });
    client.sign_in(&registry.host(), &right).unwrap();
    let error = client.sign_in(&registry.host(), &wrong).unwrap_err();
    assert!(error.message().contains("a token for nobody"), "{error:?}");
    // A token that the registry itself does not take is none.
    issuer.set(Terms { lives: 0, ..USUAL });
    let error = client.sign_in(&registry.host(), &right).unwrap_err();
    assert!(error.message().contains("401"), "{error:?}");

    // An identity token is kept in place of the password.
    issuer.set(Terms { identity: Some("stay"), ..USUAL });
    let signed_in = client.sign_in(&registry.host(), &right).unwrap();
    let identity = Credentials::Identity { user: Some("user".into()), token: Secret::new("stay") };
    assert_eq!(signed_in.credentials, identity);

    // Who lets everybody in has not looked.
    let open = Registry::start();
    assert!(!client.sign_in(&open.host(), &wrong).unwrap().checked);
    let locked =
        Registry::start_with(Setup { login: Some(("user", "canary")), ..Setup::default() });
    assert!(client.sign_in(&locked.host(), &right).unwrap().checked);
    let error = client.sign_in(&locked.host(), &wrong).unwrap_err();
    assert!(error.message().contains("401") && error.get_hint().is_some(), "{error:?}");
    assert!(!format!("{error:?}").contains("wrong"));
}

#[test]
fn a_sign_in_stays_with_its_registry() {
    let elsewhere = Server::start(|_| reply(200).body(r#"{"token":"t"}"#));
    // The same port on another address of this machine is another host.
    let place = elsewhere.host().replace("127.0.0.1", "localhost");
    let credentials = Credentials::password("user", "canary");
    let realm = format!("Bearer realm=\"http://{place}/token\"");
    let registry = Server::start(move |_| reply(401).with("WWW-Authenticate", realm.clone()));
    let error = anonymous().sign_in(&registry.host(), &credentials).unwrap_err();
    assert!(error.message().contains("does not belong to the registry"), "{error:?}");

    let to = format!("http://{place}/v2/");
    let registry = Server::start(move |seen| match seen.header("authorization") {
        None => reply(401).with("WWW-Authenticate", "Basic realm=x"),
        Some(_) => reply(307).with("Location", to.clone()),
    });
    let error = anonymous().sign_in(&registry.host(), &credentials).unwrap_err();
    assert!(error.message().contains("sends us to"), "{error:?}");
    assert!(elsewhere.seen().iter().all(|seen| !seen.has_credentials()));
}
