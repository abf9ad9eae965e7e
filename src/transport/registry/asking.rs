//! Many small questions, several at a time.

use crate::codec::lanes::in_order;
use crate::model::Result;

/// Questions that are asked at once while planning: they are small, and a bundle of a hundred
/// images has thousands.
const ASKED_AT_ONCE: usize = 8;

/// Does `work` for every item, several at a time, and keeps the order. An error ends it.
pub(super) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    in_order(items, ASKED_AT_ONCE, work)
}
