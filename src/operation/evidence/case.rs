//! A case: what a command has learnt of a bundle so far.

use std::path::PathBuf;

use super::entry::{Entry, Filed};
use super::files::{SeenFile, Wanted, look};
use super::report::{
    AttachedArtifact, BundleFacts, Check, Finding, ImageFacts, Key, NotChecked, Report, RevokedKey,
    Signature, TrustFacts, Verdict,
};
use crate::bundle::{AtHand, Authentic, Bundle, ImageEntry, Unverified};
use crate::endpoint::Progress;
use crate::model::moment::spell;
use crate::model::{Digest, Error, Kind, Result};
use crate::operation::freshness::Standing;
use crate::operation::inspect;
use crate::operation::verify::{self, Depth};
use crate::trust::{Grant, Revocation, Signer, Trust};

/// What surrounds a command: nothing of it comes from the bundle.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// `verify`, `import`.
    pub command: &'a str,
    /// Seconds since 1970.
    pub when: u64,
    /// Program and version.
    pub program: &'a str,
    /// The machine, as it calls itself.
    pub machine: Option<&'a str>,
}

/// What is known of a bundle.
#[derive(Debug, Default)]
pub struct Case {
    named: Vec<PathBuf>,
    volumes: Vec<Wanted>,
    files: Vec<SeenFile>,
    title: Option<String>,
    depth: Option<Depth>,
    /// The only volume that was looked at.
    volume: Option<u64>,
    trust: TrustFacts,
    digest: Option<Digest>,
    signatures: Vec<Signature>,
    bundle: Option<BundleFacts>,
    images: Vec<ImageFacts>,
    findings: Vec<Finding>,
    not_checked: Vec<NotChecked>,
    destination: Option<String>,
    brought: Option<usize>,
}

impl Case {
    /// About these files.
    pub fn new(named: &[PathBuf]) -> Self {
        Self { named: named.to_vec(), ..Self::default() }
    }

    /// How deep it is to be looked.
    #[must_use]
    pub fn looking(mut self, depth: Depth) -> Self {
        self.depth = Some(depth);
        self
    }

    /// Reads the files to their end, for whoever wants to compare them: the volumes, if it is proved
    /// which these are, else these.
    pub fn see_files(&mut self, paths: &[PathBuf], progress: &dyn Progress) {
        let named = |path: &PathBuf| Wanted { volume: None, path: Some(path.clone()), name: None };
        let named: Vec<Wanted> = paths.iter().map(named).collect();
        let wanted = if self.volumes.is_empty() { &named } else { &self.volumes };
        self.files = look(wanted, progress);
        if self.files.iter().any(|file| file.sha256.is_some()) {
            self.cannot(
                "files",
                "each file was read once more for its digest, after the check: what a medium that answers differently each time has shown before is not known to have it",
            );
        }
    }

    /// These keys count.
    pub fn trusting(&mut self, trust: &Trust) {
        let key = |grant: &Grant| Key {
            id: grant.key.id().to_string(),
            name: grant.name.clone(),
            file: grant.path.display().to_string(),
            may_sign: grant.scope.to_string(),
        };
        let revoked = |revocation: &Revocation| RevokedKey {
            id: revocation.id.to_string(),
            name: revocation.name.clone(),
            since: revocation.date.clone(),
            file: revocation.path.display().to_string(),
        };
        self.trust = TrustFacts {
            threshold: trust.threshold(),
            keys: trust.grants().iter().map(key).collect(),
            revoked: trust.revocations().iter().map(revoked).collect(),
        };
    }

    /// The bundle was opened; what it says is not known yet.
    pub fn opened(&mut self, bundle: &Bundle<Unverified>, trust: &Trust) {
        self.digest = Some(bundle.digest());
        self.judged(&bundle.signers(trust));
    }

