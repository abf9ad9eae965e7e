//! Filling packs: which chunk goes into which pack, which chunks are known already, and what each
//! pack is compressed against.
//!
//! Chunks of like content share a pack. Where a file of the same name went by before, in this
//! bundle or in the base of a delta, its new content goes into a pack that has the old content as
//! its prefix, so that only what changed takes room. A pack with a prefix is never part of another
//! prefix: to open a pack, no more than the packs of its prefix are needed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::base::Base;
use super::class::Class;
use super::index::{Borrowed, CHUNK_ID_BYTES, ChunkId, Piece};
use super::manifest::PackEntry;
use super::names::{FileKey, FileName};
use super::preset::Preset;
use super::press::Press;
use super::recipe::{Body, Encoding, Recipe, Run, push_chunk};
use crate::model::{Error, Result};

/// Set in the number of a chunk that is a piece of the base, until everything is packed.
const BORROWED: u32 = 1 << 31;

/// Old content is taken as prefix for what lies within this distance in the file.
const NEAR: u64 = 2 << 20;

/// Old content that one chunk brings into a prefix, at most: the newest version that lies near.
/// Several chunks find room in every preset's prefix.
const OLD: usize = 2 * NEAR as usize;

/// A chunk in a pack that is being filled.
struct Part {
    number: u32,
    start: usize,
    length: usize,
    file: usize,
}

/// A pack that is being filled.
#[derive(Default)]
struct Open {
    content: Vec<u8>,
    parts: Vec<Part>,
    files: Vec<FileName>,
    prefix: Vec<u32>,
    in_prefix: HashSet<u32>,
    prefix_bytes: usize,
}

/// A pack that was handed over.
struct Full {
    chunks: Vec<u32>,
    prefix: Vec<u32>,
}

/// All packs, open and done.
///
/// A chunk is known by the order of its first appearance until everything is packed;
/// [`Packs::finish`] turns that into its place in the chunk table.
pub(super) struct Packs {
    press: Press,
    preset: Preset,
    /// Content of a full pack, in bytes.
    pack_content: usize,
    base: Option<Arc<Base>>,
    /// Those without a prefix, then those with one, each by class.
    open: [Open; 2 * Class::ALL.len()],
    known: HashMap<[u8; 32], u32>,
    chunks: Vec<(ChunkId, u32)>,
    /// Where each chunk lies, once its pack was handed over: pack and offset.
    places: Vec<Option<(u32, u32)>>,
    /// Chunks of the files that went by, with their offset in the file, in packs without a prefix.
    seen: HashMap<FileKey, Vec<(u64, u32)>>,
    pieces: Vec<Piece>,
    piece_numbers: HashMap<Piece, u32>,
    full: Vec<Full>,
}

impl Packs {
    pub(super) fn new(
        press: Press,
        preset: Preset,
        pack_content: usize,
        base: Option<Arc<Base>>,
    ) -> Self {
        Self {
            press,
            preset,
            pack_content,
            base,
            open: Default::default(),
            known: HashMap::new(),
            chunks: Vec::new(),
            places: Vec::new(),
            seen: HashMap::new(),
            pieces: Vec::new(),
            piece_numbers: HashMap::new(),
            full: Vec::new(),
        }
    }

    pub(super) fn base(&self) -> Option<&Base> {
        self.base.as_deref()
    }

