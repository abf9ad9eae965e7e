//! What a delta needs of its base, read back from the place that it goes to.
//!
//! Only what is missing elsewhere is read, each blob once; its bytes are hashed, and pieces of a
//! blob that is not what its digest says are not used. The pieces lie in a temporary file without a
//! name until the import is over.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::bundle::{BaseBlob, Held, Needs, Piece};
use crate::codec::checked::Hasher;
use crate::endpoint::{Event, Form, Plan, Progress, Recalled, Target};
use crate::model::{Algorithm, Digest, Error, Kind, Result};

/// Pieces that were read back.
pub(super) struct Store {
    file: File,
    /// Where each piece lies in the file, by its blob and its offset there.
    pieces: HashMap<(Digest, u64), (u64, u32)>,
}

/// Reads back from `target` what it has of `needs`.
pub(super) fn recall(
    target: &dyn Target,
    plan: &Plan,
    needs: &Needs,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Store> {
    progress.event(Event::Phase { title: "reading back what is there of the base", total: None });
    let file = tempfile::tempfile_in(folder).map_err(|e| full(folder, e))?;
    let mut store = Store { file, pieces: HashMap::new() };
    let wanted: Vec<Recalled> = needs
        .pieces
        .iter()
        .map(|(blob, _)| Recalled { digest: blob.digest, size: blob.size, plain: blob.plain })
        .collect();
    let mut at = 0u64;
    target.recall(plan, &wanted, folder, &mut |number, content| {
        let (blob, pieces) = &needs.pieces[number];
        let mut copy = Copy { file: &store.file, pieces, next: 0, seen: 0, at, folder };
        let found = copy.run(content, blob)?;
        let expected = blob.plain.map_or((blob.digest, blob.size), |p| (p.digest, p.size));
        if found != Some(expected) || copy.next < pieces.len() {
            // Another blob, or a damaged one: the same as none, and the next one takes its place.
            return Ok(());
        }
        let mut lies = std::mem::replace(&mut at, copy.at);
        for piece in pieces {
            store.pieces.insert((blob.digest, piece.offset), (lies, piece.length));
            lies += u64::from(piece.length);
        }
        Ok(())
    })?;
    Ok(store)
}

/// Whether the fault lies in the bytes that were read back, and not in how they were.
fn is_spoiled(error: &io::Error) -> bool {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(own) => own.kind() == Kind::Damaged,
        // What gzip and zstd say of a stream that cannot be one of theirs.
        None => matches!(
            error.kind(),
            ErrorKind::InvalidData
                | ErrorKind::InvalidInput
                | ErrorKind::UnexpectedEof
                | ErrorKind::Other
        ),
    }
}

fn full(folder: &Path, error: io::Error) -> Error {
    Error::io(format!("cannot keep what is read back in {}", folder.display()), error).hint(
        "what the images share with their base needs room there; TMPDIR chooses another place",
    )
}

/// Copies the pieces of one blob as it goes by.
struct Copy<'a> {
    file: &'a File,
    pieces: &'a [Piece],
    /// The piece that is being copied or comes next.
    next: usize,
    /// Bytes of the blob that went by.
    seen: u64,
    /// Where the next part goes.
    at: u64,
    folder: &'a Path,
}

impl Copy<'_> {
    /// Digest and length of what came; `None` where it does not open.
    fn run(&mut self, content: &mut dyn Read, blob: &BaseBlob) -> Result<Option<(Digest, u64)>> {
        let mut hasher = Hasher::new(match blob.plain {
            Some(plain) => plain.digest.algorithm(),
            None => Algorithm::Sha256,
        });
        let mut buffer = vec![0; 256 << 10];
        loop {
            let n = match content.read(&mut buffer) {
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if is_spoiled(&e) => return Ok(None),
                Err(e) => {
                    return Err(Error::from_io(format!("cannot read back {}", blob.digest), e));
                }
            };
            if n == 0 {
                return Ok(Some((hasher.finish(), self.seen)));
            }
            hasher.update(&buffer[..n]);
            self.take(&buffer[..n])?;
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.seen + bytes.len() as u64;
        while let Some(piece) = self.pieces.get(self.next) {
            let (from, to) = (piece.offset.max(self.seen), piece.offset + u64::from(piece.length));
            if from >= end {
                break;
            }
            let part = &bytes[(from - self.seen) as usize..(to.min(end) - self.seen) as usize];
            self.file.write_all_at(part, self.at).map_err(|e| full(self.folder, e))?;
            self.at += part.len() as u64;
            if to > end {
                break;
            }
            self.next += 1;
        }
        self.seen = end;
        Ok(())
    }
}

impl Held for Store {
    fn piece(&self, blob: &BaseBlob, piece: Piece) -> Result<Option<Vec<u8>>> {
        let Some(&(at, length)) = self.pieces.get(&(blob.digest, piece.offset)) else {
            return Ok(None);
        };
        if length != piece.length {
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        self.file
            .read_exact_at(&mut bytes, at)
            .map_err(|e| Error::io("cannot read a temporary file back", e))?;
        Ok(Some(bytes))
    }

    fn whole(&self, _: &BaseBlob, _: Form) -> Result<Option<Box<dyn Read + Send + '_>>> {
        Ok(None)
    }

    fn has(&self, blob: &BaseBlob, piece: Option<Piece>) -> bool {
        let place = piece.and_then(|piece| {
            self.pieces.get(&(blob.digest, piece.offset)).filter(|place| place.1 == piece.length)
        });
        place.is_some()
    }
}
