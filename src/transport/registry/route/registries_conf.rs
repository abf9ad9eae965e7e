//! The containers tools' `registries.conf`, version 2, with its drop-ins: containers-registries.conf(5)
//! and containers-registries.conf.d(5).
//!
//! What it says about short names does not concern us: here, as with docker, a name without a
//! registry is Docker Hub's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::file;
use super::mirror::{Mirror, Prefix, Pull, is_place};
use crate::model::{Error, Result};

/// Drop-in files of one folder that are read.
const DROP_INS: usize = 256;

/// Registries that all files together may speak of.
const RULES: usize = 4096;

/// What one `[[registry]]` says.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) prefix: Prefix,
    /// Where images really lie; where it is not given, where their names say.
    pub(super) location: Option<String>,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) blocked: bool,
    pub(super) insecure: bool,
    /// The file that says so.
    pub(super) file: PathBuf,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    registry: Vec<Registry>,
    /// Version 1.
    registries: Option<toml::Table>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[derive(Default)]
struct Registry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[derive(Default)]
struct Entry {
    location: String,
    insecure: bool,
    pull_from_mirror: String,
}

/// The files in the order in which they are read. The user's own file takes the place of the
/// system's, drop-ins included; the user's drop-ins come last in any case.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) where a folder cannot be read.
pub(super) fn files(
    named: Option<&Path>,
    user: Option<&Path>,
    system: Option<&Path>,
) -> Result<Vec<PathBuf>> {
    let own = user.map(|folder| folder.join("registries.conf")).filter(|path| path.exists());
    let mut folders: Vec<&Path> = user.into_iter().collect();
    let main = match (named, own) {
        (None, Some(own)) => Some(own),
        (named, _) => {
            folders.splice(0..0, system);
            let system = || system.map(|folder| folder.join("registries.conf"));
            named.map(Path::to_owned).or_else(system)
        }
    };
    let mut files: Vec<PathBuf> = main.into_iter().collect();
    for folder in folders {
        files.extend(drop_ins(&folder.join("registries.conf.d"))?);
    }
    Ok(files)
}

/// The `*.conf` files of a folder in the order of their names; none where there is no folder.
fn drop_ins(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = |e| Error::io(format!("cannot read {}", folder.display()), e);
    let entries = match std::fs::read_dir(folder) {
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        entries => entries.map_err(cannot)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            files.push(path);
        }
        if files.len() > DROP_INS {
            return Err(Error::usage(format!(
                "{} holds more than {DROP_INS} files",
                folder.display()
            )));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads files, a later word about a prefix taking the place of an earlier one.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) for what these files may not say;
/// [`Kind::Io`](crate::model::Kind::Io) where one cannot be read.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Rule>> {
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    for path in files {
        let Some(bytes) = file::read(path, "the registries' configuration")? else { continue };
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::usage(format!("{} is not text", path.display())))?;
        for rule in parse(&text, path)? {
            rules.insert(rule.prefix.to_string(), rule);
        }
        if rules.len() > RULES {
            return Err(Error::usage(format!("{} is one of too many rules", path.display())));
        }
    }
    Ok(rules.into_values().collect())
}

fn parse(text: &str, path: &Path) -> Result<Vec<Rule>> {
    let name = path.display();
    let parsed: File = toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start).min(text.len());
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let said = e.message().to_owned();
        Error::usage(format!("{name} cannot be understood, line {line}: {said}"))
    })?;
    if parsed.registries.is_some() {
        return Err(Error::usage(format!("{name} is written in version 1 of its format"))
            .hint("version 2 has a [[registry]] for each; see containers-registries.conf(5)"));
    }
    parsed.registry.into_iter().map(|registry| registry.rule(path)).collect()
}

impl Registry {
    fn rule(self, path: &Path) -> Result<Rule> {
        let bad = |why: String| Error::usage(format!("{}: {why}", path.display()));
        let prefix = if self.prefix.is_empty() { &self.location } else { &self.prefix };
        let known = Prefix::parse(prefix.trim_end_matches('/'))
            .ok_or_else(|| bad(format!("{prefix:?} is no prefix of image names")))?;
        let location = (!self.location.is_empty())
            .then(|| place(&self.location).ok_or_else(|| bad(is_none(&self.location))))
            .transpose()?;
        if location.is_none() && !matches!(known, Prefix::Below(_)) {
            return Err(bad(format!("{prefix:?} has no location")));
        }
        let mut mirrors = Vec::new();
        for entry in self.mirror {
            let pull = match entry.pull_from_mirror.as_str() {
                "" if self.mirror_by_digest_only => Pull::ByDigest,
                "" | "all" if !self.mirror_by_digest_only => Pull::All,
                "digest-only" if !self.mirror_by_digest_only => Pull::ByDigest,
                "tag-only" if !self.mirror_by_digest_only => Pull::ByTag,
                other => {
                    return Err(bad(format!(
                        "pull-from-mirror = {other:?} cannot be meant for {:?}",
                        entry.location
                    )));
                }
            };
            mirrors.push(Mirror {
                location: place(&entry.location).ok_or_else(|| bad(is_none(&entry.location)))?,
                pull,
                insecure: entry.insecure,
                set_by: path.display().to_string(),
            });
        }
        Ok(Rule {
            prefix: known,
            location,
            mirrors,
            blocked: self.blocked,
            insecure: self.insecure,
            file: path.to_owned(),
        })
    }
}

