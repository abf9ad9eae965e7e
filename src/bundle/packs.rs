//! Filling packs: which chunk goes into which pack, and which chunks are known already.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::index::{CHUNK_ID_BYTES, ChunkId};
use super::preset::Preset;
use super::press::Press;
use super::recipe::Run;
use crate::model::{Error, Result};

/// Content of a full pack. Larger ones compress a little better, cost every reader memory, and are
/// opened again and again where a layer takes its content from all over the bundle.
const PACK_CONTENT: usize = 4 << 20;

/// What kind of content a chunk is: like goes with like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Headers of tars: they compress fifty times.
    Meta,
    /// Content of files.
    Data,
    /// What is compressed or random already: zstd only wraps it.
    Opaque,
}

const CLASSES: [Class; 3] = [Class::Meta, Class::Data, Class::Opaque];

/// A pack that is being filled.
#[derive(Default)]
struct Open {
    content: Vec<u8>,
    chunks: Vec<u32>,
}

/// All packs, open and done.
///
/// A chunk is known by the order of its first appearance until everything is packed;
/// [`Packs::finish`] turns that into its place in the chunk table.
pub(super) struct Packs {
    press: Press,
    preset: Preset,
    open: [Open; CLASSES.len()],
    known: HashMap<[u8; 32], u32>,
    chunks: Vec<(ChunkId, u32)>,
    /// The chunks of each full pack, in order.
    full: Vec<Vec<u32>>,
}

impl Packs {
    pub(super) fn new(press: Press, preset: Preset) -> Self {
        Self {
            press,
            preset,
            open: Default::default(),
            known: HashMap::new(),
            chunks: Vec::new(),
            full: Vec::new(),
        }
    }

    /// Puts a chunk, unless it is there, and returns its number.
    pub(super) fn put(&mut self, class: Class, chunk: &[u8]) -> Result<u32> {
        let hash: [u8; 32] = Sha256::digest(chunk).into();
        if let Some(&number) = self.known.get(&hash) {
            return Ok(number);
        }
        let number = u32::try_from(self.chunks.len()).map_err(|_| {
            Error::malformed("more chunks than one bundle can hold")
                .hint("export fewer images into one bundle")
        })?;
        if self.open[class as usize].content.len() + chunk.len() > PACK_CONTENT {
            self.seal(class)?;
        }
        let open = &mut self.open[class as usize];
        if open.content.capacity() == 0 {
            open.content.reserve_exact(PACK_CONTENT);
        }
        open.content.extend_from_slice(chunk);
        open.chunks.push(number);
        let mut id = [0; CHUNK_ID_BYTES];
        id.copy_from_slice(&hash[..CHUNK_ID_BYTES]);
        self.chunks.push((id, chunk.len() as u32));
        self.known.insert(hash, number);
        Ok(number)
    }

    fn seal(&mut self, class: Class) -> Result<()> {
        let open = std::mem::take(&mut self.open[class as usize]);
        if !open.chunks.is_empty() {
            let number = self.press.push(open.content, self.preset.effort(class))?;
            debug_assert_eq!(number, self.full.len());
            self.full.push(open.chunks);
        }
        Ok(())
    }

    /// Seals what is open. Gives back the press, and the chunk table with the place of each chunk
    /// in it.
    pub(super) fn finish(mut self) -> Result<(Press, Table)> {
        for class in CLASSES {
            self.seal(class)?;
        }
        let mut place = vec![0; self.chunks.len()];
        let mut next = 0u32;
        let mut packs = Vec::with_capacity(self.full.len());
        for pack in &self.full {
            for &chunk in pack {
                place[chunk as usize] = next;
                next += 1;
            }
            packs.push(pack.iter().map(|&chunk| self.chunks[chunk as usize]).collect());
        }
        Ok((self.press, Table { packs, place }))
    }
}

/// The chunk table.
pub(super) struct Table {
    /// Id and length of the chunks of each pack.
    pub(super) packs: Vec<Vec<(ChunkId, u32)>>,
    place: Vec<u32>,
}

impl Table {
    /// Turns runs of chunks by first appearance into runs by place.
    pub(super) fn settle(&self, runs: &[Run]) -> Vec<Run> {
        let mut settled = Vec::new();
        for run in runs {
            for chunk in run.first..run.first + run.count {
                super::recipe::push_chunk(&mut settled, self.place[chunk as usize]);
            }
        }
        settled
    }
}
