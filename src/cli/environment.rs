//! What the surroundings say: home, configuration, sign-ins, daemon, clock.
//!
//! Read once, here and nowhere else, so that everything below depends on its arguments alone.

mod routes;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::model::moment::LATEST;
use crate::model::{Error, Result};
use crate::transport::registry::{CredentialPaths, Secret};
use crate::trust::POLICY_FILE;

use self::routes::Routes;

/// Where the system's administrator puts the public keys that every user trusts.
const SYSTEM_TRUST: &str = "/etc/sealift/trust";

/// More threads than this only wait for each other: hashing and compressing are bound by memory.
const MOST_JOBS: usize = 16;

/// The surroundings of the process.
pub(super) struct Environment {
    /// The user's own folder: `$XDG_CONFIG_HOME/sealift`, else `~/.config/sealift`.
    config: Option<PathBuf>,
    /// Where the user's programs keep what they must remember: `$XDG_STATE_HOME/sealift`, else
    /// `~/.local/state/sealift`.
    state: Option<PathBuf>,
    /// Folders of trusted public keys, the user's first.
    trust: Vec<PathBuf>,
    /// Where docker and podman keep registry sign-ins.
    pub(super) credentials: CredentialPaths,
    /// How registries are reached from here.
    pub(super) routes: Routes,
    /// `DOCKER_HOST`, as written.
    pub(super) docker_host: Option<String>,
    /// Folder for temporary files.
    pub(super) temporary: PathBuf,
    /// Seconds since 1970 that a bundle is dated with: `SOURCE_DATE_EPOCH`, else the clock.
    pub(super) created: u64,
    /// Seconds since 1970 by the clock, whatever `SOURCE_DATE_EPOCH` says: what is fresh is judged by it.
    pub(super) clock: u64,
    /// Whether `SOURCE_DATE_EPOCH` said so: the same inputs are then to give the same bytes.
    pub(super) created_is_pinned: bool,
    /// The machine, as it calls itself, where the system says so.
    pub(super) machine: Option<String>,
    /// Threads to use where the user did not say.
    pub(super) jobs: NonZeroUsize,
    /// `SEALIFT_PASSPHRASE`.
    pub(super) passphrase: Option<Zeroizing<String>>,
    /// `SEALIFT_BUNDLE_PASSPHRASE`.
    pub(super) bundle_passphrase: Option<Zeroizing<String>>,
}

/// Whether colours are welcome where there is a terminal to show them: not if `NO_COLOR` is set
/// (no-color.org) or the terminal has none. Apart from the rest, since failures to read the rest
/// are reported in colour too.
pub(super) fn colours_are_welcome() -> bool {
    welcomes_colours(&|name| std::env::var_os(name))
}

fn welcomes_colours(variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && variable("TERM").is_none_or(|term| term != "dumb")
}

/// The number of the user, where the system has such numbers.
fn user() -> Option<u32> {
    #[cfg(target_os = "linux")]
    return std::fs::metadata("/proc/self")
        .ok()
        .map(|process| std::os::unix::fs::MetadataExt::uid(&process));
    #[cfg(not(target_os = "linux"))]
    None
}

/// The name of the machine. It goes into reports, so it is one line, and short.
fn machine() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name: String = name.trim().chars().take(255).collect();
    (!name.is_empty()).then_some(name)
}

