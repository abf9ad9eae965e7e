//! `sealift key generate` and `sealift key show`.

use super::console::Console;
use super::output::Output;
use super::request;
use crate::codec::atomic::{make_private_folder, write_file};
use crate::model::Result;
use crate::trust::{PublicKey, SecretKey};

pub(super) fn generate(request: &request::Generate, console: &Console) -> Result<()> {
    let passphrase =
        request.passphrase.as_ref().map(super::passphrase::Passphrase::for_new).transpose()?;
    let key = SecretKey::generate()?;
    for path in [&request.signing_key, &request.public_key] {
        make_private_folder(path)?;
    }
    let pem = key.to_pem(passphrase.as_ref().map(|secret| secret.as_str()))?;
    write_file(&request.signing_key, 0o600, pem.as_bytes())?;
    write_file(&request.public_key, 0o644, key.public().to_pem()?.as_bytes())?;
    let mut out = Output::stdout();
    out.line(format!("key      {}", key.public().id()))?;
    out.line(format!("secret   {} (keep it here)", request.signing_key.display()))?;
    out.line(format!("public   {} (give it to the receiver)", request.public_key.display()))?;
    if passphrase.is_none() {
        console.say("the signing key has no passphrase; make one with --passphrase if others use this machine");
    }
    Ok(())
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
