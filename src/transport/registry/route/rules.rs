//! Where images are read from, and what may not be read: what the user said on the command line,
//! what the containers tools' `registries.conf` says, what docker's `daemon.json` says; in this
//! order.

use std::fmt;
use std::path::PathBuf;

use super::daemon_json::{self, Insecure};
use super::mirror::{self, Mirror, Prefix};
use super::registries_conf::{self, Rule};
use crate::model::{Error, ImageName, Result};

/// The name of Docker Hub: the one registry that docker's mirrors are for.
const HUB: &str = "docker.io";

/// Where the files are that speak of registries. By default there are none.
#[derive(Clone, Debug, Default)]
pub struct RuleFiles {
    /// A `registries.conf` in place of the user's and the system's
    /// (`CONTAINERS_REGISTRIES_CONF`).
    pub registries_conf: Option<PathBuf>,
    /// The user's folder of the containers tools, `~/.config/containers`.
    pub user: Option<PathBuf>,
    /// The system's, `/etc/containers`.
    pub system: Option<PathBuf>,
    /// Docker's `daemon.json`; the first that is there counts.
    pub daemon_json: Vec<PathBuf>,
}

/// What is said about registries; by default nothing.
#[derive(Clone, Debug, Default)]
pub struct RegistryRules {
    /// From the command line.
    given: Vec<(Prefix, Mirror)>,
    rules: Vec<Rule>,
    hub: Vec<Mirror>,
    insecure: Vec<(Insecure, String)>,
    /// Whether nothing is read from elsewhere than its name says.
    straight: bool,
}

/// One place that an image may be read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Place {
    /// The image there.
    pub(in super::super) name: ImageName,
    /// The mirror that it is, if it is one.
    pub(in super::super) mirror: Option<Via>,
}

/// A mirror, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Via {
    /// `HOST[:PORT][/PATH]`.
    pub(in super::super) location: String,
    /// Who named it.
    pub(in super::super) set_by: String,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.location, self.set_by)
    }
}

impl RegistryRules {
    /// Reads the files. `mirrors` are `FROM=TO`, as `--mirror` takes them.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) for what cannot be understood,
    /// [`Kind::Io`](crate::model::Kind::Io) where a file cannot be read.
    pub fn read(files: &RuleFiles, mirrors: &[String]) -> Result<Self> {
        let given = mirrors.iter().map(|text| mirror::given(text)).collect::<Result<_>>()?;
        let found = registries_conf::files(
            files.registries_conf.as_deref(),
            files.user.as_deref(),
            files.system.as_deref(),
        )?;
        let mut read = Self { given, rules: registries_conf::read(&found)?, ..Self::default() };
        if let Some(path) = files.daemon_json.iter().find(|path| path.exists()) {
            let daemon = daemon_json::read(path)?;
            read.hub = daemon.mirrors;
            let name = path.display().to_string();
            read.insecure = daemon.insecure.into_iter().map(|i| (i, name.clone())).collect();
        }
        Ok(read)
    }

    /// The same without mirrors: every image is read from where its name says. What is blocked
    /// stays blocked.
    #[must_use]
    pub fn straight(self) -> Self {
        Self { straight: true, ..self }
    }

    /// The rule for a name, or for the beginning of one: that with the longest prefix.
    fn rule(&self, name: &str) -> Option<(usize, &Rule)> {
        let covered = self.rules.iter().filter_map(|rule| Some((rule.prefix.covers(name)?, rule)));
        // Of a wildcard and a name that cover as much, the name is about less.
        covered.max_by_key(|(length, rule)| (*length, matches!(rule.prefix, Prefix::Path(_))))
    }

    /// Makes sure that `name`, an image or the place of images, is not blocked.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where it is.
    pub fn allow(&self, name: &str) -> Result<()> {
        match self.rule(name) {
            Some((_, rule)) if rule.blocked => Err(Error::usage(format!(
                "{name} is blocked: {} says so for {}",
                rule.file.display(),
                rule.prefix
            ))
            .hint("ask whoever keeps that file; sealift does not go around it")),
            _ => Ok(()),
        }
    }

    /// The places of an image, the first to be asked first; the last is the registry itself.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where it is blocked.
    pub(in super::super) fn places(&self, name: &ImageName) -> Result<Vec<Place>> {
        let text = name.to_string();
        self.allow(&text)?;
        let mut places: Vec<Place> = Vec::new();
        let mut itself = name.clone();
        if !self.straight {
            let rule = self.rule(&text);
            let given = self
                .given
                .iter()
                .filter_map(|(prefix, mirror)| Some((prefix.covers(&text)?, mirror)));
            let ruled = rule.into_iter().flat_map(|(covered, rule)| {
                rule.mirrors.iter().map(move |mirror| (covered, mirror))
            });
            let hub = self.hub.iter().filter(|_| name.registry() == HUB);
            let all = given.chain(ruled).chain(hub.map(|mirror| (HUB.len(), mirror)));
            for (covered, mirror) in all.filter(|(_, mirror)| mirror.pull.takes(name)) {
                let name = mirror::moved(name, covered, &mirror.location)?;
                if places.iter().all(|known| known.name != name) {
                    let via =
                        Via { location: mirror.location.clone(), set_by: mirror.set_by.clone() };
                    places.push(Place { name, mirror: Some(via) });
                }
            }
            if let Some((covered, Rule { location: Some(location), .. })) = rule {
                itself = mirror::moved(name, covered, location)?;
            }
        }
        places.retain(|mirror| mirror.name != itself);
        places.push(Place { name: itself, mirror: None });
        Ok(places)
    }

