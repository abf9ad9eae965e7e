//! `trust.toml`: which keys count, for what, and how many of them must sign.
//!
//! ```toml
//! threshold = 2                            # so many different keys must have signed; else 1
//!
//! [[key]]
//! name = "Anna, release team"              # for people
//! file = "anna.pub"                        # next to this file; or public = "MCowBQYDK2VwAyEA…"
//! streams = ["prod", "staging"]            # only these; else all
//! repositories = ["registry.example/team/", "docker.io/library/nginx"]    # only these; else all
//!
//! [[key]]
//! name = "Ben's old laptop"
//! id = "0f1e…"                             # enough for a key that is revoked
//! revoked = 2026-10-01
//! reason = "stolen"
//! ```
//!
//! A member that is not known is refused: a misspelled limit would be none. A key may stand several
//! times: it may sign what any of its entries says, and is revoked if one of them is. The date of a
//! revocation is for people; a thief can date bundles as he likes, so nothing that a revoked key
//! signed counts, whenever that was.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::key::{KeyId, PublicKey};
use super::scope::Scope;
use crate::codec::checked::read_bounded;
use crate::codec::owned::{Others, file_is_its_owners};
use crate::model::{Error, Result, limits};

/// The name of the file in a trust folder.
pub const POLICY_FILE: &str = "trust.toml";

/// What a `trust.toml` says.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) threshold: usize,
    pub(super) grants: Vec<Grant>,
    pub(super) revocations: Vec<Revocation>,
}

/// A key that may sign something.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The key.
    pub key: PublicKey,
    /// Where it was read.
    pub path: PathBuf,
    /// Whose it is, for people.
    pub name: Option<String>,
    /// What it may sign.
    pub scope: Scope,
}

/// A key whose signatures do not count any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The key.
    pub id: KeyId,
    /// Where it was read.
    pub path: PathBuf,
    /// Whose it was, for people.
    pub name: Option<String>,
    /// Since when, for people.
    pub date: String,
    /// Why, for people.
    pub reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    threshold: Option<u64>,
    #[serde(default)]
    key: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<String>,
    file: Option<PathBuf>,
    public: Option<String>,
    id: Option<String>,
    streams: Option<Vec<String>>,
    repositories: Option<Vec<String>>,
    revoked: Option<toml::value::Datetime>,
    reason: Option<String>,
}

/// How an entry says which key it is about.
enum Named {
    Key(PublicKey),
    Id(KeyId),
}

impl Policy {
    /// Reads a file, which only its owner may be able to write to.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where others can, and where it is not as it should
    /// be; [`Kind::Io`](crate::model::Kind::Io).
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let file = File::open(path).map_err(|e| Error::io(format!("cannot read {shown}"), e))?;
        file_is_its_owners(path, Others::All)?;
        let bytes = read_bounded(file, limits::TRUST_FILE_BYTES, &shown.to_string())?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::usage(format!("{shown} is no text in UTF-8")))?;
        Self::parse(&text, path)
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self> {
        let shown = path.display();
        let parsed: Document = toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start).min(text.len());
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            let said = e.message().to_owned();
            Error::usage(format!("{shown} cannot be understood, line {line}: {said}"))
                .hint("what may stand there is in the guide, under \"Who may sign\"")
        })?;
        let threshold = parsed.threshold.unwrap_or(1);
        if threshold == 0 || threshold > limits::SIGNATURES as u64 {
            return Err(Error::usage(format!(
                "{shown}: the threshold is {threshold}; it can be from 1 to {}",
                limits::SIGNATURES
            )));
        }
        let mut policy = Self {
            threshold: usize::try_from(threshold).unwrap_or(limits::SIGNATURES),
            grants: Vec::new(),
            revocations: Vec::new(),
        };
        for (entry, number) in parsed.key.into_iter().zip(1..) {
            let name = entry.name.as_ref().map_or_else(String::new, |name| format!(", {name:?}"));
            policy
                .add(entry, path)
                .map_err(|e| e.context(format!("{shown}: key {number}{name}")))?;
        }
        Ok(policy)
    }

    fn add(&mut self, entry: Entry, path: &Path) -> Result<()> {
        let (named, from) = entry.key(path)?;
        let Entry { name, streams, repositories, revoked, reason, .. } = entry;
        if let Some(date) = revoked {
            let id = match named {
                Named::Key(key) => key.id(),
                Named::Id(id) => id,
            };
            let date = date.to_string();
            self.revocations.push(Revocation { id, path: path.to_owned(), name, date, reason });
            return Ok(());
        }
        if reason.is_some() {
            return Err(Error::usage("there is a reason, and it is not revoked")
                .hint("add the date since when it is revoked, as in revoked = 2026-10-01"));
        }
        let Named::Key(key) = named else {
            return Err(Error::usage("an id is enough only for a key that is revoked")
                .hint("name the file of the key, or give its public = \"…\""));
        };
        let scope = Scope { streams: parsed(streams)?, repositories: parsed(repositories)? };
        self.grants.push(Grant { key, path: from, name, scope });
        Ok(())
    }
}

impl Entry {
    /// The key, and where it was read.
    fn key(&self, path: &Path) -> Result<(Named, PathBuf)> {
        match (&self.file, &self.public, &self.id) {
            (Some(file), None, None) => {
                let file = path.parent().unwrap_or(Path::new("")).join(file);
                let key = PublicKey::load(&file)?;
                file_is_its_owners(&file, Others::All)?;
                Ok((Named::Key(key), file))
            }
            (None, Some(text), None) => {
                Ok((Named::Key(PublicKey::from_text(text, "public")?), path.to_owned()))
            }
            (None, None, Some(id)) => {
                let id = KeyId::parse(id).ok_or_else(|| {
                    Error::usage(format!("not the ID of a key: {id:?}"))
                        .hint("sealift key show prints it: 64 hexadecimal digits")
                })?;
                Ok((Named::Id(id), path.to_owned()))
            }
            _ => Err(Error::usage("a key is given by one of file, public and id")),
        }
    }
}

fn parsed<T: std::str::FromStr<Err = Error>>(texts: Option<Vec<String>>) -> Result<Option<Vec<T>>> {
    texts.map(|texts| texts.iter().map(|text| text.parse()).collect()).transpose()
}