    fn judged(&mut self, signers: &[Signer]) {
        let of = |signer: &Signer| {
            let id = signer.id.to_string();
            let known = self.trust.keys.iter().any(|key| key.id == id);
            let verdict = match (&signer.trusted, &signer.revoked, known) {
                (Some(_), ..) => "counts",
                (None, Some(_), _) => "key revoked",
                (None, None, true) => "does not fit",
                (None, None, false) => "key not trusted here",
            };
            let trusted = signer.trusted.as_ref();
            Signature {
                key: id,
                verdict,
                name: trusted.and_then(|trusted| trusted.name.clone()),
                file: trusted.map(|trusted| trusted.path.display().to_string()),
            }
        };
        self.signatures = signers.iter().map(of).collect();
    }

    /// A trusted key vouches for what the bundle says of itself.
    pub fn proved(&mut self, bundle: &Bundle<Authentic>) {
        let contents = bundle.contents();
        let manifest = &contents.manifest;
        self.judged(bundle.signers());
        self.at_hand(bundle);
        self.bundle = Some(BundleFacts {
            set: manifest.set.clone(),
            created: spell(manifest.created),
            generator: manifest.generator.clone(),
            stream: manifest.stream.as_ref().map(ToString::to_string),
            sequence: manifest.sequence,
            expires: manifest.expires.map(spell),
            standing: None,
            base: manifest.base.map(|base| base.digest),
            volumes: manifest.volumes.len(),
            packs: manifest.packs.len(),
            blobs: contents.index.blobs().len(),
        });
        // Where an image cannot be walked, its finding says so; it is listed all the same.
        let sizes: Vec<u64> = inspect::inspect(contents)
            .map(|report| report.images.iter().map(|image| image.size).collect())
            .unwrap_or_default();
        let images = manifest.images.iter().enumerate();
        self.images =
            images.map(|(number, entry)| image(entry, sizes.get(number).copied())).collect();
        if manifest.expires.is_none() {
            self.cannot("expiry", "the bundle names no date up to which it is good");
        }
    }

    /// These volumes are at hand now.
    pub fn at_hand(&mut self, bundle: &Bundle<Authentic>) {
        self.title = Some(bundle.title());
        let volume = |volume: AtHand| Wanted {
            volume: Some(volume.number),
            path: volume.file,
            name: volume.name,
        };
        self.volumes = bundle.volumes().into_iter().map(volume).collect();
    }

    /// How the bundle stands to those of its stream that came before it.
    pub fn stands(&mut self, standing: Standing) {
        let (word, gap) = match standing {
            Standing::Alone => (
                "of no stream",
                Some("the bundle belongs to no stream: nothing says whether a newer one exists"),
            ),
            Standing::Unchecked => (
                "not checked",
                Some(
                    "nothing is remembered on this machine: a newer bundle of the stream may have come before",
                ),
            ),
            Standing::First => (
                "the first of its stream here",
                Some(
                    "no bundle of the stream was seen here before: whether a newer one exists cannot be told",
                ),
            ),
            Standing::Later(_) => ("later than the one before it", None),
            Standing::Same => ("the same that was seen last", None),
        };
        if let Some(bundle) = &mut self.bundle {
            bundle.standing = Some(word);
        }
        if let Some(why) = gap {
            self.cannot("freshness", why);
        }
    }

    /// Something cannot be checked: a word for what, and a sentence that says why.
    pub fn cannot(&mut self, what: &'static str, why: impl Into<String>) {
        self.not_checked.push(NotChecked { what, why: why.into() });
    }

