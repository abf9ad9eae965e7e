//! What a delta takes from its base, while the delta is read: from the base's own file, or from
//! the place that the delta goes to.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::sync::Arc;

use super::index::{BaseBlob, Piece};
use crate::endpoint::Form;
use crate::model::Result;

/// Has blobs of a base, or pieces of them. What it gives is proved by the digests of what is built
/// from it.
pub trait Held: Send + Sync {
    /// A piece of the plain form of a blob; `None` where it is not here.
    ///
    /// # Errors
    /// Where it should be here and cannot be read.
    fn piece(&self, blob: &BaseBlob, piece: Piece) -> Result<Option<Vec<u8>>>;

    /// A whole blob; `None` where it is not here.
    ///
    /// # Errors
    /// Where it should be here and cannot be read.
    fn whole(&self, blob: &BaseBlob, form: Form) -> Result<Option<Box<dyn Read + Send + '_>>>;

    /// Whether a piece, or the whole blob, is here.
    fn has(&self, blob: &BaseBlob, piece: Option<Piece>) -> bool;
}

/// What of its base a delta needs to rebuild some blobs.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Pieces, by blob.
    pub pieces: Vec<(BaseBlob, Vec<Piece>)>,
    /// Whole blobs.
    pub whole: Vec<BaseBlob>,
}

impl Needs {
    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.whole.is_empty()
    }

    /// Leaves what `held` does not have.
    #[must_use]
    pub fn without(mut self, held: &dyn Held) -> Self {
        for (blob, pieces) in &mut self.pieces {
            pieces.retain(|&piece| !held.has(blob, Some(piece)));
        }
        self.pieces.retain(|(_, pieces)| !pieces.is_empty());
        self.whole.retain(|blob| !held.has(blob, None));
        self
    }

    /// The blobs, each once.
    pub fn blobs(&self) -> impl Iterator<Item = &BaseBlob> {
        let named: BTreeSet<_> = self.whole.iter().map(|blob| blob.digest).collect();
        let partly = self.pieces.iter().map(|(blob, _)| blob);
        self.whole.iter().chain(partly.filter(move |blob| !named.contains(&blob.digest)))
    }
}

/// Where the pieces of a blob lie in a bundle: by offset, the number and length of the chunk.
pub(super) type Places = Arc<HashMap<u64, (u32, u32)>>;