    /// Puts a chunk that lies at `offset` in a file, unless it is there, and returns its number.
    pub(super) fn put(
        &mut self,
        class: Class,
        file: &FileName,
        offset: u64,
        chunk: &[u8],
    ) -> Result<u32> {
        let hash: [u8; 32] = Sha256::digest(chunk).into();
        if let Some(&number) = self.known.get(&hash) {
            return Ok(number);
        }
        let mut id = [0; CHUNK_ID_BYTES];
        id.copy_from_slice(&hash[..CHUNK_ID_BYTES]);
        if let Some(piece) = self.base.as_ref().and_then(|base| base.piece(&id, chunk.len())) {
            return self.borrow_piece(piece);
        }
        let number = u32::try_from(self.chunks.len())
            .ok()
            .filter(|&number| number < BORROWED)
            .ok_or_else(too_many)?;
        let slot = self.slot(class, file, offset, chunk.len())?;
        let open = &mut self.open[slot];
        if open.content.capacity() == 0 {
            open.content.reserve_exact(self.pack_content);
        }
        let at = match open.files.last() {
            Some(last) if last.is(file) => open.files.len() - 1,
            _ => {
                open.files.push(file.clone());
                open.files.len() - 1
            }
        };
        let start = open.content.len();
        open.parts.push(Part { number, start, length: chunk.len(), file: at });
        open.content.extend_from_slice(chunk);
        if slot < Class::ALL.len() && class.has_versions() {
            for key in file.keys() {
                self.seen.entry(key).or_default().push((offset, number));
            }
        }
        self.chunks.push((id, chunk.len() as u32));
        self.places.push(None);
        self.known.insert(hash, number);
        Ok(number)
    }

    /// The number of a piece of the base.
    fn borrow_piece(&mut self, piece: Piece) -> Result<u32> {
        if let Some(&number) = self.piece_numbers.get(&piece) {
            return Ok(number);
        }
        let number = u32::try_from(self.pieces.len())
            .ok()
            .filter(|&number| number < BORROWED)
            .ok_or_else(too_many)?
            | BORROWED;
        self.pieces.push(piece);
        self.piece_numbers.insert(piece, number);
        Ok(number)
    }

    /// Chooses the open pack for a chunk, makes room in it, and adds old content to its prefix.
    fn slot(&mut self, class: Class, file: &FileName, offset: u64, length: usize) -> Result<usize> {
        let plain = class as usize;
        let old = if class.has_versions() && self.preset.uses_prefixes() {
            self.old(file, offset)?
        } else {
            Vec::new()
        };
        let slot = if old.is_empty() { plain } else { plain + Class::ALL.len() };
        if self.open[slot].content.len() + length > self.pack_content {
            self.seal(slot)?;
        }
        let lengths: Vec<usize> = old.iter().map(|&number| self.length(number)).collect();
        let open = &self.open[slot];
        let fresh = |number: &u32| !open.in_prefix.contains(number);
        let more: usize =
            old.iter().zip(&lengths).filter(|(number, _)| fresh(number)).map(|(_, n)| n).sum();
        if open.prefix_bytes + more > self.preset.prefix_content() {
            self.seal(slot)?;
        }
        let limit = self.preset.prefix_content();
        let open = &mut self.open[slot];
        for (number, length) in old.into_iter().zip(lengths) {
            if open.prefix_bytes + length <= limit && open.in_prefix.insert(number) {
                open.prefix.push(number);
                open.prefix_bytes += length;
            }
        }
        Ok(slot)
    }

    /// What lay around this place in a file of the same name that went by, in the base or in packs
    /// of this bundle that were handed over; else in files whose names differ in numbers alone.
    fn old(&mut self, file: &FileName, offset: u64) -> Result<Vec<u32>> {
        let near = |at: u64| at.abs_diff(offset) <= NEAR;
        for key in file.keys() {
            let mut room = OLD;
            let mut fits = |length: u32| {
                let left = room.checked_sub(length as usize);
                room = left.unwrap_or(0);
                left.is_some()
            };
            if let Some(base) = &self.base {
                let pieces = base.of_file(key).filter(|(at, _)| near(*at)).map(|(_, piece)| piece);
                let pieces: Vec<Piece> = pieces.take_while(|piece| fits(piece.length)).collect();
                if !pieces.is_empty() {
                    let numbers = pieces.into_iter().rev().map(|piece| self.borrow_piece(piece));
                    return numbers.collect();
                }
            }
            let seen = self.seen.get(&key).into_iter().flatten().rev();
            let packed =
                seen.filter(|&&(at, number)| near(at) && self.places[number as usize].is_some());
            let packed = packed.map(|&(_, number)| number);
            let mut packed: Vec<u32> =
                packed.take_while(|&number| fits(self.chunks[number as usize].1)).collect();
            if !packed.is_empty() {
                packed.reverse();
                return Ok(packed);
            }
        }
        Ok(Vec::new())
    }

