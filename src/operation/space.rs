//! Whether there is room for what is about to be written, asked before anything is fetched.
//!
//! How small a bundle gets nobody knows before it is there; how large it gets at most, and what no
//! bundle falls short of, is known.

use std::cmp::Reverse;
use std::error::Error as _;
use std::io;
use std::path::Path;

use bytesize::ByteSize;

use crate::bundle::{Base, Preset};
use crate::codec::disk::{Bound, Disk};
use crate::endpoint::{Action, Event, Local, Parcel, Plan, Progress};
use crate::model::graph::distinct_leaves;
use crate::model::{Error, Result, Role};

/// Content that shares nothing may grow a little when it is packed, and a layer has a recipe.
const GROWTH: u64 = 64;

/// What a bundle has beside its content: headers, tables, signatures.
const FRAME_BYTES: u64 = 1 << 20;

/// No bundle without a base was ever so many times as small as its blobs, not one of fifty versions
/// of one image.
const SMALLEST: u64 = 100;

/// Layers that are fetched ahead where they come from afar.
const AHEAD: usize = 3;

/// Bytes that an export takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// The bundle has at least as many,
    pub(super) least: u64,
    /// and at most as many.
    pub(super) most: u64,
    /// Parity has at least as many,
    parity_least: u64,
    /// and at most as many.
    parity_most: u64,
    /// Temporary files have at least as many,
    aside_least: u64,
    /// and at most as many.
    aside_most: u64,
}

impl Need {
    /// Of the bundle of these images, and of others that a stream will bring of which only an
    /// estimate of bytes is known.
    pub(super) fn of_export(
        parcels: &[&Parcel],
        announced: u64,
        (preset, threads): (Preset, usize),
        base: Option<&Base>,
    ) -> Self {
        let leaves = distinct_leaves(parcels.iter().flat_map(|parcel| parcel.graphs()));
        let new = leaves
            .iter()
            .filter(|leaf| !base.is_some_and(|base| base.holds(&leaf.descriptor.digest)));
        let mut layers = Vec::new();
        let mut content = 0;
        for leaf in new {
            content += leaf.descriptor.size;
            if leaf.role == Role::Layer {
                layers.push(leaf.descriptor.size);
            }
        }
        let graphs = parcels.iter().flat_map(|parcel| parcel.graphs());
        let manifests: u64 =
            graphs.flat_map(|graph| &graph.nodes).map(|node| node.raw.len() as u64).sum();
        layers.sort_unstable_by_key(|&size| Reverse(size));
        let at_once = (threads + 1).max(AHEAD);
        let (least, opens) = (content / SMALLEST, preset.opens_layers());
        let content = content + announced;
        Self {
            least: if base.is_none() { least } else { 0 },
            most: content + content / GROWTH + manifests + FRAME_BYTES,
            parity_least: 0,
            parity_most: 0,
            aside_least: layers.first().filter(|_| opens).copied().unwrap_or_default(),
            aside_most: layers.iter().take(at_once).sum(),
        }
    }

    /// The same with so many hundredths of parity, on the same disk.
    pub(super) fn with_parity(mut self, percent: u8) -> Self {
        if percent == 0 {
            return self;
        }
        let share = |bytes: u64| bytes / 100 * u64::from(percent);
        (self.parity_least, self.parity_most) = (share(self.least), share(self.most) + FRAME_BYTES);
        self
    }

