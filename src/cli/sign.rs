//! `sealift sign`.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::advice;
use super::console::Console;
use super::freshness;
use super::output::{Align, Output, Table};
use super::request::{self, Pen};
use crate::bundle::{Authentic, Bundle};
use crate::codec::checked::read_bounded;
use crate::model::shell::file;
use crate::model::{Error, Result, moment};
use crate::operation::repair;
use crate::operation::sign::{self, Hand, Paper, Report};
use crate::trust::{PublicKey, SIGNATURE_BYTES, SecretKey, Trust};

pub(super) fn run(request: &request::Sign, console: &Console) -> Result<()> {
    let hands = hands(request)?;
    let trust = request.trust.as_ref().map(request::Trust::load).transpose()?;
    let trust = trust.map(Trust::where_one_is_enough);
    for bundle in &request.bundles {
        let paper = match &request.paper {
            request::Paper::InPlace => Paper::Bundle(bundle.clone()),
            request::Paper::File(file) => Paper::Bundle(file.clone()),
            request::Paper::Detached(file) => Paper::Signature(file.clone()),
        };
        let progress = console.progress("sign");
        let report = sign::sign(
            &sign::Request {
                bundle,
                hands: &hands,
                trust: trust.as_ref(),
                paper: &paper,
                threads: request.jobs.get(),
            },
            &*progress,
        )?;
        drop(progress);
        if trust.is_none() {
            console.warn(&format!(
                "{} was signed without asking who had signed it before",
                bundle.display()
            ));
        }
        show(&report, &paper, request)?;
        let in_place = matches!(&paper, Paper::Bundle(file) if file == bundle);
        if in_place && repair::is_there(std::slice::from_ref(bundle)) {
            console.warn(&format!(
                "its parity does not cover the new signature: make it anew: {}",
                advice::parity(std::slice::from_ref(bundle), &[])
            ));
        }
    }
    Ok(())
}

fn hands(request: &request::Sign) -> Result<Vec<Hand>> {
    match &request.pen {
        Pen::Keys(keys) => keys
            .iter()
            .map(|path| {
                let key = SecretKey::load(path, &mut || request.passphrase.of_key(path))?;
                Ok(Hand::Key(key))
            })
            .collect(),
        Pen::Elsewhere { signature, public } => {
            let by = PublicKey::load(public)?;
            Ok(vec![Hand::Made { by, signature: read(signature)? }])
        }
    }
}

fn read(path: &PathBuf) -> Result<[u8; SIGNATURE_BYTES]> {
    let shown = path.display();
    let bad = || {
        Error::usage(format!("{shown} holds no signature: that is {SIGNATURE_BYTES} bytes"))
            .hint("sealift sign --detached writes one, and so does openssl pkeyutl -sign -rawin")
    };
    let file = File::open(path).map_err(|e| Error::io(format!("cannot read {shown}"), e))?;
    let length = file.metadata().map_err(|e| Error::io(format!("cannot read {shown}"), e))?.len();
    if length != SIGNATURE_BYTES as u64 {
        return Err(bad());
    }
    let bytes = read_bounded(file, SIGNATURE_BYTES as u64, &shown.to_string())?;
    bytes.try_into().map_err(|_| bad())
}

fn show(report: &Report, paper: &Paper, request: &request::Sign) -> Result<()> {
    let bundle = &report.bundle;
    let (Paper::Bundle(written) | Paper::Signature(written)) = paper;
    let manifest = &bundle.contents().manifest;
    let before = || bundle.signers().iter().filter(|signer| signer.trusted.is_some());
    let mut out = Output::stdout();
    if request.json {
        return out.json(&json!({
            "bundle": bundle.path(),
            "digest": bundle.digest(),
            "written": written,
            "stream": freshness::stream(manifest, None),
            "expires": manifest.expires,
            "before": before().map(|signer| signer.id.to_string()).collect::<Vec<_>>(),
            "added": report.added.iter().map(|key| key.id().to_string()).collect::<Vec<_>>(),
            "images": manifest.images.iter().map(|image| json!({
                "name": image.name, "digest": image.root.digest,
            })).collect::<Vec<_>>(),
        }));
    }
    out.line(format!("bundle   {}", bundle.digest()))?;
    if let Some(position) = manifest.position() {
        out.line(format!("stream   {position}"))?;
    }
    if let Some(expires) = manifest.expires {
        out.line(format!("expires  {}", moment::spell(expires)))?;
    }
    images(bundle, &mut out)?;
    for signer in before() {
        out.line(format!("signed before by {}", signer.describe()))?;
    }
    for key in &report.added {
        out.line(format!("signed now by {}", key.id().short()))?;
    }
    if report.added.is_empty() {
        out.line("there is nothing to add: it had this signature already")?;
    }
    match paper {
        Paper::Bundle(path) => out.line(format!("{}: whole", path.display())),
        Paper::Signature(path) => {
            out.line(format!("{}: the signature alone; the bundle is as it was", path.display()))?;
            if report.added.is_empty() {
                return Ok(());
            }
            out.line(format!("next, where the bundle is: {}", add_it(path, bundle, request)))
        }
    }
}

/// The command that puts a signature into the bundle. It is run elsewhere: the files may have other
/// folders there.
fn add_it(signature: &Path, bundle: &Bundle<Authentic>, request: &request::Sign) -> String {
    let word = |path: &Path| file(Path::new(path.file_name().unwrap_or(path.as_os_str())));
    let public = match &request.pen {
        Pen::Keys(keys) => keys.first().map(|key| word(&key.with_extension("pub"))),
        Pen::Elsewhere { public, .. } => Some(word(public)),
    };
    format!(
        "sealift sign {} --add {} --public {}",
        word(bundle.path()),
        word(signature),
        public.unwrap_or_else(|| "KEY.pub".to_owned())
    )
}

fn images(bundle: &Bundle<Authentic>, out: &mut Output) -> Result<()> {
    let mut table = Table::new(&[("IMAGE", Align::Left), ("DIGEST", Align::Left)]);
    for image in &bundle.contents().manifest.images {
        let digest = image.root.digest.to_string();
        let name = image.name.as_ref().map_or_else(|| digest.clone(), ToString::to_string);
        table.row([name, digest]);
    }
    out.table(&table)
}
