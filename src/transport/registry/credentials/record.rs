//! Sign-ins written down and taken away, as `docker login` and `docker logout` do.
//!
//! The file is docker's `config.json`, or the one that `--authfile` named. Where it leaves the
//! registry to a helper, the secret goes there and an empty entry stays in the file, as docker
//! has it. The file is replaced in one step, readable by its owner alone.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use zeroize::Zeroizing;

use super::auth_file::{self, AuthFile, Helper, is_key_of};
use super::paths::CredentialPaths;
use super::{edit, helper};
use crate::codec::atomic::{AtomicFile, make_private_folder};
use crate::model::{Error, Result};
use crate::transport::registry::address::file_key;
use crate::transport::registry::identity::Credentials;

/// How many links in a row are followed to a file of sign-ins.
const LINKS: usize = 16;

/// Who keeps a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The file itself, as plain text.
    File(PathBuf),
    /// The helper of this name, which the file names.
    Helper(String, PathBuf),
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Helper(name, path) => {
                write!(f, "docker-credential-{name}, named in {}", path.display())
            }
        }
    }
}

impl CredentialPaths {
    /// Writes down who we are at `registry`.
    ///
    /// # Errors
    /// A file that cannot be understood or written, a helper that fails. The file is then as it
    /// was.
    pub fn record(&self, registry: &str, credentials: &Credentials) -> Result<Keeper> {
        let file = Opened::read(self.written()?)?;
        let key = file_key(registry);
        if let Some(name) = file.helper(registry) {
            helper::store(&name, key, credentials, self.helper_path.as_deref())
                .map_err(|e| file.names_a_helper(e))?;
            file.write(&file.edited(edit::set(file.text(), key, &[]))?)?;
            return Ok(Keeper::Helper(name, file.path));
        }
        let pair = match credentials {
            Credentials::Password { user, password } => {
                Some(Zeroizing::new(format!("{user}:{}", password.expose())))
            }
            Credentials::Identity { user, .. } => {
                user.as_ref().map(|user| Zeroizing::new(format!("{user}:")))
            }
        };
        let pair = pair.map(|pair| {
            Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()))
        });
        let mut fields: Vec<(&str, &str)> = Vec::new();
        fields.extend(pair.as_ref().map(|pair| ("auth", pair.as_str())));
        if let Credentials::Identity { token, .. } = credentials {
            fields.push(("identitytoken", token.expose()));
        }
        file.write(&file.edited(edit::set(file.text(), key, &fields))?)?;
        Ok(Keeper::File(file.path))
    }

    /// Forgets who we are at `registry`; `None` where nobody was signed in there.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn forget(&self, registry: &str) -> Result<Option<Keeper>> {
        let file = Opened::read(self.written()?)?;
        let mut forgotten = None;
        if let Some(name) = file.helper(registry) {
            let (key, path) = (file_key(registry), self.helper_path.as_deref());
            let known =
                helper::get(&name, key, path).map_err(|e| file.names_a_helper(e))?.is_some();
            if known {
                helper::erase(&name, key, path).map_err(|e| file.names_a_helper(e))?;
                forgotten = Some(Keeper::Helper(name, file.path.clone()));
            }
        }
        let was_empty = file.parsed.of_registry(registry).is_ok_and(|held| held.is_none());
        let left = match file.text() {
            "" => None,
            text => {
                edit::remove(text, &|key| is_key_of(key, registry)).map_err(|e| file.cannot(e))?
            }
        };
        if let Some(text) = left {
            file.write(&text)?;
            // An empty entry is what a helper leaves; what is there and cannot be read counts.
            if !was_empty {
                forgotten = forgotten.or(Some(Keeper::File(file.path)));
            }
        }
        Ok(forgotten)
    }
}

/// A file of sign-ins that is to be changed.
struct Opened {
    /// As it was named.
    path: PathBuf,
    text: Zeroizing<Vec<u8>>,
    parsed: AuthFile,
}

impl Opened {
    fn read(path: PathBuf) -> Result<Self> {
        let text = auth_file::read(&path)?.unwrap_or_default();
        let parsed = if text.is_empty() {
            AuthFile::default()
        } else {
            AuthFile::parse(&text, &path.display().to_string())?
        };
        Ok(Self { path, text, parsed })
    }