    /// Whether the disks have room. Says so where they may have too little.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where they have certainly too little.
    pub(super) fn check(
        &self,
        disk: &Disk,
        temporary: &Path,
        one_file: bool,
        progress: &dyn Progress,
    ) -> Result<()> {
        let warn = |warning: Option<String>| {
            if let Some(warning) = warning {
                progress.event(Event::Warning(&warning));
            }
        };
        let what = "the bundle";
        let aside = Disk::of(temporary)?;
        let (least, most) = (self.least + self.parity_least, self.most + self.parity_most);
        if aside.is(disk) {
            let what = "the bundle and the layers that are being packed";
            warn(disk.check_room(what, least + self.aside_least, most + self.aside_most)?);
        } else {
            warn(disk.check_room(what, least, most)?);
            let what = "the layers that are being packed";
            let checked = aside.check_room(what, self.aside_least, self.aside_most);
            warn(
                checked
                    .map_err(|e| e.hint("make room there, or choose another place with TMPDIR"))?,
            );
        }
        if one_file {
            disk.check_file(what, self.least)?;
            if let Some((largest, bound)) =
                disk.largest_file().filter(|(bytes, _)| *bytes < self.most)
            {
                warn(Some(format!(
                    "{what} may get too large for one file: up to {}, and {}; --volume-size cuts it",
                    ByteSize::b(self.most),
                    bound.sentence(largest)
                )));
            }
        }
        Ok(())
    }

    /// Says of a disk that got full how much was needed.
    pub(super) fn explain(&self, error: Error, disk: &Disk) -> Error {
        if !is_full(&error) {
            return error;
        }
        let free = match disk.free() {
            Some(free) => format!("{} were free when it began", ByteSize::b(free)),
            None => "how much was free is not known".to_owned(),
        };
        error.hint(format!(
            "up to {} are needed in {}, {free}: make room there, or write the bundle to another disk",
            ByteSize::b(self.most + self.parity_most),
            disk.folder().display(),
        ))
    }
}

fn is_full(error: &Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// How large volumes are to be: as it was asked for, if files may be so large; on a FAT file system
/// no larger than it holds.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where they may not be so large.
pub(super) fn volume_size(
    disk: &Disk,
    asked: Option<u64>,
    progress: &dyn Progress,
) -> Result<Option<u64>> {
    let Some((largest, bound)) = disk.largest_file() else { return Ok(asked) };
    match asked {
        Some(size) if size > largest => Err(Error::usage(format!(
            "volumes of {size} bytes cannot be in {}: {}",
            disk.folder().display(),
            bound.sentence(largest)
        ))
        .hint(match bound {
            Bound::Fat => "--volume-size fat32 makes the largest that it holds",
            _ => bound.advice(),
        })),
        None if bound == Bound::Fat => {
            progress.event(Event::Note(&format!(
                "{}: {}, so a larger bundle is cut into volumes of that size",
                disk.folder().display(),
                bound.sentence(largest)
            )));
            Ok(Some(largest))
        }
        _ => Ok(asked),
    }
}

/// Whether what an import brings fits where it goes, if that is a local disk.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) where it does not.
pub(super) fn check_import(local: &Local<'_>, plan: &Plan) -> Result<()> {
    let blobs = plan.blobs.iter().filter(|step| step.action == Action::Send);
    let manifests = plan.manifests.iter().filter(|step| step.action == Action::Send);
    let sizes = blobs.map(|step| step.bytes).chain(manifests.map(|step| step.raw.len() as u64));
    let what = format!("what goes to {}", local.path.display());
    let folder = if local.is_file { local.path.parent().unwrap_or(local.path) } else { local.path };
    let disk = Disk::of(folder)?;
    if local.is_file {
        // Each has a header and is filled up to a block.
        let bytes: u64 = sizes.map(|size| size.next_multiple_of(512) + 512).sum();
        disk.check_file(&what, bytes)?;
        disk.check_room(&what, bytes, bytes)?;
    } else {
        let bytes: u64 = sizes.sum();
        disk.check_room(&what, bytes, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_disk_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::of(folder.path()).unwrap();
        let need = Need::of_export(&[], 10 << 20, (Preset::Balanced, 2), None).with_parity(10);
        assert!(need.least == 0 && need.most > 10 << 20 && need.parity_most > 1 << 20);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let full = Error::io("cannot write x", full).context("cannot pack");
        let explained = need.explain(full, &disk);
        assert!(explained.get_hint().unwrap().contains("are needed in"), "{explained:?}");
        let other = Error::io("cannot write x", io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(need.explain(other, &disk).get_hint(), None);
    }
}
