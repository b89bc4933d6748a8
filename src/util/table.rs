//! A hash index into somebody else's `Vec`: finds the position of an element by the element's hash.
//!
//! It holds no keys, so the owner compares elements by position, and it names the bytes of its next
//! growth beforehand, so that they can be reserved before they are allocated. It never shrinks. The
//! lowest bits of a hash choose the slot: the owner must not use the same bits to choose between
//! tables.

/// Slots of the first allocation.
const FIRST_CAPACITY: usize = 8;

/// Maps 32-bit hashes to indices; several elements may share a hash. Open addressing, linear
/// probing, at most 3/4 full.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Nothing, or a power of two of slots, of which a quarter at least is free: so every probe
    /// ends.
    slots: Box<[Slot]>,
    /// Used slots.
    len: usize,
}

/// One element, or nothing. No element is behind a free slot on the way from its home.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The element's hash; its lowest bits are its home.
    tag: u32,
    /// The element's index plus one; 0 marks a free slot.
    index_plus_one: u32,
}

impl Table {
    /// A table without slots or allocation.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// How many elements are in the table.
    #[must_use]
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The bytes of the slots: exactly what the allocator was asked for.
    #[must_use]
    pub(crate) const fn bytes(&self) -> usize {
        size_of_val::<[Slot]>(&self.slots)
    }

    /// `None` if the next insert needs no memory; else the bytes of the slots that it will
    /// allocate. These replace those of [`bytes`](Self::bytes), but both are held while the
    /// elements move.
    #[must_use]
    pub(crate) const fn needs(&self) -> Option<usize> {
        match self.grown_capacity() {
            None => None,
            Some(capacity) => Some(capacity * size_of::<Slot>()),
        }
    }

    /// The index of the first element of this hash that `eq` accepts. Expected O(1).
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut eq: impl FnMut(u32) -> bool) -> Option<u32> {
        self.position(hash, |index_plus_one| eq(index_plus_one - 1))
            .map(|position| self.slots[position].index_plus_one - 1)
    }

    /// Adds an element, which must not be in the table yet; `index` must be below `u32::MAX`.
    /// Allocates what [`needs`](Self::needs) said.
    pub(crate) fn insert(&mut self, hash: u32, index: u32) {
        debug_assert!(index < u32::MAX, "index out of range");
        if let Some(capacity) = self.grown_capacity() {
            let grown = vec![Slot::default(); capacity].into_boxed_slice();
            for slot in std::mem::replace(&mut self.slots, grown) {
                if slot.is_used() {
                    self.put(slot);
                }
            }
        }
        self.put(Slot {
            tag: hash,
            index_plus_one: index.wrapping_add(1),
        });
        self.len += 1;
    }

    /// Takes the element of this hash and index out; false if it is not in the table.
    pub(crate) fn remove(&mut self, hash: u32, index: u32) -> bool {
        let Some(mut hole) = self.position(hash, |used| used - 1 == index) else {
            return false;
        };
        // Elements behind the hole move up into it, unless that would put them before their home.
        let mask = self.mask();
        let mut next = (hole + 1) & mask;
        while self.slots[next].is_used() {
            let from_home = next.wrapping_sub(self.home(self.slots[next].tag)) & mask;
            if from_home >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.slots[hole] = Slot::default();
        self.len -= 1;
        true
    }

    /// Where the first used slot of this hash is whose `index_plus_one` is accepted.
    #[inline]
    fn position(&self, hash: u32, mut accept: impl FnMut(u32) -> bool) -> Option<usize> {
        let mut position = self.home(hash);
        // An empty table has no slot to look at; a full one would have no end.
        while let Some(slot) = self.slots.get(position).filter(|slot| slot.is_used()) {
            if slot.tag == hash && accept(slot.index_plus_one) {
                return Some(position);
            }
            position = (position + 1) & self.mask();
        }
        None
    }

    /// Stores an element in the first free slot from its home on; there is one.
    fn put(&mut self, slot: Slot) {
        let mut position = self.home(slot.tag);
        while self.slots[position].is_used() {
            position = (position + 1) & self.mask();
        }
        self.slots[position] = slot;
    }

    /// How many slots the next insert has to allocate, if any.
    const fn grown_capacity(&self) -> Option<usize> {
        let capacity = self.slots.len();
        if (self.len + 1) * 4 <= capacity * 3 {
            None
        } else if capacity == 0 {
            Some(FIRST_CAPACITY)
        } else {
            Some(capacity * 2)
        }
    }

    const fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask()
    }

    /// Wraps a position; 0 without slots.
    const fn mask(&self) -> usize {
        self.slots.len().saturating_sub(1)
    }
}

impl Slot {
    const fn is_used(self) -> bool {
        self.index_plus_one != 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Every element is reachable from its home, and the table is as full as it says.
    fn assert_sound(table: &Table) {
        let used = table.slots.iter().filter(|slot| slot.is_used());
        assert_eq!(used.clone().count(), table.len());
        assert!(table.len() * 4 <= table.slots.len() * 3);
        for slot in used {
            let index = slot.index_plus_one - 1;
            assert_eq!(table.find(slot.tag, |found| found == index), Some(index));
        }
    }

    #[test]
    fn new_table_allocates_nothing() {
        let mut table = Table::new();
        assert_eq!((table.bytes(), table.len()), (0, 0));
        assert_eq!(table.needs(), Some(64));
        assert_eq!(table.find(0, |_| true), None);
        assert!(!table.remove(0, 0));
    }

    #[test]
    fn growth_is_what_needs_said() {
        let mut table = Table::new();
        for index in 0..5_000_u32 {
            let before = table.bytes();
            let needs = table.needs();
            table.insert(index.wrapping_mul(0x9e37_79b9), index);
            assert_eq!(table.bytes(), needs.unwrap_or(before));
            assert_eq!(table.bytes(), table.slots.len() * 8);
        }
        assert_eq!(table.bytes(), 8 * 8_192);
        assert_sound(&table);
    }

    #[test]
    fn six_of_eight_slots_are_used_before_it_grows() {
        let mut table = Table::new();
        for index in 0..6 {
            table.insert(7, index);
        }
        assert_eq!((table.bytes(), table.needs()), (64, Some(128)));
    }

    proptest! {
        /// Elements are their own indices; few hashes, some alike only in their lowest bits.
        #[test]
        fn table_agrees_with_a_hash_map(
            spread in prop_oneof![Just(1_u32), Just(5), Just(8), Just(0x1000_0001)],
            hashes in 1_u32..40,
            steps in vec((any::<bool>(), 0_u32..60), 0..400),
        ) {
            let hash_of = |index: u32| (index % hashes).wrapping_mul(spread);
            let mut table = Table::new();
            let mut model = HashMap::new();
            for (add, index) in steps {
                let hash = hash_of(index);
                if !add {
                    prop_assert_eq!(table.remove(hash, index), model.remove(&index).is_some());
                } else if model.insert(index, hash).is_none() {
                    table.insert(hash, index);
                }
                assert_sound(&table);
            }
            prop_assert_eq!(table.len(), model.len());
            for index in 0..60 {
                let found = table.find(hash_of(index), |candidate| candidate == index);
                prop_assert_eq!(found, model.contains_key(&index).then_some(index));
                prop_assert!(!table.remove(hash_of(index) ^ 0x8000_0000, index));
            }
        }
    }
}
