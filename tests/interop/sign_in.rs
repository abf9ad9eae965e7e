//! Signing in with the real program: from every place that holds a sign-in, and in turns with
//! docker's own command line and skopeo.

#[path = "sign_in/places.rs"]
mod places;
#[path = "sign_in/refusals.rs"]
mod refusals;
#[path = "sign_in/secrets.rs"]
mod secrets;
#[path = "sign_in/tools.rs"]
mod tools;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;

use crate::support::command::{Run, Station};
use crate::support::pictures::push_image;
use crate::support::registry::{Registry, Setup, run};

/// As Harbor names the robots of a project.
const USER: &str = "robot$team+ci";
const PASSWORD: &str = "canary:7\"$HOME";

/// What may be printed and kept nowhere: the beginning of the password, which every spelling of it
/// has, and the pair as it stands in files and headers (its end may be padded).
fn secrets() -> [String; 2] {
    let pair = encoded(USER, PASSWORD);
    ["canary:7".to_owned(), pair.trim_end_matches('=').to_owned()]
}

fn encoded(user: &str, password: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}

/// A registry behind TLS with an authority of its own that lets in one robot; it has `app:1`.
fn private() -> Registry {
    let login = Some((USER, PASSWORD));
    let registry = Registry::start_with(Setup { tls: true, login, ..Setup::default() });
    push_image(&registry);
    registry
}

/// Somebody at the registry: arguments that name its authority come with every command.
struct Person<'a> {
    station: Station,
    registry: &'a Registry,
}

impl<'a> Person<'a> {
    fn at(registry: &'a Registry) -> Self {
        Self { station: Station::without_keys(), registry }
    }

    fn docker_config(&self) -> PathBuf {
        self.station.path(".docker/config.json")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.docker_config()).unwrap()
    }

    /// A file below the home, with its folders.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.station.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// `sealift` with these arguments, still to be run. `$` in them stands for the home.
    fn sealift(&self, arguments: &[&str]) -> Command {
        let mut command = self.station.program();
        command.args(arguments);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.station.path("bin").display()));
        if !matches!(arguments, ["logout", ..]) {
            command.arg("--ca-file").args(self.registry.ca_files());
        }
        command
    }

    /// The same, with a line on its standard input.
    fn told(&self, arguments: &[&str], line: &str) -> Command {
        let input = self.write("input", line);
        let mut command = self.sealift(arguments);
        command.stdin(File::open(input).unwrap());
        command
    }

    /// Looks at the image, which only those can who are signed in.
    fn look(&self) -> Command {
        self.sealift(&["export", "--dry-run", &format!("{}/app:1", self.registry.host())])
    }

    fn login(&self, password: &str) -> Run {
        let arguments = ["login", &self.registry.host(), "-u", USER, "--password-stdin"];
        Run::of(&mut self.told(&arguments, password))
    }

    fn logout(&self) -> String {
        Run::of(&mut self.sealift(&["logout", &self.registry.host()])).succeeds()
    }

    /// Installs a credential helper that keeps one file for each server, and writes down how
    /// whoever called it was called.
    fn helper(&self, name: &str) {
        let script = r#"#!/bin/sh
kept=$(dirname "$0")/../kept
mkdir -p "$kept"
tr '\0' ' ' < /proc/$PPID/cmdline >> "$kept/callers"
echo >> "$kept/callers"
place() { echo "$kept/$(printf %s "$1" | sha256sum | cut -c1-16)"; }
case $1 in
store)
    cat > "$kept/new"
    mv "$kept/new" "$(place "$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' "$kept/new")")" ;;
get)
    file=$(place "$(cat)")
    [ -f "$file" ] || { echo "credentials not found in native keychain"; exit 1; }
    cat "$file" ;;
erase) rm -f "$(place "$(cat)")" ;;
list) echo '{}' ;;
esac
"#;
        let text = self.write("helper.sh", script);
        let program = self.station.path(&format!("bin/docker-credential-{name}"));
        run(Command::new("install").args(["-D", "-m", "755"]).args([&text, &program]));
    }
}

/// Every file below a folder that holds one of the secrets.
fn betrayed(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(betrayed(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            let holds =
                |secret: &String| bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            if secrets().iter().any(holds) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
