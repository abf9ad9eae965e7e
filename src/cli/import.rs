//! `sealift import`.

use std::fmt::Write as _;

use serde_json::json;

use super::bases;
use super::console::Console;
use super::filing::{Filing, PROGRAM, absolute};
use super::media::Person;
use super::opening::{self, Opened};
use super::outlook::with_outlook;
use super::output::{Align, Output, Table, count, size};
use super::{places, request};
use crate::bundle::{Authentic, Bundle, Changer, Statement};
use crate::codec::atomic::AtomicFile;
use crate::endpoint::{Action, Gravity, Plan};
use crate::model::{Destination, Error, Result};
use crate::operation::evidence::{self, Case, Filed, Surroundings};
use crate::operation::freshness::Purpose;
use crate::operation::import;
use crate::trust::SecretKey;

pub(super) fn run(request: &request::Import, console: &Console) -> Result<()> {
    if request.dry_run {
        // It changes nothing, and is not logged.
        return bring(request, None, &mut Case::default(), console)
            .map(drop)
            .map_err(|error| with_outlook(error, &request.arrival, console));
    }
    let filing = Filing::begin(&request.filing, "import")?;
    let receipt = request.receipt.as_ref().map(OpenReceipt::begin).transpose()?;
    let mut case = Case::new(&request.arrival.files);
    let (outcome, filed) = match bring(request, receipt, &mut case, console) {
        Ok(filed) => (Ok(()), filed),
        Err(error) => (Err(with_outlook(error, &request.arrival, console)), None),
    };
    filing.close(&case, outcome, filed.into_iter().collect(), console)
}

/// A receipt that is written when all has arrived.
struct OpenReceipt {
    file: AtomicFile,
    keys: Vec<SecretKey>,
}

impl OpenReceipt {
    fn begin(request: &request::Receipt) -> Result<Self> {
        let load = |path| SecretKey::load(path, &mut || request.passphrase.of_key(path));
        let keys = request.keys.iter().map(|path| load(path)).collect::<Result<_>>()?;
        Ok(Self { file: AtomicFile::create(&request.path, 0o644)?, keys })
    }

    fn write(self, bundle: &Bundle<Authentic>, statement: &Statement) -> Result<Filed> {
        let path = self.file.target().to_owned();
        let digest = bundle.write_import_receipt(self.file, statement, &self.keys)?;
        Ok(Filed { file: absolute(&path), sha256: digest.hex() })
    }
}

/// Brings the images, and gives the receipt that was written.
fn bring(
    request: &request::Import,
    receipt: Option<OpenReceipt>,
    case: &mut Case,
    console: &Console,
) -> Result<Option<Filed>> {
    let arrival = &request.arrival;
    let person = Person::at(console);
    let changer = Changer { media: &person, temporary: &arrival.temporary };
    let changer = console.has_person(arrival.json).then_some(changer);
    let purpose = if request.dry_run { Purpose::Look } else { Purpose::Import };
    let opened = opening::open(arrival, None, purpose, changer, case, console)?;
    let Opened { bundle, fresh, trust, identities } = opened;
    if let Some(changer) = changer {
        let (images, platforms) = (&request.images, &request.platforms);
        let needed = import::volumes_needed(&bundle, images, platforms, &request.naming)?;
        bundle.fetch(&needed, changer)?;
    }
    let target = places::target(
        &request.target,
        &request.connection,
        request.platforms.first().cloned(),
        request.new_projects,
    )?;
    case.bound_for(target.describe());
    let held = bases::held(&bundle, &arrival.bases, &trust, &identities)?;
    let progress = console.progress("import");
    request.connection.listener.to(&progress);
    let report = import::import(
        &import::Request {
            bundle: &bundle,
            trust: &trust,
            bases: &held,
            target: &*target,
            images: request.images.clone(),
            platforms: request.platforms.clone(),
            naming: &request.naming,
            dry_run: request.dry_run,
            read_back: receipt.is_some(),
            temporary: &arrival.temporary,
        },
        &*progress,
    )?;
    drop(progress);
    fresh.remember()?;
    for note in &report.plan.notes {
        console.warn(note);
    }
    case.brought(report.plan.arrivals.len());
    let filed = receipt.map(|receipt| {
        let around = Surroundings {
            command: "import",
            when: request.filing.when,
            program: PROGRAM,
            machine: request.filing.machine.as_deref(),
        };
        let (plan, place) = (&report.plan, target.describe());
        let statement = evidence::statement(&bundle, plan, &report.read_back, &place, &around);
        receipt.write(&bundle, &statement)
    });
    show(&report.plan, &target.describe(), request)?;
    match report.plan.hindrances().count() {
        0 => filed.transpose(),
        // Only a dry run gets here; the rest is in its result.
        number => Err(Error::remote(format!(
            "{} would not take this import: {} in the way",
            target.describe(),
            if number == 1 { "1 thing is".to_owned() } else { format!("{number} things are") }
        ))),
    }
}

