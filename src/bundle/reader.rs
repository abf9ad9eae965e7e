//! Opens a bundle: find the signed tail, prove it, then read it.
//!
//! The order is the point: the bytes of the manifest are found without believing anything, the
//! signatures over them are checked, and only then are the same bytes parsed, and only what they
//! name is hashed, then decompressed, then parsed.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::cache::PackCache;
use super::handles::Handles;
use super::held::{Held, Places};
use super::index::Index;
use super::manifest::{Manifest, PackEntry};
use super::search::Search;
use super::selection::{Found, Selection, select, tail_in};
use super::set::{AtHand, VolumeSet, read_hashed};
use super::tail::Tail;
use super::volume::{Volume, member_bytes};
use crate::codec::deflate::Pool;
use crate::codec::encryption::Identities;
use crate::codec::frame;
use crate::model::{Digest, Error, Result, limits};
use crate::trust::{Signer, Trust};

/// Where unpacked packs may be held, in bytes, by all readers of a bundle together.
const CACHE_BYTES: usize = 96 << 20;

/// More threads than this are not given to the rebuilding of layers: each holds a segment.
const MOST_THREADS: usize = 16;

/// Unpacked index that is read of a bundle which nobody has vouched for.
const UNPROVED_INDEX_BYTES: u64 = 64 << 20;

/// Bytes from a stick: nothing is known about who made them.
#[derive(Debug)]
pub struct Unverified {
    /// Other tails that claim to be of the same set.
    others: Vec<Found>,
    /// The file with the tail.
    file: Arc<Volume>,
    is_receipt: bool,
}

/// A locally trusted key signed the manifest; the index is what the manifest names.
pub struct Authentic {
    pub(super) contents: Contents,
    pub(super) cache: PackCache,
    /// Makes layers again; started when the first one is.
    pool: OnceLock<Arc<Pool>>,
    /// Where content of the base is, if the bundle is a delta: bundles, then what was read back
    /// from where this one goes.
    pub(super) bases: OnceLock<Vec<Arc<dyn Held>>>,
    pub(super) recalled: OnceLock<Box<dyn Held>>,
    /// Where the content of blobs lies that another bundle takes pieces of.
    pub(super) places: Mutex<HashMap<Digest, Places>>,
    /// Packs of which it is known that all that they are packed against can be had.
    pub(super) opens: Mutex<HashSet<u32>>,
    signers: Vec<Signer>,
}

/// What a bundle says that it holds.
#[derive(Debug)]
pub struct Contents {
    /// The manifest.
    pub manifest: Manifest,
    /// The index.
    pub index: Index,
}

/// A bundle that is open for reading: a set of volumes, or what is at hand of one.
pub struct Bundle<State> {
    pub(super) volumes: VolumeSet,
    pub(super) tail: Tail,
    /// The file that the tail is in.
    path: PathBuf,
    pub(super) state: State,
}

impl<State> std::fmt::Debug for Bundle<State> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl<State> Bundle<State> {
    /// The file that holds manifest and signatures: the last volume, or a receipt.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length of all volumes that are there, in bytes; known once the manifest was read.
    pub fn length(&self) -> u64 {
        self.volumes.length()
    }

    /// Digest of the manifest member: names the bundle.
    pub fn digest(&self) -> Digest {
        self.tail.digest()
    }
}

