//! A thread's cache from the facade's keys to cells, so that a macro call on a known series takes no lock.
//!
//! A slot keeps a `Weak`: a cache never keeps a series from being evicted, and an evicted one is a miss. Sets have four
//! ways. A cache starts with [`FIRST`] slots and doubles while sets are crowded, up to [`MOST`], as the ledger permits;
//! all caches of a store together may take an eighth of its budget, counting with each slot the dead cell that it may
//! pin.

use super::{
    key,
    registry::{Grant, pin_of},
    series::{Kind, Pins, WeakCell},
};
use crate::{
    ledger::{Ledger, Part},
    util::{
        layout,
        sync::{Arc, Weak},
    },
};
use metrics::Key;
use std::sync::atomic::Ordering::{Relaxed, Release};

const FIRST: usize = 16;
const MOST: usize = 4096;
const WAYS: usize = 4;

/// Hits on another thread's cell after which a thread asks for one of its own.
const PROMOTE_AFTER: u16 = 8;

/// What one slot remembers. 32 bytes: two to a cache line.
struct Slot<K: Kind> {
    /// The facade's hash of the key as the macro gave it.
    hash: u64,
    cell: WeakCell<K>,
    /// Address of the key's name when it is static, else 0.
    address: usize,
    /// The series; its pin counts this slot. Meaningful while `state` is not [`EMPTY`].
    id: u32,
    /// Hits, halved when a neighbour must go. Saturates.
    hits: u16,
    state: u8,
}

const EMPTY: u8 = 0;
const FILLED: u8 = 1;
/// Filled, and the series has no labels: name and hash say all.
const BARE: u8 = 2;

/// What a look into the cache found.
pub(crate) enum Look<K: Kind> {
    Hit(Arc<K::Cell>),
    /// A hit on another thread's cell, often enough to ask for an own one.
    Promote,
    Miss,
}

/// Slots of one kind.
pub(crate) struct Cache<K: Kind> {
    slots: Box<[Slot<K>]>,
    pins: Arc<Pins>,
    ledger: Arc<Ledger>,
}

impl<K: Kind> Slot<K> {
    fn empty() -> Self {
        Self {
            hash: 0,
            cell: Weak::new(),
            address: 0,
            id: 0,
            hits: 0,
            state: EMPTY,
        }
    }

    fn clear(&mut self, pins: &Pins) {
        if self.state == EMPTY {
            return;
        }
        self.cell = Weak::new();
        self.state = EMPTY;
        if let Some(pin) = pins.word(pin_of(self.id)) {
            // ORDERING: pairs with the acquires in `registry`: whoever sees this has the `Weak` gone.
            pin.fetch_sub(1, Release);
        }
    }

    fn is_dead(&self) -> bool {
        self.state == EMPTY || self.cell.strong_count() == 0
    }

    #[inline(always)]
    fn is(&self, cell: &K::Cell, key: &Key) -> bool {
        if self.address != 0 && key.name().as_ptr().addr() == self.address {
            if self.state == BARE {
                return key.labels().as_slice().is_empty();
            }
            return key::same_labels(key, &K::series(cell).labels);
        }
        let series = K::series(cell);
        *series.name.text == *key.name() && key::same_labels(key, &series.labels)
    }
}

impl<K: Kind> Cache<K> {
    pub(crate) fn new(pins: Arc<Pins>, ledger: Arc<Ledger>) -> Self {
        Self {
            slots: Box::default(),
            pins,
            ledger,
        }
    }

    /// First slot of the set of a hash. Every bit of the hash has a say, since labels are combined by addition.
    #[inline(always)]
    fn set_of(hash: u64, slots: usize) -> usize {
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (mixed as usize & slots.wrapping_sub(1)) & !(WAYS - 1)
    }

    /// The cell of `key`, if this thread has met it. `me` is this thread's id.
    #[inline]
    pub(crate) fn look(&mut self, key: &Key, me: u32) -> Look<K> {
        let hash = key.get_hash();
        let first = Self::set_of(hash, self.slots.len());
        let Some(set) = self.slots.get_mut(first..first + WAYS) else {
            return Look::Miss;
        };
        for slot in set {
            if slot.hash != hash {
                continue;
            }
            let Some(cell) = slot.cell.upgrade() else {
                continue;
            };
            if !slot.is(&cell, key) {
                continue;
            }
            slot.hits = slot.hits.saturating_add(1);
            if K::owner(&cell) != me && slot.hits % 1024 == PROMOTE_AFTER {
                return Look::Promote;
            }
            return Look::Hit(cell);
        }
        Look::Miss
    }

