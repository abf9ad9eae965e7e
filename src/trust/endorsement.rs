//! An endorsement: a key vouches for the key that follows it.
//!
//! ```text
//! sealift key 1
//! new MCowBQYDK2VwAyEA…       the new public key, one line of base64
//! by 0f1e…                    ID of the key that vouches
//! created 1790000000          seconds since 1970
//! retire by                   only where the key that vouches is not to be trusted any more
//! signature 9a8b…             by that key, over all lines before this one
//! ```
//!
//! The first line makes the signature useless for anything else. It may come by any way: it is
//! believed only where the old key is trusted, and only when somebody asks for it.

use std::fmt::Write as _;

use super::key::{KeyId, PublicKey, SIGNATURE_BYTES, SecretKey};
use crate::model::{Error, Result, moment};

const TYPE_LINE: &str = "sealift key 1\n";
const RETIRE: &str = "retire by\n";

/// A key vouches for another one. Nothing is believed of it before [`verifies`](Self::verifies).
#[derive(Clone, Debug)]
pub struct Endorsement {
    /// The new key.
    pub new: PublicKey,
    /// The key that vouches for it.
    pub by: KeyId,
    /// When, in seconds since 1970.
    pub created: u64,
    /// Whether the key that vouches is not to be trusted any more.
    pub retire: bool,
    signature: [u8; SIGNATURE_BYTES],
}

/// The lines that are signed.
fn body(new: &PublicKey, by: KeyId, created: u64, retire: bool) -> Result<String> {
    let retire = if retire { RETIRE } else { "" };
    Ok(format!("{TYPE_LINE}new {}\nby {by}\ncreated {created}\n{retire}", new.to_line()?))
}

impl Endorsement {
    /// Vouches for `new` with `key`.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where both are one.
    pub fn new(new: PublicKey, key: &SecretKey, created: u64, retire: bool) -> Result<Self> {
        let by = key.public().id();
        if new.id() == by {
            return Err(Error::usage("the new key and the old key are the same"));
        }
        let signature = key.sign(body(&new, by, created, retire)?.as_bytes());
        Ok(Self { new, by, created, retire, signature })
    }

    /// The text of the file.
    pub fn to_text(&self) -> Result<String> {
        let mut text = body(&self.new, self.by, self.created, self.retire)?;
        let _ = writeln!(text, "signature {}", hex::encode(self.signature));
        Ok(text)
    }

    /// Reads it back, and takes only what [`to_text`](Self::to_text) writes. `origin` names it in
    /// errors.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed); [`Kind::Usage`](crate::model::Kind::Usage)
    /// for a weak key.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let bad = || {
            Error::malformed(format!("{origin} is not an endorsement of a key"))
                .hint("sealift key endorse makes one")
        };
        let mut lines = text.strip_prefix(TYPE_LINE).ok_or_else(bad)?.lines().peekable();
        let mut field = |name: &str| {
            let line = lines.next()?;
            Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned())
        };
        let new = PublicKey::from_text(&field("new").ok_or_else(bad)?, origin)?;
        let by = field("by").and_then(|id| KeyId::parse(&id)).ok_or_else(bad)?;
        let created = field("created")
            .and_then(|seconds| seconds.parse().ok())
            .filter(|&seconds: &u64| seconds < moment::LATEST)
            .ok_or_else(bad)?;
        let retire = lines.next_if_eq(&RETIRE.trim_end()).is_some();
        let signature = lines
            .next()
            .and_then(|line| hex::decode(line.strip_prefix("signature ")?).ok()?.try_into().ok())
            .ok_or_else(bad)?;
        let parsed = Self { new, by, created, retire, signature };
        if parsed.to_text()? == text { Ok(parsed) } else { Err(bad()) }
    }

    /// Whether `key` is the key that vouches, and did.
    ///
    /// # Errors
    /// Where the new key cannot be spelled.
    pub fn verifies(&self, key: &PublicKey) -> Result<bool> {
        let body = body(&self.new, self.by, self.created, self.retire)?;
        Ok(key.id() == self.by && key.verifies(body.as_bytes(), &self.signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endorsement_comes_back_and_no_byte_of_it_can_change() {
        let (old, new) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        for retire in [false, true] {
            let made = Endorsement::new(new.public(), &old, 1_790_000_000, retire).unwrap();
            let text = made.to_text().unwrap();
            let read = Endorsement::parse(&text, "it").unwrap();
            assert_eq!((read.created, read.retire), (1_790_000_000, retire));
            assert!(read.verifies(&old.public()).unwrap());
            assert!(!read.verifies(&new.public()).unwrap());
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                let believed = Endorsement::parse(&changed, "it")
                    .is_ok_and(|read| read.verifies(&old.public()).unwrap());
                assert!(!believed, "byte {at}");
            }
        }
        assert!(Endorsement::new(old.public(), &old, 1, false).is_err());
    }

    #[test]
    fn a_signature_over_a_manifest_is_no_endorsement() {
        let (old, new) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let mut made = Endorsement::new(new.public(), &old, 1, false).unwrap();
        let body = body(&made.new, made.by, 1, false).unwrap();
        let other = body.replacen("sealift key 1", "sealift manifest 1", 1);
        made.signature = old.sign(other.as_bytes());
        assert!(!made.verifies(&old.public()).unwrap());
    }
}
