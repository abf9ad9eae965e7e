//! What a receipt says of an import, for people and programs.

use std::path::Path;

use serde_json::{Value, json};

use super::output::{Align, Output, Table, count, size};
use crate::bundle::{Amount, Receipt, Statement};
use crate::model::{Result, moment};
use crate::trust::{Signer, Trust};

/// An import, as somebody at its target has written it down.
pub(super) struct Landing {
    statement: Statement,
    signers: Vec<Signer>,
}

impl Landing {
    /// What the receipt says; `None` where it speaks of no import.
    ///
    /// # Errors
    /// As for [`Receipt::statement`].
    pub(super) fn of(path: &Path, trust: &Trust) -> Result<Option<Self>> {
        let receipt = Receipt::open(path)?;
        let signers = receipt.import_signers(trust);
        Ok(receipt.statement()?.map(|statement| Self { statement, signers }))
    }

    /// For a program: the document itself, and what became of its signatures.
    pub(super) fn json(&self) -> Value {
        let mut value = json!(self.statement);
        value["signatures"] = self
            .signers
            .iter()
            .map(
                |signer| json!({"key": signer.id.to_string(), "trusted": signer.trusted.is_some()}),
            )
            .collect();
        value
    }

    /// For people.
    pub(super) fn print(&self, out: &mut Output) -> Result<()> {
        let Statement { destination, generator, machine, sent, present, linked, .. } =
            &self.statement;
        let on = machine.as_ref().map_or_else(String::new, |machine| format!(" on {machine}"));
        let when = moment::spell(self.statement.imported);
        out.line("")?;
        out.line(format!("imported {when} to {destination} by {generator}{on}"))?;
        for signer in &self.signers {
            let judged = match (&signer.trusted, &signer.revoked) {
                (Some(trusted), _) => format!("trusted ({})", trusted.path.display()),
                (None, Some(revoked)) => format!("revoked since {}", revoked.date),
                (None, None) => "not trusted here, or it does not fit".to_owned(),
            };
            out.line(format!("attested by {}, {judged}", signer.describe()))?;
        }
        if self.signers.is_empty() {
            out.line("attested by nobody: what follows is not signed")?;
        }
        out.line("")?;
        let mut table = Table::new(&[
            ("IMAGE", Align::Left),
            ("BECAME", Align::Left),
            ("DIGEST THERE", Align::Left),
            ("", Align::Left),
        ]);
        for image in &self.statement.images {
            let read_back = match (image.read_back.is_some(), image.already) {
                (true, true) => "read back, there before",
                (true, false) => "read back",
                (false, true) => "there before",
                (false, false) => "",
            };
            table.row([
                image.image.as_str(),
                &image.target,
                &image.target_digest.to_string(),
                read_back,
            ]);
        }
        out.table(&table)?;
        let part = |amount: &Amount| {
            format!("{}, {}", count(amount.blobs as usize, "blob"), size(amount.bytes))
        };
        out.line(format!(
            "sent {}; there before: {}; linked: {}; {} of the bundle count as held there",
            part(sent),
            part(present),
            part(linked),
            count(self.statement.blobs.len(), "blob")
        ))
    }
}
