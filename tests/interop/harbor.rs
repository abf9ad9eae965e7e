//! Into a Harbor: what is told before anything is sent, what is made, and what arrives. The Harbor
//! is Harbor's own rules in front of the real docker-registry (`tests/support/harbor`).

mod arrival;
mod fair;
mod findings;
mod midway;
mod projects;

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::command::{Run, Station};
use crate::support::harbor::Harbor;
use crate::support::judge;
use crate::support::pictures::{Pushed, push, push_image};
use crate::support::registry::{Access, Registry};

/// A bundle with two images, one of them with all that may be attached to it, and a Harbor.
pub(crate) struct Crossing {
    pub(crate) station: Station,
    pub(crate) from: Registry,
    pub(crate) harbor: Harbor,
}

impl Crossing {
    /// `app:1` and `team/app:1`, to be brought by `dev`.
    pub(crate) fn new(harbor: Harbor) -> Self {
        Self::with_attachments(harbor).0
    }

    /// The same, and what is attached to the second image.
    pub(crate) fn with_attachments(harbor: Harbor) -> (Self, Pushed) {
        let from = Registry::start();
        push_image(&from);
        let pushed = push(&from, "team/app");
        (Self::with(from, harbor, &["app:1", "team/app:1"]), pushed)
    }

    /// Images of a registry, to be brought by `dev`.
    pub(crate) fn with(from: Registry, harbor: Harbor, names: &[&str]) -> Self {
        let station = Station::new();
        let names = names.iter().map(|name| format!("{}/{name}", from.host()));
        station.export("b.sealift", names);
        let crossing = Self { station, from, harbor };
        crossing.sign_in("dev", "canary-dev");
        crossing
    }

    /// Leaves behind what `docker login` leaves.
    pub(crate) fn sign_in(&self, user: &str, password: &str) {
        let auth = STANDARD.encode(format!("{user}:{password}"));
        let host = self.harbor.host();
        let text = format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#);
        fs::create_dir_all(self.station.path(".docker")).unwrap();
        fs::write(self.station.path(".docker/config.json"), text).unwrap();
    }

    pub(crate) fn sign_out(&self) {
        fs::remove_file(self.station.path(".docker/config.json")).unwrap();
    }

    pub(crate) fn import(&self, prefix: &str, more: &[&str]) -> Run {
        let to = format!("{}{prefix}", self.harbor.host());
        self.station.sealift([&["import", "-q", "b.sealift", "--to", &to], more].concat())
    }

    /// What a person is told who is refused, at an import and at a rehearsal of it; nothing was
    /// changed by either.
    pub(crate) fn refused(&self, prefix: &str, more: &[&str]) -> String {
        let told = self.import(prefix, more).refused(8);
        let rehearsed = self.import(prefix, &[more, &["--dry-run"]].concat());
        let table = rehearsed.stdout.clone();
        let shown = rehearsed.refused(8);
        for line in told.lines().filter_map(|line| line.strip_prefix("  - ")) {
            assert!(table.contains(line), "the rehearsal says {table}, not {line}");
        }
        assert!(shown.contains("in the way"), "{shown}");
        assert_eq!(self.changes(), Vec::<Access>::new());
        assert!(!told.contains("canary") && !table.contains("canary"), "{told}{table}");
        self.anonymous(&told)
    }

    /// Requests that bring content or names.
    pub(crate) fn changes(&self) -> Vec<Access> {
        let asked = self.harbor.accesses();
        asked.into_iter().filter(|access| matches!(&*access.method, "PUT" | "PATCH")).collect()
    }

    /// A text without what differs from run to run.
    pub(crate) fn anonymous(&self, text: &str) -> String {
        let text = text.replace(self.station.home().to_str().unwrap(), "HOME");
        let text = text.replace(&self.from.host(), "SOURCE");
        text.replace(&self.harbor.host(), "HARBOR")
    }

    /// Everything is there, byte for byte, below the prefix.
    pub(crate) fn arrived(&self, prefix: &str) {
        judge::same(&self.from, &self.harbor.behind, prefix);
    }
}

macro_rules! snapshot {
    ($told:expr, @$expected:literal) => {
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"sha256:[0-9a-f]{64}", "DIGEST");
        // Columns are as wide as ports and digests are.
        settings.add_filter(r"(\S) {2,}", "$1  ");
        // Which blob came first is up to the threads.
        settings.add_filter(r"usage of [0-9.]+ MiB", "usage of N MiB");
        settings.bind(|| insta::assert_snapshot!($told, @$expected));
    };
}
pub(crate) use snapshot;
