//! What `sealift login` and `sealift logout` are asked for.

use std::collections::BTreeSet;

use super::connection::Connection;
use super::sign_in::{credentials, paths};
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::cli::password::{self, Password};
use crate::model::{Error, Result};
use crate::transport::registry::{CredentialPaths, Credentials};

/// `sealift login`.
#[derive(Debug)]
pub(in crate::cli) struct Login {
    /// The registry, as images name it.
    pub(in crate::cli) registry: String,
    /// Who signs in.
    pub(in crate::cli) credentials: Credentials,
    /// How to get there, and where sign-ins are kept.
    pub(in crate::cli) connection: Connection,
}

/// `sealift logout`.
#[derive(Debug)]
pub(in crate::cli) struct Logout {
    /// The registry, as images name it.
    pub(in crate::cli) registry: String,
    /// Where sign-ins are kept.
    pub(in crate::cli) paths: CredentialPaths,
}

impl Login {
    pub(in crate::cli) fn resolve(
        args: args::LoginArgs,
        environment: &Environment,
    ) -> Result<Self> {
        let registry = registry_name(&args.name)?;
        let mut options = args.registry;
        let paths = paths(options.sign_in.authfile.take(), environment);
        let user = match options.sign_in.username.take() {
            Some(user) => user,
            None => password::ask_name(&registry)?,
        };
        let password = Password::resolve(
            std::mem::take(&mut options.sign_in.password_stdin),
            options.sign_in.password_file.take(),
        );
        let credentials = credentials(user, &password, &registry)?;
        let mut connection = Connection::resolve(options, environment, &BTreeSet::new())?;
        connection.credentials = paths;
        Ok(Self { registry, credentials, connection })
    }
}

impl Logout {
    pub(in crate::cli) fn resolve(
        args: args::LogoutArgs,
        environment: &Environment,
    ) -> Result<Self> {
        let registry = registry_name(&args.name)?;
        Ok(Self { registry, paths: paths(args.authfile, environment) })
    }
}

/// The registry that somebody means: with or without `https://`, Docker Hub under any of its names.
fn registry_name(text: &str) -> Result<String> {
    let bad = |hint: &str| Err(Error::usage(format!("not a registry: {text:?}")).hint(hint));
    if text.starts_with("http://") {
        return bad("write HOST or HOST:PORT; for one without TLS, add --plain-http");
    }
    let name = text.strip_prefix("https://").unwrap_or(text);
    let name = name.strip_suffix("/v1/").or(name.strip_suffix("/v2/")).unwrap_or(name);
    let name = name.strip_suffix('/').unwrap_or(name).to_ascii_lowercase();
    if matches!(&*name, "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        return Ok("docker.io".to_owned());
    }
    if name.is_empty() || name.contains(['/', '@', '?', '#', ' ']) {
        return bad("write HOST or HOST:PORT, as in harbor.example or harbor.example:8443");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_known_by_its_host() {
        for (text, name) in [
            ("harbor.example", "harbor.example"),
            ("https://Harbor.example:8443/", "harbor.example:8443"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(registry_name(text).unwrap(), name);
        }
        for text in ["", "http://h.example", "h.example/team", "u:p@h.example", "docker://h"] {
            assert!(registry_name(text).unwrap_err().get_hint().is_some(), "{text}");
        }
    }
}
