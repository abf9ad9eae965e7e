//! Who we are at a registry: what `docker login`, `podman login` and `skopeo login` left behind.
//!
//! Files are asked in the order in which skopeo asks them (containers-auth.json(5)); within one, a
//! helper for the registry, then the entry with the longest matching repository prefix, then the
//! file's general store. Nothing is read before a registry wants to know who we are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::address::DOCKER_HUB_KEY;
use super::helper;
use super::identity::{Credentials, Secret};
use crate::codec::checked::read_bounded;
use crate::model::{Error, Result};

/// Bytes of a file of credentials. One entry has a few hundred.
const AUTH_FILE_BYTES: u64 = 4 << 20;

/// Where the environment says that credentials are. Nothing here looks into the environment.
#[derive(Clone, Debug, Default)]
pub struct CredentialPaths {
    /// `REGISTRY_AUTH_FILE`, or what `--authfile` named: then the other files of the containers
    /// world come only after it.
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`; podman keeps `containers/auth.json` there.
    pub runtime_dir: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`; `~/.config` where it is not set.
    pub config_home: Option<PathBuf>,
    /// `DOCKER_CONFIG`, a folder; `~/.docker` where it is not set.
    pub docker_config: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// Where credential helpers are looked for, in the form of `PATH`; the `PATH` of the process
    /// where it is not given.
    pub helper_path: Option<OsString>,
}

impl CredentialPaths {
    fn files(&self) -> Vec<PathBuf> {
        let below = |folder: Option<&PathBuf>, rest: &str| folder.map(|folder| folder.join(rest));
        let config = below(self.config_home.as_ref(), "containers/auth.json")
            .or_else(|| below(self.home.as_ref(), ".config/containers/auth.json"));
        let docker = below(self.docker_config.as_ref(), "config.json")
            .or_else(|| below(self.home.as_ref(), ".docker/config.json"));
        let first = self
            .registry_auth_file
            .clone()
            .or_else(|| below(self.runtime_dir.as_ref(), "containers/auth.json"));
        [first, config, docker].into_iter().flatten().collect()
    }
}

/// Finds credentials. Cheap to clone.
#[derive(Clone, Default)]
pub struct CredentialStore(Arc<Inner>);

#[derive(Default)]
struct Inner {
    given: BTreeMap<String, Credentials>,
    paths: CredentialPaths,
    files: OnceLock<Vec<(PathBuf, AuthFile)>>,
}

impl fmt::Debug for CredentialStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialStore")
            .field("given", &self.0.given)
            .field("paths", &self.0.paths)
            .finish_non_exhaustive()
    }
}

impl CredentialStore {
    /// Knows nobody: every registry is asked anonymously.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Looks where the container tools keep credentials.
    pub fn new(paths: CredentialPaths) -> Self {
        Self::with(BTreeMap::new(), paths)
    }

    /// Looks first among `given`, by the name of the registry (`docker.io`, `h.example:5000`),
    /// then where the container tools keep credentials.
    pub fn with(given: BTreeMap<String, Credentials>, paths: CredentialPaths) -> Self {
        Self(Arc::new(Inner { given, paths, files: OnceLock::new() }))
    }

    /// Who we are at `registry` when it comes to `repository`; `None` for anonymous.
    ///
    /// # Errors
    /// A file that cannot be read, or a helper that fails.
    pub(super) fn find(&self, registry: &str, repository: &str) -> Result<Option<Credentials>> {
        if let Some(given) = self.0.given.get(registry) {
            return Ok(Some(given.clone()));
        }
        let server = if registry == "docker.io" { DOCKER_HUB_KEY } else { registry };
        for (path, file) in self.files()? {
            let helper = |name: &String| {
                helper::get(name, server, self.0.paths.helper_path.as_deref())
                    .map_err(|e| e.context(format!("{} names a helper", path.display())))
            };
            if let Some(name) = file.helper(registry)
                && let Some(found) = helper(name)?
            {
                return Ok(Some(found));
            }
            let entry = file.entry(registry, repository);
            if let Some(found) = entry
                .map(Entry::credentials)
                .transpose()
                .map_err(|e| e.context(format!("{} is not readable", path.display())))?
                .flatten()
            {
                return Ok(Some(found));
            }
            if let Some(name) = file.creds_store.as_ref().filter(|name| !name.is_empty())
                && let Some(found) = helper(name)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn files(&self) -> Result<&[(PathBuf, AuthFile)]> {
        if let Some(files) = self.0.files.get() {
            return Ok(files);
        }
        let mut files = Vec::new();
        for path in self.0.paths.files() {
            if let Some(file) = AuthFile::read(&path)? {
                files.push((path, file));
            }
        }
        Ok(self.0.files.get_or_init(|| files))
    }
}

/// `config.json` of docker, `auth.json` of the containers world.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthFile {
    auths: BTreeMap<String, Entry>,
    #[serde(rename = "credHelpers")]
    cred_helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
}

/// One entry of `auths`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
}

