//! Opens a bundle: find the signed tail, prove it, then read it.
//!
//! The order is the point: the bytes of the manifest are found without believing anything, the
//! signatures over them are checked, and only then are the same bytes parsed, and only what they
//! name is hashed, then decompressed, then parsed.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use super::cache::PackCache;
use super::held::{Held, Places};
use super::index::Index;
use super::manifest::{Manifest, PackEntry};
use super::volume::{self, BLOCK, END_BYTES, Volume, member_bytes};
use crate::codec::deflate::Pool;
use crate::codec::frame;
use crate::model::{Digest, Error, Result, limits};
use crate::trust::{KeyId, SIGNATURE_BYTES, Signer, Trust};

/// Where unpacked packs may be held, in bytes, by all readers of a bundle together.
const CACHE_BYTES: usize = 96 << 20;

/// More threads than this are not given to the rebuilding of layers: each holds a segment.
const MOST_THREADS: usize = 16;

/// Unpacked index that is read of a bundle which nobody has vouched for.
const UNPROVED_INDEX_BYTES: u64 = 64 << 20;

/// Bytes from a stick: nothing is known about who made them.
#[derive(Debug)]
pub struct Unverified;

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

/// Says where the index lies: given the file, where its manifest lies, and what that says.
type Place<'a> = dyn Fn(&Volume, u64, &PackEntry) -> Result<PackEntry> + 'a;

/// A bundle that is open for reading.
pub struct Bundle<State> {
    pub(super) volume: Volume,
    pub(super) manifest_bytes: Vec<u8>,
    pub(super) manifest_at: u64,
    pub(super) signatures: Vec<(KeyId, [u8; SIGNATURE_BYTES])>,
    /// Time that the header of the manifest has.
    pub(super) time: u64,
    pub(super) state: State,
}

impl<State> std::fmt::Debug for Bundle<State> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl<State> Bundle<State> {
    /// The file.
    pub fn path(&self) -> &Path {
        self.volume.path()
    }

    /// Length of the file in bytes.
    pub fn length(&self) -> u64 {
        self.volume.length()
    }

    /// Digest of the manifest member: names the bundle.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest_bytes)
    }
}

impl Bundle<Unverified> {
    /// Opens a bundle and finds its manifest and signatures. Nothing of them is believed yet.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io); [`Kind::Damaged`](crate::model::Kind::Damaged) where
    /// it is a bundle that ends early; [`Kind::Malformed`](crate::model::Kind::Malformed) where it
    /// is none, or more than one.
    pub fn open(path: &Path) -> Result<Self> {
        let volume = Volume::open(path)?;
        let manifest_at = match tail_hint(&volume)? {
            Some(at) => at,
            None => walk_to_manifest(&volume)?,
        };
        read_tail(volume, manifest_at)
    }

