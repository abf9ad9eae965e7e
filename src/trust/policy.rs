//! Which keys count.
//!
//! Only keys that the user configured on this machine. A key inside the bundle is never looked
//! for, there is no trust on first use, and having no trusted key is an error.
//!
//! It is asked twice. Before anything is parsed, [`Trust::require`] asks whether enough different
//! keys signed; and when it is known what they signed, [`Trust::permit`] asks whether enough of
//! these may sign each image, and this stream.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::file::{Grant, Policy, Revocation};
use super::key::{KeyId, PublicKey, SIGNATURE_BYTES};
use super::scope::Scope;
use crate::model::mapping::Repositories;
use crate::model::{Error, ImageName, Result, StreamName, limits};

/// A key that is trusted, and the file that says so.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// The key.
    pub key: PublicKey,
    /// Where it was read.
    pub path: PathBuf,
    /// Whose it is, where a trust.toml says so.
    pub name: Option<String>,
}

/// The keys that count, for what, and how many of them it takes.
#[derive(Clone, Debug)]
pub struct Trust {
    grants: Vec<Grant>,
    revocations: Vec<Revocation>,
    threshold: usize,
    /// Keys of which one alone is enough for everything: one's own.
    own: Vec<PublicKey>,
}

impl Default for Trust {
    fn default() -> Self {
        Self { grants: Vec::new(), revocations: Vec::new(), threshold: 1, own: Vec::new() }
    }
}

/// What became of one signature.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The key that the signature names.
    pub id: KeyId,
    /// The trusted key that it is proved to be from; `None` where it proves nothing here.
    pub trusted: Option<Trusted>,
    /// Where the key is not trusted any more: what is said about that.
    pub revoked: Option<Revocation>,
}

impl Signer {
    /// The beginning of its ID, behind the name if it has one.
    pub fn describe(&self) -> String {
        let trusted = self.trusted.as_ref().and_then(|trusted| trusted.name.as_ref());
        let name = trusted.or(self.revoked.as_ref().and_then(|revoked| revoked.name.as_ref()));
        describe(name, self.id)
    }
}

fn describe(name: Option<&String>, id: KeyId) -> String {
    name.map_or_else(|| id.short(), |name| format!("{name} ({})", id.short()))
}

impl Revocation {
    fn sentence(&self) -> String {
        let reason = self.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        format!("revoked since {}{reason}, as {} says", self.date, self.path.display())
    }
}

impl Trust {
    /// Exactly these key files: one of them is enough, for everything.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where one holds no key, or a weak one;
    /// [`Kind::Io`](crate::model::Kind::Io).
    pub fn from_files<P: AsRef<Path>>(files: &[P]) -> Result<Self> {
        let mut trust = Self::default();
        for path in files {
            let path = path.as_ref();
            trust.add(PublicKey::load(path)?, path);
        }
        Ok(trust)
    }

    /// Exactly this key; `origin` says where it comes from.
    pub fn in_key(key: PublicKey, origin: &str) -> Self {
        let mut trust = Self::default();
        trust.add(key, Path::new(origin));
        trust
    }

    /// What a [`trust.toml`](super::file) says.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where it is not as it should be, and where others
    /// than its owner can write to it; [`Kind::Io`](crate::model::Kind::Io).
    pub fn from_policy(path: &Path) -> Result<Self> {
        let Policy { threshold, grants, revocations } = Policy::read(path)?;
        Ok(Self { grants, revocations, threshold, own: Vec::new() })
    }

    /// A key that lies in several files is in each of them: it is not gone before all of them are.
    fn add(&mut self, key: PublicKey, path: &Path) {
        if self.grants.iter().all(|known| known.key != key || known.path != path) {
            let (path, name, scope) = (path.to_owned(), None, Scope::default());
            self.grants.push(Grant { key, path, name, scope });
        }
    }

    /// What a `trust.toml` at `path` would say if this were its text.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where it is not as it should be; where a key file
    /// that it names cannot be read.
    pub fn from_policy_text(text: &str, path: &Path) -> Result<Self> {
        let Policy { threshold, grants, revocations } = Policy::parse(text, path)?;
        Ok(Self { grants, revocations, threshold, own: Vec::new() })
    }