    /// It was looked at. Of several files of one volume one was chosen for that.
    pub fn examined(&mut self, bundle: &Bundle<Authentic>, report: &verify::Report) {
        self.at_hand(bundle);
        self.left_aside(bundle, report);
        if let Some(number) = report.volume {
            self.depth = Some(Depth::Quick);
            self.volume = Some(number);
            self.cannot("volumes", format!("only volume {number} was looked at"));
        }
        if report.depth == Depth::Quick {
            self.cannot("blobs", "no blob was rebuilt and hashed: only stored bytes were compared");
            if let Some(base) = self.bundle.as_ref().and_then(|bundle| bundle.base) {
                self.cannot(
                    "base",
                    format!("the bundle is a delta of {base}, which was not asked for"),
                );
            }
        }
        for (image, found) in self.images.iter_mut().zip(&report.images) {
            image.state = match (found.whole, report.depth) {
                (true, Depth::Full) => "whole",
                (true, Depth::Quick) => "stored bytes intact",
                (false, _) => "damaged",
            };
        }
        self.findings.extend(report.problems.iter().map(|problem| Finding {
            volume: Some(problem.volume),
            file: problem.file.as_ref().map(|file| file.display().to_string()),
            offset: problem.offset,
            blobs: problem.blobs.clone(),
            images: problem.images.clone(),
            ..Finding::of(&problem.error)
        }));
    }

    /// What was there and is not part of what was checked.
    fn left_aside(&mut self, bundle: &Bundle<Authentic>, report: &verify::Report) {
        for unused in report.unused.iter().take(UNUSED) {
            self.cannot("copies", unused.to_string());
        }
        if let Some(more) = report.unused.len().checked_sub(UNUSED + 1) {
            self.cannot("copies", format!("{} more files are not used either", more + 1));
        }
        if let Some(file) = &report.not_judged {
            self.cannot(
                "signatures",
                format!(
                    "those in {} were not judged: the ones that count are in {}",
                    file.display(),
                    bundle.path().display()
                ),
            );
        }
    }

    /// So many images were brought.
    pub fn brought(&mut self, images: usize) {
        self.brought = Some(images);
    }

    /// Images go to a place, or would have.
    pub fn bound_for(&mut self, destination: String) {
        self.destination = Some(destination);
    }

    /// What is written down of the case, and how it ended.
    pub fn report(&self, outcome: &Result<()>, around: &Surroundings<'_>) -> Report {
        let mut findings = self.findings.clone();
        let mut not_checked = self.not_checked.clone();
        if let Err(error) = outcome
            && findings.is_empty()
        {
            findings.push(Finding::of(error));
            findings.extend(error.get_parts().iter().map(Finding::of));
        }
        if self.bundle.is_none() {
            let why =
                "no trusted key vouches for the bundle: nothing that it says is repeated here";
            not_checked.push(NotChecked { what: "contents", why: why.to_owned() });
        } else if self.volume.is_none()
            && self.images.iter().any(|image| image.state == NOT_LOOKED_AT)
        {
            let why = "the check ended before the bytes of the images were looked at";
            not_checked.push(NotChecked { what: "contents", why: why.to_owned() });
        }
        Report {
            kind: Report::TYPE,
            verdict: self.verdict(outcome),
            check: Check {
                command: around.command.to_owned(),
                depth: self.depth.map(|depth| match depth {
                    Depth::Quick => "quick",
                    Depth::Full => "full",
                }),
                when: spell(around.when),
                program: around.program.to_owned(),
                machine: around.machine.map(str::to_owned),
                signed_by: None,
            },
            files: self.files.clone(),
            digest: self.digest,
            bundle: self.bundle.clone(),
            trust: self.trust.clone(),
            signatures: self.signatures.clone(),
            images: self.images.clone(),
            findings,
            not_checked,
        }
    }

