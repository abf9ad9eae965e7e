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
