//! `sealift verify`.

use serde_json::json;

use super::bases;
use super::console::Console;
use super::filing::Filing;
use super::freshness;
use super::media::Person;
use super::opening::{self, Opened};
use super::outlook::{warn_of_worn_parity, with_outlook};
use super::output::{Align, Output, Table, count, size};
use super::request;
use crate::bundle::{AtHand, Authentic, Bundle, Changer, files_of_set};
use crate::model::{Error, Kind, Result, moment};
use crate::operation::evidence::Case;
use crate::operation::freshness::{Purpose, Standing};
use crate::operation::gather::display_name;
use crate::operation::verify::{self, Depth, Problem, Report};

pub(super) fn run(request: &request::Verify, console: &Console) -> Result<()> {
    let arrival = &request.arrival;
    let filing = Filing::begin(&request.filing, "verify")?;
    let depth = if request.quick { Depth::Quick } else { Depth::Full };
    let mut case = Case::new(&arrival.files).looking(depth);
    let reported = filing.has_reports().then(|| {
        // What makes up a set can be told without believing it; where not even that, what was named.
        match arrival.unlock.identities() {
            Ok(identities) => files_of_set(&arrival.files, &identities),
            Err(_) => arrival.files.clone(),
        }
    });
    let outcome = look(request, depth, &mut case, console)
        .map_err(|error| with_outlook(error, arrival, console));
    if outcome.is_ok() && depth == Depth::Full && request.volume.is_none() {
        warn_of_worn_parity(&arrival.files, console);
    }
    if let Some(files) = reported {
        case.see_files(&files, &*console.progress("verify"));
    }
    filing.close(&case, outcome, Vec::new(), console)
}

/// Proves the bundle, then looks at it; `case` hears what is found.
fn look(request: &request::Verify, depth: Depth, case: &mut Case, console: &Console) -> Result<()> {
    let arrival = &request.arrival;
    let person = Person::at(console);
    let changer = Changer { media: &person, temporary: &arrival.temporary };
    let changer = console.has_person(arrival.json).then_some(changer);
    let opened =
        opening::open(arrival, request.tail.as_deref(), Purpose::Verify, changer, case, console)?;
    let Opened { bundle, fresh, .. } = &opened;
    if let Some(changer) = changer {
        let all = bundle.volumes().into_iter().map(|volume| volume.number);
        let wanted = all.filter(|&number| request.volume.is_none_or(|only| only == number));
        bundle.fetch(&wanted.collect(), changer)?;
        case.at_hand(bundle);
    }
    let report = match request.volume {
        Some(number) => verify::verify_volume(bundle, number, &*console.progress("verify"))?,
        None => whole(&opened, request, depth, console)?,
    };
    case.examined(bundle, &report);
    show(bundle, &report, fresh.standing, arrival.json)?;
    match report.worst() {
        // Only what is whole stands in the way of what is older: all of it was looked at, and rebuilt.
        None if report.volume.is_none() && report.depth == Depth::Full => opened.fresh.remember(),
        None => Ok(()),
        Some(kind) => Err(verdict(bundle, &report, kind)),
    }
}

/// Looks at all of a bundle, and into the bases that it needs.
fn whole(
    Opened { bundle, trust, identities, .. }: &Opened,
    request: &request::Verify,
    depth: Depth,
    console: &Console,
) -> Result<Report> {
    let held = bases::held(bundle, &request.arrival.bases, trust, identities)?;
    if depth == Depth::Full {
        verify::needs_no_more(bundle, &held)?;
    }
    verify::verify(bundle, depth, request.jobs.get(), &*console.progress("verify"))
}

/// The one sentence that the exit code stands for.
fn verdict(bundle: &Bundle<Authentic>, report: &Report, kind: Kind) -> Error {
    let hit = report.images.iter().filter(|image| !image.whole).count();
    let found = count(report.problems.len(), "problem");
    let title = bundle.title();
    if let Some(number) = report.volume {
        return Error::new(kind, format!("volume {number} of {title} is not whole: {found}"))
            .hint("copy the volume again");
    }
    let images = report.images.len();
    // What is wrong at no place in particular is wrong with a whole volume: it is missing, or is
    // another one. Copying again what is there would not help.
    let volumes = report.problems.iter().filter(|problem| problem.offset.is_none());
    let mut of_volumes = volumes.filter(|problem| problem.error.kind() == kind);
    Error::new(kind, format!("{title} is not whole: {found}, {hit} of {images} images hit")).hint(
        if kind == Kind::Malformed {
            "another copy will not help: the bundle was made of what it holds"
        } else if let Some(hint) = of_volumes.find_map(|found| found.error.get_hint()) {
            hint
        } else if hit == 0 {
            "no image is hit, but the file is not the one that was sealed: copy it again"
        } else if hit == images {
            "copy the bundle again"
        } else {
            "copy the bundle again; images that are not hit can be imported with --image"
        },
    )
}

