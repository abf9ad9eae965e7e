//! Streams: bundles that follow one another, such as all that go to one production site.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};

/// Characters of a name: enough for a host and a purpose, and short enough for any file system.
const LONGEST: usize = 64;

/// Name of a stream: lower-case letters, digits, `.`, `_` and `-`, a letter or digit first, at most 64
/// of them. So it names a folder anywhere, and hides nothing from whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StreamName(String);

impl StreamName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StreamName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let fits = bytes.len() <= LONGEST
            && bytes.first().is_some_and(|&first| plain(first))
            && bytes.iter().all(|&byte| plain(byte) || b"._-".contains(&byte));
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::usage(format!("not the name of a stream: {text:?}")).hint(
            "use lower-case letters, digits, '.', '_' and '-', at most 64, a letter or digit first",
        ))
    }
}

impl TryFrom<String> for StreamName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.0
    }
}

/// The place of a bundle in its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The stream.
    pub stream: StreamName,
    /// Number of the bundle in it: higher than that of every bundle before it, at least 1.
    pub sequence: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "number {} of stream {}", self.sequence, self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_names_of_folders() {
        for good in ["prod", "a", "0", "site-7.prod_eu", &"x".repeat(64)] {
            assert_eq!(good.parse::<StreamName>().unwrap().as_str(), good);
        }
        let bad =
            ["", ".", "..", ".a", "-a", "a/b", "A", "ä", "a b", "a\0", "a\n", &"x".repeat(65)];
        for bad in bad {
            assert!(bad.parse::<StreamName>().is_err(), "{bad:?}");
        }
    }
}
