//! `sealift key generate`, `sealift key show` and `sealift key list`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::console::Console;
use super::output::{Align, Output, Table};
use super::request;
use crate::codec::atomic::{AtomicFile, Synced, make_private_folder, name_together};
use crate::model::{Error, Result};
use crate::trust::{PublicKey, SecretKey};

pub(super) fn generate(request: &request::Generate, console: &Console) -> Result<()> {
    let passphrase =
        request.passphrase.as_ref().map(super::passphrase::Passphrase::for_new).transpose()?;
    let key = SecretKey::generate()?;
    for path in [&request.signing_key, &request.public_key] {
        make_private_folder(path)?;
    }
    let pem = key.to_pem(passphrase.as_ref().map(|secret| secret.as_str()))?;
    let public = finished(&request.public_key, 0o644, key.public().to_pem()?.as_bytes())?;
    let secret = finished(&request.signing_key, 0o600, pem.as_bytes())?;
    // A secret key without its public half is of no use.
    name_together(vec![public, secret])?;
    let mut out = Output::stdout();
    out.line(format!("key      {}", key.public().id()))?;
    out.line(format!("secret   {} (keep it here)", request.signing_key.display()))?;
    out.line(format!("public   {} (give it to the receiver)", request.public_key.display()))?;
    if passphrase.is_none() {
        console.say("the signing key has no passphrase; make one with --passphrase if others use this machine");
    }
    Ok(())
}

/// A small file that is whole and waits for its name.
fn finished(path: &Path, mode: u32, bytes: &[u8]) -> Result<(Synced, PathBuf)> {
    let mut file = AtomicFile::create(path, mode)?;
    file.write_all(bytes).map_err(|e| Error::io(format!("cannot write {}", path.display()), e))?;
    Ok((file.sync()?, path.to_owned()))
}

pub(super) fn show(request: &request::Show, console: &Console) -> Result<()> {
    let key = match PublicKey::load(&request.file) {
        Ok(key) => key,
        Err(_) => SecretKey::load(&request.file, &mut || request.passphrase.of_key(&request.file))?
            .public(),
    };
    console.say(&format!("key {}", key.id()));
    let pem = key.to_pem()?;
    let mut out = Output::stdout();
    pem.lines().try_for_each(|line| out.line(line))
}

pub(super) fn list(request: &request::List, console: &Console) -> Result<()> {
    let trust = request.trust.load()?;
    let mut out = Output::stdout();
    if request.json {
        return out.json(&json!({
            "threshold": trust.threshold(),
            "policy": request.trust.policy(),
            "keys": trust.grants().iter().map(|grant| json!({
                "key": grant.key.id().to_string(),
                "name": grant.name,
                "file": grant.path,
                "streams": grant.scope.streams,
                "repositories": grant.scope.repositories.as_ref().map(|all| {
                    all.iter().map(ToString::to_string).collect::<Vec<_>>()
                }),
                "revoked": trust.revocations().iter().any(|revoked| revoked.id == grant.key.id()),
            })).collect::<Vec<_>>(),
            "revoked": trust.revocations().iter().map(|revoked| json!({
                "key": revoked.id.to_string(),
                "name": revoked.name,
                "file": revoked.path,
                "since": revoked.date,
                "reason": revoked.reason,
            })).collect::<Vec<_>>(),
        }));
    }
    let mut table = Table::new(&[
        ("KEY", Align::Left),
        ("NAME", Align::Left),
        ("MAY SIGN", Align::Left),
        ("FROM", Align::Left),
    ]);
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
    for grant in trust.grants() {
        let id = grant.key.id();
        if trust.revocations().iter().any(|revoked| revoked.id == id) {
            continue;
        }
        table.row([
            id.short(),
            name(&grant.name),
            grant.scope.to_string(),
            grant.path.display().to_string(),
        ]);
    }
    for revoked in trust.revocations() {
        let why = revoked.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        table.row([
            revoked.id.short(),
            name(&revoked.name),
            format!("nothing, revoked since {}{why}", revoked.date),
            revoked.path.display().to_string(),
        ]);
    }
    if table.is_empty() {
        console.say("no key is trusted here");
        return Ok(());
    }
    out.table(&table)?;
    out.line(match trust.threshold() {
        1 => "one of them is enough".to_owned(),
        number => format!("{number} different ones must have signed"),
    })
}