impl Bundle<Unverified> {
    /// Opens a bundle and finds its manifest and signatures. Nothing of them is believed yet.
    ///
    /// `path` is the file of a volume, or the folder that the volumes are in. The other volumes of a
    /// set are looked for in the folder of the file.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io); [`Kind::Damaged`](crate::model::Kind::Damaged) where
    /// it is a bundle that ends early, or whose last volume is not there;
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) where it is none;
    /// [`Kind::Usage`](crate::model::Kind::Usage) where it is more than one.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_set(&[path.to_owned()], None, &Identities::default())
    }

    /// Opens the bundle whose volumes are among these files, and in these folders. `tail` is a file
    /// that holds its signed tail, where that is not among them: its last volume, or its receipt.
    /// `identities` open what is encrypted.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Kind::Usage`](crate::model::Kind::Usage) where it is encrypted and
    /// nothing that is here opens it.
    pub fn open_set(
        paths: &[PathBuf],
        tail: Option<&Path>,
        identities: &Identities,
    ) -> Result<Self> {
        let (mut search, handles) = (Search::of(paths, identities)?, Handles::with(identities));
        let tails = match tail {
            Some(tail) => {
                let found = tail_in(tail, &handles)?;
                if !found.is_receipt {
                    search.include(&found.file);
                }
                vec![found]
            }
            None => return Self::selected(search, handles),
        };
        Self::with_tails(search, handles, tails)
    }

    /// The bundle that is meant, of all whose volumes were found.
    pub(super) fn selected(mut search: Search, handles: Handles) -> Result<Self> {
        match select(&mut search, &handles)? {
            Selection::Tails(tails) => Self::with_tails(search, handles, tails),
            Selection::Headless(set) => Err(set.error()),
        }
    }

    /// The bundle of one of these tails, which say that they are of one set.
    pub(super) fn with_tails(search: Search, handles: Handles, tails: Vec<Found>) -> Result<Self> {
        let mut tails = tails.into_iter();
        let Some(Found { tail, file, is_receipt }) = tails.next() else {
            return Err(search.nothing_there());
        };
        let path = file.path().to_owned();
        let volumes = VolumeSet::new(search, handles, Some(&*file).filter(|_| !is_receipt));
        let state = Unverified { others: tails.collect(), file, is_receipt };
        Ok(Self { volumes, tail, path, state })
    }

    /// Checks the signatures against the keys that are trusted here, reads manifest and index, and
    /// looks whether these keys may sign this.
    ///
    /// # Errors
    /// [`Kind::Untrusted`](crate::model::Kind::Untrusted) before anything is parsed; then what is
    /// wrong with the manifest or the index; then [`Kind::Untrusted`](crate::model::Kind::Untrusted)
    /// for an image or a stream that is for other keys.
    pub fn authenticate(self, trust: &Trust) -> Result<Bundle<Authentic>> {
        let this = self.preferring(trust);
        let what = this.path.display().to_string();
        let signers = trust.require(&this.tail.manifest, &this.tail.signatures, &what)?;
        let contents = this.contents(limits::INDEX_BYTES)?;
        permit(trust, &signers, &contents.manifest, &what)?;
        Ok(Bundle {
            volumes: this.volumes,
            tail: this.tail,
            path: this.path,
            state: Authentic {
                contents,
                cache: PackCache::new(CACHE_BYTES),
                pool: OnceLock::new(),
                bases: OnceLock::new(),
                recalled: OnceLock::new(),
                places: Mutex::default(),
                opens: Mutex::default(),
                signers,
            },
        })
    }

    /// With that tail in front that as many have signed as it takes, and that lies where it belongs, if
    /// one does: of two copies of a last volume one may have more signatures, or more than was signed.
    fn preferring(mut self, trust: &Trust) -> Self {
        let counts = |tail: &Tail| trust.require(&tail.manifest, &tail.signatures, "").is_ok();
        let fits = |tail: &Tail, is_receipt: bool| {
            let manifest = Manifest::parse(&tail.manifest);
            counts(tail) && manifest.is_ok_and(|manifest| in_place(&manifest, tail, is_receipt))
        };
        let mut others = std::mem::take(&mut self.state.others);
        if others.is_empty() || fits(&self.tail, self.state.is_receipt) {
            return self;
        }
        let better = others.iter().position(|other| fits(&other.tail, other.is_receipt));
        let signed = || others.iter().position(|other| counts(&other.tail));
        let chosen = better.or_else(|| if counts(&self.tail) { None } else { signed() });
        if let Some(Found { tail, file, is_receipt }) = chosen.map(|at| others.swap_remove(at)) {
            file.path().clone_into(&mut self.path);
            self.volumes.change_last(Some(&*file).filter(|_| !is_receipt));
            self.tail = tail;
            self.state = Unverified { others: Vec::new(), file, is_receipt };
        }
        self
    }

    /// Whether the file that the manifest was read from is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.state.file.is_encrypted()
    }

    /// The file that the tail is in, open.
    pub(super) fn tail_file(&self) -> &Volume {
        &self.state.file
    }

    /// What the bundle claims to hold, **without proof**: for looking, never for loading. Limits
    /// are tighter than for a bundle that is trusted.
    pub fn peek(&self) -> Result<Contents> {
        self.contents(UNPROVED_INDEX_BYTES)
    }

    /// The volumes, there or not, as the bundle claims to have them. Call it after
    /// [`peek`](Self::peek).
    pub fn claimed_volumes(&self, contents: &Contents) -> Vec<AtHand> {
        self.volumes.list(&contents.manifest)
    }

    /// The files of all volumes in their order, as the bundle claims to have them, **without proof**.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where one is missing; what is wrong with the
    /// manifest.
    pub fn claimed_files(&self) -> Result<Vec<PathBuf>> {
        let manifest = Manifest::parse(&self.tail.manifest)?;
        self.volumes.settle(&manifest)?;
        let file = |number| {
            let file = self.volumes.file(number);
            file.ok_or_else(|| self.volumes.lacking(number, &manifest))
        };
        manifest.volumes.iter().map(|volume| file(volume.number)).collect()
    }

    /// What the trusted keys say about each signature; nothing is required of them.
    pub fn signers(&self, trust: &Trust) -> Vec<Signer> {
        trust.judge(&self.tail.manifest, &self.tail.signatures)
    }

    fn contents(&self, index_limit: u64) -> Result<Contents> {
        let manifest = Manifest::parse(&self.tail.manifest)?;
        let path = self.path.display();
        if manifest.created != self.tail.time {
            return Err(Error::malformed(
                "the tar headers of the bundle have another time than its manifest",
            ));
        }
        if !in_place(&manifest, &self.tail, self.state.is_receipt) {
            let belongs = manifest.volumes.last().map_or(0, |last| last.size);
            return Err(Error::damaged(format!(
                "the manifest of {path} lies at {}, not at {belongs} where it belongs: bytes were lost or added before it",
                self.tail.manifest_at,
            )));
        }
        if manifest.index.content > index_limit {
            return Err(Error::malformed(format!("the index of the bundle is {} bytes, more than is read of a bundle that no trusted key vouches for", manifest.index.content))
                .hint("name the sender's key with --key"));
        }
        self.volumes.settle(&manifest)?;
        let what = format!("the index of {path}");
        let stored = match self.index_in(&manifest, &what) {
            Ok(stored) => stored,
            // A copy of the last volume may have what this one lost.
            Err(error) => match self.volumes.read(&manifest.index, &what, &manifest) {
                Ok(stored) => stored,
                Err(_) => return Err(error),
            },
        };
        let plain = frame::decode(&stored, manifest.index.content, &[], &what)?;
        let packs: Vec<u64> = manifest.packs.iter().map(|pack| pack.content).collect();
        let index = Index::parse(&plain, &packs)?;
        if manifest.base.is_none() && !index.borrowed().blobs.is_empty() {
            return Err(Error::malformed(format!(
                "the index of {path} takes content from a base, and its manifest names none",
            )));
        }
        Ok(Contents { manifest, index })
    }

    /// The index as it is stored in the file of the tail. In a receipt it lies right before the
    /// manifest.
    fn index_in(&self, manifest: &Manifest, what: &str) -> Result<Vec<u8>> {
        let index = manifest.index;
        if !self.state.is_receipt {
            return read_hashed(&self.state.file, &index, what);
        }
        let offset = self
            .tail
            .manifest_at
            .checked_sub(member_bytes(index.size))
            .ok_or_else(|| Error::damaged(format!("{} ends early", self.path.display())))?;
        read_hashed(&self.state.file, &PackEntry { offset, ..index }, what)
    }
}

