//! Bundles whose index was changed by somebody who can sign.

use std::ops::Range;
use std::path::Path;

use sealift::bundle::Run;
use sealift::trust::SecretKey;
use serde_json::Value;

use crate::Bench;
use crate::forge::{Forge, number};

/// A bundle in parts, and its index, open.
pub(crate) struct Resealed {
    forge: Forge,
    pub(crate) index: Vec<u8>,
    key: SecretKey,
}

impl Resealed {
    pub(crate) fn of(bench: &Bench, path: &Path) -> Self {
        let forge = Forge::of(&std::fs::read(path).unwrap());
        Self { index: forge.index(), forge, key: bench.key() }
    }

    /// Where these bytes stand in the index; they stand there once.
    pub(crate) fn find(&self, bytes: &[u8]) -> Range<usize> {
        let mut found = (0..).zip(self.index.windows(bytes.len())).filter(|(_, at)| *at == bytes);
        let (at, _): (usize, _) = found.next().expect("it is in the index");
        assert!(found.next().is_none(), "it is in the index once");
        at..at + bytes.len()
    }

    /// Where these runs stand in the index.
    pub(crate) fn find_runs(&self, runs: &[Run]) -> Range<usize> {
        let mut bytes = number(runs.len() as u64);
        let mut end = 0;
        for run in runs {
            let step = i64::from(run.first) - end;
            bytes.extend(number(((step << 1) ^ (step >> 63)).cast_unsigned()));
            bytes.extend(number(u64::from(run.count)));
            end = i64::from(run.first) + i64::from(run.count);
        }
        self.find(&bytes)
    }

    /// The bundle with another index, sealed by the same key.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut index = self.index.clone();
        change(&mut index);
        self.forge.with_index(&index).sealed(std::slice::from_ref(&self.key))
    }

    /// The bundle with a manifest that says something else, sealed by the same key.
    pub(crate) fn with_manifest(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        self.forge.with_manifest(change).sealed(std::slice::from_ref(&self.key))
    }
}
