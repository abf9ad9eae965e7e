//! For whom a file is encrypted: X25519 recipients, or whoever knows a passphrase.

use std::fmt;

use age::secrecy::SecretString;
use age::{Encryptor, Recipient, scrypt, x25519};
use zeroize::Zeroizing;

use super::key::{Keeping, Key};
use crate::model::{Error, Result, limits};

/// Steps that it takes to try a passphrase, as a power of two: what age itself takes. About a
/// second, and 256 MiB.
pub const WORK: u8 = 18;

/// For whom a file is encrypted.
pub struct Recipients(Kind);

enum Kind {
    Keys(Vec<x25519::Recipient>),
    Passphrase(Zeroizing<String>),
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Keys(keys) => {
                f.debug_list().entries(keys.iter().map(ToString::to_string)).finish()
            }
            Kind::Passphrase(_) => f.write_str("Passphrase(***)"),
        }
    }
}

impl Recipients {
    /// These recipients, each as `age-keygen` prints it (`age1…`). One that stands twice counts once.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where there is none, one is none, or there are too
    /// many.
    pub fn parse<'a>(recipients: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut texts: Vec<&str> = Vec::new();
        let mut keys = Vec::new();
        for text in recipients {
            let key = recipient(text)?;
            if !texts.contains(&text) {
                texts.push(text);
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return Err(Error::usage("there is no recipient to encrypt to"));
        }
        // One place is for the stanza that age adds so that readers stay used to unknown ones.
        if keys.len() >= limits::AGE_STANZAS {
            return Err(Error::usage(format!(
                "{} recipients are more than readers accept: at most {}",
                keys.len(),
                limits::AGE_STANZAS - 1
            )));
        }
        Ok(Self(Kind::Keys(keys)))
    }

    /// Whoever knows the passphrase.
    pub fn passphrase(passphrase: Zeroizing<String>) -> Self {
        Self(Kind::Passphrase(passphrase))
    }

    /// How many there are; `None` for a passphrase.
    pub fn count(&self) -> Option<usize> {
        match &self.0 {
            Kind::Keys(keys) => Some(keys.len()),
            Kind::Passphrase(_) => None,
        }
    }

    /// What encrypts one file, and the key of that file.
    pub(super) fn encryptor(&self) -> Result<(Encryptor, Key)> {
        let passphrase;
        let all: Vec<&dyn Recipient> = match &self.0 {
            Kind::Keys(keys) => keys.iter().map(|key| key as &dyn Recipient).collect(),
            Kind::Passphrase(secret) => {
                let mut recipient = scrypt::Recipient::new(SecretString::from(secret.to_string()));
                recipient.set_work_factor(WORK);
                passphrase = recipient;
                vec![&passphrase]
            }
        };
        let cannot = |why: String| Error::usage("cannot encrypt to these recipients").because(why);
        let (first, others) =
            all.split_first().ok_or_else(|| cannot("there is none".to_owned()))?;
        let first = Keeping::new(*first);
        let encryptor = Encryptor::with_recipients(
            std::iter::once(&first as &dyn Recipient).chain(others.iter().copied()),
        )
        .map_err(|e| cannot(e.to_string()))?;
        let key = first.key().ok_or_else(|| cannot("no key was made".to_owned()))?;
        Ok((encryptor, key))
    }
}

fn recipient(text: &str) -> Result<x25519::Recipient> {
    // What may be a secret is not repeated.
    if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(Error::usage("what stands for a recipient is an identity, which is a secret")
            .hint("name its public key, which `age-keygen -y` prints; others may have seen the secret on the command line: make a new one"));
    }
    text.parse().map_err(|why: &'static str| {
        let error = Error::usage(format!("{text:?} is no recipient")).because(why);
        if text.starts_with("ssh-") {
            error.hint("SSH keys are not supported: have the receiver run age-keygen")
        } else if text.starts_with("age1") {
            error.hint("copy it again, whole; recipients of plugins are not supported")
        } else {
            error.hint("it is the line that age-keygen prints, age1 and 58 more characters; a file of them is named as @FILE")
        }
    })
}