impl Bundle<Authentic> {
    /// What is in it.
    pub fn contents(&self) -> &Contents {
        &self.state.contents
    }

    /// What is in it, when the file itself is no longer needed.
    pub fn into_contents(self) -> Contents {
        self.state.contents
    }

    /// Who signed it, trusted or not; at least one is.
    pub fn signers(&self) -> &[Signer] {
        &self.state.signers
    }

    /// The threads that make layers again: as many as there are processors.
    pub(super) fn threads(&self) -> &Arc<Pool> {
        self.state.pool.get_or_init(|| {
            let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            Arc::new(Pool::new(threads.min(MOST_THREADS)))
        })
    }

    /// What the bundle is called in messages: its file, or the set that its files are.
    pub fn title(&self) -> String {
        self.volumes.title(&self.contents().manifest)
    }

    /// The volumes, there or not.
    pub fn volumes(&self) -> Vec<AtHand> {
        self.volumes.list(&self.contents().manifest)
    }

    /// A pack, hashed, then opened against its prefix.
    pub(super) fn pack(&self, number: u32, prefix: &[u8]) -> Result<Vec<u8>> {
        let name = self.pack_name(number);
        let stored = self.stored_pack(number, &name)?;
        let pack = &self.state.contents.manifest.packs[number as usize];
        frame::decode(&stored, pack.content, prefix, &name)
    }

    /// The bytes of a pack, hashed.
    pub(super) fn stored_pack(&self, number: u32, name: &str) -> Result<Vec<u8>> {
        let manifest = &self.state.contents.manifest;
        self.volumes.read(&manifest.packs[number as usize], name, manifest)
    }

    /// A pack as errors name it.
    pub(super) fn pack_name(&self, number: u32) -> String {
        let volume = self.state.contents.manifest.packs[number as usize].volume;
        let file = match self.volumes.file(volume) {
            Some(file) => file.display().to_string(),
            None => format!("volume {volume}"),
        };
        self.pack_name_in(number, &file)
    }

    /// The same, as it lies in this file.
    pub(super) fn pack_name_in(&self, number: u32, file: &str) -> String {
        let packs = &self.state.contents.manifest.packs;
        let pack = &packs[number as usize];
        format!(
            "pack {} of {} ({} bytes at {} of {file})",
            number + 1,
            packs.len(),
            pack.size,
            pack.offset,
        )
    }
}

/// Whether a manifest lies right behind what it lists, with nothing between; in a receipt it lies elsewhere.
fn in_place(manifest: &Manifest, tail: &Tail, is_receipt: bool) -> bool {
    let belongs = manifest.volumes.last().map_or(0, |last| last.size);
    is_receipt || belongs == tail.manifest_at && manifest.created == tail.time
}

/// Whether those who signed may sign what they did.
fn permit(trust: &Trust, signers: &[Signer], manifest: &Manifest, what: &str) -> Result<()> {
    let images = manifest.images.iter().map(|image| {
        let digest = || image.root.digest.to_string();
        (image.name.as_ref(), image.name.as_ref().map_or_else(digest, ToString::to_string))
    });
    trust.permit(signers, manifest.stream.as_ref(), images, what)
}
