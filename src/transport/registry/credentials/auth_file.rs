//! One file of sign-ins, as docker (`config.json`), podman and skopeo (`auth.json`) write them.
//!
//! Within a file the helper that is named for the registry has the last word; then comes the entry
//! for the longest part of the repository's path, then the file's general store, then the entry of
//! the registry, under any of the names that old versions of docker gave it. (Docker asks its
//! general store and no entry; podman knows entries and no general store.)

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use base64::Engine as _;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::paths::Place;
use crate::codec::checked::read_bounded;
use crate::model::{Error, Result};
use crate::transport::registry::address::DOCKER_HUB_KEY;
use crate::transport::registry::identity::{Credentials, Secret};

/// Bytes of a file of credentials. One entry has a few hundred.
const AUTH_FILE_BYTES: u64 = 4 << 20;

/// What a file says.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthFile {
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(rename = "credHelpers")]
    cred_helpers: Option<BTreeMap<String, String>>,
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

/// The program that keeps a registry's sign-in, if a file leaves it to one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Helper<'a> {
    /// Named for this registry: nobody else is asked.
    Own(&'a str),
    /// The general store.
    General(&'a str),
    /// Entries stand in the file itself.
    None,
}

/// The text of a file; `None` where there is none, or nothing in it.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) where it is there and cannot be read.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let what = || format!("the sign-ins in {}", path.display());
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => {
            return Err(Error::io(format!("cannot read {}", what()), error)
                .hint("make it yours and readable, or name another file with --authfile"));
        }
    };
    let bytes = Zeroizing::new(read_bounded(file, AUTH_FILE_BYTES, &what())?);
    Ok((!bytes.iter().all(u8::is_ascii_whitespace)).then_some(bytes))
}

impl AuthFile {
    /// What a place holds; `None` where it holds nothing.
    pub(super) fn of_place(place: &Place) -> Result<Option<Self>> {
        let bytes = match place {
            Place::File(path) | Place::Old(path) => read(path)?,
            Place::Text(text) => Some(Zeroizing::new(text.expose().as_bytes().to_vec())),
        };
        let Some(bytes) = bytes else { return Ok(None) };
        if let Place::Old(_) = place {
            let auths = Some(parsed(&bytes, &place.to_string())?);
            return Ok(Some(Self { auths, ..Self::default() }));
        }
        Self::parse(&bytes, &place.to_string()).map(Some)
    }

    /// Reads the text of a file that is called `name`.
    pub(super) fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        parsed(bytes, name)
    }

    /// Who keeps the sign-in of a registry.
    pub(super) fn helper(&self, registry: &str) -> Helper<'_> {
        let own = self.cred_helpers.as_ref().and_then(|helpers| {
            spellings(registry).into_iter().find_map(|key| helpers.get(key).map(String::as_str))
        });
        match own {
            // How one registry is kept out of the general store.
            Some("") => Helper::None,
            Some(name) => Helper::Own(name),
            None => match self.creds_store.as_deref() {
                None | Some("") => Helper::None,
                Some(name) => Helper::General(name),
            },
        }
    }

    /// The entry for the longest prefix of `registry/repository` that is longer than the registry.
    pub(super) fn of_repository(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credentials>> {
        let mut path = repository.trim_end_matches('/');
        while !path.is_empty() {
            if let Some(entry) = self.entry(&format!("{registry}/{path}")) {
                return entry.credentials();
            }
            path = path.rsplit_once('/').map_or("", |(shorter, _)| shorter);
        }
        Ok(None)
    }

    /// The entry of a registry. Keys that old versions of docker wrote (`https://host/v1/`) count
    /// for their host.
    pub(super) fn of_registry(&self, registry: &str) -> Result<Option<Credentials>> {
        let exact = spellings(registry).into_iter().find_map(|key| self.entry(key));
        let found = exact.or_else(|| {
            let mut others = self.auths.iter().flatten();
            others.find_map(|(key, entry)| {
                (is_key_of(key, registry) && !entry.is_empty()).then_some(entry)
            })
        });
        found.map_or(Ok(None), Entry::credentials)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.auths.as_ref()?.get(key).filter(|entry| !entry.is_empty())
    }
}

fn parsed<'de, T: Deserialize<'de>>(bytes: &'de [u8], name: &str) -> Result<T> {
    // The parser's own words could quote a secret: only the place is told.
    serde_json::from_slice(bytes).map_err(|e| {
        Error::usage(format!(
            "the sign-ins in {name} are not readable: line {}, column {}",
            e.line(),
            e.column()
        ))
        .hint("mend the file, or move it away and sign in again")
    })
}

/// Whether an entry under `key` is that of a registry: under its name, one of its names, or an
/// address at it.
pub(super) fn is_key_of(key: &str, registry: &str) -> bool {
    let spellings = spellings(registry);
    spellings.contains(&key) || host_of_url(key).is_some_and(|host| spellings.contains(&host))
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
        let pair = match &self.auth {
            Some(auth) if !auth.expose().is_empty() => Some(decode(auth)?),
            _ => self.username.clone().zip(self.password.clone()),
        };
        if let Some(token) = self.identitytoken.as_ref().filter(|t| !t.expose().is_empty()) {
            let user = pair.map(|(user, _)| user).filter(|user| !user.is_empty());
            return Ok(Some(Credentials::Identity { user, token: token.clone() }));
        }
        Ok(pair.and_then(|(user, password)| Credentials::from_pair(user, password)))
    }
}

/// Base64 of `USER:PASSWORD`.
fn decode(auth: &Secret) -> Result<(String, Secret)> {
    let bad = || {
        Error::usage("an entry is not base64 of USER:PASSWORD")
            .hint("sign in again with `sealift login`")
    };
    // Some tools leave the padding out.
    let text = auth.expose().trim().trim_end_matches('=');
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD
        .decode(text)
        .map(Zeroizing::new)
        .map_err(|_| bad())?;
    let pair = std::str::from_utf8(&bytes).map_err(|_| bad())?;
    let (user, password) = pair.split_once(':').ok_or_else(bad)?;
    // Docker pads with NUL in places, and takes it away again.
    Ok((user.to_owned(), Secret::new(password.trim_matches('\0'))))
}
