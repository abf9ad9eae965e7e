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
