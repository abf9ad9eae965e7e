//! Secrets, and who we are.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

/// A text that is not for eyes: it prints as `***` and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps `text` secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for where it has to go.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Who we are at a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// User name and password (or access token in its place).
    Password {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// A refresh token, to be traded for access tokens.
    Identity(Secret),
}

impl Credentials {
    /// User name and password.
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Password { user: user.into(), password: Secret::new(password) }
    }

    /// What to call whoever this is, in an error.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Password { user, .. } => {
                format!("the credentials of {:?}", user.escape_debug().to_string())
            }
            Self::Identity(_) => "the stored identity token".to_owned(),
        }
    }

    /// From a pair as stores hold it; `<token>` in place of the name marks an identity token.
    pub(super) fn from_pair(user: String, secret: Secret) -> Option<Self> {
        if secret.expose().is_empty() {
            None
        } else if user == "<token>" {
            Some(Self::Identity(secret))
        } else {
            (!user.is_empty()).then_some(Self::Password { user, password: secret })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let text = format!("{:?}", Credentials::password("user", "canary"));
        assert!(text.contains("***") && !text.contains("canary"), "{text}");
    }
}
