//! Who we are at a registry: what `sealift login`, `docker login`, `podman login` and `skopeo
//! login` left behind.
//!
//! Nothing is read before a registry wants to know who we are; then each file is read once, and
//! each helper is run once for each registry.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::auth_file::{AuthFile, Helper};
use super::helper;
use super::paths::{CredentialPaths, Place};
use crate::model::Result;
use crate::transport::registry::address::file_key;
use crate::transport::registry::identity::{Credentials, Found, Whom};

/// Finds credentials. Cheap to clone.
#[derive(Clone, Default)]
pub struct CredentialStore(Arc<Inner>);

/// What a helper answered; `None` before it was asked.
type Answer = Arc<Mutex<Option<Option<Credentials>>>>;

#[derive(Default)]
struct Inner {
    given: BTreeMap<String, Credentials>,
    paths: CredentialPaths,
    files: OnceLock<Vec<(Place, AuthFile)>>,
    /// By helper and registry. A helper is slow, and may ask a person.
    answers: Mutex<HashMap<(String, String), Answer>>,
}

impl fmt::Debug for CredentialStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialStore")
            .field("given", &self.0.given)
            .field("paths", &self.0.paths)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        Self(Arc::new(Inner { given, paths, ..Inner::default() }))
    }

    /// Which place says who we are at `registry`, for messages; `None` where none does.
    ///
    /// # Errors
    /// A file that cannot be read, or a helper that fails.
    pub fn locate(&self, registry: &str) -> Result<Option<String>> {
        Ok(self.find(registry, "")?.and_then(|found| found.origin))
    }

    /// As whom a registry is asked when it comes to `repository`, for messages. `None` where that
    /// cannot be found out, which was told then.
    pub(in crate::transport::registry) fn whom(
        &self,
        registry: &str,
        repository: &str,
    ) -> Option<Whom> {
        Some(match self.find(registry, repository).ok()? {
            Some(found) => Whom::of(&found),
            None => Whom::Nobody { looked: self.looked() },
        })
    }

    /// The places that were looked into.
    fn looked(&self) -> String {
        if let Some(files) = self.files().ok().filter(|files| !files.is_empty()) {
            let names: Vec<String> = files.iter().map(|(place, _)| place.to_string()).collect();
            return format!("looked into {}", names.join(", "));
        }
        let names: Vec<String> = self.0.paths.places().iter().map(ToString::to_string).collect();
        match names.len() {
            0 => "no place to look into is known".to_owned(),
            1 => format!("there is no {}", names.join(", ")),
            _ => format!("there is none of {}", names.join(", ")),
        }
    }

    /// Who we are at `registry` when it comes to `repository`; `None` for anonymous.
    ///
    /// # Errors
    /// A file that cannot be read, or a helper that fails.
    pub(in crate::transport::registry) fn find(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Found>> {
        if let Some(given) = self.0.given.get(registry) {
            return Ok(Some(Found { credentials: given.clone(), origin: None }));
        }
        for (place, file) in self.files()? {
            let place = place.to_string();
            let unreadable = |e: crate::model::Error| e.context(format!("{place} is not readable"));
            let helper = file.helper(registry);
            if let Helper::Own(name) = helper {
                // Whoever names a program for a registry wants no other answer.
                match self.ask(name, registry, &place)? {
                    Some(found) => return Ok(Some(found)),
                    None => continue,
                }
            }
            if let Some(found) = file.of_repository(registry, repository).map_err(unreadable)? {
                return Ok(Some(Found { credentials: found, origin: Some(place) }));
            }
            if let Helper::General(name) = helper
                && let Some(found) = self.ask(name, registry, &place)?
            {
                return Ok(Some(found));
            }
            if let Some(found) = file.of_registry(registry).map_err(unreadable)? {
                return Ok(Some(Found { credentials: found, origin: Some(place) }));
            }
        }
        Ok(None)
    }

    fn ask(&self, name: &str, registry: &str, place: &str) -> Result<Option<Found>> {
        let key = (name.to_owned(), registry.to_owned());
        let answer = Arc::clone(lock(&self.0.answers).entry(key).or_default());
        // Held while it runs: who asks about the same registry waits, others do not.
        let mut answer = lock(&answer);
        let credentials = if let Some(known) = &*answer {
            known.clone()
        } else {
            let path = self.0.paths.helper_path.as_deref();
            let found = helper::get(name, file_key(registry), path)
                .map_err(|e| e.context(format!("{place} names a credential helper")))?;
            answer.insert(found).clone()
        };
        let origin = || format!("docker-credential-{name}, named in {place}");
        Ok(credentials.map(|credentials| Found { credentials, origin: Some(origin()) }))
    }

    fn files(&self) -> Result<&[(Place, AuthFile)]> {
        if let Some(files) = self.0.files.get() {
            return Ok(files);
        }
        let mut files = Vec::new();
        for place in self.0.paths.places() {
            if let Some(file) = AuthFile::of_place(&place)? {
                files.push((place, file));
            }
        }
        Ok(self.0.files.get_or_init(|| files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::registry::identity::Secret;

    fn store(text: &str) -> (tempfile::TempDir, CredentialStore) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let paths = CredentialPaths {
            docker_config: Some(folder.path().to_owned()),
            ..CredentialPaths::default()
        };
        (folder, CredentialStore::new(paths))
    }

    fn at(store: &CredentialStore, registry: &str, repository: &str) -> Option<Credentials> {
        store.find(registry, repository).unwrap().map(|found| found.credentials)
    }

    fn find(text: &str, registry: &str, repository: &str) -> Option<Credentials> {
        let (_folder, store) = store(text);
        at(&store, registry, repository)
    }

    #[test]
    fn entries_come_in_several_forms() {
        // dXNlcjpwYTpzcw== is user:pa:ss, dXNlcjpwYTpzcwAAAA== the same and three NUL, dXNlcjo= user:
        let text = r#"{"auths":{
            "a.example":{"auth":"dXNlcjpwYTpzcw=="},
            "b.example":{"username":"user","password":"pa:ss"},
            "c.example":{"auth":"","identitytoken":"refresh"},
            "https://d.example/v1/":{"auth":"dXNlcjpwYTpzcw"},
            "https://index.docker.io/v1/":{"auth":"dXNlcjpwYTpzcw=="},
            "e.example":{},
            "f.example":{"auth":"dXNlcjpwYTpzcwAAAA=="},
            "g.example":{"auth":"dXNlcjo=","identitytoken":"refresh"}}, "HttpHeaders":{"X":"y"}}"#;
        let pair = Some(Credentials::password("user", "pa:ss"));
        for registry in ["a.example", "b.example", "d.example", "docker.io", "f.example"] {
            assert_eq!(find(text, registry, "x/y"), pair, "{registry}");
        }
        assert_eq!(find(text, "c.example", "x"), Some(Credentials::identity("refresh")));
        let named =
            Credentials::Identity { user: Some("user".into()), token: Secret::new("refresh") };
        assert_eq!(find(text, "g.example", "x"), Some(named));
        for registry in ["e.example", "h.example", "a.example:5000", "example"] {
            assert_eq!(find(text, registry, "x"), None, "{registry}");
        }
        assert_eq!(find(r#"{"auths":null,"credHelpers":null}"#, "h", "x"), None);
    }

    #[test]
    fn the_longest_repository_prefix_wins() {
        // YTpi is a:b, Yzpk is c:d
        let text = r#"{"auths":{"h.example":{"auth":"YTpi"},"h.example/team":{"auth":"Yzpk"},
            "docker.io/library":{"auth":"Yzpk"},"index.docker.io":{"auth":"YTpi"}}}"#;
        let (ab, cd) = (Credentials::password("a", "b"), Credentials::password("c", "d"));
        for (registry, repository, wanted) in [
            ("h.example", "team/app", &cd),
            ("h.example", "team", &cd),
            ("h.example", "teams/app", &ab),
            ("h.example", "", &ab),
            ("docker.io", "library/nginx", &cd),
            ("docker.io", "other/nginx", &ab),
        ] {
            let found = find(text, registry, repository);
            assert_eq!(found.as_ref(), Some(wanted), "{registry}/{repository}");
        }
    }

    #[test]
    fn files_are_asked_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let auths =
            |host: &str, auth: &str| format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#);
        write("run/containers/auth.json", &auths("one.example", "YTpi"));
        write("home/.config/containers/auth.json", &auths("one.example", "Yzpk"));
        write("home/.docker/config.json", &auths("two.example", "Yzpk"));
        write("home/.dockercfg", r#"{"https://three.example/v1/":{"auth":"YTpi","email":""}}"#);
        let paths = CredentialPaths {
            runtime_dir: Some(folder.path().join("run")),
            home: Some(folder.path().join("home")),
            docker_auth_config: Some(Secret::new(auths("two.example", "YTpi"))),
            ..CredentialPaths::default()
        };
        let store = CredentialStore::new(paths.clone());
        let (ab, cd) = (Credentials::password("a", "b"), Credentials::password("c", "d"));
        assert_eq!(at(&store, "one.example", "x"), Some(ab.clone()));
        assert_eq!(at(&store, "two.example", "x"), Some(ab.clone()));
        assert_eq!(at(&store, "three.example", "x"), Some(ab));
        assert_eq!(store.locate("two.example").unwrap().as_deref(), Some("DOCKER_AUTH_CONFIG"));
        let without = CredentialPaths { docker_auth_config: None, ..paths.clone() };
        assert_eq!(at(&CredentialStore::new(without), "two.example", "x"), Some(cd.clone()));

        let named = folder.path().join("home/.docker/config.json");
        let only = CredentialPaths { registry_auth_file: Some(named), ..paths };
        let store = CredentialStore::new(only.clone());
        assert_eq!(at(&store, "one.example", "x"), None);
        assert_eq!(at(&store, "two.example", "x"), Some(cd.clone()));
        let given = BTreeMap::from([("two.example".into(), Credentials::password("e", "f"))]);
        let store = CredentialStore::with(given, only);
        assert_eq!(at(&store, "two.example", "x"), Some(Credentials::password("e", "f")));
    }

    /// Helpers `own` and `general` count how often they are run.
    #[cfg(unix)]
    #[test]
    fn a_helper_has_the_last_word_and_a_store_goes_before_entries() {
        let text = r#"{"credsStore":"general","credHelpers":{"own.example":"own","plain.example":""},
            "auths":{"own.example/team":{"auth":"YTpi"},"team.example/team":{"auth":"YTpi"},
            "team.example":{"auth":"YTpi"},"plain.example":{"auth":"YTpi"},
            "own.example":{"auth":"YTpi"},"lost.example":{"auth":"YTpi"}}}"#;
        let (folder, store) = store(text);
        let script = "#!/bin/sh\nread server\necho \"$server\" >> \"$0.asked\"\ncase $server in\n\
                      lost.example) echo 'credentials not found in native keychain'; exit 1 ;;\n\
                      *) echo \"{\\\"Username\\\":\\\"$(basename $0)\\\",\\\"Secret\\\":\\\"s\\\"}\" ;;\n\
                      esac\n";
        for name in ["own", "general"] {
            let text = folder.path().join("text");
            std::fs::write(&text, script).unwrap();
            let program = folder.path().join(format!("docker-credential-{name}"));
            let made = std::process::Command::new("install")
                .args(["-m", "755"])
                .args([text, program])
                .status();
            assert!(made.unwrap().success());
        }
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let paths = CredentialPaths { helper_path: Some(path.into()), ..store.0.paths.clone() };
        let store = CredentialStore::new(paths);
        let user = |registry: &str, repository: &str| {
            at(&store, registry, repository).and_then(|found| found.user().map(str::to_owned))
        };
        for (registry, repository, wanted) in [
            ("own.example", "x", "docker-credential-own"),
            ("own.example", "team/app", "docker-credential-own"),
            ("team.example", "x", "docker-credential-general"),
            ("team.example", "y", "docker-credential-general"),
            ("team.example", "team/app", "a"),
            ("plain.example", "x", "a"),
            ("lost.example", "x", "a"),
            ("docker.io", "x", "docker-credential-general"),
        ] {
            assert_eq!(
                user(registry, repository).as_deref(),
                Some(wanted),
                "{registry}/{repository}"
            );
        }
        let asked = |name: &str| {
            let path = folder.path().join(format!("docker-credential-{name}.asked"));
            std::fs::read_to_string(path).unwrap()
        };
        assert_eq!(asked("own"), "own.example\n");
        assert_eq!(asked("general"), "team.example\nlost.example\nhttps://index.docker.io/v1/\n");
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
