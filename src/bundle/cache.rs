//! Keeps opened packs for as long as they are likely to be needed.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::model::Result;

/// Opened packs, shared by all readers of a bundle. A pack that two readers want is read once.
#[derive(Debug)]
pub(super) struct PackCache {
    budget: usize,
    slots: Mutex<Slots>,
    loaded: Condvar,
}

#[derive(Debug, Default)]
struct Slots {
    packs: HashMap<u32, Slot>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
enum Slot {
    Loading,
    Ready { content: Arc<Vec<u8>>, used: u64 },
}

impl PackCache {
    /// A cache that holds up to `budget` bytes beside what readers are using.
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, slots: Mutex::default(), loaded: Condvar::new() }
    }

    /// The content of a pack, from here or from `load`.
    pub(super) fn get(
        &self,
        pack: u32,
        load: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Arc<Vec<u8>>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            slots.clock += 1;
            let now = slots.clock;
            match slots.packs.get_mut(&pack) {
                Some(Slot::Ready { content, used }) => {
                    *used = now;
                    return Ok(Arc::clone(content));
                }
                Some(Slot::Loading) => {
                    slots = self.loaded.wait(slots).unwrap_or_else(PoisonError::into_inner);
                }
                None => break,
            }
        }
        slots.packs.insert(pack, Slot::Loading);
        drop(slots);
        let result = load();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let result = result.map(Arc::new);
        match &result {
            Ok(content) => {
                let used = slots.clock;
                slots.bytes += content.len();
                slots.packs.insert(pack, Slot::Ready { content: Arc::clone(content), used });
                slots.shrink(self.budget, pack);
            }
            Err(_) => {
                slots.packs.remove(&pack);
            }
        }
        drop(slots);
        self.loaded.notify_all();
        result
    }
}

impl Slots {
    /// Lets the packs go that were used longest ago.
    fn shrink(&mut self, budget: usize, keep: u32) {
        while self.bytes > budget {
            let oldest = self
                .packs
                .iter()
                .filter_map(|(&pack, slot)| match slot {
                    Slot::Ready { content, used } if pack != keep => {
                        Some((*used, pack, content.len()))
                    }
                    _ => None,
                })
                .min();
            let Some((_, pack, length)) = oldest else { return };
            self.packs.remove(&pack);
            self.bytes -= length;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Barrier;

    use super::*;
    use crate::model::Error;

    #[test]
    fn what_was_used_longest_ago_is_let_go() {
        let cache = PackCache::new(10);
        let loaded = RefCell::new(Vec::new());
        let get = |pack: u32, bytes: usize| {
            let load = || {
                loaded.borrow_mut().push(pack);
                Ok(vec![pack as u8; bytes])
            };
            assert_eq!(cache.get(pack, load).unwrap().len(), bytes);
        };
        for (pack, bytes) in [(1, 4), (2, 4), (1, 4), (3, 4), (1, 4), (2, 4), (3, 4)] {
            get(pack, bytes);
        }
        assert_eq!(loaded.take(), [1, 2, 3, 2, 3]);
        // One that is larger than all of it is kept alone, while it is the last.
        for (pack, bytes) in [(4, 20), (4, 20), (5, 1), (4, 20)] {
            get(pack, bytes);
        }
        assert_eq!(loaded.take(), [4, 5, 4]);
    }

    #[test]
    fn what_failed_is_tried_again() {
        let cache = PackCache::new(10);
        assert!(cache.get(1, || Err(Error::damaged("bad"))).is_err());
        assert_eq!(*cache.get(1, || Ok(vec![1])).unwrap(), [1]);
    }

    #[test]
    fn a_pack_that_two_want_is_read_once() {
        let cache = PackCache::new(10);
        let (inside, loads) = (Barrier::new(2), Mutex::new(0));
        let load = || {
            *loads.lock().unwrap() += 1;
            inside.wait();
            Ok(vec![1])
        };
        std::thread::scope(|scope| {
            scope.spawn(|| cache.get(1, load));
            scope.spawn(|| {
                inside.wait();
                // By now it is being read, or was: nobody reads it once more.
                cache.get(1, || panic!("it was read twice"))
            });
        });
        assert_eq!(*loads.lock().unwrap(), 1);
    }
}