fn place(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    is_place(text).then(|| text.to_owned())
}

fn is_none(location: &str) -> String {
    format!("location = {location:?} is not of the form HOST[:PORT][/PATH]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<Vec<Rule>> {
        parse(text, Path::new("/c/registries.conf"))
    }

    #[test]
    fn what_the_manual_shows_is_understood() {
        let text = r#"
            unqualified-search-registries = ["example.com"]
            short-name-mode = "enforcing"
            [[registry]]
            prefix = "example.com/foo"
            blocked = false
            location = "internal.example.net/bar"
            [[registry.mirror]]
            location = "mirror-0.example/mirror-for-foo/"
            [[registry.mirror]]
            location = "mirror-1.example:5000/foo"
            insecure = true
            pull-from-mirror = "digest-only"
            [[registry]]
            prefix = "*.example.org"
            insecure = true
            [[registry]]
            location = "h.example"
            mirror-by-digest-only = true
            [[registry.mirror]]
            location = "m.example"
            [aliases]
            "debian" = "docker.io/library/debian"
        "#;
        let rules = rules(text).unwrap();
        let prefixes: Vec<String> = rules.iter().map(|rule| rule.prefix.to_string()).collect();
        assert_eq!(prefixes, ["example.com/foo", "*.example.org", "h.example"]);
        assert_eq!(rules[0].location.as_deref(), Some("internal.example.net/bar"));
        let pulls: Vec<_> =
            rules[0].mirrors.iter().map(|m| (m.location.as_str(), m.pull, m.insecure)).collect();
        assert_eq!(
            pulls,
            [
                ("mirror-0.example/mirror-for-foo", Pull::All, false),
                ("mirror-1.example:5000/foo", Pull::ByDigest, true),
            ]
        );
        assert!(rules[1].insecure && rules[1].location.is_none());
        assert_eq!(rules[2].mirrors[0].pull, Pull::ByDigest);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_file() {
        for text in [
            "[[registry]]\n",
            "[[registry]]\nprefix = \"h.example\"\n",
            "[[registry]]\nlocation = \"https://h.example\"\n",
            "[[registry]]\nlocation = \"h.example\"\nblocked = 1\n",
            "[[registry]]\nlocation = \"h.example\"\n[[registry.mirror]]\n",
            "[[registry]]\nlocation = \"h.example\"\n[[registry.mirror]]\nlocation = \"m.example\"\npull-from-mirror = \"x\"\n",
            "[[registry]]\nlocation = \"h.example\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"m.example\"\npull-from-mirror = \"all\"\n",
            "[registries.block]\nregistries = [\"h.example\"]\n",
            "x",
        ] {
            let error = rules(text).err().unwrap();
            assert!(error.message().contains("/c/registries.conf"), "{error:?}");
        }
        let error = rules("\n\nx").err().unwrap();
        assert!(error.message().contains("line 3"), "{error:?}");
        let deep = format!("x = {}", "[".repeat(100_000));
        assert!(rules(&deep).is_err());
    }

    #[test]
    fn the_users_file_takes_the_place_of_the_systems() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, location: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = format!("[[registry]]\nprefix = \"h.example\"\nlocation = \"{location}\"\n");
            std::fs::write(&path, text).unwrap();
        };
        let (user, system) = (folder.path().join("user"), folder.path().join("system"));
        let locations = || {
            let files = files(None, Some(&user), Some(&system)).unwrap();
            let rules = read(&files).unwrap();
            rules.into_iter().filter_map(|rule| rule.location).collect::<Vec<_>>()
        };
        assert!(locations().is_empty());
        write("system/registries.conf", "one.example");
        assert_eq!(locations(), ["one.example"]);
        write("system/registries.conf.d/b.conf", "two.example");
        write("system/registries.conf.d/a.conf", "three.example");
        write("system/registries.conf.d/z.conf.bak", "none.example");
        assert_eq!(locations(), ["two.example"], "the last word about a prefix counts");
        write("user/registries.conf.d/a.conf", "four.example");
        assert_eq!(locations(), ["four.example"]);
        std::fs::remove_dir_all(user.join("registries.conf.d")).unwrap();
        write("user/registries.conf", "five.example");
        assert_eq!(locations(), ["five.example"]);
        let named = folder.path().join("named.conf");
        write("named.conf", "six.example");
        let files = files(Some(&named), Some(&user), Some(&system)).unwrap();
        assert_eq!(files[0], named);
        assert!(files.contains(&system.join("registries.conf.d/a.conf")));
    }
}
