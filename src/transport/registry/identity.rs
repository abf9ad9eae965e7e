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

/// What stands in place of a name where a helper gives, or an identity token is sent as, a pair.
pub(super) const IDENTITY: &str = "<token>";

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
    Identity {
        /// Whose it is, where that is known.
        user: Option<String>,
        /// The token.
        token: Secret,
    },
}

impl Credentials {
    /// User name and password.
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Password { user: user.into(), password: Secret::new(password) }
    }

    /// A refresh token, whoever's it is.
    pub fn identity(token: impl Into<String>) -> Self {
        Self::Identity { user: None, token: Secret::new(token) }
    }

    /// The name, where there is one.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Password { user, .. } => Some(user),
            Self::Identity { user, .. } => user.as_deref(),
        }
    }

    /// From a pair as stores hold it; `<token>` in place of the name marks an identity token.
    pub(super) fn from_pair(user: String, secret: Secret) -> Option<Self> {
        if secret.expose().is_empty() {
            None
        } else if user == IDENTITY {
            Some(Self::Identity { user: None, token: secret })
        } else {
            (!user.is_empty()).then_some(Self::Password { user, password: secret })
        }
    }
}

/// Credentials, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) credentials: Credentials,
    /// A file, a helper, the command line: as a person would name it.
    pub(super) origin: String,
}

impl Found {
    pub(super) fn new(credentials: Credentials, origin: impl Into<String>) -> Self {
        Self { credentials, origin: origin.into() }
    }
}

/// As whom a registry was asked, for a person whom it refused.
#[derive(Clone, Debug)]
pub(super) enum Whom {
    /// Nobody: where we looked for somebody.
    Nobody(String),
    /// Somebody: the name, and where it comes from.
    Somebody(Option<String>, String),
}

impl Whom {
    pub(super) fn of(found: Option<&Found>, searched: impl FnOnce() -> String) -> Self {
        match found {
            None => Self::Nobody(searched()),
            Some(found) => {
                Self::Somebody(found.credentials.user().map(str::to_owned), found.origin.clone())
            }
        }
    }

    /// In half a sentence.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Nobody(searched) => format!("nobody is signed in (looked into {searched})"),
            Self::Somebody(Some(user), origin) => format!("asked as {user:?} of {origin}"),
            Self::Somebody(None, origin) => {
                format!("asked with the identity token of {origin}")
            }
        }
    }

    /// What to do about it, where `host` refused.
    pub(super) fn advice(&self, host: &str) -> String {
        let Self::Somebody(Some(user), _) = self else {
            return format!("sign in with `sealift login {host}`, as somebody who may do this");
        };
        // What is left of `robot$name` and `robot$project+name` where a shell read them.
        if user == "robot" || user.starts_with("robot+") {
            format!(
                "a shell takes the $ and what follows out of a robot's name: write it in single quotes, as in `sealift login {host} --username 'robot$name'`"
            )
        } else if user.starts_with("robot$") {
            format!(
                "see at {host} whether the robot account is still there, has not expired and may do this; sign in with its secret: `sealift login {host} --username '{user}'`"
            )
        } else {
            format!("sign in with `sealift login {host}`, as somebody who may do this")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_are_helped() {
        let advice = |user: &str| {
            Whom::Somebody(Some(user.to_owned()), "a file".to_owned()).advice("h.example")
        };
        assert!(advice("robot").contains("'robot$name'"));
        assert!(advice("robot+ci").contains("single quotes"));
        assert!(advice("robot$team+ci").contains("--username 'robot$team+ci'"));
        assert!(!advice("robota").contains("robot"));
        assert!(Whom::Nobody("x".into()).told().contains("looked into x"));
    }

    #[test]
    fn secrets_do_not_print() {
        let text = format!("{:?}", Credentials::password("user", "canary"));
        assert!(text.contains("***") && !text.contains("canary"), "{text}");
    }
}
