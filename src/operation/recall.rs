//! What a delta needs of its base, read back from the place that it goes to.
//!
//! Only what is missing elsewhere is read, each blob once; its bytes are hashed, and nothing of a
//! blob that is not what its digest says is used. What was read lies in a temporary file without a
//! name until the import is over.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::bundle::{BaseBlob, Held, Needs, Piece};
use crate::codec::checked::Hasher;
use crate::endpoint::{Action, BlobStep, Event, Form, Plan, Progress, Recalled, Target};
use crate::model::{Algorithm, Digest, Error, Kind, Result};

/// Blobs and pieces of them that were read back.
pub(super) struct Store {
    file: File,
    /// Where each piece lies in the file, by its blob and its offset there.
    pieces: HashMap<(Digest, u64), (u64, u32)>,
    /// Where the plain form of each blob lies that is there whole, and its length.
    whole: HashMap<Digest, (u64, u64)>,
}

/// A blob, and what is wanted of it.
struct Wish<'a> {
    blob: &'a BaseBlob,
    pieces: &'a [Piece],
    whole: bool,
}

/// What a place can help with. It gives plain forms: a compressed layer that has to be sent as it
/// is cannot be had back.
fn wishes<'a>(plan: &Plan, needs: &'a Needs) -> Vec<Wish<'a>> {
    let partly = needs.pieces.iter();
    let mut wishes: Vec<Wish<'_>> =
        partly.map(|(blob, pieces)| Wish { blob, pieces, whole: false }).collect();
    for blob in &needs.whole {
        let packed = |step: &BlobStep| {
            step.descriptor.digest == blob.digest
                && step.action == Action::Send
                && step.form == Form::Exact
        };
        if blob.plain.is_some() && plan.blobs.iter().any(packed) {
            continue;
        }
        match wishes.iter_mut().find(|wish| wish.blob.digest == blob.digest) {
            Some(wish) => wish.whole = true,
            None => wishes.push(Wish { blob, pieces: &[], whole: true }),
        }
    }
    wishes
}

/// Reads back from `target` what it has of `needs`.
pub(super) fn recall(
    target: &dyn Target,
    plan: &Plan,
    needs: &Needs,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Store> {
    let file = tempfile::tempfile_in(folder).map_err(|e| full(folder, e))?;
    let mut store = Store { file, pieces: HashMap::new(), whole: HashMap::new() };
    let wishes = wishes(plan, needs);
    if wishes.is_empty() {
        return Ok(store);
    }
    progress.event(Event::Phase { title: "reading back what is there of the base", total: None });
    let wanted = wishes.iter().map(|Wish { blob, .. }| Recalled {
        digest: blob.digest,
        size: blob.size,
        plain: blob.plain,
    });
    let wanted: Vec<Recalled> = wanted.collect();
    let mut at = 0u64;
    target.recall(plan, &wanted, folder, &mut |number, content| {
        let wish = &wishes[number];
        let &Wish { blob, pieces, whole } = wish;
        let mut copy = Copy { file: &store.file, wish, next: 0, seen: 0, at, folder };
        let found = copy.run(content)?;
        let (digest, size) = blob.plain.map_or((blob.digest, blob.size), |p| (p.digest, p.size));
        if found != Some((digest, size)) || copy.next < pieces.len() {
            // Another blob, or a damaged one: the same as none, and the next one takes its place.
            return Ok(());
        }
        let begun = std::mem::replace(&mut at, copy.at);
        if whole {
            store.whole.insert(blob.digest, (begun, size));
        }
        let mut lies = begun;
        for piece in pieces {
            let place = if whole { begun + piece.offset } else { lies };
            store.pieces.insert((blob.digest, piece.offset), (place, piece.length));
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

/// Copies what is wanted of one blob as it goes by.
struct Copy<'a> {
    file: &'a File,
    wish: &'a Wish<'a>,
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
    fn run(&mut self, content: &mut dyn Read) -> Result<Option<(Digest, u64)>> {
        let blob = self.wish.blob;
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
        if self.wish.whole {
            self.keep(bytes)?;
        }
        while let Some(piece) = self.wish.pieces.get(self.next) {
            let (from, to) = (piece.offset.max(self.seen), piece.offset + u64::from(piece.length));
            if from >= end {
                break;
            }
            let part = &bytes[(from - self.seen) as usize..(to.min(end) - self.seen) as usize];
            if !self.wish.whole {
                self.keep(part)?;
            }
            if to > end {
                break;
            }
            self.next += 1;
        }
        self.seen = end;
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, self.at).map_err(|e| full(self.folder, e))?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// A part of a file.
struct Part<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let n = self.file.read_at(&mut buffer[..room], self.at)?;
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
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

    fn whole(&self, blob: &BaseBlob, form: Form) -> Result<Option<Box<dyn Read + Send + '_>>> {
        let place = self.whole.get(&blob.digest);
        Ok(match place.filter(|_| form == Form::Plain || blob.plain.is_none()) {
            Some(&(at, left)) => Some(Box::new(Part { file: &self.file, at, left })),
            None => None,
        })
    }

    fn has(&self, blob: &BaseBlob, piece: Option<Piece>) -> bool {
        match piece {
            Some(piece) => {
                let place = self.pieces.get(&(blob.digest, piece.offset));
                place.is_some_and(|&(_, length)| length == piece.length)
            }
            None => self.whole.contains_key(&blob.digest),
        }
    }
}
