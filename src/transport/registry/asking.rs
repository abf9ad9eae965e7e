//! Many small questions, several at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::lock;
use crate::model::{Error, Result};

/// Questions that are asked at once while planning: they are small, and a bundle of a hundred
/// images has thousands.
const ASKED_AT_ONCE: usize = 8;

/// Does `work` for every item, several at a time, and keeps the order. The first error ends it.
pub(super) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..ASKED_AT_ONCE.min(items.len()) {
            scope.spawn(|| {
                while lock(&failure).is_none() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    match work(item) {
                        Ok(result) => lock(&results)[index] = Some(result),
                        Err(error) => {
                            lock(&failure).get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_default() {
        return Err(error);
    }
    let results = results.into_inner().unwrap_or_default();
    Ok(results.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_work_keeps_its_order_and_its_first_error() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(in_parallel(&items, |n| Ok(n * 2)).unwrap()[99], 198);
        assert!(in_parallel(&[0_u8; 0], |_| Ok(())).unwrap().is_empty());
        let error =
            in_parallel(&items, |n| if *n == 50 { Err(Error::remote("fifty")) } else { Ok(()) });
        assert_eq!(error.unwrap_err().message(), "fifty");
    }
}
