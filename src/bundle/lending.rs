//! Bundles that lend to each other: a delta asks its bases for content, and is a base itself.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::{Arc, PoisonError};

use super::blob::Store as _;
use super::content::content;
use super::held::{Held, Needs, Places};
use super::index::{BaseBlob, BlobEntry, Piece, Place};
use super::reader::{Authentic, Bundle, Contents};
use super::recipe::Body;
use crate::endpoint::{Form, Source as _};
use crate::model::{Descriptor, Error, Result};

impl Bundle<Authentic> {
    /// Says which bundles hold content of the base. Once only; later calls change nothing.
    pub fn set_bases(&self, bases: Vec<Arc<dyn Held>>) {
        let _ = self.state.bases.set(bases);
    }

    /// Says what was read back of the base from where the bundle goes. Once only.
    pub fn set_recalled(&self, recalled: Box<dyn Held>) {
        let _ = self.state.recalled.set(recalled);
    }

    /// What of its base the bundle needs to rebuild these blobs; nothing where it is no delta.
    pub fn needs<'a>(&self, blobs: impl Iterator<Item = &'a BlobEntry>) -> Needs {
        let index = &self.contents().index;
        let (mut pieces, mut whole) = (BTreeSet::new(), BTreeSet::new());
        let mut packs = BTreeSet::new();
        for blob in blobs {
            if let Body::Base(number) = blob.recipe.body {
                whole.insert(number);
            }
            for runs in blob.recipe.runs() {
                pieces.extend(index.pieces_of(runs));
                packs.extend(index.chunks_of(runs).map(|(_, pack, _)| pack));
            }
        }
        for pack in packs {
            pieces.extend(index.pieces_of(&index.prefixes[pack as usize]));
        }
        let borrowed = index.borrowed();
        let mut needs = Needs::default();
        for piece in pieces.into_iter().map(|number| borrowed.pieces[number as usize]) {
            let blob = &borrowed.blobs[piece.blob as usize];
            match needs.pieces.last_mut() {
                Some((last, pieces)) if last.digest == blob.digest => pieces.push(piece),
                _ => needs.pieces.push((blob.clone(), vec![piece])),
            }
        }
        needs.whole = whole.into_iter().map(|n| borrowed.blobs[n as usize].clone()).collect();
        needs
    }

    /// The missing volumes that it would take to rebuild a blob.
    pub fn missing_for(&self, blob: &BlobEntry) -> BTreeSet<u64> {
        let missing = self.volumes.missing();
        if missing.is_empty() {
            return BTreeSet::new();
        }
        self.volumes_of(blob).into_iter().filter(|volume| missing.contains(volume)).collect()
    }

    /// Whether a pack, or one that it is packed against, is in a volume that is missing.
    fn is_out_of_reach(&self, pack: u32) -> bool {
        let missing = self.volumes.missing();
        if missing.is_empty() {
            return false;
        }
        let Contents { index, manifest } = self.contents();
        let prefix = index.chunks_of(index.prefix(pack)).map(|(_, pack, _)| pack);
        let mut packs = prefix.chain(std::iter::once(pack));
        packs.any(|pack| missing.contains(&manifest.packs[pack as usize].volume))
    }

    /// What is to be said of a volume that is missing.
    pub fn lacking_volume(&self, number: u64) -> Error {
        self.volumes.lacking(number, &self.contents().manifest)
    }

    fn bases(&self) -> impl Iterator<Item = &dyn Held> {
        let files = self.state.bases.get().into_iter().flatten().map(|held| &**held);
        files.chain(self.state.recalled.get().map(|held| &**held))
    }

    fn lacking(&self, blob: &BaseBlob) -> Error {
        let base = self
            .contents()
            .manifest
            .base
            .map_or_else(String::new, |base| format!(" {}", base.digest));
        Error::damaged(format!(
            "{} is a delta and needs {} of its base{base}, which is not there",
            self.title(),
            blob.digest
        ))
        .hint("name the base with --base FILE")
    }

    /// A piece of the base.
    pub(super) fn piece_of_base(&self, piece: Piece) -> Result<Vec<u8>> {
        let blob = &self.contents().index.borrowed().blobs[piece.blob as usize];
        for held in self.bases() {
            if let Some(bytes) = held.piece(blob, piece)? {
                if bytes.len() == piece.length as usize {
                    return Ok(bytes);
                }
                return Err(Error::damaged(format!(
                    "{} of the base is not what it was",
                    blob.digest
                )));
            }
        }
        Err(self.lacking(blob))
    }

    /// A blob of the base, whole.
    pub(super) fn blob_of_base(
        &self,
        number: u32,
        form: Form,
    ) -> Result<Box<dyn Read + Send + '_>> {
        let blob = &self.contents().index.borrowed().blobs[number as usize];
        for held in self.bases() {
            if let Some(reader) = held.whole(blob, form)? {
                return Ok(reader);
            }
        }
        Err(self.lacking(blob))
    }

    /// Where the content of a blob lies.
    fn places(&self, entry: &BlobEntry) -> Places {
        let mut known = self.state.places.lock().unwrap_or_else(PoisonError::into_inner);
        let places = known.entry(entry.digest).or_insert_with(|| {
            let content = content(&self.contents().index, entry);
            Arc::new(content.map(|(at, length, number)| (at, (number, length))).collect())
        });
        Arc::clone(places)
    }

    /// Where a piece of one of its blobs lies.
    fn place_of(&self, entry: &BlobEntry, piece: Piece) -> Option<Place> {
        let &(number, length) = self.places(entry).get(&piece.offset)?;
        (length == piece.length).then(|| self.contents().index.place(number))
    }

    /// Whether content can be had: where it comes from the base, from there; where the pack that
    /// it is in is packed against the base, that too.
    fn reaches(&self, place: Place) -> bool {
        let of_base = |piece: Piece| {
            let blob = &self.contents().index.borrowed().blobs[piece.blob as usize];
            self.bases().any(|held| held.has(blob, Some(piece)))
        };
        let pack = match place {
            Place::Own(at) => at.pack,
            Place::Base(piece) => return of_base(piece),
        };
        let opens = || self.state.opens.lock().unwrap_or_else(PoisonError::into_inner);
        if opens().contains(&pack) {
            return true;
        }
        let index = &self.contents().index;
        if self.is_out_of_reach(pack) {
            return false;
        }
        let mut numbers = index.pieces_of(index.prefix(pack));
        let all = numbers.all(|number| of_base(index.borrowed().pieces[number as usize]));
        if all {
            opens().insert(pack);
        }
        all
    }

    /// A piece of the plain form of one of its blobs.
    pub(super) fn piece(&self, blob: &BaseBlob, piece: Piece) -> Result<Vec<u8>> {
        let held = Held::piece(self, blob, piece)?;
        held.ok_or_else(|| self.lacking(blob))
    }
}