impl Environment {
    /// Reads the environment of the process.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where a variable cannot be understood.
    pub(super) fn of_process() -> Result<Self> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let jobs = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let variable = |name: &str| std::env::var_os(name);
        let environment = Self::resolve(&variable, std::env::temp_dir(), clock, jobs, user())?;
        Ok(Self { machine: machine(), ..environment })
    }

    fn resolve(
        variable: &dyn Fn(&str) -> Option<OsString>,
        temporary: PathBuf,
        clock: u64,
        processors: usize,
        user: Option<u32>,
    ) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        // The XDG specification: a relative path is to be ignored.
        let folder = |name: &str| set(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let text = |name: &str| match set(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(Error::usage(format!("{name} is not valid UTF-8"))),
        };
        let home = folder("HOME");
        let configs =
            folder("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
        let routes = Routes::resolve(&text, home.as_deref(), configs.as_deref())?;
        let config = configs.as_ref().map(|configs| configs.join("sealift"));
        let states = folder("XDG_STATE_HOME")
            .or_else(|| home.as_ref().map(|home| home.join(".local/state")));

        let credentials = CredentialPaths {
            registry_auth_file: set("REGISTRY_AUTH_FILE").map(PathBuf::from),
            runtime_dir: folder("XDG_RUNTIME_DIR"),
            per_user: user.map(|user| format!("/run/containers/{user}/auth.json").into()),
            config_home: configs,
            docker_auth_config: text("DOCKER_AUTH_CONFIG")?.map(Secret::new),
            docker_config: set("DOCKER_CONFIG").map(PathBuf::from),
            home,
            helper_path: None,
        };

        let date = text("SOURCE_DATE_EPOCH")?;
        let created_is_pinned = date.is_some();
        let created = match date {
            None => clock,
            Some(text) => {
                text.trim().parse().ok().filter(|&date: &u64| date < LATEST).ok_or_else(|| {
                    Error::usage(format!("SOURCE_DATE_EPOCH is not a number of seconds: {text:?}"))
                        .hint("set it to seconds since 1970, as date +%s prints them, or unset it")
                })?
            }
        };
        let jobs = NonZeroUsize::new(processors.clamp(1, MOST_JOBS)).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            trust: config
                .iter()
                .map(|config| config.join("trust"))
                .chain([PathBuf::from(SYSTEM_TRUST)])
                .collect(),
            config,
            state: states.map(|states| states.join("sealift")),
            credentials,
            routes,
            docker_host: text("DOCKER_HOST")?,
            temporary,
            created,
            clock,
            created_is_pinned,
            machine: None,
            jobs,
            passphrase: text("SEALIFT_PASSPHRASE")?.map(Zeroizing::new),
            bundle_passphrase: text("SEALIFT_BUNDLE_PASSPHRASE")?.map(Zeroizing::new),
        })
    }

    /// The signing key that is used where none is named.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where the user has no home.
    pub(super) fn default_signing_key(&self) -> Result<PathBuf> {
        match &self.config {
            Some(config) => Ok(config.join("signing.pem")),
            None => Err(Error::usage("neither HOME nor XDG_CONFIG_HOME says where keys are")
                .hint("name the key file on the command line")),
        }
    }

    /// The file with the identities that open encrypted bundles where none is named; `None` where the
    /// user has no home.
    pub(super) fn default_identity(&self) -> Option<PathBuf> {
        self.config.as_ref().map(|config| config.join("identity.txt"))
    }

    /// Where streams that were seen, and the log of what was verified and imported, are kept where no
    /// other place is named. `None` where the user has no home: whoever needs it then says so.
    pub(super) fn state_folder(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    /// Every `*.pub` file of the trust folders, in a stable order. A folder that is not there
    /// holds none.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where a folder is there and cannot be read: a key that
    /// silently does not count would be a riddle.
    pub(super) fn trusted_key_files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for folder in &self.trust {
            let cannot = |e| Error::io(format!("cannot read {}", folder.display()), e);
            let entries = match std::fs::read_dir(folder) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.map_err(cannot)?,
            };
            let mut names = BTreeSet::new();
            for entry in entries {
                let path = entry.map_err(cannot)?.path();
                if path.extension().is_some_and(|extension| extension == "pub") {
                    names.insert(path);
                }
            }
            files.extend(names);
        }
        Ok(files)
    }

    /// The `trust.toml` of each trust folder that has one, the user's first.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where it cannot be known whether there is one.
    pub(super) fn trust_policies(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for folder in &self.trust {
            let file = folder.join(POLICY_FILE);
            // A link that leads nowhere is one too: whoever set it wanted a policy.
            match file.symlink_metadata() {
                Ok(_) => found.push(file),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io(format!("cannot look at {}", file.display()), e)),
            }
        }
        Ok(found)
    }

    /// The user's own trust folder.
    pub(super) fn own_trust_folder(&self) -> Option<&Path> {
        self.config.as_ref().and(self.trust.first()).map(PathBuf::as_path)
    }

    /// The trust folders, for messages.
    pub(super) fn trust_folders(&self) -> impl Iterator<Item = &Path> {
        self.trust.iter().map(PathBuf::as_path)
    }
}

