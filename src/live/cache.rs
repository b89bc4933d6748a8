//! A thread's cache from the facade's keys to cells, so that a macro call on a known series takes no lock.
//!
//! A slot keeps a `Weak`: a cache never keeps a series from being evicted, and an evicted one is a miss. A key may stand
//! in either of two sets of four slots. A cache starts with [`FIRST`] slots and doubles when it is three quarters full,
//! up to [`MOST`], as the ledger permits; all caches of a store together may take an eighth of its budget, counting with
//! each slot the dead cell that it may pin.

use super::{
    ids::pin_of,
    key,
    registry::Grant,
    series::{Kind, PIN_ADDED, Pins, UNPIN, WEAK_MADE, WeakCell},
};
use crate::{
    ledger::{Ledger, Part},
    util::{
        layout,
        sync::{Arc, Weak, fence},
    },
};
use metrics::Key;
use std::sync::atomic::Ordering::Relaxed;

const FIRST: usize = 16;
const MOST: usize = 16_384;
const WAYS: usize = 4;

/// Hits on another thread's cell after which a thread asks for one of its own.
pub(crate) const PROMOTE_AFTER: u16 = if cfg!(loom) { 2 } else { 8 };

/// What one slot remembers. 32 bytes: two to a cache line.
struct Slot<K: Kind> {
    /// The facade's hash of the key as the macro gave it.
    hash: u64,
    cell: WeakCell<K>,
    /// Address of the key's name when it is static, else 0.
    address: usize,
    /// The series; its pin counts this slot. Meaningful while `state` is not [`EMPTY`].
    id: u32,
    /// Hits on another thread's cell, wrapping.
    foreign_hits: u16,
    state: u8,
    /// Hit since a neighbour last had to go.
    is_recent: bool,
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
    /// Slots that are not empty; the cells of some may be dead.
    filled: usize,
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
            foreign_hits: 0,
            state: EMPTY,
            is_recent: false,
        }
    }

    fn clear(&mut self, pins: &Pins) {
        if self.state == EMPTY {
            return;
        }
        self.cell = Weak::new();
        self.state = EMPTY;
        if let Some(pin) = pins.word(pin_of(self.id)) {
            pin.fetch_sub(1, UNPIN);
        }
    }

    /// A hit, if the cell has the key, label by label.
    #[inline]
    fn compare(&mut self, key: &Key, me: u32) -> Look<K> {
        let Some(cell) = self.cell.upgrade().filter(|cell| self.is(cell, key)) else {
            return Look::Miss;
        };
        self.is_recent = true;
        if K::owner(&cell) != me {
            self.foreign_hits = self.foreign_hits.wrapping_add(1);
            if self.foreign_hits % 1024 == PROMOTE_AFTER {
                return Look::Promote;
            }
        }
        Look::Hit(cell)
    }

    fn is_dead(&self) -> bool {
        self.state == EMPTY || self.cell.strong_count() == 0
    }

    /// Whether this is the slot of `key`, as far as can be said without a look at the cell.
    #[inline(always)]
    fn is_bare(&self, key: &Key) -> bool {
        self.state == BARE
            && self.address == key.name().as_ptr().addr()
            && key.labels().as_slice().is_empty()
    }

    /// Whether this is the slot of `key`, by its cell.
    #[inline]
    fn is(&self, cell: &K::Cell, key: &Key) -> bool {
        let series = K::series(cell);
        let name = self.address != 0 && self.address == key.name().as_ptr().addr();
        (name || *series.name.text == *key.name()) && key::same_labels(key, &series.labels)
    }
}

impl<K: Kind> Cache<K> {
    pub(crate) fn new(pins: Arc<Pins>, ledger: Arc<Ledger>) -> Self {
        Self {
            slots: Box::default(),
            filled: 0,
            pins,
            ledger,
        }
    }

    /// First slot of the set in which a key is looked for first.
    #[inline(always)]
    fn first_set(hash: u64, slots: usize) -> usize {
        (hash >> 32) as usize & slots.wrapping_sub(WAYS)
    }

    /// First slot of the set in which it is looked for then. Every bit of the hash has a say, so keys that meet in
    /// their first sets part here.
    fn second_set(hash: u64, slots: usize) -> usize {
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        mixed as usize & slots.wrapping_sub(WAYS)
    }

