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
    /// The file or helper that keeps them; `None` where somebody has just given them.
    pub(super) origin: Option<String>,
}

/// As whom a registry was asked, for a person whom it refused.
#[derive(Clone, Debug)]
pub(super) enum Whom {
    /// Nobody: where we looked for somebody.
    Nobody { looked: String },
    /// Somebody: the name where there is one, and who keeps the sign-in.
    Somebody { user: Option<String>, origin: Option<String> },
}

impl Whom {
    pub(super) fn of(found: &Found) -> Self {
        let user = found.credentials.user().map(str::to_owned);
        Self::Somebody { user, origin: found.origin.clone() }
    }

    /// In half a sentence.
    pub(super) fn told(&self) -> String {
        let (user, origin) = match self {
            Self::Nobody { looked } => return format!("nobody is signed in ({looked})"),
            Self::Somebody { user, origin } => (user, origin),
        };
        let who = match user {
            Some(user) => format!("asked as {user:?}"),
            None => "asked with an identity token".to_owned(),
        };
        match origin {
            Some(origin) => format!("{who}, from {origin}"),
            None => who,
        }
    }

    /// What to do about it, where `host` refused with 401: with a password that is wrong, or with
    /// one that may not do this.
    pub(super) fn advice(&self, host: &str) -> String {
        let anew = || format!("sign in with `sealift login {host}`, as somebody who may do this");
        let Self::Somebody { user, origin } = self else { return anew() };
        match user.as_deref() {
            // What is left of `robot$name` and `robot$project+name` where a shell read them.
            Some(user) if user == "robot" || user.starts_with("robot+") => format!(
                "a shell takes the $ and what follows out of a robot's name: write it in single quotes, as in `sealift login {host} --username 'robot$name'`"
            ),
            Some(user) if user.starts_with("robot$") && origin.is_none() => format!(
                "see at {host} whether the robot account is still there and has not expired, and check its secret"
            ),
            Some(user) if user.starts_with("robot$") => format!(
                "see at {host} whether the robot account is still there, has not expired and may do this; sign in with its secret: `sealift login {host} --username '{user}'`"
            ),
            Some(_) if origin.is_none() => {
                "check the name and the password, and that this account may do this; an account with a second factor needs a token in place of its password".to_owned()
            }
            _ => anew(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_are_helped() {
        let advice = |user: &str, origin: Option<&str>| {
            let found = Found {
                credentials: Credentials::password(user, "canary"),
                origin: origin.map(str::to_owned),
            };
            Whom::of(&found).advice("h.example")
        };
        assert!(advice("robot", None).contains("'robot$name'"));
        assert!(advice("robot+ci", None).contains("single quotes"));
        assert!(advice("robot$team+ci", Some("f")).contains("--username 'robot$team+ci'"));
        assert!(advice("robot$team+ci", None).contains("has not expired"));
        assert!(advice("robota", None).starts_with("check the name and the password"));
        assert!(advice("robota", Some("f")).starts_with("sign in with `sealift login h.example`"));
    }

    #[test]
    fn secrets_do_not_print() {
        let text = format!("{:?}", Credentials::password("user", "canary"));
        assert!(text.contains("***") && !text.contains("canary"), "{text}");
    }
}