impl Held for Bundle<Authentic> {
    fn piece(&self, blob: &BaseBlob, piece: Piece) -> Result<Option<Vec<u8>>> {
        let Some(entry) = self.contents().index.blob(&blob.digest) else { return Ok(None) };
        if let Body::Base(_) = entry.recipe.body {
            for held in self.bases() {
                if let Some(bytes) = held.piece(blob, piece)? {
                    return Ok(Some(bytes));
                }
            }
            return Ok(None);
        }
        let Some(place) = self.place_of(entry, piece).filter(|&place| self.reaches(place)) else {
            return Ok(None);
        };
        match place {
            Place::Own(at) => {
                let content = self.opened(at.pack)?;
                let start = at.offset as usize;
                Ok(Some(content[start..start + at.length as usize].to_vec()))
            }
            Place::Base(deeper) => self.piece_of_base(deeper).map(Some),
        }
    }

    fn whole(&self, blob: &BaseBlob, form: Form) -> Result<Option<Box<dyn Read + Send + '_>>> {
        if !self.has(blob, None) {
            return Ok(None);
        }
        self.open(&Descriptor::new("", blob.digest, blob.size), form).map(Some)
    }

    fn has(&self, blob: &BaseBlob, piece: Option<Piece>) -> bool {
        let Some(entry) = self.contents().index.blob(&blob.digest) else { return false };
        if let Body::Base(_) = entry.recipe.body {
            return self.bases().any(|held| held.has(blob, piece));
        }
        if let Some(piece) = piece {
            return self.place_of(entry, piece).is_some_and(|place| self.reaches(place));
        }
        if !self.missing_for(entry).is_empty() {
            return false;
        }
        let needs = self.needs(std::iter::once(entry));
        self.bases().fold(needs, Needs::without).is_empty()
    }
}