/// Bytes and number of blobs for each kind of action.
struct Totals {
    sent: (usize, u64),
    present: (usize, u64),
    mounted: (usize, u64),
}

fn totals(plan: &Plan) -> Totals {
    let sum = |wanted: fn(&Action) -> bool| {
        let steps = plan.blobs.iter().filter(|step| wanted(&step.action));
        steps.fold((0, 0), |(count, bytes), step| (count + 1, bytes + step.bytes))
    };
    Totals {
        sent: sum(|action| *action == Action::Send),
        present: sum(|action| *action == Action::Present),
        mounted: sum(|action| matches!(action, Action::Mount { .. })),
    }
}

fn show(plan: &Plan, target: &str, request: &request::Import) -> Result<()> {
    let mut out = Output::stdout();
    let totals = totals(plan);
    if request.arrival.json {
        let amount = |(blobs, bytes): (usize, u64)| json!({"blobs": blobs, "bytes": bytes});
        return out.json(&json!({
            "target": target,
            "dryRun": request.dry_run,
            "images": plan.arrivals.iter().map(|arrival| json!({
                "image": arrival.image,
                "digest": arrival.digest,
                "target": arrival.target,
                "targetDigest": arrival.target_digest,
            })).collect::<Vec<_>>(),
            "sent": amount(totals.sent),
            "present": amount(totals.present),
            "mounted": amount(totals.mounted),
            "manifestsSent": plan.manifests.iter().filter(|step| step.action == Action::Send).count(),
            "tagsSet": plan.tags.iter().filter(|step| step.action == Action::Send).count(),
            "notes": plan.notes,
            "projectsCreated": plan.creates,
            "findings": plan.findings.iter().map(|finding| json!({
                "gravity": gravity(finding.gravity),
                "what": finding.what,
                "advice": finding.advice,
            })).collect::<Vec<_>>(),
        }));
    }
    let mut table = Table::new(&[
        ("IMAGE", Align::Left),
        ("BECOMES", Align::Left),
        ("DIGEST THERE", Align::Left),
        ("", Align::Left),
    ]);
    for arrival in &plan.arrivals {
        let same = match request.target {
            _ if arrival.digest == arrival.target_digest => "",
            Destination::DockerDaemon | Destination::DockerArchive(_) => "image ID",
            _ => "layers compressed for the registry",
        };
        table.row([
            arrival.image.as_str(),
            &arrival.target,
            &arrival.target_digest.to_string(),
            same,
        ]);
    }
    out.table(&table)?;
    if request.dry_run {
        let mut steps = Table::new(&[
            ("BLOB", Align::Left),
            ("SIZE", Align::Right),
            ("PLACE", Align::Left),
            ("ACTION", Align::Left),
        ]);
        for step in &plan.blobs {
            let action = match &step.action {
                Action::Present => "there already".to_owned(),
                Action::Mount { from } => format!("link from {from}"),
                Action::Send => "send".to_owned(),
            };
            steps.row([
                step.descriptor.digest.to_string(),
                size(step.bytes),
                step.place.clone(),
                action,
            ]);
        }
        if !steps.is_empty() {
            out.table(&steps)?;
        }
        for project in &plan.creates {
            out.line(format!("project {project} would be created"))?;
        }
        for tag in &plan.tags {
            if let (Action::Send, Some(old)) = (&tag.action, &tag.replaces) {
                out.line(format!("{} would move from {old}", tag.name))?;
            }
        }
    }
    let words = if request.dry_run { "would send" } else { "sent" };
    let part = |(blobs, bytes): (usize, u64)| format!("{}, {}", count(blobs, "blob"), size(bytes));
    let mut text = format!(
        "{words} {} to {target}; there already: {}",
        part(totals.sent),
        part(totals.present)
    );
    if totals.mounted.0 > 0 {
        let _ = write!(text, "; linked: {}", part(totals.mounted));
    }
    out.line(text)?;
    if request.dry_run && !plan.findings.is_empty() {
        out.table(&findings(plan))?;
    }
    Ok(())
}

fn gravity(gravity: Gravity) -> &'static str {
    match gravity {
        Gravity::Hinders => "hinders",
        Gravity::Note => "note",
    }
}

/// What speaks against the plan.
fn findings(plan: &Plan) -> Table {
    let mut table =
        Table::new(&[("", Align::Left), ("FOUND", Align::Left), ("WHAT TO DO", Align::Left)]);
    for finding in &plan.findings {
        table.row([gravity(finding.gravity), &finding.what, &finding.advice]);
    }
    table
}
