//! Rotation: a new key is trusted because trusted keys vouch for it.
//!
//! It takes as many of them as it takes to sign a bundle, and the new key may sign what they may. All
//! that changes is the trust folder of this machine, and only because somebody asked for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::codec::atomic::{replace_file, write_file};
use crate::codec::checked::read_bounded;
use crate::model::{Error, Kind, Result, limits, moment};
use crate::trust::{Endorsement, Grant, KeyId, PublicKey, Scope, Trust};

/// Names that are tried for a key file that is put away: there may have been others of its name.
const NAMES_TRIED: u32 = 100;

/// Where it is written down who is trusted.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A folder of public keys.
    Folder(&'a Path),
    /// A trust.toml.
    Policy(&'a Path),
}

/// What is to be accepted.
pub struct Request<'a> {
    /// Endorsements of one new key; at least one.
    pub endorsements: &'a [Endorsement],
    /// Who is trusted until now.
    pub trust: &'a Trust,
    /// What the new key is to be called.
    pub name: Option<&'a str>,
    /// Where it is written down.
    pub place: Place<'a>,
    /// Seconds since 1970.
    pub today: u64,
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The new key was trusted before.
    Known,
    /// The new key stands in this file.
    Added(PathBuf),
    /// An old key is not trusted any more, as this file says.
    Retired(KeyId, PathBuf),
    /// A file with an old key was put away, as this one; others still say that it is trusted.
    PutAway(KeyId, PathBuf),
    /// An old key is still trusted: this file says so, and cannot be moved from here.
    Left(KeyId, PathBuf),
}

/// What was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The new key.
    pub new: PublicKey,
    /// Who vouched for it.
    pub by: Vec<String>,
    /// What was done.
    pub done: Vec<Done>,
}

/// Trusts the new key.
///
/// # Errors
/// [`Kind::Untrusted`] where not enough trusted keys vouch for it;
/// [`Kind::Usage`] where the endorsements are not all for one key, where
/// those who vouch may not sign the same, or the name cannot be one;
/// [`Kind::Io`].
pub fn accept(request: &Request<'_>) -> Result<Accepted> {
    let Some(first) = request.endorsements.first() else {
        return Err(Error::usage("there is no endorsement"));
    };
    let (new, id) = (first.new.clone(), first.new.id());
    if request.endorsements.iter().any(|other| other.new != new) {
        return Err(Error::usage("the endorsements are not all for the same key")
            .hint("accept one new key at a time"));
    }
    if let Some(revoked) = request.trust.revocations().iter().find(|revoked| revoked.id == id) {
        return Err(Error::untrusted(format!(
            "the new key {} is revoked since {}",
            id.short(),
            revoked.date
        )));
    }
    let vouching = vouching(request)?;
    let mut accepted = Accepted { new, by: Vec::new(), done: Vec::new() };
    for grants in vouching.values() {
        let Some(grant) = grants.first() else { continue };
        let id = grant.key.id();
        let name = grant.name.as_ref();
        accepted.by.push(name.map_or_else(|| id.to_string(), |name| format!("{name} ({id})")));
    }
    let retired: BTreeMap<KeyId, &[&Grant]> = request
        .endorsements
        .iter()
        .filter(|endorsement| endorsement.retire)
        .filter_map(|endorsement| Some((endorsement.by, vouching.get(&endorsement.by)?.as_slice())))
        .collect();
    let known = request.trust.grants().iter().any(|grant| grant.key.id() == id);
    let name = request.name.map_or_else(|| id.short(), str::to_owned);
    match request.place {
        Place::Folder(folder) => {
            if known {
                accepted.done.push(Done::Known);
            } else {
                accepted.done.push(add_file(&accepted.new, &name, folder)?);
            }
            for (old, grants) in retired {
                accepted.done.extend(put_away(old, grants, folder));
            }
        }
        Place::Policy(path) => {
            let scopes = scopes(&vouching)?;
            let mut text = String::new();
            if known {
                accepted.done.push(Done::Known);
            } else {
                accepted.done.push(Done::Added(path.to_owned()));
                for scope in &scopes {
                    text += &entry(&accepted, &name, scope, request.today)?;
                }
            }
            for (old, grants) in &retired {
                accepted.done.push(Done::Retired(*old, path.to_owned()));
                let called = grants.first().and_then(|grant| grant.name.as_deref());
                text += &retirement(*old, called, &name, request.today);
            }
            append(path, &text, |trust| {
                let revoked = |old: &KeyId| trust.revocations().iter().any(|one| one.id == *old);
                let granted = trust.grants().iter().any(|grant| grant.key.id() == id);
                granted && retired.keys().all(revoked)
            })?;
        }
    }
    Ok(accepted)
}

