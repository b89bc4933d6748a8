//! Series that come, or come back, and cells that they get: all or nothing, within the limits and the ledger.

use super::{
    ids::{id_of, pin_of},
    key,
    marks::Marks,
    name::{Grain, Member, Name},
    registry::Registry,
    series::{Cells, END, Entry, Kind, Series},
    shard::{Shard, insert},
};
use crate::{
    ledger::{Full, Part},
    model::frame::SeriesId,
    util::{bits::low, fork, layout, sync::Arc},
};
use std::sync::atomic::Ordering::Relaxed;

/// Whether a thread needs no cell of its own beside this one. Millionths have no owner, or each hit would ask for one.
fn belongs<K: Kind>(cell: &K::Cell, me: u32) -> bool {
    K::owner(cell) == me || K::series(cell).name.grain != Grain::Whole
}

/// A series that is asked for, and made if there is none.
pub(super) struct Wanted<'a> {
    /// Canonical bytes.
    pub(super) labels: &'a [u8],
    /// Of name and labels.
    pub(super) hash: u64,
    /// Its retention class, if it is new.
    pub(super) class: usize,
    /// The thread that owns its cell, if it is new.
    pub(super) me: u32,
}

impl<K: Kind> Registry<K> {
    /// Sees to it that the series at `at` has a cell, and with `own`, if there is room, one of this thread's.
    pub(super) fn enter(
        &self,
        shard: &mut Shard<K>,
        number: usize,
        at: u32,
        me: u32,
        own: bool,
    ) -> Result<(), Full> {
        let entry = shard.entries.get_mut(at as usize).ok_or(Full)?;
        if let Cells::Ghost(series) = &entry.cells {
            let series = series.clone();
            self.admit_live(&series.name)?;
            let bytes = Series::<K>::cell_bytes(&series.name);
            if let Err(full) = self.ledger.reserve(Part::Series, bytes) {
                self.retract_live(&series.name);
                return Err(full);
            }
            let pin = pin_of(id_of(number, at as usize, entry.class()));
            let cell = K::cell(me, series.clone(), pin);
            K::revive(&cell, &entry.memory);
            entry.cells = Cells::One(series, Arc::new(cell));
            entry.touched = self.now.load(Relaxed);
            shard.look_again(at);
        } else if own && !entry.cells.as_slice().iter().any(|c| belongs::<K>(c, me)) {
            // Without room the thread goes on with a foreign cell.
            let pin = pin_of(id_of(number, at as usize, entry.class()));
            let _ = self.promote(entry, me, pin);
            shard.look_again(at);
        }
        Ok(())
    }

    /// Gives the thread `me` a cell of its own.
    fn promote(&self, entry: &mut Entry<K>, me: u32, pin: u32) -> Result<(), Full> {
        let Some(series) = entry.cells.series().cloned() else {
            return Err(Full);
        };
        let (len, capacity) = match &entry.cells {
            Cells::Many(_, cells) => (cells.len(), cells.capacity()),
            _ => (1, 0),
        };
        let larger = capacity + 4;
        let room = match capacity {
            0 => layout::vec::<Arc<K::Cell>>(larger) + size_of::<Vec<Arc<K::Cell>>>(),
            _ if len == capacity => layout::vec::<Arc<K::Cell>>(larger),
            _ => 0,
        };
        let bytes = Series::<K>::cell_bytes(&series.name);
        self.ledger.reserve(Part::Series, bytes + room)?;
        let cell = Arc::new(K::cell(me, series, pin));
        match std::mem::replace(&mut entry.cells, Cells::Free(END)) {
            Cells::Many(series, mut cells) => {
                if room > 0 {
                    layout::regrow(&mut cells, larger);
                    self.ledger
                        .release(Part::Series, layout::vec::<Arc<K::Cell>>(capacity));
                }
                cells.push(cell);
                entry.cells = Cells::Many(series, cells);
            }
            Cells::One(series, first) => {
                let mut cells = Vec::with_capacity(larger);
                cells.push(first);
                cells.push(cell);
                entry.cells = Cells::Many(series, Box::new(cells));
            }
            other => entry.cells = other,
        }
        Ok(())
    }

    /// Adds a series, all or nothing; gives its place.
    pub(super) fn admit(
        &self,
        shard: &mut Shard<K>,
        number: usize,
        name: &Arc<Name>,
        wanted: &Wanted<'_>,
    ) -> Result<u32, Full> {
        let Wanted { labels, class, .. } = *wanted;
        let at = shard.vacant()?;
        if labels != key::OVERFLOW {
            self.admit_live(name)?;
        }
        let id = id_of(number, at as usize, class);
        let entries = shard.growth(at);
        let table = shard.table.needs().unwrap_or(0);
        let words = self.growth(id);
        let mut members = fork::lock(&name.members).ok_or(Full)?;
        let index = entries + table + words.iter().sum::<usize>() + members.growth();
        let own = Series::<K>::bytes(labels) + Series::<K>::cell_bytes(name);
        let reserved = self.ledger.reserve(Part::Series, own).and_then(|()| {
            let index = self.ledger.reserve(Part::Index, index);
            index.inspect_err(|_| self.ledger.release(Part::Series, own))
        });
        if let Err(full) = reserved {
            drop(members);
            if labels != key::OVERFLOW {
                self.retract_live(name);
            }
            return Err(full);
        }
        self.grow(id, words);
        let marks = Marks::of_all(&self.seed, labels);
        let place = members.add(Member { id, marks }, &self.ledger);
        drop(members);
        if entries > 0 {
            shard.grow(&self.ledger);
        }
        insert(&mut shard.table, low(wanted.hash), at, &self.ledger);
        self.classes.enter(class);
        let series = Arc::new(Series {
            name: name.clone(),
            labels: labels.into(),
            shared: K::Shared::default(),
        });
        name.come_back();
        let cell = K::cell(wanted.me, series, pin_of(id));
        let mut entry = Entry::new(cell, place, class, self.now.load(Relaxed));
        K::begin(&mut entry.memory, self.now_ms());
        shard.put(at, entry);
        Ok(at)
    }

    /// Bytes to reserve so that an id has its pin and its bit.
    pub(super) fn growth(&self, id: SeriesId) -> [usize; 2] {
        let pin = pin_of(id);
        [self.pins.growth(pin), self.news.growth(pin)]
    }

    /// Gives an id its pin and its bit, for which these bytes were reserved.
    pub(super) fn grow(&self, id: SeriesId, [pins, news]: [usize; 2]) {
        let pin = pin_of(id);
        if pins > 0 && !self.pins.grow(pin) {
            self.ledger.release(Part::Index, pins);
        }
        if news > 0 && !self.news.grow(pin) {
            self.ledger.release(Part::Index, news);
        }
    }

    /// One more live series of `name`, if its limit allows.
    fn admit_live(&self, name: &Name) -> Result<(), Full> {
        let mut members = fork::lock(&name.members).ok_or(Full)?;
        if members.live >= self.limits.series_per_metric {
            return Err(Full);
        }
        members.live += 1;
        members.changed();
        self.live.fetch_add(1, Relaxed);
        Ok(())
    }

    pub(crate) fn retract_live(&self, name: &Name) {
        if let Some(mut members) = fork::lock(&name.members) {
            members.live = members.live.saturating_sub(1);
            members.changed();
        }
        self.live.fetch_sub(1, Relaxed);
    }
}
