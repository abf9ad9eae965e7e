//! `sealift key endorse` and `sealift key accept`: a new key in place of an old one.

use std::fs::File;
use std::path::Path;

use super::console::Console;
use super::output::Output;
use super::request;
use crate::codec::atomic::{make_private_folder, write_file};
use crate::codec::checked::read_bounded;
use crate::model::{Error, Result, limits};
use crate::operation::rotation::{self, Done, Place};
use crate::trust::{Endorsement, PublicKey, SecretKey};

pub(super) fn endorse(request: &request::Endorse) -> Result<()> {
    let new = PublicKey::load(&request.public)?;
    let key = SecretKey::load(&request.key, &mut || request.passphrase.of_key(&request.key))?;
    let endorsement = Endorsement::new(new, &key, request.created, request.retire)?;
    write_file(&request.output, 0o644, endorsement.to_text()?.as_bytes())?;
    let mut out = Output::stdout();
    out.line(format!("new  {}", endorsement.new.id()))?;
    out.line(format!(
        "old  {}{}",
        endorsement.by,
        if request.retire { ", not to be trusted any more" } else { "" }
    ))?;
    out.line(format!(
        "{}: for whoever trusts the old key; sealift key accept reads it",
        request.output.display()
    ))
}

pub(super) fn accept(request: &request::Accept, console: &Console) -> Result<()> {
    let trust = request.trust.load()?;
    let endorsements =
        request.endorsements.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    let place = match (request.trust.policy(), &request.folder) {
        (Some(policy), _) => Place::Policy(policy),
        (None, Some(folder)) => {
            make_private_folder(&folder.join("any"))?;
            Place::Folder(folder)
        }
        (None, None) => {
            return Err(Error::usage("neither HOME nor XDG_CONFIG_HOME says where keys are"));
        }
    };
    let accepted = rotation::accept(&rotation::Request {
        endorsements: &endorsements,
        trust: &trust,
        name: request.name.as_deref(),
        place,
        today: request.now,
    })?;
    let mut out = Output::stdout();
    for done in &accepted.done {
        match done {
            Done::Known => out.line(format!("{} is trusted already", accepted.new.id()))?,
            Done::Added(path) => {
                out.line(format!("trusted  {} in {}", accepted.new.id(), path.display()))?;
            }
            Done::Retired(id, path) => out.line(format!("retired  {id} in {}", path.display()))?,
            Done::PutAway(id, path) => out.line(format!("put away {id} as {}", path.display()))?,
            Done::Left(id, path) => console.warn(&format!(
                "{} is to be retired and is still trusted: move {} out of the trust folder",
                id.short(),
                path.display()
            )),
        }
    }
    for by in &accepted.by {
        out.line(format!("endorsed by {by}"))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Endorsement> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|e| Error::io(format!("cannot read {shown}"), e))?;
    let bytes = read_bounded(file, limits::ENDORSEMENT_BYTES, &shown)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::malformed(format!("{shown} is not an endorsement of a key")))?;
    Endorsement::parse(&text, &shown)
}