    fn length(&self, number: u32) -> usize {
        if number & BORROWED == 0 {
            self.chunks[number as usize].1 as usize
        } else {
            self.pieces[(number & !BORROWED) as usize].length as usize
        }
    }

    /// Hands a pack over: files of like names beside each other.
    fn seal(&mut self, slot: usize) -> Result<()> {
        let mut open = std::mem::take(&mut self.open[slot]);
        if open.parts.is_empty() {
            return Ok(());
        }
        let class = Class::ALL[slot % Class::ALL.len()];
        open.parts.sort_by(|a, b| {
            open.files[a.file]
                .order()
                .cmp(&open.files[b.file].order())
                .then(a.number.cmp(&b.number))
        });
        let mut content = Vec::with_capacity(open.content.len());
        let pack = self.full.len() as u32;
        for part in &open.parts {
            self.places[part.number as usize] = Some((pack, content.len() as u32));
            content.extend_from_slice(&open.content[part.start..part.start + part.length]);
        }
        drop(open.content);
        let mut prefix = Vec::with_capacity(open.prefix_bytes);
        for &number in &open.prefix {
            self.append(number, &mut prefix)?;
        }
        let number = self.press.push(content, prefix, self.preset.effort(class))?;
        debug_assert_eq!(number, self.full.len());
        let chunks = open.parts.iter().map(|part| part.number).collect();
        self.full.push(Full { chunks, prefix: open.prefix });
        Ok(())
    }

    /// Appends the content of a chunk that was packed, or of a piece of the base.
    fn append(&self, number: u32, out: &mut Vec<u8>) -> Result<()> {
        if number & BORROWED != 0 {
            let piece = self.pieces[(number & !BORROWED) as usize];
            return match &self.base {
                Some(base) => base.read(piece, out),
                None => Ok(()),
            };
        }
        let Some((pack, offset)) = self.places[number as usize] else { return Ok(()) };
        let content = self.press.content(pack)?;
        let offset = offset as usize;
        out.extend_from_slice(&content[offset..offset + self.length(number)]);
        Ok(())
    }

    /// Seals what is open. Gives back the press, and the chunk table with the place of each chunk
    /// in it. `kept` are the blobs of the base that are needed whole.
    pub(super) fn finish(mut self, kept: &[u32]) -> Result<(Press, Table)> {
        for slot in 0..self.open.len() {
            self.seal(slot)?;
        }
        let full = self.full.iter().map(|pack| (pack.chunks.clone(), &pack.prefix[..]));
        let table = self.table(full, kept);
        Ok((self.press, table))
    }

