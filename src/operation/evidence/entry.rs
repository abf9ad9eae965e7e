//! A line of the log.

use serde::{Deserialize, Serialize};

use crate::model::Digest;

/// What was done with a bundle, when, and what came of it. `docs/report.md` describes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// [`Entry::TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339, in UTC, by the clock of the machine.
    pub when: String,
    /// `verify`, `import`.
    pub command: String,
    /// Program and version.
    pub program: String,
    /// The machine, as it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The files that were named, whole paths; the first [`Entry::FILES`] of them.
    pub files: Vec<String>,
    /// How many more were named.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_files: usize,
    /// Digest of the manifest, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// The stream of an authentic bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Its number there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Whether trusted keys vouched for the bundle.
    pub authentic: bool,
    /// The keys whose signatures counted.
    pub keys: Vec<String>,
    /// How many images an authentic bundle holds; of an import that went well, how many it brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
    /// A word or two for how it ended.
    pub result: String,
    /// The exit code of the command.
    pub exit_code: u8,
    /// One sentence.
    pub sentence: String,
    /// Where an import went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Reports and receipts that were written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filed: Vec<Filed>,
}

/// A report or receipt.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Filed {
    /// Its whole path.
    pub file: String,
    /// SHA-256 of it.
    pub sha256: String,
}

impl Entry {
    /// Type and version.
    pub const TYPE: &'static str = "sealift log 1";

    /// Files that a line names: sets of a hundred volumes are rare, and a line is bounded.
    pub const FILES: usize = 64;
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}
