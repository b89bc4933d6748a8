//! Cells that are dead and not yet free: a sleeping thread's cache still pins their memory.

use super::{
    ids::pin_of,
    registry::Registry,
    series::{
        HANDLES_GONE, Kind, LIVING_COUNTED, PINNED_AT_BURIAL, PINNED_AT_EVICTION, PINS_KNOWN,
    },
};
use crate::{
    ledger::{Full, Part},
    model::frame::SeriesId,
    util::{
        layout,
        sync::{Arc, fence},
    },
};
use std::sync::atomic::Ordering::Relaxed;

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
        // The shard is locked and the caller saw that nobody holds the cell, so nobody can make another `Weak` of it.
        fence(HANDLES_GONE);
        let is_known = Arc::weak_count(&cell) > 0;
        let is_pinned = || is_known && pins.is_some_and(|pins| pins.load(PINNED_AT_EVICTION) > 0);
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

    /// Charges living cells a second time, under an id that is theirs no more, for as long as slots pin them under it.
    pub(super) fn haunt(&self, id: SeriesId, cells: &[Arc<K::Cell>]) -> Result<(), Full> {
        let pins = self.pins.word(pin_of(id));
        if pins.is_none_or(|pins| pins.load(PINNED_AT_EVICTION) == 0) {
            return Ok(());
        }
        let bytes = layout::arc::<K::Cell>();
        let mut zombies = self.zombies.lock();
        for done in 0..cells.len() {
            let room = self.has_place(&mut zombies);
            if !room || self.ledger.reserve(Part::Series, bytes).is_err() {
                let before = zombies.len() - done;
                zombies.truncate(before);
                self.ledger.release(Part::Series, done * bytes);
                return Err(Full);
            }
            zombies.push(Zombie { id, bytes });
        }
        Ok(())
    }

    /// Sees to it that one more zombie can be remembered; false: no room. The list is the tick's, for which there is room
    /// also when live data have all that they may have: that is when cells must go.
    fn has_place(&self, zombies: &mut Vec<Zombie>) -> bool {
        if zombies.len() < zombies.capacity() {
            return true;
        }
        let before = layout::vec::<Zombie>(zombies.capacity());
        let larger = layout::grown(zombies.capacity());
        let bytes = layout::vec::<Zombie>(larger);
        if self.ledger.reserve(Part::Tick, bytes).is_err() {
            return false;
        }
        layout::regrow(zombies, larger);
        self.ledger.release(Part::Tick, before);
        true
    }

    /// Pins of a series that are for cells that are dead: all, but for the `Weak`s of the living. A slot that goes
    /// meanwhile makes this one too many; one that comes might make it too few, and then all count as pinned.
    fn pins_of_dead(&self, id: SeriesId) -> usize {
        let added = self.pins.added.load(PINS_KNOWN);
        let word = self.pins.word(pin_of(id));
        let pins = word.map_or(0, |word| word.load(PINNED_AT_BURIAL) as usize);
        let living = self.with(id, |entry| {
            let cells = entry.cells.as_slice().iter();
            cells.map(Arc::weak_count).sum::<usize>()
        });
        fence(LIVING_COUNTED);
        if self.pins.added.load(Relaxed) != added {
            return usize::MAX;
        }
        pins.saturating_sub(living.unwrap_or(0))
    }

    /// Gives back what no cache pins any more. A slot pins one cell, so a series has no more dead ones than pins.
    pub(crate) fn bury(&self) {
        let mut zombies = self.zombies.lock();
        zombies.sort_unstable_by_key(|zombie| pin_of(zombie.id));
        let mut last = None;
        let mut pins = 0;
        zombies.retain(|zombie| {
            let pin = pin_of(zombie.id);
            if last.replace(pin) != Some(pin) {
                pins = self.pins_of_dead(zombie.id);
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
            self.ledger.release(Part::Tick, bytes);
        }
    }
}
