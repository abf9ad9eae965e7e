//! Who somebody says to be at the registry of a command, and where sign-ins are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::is_there;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::cli::password::Password;
use crate::model::{Error, Result};
use crate::transport::registry::{CredentialPaths, Credentials};

/// Where sign-ins are kept: in the file that is named, else where the environment says.
pub(super) fn paths(authfile: Option<PathBuf>, environment: &Environment) -> CredentialPaths {
    let mut paths = environment.credentials.clone();
    paths.registry_auth_file = authfile.or(paths.registry_auth_file);
    paths
}

/// Where sign-ins are found, and who somebody says to be, for a command that talks to `registries`.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where a name is given and it is not clear for which
/// registry, or where a file is named that is not there.
pub(super) fn sign_in(
    args: args::SignInArgs,
    environment: &Environment,
    registries: &BTreeSet<String>,
) -> Result<(CredentialPaths, BTreeMap<String, Credentials>)> {
    if let Some(file) = &args.authfile
        && !is_there(file)?
    {
        return Err(Error::usage(format!("no sign-ins at {}", file.display()))
            .hint("sealift login REGISTRY --authfile FILE makes such a file"));
    }
    let mut given = BTreeMap::new();
    if let Some(user) = args.username {
        let mut names = registries.iter();
        let (Some(registry), None) = (names.next(), names.next()) else {
            let names: Vec<&str> = registries.iter().map(String::as_str).collect();
            return Err(match names.as_slice() {
                [] => Error::usage("--username is given, and no registry is talked to")
                    .hint("leave out --username"),
                names => Error::usage(format!(
                    "--username is given, and it is not clear for which registry: {}",
                    names.join(", ")
                ))
                .hint(
                    "sign in to each once, with sealift login REGISTRY, and leave out --username",
                ),
            });
        };
        let password = Password::resolve(args.password_stdin, args.password_file);
        given.insert(registry.clone(), credentials(user, &password, registry)?);
    }
    Ok((paths(args.authfile, environment), given))
}

pub(super) fn credentials(
    user: String,
    password: &Password,
    registry: &str,
) -> Result<Credentials> {
    if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
        return Err(Error::usage(format!("not a user name: {user:?}"))
            .hint("a user name is not empty and holds no colon; a robot's is written in single quotes, as in 'robot$team+ci'"));
    }
    let password = password.of(&user, registry)?;
    Ok(Credentials::password(user, &*password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_for_one_registry() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "canary$HOME\n").unwrap();
        let resolve = |registries: &[&str], user: &str| {
            let args = args::SignInArgs {
                username: Some(user.to_owned()),
                password_stdin: false,
                password_file: Some(file.clone()),
                authfile: None,
            };
            let registries = registries.iter().map(|name| (*name).to_owned()).collect();
            sign_in(args, &Environment::fake(&[]).unwrap(), &registries)
        };
        let (_, given) = resolve(&["h.example"], "robot$team+ci").unwrap();
        assert_eq!(given["h.example"], Credentials::password("robot$team+ci", "canary$HOME"));
        assert!(!format!("{given:?}").contains("canary"));
        for (registries, said) in
            [(&["a.example", "b.example"][..], "a.example, b.example"), (&[], "no registry")]
        {
            let error = resolve(registries, "u").unwrap_err();
            assert!(error.message().contains(said), "{error:?}");
        }
        for user in ["", "a:b", "a\nb"] {
            assert!(resolve(&["h.example"], user).is_err(), "{user:?}");
        }
    }

    #[test]
    fn a_named_file_must_be_there_to_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::fake(&[("REGISTRY_AUTH_FILE", "other")]).unwrap();
        let file = folder.path().join("auth.json");
        let args = || args::SignInArgs {
            username: None,
            password_stdin: false,
            password_file: None,
            authfile: Some(file.clone()),
        };
        let none = BTreeSet::new();
        assert!(sign_in(args(), &environment, &none).is_err());
        std::fs::write(&file, "{}").unwrap();
        let (paths, _) = sign_in(args(), &environment, &none).unwrap();
        assert_eq!(paths.registry_auth_file.as_deref(), Some(&*file));
    }
}