    /// What was parsed is UTF-8.
    fn text(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    fn helper(&self, registry: &str) -> Option<String> {
        match self.parsed.helper(registry) {
            Helper::Own(name) | Helper::General(name) => Some(name.to_owned()),
            Helper::None => None,
        }
    }

    fn names_a_helper(&self, error: Error) -> Error {
        error.context(format!("{} names a credential helper", self.path.display()))
    }

    fn cannot(&self, error: Error) -> Error {
        error
            .context(format!("cannot change the sign-ins in {}", self.path.display()))
            .hint("mend the file, or move it away and sign in again")
    }

    fn edited(&self, text: Result<Zeroizing<String>>) -> Result<Zeroizing<String>> {
        text.map_err(|e| self.cannot(e))
    }

    fn write(&self, text: &str) -> Result<()> {
        if text.as_bytes() == &**self.text {
            return Ok(());
        }
        let path = followed(&self.path)?;
        make_private_folder(&path)?;
        let mut file = AtomicFile::create(&path, 0o600)?;
        file.write_all(text.as_bytes())
            .map_err(|e| Error::io(format!("cannot write {}", self.path.display()), e))?;
        keep_owner(&path, file.file());
        file.commit()
    }
}

/// The file at the end of the links: docker's file is often one, kept among other settings.
fn followed(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(Error::usage(format!("{} leads from link to link", path.display())))
}

/// With sudo the file is still its user's: the new one is given to whoever has the old one.
#[cfg(unix)]
fn keep_owner(path: &Path, file: &fs::File) {
    use std::os::unix::fs::{MetadataExt, fchown};
    if let (Ok(old), Ok(new)) = (fs::metadata(path), file.metadata())
        && (old.uid(), old.gid()) != (new.uid(), new.gid())
    {
        let _ = fchown(file, Some(old.uid()), Some(old.gid()));
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &fs::File) {}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::transport::registry::credentials::CredentialStore;

    const HOST: &str = "h.example:5000";

    fn paths(folder: &Path) -> CredentialPaths {
        CredentialPaths { docker_config: Some(folder.join("d")), ..CredentialPaths::default() }
    }

    fn found(paths: &CredentialPaths, registry: &str) -> Option<Credentials> {
        let found = CredentialStore::new(paths.clone()).find(registry, "x").unwrap();
        found.map(|found| found.credentials)
    }

    #[test]
    fn what_is_written_is_found_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let paths = paths(folder.path());
        let file = folder.path().join("d/config.json");
        for (registry, credentials) in [
            (HOST, Credentials::password("robot$p+n", "a:b$c")),
            ("docker.io", Credentials::password("u", "p")),
            (
                "i.example",
                Credentials::Identity {
                    user: Some("u".into()),
                    token: crate::transport::registry::Secret::new("t"),
                },
            ),
            ("j.example", Credentials::identity("t")),
        ] {
            assert_eq!(paths.forget(registry).unwrap(), None);
            let keeper = paths.record(registry, &credentials).unwrap();
            assert_eq!(keeper, Keeper::File(file.clone()));
            assert_eq!(found(&paths, registry), Some(credentials));
        }
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("\"https://index.docker.io/v1/\": {"), "{text}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(folder.path().join("d")).unwrap().mode() & 0o777, 0o700);
        assert_eq!(paths.forget("docker.io").unwrap(), Some(Keeper::File(file)));
        assert_eq!(found(&paths, "docker.io"), None);
        assert!(found(&paths, HOST).is_some());
        assert_eq!(fs::read_dir(folder.path().join("d")).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_elsewhere_stays_there_and_becomes_private() {
        let folder = tempfile::tempdir().unwrap();
        let paths = paths(folder.path());
        fs::create_dir(folder.path().join("d")).unwrap();
        let settings = folder.path().join("settings.json");
        symlink("../middle", folder.path().join("d/config.json")).unwrap();
        symlink("settings.json", folder.path().join("middle")).unwrap();
        // To a file that is not there yet, and to one that everybody may read.
        for _ in 0..2 {
            paths.record(HOST, &Credentials::password("u", "p")).unwrap();
            assert!(fs::symlink_metadata(folder.path().join("middle")).unwrap().is_symlink());
            let mode = fs::symlink_metadata(&settings).unwrap().mode();
            assert_eq!(mode & 0o177_777, 0o100_600);
            fs::write(&settings, "{\"x\": 1}").unwrap();
            fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).unwrap();
        }
        symlink("middle", folder.path().join("loop")).unwrap();
        fs::remove_file(&settings).unwrap();
        symlink("loop", &settings).unwrap();
        assert!(paths.record(HOST, &Credentials::password("u", "p")).is_err());
    }

    #[test]
    fn old_names_are_forgotten_too_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let paths = paths(folder.path());
        let file = folder.path().join("d/config.json");
        fs::create_dir(folder.path().join("d")).unwrap();
        let text = r#"{"auths":{"https://h.example:5000/v1/":{"auth":"YTpi"},"h.example":{"auth":"YTpi"},"h.example:5000":{}}}"#;
        fs::write(&file, text).unwrap();
        assert_eq!(paths.forget(HOST).unwrap(), Some(Keeper::File(file.clone())));
        let left = fs::read_to_string(&file).unwrap();
        assert_eq!(left, r#"{"auths":{"h.example":{"auth":"YTpi"}}}"#);
        assert_eq!(paths.forget(HOST).unwrap(), None);
        fs::write(&file, "canary").unwrap();
        for error in [
            paths.forget(HOST).unwrap_err(),
            paths.record(HOST, &Credentials::password("u", "p")).unwrap_err(),
        ] {
            assert!(error.message().contains("config.json"), "{error:?}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "canary");
    }
}
