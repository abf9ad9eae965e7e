//! Where the content of a blob lies in its plain form.

use super::index::{BlobEntry, Index, Place};
use super::recipe::{Body, Encoding, Run};

/// The chunks of a blob whose content lies in its plain form in one piece: offset there, length and
/// number of each, in order. What describes files is scattered, and not among them.
pub(super) fn content<'a>(
    index: &'a Index,
    blob: &'a BlobEntry,
) -> Box<dyn Iterator<Item = (u64, u32, u32)> + 'a> {
    let numbers = |runs: &'a [Run]| runs.iter().flat_map(|run| run.first..run.first + run.count);
    let length = |number: u32| match index.place(number) {
        Place::Own(at) => at.length,
        Place::Base(piece) => piece.length,
    };
    match &blob.recipe.body {
        // A compressed layer that is carried as it came: its bytes are not its plain form.
        Body::Chunks(_) if blob.plain.is_some() && blob.recipe.encoding == Encoding::None => {
            Box::new(std::iter::empty())
        }
        Body::Inline(_) | Body::Base(_) => Box::new(std::iter::empty()),
        Body::Chunks(runs) => {
            let mut offset = 0u64;
            Box::new(numbers(runs).map(move |number| {
                let at = offset;
                offset += u64::from(length(number));
                (at, length(number), number)
            }))
        }
        Body::Tar { content, stretches, .. } => {
            let mut stretches = stretches.iter();
            let (mut offset, mut left) = (0u64, 0u64);
            Box::new(numbers(content).filter_map(move |number| {
                while left == 0 {
                    let (before, inside) = stretches.next()?;
                    offset += before;
                    left = inside;
                }
                let (at, own) = (offset, u64::from(length(number)));
                if own > left {
                    // No writer of ours cuts a chunk across files; step over what lies between.
                    let mut rest = own;
                    while rest > left {
                        rest -= left;
                        offset += left;
                        let (before, inside) = stretches.next()?;
                        offset += before;
                        left = inside;
                    }
                    left -= rest;
                    offset += rest;
                    return None;
                }
                left -= own;
                offset += own;
                Some((at, length(number), number))
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::index::{BaseBlob, Borrowed, Piece};
    use crate::bundle::recipe::Recipe;
    use crate::endpoint::Plain;
    use crate::model::Digest;

    /// Where chunks of 10, 20 and 5 bytes, and a piece of 7 of the base, lie in a blob.
    fn places(recipe: impl Into<Recipe>, plain: bool) -> Vec<(u64, u32, u32)> {
        let of_base = BaseBlob { digest: Digest::of(b"base"), size: 100, plain: None };
        let piece = Piece { blob: 0, offset: 1, length: 7 };
        let borrowed = Borrowed { blobs: vec![of_base], pieces: vec![piece] };
        let packs = [vec![([1; 16], 10), ([2; 16], 20)], vec![([3; 16], 5)]];
        let index = Index::new(&packs, vec![Vec::new(); 2], borrowed, Vec::new());
        let digest = Digest::of(b"blob");
        let plain = plain.then_some(Plain { digest, size: 35 });
        let blob = BlobEntry { digest, size: 35, plain, recipe: recipe.into() };
        content(&index, &blob).collect()
    }

    fn runs(list: &[(u32, u32)]) -> Vec<Run> {
        list.iter().map(|&(first, count)| Run { first, count }).collect()
    }

    fn tar(content: &[(u32, u32)], stretches: &[(u64, u64)]) -> Body {
        Body::Tar {
            meta: Vec::new(),
            content: runs(content),
            stretches: stretches.iter().copied().collect(),
        }
    }

    #[test]
    fn chunks_lie_one_after_another() {
        let chunks = || Body::Chunks(runs(&[(1, 3), (0, 1)]));
        assert_eq!(places(chunks(), false), [(0, 20, 1), (20, 5, 2), (25, 7, 3), (32, 10, 0)]);
        // What is carried as it came is not its plain form, and what is made again is.
        assert_eq!(places(chunks(), true), []);
        let encoding = Encoding::Gzip { recipe: [].into(), corrections: Vec::new() };
        assert_eq!(places(Recipe { body: chunks(), encoding }, true).len(), 4);
        assert_eq!(places(Body::Base(0), false), []);
        assert_eq!(places(Body::Inline([1, 2].into()), false), []);
    }

    #[test]
    fn in_a_tar_they_lie_behind_what_describes_them() {
        let whole = [(100, 30), (2, 12)];
        assert_eq!(
            places(tar(&[(0, 4)], &whole), false),
            [(100, 10, 0), (110, 20, 1), (132, 5, 2), (137, 7, 3)]
        );
        // A chunk that goes on in the next file lies in two places; those behind it do not move.
        let cut = [(100, 15), (2, 3), (2, 24)];
        assert_eq!(places(tar(&[(0, 4)], &cut), false), [(100, 10, 0), (134, 5, 2), (139, 7, 3)]);
    }
}
