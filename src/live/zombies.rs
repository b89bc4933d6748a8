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
    /// Takes cells apart that nobody holds. `None`: somebody does, or there is no room to remember who pins it.
    /// `fold` receives each cell's content.
    pub(crate) fn unwrap_cell(
        &self,
        id: SeriesId,
        cell: Arc<K::Cell>,
    ) -> Result<K::Cell, Arc<K::Cell>> {
        let bytes = layout::arc::<K::Cell>();
        let mut zombies = self.zombies.lock();
        if zombies.len() == zombies.capacity() {
            let before = layout::vec::<Zombie>(zombies.capacity());
            let larger = layout::grown(zombies.capacity());
            let room = self
                .ledger
                .reserve(Part::Caches, layout::vec::<Zombie>(larger));
            if room.is_err() {
                return Err(cell);
            }
            layout::regrow(&mut zombies, larger);
            self.ledger.release(Part::Caches, before);
        }
        let cell = Arc::try_unwrap(cell)?;
        let pinned = self
            .pins
            .word(pin_of(id))
            .is_some_and(|pins| pins.load(PINNED_AT_EVICTION) > 0);
        if pinned {
            zombies.push(Zombie { id, bytes });
        } else {
            self.ledger.release(Part::Series, bytes);
        }
        Ok(cell)
    }

    /// Gives back what no cache pins any more.
    pub(crate) fn bury(&self) {
        let mut zombies = self.zombies.lock();
        zombies.retain(|zombie| {
            let pinned = self
                .pins
                .word(pin_of(zombie.id))
                .is_some_and(|pins| pins.load(PINNED_AT_BURIAL) > 0);
            if !pinned {
                self.ledger.release(Part::Series, zombie.bytes);
            }
            pinned
        });
        if zombies.is_empty() && zombies.capacity() > 0 {
            let bytes = layout::vec::<Zombie>(zombies.capacity());
            *zombies = Vec::new();
            self.ledger.release(Part::Caches, bytes);
        }
    }
}
