//! The files as they lie on the medium, for whoever compares them with `sha256sum`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::codec::checked::HashingReader;
use crate::endpoint::{Event, How, Progress, Transfers};
use crate::model::{Algorithm, Digest, Error, Kind, Result};

/// A file that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenFile {
    /// The volume that it is, counted from 1, if the signed manifest says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<u64>,
    /// Its path, as it was named or found; of a volume that is missing, what it is probably called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its length in bytes; of one that cannot be read to its end, what could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What kept it from being read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A file that is to be looked at.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The volume that it is.
    pub(super) volume: Option<u64>,
    /// Where it is; `None` where it is missing.
    pub(super) path: Option<PathBuf>,
    /// What it is probably called.
    pub(super) name: Option<String>,
}

/// Reads every file to its end. One that cannot be read is told as such, and the others are read all
/// the same.
pub(super) fn look(wanted: &[Wanted], progress: &dyn Progress) -> Vec<SeenFile> {
    let paths = wanted.iter().filter_map(|wanted| wanted.path.as_ref());
    let sizes = paths.filter_map(|path| std::fs::metadata(path).ok());
    let total = sizes.map(|meta| meta.len()).sum();
    progress.event(Event::Phase { title: "hashing the files", total: Some(total) });
    let transfers = Transfers::new(progress);
    let look = |wanted: &Wanted| match &wanted.path {
        Some(path) => SeenFile { volume: wanted.volume, ..look_at(path, &transfers) },
        None => SeenFile {
            volume: wanted.volume,
            path: wanted.name.clone(),
            bytes: None,
            sha256: None,
            problem: Some("it is missing".to_owned()),
        },
    };
    wanted.iter().map(look).collect()
}

fn look_at(path: &Path, transfers: &Transfers<'_>) -> SeenFile {
    let shown = path.display().to_string();
    let id = transfers.start(&shown, None);
    let mut bytes = 0;
    let result = hash(path, transfers, id, &mut bytes);
    transfers.finish(id, if result.is_ok() { How::Moved } else { How::Failed });
    let (sha256, problem) = match result {
        Ok(digest) => (Some(digest.hex()), None),
        Err(error) => (None, Some(error.chain())),
    };
    let bytes = (sha256.is_some() || bytes > 0).then_some(bytes);
    SeenFile { volume: None, path: Some(shown), bytes, sha256, problem }
}

fn hash(path: &Path, transfers: &Transfers<'_>, id: u64, bytes: &mut u64) -> Result<Digest> {
    let file = File::open(path).map_err(|e| Error::io("cannot open it", e))?;
    let meta = file.metadata().map_err(|e| Error::io("cannot look at it", e))?;
    if meta.is_dir() {
        return Err(Error::new(Kind::Io, "it is a folder"));
    }
    if !meta.is_file() {
        return Err(Error::new(Kind::Io, "it is not a plain file"));
    }
    let mut reader = HashingReader::new(transfers.count(id, file), Algorithm::Sha256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(reader.finish().0),
            Ok(read) => *bytes += read as u64,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io(format!("cannot read it at byte {bytes}"), e)),
        }
    }
}
