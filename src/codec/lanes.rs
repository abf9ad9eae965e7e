//! The same for many things, several at a time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::model::Result;

/// Does something with each thing, several at once, and gives the results in their order. After a
/// failure nothing is begun any more; of several, that of the earliest thing is told: later ones may
/// have failed because of it.
///
/// # Errors
/// What `act` reports.
pub fn in_order<T: Sync, R: Send>(
    things: &[T],
    lanes: usize,
    act: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let (next, failing) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results = Mutex::new(Vec::with_capacity(things.len()));
    std::thread::scope(|scope| {
        for _ in 0..lanes.min(things.len()) {
            scope.spawn(|| {
                while !failing.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(thing) = things.get(at) else { return };
                    let result = act(thing);
                    failing.fetch_or(result.is_err(), Ordering::Relaxed);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Error;

    #[test]
    fn results_keep_their_order_and_the_earliest_error_is_told() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(in_order(&items, 8, |n| Ok(n * 2)).unwrap()[99], 198);
        assert!(in_order(&[0_u8; 0], 8, |_| Ok(())).unwrap().is_empty());
        let fifty = |n: &usize| if *n == 50 { Err(Error::remote("fifty")) } else { Ok(()) };
        assert_eq!(in_order(&items, 8, fifty).unwrap_err().message(), "fifty");
        let both = |n: &usize| Err::<(), _>(Error::remote(n.to_string()));
        assert_eq!(in_order(&items, 8, both).unwrap_err().message(), "0");
    }
}