    /// Checks the signatures against the keys that are trusted here, reads manifest and index, and
    /// looks whether these keys may sign this.
    ///
    /// # Errors
    /// [`Kind::Untrusted`](crate::model::Kind::Untrusted) before anything is parsed; then what is
    /// wrong with the manifest or the index; then [`Kind::Untrusted`](crate::model::Kind::Untrusted)
    /// for an image or a stream that is for other keys.
    pub fn authenticate(self, trust: &Trust) -> Result<Bundle<Authentic>> {
        let what = format!("{}", self.volume.path().display());
        let signers = trust.require(&self.manifest_bytes, &self.signatures, &what)?;
        let contents = self.contents(limits::INDEX_BYTES, None)?;
        permit(trust, &signers, &contents.manifest, &what)?;
        Ok(Bundle {
            volume: self.volume,
            manifest_bytes: self.manifest_bytes,
            manifest_at: self.manifest_at,
            signatures: self.signatures,
            time: self.time,
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

    /// What the bundle claims to hold, **without proof**: for looking, never for loading. Limits
    /// are tighter than for a bundle that is trusted.
    pub fn peek(&self) -> Result<Contents> {
        self.contents(UNPROVED_INDEX_BYTES, None)
    }

    /// What the trusted keys say about each signature; nothing is required of them.
    pub fn signers(&self, trust: &Trust) -> Vec<Signer> {
        trust.judge(&self.manifest_bytes, &self.signatures)
    }

    /// What a receipt claims, without proof. `place` says where the index lies.
    pub(super) fn claimed_contents(&self, place: &Place<'_>) -> Result<Contents> {
        self.contents(UNPROVED_INDEX_BYTES, Some(place))
    }

    /// The same once its signatures are checked.
    pub(super) fn authentic_contents(&self, trust: &Trust, place: &Place<'_>) -> Result<Contents> {
        let what = format!("{}", self.volume.path().display());
        let signers = trust.require(&self.manifest_bytes, &self.signatures, &what)?;
        let contents = self.contents(limits::INDEX_BYTES, Some(place))?;
        permit(trust, &signers, &contents.manifest, &what)?;
        Ok(contents)
    }

    fn contents(&self, index_limit: u64, place: Option<&Place<'_>>) -> Result<Contents> {
        let manifest = Manifest::parse(&self.manifest_bytes)?;
        if manifest.created != self.time {
            return Err(Error::malformed(
                "the tar headers of the bundle have another time than its manifest",
            ));
        }
        if manifest.volumes.len() != 1 {
            return Err(Error::malformed(format!(
                "the bundle is a set of {} volumes; this version of sealift reads single ones",
                manifest.volumes.len()
            ))
            .hint("use a newer sealift"));
        }
        if place.is_none() && manifest.volumes[0].size != self.manifest_at {
            return Err(Error::damaged(format!(
                "the manifest of {} lies at {}, not at {} where it belongs: bytes were lost or added before it",
                self.volume.path().display(),
                self.manifest_at,
                manifest.volumes[0].size
            )));
        }
        if manifest.index.content > index_limit {
            return Err(Error::malformed(format!("the index of the bundle is {} bytes, more than is read of a bundle that no trusted key vouches for", manifest.index.content))
                .hint("name the sender's key with --key"));
        }
        let what = format!("the index of {}", self.volume.path().display());
        let at = match place {
            Some(place) => place(&self.volume, self.manifest_at, &manifest.index)?,
            None => manifest.index,
        };
        let plain = read_frame(&self.volume, &at, &[], &what)?;
        let packs: Vec<u64> = manifest.packs.iter().map(|pack| pack.content).collect();
        let index = Index::parse(&plain, &packs)?;
        if manifest.base.is_none() && !index.borrowed().blobs.is_empty() {
            return Err(Error::malformed(format!(
                "the index of {} takes content from a base, and its manifest names none",
                self.volume.path().display()
            )));
        }
        Ok(Contents { manifest, index })
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

    /// A pack, hashed, then opened against its prefix.
    pub(super) fn pack(&self, number: u32, prefix: &[u8]) -> Result<Vec<u8>> {
        let pack = &self.state.contents.manifest.packs[number as usize];
        read_frame(&self.volume, pack, prefix, &self.pack_name(number))
    }

    /// A pack as errors name it.
    pub(super) fn pack_name(&self, number: u32) -> String {
        let pack = &self.state.contents.manifest.packs[number as usize];
        format!(
            "pack {} of {} ({} bytes at {} of {})",
            number + 1,
            self.state.contents.manifest.packs.len(),
            pack.size,
            pack.offset,
            self.volume.path().display()
        )
    }
}

/// Whether those who signed may sign what they did.
fn permit(trust: &Trust, signers: &[Signer], manifest: &Manifest, what: &str) -> Result<()> {
    let images = manifest.images.iter().map(|image| {
        let digest = || image.root.digest.to_string();
        (image.name.as_ref(), image.name.as_ref().map_or_else(digest, ToString::to_string))
    });
    trust.permit(signers, manifest.stream.as_ref(), images, what)
}

/// Reads a member that is one frame: bytes, then their hash, then what is in them.
fn read_frame(volume: &Volume, entry: &PackEntry, prefix: &[u8], what: &str) -> Result<Vec<u8>> {
    let stored = read_hashed(volume, entry, what)?;
    frame::decode(&stored, entry.content, prefix, what)
}

/// Reads the bytes of a pack or index and compares their hash. Lengths were bounded when the
/// manifest was parsed.
pub(super) fn read_hashed(volume: &Volume, entry: &PackEntry, what: &str) -> Result<Vec<u8>> {
    let stored = volume.read(entry.data_offset(), entry.size)?;
    let found = Digest::of(&stored);
    if found != entry.digest {
        return Err(Error::damaged(format!("{what} is damaged: its digest is {found}, not {}", entry.digest))
            .hint("copy the bundle again, or read the stick in another port; the sender's copy can be checked with `sealift verify`"));
    }
    Ok(stored)
}

/// Where the last bytes of the file say that the manifest is. Only a hint.
fn tail_hint(volume: &Volume) -> Result<Option<u64>> {
    let length = 2 * BLOCK + END_BYTES;
    if volume.length() < length {
        return Ok(None);
    }
    Ok(volume::parse_tail(&volume.read(volume.length() - length, length)?))
}

/// Finds the manifest by walking over the members from the front, where the tail is of no use, and
/// says what is wrong where there is none.
fn walk_to_manifest(volume: &Volume) -> Result<u64> {
    let path = volume.path().display();
    let first = volume.read(0, volume.length().min(BLOCK))?;
    let known = b"README.txt\0";
    let begin = &first[..first.len().min(known.len())];
    if first.is_empty() || !known.starts_with(begin) {
        return Err(Error::malformed(format!("{path} is not a sealift bundle"))
            .hint("a bundle is made by `sealift export`; archives of docker and skopeo are read by export, as docker-archive: and oci-archive:"));
    }
    let truncated = |at: u64| {
        Error::damaged(format!(
            "{path} is incomplete: it ends at byte {} without manifest and signatures (intact up to byte {at})", volume.length()
        ))
        .hint("the copy was interrupted, or the medium was full or pulled too early: copy the bundle again")
    };
    let (mut at, mut first) = (0, true);
    while at + BLOCK <= volume.length() {
        let Some((name, size, _)) = volume::parse_header(&volume.block(at)?) else {
            if first {
                return Err(Error::malformed(format!(
                    "{path} is not a sealift bundle: its first tar header is not one that sealift writes"
                )));
            }
            return Err(Error::damaged(format!(
                "{path} is damaged: what lies at byte {at} is not the header of a member"
            ))
            .hint("copy the bundle again"));
        };
        if first && name != volume::README {
            return Err(Error::malformed(format!("{path} is a tar, but not a sealift bundle")));
        }
        if name == volume::MANIFEST {
            return Ok(at);
        }
        first = false;
        at = match at.checked_add(member_bytes(size)) {
            Some(next) if next <= volume.length() => next,
            _ => return Err(truncated(at)),
        };
    }
    Err(truncated(at))
}

/// Reads manifest and signatures, which must be followed by the tail and the end of the file.
fn read_tail(volume: Volume, manifest_at: u64) -> Result<Bundle<Unverified>> {
    let path = volume.path().display().to_string();
    let damaged = |at: u64, what: &str| {
        Error::damaged(format!("{path} is damaged at byte {at}: {what}"))
            .hint("copy the bundle again")
    };
    let (_, size, time) = volume
        .block(manifest_at)
        .ok()
        .and_then(|block| volume::parse_header(&block))
        .filter(|(name, ..)| name == volume::MANIFEST)
        .ok_or_else(|| damaged(manifest_at, "the header of the manifest should be here"))?;
    if size > limits::BUNDLE_MANIFEST_BYTES {
        return Err(Error::malformed(format!(
            "{path}: a manifest of {size} bytes is more than any bundle has"
        )));
    }
    let manifest_bytes = member(&volume, manifest_at, size)
        .map_err(|e| e.context(format!("{path} is incomplete")))?;
    let mut at = manifest_at + member_bytes(size);
    let mut signatures = Vec::new();
    loop {
        let header =
            volume.block(at).map_err(|_| damaged(at, "the file ends among its signatures"))?;
        let (name, size, member_time) = volume::parse_header(&header)
            .ok_or_else(|| damaged(at, "a signature or the tail should be here"))?;
        if member_time != time {
            return Err(damaged(at, "the header of a member has another time"));
        }
        if name == volume::TAIL {
            break;
        }
        let id = name
            .strip_prefix("signatures/")
            .and_then(|rest| rest.strip_suffix(".sig"))
            .and_then(KeyId::parse);
        let (Some(id), true) = (id, size == SIGNATURE_BYTES as u64) else {
            return Err(Error::malformed(format!(
                "{path}: {name:?} does not belong between manifest and tail"
            )));
        };
        if signatures.last().is_some_and(|(last, _): &(KeyId, _)| *last >= id) {
            return Err(Error::malformed(format!("{path}: its signatures are out of order")));
        }
        if signatures.len() == limits::SIGNATURES {
            return Err(Error::malformed(format!(
                "{path} has more than {} signatures",
                limits::SIGNATURES
            )));
        }
        let bytes = member(&volume, at, size)?;
        let signature =
            bytes.try_into().map_err(|_| damaged(at, "a signature has another length"))?;
        signatures.push((id, signature));
        at += member_bytes(size);
    }
    let tail = volume::tail_text(manifest_at);
    let mut end = volume::header(volume::TAIL, tail.len() as u64, time).to_vec();
    end.extend(tail.bytes());
    end.resize((2 * BLOCK + END_BYTES) as usize, 0);
    let there = volume.length() - at;
    let found = volume.read(at, there.min(end.len() as u64))?;
    if !end.starts_with(&found) {
        return Err(damaged(at, "the tail is not what sealift writes"));
    }
    match there.checked_sub(end.len() as u64) {
        Some(0) => {}
        Some(more) => {
            return Err(Error::malformed(format!(
                "{path}: {more} bytes follow the end of the bundle"
            ))
            .hint("something was appended to the file: copy the bundle again"));
        }
        None => {
            return Err(Error::damaged(format!(
                "{path} ends in its tail, at byte {}",
                volume.length()
            ))
            .hint("copy the bundle again"));
        }
    }
    Ok(Bundle { volume, manifest_bytes, manifest_at, signatures, time, state: Unverified })
}

/// The content of a member, whose padding must be zeros.
pub(super) fn member(volume: &Volume, at: u64, size: u64) -> Result<Vec<u8>> {
    let mut bytes = volume.read(at + BLOCK, size + volume::padding(size))?;
    if bytes[size as usize..].iter().any(|&byte| byte != 0) {
        return Err(Error::damaged(format!(
            "{} is damaged: the padding after byte {} is not empty",
            volume.path().display(),
            at + BLOCK + size
        )));
    }
    bytes.truncate(size as usize);
    Ok(bytes)
}
