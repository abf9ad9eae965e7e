//! Platforms: `os/architecture[/variant]`, as the OCI image index names them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};

/// What an image runs on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, as Go's `GOOS`.
    pub os: String,
    /// Processor, as Go's `GOARCH`.
    pub architecture: String,
    /// Variant of the processor, as in `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Version of the operating system; Windows images differ by it.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

impl Platform {
    /// The platform of attestation manifests, which run nowhere.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }

    /// Whether an image for `offered` satisfies this wish. A wish without a variant takes every
    /// variant; `arm64` and `arm64/v8` are one, and so are `amd64` and `amd64/v1`.
    pub fn accepts(&self, offered: &Self) -> bool {
        let plain =
            |platform: &Self| match (platform.architecture.as_str(), platform.variant.as_deref()) {
                ("arm64", Some("v8")) | ("amd64", Some("v1")) => None,
                (_, variant) => variant.map(str::to_owned),
            };
        self.os == offered.os
            && self.architecture == offered.architecture
            && (plain(self).is_none() || plain(self) == plain(offered))
            && (self.os_version.is_none() || self.os_version == offered.os_version)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::usage(format!("not a platform: {text:?}"))
                .hint("write it as os/architecture[/variant], for example linux/arm64")
        };
        let parts: Vec<&str> = text.split('/').collect();
        let fine = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        if !parts.iter().all(fine) {
            return Err(bad());
        }
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(bad()),
        };
        let architecture = match *architecture {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Ok(Self {
            os: os.to_lowercase(),
            architecture: architecture.to_owned(),
            variant: variant.map(|v| (*v).to_owned()),
            os_version: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn wishes_match_as_people_mean_them() {
        assert!(platform("linux/arm64").accepts(&platform("linux/arm64/v8")));
        assert!(platform("linux/arm64/v8").accepts(&platform("linux/arm64")));
        assert!(platform("linux/arm").accepts(&platform("linux/arm/v7")));
        assert!(!platform("linux/arm/v6").accepts(&platform("linux/arm/v7")));
        assert!(platform("linux/x86_64").accepts(&platform("linux/amd64")));
        assert!(!platform("linux/amd64").accepts(&platform("windows/amd64")));
    }

    #[test]
    fn half_a_platform_is_refused() {
        for text in ["linux", "", "linux/", "/amd64", "a/b/c/d", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text:?} was taken");
        }
    }
}