    /// The line of the log.
    pub fn entry(
        &self,
        outcome: &Result<()>,
        around: &Surroundings<'_>,
        filed: Vec<Filed>,
    ) -> Entry {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
        };
        let verdict = self.verdict(outcome);
        let counted = self.signatures.iter().filter(|signature| signature.verdict == "counts");
        Entry {
            kind: Entry::TYPE.to_owned(),
            when: spell(around.when),
            command: around.command.to_owned(),
            program: around.program.to_owned(),
            machine: around.machine.map(str::to_owned),
            files: self.named.iter().take(Entry::FILES).map(absolute).collect(),
            more_files: self.named.len().saturating_sub(Entry::FILES),
            bundle: self.digest,
            stream: self.bundle.as_ref().and_then(|bundle| bundle.stream.clone()),
            sequence: self.bundle.as_ref().and_then(|bundle| bundle.sequence),
            authentic: self.bundle.is_some(),
            keys: counted.map(|signature| signature.key.clone()).collect(),
            images: self.brought.or(self.bundle.is_some().then_some(self.images.len())),
            result: verdict.result.to_owned(),
            exit_code: verdict.exit_code,
            sentence: verdict.sentence,
            destination: self.destination.clone(),
            filed,
        }
    }

    fn verdict(&self, outcome: &Result<()>) -> Verdict {
        match outcome {
            Ok(()) => Verdict {
                ok: true,
                exit_code: 0,
                result: match (self.depth, &self.destination) {
                    (_, Some(_)) => "imported",
                    _ if self.volume.is_some() => "volume intact",
                    (Some(Depth::Quick), _) => "stored bytes intact",
                    _ => "whole",
                },
                sentence: self.success(),
                hint: None,
            },
            Err(error) => Verdict {
                ok: false,
                exit_code: error.kind().exit_code(),
                result: word(error.kind()),
                sentence: error.message().to_owned(),
                hint: error.get_hint().map(str::to_owned),
            },
        }
    }

    /// The one sentence for what went well.
    fn success(&self) -> String {
        let what = self.title.as_deref().unwrap_or("the bundle");
        let counted = self.signatures.iter().filter(|signature| signature.verdict == "counts");
        let signed = match counted.count() {
            1 => "a trusted key signed it".to_owned(),
            several => format!("{several} trusted keys signed it"),
        };
        let images = match self.images.len() {
            1 => "its image".to_owned(),
            several => format!("its {several} images"),
        };
        if let Some(number) = self.volume {
            return format!(
                "volume {number} of {what} has the bytes that were signed, and {signed}; the others were not looked at"
            );
        }
        match (&self.destination, self.depth) {
            (Some(destination), _) => {
                format!("what was asked for of {what} is at {destination}; {signed}")
            }
            (None, Some(Depth::Quick)) => format!(
                "{what} has the bytes that were signed, and {signed}; {images} were not rebuilt"
            ),
            (None, _) => format!(
                "{what} is whole: every byte was read, every blob rebuilt and hashed, and {images} can be had; {signed}"
            ),
        }
    }
}

/// Files that are not used of which each is told.
const UNUSED: usize = 16;

/// What is said of an image before anything is known.
const NOT_LOOKED_AT: &str = "not looked at";

fn image(entry: &ImageEntry, size: Option<u64>) -> ImageFacts {
    ImageFacts {
        name: entry.name.as_ref().map(ToString::to_string),
        digest: entry.root.digest,
        media_type: entry.root.media_type.clone(),
        size,
        platforms: entry.platforms.iter().map(ToString::to_string).collect(),
        state: NOT_LOOKED_AT,
        synthesized: entry.synthesized,
        from_index: entry.from_index,
        origin: entry.origin.as_ref().map(ToString::to_string),
        attached: entry
            .attached
            .iter()
            .map(|attached| AttachedArtifact {
                kind: attached.kind.clone(),
                tag: attached.tag.clone(),
                subject: attached.subject,
                digest: attached.root.digest,
                media_type: attached.root.media_type.clone(),
                size: attached.root.size,
            })
            .collect(),
    }
}

/// A word for how it ended, for scripts.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage => "wrong use",
        Kind::Io => "local failure",
        Kind::Damaged => "damaged",
        Kind::Untrusted => "untrusted",
        Kind::Stale => "stale",
        Kind::Malformed => "malformed",
        Kind::Remote => "remote failure",
    }
}

impl Finding {
    /// What an error says, without a place.
    fn of(error: &Error) -> Self {
        Self {
            result: word(error.kind()),
            volume: None,
            file: None,
            offset: None,
            sentence: error.chain(),
            hint: error.get_hint().map(str::to_owned),
            blobs: Vec::new(),
            images: Vec::new(),
        }
    }
}
