//! Content digests, as the OCI image specification writes them (`algorithm:hex`, section
//! "Digests" of descriptor.md).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};

/// The hash algorithms that the OCI image specification registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 32 bytes: what practically every registry uses.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// The name as it stands before the colon, and as the folder below `blobs/`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a digest in bytes.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A well-formed content digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Digest {
    /// A SHA-256 digest.
    Sha256([u8; 32]),
    /// A SHA-512 digest.
    Sha512([u8; 64]),
}

impl Digest {
    /// The SHA-256 digest of bytes that are at hand.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::Sha256(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of bytes that are at hand, with the algorithm that `self` uses, so that the two
    /// can be compared.
    #[must_use]
    pub fn of_same_kind(&self, bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        match self {
            Self::Sha256(_) => Self::of(bytes),
            Self::Sha512(_) => Self::Sha512(sha2::Sha512::digest(bytes).into()),
        }
    }

    /// A digest from its raw bytes; `None` where the length does not fit the algorithm.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 => bytes.try_into().ok().map(Self::Sha256),
            Algorithm::Sha512 => bytes.try_into().ok().map(Self::Sha512),
        }
    }

    /// Which algorithm made it.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The raw bytes.
    pub const fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// The lower-case hexadecimal part, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.bytes())
    }

    /// The first twelve hexadecimal digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.bytes()[..6])
    }

    /// The tag under which cosign and the referrers fallback file what belongs to this digest:
    /// `sha256-<hex>` (OCI distribution specification, "Referrers Tag Schema").
    pub fn as_tag(&self) -> String {
        format!("{}-{}", self.algorithm().name(), self.hex())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm().name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::malformed(format!("not a digest: {text:?} ({why})"));
        let (name, hex_part) = text.split_once(':').ok_or_else(|| bad("no colon"))?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(bad("only sha256 and sha512 are known")),
        };
        if hex_part.len() != algorithm.digest_bytes() * 2 {
            return Err(bad("wrong length"));
        }
        if hex_part.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(bad("not lower-case hexadecimal"));
        }
        let bytes = hex::decode(hex_part).map_err(|_| bad("not hexadecimal"))?;
        Self::from_bytes(algorithm, &bytes).ok_or_else(|| bad("wrong length"))
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_digest_reads_and_prints() {
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Digest::of(b"").short(), "e3b0c44298fc");
    }

    #[test]
    fn paths_lengths_cases_and_foreign_algorithms_are_refused() {
        for text in [
            "sha256:../../etc/passwd",
            "sha256:abc",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "sha256",
            "",
            "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 ",
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn sha512_keeps_its_algorithm() {
        let sample = Digest::Sha512([0; 64]);
        let digest = sample.of_same_kind(b"");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!(digest.as_tag().starts_with("sha512-cf83e1357eef"));
    }
}
