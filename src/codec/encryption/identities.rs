//! The secrets that open age files: X25519 identities, as `age-keygen` writes them, and a passphrase.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Identity, scrypt, x25519};
use zeroize::Zeroizing;

use super::header::{Header, makes_no_sense};
use super::key::{Keeping, Key};
use crate::codec::private::read_private;
use crate::model::{Error, Result, limits};

/// Gives the passphrase of the file that it is told.
pub type Ask = dyn Fn(&str) -> Result<Zeroizing<String>> + Send + Sync;

/// What there is to open encrypted files with. Clones share what they know, and print no secret.
#[derive(Clone, Default)]
pub struct Identities {
    files: Vec<PathBuf>,
    keys: Arc<OnceLock<Vec<x25519::Identity>>>,
    ask: Option<Arc<Ask>>,
    /// Passphrases that opened something, or were to: nobody is asked twice.
    passphrase: Arc<Mutex<Option<Zeroizing<String>>>>,
    /// For files that nobody named: how many the passphrase has not opened.
    misses: Option<Arc<AtomicUsize>>,
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Identities {
    /// The identities in these files, which only their owner may be able to read.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage): readable by others, a symbolic link, or not what
    /// `age-keygen` writes; [`Kind::Io`](crate::model::Kind::Io).
    pub fn load<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Result<Self> {
        let files = files.into_iter().map(|path| path.as_ref().to_owned()).collect();
        let identities = Self::when_needed(files);
        identities.keys()?;
        Ok(identities)
    }

    /// The same, but nobody looks at the files before there is something encrypted to open.
    pub fn when_needed(files: Vec<PathBuf>) -> Self {
        Self { files, ..Self::default() }
    }

    fn keys(&self) -> Result<&[x25519::Identity]> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let mut keys = Vec::new();
        for path in &self.files {
            let text = Zeroizing::new(read_private(path, "identity")?);
            keys.extend(parse(&text, &path.display().to_string())?);
        }
        Ok(self.keys.get_or_init(|| keys))
    }

    /// Whether there is nothing to open a file with, and nobody to be asked.
    pub fn is_empty(&self) -> bool {
        let known = self.passphrase.lock().unwrap_or_else(PoisonError::into_inner);
        self.files.is_empty() && self.ask.is_none() && known.is_none()
    }

    /// Also opens files with a passphrase, for which `ask` is called, once.
    #[must_use]
    pub fn asking(self, ask: Arc<Ask>) -> Self {
        Self { ask: Some(ask), ..self }
    }

    /// The same, but nobody is asked for a passphrase: for files that nobody named. One that is
    /// known by then is tried, since it opens all volumes of a set.
    #[must_use]
    pub fn without_asking(&self) -> Self {
        Self { ask: None, ..self.sparingly() }
    }

    /// The same for the files that lie in a folder: once the passphrase has not opened
    /// [`limits::AGE_MISSES`] of them it is tried on no other, since each costs seconds.
    #[must_use]
    pub fn sparingly(&self) -> Self {
        Self { misses: Some(Arc::default()), ..self.clone() }
    }

    /// The key of the file whose header this is. `what` names it.
    pub(super) fn open(&self, header: &Header, what: &str) -> Result<Key> {
        if header.wants_passphrase {
            return self.open_with_passphrase(header, what);
        }
        let keys = self.keys()?;
        if keys.is_empty() {
            return Err(Error::usage(format!("{what} is encrypted, and there is no identity to open it with"))
                .hint("name the file with yours with --identity; age-keygen makes one, and the sender needs its public key"));
        }
        for key in keys {
            if let Some(key) = unwrap(header, key, what)? {
                return Ok(key);
            }
        }
        let tried = match keys.len() {
            1 => "the identity that is here does not open it".to_owned(),
            number => format!("none of the {number} identities that are here opens it"),
        };
        Err(Error::usage(format!("{what} is encrypted, and {tried}"))
            .hint("name another with --identity, or ask the sender for whom it was encrypted; damage to the first bytes of the file looks the same"))
    }

    fn open_with_passphrase(&self, header: &Header, what: &str) -> Result<Key> {
        let mut known = self.passphrase.lock().unwrap_or_else(PoisonError::into_inner);
        let passphrase = match (&*known, &self.ask) {
            (Some(known), _) => known.clone(),
            (None, Some(ask)) => known.insert(ask(what)?).clone(),
            (None, None) => {
                return Err(Error::usage(format!("a passphrase is needed to open {what}"))
                    .hint("name the file itself"));
            }
        };
        drop(known);
        let missed = self.misses.as_ref().map_or(0, |misses| misses.load(Ordering::Relaxed));
        if missed >= limits::AGE_MISSES {
            return Err(Error::usage(format!(
                "the passphrase was not tried on {what}: it did not open {missed} other files beside it"
            ))
            .hint("name the file itself, or move the others away"));
        }
        let mut identity = scrypt::Identity::new(SecretString::from(passphrase.to_string()));
        identity.set_max_work_factor(limits::AGE_WORK);
        let opened = unwrap(header, &identity, what);
        if let (Some(misses), Err(_) | Ok(None)) = (&self.misses, &opened) {
            misses.fetch_add(1, Ordering::Relaxed);
        }
        opened?.ok_or_else(|| {
            Error::usage(format!("the passphrase does not open {what}"))
                .hint("try again; damage to the first bytes of the file looks the same")
        })
    }
}

/// The key of a file, if `identity` opens it.
fn unwrap(header: &Header, identity: &dyn Identity, what: &str) -> Result<Option<Key>> {
    let failed = |error: DecryptError| match error {
        DecryptError::NoMatchingKeys
        | DecryptError::DecryptionFailed
        | DecryptError::KeyDecryptionFailed => None,
        DecryptError::InvalidMac => Some(
            Error::damaged(format!("the age header of {what} was changed")).hint("copy it again"),
        ),
        // Limits and versions were looked at before: what is left is a header that nobody writes.
        _ => Some(makes_no_sense(what)),
    };
    let keeping = Keeping::new(identity);
    let opened = Decryptor::new_buffered(&header.bytes[..])
        .and_then(|file| file.decrypt(std::iter::once(&keeping as &dyn Identity)).map(drop));
    match opened.map_err(failed) {
        Ok(()) => Ok(keeping.key()),
        Err(None) => Ok(None),
        Err(Some(error)) => Err(error),
    }
}

/// The identities of a file: one a line, between empty lines and comments.
fn parse(text: &str, origin: &str) -> Result<Vec<x25519::Identity>> {
    let refused = |why: &str, hint: &str| {
        Error::usage(format!("{origin} holds no identity that sealift can use: {why}"))
            .hint(hint.to_owned())
    };
    let mut keys = Vec::new();
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with("-----BEGIN AGE") || line.starts_with("age-encryption.org/") {
            return Err(refused(
                "it is encrypted itself",
                "decrypt it with `age -d` to a file that only you can read",
            ));
        }
        if line.starts_with("AGE-PLUGIN-") || line.starts_with("-----BEGIN") {
            return Err(refused(
                "it is for a plugin, or an SSH key",
                "decrypt the bundle with `age -d`, or use an identity that age-keygen makes",
            ));
        }
        keys.push(line.parse().map_err(|_| {
            refused(&format!("line {} is not one", at + 1), "name a file as age-keygen writes it")
        })?);
    }
    if keys.is_empty() {
        return Err(refused("there is none in it", "name a file as age-keygen writes it"));
    }
    Ok(keys)
}