fn show(
    bundle: &Bundle<Authentic>,
    report: &Report,
    standing: Standing,
    as_json: bool,
) -> Result<()> {
    let mut out = Output::stdout();
    let manifest = &bundle.contents().manifest;
    let signers = bundle.signers().iter().map(|signer| {
        json!({
            "key": signer.id.to_string(),
            "trusted": signer.trusted.is_some(),
            "revoked": signer.revoked.is_some(),
            "name": signer.trusted.as_ref().map(|trusted| &trusted.name),
            "file": signer.trusted.as_ref().map(|trusted| &trusted.path),
        })
    });
    if as_json {
        return out.json(&json!({
            "bundle": bundle.file_in_use(),
            "digest": bundle.digest(),
            "bytes": bundle.length(),
            "set": manifest.set,
            "created": manifest.created,
            "generator": manifest.generator,
            "stream": freshness::stream(manifest, Some(standing)),
            "expires": manifest.expires,
            "depth": match report.depth { Depth::Quick => "quick", Depth::Full => "full" },
            "ok": report.problems.is_empty(),
            "signatures": signers.collect::<Vec<_>>(),
            "packs": report.packs,
            "blobs": report.blobs,
            "images": report.images.iter().map(|image| json!({
                "name": image.root.name, "digest": image.root.descriptor.digest, "whole": image.whole,
            })).collect::<Vec<_>>(),
            "volumes": bundle.volumes().iter().map(volume).collect::<Vec<_>>(),
            "volume": report.volume,
            "unused": report.unused.iter().map(|unused| json!({
                "volume": unused.volume, "file": unused.file, "problem": unused.problem,
            })).collect::<Vec<_>>(),
            "notJudged": report.not_judged,
            "problems": report.problems.iter().map(problem).collect::<Vec<_>>(),
        }));
    }
    for signer in bundle.signers() {
        let who = signer.describe();
        match (&signer.trusted, &signer.revoked) {
            (Some(trusted), _) => {
                out.line(format!("signed by {who} ({})", trusted.path.display()))?;
            }
            (None, Some(revoked)) => {
                out.line(format!("also signed by {who}, revoked since {}", revoked.date))?;
            }
            (None, None) => {
                out.line(format!("also signed by {who}, which is not trusted here"))?;
            }
        }
    }
    if let Some(position) = manifest.position() {
        out.line(format!("{position}{}", after(standing)))?;
    }
    if let Some(expires) = manifest.expires {
        out.line(format!("expires at {}", moment::spell(expires)))?;
    }
    let mut table =
        Table::new(&[("IMAGE", Align::Left), ("DIGEST", Align::Left), ("STATE", Align::Left)]);
    for image in &report.images {
        let state = match (image.whole, report.depth) {
            (true, Depth::Full) => "whole",
            (true, Depth::Quick) => "stored bytes intact",
            (false, _) => "DAMAGED",
        };
        table.row([
            display_name(&image.root),
            image.root.descriptor.digest.to_string(),
            state.to_owned(),
        ]);
    }
    if report.volume.is_none() {
        out.table(&table)?;
    }
    for unused in &report.unused {
        out.line(format!("note: {unused}"))?;
    }
    if let Some(file) = &report.not_judged {
        let (file, judged) = (file.display(), bundle.path().display());
        out.line(format!(
            "note: the signatures in {file} were not judged: those in {judged} were"
        ))?;
    }
    for found in &report.problems {
        let place = found
            .offset
            .map_or(String::new(), |offset| format!("volume {}, byte {offset}: ", found.volume));
        out.line(format!("problem: {place}{}", found.error.chain()))?;
        if let Some(hint) = found.error.get_hint() {
            out.line(format!("  hint: {hint}"))?;
        }
        if !found.blobs.is_empty() {
            let shown: Vec<String> = found.blobs.iter().take(5).map(ToString::to_string).collect();
            let more = found.blobs.len() - shown.len();
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            out.line(format!("  blobs lost: {}{rest}", shown.join(", ")))?;
        }
        if !found.images.is_empty() {
            out.line(format!("  images hit: {}", found.images.join(", ")))?;
        }
    }
    if let (Some(number), []) = (report.volume, &report.problems[..]) {
        out.line(format!(
            "ok: volume {number}, stored bytes intact, {}",
            count(report.packs, "pack")
        ))?;
    } else if report.problems.is_empty() {
        let what = match report.depth {
            Depth::Full => format!("{} rebuilt and hashed", count(report.blobs, "blob")),
            Depth::Quick => "blobs not rebuilt (--quick)".to_owned(),
        };
        out.line(format!(
            "ok: {} in {}, {what}",
            size(bundle.length()),
            count(report.packs, "pack")
        ))?;
    }
    Ok(())
}

/// A volume, as a program reads it.
pub(super) fn volume(volume: &AtHand) -> serde_json::Value {
    json!({"number": volume.number, "file": volume.file, "bytes": volume.length})
}

/// How a bundle stands to those of its stream that were seen before.
fn after(standing: Standing) -> String {
    match standing {
        Standing::Alone | Standing::Unchecked => ", not compared with any before it".to_owned(),
        Standing::First => ", the first that is seen here".to_owned(),
        Standing::Later(before) => format!(", after number {before}"),
        Standing::Same => ", the same that was seen last".to_owned(),
    }
}

fn problem(found: &Problem) -> serde_json::Value {
    json!({
        "volume": found.volume,
        "file": found.file,
        "offset": found.offset,
        "message": found.error.chain(),
        "hint": found.error.get_hint(),
        "blobs": found.blobs,
        "images": found.images,
    })
}