    /// Does not trust the keys that another [`trust.toml`](super::file) says are revoked.
    ///
    /// # Errors
    /// As for [`from_policy`](Self::from_policy).
    pub fn heed_revocations(&mut self, path: &Path) -> Result<()> {
        for revocation in Policy::read(path)?.revocations {
            if !self.revocations.contains(&revocation) {
                self.revocations.push(revocation);
            }
        }
        Ok(())
    }

    /// Asks for so many keys.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where it asks for more already.
    pub fn raise_threshold(&mut self, threshold: usize) -> Result<()> {
        if threshold < self.threshold {
            return Err(Error::usage(format!(
                "trust.toml asks for {} keys, and --threshold for {threshold}",
                self.threshold
            ))
            .hint("--threshold can only ask for more; change the file to ask for less"));
        }
        self.threshold = threshold.min(limits::SIGNATURES);
        Ok(())
    }

    /// The same, where one key is enough: for whoever adds a signature to those that are missing.
    #[must_use]
    pub fn where_one_is_enough(mut self) -> Self {
        self.threshold = 1;
        self
    }

    /// The same, where one of these is enough for everything, unless it is revoked: for what one has
    /// signed oneself.
    #[must_use]
    pub fn or_own(mut self, keys: impl Iterator<Item = PublicKey>) -> Self {
        self.own.extend(keys);
        self
    }

    /// How many different keys must have signed.
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// What may be signed by which key.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Which keys are revoked.
    pub fn revocations(&self) -> &[Revocation] {
        &self.revocations
    }

    fn revocation(&self, id: KeyId) -> Option<&Revocation> {
        self.revocations.iter().find(|revoked| revoked.id == id)
    }