impl AuthFile {
    /// Reads a file; `None` where there is none.
    fn read(path: &Path) -> Result<Option<Self>> {
        let what = || format!("the credentials in {}", path.display());
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(Error::io(format!("cannot read {}", what()), error)),
        };
        let bytes = Zeroizing::new(read_bounded(file, AUTH_FILE_BYTES, &what())?);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        // The parser's own words could quote a secret: only the place is told.
        let parsed = serde_json::from_slice(&bytes).map_err(|e| {
            Error::usage(format!(
                "{} are not readable: line {}, column {}",
                what(),
                e.line(),
                e.column()
            ))
            .hint("sign in again, or move the file away")
        })?;
        Ok(Some(parsed))
    }

    fn helper(&self, registry: &str) -> Option<&String> {
        spellings(registry)
            .into_iter()
            .find_map(|key| self.cred_helpers.get(key))
            .filter(|name| !name.is_empty())
    }

    /// The entry for the longest prefix of `registry/repository`. Keys that old versions of docker
    /// wrote (`https://host/v1/`) count for their host.
    fn entry(&self, registry: &str, repository: &str) -> Option<&Entry> {
        let full = format!("{registry}/{repository}");
        let mut key = full.trim_end_matches('/');
        loop {
            if let Some(entry) = self.auths.get(key).filter(|entry| !entry.is_empty()) {
                return Some(entry);
            }
            match key.rsplit_once('/') {
                Some((shorter, _)) => key = shorter,
                None => break,
            }
        }
        let spellings = spellings(registry);
        let exact = spellings.iter().find_map(|key| self.auths.get(*key).filter(|e| !e.is_empty()));
        exact.or_else(|| {
            self.auths.iter().find_map(|(key, entry)| {
                let named = host_of_url(key).is_some_and(|host| spellings.contains(&host));
                (named && !entry.is_empty()).then_some(entry)
            })
        })
    }
}

/// The host of a key that is written as an address; `None` for any other key.
fn host_of_url(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"))?;
    rest.split('/').next()
}

