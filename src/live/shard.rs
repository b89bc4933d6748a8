//! One shard of a kind's series: their entries, by place and by key.

use super::{
    ids::{PLACE_BITS, id_of},
    news::{CHUNK, Calm},
    registry::Grant,
    series::{Cells, END, Entry, Kind},
};
use crate::{
    ledger::{Full, Ledger, Part},
    util::{bits::low, layout, table::Table},
};

/// Series of one shard, found by their keys' hash.
pub(crate) struct Shard<K: Kind> {
    pub(crate) entries: Vec<Entry<K>>,
    /// Of each chunk of entries.
    pub(super) calm: Vec<Calm>,
    pub(super) table: Table,
    /// First free place in `entries`, or [`END`].
    pub(super) free: u32,
}

impl<K: Kind> Shard<K> {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            calm: Vec::new(),
            table: Table::new(),
            free: END,
        }
    }

    /// The place of a series.
    pub(super) fn find(&self, hash: u64, name: &str, labels: &[u8]) -> Option<u32> {
        self.table.find(low(hash), |at| {
            let series = self.entries.get(at as usize).and_then(|e| e.cells.series());
            series.is_some_and(|series| series.is(name, labels))
        })
    }

    /// A cell of the series at a place: the thread's own, or else the first.
    pub(super) fn grant(&self, number: usize, at: u32, me: u32) -> Option<Grant<K>> {
        let entry = self.entries.get(at as usize)?;
        let cells = entry.cells.as_slice();
        let mine = cells.iter().find(|cell| K::owner(cell) == me);
        Some(Grant {
            cell: mine.or(cells.first())?.clone(),
            id: Some(id_of(number, at as usize, entry.class())),
        })
    }

    /// Where the next series goes.
    pub(super) fn vacant(&self) -> Result<u32, Full> {
        let at = match self.free {
            END => u32::try_from(self.entries.len()).map_err(|_| Full)?,
            free => free,
        };
        if at < (1 << PLACE_BITS) - 1 {
            Ok(at)
        } else {
            Err(Full)
        }
    }

    /// Bytes to reserve before there is something at the place `at`; with any, [`grow`](Self::grow) is to be called.
    pub(super) fn growth(&self, at: u32) -> usize {
        let capacity = self.entries.capacity();
        if at as usize == capacity {
            Self::room(layout::grown(capacity))
        } else {
            0
        }
    }

    /// Moves to where there is more room.
    pub(super) fn grow(&mut self, ledger: &Ledger) {
        let before = self.entries.capacity();
        let larger = layout::grown(before);
        layout::regrow(&mut self.entries, larger);
        layout::regrow(&mut self.calm, larger.div_ceil(CHUNK));
        ledger.release(Part::Index, Self::room(before));
    }

    /// Bytes of so many places.
    fn room(capacity: usize) -> usize {
        layout::vec::<Entry<K>>(capacity) + layout::vec::<Calm>(capacity.div_ceil(CHUNK))
    }

    /// The next tick is to look at the series at `at`, whether it has news or not.
    pub(super) fn look_again(&mut self, at: u32) {
        let at = at as usize;
        if let Some(calm) = self.calm.get_mut(at / CHUNK) {
            calm.again |= 1 << (at % CHUNK);
        }
    }

    /// Every tick is to look at the chunk of the place `at`, until it finds nothing to do there.
    pub(super) fn visit_each_tick(&mut self, at: u32) {
        if let Some(calm) = self.calm.get_mut(at as usize / CHUNK) {
            calm.is_busy = true;
        }
    }

    pub(super) fn put(&mut self, at: u32, entry: Entry<K>) {
        if self.calm.len() <= at as usize / CHUNK {
            self.calm.push(Calm::UNKNOWN);
        }
        self.look_again(at);
        match self.entries.get_mut(at as usize) {
            Some(place) => {
                if let Cells::Free(next) = place.cells {
                    self.free = next;
                }
                *place = entry;
            }
            None => self.entries.push(entry),
        }
    }
}

/// Inserts into a table whose growth the caller has reserved, and gives back what the old one took.
pub(super) fn insert(table: &mut Table, hash: u32, at: u32, ledger: &Ledger) {
    let before = table.bytes();
    table.insert(hash, at);
    if table.bytes() != before {
        ledger.release(Part::Index, before);
    }
}
