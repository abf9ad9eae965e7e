//! The report of a check, as it is filed. `docs/report.md` describes it; members come in the order in
//! which they stand here, and none changes its meaning while the type keeps its number.

use serde::Serialize;

use super::files::SeenFile;
use crate::model::Digest;

/// What was checked, by whom, when, against which keys, and what came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`Report::TYPE`]. It comes first: no manifest of a bundle begins so.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// When and how it was checked.
    pub check: Check,
    /// The files as they lie on the medium.
    pub files: Vec<SeenFile>,
    /// Digest of what lies where the manifest should be: it names the bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What the bundle says of itself; there only if a trusted key vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleFacts>,
    /// The keys that counted.
    pub trust: TrustFacts,
    /// Every signature of the bundle, and what became of it.
    pub signatures: Vec<Signature>,
    /// The images; none of a bundle that is not authentic.
    pub images: Vec<ImageFacts>,
    /// Everything that was found wrong.
    pub findings: Vec<Finding>,
    /// Everything that could not be checked, and why.
    pub not_checked: Vec<NotChecked>,
}

impl Report {
    /// Type and version.
    pub const TYPE: &'static str = "sealift report 1";
}

/// How a check ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether nothing was found wrong.
    pub ok: bool,
    /// The exit code of the command.
    pub exit_code: u8,
    /// A word or two for it.
    pub result: &'static str,
    /// One sentence.
    pub sentence: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// When and how it was checked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The command.
    pub command: String,
    /// `quick` or `full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<&'static str>,
    /// RFC 3339, in UTC.
    pub when: String,
    /// Program and version.
    pub program: String,
    /// The machine, as it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The key whose signature over the file lies beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

/// What the bundle says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleFacts {
    /// Name of the set.
    pub set: String,
    /// When it was made: RFC 3339, in UTC.
    pub created: String,
    /// Program and version that made it.
    pub generator: String,
    /// The stream that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Its number there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Up to when it is good: RFC 3339, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// How it stands to what came before it: `of no stream`, `not checked`, `the first of its stream
    /// here`, `later than the one before it`, `the same that was seen last`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<&'static str>,
    /// The bundle that it adds to, if it is a delta.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// How many volumes it has.
    pub volumes: usize,
    /// How many packs.
    pub packs: usize,
    /// How many blobs.
    pub blobs: usize,
}

/// Which keys count.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustFacts {
    /// How many of them must have signed.
    pub threshold: usize,
    /// The keys.
    pub keys: Vec<Key>,
    /// Keys that do not count any more.
    pub revoked: Vec<RevokedKey>,
}

/// A key that counts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// SHA-256 of the public key.
    pub id: String,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The file that says that it counts.
    pub file: String,
    /// What it may sign, in words.
    pub may_sign: String,
}

/// A key that does not count any more.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokedKey {
    /// SHA-256 of the public key.
    pub id: String,
    /// Whose it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Since when.
    pub since: String,
    /// The file that says so.
    pub file: String,
}

/// A signature of the bundle.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// The key that it names.
    pub key: String,
    /// `counts`, `does not fit`, `key revoked`, `key not trusted here`.
    pub verdict: &'static str,
    /// Whose the key is, if it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The file with the key, if it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// An image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageFacts {
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Digest of its root manifest.
    pub digest: Digest,
    /// Media type of its root manifest.
    pub media_type: String,
    /// Bytes of everything that belongs to it, with what is attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What it runs on.
    pub platforms: Vec<String>,
    /// `whole`, `stored bytes intact`, `damaged`, `not looked at`.
    pub state: &'static str,
    /// True where its source had no manifest and sealift made one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub synthesized: bool,
    /// The index that it was taken out of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_index: Option<Digest>,
    /// Where it was read, if that was a mirror.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What is attached to it.
    pub attached: Vec<AttachedArtifact>,
}

/// Something attached to an image: a signature, an attestation, an SBOM.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachedArtifact {
    /// `tag`, `referrer` or `fallback-index`.
    pub kind: String,
    /// Its tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The manifest that it is attached to.
    pub subject: Digest,
    /// Digest of its root manifest.
    pub digest: Digest,
    /// Media type of that.
    pub media_type: String,
    /// Length of that.
    pub size: u64,
}

/// Something that was found wrong.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// A word for what it is.
    pub result: &'static str,
    /// Volume, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<u64>,
    /// Its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Byte of the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// What is wrong.
    pub sentence: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Blobs that are lost.
    pub blobs: Vec<Digest>,
    /// Images that are hit.
    pub images: Vec<String>,
}

/// Something that could not be checked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotChecked {
    /// A word for it: `contents`, `volumes`, `copies`, `signatures`, `blobs`, `base`, `expiry`,
    /// `freshness`, `files`.
    pub what: &'static str,
    /// Why.
    pub why: String,
}