/// The names under which a registry may be filed.
fn spellings(registry: &str) -> Vec<&str> {
    match registry {
        "docker.io" => vec![DOCKER_HUB_KEY, "docker.io", "index.docker.io", "registry-1.docker.io"],
        other => vec![other],
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        let has = |secret: &Option<Secret>| secret.as_ref().is_some_and(|s| !s.expose().is_empty());
        !has(&self.auth) && !has(&self.password) && !has(&self.identitytoken)
    }

    fn credentials(&self) -> Result<Option<Credentials>> {
        if let Some(token) = self.identitytoken.as_ref().filter(|t| !t.expose().is_empty()) {
            return Ok(Some(Credentials::Identity(token.clone())));
        }
        if let (Some(user), Some(password)) = (&self.username, &self.password)
            && let Some(found) = Credentials::from_pair(user.clone(), password.clone())
        {
            return Ok(Some(found));
        }
        let Some(auth) = &self.auth else { return Ok(None) };
        let bad = || {
            Error::usage("an entry is not base64 of USER:PASSWORD")
                .hint("sign in again with `docker login`")
        };
        // Docker pads with NUL in places, and some tools leave the padding out.
        let text = auth.expose().trim().trim_end_matches('=');
        let bytes = base64::engine::general_purpose::STANDARD_NO_PAD
            .decode(text)
            .map(Zeroizing::new)
            .map_err(|_| bad())?;
        let pair = std::str::from_utf8(&bytes).map_err(|_| bad())?.trim_end_matches('\0');
        let (user, password) = pair.split_once(':').ok_or_else(bad)?;
        Ok(Credentials::from_pair(user.to_owned(), Secret::new(password)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(text: &str) -> (tempfile::TempDir, CredentialStore) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let paths = CredentialPaths {
            docker_config: Some(folder.path().to_owned()),
            ..CredentialPaths::default()
        };
        (folder, CredentialStore::new(paths))
    }

    fn find(text: &str, registry: &str, repository: &str) -> Option<Credentials> {
        let (_folder, store) = store(text);
        store.find(registry, repository).unwrap()
    }

    #[test]
    fn entries_come_in_several_forms() {
        // dXNlcjpwYTpzcw== is user:pa:ss
        let text = r#"{"auths":{
            "a.example":{"auth":"dXNlcjpwYTpzcw=="},
            "b.example":{"username":"user","password":"pa:ss"},
            "c.example":{"auth":"","identitytoken":"refresh"},
            "https://d.example/v1/":{"auth":"dXNlcjpwYTpzcw"},
            "https://index.docker.io/v1/":{"auth":"dXNlcjpwYTpzcw=="},
            "e.example":{}}, "HttpHeaders":{"X":"y"}}"#;
        let pair = Some(Credentials::password("user", "pa:ss"));
        for registry in ["a.example", "b.example", "d.example", "docker.io"] {
            assert_eq!(find(text, registry, "x/y"), pair, "{registry}");
        }
        assert_eq!(
            find(text, "c.example", "x"),
            Some(Credentials::Identity(Secret::new("refresh")))
        );
        for registry in ["e.example", "f.example", "a.example:5000", "example"] {
            assert_eq!(find(text, registry, "x"), None, "{registry}");
        }
    }

    #[test]
    fn the_longest_repository_prefix_wins() {
        // YTpi is a:b, Yzpk is c:d
        let text = r#"{"auths":{"h.example":{"auth":"YTpi"},"h.example/team":{"auth":"Yzpk"}}}"#;
        assert_eq!(find(text, "h.example", "team/app"), Some(Credentials::password("c", "d")));
        assert_eq!(find(text, "h.example", "team"), Some(Credentials::password("c", "d")));
        assert_eq!(find(text, "h.example", "teams/app"), Some(Credentials::password("a", "b")));
    }

    #[test]
    fn files_are_asked_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, auth: &str, host: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#))
                .unwrap();
        };
        write("run/containers/auth.json", "YTpi", "one.example");
        write("home/.config/containers/auth.json", "Yzpk", "one.example");
        write("home/.docker/config.json", "Yzpk", "two.example");
        let store = CredentialStore::new(CredentialPaths {
            runtime_dir: Some(folder.path().join("run")),
            home: Some(folder.path().join("home")),
            ..CredentialPaths::default()
        });
        let found = |host| store.find(host, "x").unwrap();
        assert_eq!(found("one.example"), Some(Credentials::password("a", "b")));
        assert_eq!(found("two.example"), Some(Credentials::password("c", "d")));
        let given = BTreeMap::from([("one.example".into(), Credentials::password("e", "f"))]);
        let store = CredentialStore::with(given, store.0.paths.clone());
        assert_eq!(store.find("one.example", "x").unwrap(), Some(Credentials::password("e", "f")));
    }

    #[test]
    fn what_cannot_be_read_is_named_and_tells_no_secret() {
        for text in [
            r#"{"auths":{"h.example":{"auth":"canary!"}}}"#,
            r#"{"auths":{"h.example":{"auth":"Y2FuYXJ5"}}}"#,
            r#"{"auths":{"h.example":{"auth":["canary"]}}}"#,
            r#"{"auths":{"h.example":"canary"}}"#,
            "canary",
        ] {
            let (folder, store) = store(text);
            let error = store.find("h.example", "x").unwrap_err();
            let said = format!("{error:?} {:?} {store:?}", error.get_hint());
            assert!(said.contains(&folder.path().display().to_string()), "{said}");
            assert!(!said.contains("canary") && !said.contains("Y2Fu"), "{said}");
        }
        assert_eq!(find("", "h.example", "x"), None);
    }

    #[test]
    fn secrets_do_not_print() {
        let given = BTreeMap::from([("h".to_owned(), Credentials::password("user", "canary"))]);
        let store = CredentialStore::with(given, CredentialPaths::default());
        assert!(!format!("{store:?}").contains("canary"));
    }
}