    /// Remembers the cell of `key`, if there is room.
    pub(crate) fn put(&mut self, key: &Key, grant: &Grant<K>) {
        let Some(id) = grant.id else { return };
        let hash = key.get_hash();
        if self.slots.is_empty() && !self.grow() {
            return;
        }
        if self.is_crowded(hash) {
            self.grow();
        }
        let victim = self.victim(key, hash);
        let Some(slot) = victim.and_then(|at| self.slots.get_mut(at)) else {
            return;
        };
        slot.clear(&self.pins);
        let Some(pin) = self.pins.word(pin_of(id)) else {
            return;
        };
        let series = K::series(&grant.cell);
        // Counted while the strong reference is held: an eviction sees the pin or fails.
        pin.fetch_add(1, Relaxed);
        *slot = Slot {
            hash,
            cell: Arc::downgrade(&grant.cell),
            address: series.name.address_in(key),
            id,
            hits: 0,
            state: if series.labels.is_empty() {
                BARE
            } else {
                FILLED
            },
        };
    }

    fn set(&self, hash: u64) -> &[Slot<K>] {
        let first = Self::set_of(hash, self.slots.len());
        self.slots.get(first..first + WAYS).unwrap_or_default()
    }

    /// No slot of the set is free for another key.
    fn is_crowded(&self, hash: u64) -> bool {
        self.set(hash)
            .iter()
            .all(|slot| slot.hash != hash && !slot.is_dead())
    }

    /// The slot to overwrite: the key's own, a free or dead one, or the least used.
    fn victim(&mut self, key: &Key, hash: u64) -> Option<usize> {
        let first = Self::set_of(hash, self.slots.len());
        let set = self.slots.get_mut(first..first + WAYS)?;
        let own = set.iter().position(|slot| {
            slot.hash == hash && slot.cell.upgrade().is_some_and(|cell| slot.is(&cell, key))
        });
        let at = match own.or_else(|| set.iter().position(Slot::is_dead)) {
            Some(at) => at,
            None => {
                for slot in set.iter_mut() {
                    slot.hits /= 2;
                }
                let least = set.iter().enumerate().min_by_key(|(_, slot)| slot.hits);
                least.map(|(at, _)| at)?
            }
        };
        Some(first + at)
    }

    /// Doubles the slots, if the ledger and the share of all caches permit.
    fn grow(&mut self) -> bool {
        let larger = match self.slots.len() {
            0 => FIRST,
            MOST => return false,
            now => now * 2,
        };
        let bytes = layout::vec::<Slot<K>>(larger);
        let ledger = &self.ledger;
        let price = 1 + layout::arc::<K::Cell>() / size_of::<Slot<K>>();
        let all = ledger.part(Part::Caches) + bytes;
        if all * price > ledger.budget() / 8 || ledger.reserve(Part::Caches, bytes).is_err() {
            return false;
        }
        let before = layout::vec::<Slot<K>>(self.slots.len());
        let empty: Box<[Slot<K>]> = (0..larger).map(|_| Slot::empty()).collect();
        let old = std::mem::replace(&mut self.slots, empty);
        for mut slot in old {
            if slot.is_dead() {
                slot.clear(&self.pins);
                continue;
            }
            let first = Self::set_of(slot.hash, self.slots.len());
            let set = self.slots.get_mut(first..first + WAYS);
            let place = set.and_then(|set| set.iter_mut().find(|place| place.state == EMPTY));
            match place {
                Some(place) => *place = slot,
                None => slot.clear(&self.pins),
            }
        }
        self.ledger.release(Part::Caches, before);
        true
    }
}

impl<K: Kind> Drop for Cache<K> {
    fn drop(&mut self) {
        let mut slots = std::mem::take(&mut self.slots);
        for slot in &mut slots {
            slot.clear(&self.pins);
        }
        let bytes = layout::vec::<Slot<K>>(slots.len());
        drop(slots);
        self.ledger.release(Part::Caches, bytes);
    }
}