    /// The key of this name, whether it is revoked or not.
    fn find(&self, id: KeyId) -> Option<Trusted> {
        let granted = self.grants.iter().find(|grant| grant.key.id() == id).map(|grant| Trusted {
            key: grant.key.clone(),
            path: grant.path.clone(),
            name: grant.name.clone(),
        });
        let own = || {
            let key = self.own.iter().find(|key| key.id() == id)?.clone();
            Some(Trusted { key, path: "the signing key".into(), name: None })
        };
        granted.or_else(own)
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
                let revoked = self.revocation(*id).cloned();
                let trusted = self
                    .find(*id)
                    .filter(|known| revoked.is_none() && known.key.verifies(message, signature));
                Signer { id: *id, trusted, revoked }
            })
            .collect()
    }

    /// The same, and enough different keys among them must be trusted. `what` names the signed thing.
    ///
    /// # Errors
    /// [`Kind::Untrusted`](crate::model::Kind::Untrusted), saying whether no key is configured,
    /// nothing is signed, the signers are unknown here or revoked, a known signer's signature does
    /// not fit, or how many are missing.
    pub fn require(
        &self,
        message: &[u8],
        signatures: &[(KeyId, [u8; SIGNATURE_BYTES])],
        what: &str,
    ) -> Result<Vec<Signer>> {
        if self.grants.is_empty() && self.own.is_empty() {
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
        let keys = distinct(&signers);
        if keys.len() >= self.threshold || self.has_own(&keys) {
            return Ok(signers);
        }
        Err(self.too_few(&signers, keys.len(), what))
    }

    fn has_own(&self, keys: &BTreeSet<KeyId>) -> bool {
        self.own.iter().any(|own| keys.contains(&own.id()))
    }

    fn too_few(&self, signers: &[Signer], count: usize, what: &str) -> Error {
        let describe = |signers: &mut dyn Iterator<Item = &Signer>| {
            signers.map(Signer::describe).collect::<Vec<_>>().join(", ")
        };
        if count > 0 {
            let by = describe(&mut signers.iter().filter(|signer| signer.trusted.is_some()));
            let mut error = Error::untrusted(format!(
                "{what} is signed by {count} of the {} trusted keys that it takes: {by}",
                self.threshold
            ))
            .hint("have another one of them sign it, with sealift sign");
            if let Some(signer) = signers.iter().find(|signer| signer.revoked.is_some()) {
                error = error.because(self.is_revoked(signer));
            }
            return error;
        }
        if let Some(signer) = signers.iter().find(|signer| signer.revoked.is_some()) {
            return Error::untrusted(format!("{what}: {}", self.is_revoked(signer)))
                .hint("do not use it: whoever holds that key may have signed anything; ask the sender for a bundle that is signed by a new key");
        }
        if let Some(signer) = signers.iter().find(|signer| self.find(signer.id).is_some()) {
            return Error::untrusted(format!(
                "the signature of {} on {what} does not fit: the manifest was changed or damaged after it was signed",
                signer.id.short()
            ))
            .hint("do not use this copy; ask for another one");
        }
        Error::untrusted(format!(
            "{what} is signed by {}, which is not trusted here",
            describe(&mut signers.iter())
        ))
        .hint("compare the key with the sender over another channel; if it is theirs, name it with --key or put it into the trust folder")
    }

    fn is_revoked(&self, signer: &Signer) -> String {
        let why = self.revocation(signer.id).map_or_else(String::new, Revocation::sentence);
        format!("the key {} is {why}", signer.describe())
    }

    /// Whether the signers may sign this: each image by as many keys as it takes, and each of these
    /// in this stream. `what` names the signed thing.
    ///
    /// # Errors
    /// [`Kind::Untrusted`](crate::model::Kind::Untrusted), naming the stream or the first image that
    /// they may not sign.
    pub fn permit<'a>(
        &self,
        signers: &[Signer],
        stream: Option<&StreamName>,
        images: impl Iterator<Item = (Option<&'a ImageName>, String)>,
        what: &str,
    ) -> Result<()> {
        let keys = distinct(signers);
        if self.has_own(&keys) {
            return Ok(());
        }
        let of_signers = self.grants_of(&keys);
        let count = |fits: &dyn Fn(&Scope) -> bool| able(&of_signers, fits);
        let refuse = |thing: String, count: usize| {
            let by: BTreeSet<String> = of_signers
                .iter()
                .map(|grant| {
                    let who = describe(grant.name.as_ref(), grant.key.id());
                    format!("{who} may sign {}", grant.scope)
                })
                .collect();
            let by = by.into_iter().collect::<Vec<_>>().join("; ");
            let count = if count == 0 { "none".to_owned() } else { format!("only {count}") };
            Error::untrusted(format!(
                "{what} {thing}: {count} of its signers may sign that, and it takes {}",
                self.threshold
            ))
            .because(by)
            .hint("if it is right all the same, say so in trust.toml, where the streams and repositories of each key are")
        };
        let in_stream = count(&|scope| scope.has_stream(stream));
        if in_stream < self.threshold {
            let stream =
                stream.map_or_else(|| "no stream".to_owned(), |stream| format!("stream {stream}"));
            return Err(refuse(format!("is of {stream}"), in_stream));
        }
        for (name, shown) in images {
            let able = count(&|scope| scope.has_stream(stream) && scope.has_image(name));
            if able < self.threshold {
                return Err(refuse(format!("holds the image {shown}"), able));
            }
        }
        Ok(())
    }

    /// Whether the signers may sign an image of this name, in any stream.
    pub fn may_sign(&self, signers: &[Signer], name: &ImageName) -> bool {
        let keys = distinct(signers);
        let fits = |scope: &Scope| scope.has_image(Some(name));
        self.has_own(&keys) || able(&self.grants_of(&keys), &fits) >= self.threshold
    }

    /// The registries to whose repositories keys are limited.
    pub fn limiting_registries(&self) -> BTreeSet<&str> {
        let limits = self.grants.iter().filter_map(|grant| grant.scope.repositories.as_ref());
        limits.flatten().filter_map(Repositories::registry).collect()
    }

    fn grants_of(&self, keys: &BTreeSet<KeyId>) -> Vec<&Grant> {
        self.grants.iter().filter(|grant| keys.contains(&grant.key.id())).collect()
    }
}

/// How many different keys have a grant that fits.
fn able(grants: &[&Grant], fits: &dyn Fn(&Scope) -> bool) -> usize {
    let fitting = grants.iter().filter(|grant| fits(&grant.scope));
    fitting.map(|grant| grant.key.id()).collect::<BTreeSet<KeyId>>().len()
}

/// The different keys that signed and are trusted.
fn distinct(signers: &[Signer]) -> BTreeSet<KeyId> {
    signers.iter().filter(|signer| signer.trusted.is_some()).map(|signer| signer.id).collect()
}

#[cfg(test)]
mod tests;