#[cfg(test)]
impl Environment {
    /// An environment with these variables only, a clock at 1000 and two processors.
    pub(super) fn fake(variables: &[(&str, &str)]) -> Result<Self> {
        let variable = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into())
        };
        Self::resolve(&variable, PathBuf::from("/tmp"), 1000, 2, Some(7))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_follow_the_xdg_specification() {
        let plain = Environment::fake(&[("HOME", "/home/u")]).unwrap();
        let key = |environment: &Environment| environment.default_signing_key().unwrap();
        assert_eq!(key(&plain), Path::new("/home/u/.config/sealift/signing.pem"));
        let moved = [("HOME", "/home/u"), ("XDG_CONFIG_HOME", "/c")];
        assert_eq!(key(&Environment::fake(&moved).unwrap()), Path::new("/c/sealift/signing.pem"));
        let relative = [("HOME", "/home/u"), ("XDG_CONFIG_HOME", "c")];
        assert_eq!(key(&Environment::fake(&relative).unwrap()), key(&plain));
        assert!(Environment::fake(&[]).unwrap().default_signing_key().is_err());
    }

    #[test]
    fn state_follows_the_xdg_specification() {
        let state = |variables: &[(&str, &str)]| {
            let environment = Environment::fake(variables).unwrap();
            environment.state_folder().map(Path::to_path_buf)
        };
        let home = ("HOME", "/home/u");
        assert_eq!(state(&[home]), Some("/home/u/.local/state/sealift".into()));
        assert_eq!(state(&[home, ("XDG_STATE_HOME", "/s")]), Some("/s/sealift".into()));
        assert_eq!(state(&[home, ("XDG_STATE_HOME", "s")]), state(&[home]));
        assert_eq!(state(&[]), None);
    }

    #[test]
    fn sign_ins_are_looked_for_where_docker_and_podman_keep_them() {
        let environment = Environment::fake(&[
            ("HOME", "/h"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
            ("REGISTRY_AUTH_FILE", "mine.json"),
            ("DOCKER_CONFIG", "/d"),
            ("DOCKER_AUTH_CONFIG", "{}"),
        ])
        .unwrap();
        let paths = environment.credentials;
        assert_eq!(paths.registry_auth_file.as_deref(), Some(Path::new("mine.json")));
        assert_eq!(paths.runtime_dir.as_deref(), Some(Path::new("/run/user/1")));
        assert_eq!(paths.config_home.as_deref(), Some(Path::new("/h/.config")));
        assert_eq!(paths.docker_config.as_deref(), Some(Path::new("/d")));
        assert_eq!(paths.home.as_deref(), Some(Path::new("/h")));
        assert_eq!(paths.per_user.as_deref(), Some(Path::new("/run/containers/7/auth.json")));
        assert_eq!(paths.docker_auth_config.unwrap().expose(), "{}");
    }

    #[test]
    fn the_date_is_the_clock_unless_it_is_set() {
        assert_eq!(Environment::fake(&[]).unwrap().created, 1000);
        assert_eq!(Environment::fake(&[("SOURCE_DATE_EPOCH", "7")]).unwrap().created, 7);
        assert_eq!(Environment::fake(&[("SOURCE_DATE_EPOCH", "7")]).unwrap().clock, 1000);
        assert!(Environment::fake(&[("SOURCE_DATE_EPOCH", "-7")]).is_err());
        assert!(Environment::fake(&[("SOURCE_DATE_EPOCH", "soon")]).is_err());
    }

    #[test]
    fn no_color_is_honoured() {
        let with = |key: &'static str, value: &'static str| {
            welcomes_colours(&move |name| (name == key).then(|| value.into()))
        };
        assert!(with("TERM", "xterm"));
        assert!(with("NO_COLOR", ""));
        assert!(!with("NO_COLOR", "1"));
        assert!(!with("TERM", "dumb"));
    }

    #[test]
    fn only_pub_files_are_trusted_and_in_a_stable_order() {
        let folder = tempfile::tempdir().unwrap();
        let trust = folder.path().join("sealift/trust");
        std::fs::create_dir_all(&trust).unwrap();
        for name in ["b.pub", "a.pub", "c.pem", "pub"] {
            std::fs::write(trust.join(name), "").unwrap();
        }
        let config = folder.path().to_str().unwrap();
        let mut environment = Environment::fake(&[("XDG_CONFIG_HOME", config)]).unwrap();
        environment.trust.truncate(1);
        let files = environment.trusted_key_files().unwrap();
        assert_eq!(files, [trust.join("a.pub"), trust.join("b.pub")]);
        std::fs::remove_dir_all(&trust).unwrap();
        assert!(environment.trusted_key_files().unwrap().is_empty());
    }
}
