//! What the surroundings say about the way to registries: proxies, certificates, mirrors.

use std::path::{Path, PathBuf};

use crate::model::Result;
use crate::transport::registry::{CertificateFolders, ProxySettings, RuleFiles, Secret, Setting};

/// The system's configuration of the containers tools (podman, skopeo, buildah).
const SYSTEM_CONTAINERS: &str = "/etc/containers";

/// The system's configuration of docker.
const SYSTEM_DOCKER: &str = "/etc/docker";

/// How registries are reached from here.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Routes {
    pub(in crate::cli) proxies: ProxySettings,
    pub(in crate::cli) certificates: CertificateFolders,
    pub(in crate::cli) rules: RuleFiles,
}

impl Routes {
    /// `text` gives a variable that is set and not empty; `home` is the user's folder, `configs`
    /// the one for configuration in it.
    pub(super) fn resolve(
        text: &dyn Fn(&str) -> Result<Option<String>>,
        home: Option<&Path>,
        configs: Option<&Path>,
    ) -> Result<Self> {
        // As in Go, the name in capitals counts first.
        let setting = |name: &str| -> Result<Option<Setting>> {
            for name in [name.to_owned(), name.to_ascii_lowercase()] {
                if let Some(value) = text(&name)? {
                    return Ok(Some(Setting { name, value: Secret::new(value) }));
                }
            }
            Ok(None)
        };
        let docker = match text("DOCKER_CONFIG")? {
            Some(folder) => Some(PathBuf::from(folder)),
            None => home.map(|home| home.join(".docker")),
        };
        let containers = configs.map(|configs| configs.join("containers"));
        // Where a dockerd that runs without root has its configuration.
        let rootless = configs.map(|configs| configs.join("docker"));
        let system = [PathBuf::from(SYSTEM_CONTAINERS), PathBuf::from(SYSTEM_DOCKER)];
        let roots = [&containers, &docker, &rootless].into_iter().flatten().chain(&system);
        let daemons = rootless.iter().chain(&system[1..]);
        Ok(Self {
            proxies: ProxySettings {
                https: setting("HTTPS_PROXY")?,
                http: setting("HTTP_PROXY")?,
                all: setting("ALL_PROXY")?,
                no: setting("NO_PROXY")?,
                docker_config: docker.as_ref().map(|folder| folder.join("config.json")),
            },
            certificates: CertificateFolders {
                roots: roots.map(|root| root.join("certs.d")).collect(),
                only: None,
            },
            rules: RuleFiles {
                registries_conf: text("CONTAINERS_REGISTRIES_CONF")?.map(PathBuf::from),
                user: containers,
                daemon_json: daemons.map(|folder| folder.join("daemon.json")).collect(),
                system: Some(system[0].clone()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    fn routes(variables: &[(&str, &str)]) -> Routes {
        Environment::fake(variables).unwrap().routes
    }

    #[test]
    fn proxies_are_read_in_both_cases_and_capitals_first() {
        let proxies = routes(&[
            ("https_proxy", "http://small.example"),
            ("HTTPS_PROXY", "http://large.example"),
            ("no_proxy", "a.example"),
            ("all_proxy", ""),
        ])
        .proxies;
        let said = |setting: Option<Setting>| {
            setting.map(|setting| (setting.name, setting.value.expose().to_owned()))
        };
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(said(proxies.https), pair("HTTPS_PROXY", "http://large.example"));
        assert_eq!(said(proxies.no), pair("no_proxy", "a.example"));
        assert!(proxies.all.is_none() && proxies.http.is_none());
        assert!(proxies.docker_config.is_none(), "there is no home");
    }

    #[test]
    fn the_users_files_come_before_the_systems() {
        let routes = routes(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d")]);
        let roots: Vec<_> =
            routes.certificates.roots.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(
            roots,
            [
                "/h/.config/containers/certs.d",
                "/d/certs.d",
                "/h/.config/docker/certs.d",
                "/etc/containers/certs.d",
                "/etc/docker/certs.d",
            ]
        );
        assert_eq!(routes.proxies.docker_config.unwrap(), Path::new("/d/config.json"));
        assert_eq!(routes.rules.user.unwrap(), Path::new("/h/.config/containers"));
        assert_eq!(
            routes.rules.daemon_json,
            [Path::new("/h/.config/docker/daemon.json"), Path::new("/etc/docker/daemon.json"),]
        );
    }
}
