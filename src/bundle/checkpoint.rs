//! Checkpoints: notes of what there is of a bundle while it is written, so that an export that was
//! interrupted can go on from it.
//!
//! A checkpoint is one file beside the unfinished bundle, replaced as a whole:
//!
//! ```text
//! frames    the content of the packs that are still open, each as a frame
//! head      where the packs of the unfinished bundle lie, how long the frames are, the index
//! end       a line, the length of the head, its SHA-256
//! ```
//!
//! It is nobody's format but that of the version that wrote it and of those that still know it, and
//! what is read from it is proved like what a registry sends.

use super::index::Index;
use super::manifest::stored_limit;
use super::volume::Volume;
use crate::codec::number::{Cursor, Odd};
use crate::model::{Algorithm, Digest, Error, Result, limits};

/// The name of the file.
pub(super) const CHECKPOINT: &str = "checkpoint";

/// What the end begins with.
pub(super) const LINE: &[u8] = b"sealift checkpoint 2\n";

/// The line, a length, a digest.
const END_BYTES: usize = LINE.len() + 8 + 32;

/// A frame, and which file it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The volume of the unfinished bundle that it is in, else it is in the checkpoint.
    pub(super) volume: Option<u64>,
    /// Where its bytes begin there.
    pub(super) offset: u64,
    /// Length of its bytes.
    pub(super) size: u64,
    /// Their digest.
    pub(super) digest: Digest,
    /// What it opens to.
    pub(super) content: u64,
}

/// Reads a checkpoint: its frames and its tables.
///
/// # Errors
/// Where it is torn, damaged or of another version.
pub(super) fn read(file: &Volume) -> Result<(Vec<Frame>, Index)> {
    let odd = || Error::damaged(format!("{} is no checkpoint", file.path().display()));
    let end_at = file.length().checked_sub(END_BYTES as u64).ok_or_else(odd)?;
    let end = file.read(end_at, END_BYTES as u64)?;
    let rest = end.strip_prefix(LINE).ok_or_else(odd)?;
    let (length, digest) = rest.split_first_chunk::<8>().ok_or_else(odd)?;
    let length = u64::from_le_bytes(*length);
    if length > limits::INDEX_BYTES {
        return Err(odd());
    }
    let head_at = end_at.checked_sub(length).ok_or_else(odd)?;
    let head = file.read(head_at, length)?;
    if Digest::of(&head).bytes() != digest {
        return Err(odd());
    }
    let mut cursor = Cursor::new(&head);
    let mut frames = Vec::new();
    for _ in 0..cursor.count(36)? {
        let volume = cursor.number()?;
        if volume == 0 || volume > limits::VOLUMES as u64 {
            return Err(odd());
        }
        let offset = cursor.number()?;
        let offset = offset.checked_add(super::volume::BLOCK).ok_or_else(odd)?;
        frames.push(read_frame(&mut cursor, Some(volume), offset)?);
    }
    let mut offset = 0;
    for _ in 0..cursor.count(34)? {
        let frame = read_frame(&mut cursor, None, offset)?;
        offset += frame.size;
        frames.push(frame);
    }
    let contents: Vec<u64> = frames.iter().map(|frame| frame.content).collect();
    let index = Index::parse(cursor.rest(), &contents)?;
    Ok((frames, index))
}

fn read_frame(cursor: &mut Cursor<'_>, volume: Option<u64>, offset: u64) -> Result<Frame, Odd> {
    let (size, content) = (cursor.number()?, cursor.number()?);
    if content == 0 || content > limits::PACK_CONTENT_BYTES || size > stored_limit(content) {
        return Err(Odd("a pack is longer than it may be"));
    }
    let digest = Digest::from_bytes(Algorithm::Sha256, cursor.take(32)?);
    let digest = digest.ok_or(Odd("a digest has another length"))?;
    Ok(Frame { volume, offset, size, digest, content })
}