/// The trusted keys that vouch, with what each may sign.
fn vouching<'a>(request: &Request<'a>) -> Result<BTreeMap<KeyId, Vec<&'a Grant>>> {
    let mut vouching: BTreeMap<KeyId, Vec<&Grant>> = BTreeMap::new();
    for endorsement in request.endorsements {
        let by = endorsement.by;
        if request.trust.revocations().iter().any(|revoked| revoked.id == by) {
            continue;
        }
        let grants = request.trust.grants().iter().filter(|grant| grant.key.id() == by);
        let grants: Vec<&Grant> = grants.collect();
        let Some(grant) = grants.first() else { continue };
        if !endorsement.verifies(&grant.key)? {
            return Err(Error::untrusted(format!(
                "the signature of {} on the endorsement does not fit: it was changed",
                by.short()
            )));
        }
        vouching.insert(by, grants);
    }
    if vouching.len() < request.trust.threshold() {
        let new = request.endorsements.first().map_or_else(String::new, |e| e.new.id().short());
        return Err(Error::untrusted(format!(
            "{} of the {} trusted keys that it takes vouch for the key {new}",
            vouching.len(),
            request.trust.threshold()
        ))
        .hint("sealift key list shows who is trusted here; ask for the new key over another channel, or for another endorsement"));
    }
    Ok(vouching)
}

/// What the new key may sign: what all may that vouch for it, where that is the same.
fn scopes(vouching: &BTreeMap<KeyId, Vec<&Grant>>) -> Result<Vec<Scope>> {
    let of = |grants: &Vec<&Grant>| -> Vec<Scope> {
        grants.iter().map(|grant| grant.scope.clone()).collect()
    };
    let mut all = vouching.values().map(of);
    let first = all.next().unwrap_or_default();
    if all.any(|other| other != first) {
        return Err(Error::usage("those who vouch for the new key may not sign the same")
            .hint("add the key to trust.toml by hand, and say there what it may sign"));
    }
    Ok(first)
}

fn add_file(key: &PublicKey, name: &str, folder: &Path) -> Result<Done> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Error::usage(format!("{name:?} cannot be the name of a key file"))
            .hint("use letters, digits, '.', '_' and '-'"));
    }
    let path = folder.join(format!("{name}.pub"));
    if path.symlink_metadata().is_ok() {
        return Err(Error::usage(format!("{} is already there", path.display()))
            .hint("choose another name with --name"));
    }
    write_file(&path, 0o644, key.to_pem()?.as_bytes())?;
    Ok(Done::Added(path))
}

/// Takes all files with a key out of the ones that count, as far as they lie in the folder.
fn put_away(old: KeyId, grants: &[&Grant], folder: &Path) -> Vec<Done> {
    let (mut moved, mut left) = (Vec::new(), Vec::new());
    for grant in grants {
        let own = grant.path.parent() == Some(folder);
        match own.then(|| set_aside(&grant.path)).flatten() {
            Some(away) => moved.push(away),
            None => left.push(Done::Left(old, grant.path.clone())),
        }
    }
    let is_gone = left.is_empty();
    let told = |away| if is_gone { Done::Retired(old, away) } else { Done::PutAway(old, away) };
    moved.into_iter().map(told).chain(left).collect()
}

