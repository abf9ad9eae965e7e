//! Which keys count.
//!
//! Only keys that the user configured on this machine. A key inside the bundle is never looked
//! for, there is no trust on first use, and having no trusted key is an error.

use std::path::{Path, PathBuf};

use super::key::{KeyId, PublicKey, SIGNATURE_BYTES};
use crate::model::{Error, Result};

/// A key that is trusted, and the file that says so.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// The key.
    pub key: PublicKey,
    /// Where it was read.
    pub path: PathBuf,
}

/// The keys that count.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<Trusted>,
}

/// What became of one signature.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The key that the signature names.
    pub id: KeyId,
    /// The trusted key that it is proved to be from; `None` where it proves nothing here.
    pub trusted: Option<Trusted>,
}

impl Trust {
    /// Trusts the keys of these files, and these keys.
    ///
    /// # Errors
    /// As for [`Trust::from_files`].
    pub fn with_keys<P: AsRef<Path>>(
        files: &[P],
        keys: impl Iterator<Item = PublicKey>,
    ) -> Result<Self> {
        let mut trust = Self::from_files(files)?;
        for key in keys {
            trust.trust(key, Path::new("the signing key"));
        }
        Ok(trust)
    }

    /// Exactly these key files.
    pub fn from_files<P: AsRef<Path>>(files: &[P]) -> Result<Self> {
        let mut trust = Self::default();
        for path in files {
            trust.add(path.as_ref())?;
        }
        Ok(trust)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        self.trust(PublicKey::load(path)?, path);
        Ok(())
    }

    fn trust(&mut self, key: PublicKey, path: &Path) {
        if self.keys.iter().all(|known| known.key != key) {
            self.keys.push(Trusted { key, path: path.to_owned() });
        }
    }

    /// The keys that count.
    pub fn keys(&self) -> &[Trusted] {
        &self.keys
    }

    /// Says of each signature over `message` whether a trusted key made it.
    pub fn judge(
        &self,
        message: &[u8],
        signatures: &[(KeyId, [u8; SIGNATURE_BYTES])],
    ) -> Vec<Signer> {
        signatures
            .iter()
            .map(|(id, signature)| {
                let trusted = self
                    .keys
                    .iter()
                    .find(|known| known.key.id() == *id && known.key.verifies(message, signature));
                Signer { id: *id, trusted: trusted.cloned() }
            })
            .collect()
    }

    /// The same, and at least one of them must be trusted. `what` names the signed thing.
    ///
    /// # Errors
    /// [`Kind::Untrusted`](crate::model::Kind::Untrusted), saying whether no key is configured,
    /// nothing is signed, the signers are unknown here, or a known signer's signature does not fit.
    pub fn require(
        &self,
        message: &[u8],
        signatures: &[(KeyId, [u8; SIGNATURE_BYTES])],
        what: &str,
    ) -> Result<Vec<Signer>> {
        if self.keys.is_empty() {
            return Err(Error::untrusted(format!(
                "no key is trusted on this machine, so {what} cannot be checked"
            ))
            .hint("name the sender's public key with --key"));
        }
        if signatures.is_empty() {
            return Err(Error::untrusted(format!("{what} is not signed"))
                .hint("do not use it; ask the sender for the bundle as sealift wrote it"));
        }
        let signers = self.judge(message, signatures);
        if signers.iter().any(|signer| signer.trusted.is_some()) {
            return Ok(signers);
        }
        let known = signers
            .iter()
            .find(|signer| self.keys.iter().any(|trusted| trusted.key.id() == signer.id));
        Err(if let Some(signer) = known {
            Error::untrusted(format!(
            "the signature of {} on {what} does not fit: the manifest was changed or damaged after it was signed",
            signer.id.short()
        ))
        .hint("do not use this copy; ask for another one")
        } else {
            let ids: Vec<String> = signers.iter().map(|signer| signer.id.short()).collect();
            Error::untrusted(format!("{what} is signed by {}, which is not trusted here", ids.join(", ")))
                .hint("compare the key with the sender over another channel; if it is theirs, name it with --key or put it into the trust folder")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::trust::SecretKey;

    fn trust(folder: &Path, keys: &[&SecretKey]) -> Trust {
        let files: Vec<PathBuf> = keys
            .iter()
            .enumerate()
            .map(|(n, key)| {
                let path = folder.join(format!("{n}.pub"));
                std::fs::write(&path, key.public().to_pem().unwrap()).unwrap();
                path
            })
            .collect();
        Trust::from_files(&files).unwrap()
    }

    fn signed(key: &SecretKey, message: &[u8]) -> (KeyId, [u8; 64]) {
        (key.public().id(), key.sign(message))
    }

    #[test]
    fn one_trusted_signature_is_enough_and_none_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let trust = trust(folder.path(), &[&a]);
        let good = [signed(&b, b"m"), signed(&a, b"m"), (a.public().id(), [7; 64])];
        let signers = trust.require(b"m", &good, "x").unwrap();
        assert_eq!(signers.iter().filter(|s| s.trusted.is_some()).count(), 1);
        for bad in [
            vec![],
            vec![signed(&b, b"m")],
            vec![signed(&a, b"other")],
            vec![(a.public().id(), b.sign(b"m"))],
        ] {
            assert_eq!(trust.require(b"m", &bad, "x").unwrap_err().kind(), Kind::Untrusted);
        }
        assert_eq!(Trust::default().require(b"m", &good, "x").unwrap_err().kind(), Kind::Untrusted);
    }
}
