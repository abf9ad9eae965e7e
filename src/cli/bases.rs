//! Opens the bases of a delta.

use std::path::PathBuf;
use std::sync::Arc;

use crate::bundle::{Authentic, Bundle, Held, Known, Receipt};
use crate::codec::encryption::Identities;
use crate::model::{Error, Result};
use crate::trust::Trust;

/// Bundles and receipts, in the order in which they were named. Those that are deltas themselves
/// find their own bases among the others.
pub(super) fn known(
    files: &[PathBuf],
    trust: &Trust,
    identities: &Identities,
) -> Result<Vec<Known>> {
    let mut known = Vec::new();
    for path in files {
        known.push(if Receipt::is_one(path)? {
            Receipt::open(path)?.authenticate(trust)?
        } else {
            Known::Bundle(Arc::new(
                Bundle::open_set(std::slice::from_ref(path), None, identities)?
                    .authenticate(trust)?,
            ))
        });
    }
    let bundles: Vec<&Arc<Bundle<Authentic>>> = known
        .iter()
        .filter_map(|known| match known {
            Known::Bundle(bundle) => Some(bundle),
            Known::Receipt { .. } => None,
        })
        .collect();
    for bundle in &bundles {
        // From one to the next by digest: no bundle can name one that names it.
        let mut below: Vec<Arc<dyn Held>> = Vec::new();
        let mut next = bundle.contents().manifest.base;
        while let Some(base) = next {
            let Some(found) = bundles.iter().find(|other| other.digest() == base.digest) else {
                break;
            };
            below.push(Arc::clone(*found) as Arc<dyn Held>);
            next = found.contents().manifest.base;
        }
        bundle.set_bases(below);
    }
    Ok(known)
}

/// Bundles that hold content of the base of `delta`.
///
/// # Errors
/// [`Kind::Damaged`](crate::model::Kind::Damaged) where none of them is its base.
pub(super) fn held(
    delta: &Bundle<Authentic>,
    files: &[PathBuf],
    trust: &Trust,
    identities: &Identities,
) -> Result<Vec<Arc<dyn Held>>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let path = delta.title();
    let Some(base) = delta.contents().manifest.base else {
        return Err(
            Error::usage(format!("{path} is no delta: it needs no base")).hint("leave out --base")
        );
    };
    let mut held: Vec<Arc<dyn Held>> = Vec::new();
    let mut found = false;
    for known in known(files, trust, identities)? {
        match known {
            Known::Bundle(bundle) => {
                found |= bundle.digest() == base.digest;
                held.push(bundle);
            }
            Known::Receipt { .. } => {
                return Err(Error::usage("a receipt holds no content: it serves export only")
                    .hint("name the bundle itself with --base"));
            }
        }
    }
    if !found {
        return Err(Error::damaged(format!(
            "what was named with --base is not the base of {path}, which is the bundle {}",
            base.digest
        ))
        .hint("sealift inspect shows the digest of a bundle in its first line"));
    }
    delta.set_bases(held.clone());
    Ok(held)
}