/// Gives a key file a name under which it does not count, and no other file's.
fn set_aside(path: &Path) -> Option<PathBuf> {
    let free = |number: u32| {
        let more = if number == 1 { String::new() } else { format!("-{number}") };
        let away = path.with_extension(format!("pub.retired{more}"));
        away.symlink_metadata().is_err().then_some(away)
    };
    let away = (1..=NAMES_TRIED).find_map(free)?;
    std::fs::rename(path, &away).is_ok().then_some(away)
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn quoted_all(texts: impl Iterator<Item = String>) -> String {
    format!("[{}]", texts.map(|text| quoted(&text)).collect::<Vec<_>>().join(", "))
}

fn day(seconds: u64) -> String {
    moment::spell(seconds).chars().take_while(|&c| c != 'T').collect()
}

fn entry(accepted: &Accepted, name: &str, scope: &Scope, today: u64) -> Result<String> {
    let by = accepted.by.join(", ").replace(|c: char| c.is_control(), " ");
    let mut text = format!("\n# accepted {}, endorsed by {by}\n[[key]]\n", day(today));
    let _ = writeln!(text, "name = {}", quoted(name));
    let _ = writeln!(text, "public = {}", quoted(&accepted.new.to_line()?));
    if let Some(streams) = &scope.streams {
        let _ = writeln!(text, "streams = {}", quoted_all(streams.iter().map(ToString::to_string)));
    }
    if let Some(all) = &scope.repositories {
        let all = quoted_all(all.iter().map(ToString::to_string));
        let _ = writeln!(text, "repositories = {all}");
    }
    Ok(text)
}

fn retirement(old: KeyId, called: Option<&str>, by: &str, today: u64) -> String {
    let mut text = format!("\n[[key]]\nid = \"{old}\"\n");
    if let Some(name) = called {
        let _ = writeln!(text, "name = {}", quoted(name));
    }
    let _ = writeln!(text, "revoked = {}", day(today));
    let _ = writeln!(text, "reason = {}", quoted(&format!("retired in favour of {by}")));
    text
}

/// Adds to the end of a `trust.toml`, which is replaced by one that can be read and says what it
/// should, under the permissions of the old one.
fn append(path: &Path, text: &str, says: impl FnOnce(&Trust) -> bool) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let shown = path.display().to_string();
    let cannot = |e| Error::io(format!("cannot read {shown}"), e);
    let _alone = alone(path)?;
    let file = File::open(path).map_err(cannot)?;
    let meta = file.metadata().map_err(cannot)?;
    let mut bytes = read_bounded(file, limits::TRUST_FILE_BYTES, &shown)?;
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes.extend(text.bytes());
    let hint = "it was left as it is; write each key of it as a section of its own, under [[key]], and accept again";
    let unfit = || Error::usage(format!("{shown} cannot be added to at its end"));
    if bytes.len() as u64 > limits::TRUST_FILE_BYTES {
        return Err(unfit().because("it would be too long").hint("leave out what is not needed"));
    }
    let whole = std::str::from_utf8(&bytes).map_err(|e| unfit().because(e).hint(hint))?;
    let trust = Trust::from_policy_text(whole, path).map_err(|e| unfit().because(e).hint(hint))?;
    if !says(&trust) {
        return Err(unfit().because("what is added would not count there").hint(hint));
    }
    replace_file(path, &meta, &bytes)
}

/// Keeps others from adding to the same file meanwhile. A file system that knows no locks has none.
fn alone(path: &Path) -> Result<Option<File>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) else { return Ok(None) };
    if matches!(folder.try_lock(), Err(TryLockError::WouldBlock)) {
        let what = format!("somebody else is changing {}", path.display());
        return Err(Error::new(Kind::Io, what).hint("try again when that is done"));
    }
    Ok(Some(folder))
}
