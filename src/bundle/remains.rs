//! What is there of a bundle that was never finished: blobs that need not be fetched again.
//!
//! Nothing of it is signed and nothing is believed: the tables have a digest, each pack is hashed
//! before a blob of it counts as there, and the blob itself is hashed by whoever reads it, like one
//! that comes from a registry.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::base::Base;
use super::blob::{self, Store};
use super::cache::PackCache;
use super::checkpoint::{self, CHECKPOINT, Frame};
use super::index::{BlobEntry, Index, Piece};
use super::volume::Volume;
use crate::codec::deflate::Pool;
use crate::codec::frame;
use crate::endpoint::Form;
use crate::model::{Descriptor, Digest, Error, Result};

/// The name of the first volume of an unfinished bundle.
pub(super) const BUNDLE: &str = "bundle";

/// The name of any volume of it.
pub(super) fn volume_name(number: u64) -> String {
    if number == 1 { BUNDLE.to_owned() } else { format!("{BUNDLE}-{number}") }
}

/// More threads than this are not given to the rebuilding of layers: each holds a segment.
const MOST_THREADS: usize = 16;

/// Opened packs that are kept, in bytes. Blobs come in the order in which they were written, so that
/// few packs are needed at a time.
const CACHE_BYTES: usize = 48 << 20;

/// An unfinished bundle as far as it came.
pub struct Remains {
    folder: PathBuf,
    /// Its volumes, by number; those that are there.
    volumes: HashMap<u64, Volume>,
    checkpoint: Volume,
    frames: Vec<Frame>,
    index: Index,
    base: Option<Arc<Base>>,
    cache: PackCache,
    pool: OnceLock<Arc<Pool>>,
    /// Packs that were hashed, and whether they are what they should be.
    sound: Mutex<HashMap<u32, bool>>,
}

impl Remains {
    /// Opens what lies in the folder of an export. `base` is the base of the export that will use
    /// it; content that was taken from another base is not there.
    pub(super) fn open(folder: &Path, base: Option<Arc<Base>>) -> Result<Self> {
        let checkpoint = Volume::open(&folder.join(CHECKPOINT))?;
        let (frames, index) = checkpoint::read(&checkpoint)?;
        let numbers: BTreeSet<u64> = frames.iter().filter_map(|frame| frame.volume).collect();
        let open = |number| Some((number, Volume::open(&folder.join(volume_name(number))).ok()?));
        Ok(Self {
            folder: folder.to_owned(),
            volumes: numbers.into_iter().filter_map(open).collect(),
            checkpoint,
            frames,
            index,
            base,
            cache: PackCache::new(CACHE_BYTES),
            pool: OnceLock::new(),
            sound: Mutex::default(),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.index.blobs().iter().map(|blob| &blob.digest)
    }

    pub(super) fn lists(&self, digest: &Digest) -> bool {
        self.index.blob(digest).is_some()
    }

    /// Whether the blob can be rebuilt. The packs that it takes are hashed for that, each once.
    pub fn has(&self, blob: &Descriptor) -> bool {
        let Some(entry) = self.index.blob(&blob.digest) else { return false };
        entry.size == blob.size && self.reaches(entry)
    }

    fn reaches(&self, entry: &BlobEntry) -> bool {
        let (mut packs, mut pieces) = (BTreeSet::new(), BTreeSet::new());
        for runs in entry.recipe.runs() {
            packs.extend(self.index.chunks_of(runs).map(|(_, pack, _)| pack));
            pieces.extend(self.index.pieces_of(runs));
        }
        let mut under = BTreeSet::new();
        for &pack in &packs {
            let prefix = self.index.prefix(pack);
            under.extend(self.index.chunks_of(prefix).map(|(_, pack, _)| pack));
            pieces.extend(self.index.pieces_of(prefix));
        }
        packs.extend(under);
        let borrowed = self.index.borrowed();
        let has_piece = |number: u32| {
            let piece = borrowed.pieces[number as usize];
            let blob = &borrowed.blobs[piece.blob as usize];
            self.base.as_ref().is_some_and(|base| base.has(blob, piece))
        };
        pieces.into_iter().all(has_piece) && packs.into_iter().all(|pack| self.is_sound(pack))
    }

    fn is_sound(&self, pack: u32) -> bool {
        let known = || self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&sound) = known().get(&pack) {
            return sound;
        }
        let sound = self.stored(pack).is_ok();
        known().insert(pack, sound);
        sound
    }

    /// The bytes of a pack, hashed.
    fn stored(&self, pack: u32) -> Result<Vec<u8>> {
        let frame = &self.frames[pack as usize];
        let file = match frame.volume {
            None => &self.checkpoint,
            Some(number) => self.volumes.get(&number).ok_or_else(|| {
                Error::damaged(format!("a volume is missing in {}", self.folder.display()))
            })?,
        };
        let stored = file.read(frame.offset, frame.size)?;
        if Digest::of(&stored) != frame.digest {
            return Err(Error::damaged(format!("{} is not what it was", file.path().display())));
        }
        Ok(stored)
    }

    /// Opens a blob that is there. Nobody has compared its digest yet.
    ///
    /// # Errors
    /// Where it cannot be rebuilt.
    pub fn open_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send + '_>> {
        let entry = self.index.blob(&blob.digest).ok_or_else(|| {
            Error::damaged(format!("{} does not hold {}", self.folder.display(), blob.digest))
        })?;
        blob::rebuild(self, entry)
    }
}

impl Store for Remains {
    fn tables(&self) -> &Index {
        &self.index
    }

    fn opened(&self, pack: u32) -> Result<Arc<Vec<u8>>> {
        self.cache.get(pack, || {
            let what = || format!("pack {} of {}", pack + 1, self.folder.display());
            let prefix = blob::prefix(self, pack)
                .map_err(|e| Error::from_io(format!("cannot open {}", what()), e))?;
            let stored = self.stored(pack)?;
            frame::decode(&stored, self.frames[pack as usize].content, &prefix, &what())
        })
    }

    fn of_base_piece(&self, piece: Piece) -> Result<Vec<u8>> {
        let blob = &self.index.borrowed().blobs[piece.blob as usize];
        match &self.base {
            Some(base) => base.content(blob, piece),
            None => Err(Error::usage("the base is not at hand")),
        }
    }

    fn of_base(&self, _: u32, _: Form) -> Result<Box<dyn Read + Send + '_>> {
        Err(Error::usage("what the base holds whole is not kept"))
    }

    fn pool(&self) -> &Arc<Pool> {
        self.pool.get_or_init(|| {
            let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            Arc::new(Pool::new(threads.min(MOST_THREADS)))
        })
    }
}