    /// The cell of `key`, in the fastest case: a key without labels, with a static name, in its first set, whose cell
    /// is this thread's. Everything else is [`Cache::look_further`]'s, so that this stays small.
    #[inline(always)]
    pub(crate) fn look(&mut self, key: &Key, me: u32) -> Option<Arc<K::Cell>> {
        let hash = key.get_hash();
        let first = Self::first_set(hash, self.slots.len());
        let slot = self.slot_in(first, hash)?;
        if !slot.is_bare(key) || slot.foreign_hits % 1024 == PROMOTE_AFTER - 1 {
            return None;
        }
        let cell = slot.cell.upgrade()?;
        slot.is_recent = true;
        slot.foreign_hits = slot
            .foreign_hits
            .wrapping_add(u16::from(K::owner(&cell) != me));
        Some(cell)
    }

    /// The cell of `key`, if this thread has met it. `me` is this thread's id.
    pub(crate) fn look_further(&mut self, key: &Key, me: u32) -> Look<K> {
        let hash = key.get_hash();
        let first = Self::first_set(hash, self.slots.len());
        if let Some(slot) = self.slot_in(first, hash) {
            return slot.compare(key, me);
        }
        let second = Self::second_set(hash, self.slots.len());
        match self.slot_in(second, hash) {
            Some(slot) => slot.compare(key, me),
            None => Look::Miss,
        }
    }

    #[inline(always)]
    fn slot_in(&mut self, set: usize, hash: u64) -> Option<&mut Slot<K>> {
        let set = self.slots.get_mut(set..set + WAYS)?;
        set.iter_mut().find(|slot| slot.hash == hash)
    }

    /// Remembers the cell of `key`, if there is room.
    /// The slot begins with `hits` on a foreign cell: with those of a try that has failed, the next is far off.
    pub(crate) fn put(&mut self, key: &Key, grant: &Grant<K>, hits: u16) {
        let Some(id) = grant.id else { return };
        let hash = key.get_hash();
        if self.filled * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let place = self.place(hash);
        let Some(slot) = place.and_then(|at| self.slots.get_mut(at)) else {
            return;
        };
        if slot.state != EMPTY {
            slot.clear(&self.pins);
            self.filled -= 1;
        }
        let Some(pin) = self.pins.word(pin_of(id)) else {
            return;
        };
        let series = K::series(&grant.cell);
        // Counted while the strong reference is held: an eviction sees the pin or fails.
        pin.fetch_add(1, Relaxed);
        self.pins.added.fetch_add(1, PIN_ADDED);
        fence(WEAK_MADE);
        self.filled += 1;
        *slot = Slot {
            hash,
            cell: Arc::downgrade(&grant.cell),
            address: series.name.address_in(key),
            id,
            foreign_hits: hits,
            is_recent: true,
            state: if series.labels.is_empty() {
                BARE
            } else {
                FILLED
            },
        };
    }

    /// The slot to write a key of this hash into: one with the same hash, which a lookup would take for the key's, or
    /// a free or dead one, or one that was not hit of late.
    fn place(&mut self, hash: u64) -> Option<usize> {
        let sets = [
            Self::first_set(hash, self.slots.len()),
            Self::second_set(hash, self.slots.len()),
        ];
        let places = || sets.into_iter().flat_map(|set| set..set + WAYS);
        let slots = &mut self.slots;
        let find =
            |fits: &dyn Fn(&Slot<K>) -> bool| places().find(|at| slots.get(*at).is_some_and(fits));
        let found = find(&|slot| slot.hash == hash && slot.state != EMPTY)
            .or_else(|| find(&|slot| slot.is_dead()));
        if found.is_some() {
            return found;
        }
        let idle = find(&|slot| !slot.is_recent);
        for at in places() {
            if let Some(slot) = slots.get_mut(at) {
                slot.is_recent = false;
            }
        }
        idle.or(places().next())
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
        self.filled = 0;
        for mut slot in old {
            let place = if slot.is_dead() {
                None
            } else {
                self.place(slot.hash)
            };
            match place.and_then(|at| self.slots.get_mut(at)) {
                Some(free) if free.state == EMPTY => {
                    *free = slot;
                    self.filled += 1;
                }
                _ => slot.clear(&self.pins),
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
