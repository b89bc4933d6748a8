//! Cells that are dead and not yet free: a sleeping thread's cache still pins their memory.

use super::{
    registry::{Registry, pin_of},
    series::{Kind, PINNED_AT_BURIAL, PINNED_AT_EVICTION},
};
use crate::{
    ledger::Part,
    model::frame::SeriesId,
    util::{layout, sync::Arc},
};

/// Memory of an evicted cell that a cache still pins.
pub(super) struct Zombie {
    id: SeriesId,
    bytes: usize,
}

impl<K: Kind> Registry<K> {
    /// Takes a cell apart that nobody holds. `Err`: somebody does, or a cache pins it and there is no room to remember
    /// that. What nobody pins needs no room: eviction must work when there is none left.
    pub(crate) fn unwrap_cell(
        &self,
        id: SeriesId,
        cell: Arc<K::Cell>,
    ) -> Result<K::Cell, Arc<K::Cell>> {
        let bytes = layout::arc::<K::Cell>();
        let pins = self.pins.word(pin_of(id));
        let is_pinned = || pins.is_some_and(|pins| pins.load(PINNED_AT_EVICTION) > 0);
        let mut zombies = self.zombies.lock();
        if is_pinned() && !self.has_place(&mut zombies) {
            return Err(cell);
        }
        let cell = Arc::try_unwrap(cell)?;
        // Pinned only since the question above, and no room: its few bytes are given back before they are free.
        if is_pinned() && self.has_place(&mut zombies) {
            zombies.push(Zombie { id, bytes });
        } else {
            self.ledger.release(Part::Series, bytes);
        }
        Ok(cell)
    }

    /// Sees to it that one more zombie can be remembered; false: no room.
    fn has_place(&self, zombies: &mut Vec<Zombie>) -> bool {
        if zombies.len() < zombies.capacity() {
            return true;
        }
        let before = layout::vec::<Zombie>(zombies.capacity());
        let larger = layout::grown(zombies.capacity());
        let bytes = layout::vec::<Zombie>(larger);
        if self.ledger.reserve(Part::Caches, bytes).is_err() {
            return false;
        }
        layout::regrow(zombies, larger);
        self.ledger.release(Part::Caches, before);
        true
    }

    /// Gives back what no cache pins any more. A slot pins one cell, so a series has no more dead ones than pins, even
    /// if some of these are for its next cell.
    pub(crate) fn bury(&self) {
        let mut zombies = self.zombies.lock();
        zombies.sort_unstable_by_key(|zombie| zombie.id);
        let mut last = None;
        let mut pins = 0;
        zombies.retain(|zombie| {
            if last.replace(zombie.id) != Some(zombie.id) {
                let word = self.pins.word(pin_of(zombie.id));
                pins = word.map_or(0, |word| word.load(PINNED_AT_BURIAL));
            }
            let may_be_pinned = pins > 0;
            pins = pins.saturating_sub(1);
            if !may_be_pinned {
                self.ledger.release(Part::Series, zombie.bytes);
            }
            may_be_pinned
        });
        if zombies.is_empty() && zombies.capacity() > 0 {
            let bytes = layout::vec::<Zombie>(zombies.capacity());
            *zombies = Vec::new();
            self.ledger.release(Part::Caches, bytes);
        }
    }
}
