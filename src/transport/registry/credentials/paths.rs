//! Where sign-ins are kept, and in which order the places are asked.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::model::{Error, Result};
use crate::transport::registry::identity::Secret;

/// Where the environment says that credentials are. Nothing here looks into the environment.
///
/// Order and names: containers-auth.json(5) for the containers world, `docker login` for docker.
#[derive(Clone, Debug, Default)]
pub struct CredentialPaths {
    /// What `--authfile` named, or `REGISTRY_AUTH_FILE`: then no other place is asked, as podman
    /// and skopeo have it.
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`; podman keeps `containers/auth.json` there.
    pub runtime_dir: Option<PathBuf>,
    /// Where podman keeps it when there is no such folder: `/run/containers/UID/auth.json`.
    pub per_user: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`; `~/.config` where it is not set.
    pub config_home: Option<PathBuf>,
    /// `DOCKER_AUTH_CONFIG`: the text of a `config.json`, as docker and CI runners take it.
    pub docker_auth_config: Option<Secret>,
    /// `DOCKER_CONFIG`, a folder; `~/.docker` where it is not set.
    pub docker_config: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// Where credential helpers are looked for, in the form of `PATH`; the `PATH` of the process
    /// where it is not given.
    pub helper_path: Option<OsString>,
}

/// A place that may hold sign-ins.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// `config.json` or `auth.json`.
    File(PathBuf),
    /// `.dockercfg`, of docker before 1.7: the entries alone.
    Old(PathBuf),
    /// The text of a `config.json`.
    Text(Secret),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Old(path) => path.display().fmt(f),
            Self::Text(_) => f.write_str("DOCKER_AUTH_CONFIG"),
        }
    }
}

impl CredentialPaths {
    /// Every place, the first to be asked first.
    pub(super) fn places(&self) -> Vec<Place> {
        if let Some(path) = &self.registry_auth_file {
            return vec![Place::File(path.clone())];
        }
        let podman =
            below(self.runtime_dir.as_ref(), "containers/auth.json").or(self.per_user.clone());
        let config = below(self.config_home.as_ref(), "containers/auth.json")
            .or_else(|| below(self.home.as_ref(), ".config/containers/auth.json"));
        let text = self.docker_auth_config.clone().map(Place::Text);
        let files = |path: Option<PathBuf>| path.map(Place::File);
        [
            files(podman),
            files(config),
            text,
            files(self.docker_file()),
            below(self.home.as_ref(), ".dockercfg").map(Place::Old),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The file that sign-ins are written to: docker's, unless another one was named.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where the user has no home.
    pub(super) fn written(&self) -> Result<PathBuf> {
        self.registry_auth_file.clone().or_else(|| self.docker_file()).ok_or_else(|| {
            Error::usage("neither HOME nor DOCKER_CONFIG says where sign-ins are kept")
                .hint("name the file with --authfile")
        })
    }

    fn docker_file(&self) -> Option<PathBuf> {
        below(self.docker_config.as_ref(), "config.json")
            .or_else(|| below(self.home.as_ref(), ".docker/config.json"))
    }
}

fn below(folder: Option<&PathBuf>, rest: impl AsRef<Path>) -> Option<PathBuf> {
    folder.map(|folder| folder.join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(paths: &CredentialPaths) -> Vec<String> {
        paths.places().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_order_is_podmans_then_dockers() {
        let paths = CredentialPaths {
            per_user: Some("/run/containers/7/auth.json".into()),
            home: Some("/h".into()),
            docker_auth_config: Some(Secret::new("canary")),
            ..CredentialPaths::default()
        };
        let rest = [
            "/h/.config/containers/auth.json",
            "DOCKER_AUTH_CONFIG",
            "/h/.docker/config.json",
            "/h/.dockercfg",
        ];
        assert_eq!(shown(&paths), [&["/run/containers/7/auth.json"], &rest[..]].concat());
        let runtime = CredentialPaths { runtime_dir: Some("/run/user/7".into()), ..paths.clone() };
        assert_eq!(shown(&runtime), [&["/run/user/7/containers/auth.json"], &rest[..]].concat());
        let moved = CredentialPaths { docker_config: Some("/d".into()), ..paths.clone() };
        assert_eq!(shown(&moved)[3], "/d/config.json");
        assert_eq!(moved.written().unwrap(), Path::new("/d/config.json"));
        assert!(!format!("{paths:?}").contains("canary"));
    }

    #[test]
    fn a_file_that_was_named_is_the_only_one() {
        let paths = CredentialPaths {
            registry_auth_file: Some("mine.json".into()),
            home: Some("/h".into()),
            ..CredentialPaths::default()
        };
        assert_eq!(shown(&paths), ["mine.json"]);
        assert_eq!(paths.written().unwrap(), Path::new("mine.json"));
        assert!(CredentialPaths::default().written().is_err());
    }
}