    /// Who said that plain HTTP may be spoken to a registry; `None` where nobody did.
    pub(in super::super) fn insecure(&self, registry: &str) -> Option<String> {
        let by_rule = self.rules.iter().find(|rule| {
            rule.insecure
                && match &rule.location {
                    Some(location) => mirror::host(location) == registry,
                    None => rule.prefix.touches(registry),
                }
        });
        if let Some(rule) = by_rule {
            return Some(rule.file.display().to_string());
        }
        let given = self.given.iter().map(|(_, mirror)| mirror);
        let mirrors =
            given.chain(self.rules.iter().flat_map(|rule| &rule.mirrors)).chain(&self.hub);
        let insecure =
            |mirror: &&Mirror| mirror.insecure && mirror::host(&mirror.location) == registry;
        if let Some(mirror) = mirrors.into_iter().find(insecure) {
            return Some(mirror.set_by.clone());
        }
        let listed = self.insecure.iter().find(|(entry, _)| entry.covers(registry));
        listed.map(|(_, file)| file.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(conf: &str, daemon: &str, mirrors: &[&str]) -> RegistryRules {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = RuleFiles {
            registries_conf: Some(path("registries.conf", conf)),
            daemon_json: vec![folder.path().join("none"), path("daemon.json", daemon)],
            ..RuleFiles::default()
        };
        let mirrors: Vec<String> = mirrors.iter().map(|text| (*text).to_owned()).collect();
        RegistryRules::read(&files, &mirrors).unwrap()
    }

    fn places(rules: &RegistryRules, name: &str) -> Vec<String> {
        let places = rules.places(&name.parse().unwrap()).unwrap();
        places.into_iter().map(|place| place.name.to_string()).collect()
    }

    const CONF: &str = r#"
        [[registry]]
        prefix = "docker.io"
        location = "docker.io"
        [[registry.mirror]]
        location = "conf.example/hub"
        [[registry]]
        prefix = "docker.io/secret"
        location = "inside.example/s"
        insecure = true
        [[registry]]
        location = "evil.example"
        blocked = true
        [[registry]]
        prefix = "*.corp"
        blocked = true
        [[registry]]
        location = "fine.corp/team"
        [[registry.mirror]]
        location = "m.corp"
        pull-from-mirror = "digest-only"
    "#;

    #[test]
    fn mirrors_come_in_order_and_the_registry_last() {
        let daemon =
            r#"{"registry-mirrors":["https://daemon.example","https://conf.example/hub"]}"#;
        let rules = rules(CONF, daemon, &["docker.io=a.example", "docker.io/library=b.example/x"]);
        assert_eq!(
            places(&rules, "nginx:1"),
            [
                "a.example/library/nginx:1",
                "b.example/x/nginx:1",
                "conf.example/hub/library/nginx:1",
                "daemon.example/library/nginx:1",
                "docker.io/library/nginx:1",
            ]
        );
        // The longest prefix alone speaks for an image; a location replaces the registry.
        assert_eq!(
            places(&rules, "docker.io/secret/app:1"),
            [
                "a.example/secret/app:1",
                "daemon.example/secret/app:1",
                "conf.example/hub/secret/app:1",
                "inside.example/s/app:1",
            ]
        );
        assert_eq!(places(&rules, "other.example/a:1"), ["other.example/a:1"]);
        let digest = crate::model::Digest::of(b"x");
        assert_eq!(places(&rules, "fine.corp/team/a:1"), ["fine.corp/team/a:1"]);
        let pinned = format!("fine.corp/team/a@{digest}");
        assert_eq!(places(&rules, &pinned), [format!("m.corp/a@{digest}"), pinned.clone()]);
        let straight = rules.straight();
        assert_eq!(places(&straight, "nginx:1"), ["docker.io/library/nginx:1"]);
        assert!(straight.allow("evil.example/a").is_err());
    }

    #[test]
    fn what_is_blocked_names_its_file() {
        let rules = rules(CONF, "", &["evil.example=m.example"]);
        for name in ["evil.example/a:1", "x.corp/a:1", "x.corp:5000/a:1"] {
            let error = rules.places(&name.parse().unwrap()).unwrap_err();
            assert!(error.message().contains("registries.conf"), "{error:?}");
        }
        assert!(rules.allow("evil.example").is_err());
        assert!(rules.allow("evil.example/prefix").is_err());
        assert!(rules.allow("fine.corp/team").is_ok());
        assert!(rules.allow("evil.example.org/a").is_ok());
    }

    #[test]
    fn who_allows_plain_http_is_known() {
        let daemon =
            r#"{"insecure-registries":["d.example:5000"],"registry-mirrors":["http://m.example"]}"#;
        let rules = rules(CONF, daemon, &["docker.io=http://a.example:5000/x"]);
        let by = |registry: &str| {
            rules.insecure(registry).map(|by| by.rsplit('/').next().unwrap().to_owned())
        };
        assert_eq!(by("inside.example").as_deref(), Some("registries.conf"));
        assert_eq!(by("d.example:5000").as_deref(), Some("daemon.json"));
        assert_eq!(by("m.example").as_deref(), Some("daemon.json"));
        assert_eq!(by("a.example:5000").as_deref(), Some("--mirror"));
        for registry in ["docker.io", "a.example", "d.example", "conf.example"] {
            assert_eq!(by(registry), None, "{registry}");
        }
    }
}