    /// What there is by now: the packs that were written, the content of those that are open, and
    /// a chunk table of both, the open ones last. Waits until all that are full were written.
    pub(super) fn snapshot(&self) -> Result<Snapshot<'_>> {
        let written = self.press.written(self.full.len())?;
        let open: Vec<&Open> = self.open.iter().filter(|open| !open.parts.is_empty()).collect();
        let numbers = |open: &&Open| open.parts.iter().map(|part| part.number).collect();
        let full = self.full.iter().map(|pack| (pack.chunks.clone(), &pack.prefix[..]));
        let all = full.chain(open.iter().map(|open| (numbers(open), &[][..])));
        let table = self.table(all, &[]);
        let open = open.into_iter().map(|open| &open.content[..]).collect();
        Ok(Snapshot { written, open, table })
    }

    /// The table of these packs: of each, its chunks and those of its prefix.
    fn table<'a>(&self, all: impl Iterator<Item = (Vec<u32>, &'a [u32])>, kept: &[u32]) -> Table {
        let mut place = vec![0; self.chunks.len()];
        let mut next = 0u32;
        let (mut packs, mut prefixes) = (Vec::new(), Vec::new());
        for (chunks, prefix) in all {
            for &chunk in &chunks {
                place[chunk as usize] = next;
                next += 1;
            }
            packs.push(chunks.iter().map(|&chunk| self.chunks[chunk as usize]).collect());
            prefixes.push(prefix);
        }
        let mut order: Vec<usize> = (0..self.pieces.len()).collect();
        order.sort_by_key(|&at| (self.pieces[at].blob, self.pieces[at].offset));
        let mut borrowed_place = vec![0; self.pieces.len()];
        for (&at, number) in order.iter().zip(next..) {
            borrowed_place[at] = number;
        }
        let used: BTreeSet<u32> =
            self.pieces.iter().map(|piece| piece.blob).chain(kept.iter().copied()).collect();
        let base_blobs: HashMap<u32, u32> = used.iter().copied().zip(0..).collect();
        let pieces = order.iter().map(|&at| {
            let piece = self.pieces[at];
            Piece { blob: base_blobs[&piece.blob], ..piece }
        });
        let base = self.base.as_deref();
        let borrowed = Borrowed {
            blobs: base.iter().flat_map(|base| used.iter().map(|&n| base.blob(n))).collect(),
            pieces: pieces.collect(),
        };
        let mut table =
            Table { packs, prefixes: Vec::new(), borrowed, place, borrowed_place, base_blobs };
        let prefixes = prefixes.into_iter().map(|prefix| {
            let mut runs = Vec::new();
            for &number in prefix {
                push_chunk(&mut runs, table.place(number));
            }
            runs
        });
        table.prefixes = prefixes.collect();
        table
    }
}

/// What there is of a bundle that is not finished.
pub(super) struct Snapshot<'a> {
    /// The packs in the file.
    pub(super) written: Vec<PackEntry>,
    /// The content of the packs that are open.
    pub(super) open: Vec<&'a [u8]>,
    /// The table of both.
    pub(super) table: Table,
}

fn too_many() -> Error {
    Error::malformed("more chunks than one bundle can hold")
        .hint("export fewer images into one bundle")
}

/// The chunk table.
pub(super) struct Table {
    /// Id and length of the chunks of each pack.
    pub(super) packs: Vec<Vec<(ChunkId, u32)>>,
    /// What each pack has as prefix.
    pub(super) prefixes: Vec<Vec<Run>>,
    /// What is taken from the base.
    pub(super) borrowed: Borrowed,
    place: Vec<u32>,
    borrowed_place: Vec<u32>,
    base_blobs: HashMap<u32, u32>,
}

impl Table {
    fn place(&self, number: u32) -> u32 {
        if number & BORROWED == 0 {
            self.place[number as usize]
        } else {
            self.borrowed_place[(number & !BORROWED) as usize]
        }
    }

    /// Turns the runs of a recipe, of chunks by first appearance, into runs by place.
    pub(super) fn settle(&self, recipe: &mut Recipe) {
        let settle = |runs: &mut Vec<Run>| *runs = self.settled(runs);
        match &mut recipe.body {
            Body::Inline(_) => {}
            Body::Base(number) => *number = self.base_blobs[number],
            Body::Chunks(runs) => settle(runs),
            Body::Tar { meta, content, .. } => [meta, content].into_iter().for_each(settle),
        }
        if let Encoding::Gzip { corrections, .. } = &mut recipe.encoding {
            settle(corrections);
        }
    }

    fn settled(&self, runs: &[Run]) -> Vec<Run> {
        let mut settled = Vec::new();
        for run in runs {
            for chunk in run.first..run.first + run.count {
                push_chunk(&mut settled, self.place(chunk));
            }
        }
        settled
    }
}
