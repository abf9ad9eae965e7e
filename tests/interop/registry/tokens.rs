//! A real registry that wants real tokens: signed by a token service that is made here, which
//! grants what it is told and nothing else.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;
use crate::support::mock::{Server, reply};
use crate::support::registry::{TokenService, run};

/// What a repository's user may do, by repository: `pull`, `push`. Those of `*` are for all others.
pub(super) type Rights = HashMap<&'static str, &'static [&'static str]>;

/// A token service in the manner of Docker's (registry token authentication, "Requesting a token").
pub(super) struct Issuer {
    pub(super) server: Server,
    certificate: PathBuf,
    rights: Arc<Mutex<Rights>>,
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
        let (granting, certified) = (Arc::clone(&rights), certificate.clone());
        let server = Server::start(move |seen| {
            let basic = STANDARD.encode("user:canary");
            if seen.header("authorization") != Some(&format!("Basic {basic}")) {
                return reply(401);
            }
            let query = seen.query();
            let granted = grant(&query, &granting.lock().unwrap());
            let token = sign(&key, &certified, &granted);
            reply(200).body(serde_json::json!({"token": token, "expires_in": 300}).to_string())
        });
        Self { server, certificate, rights, _folder: folder }
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

/// A JSON web token as the registry reads it.
fn sign(key: &Path, certificate: &Path, access: &[serde_json::Value]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let pem = fs::read_to_string(certificate).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let header = serde_json::json!({"typ": "JWT", "alg": "RS256", "x5c": [der]});
    let claims = serde_json::json!({
        "iss": "issuer", "sub": "user", "aud": "test", "jti": now.to_string(),
        "nbf": now - 60, "iat": now, "exp": now + 300, "access": access,
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
    assert!(error.message().contains("the credentials of \"user\" were not accepted"), "{error:?}");
    assert!(error.get_hint().is_some_and(|hint| hint.contains("docker login")), "{error:?}");
    let error = source(&anonymous(), &name).roots().unwrap_err();
    assert!(!error.message().contains("not accepted"), "{error:?}");
    assert!(error.get_hint().is_some_and(|hint| hint.contains("docker login")), "{error:?}");
}
