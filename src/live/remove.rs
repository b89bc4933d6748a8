//! Reset and delete: what a series was is over, and whoever holds a handle of it does not notice.
//!
//! Both happen between two sweeps, under the lock of a shard. Nothing is written into cells, but that a deleted gauge has no
//! value: a reset moves what the tick remembers, and a delete gives the cells that somebody holds another id. The old id
//! stays a tomb until no point of history mentions it.

use super::{
    Name,
    drain::{Sweep, Swept, Visit},
    ids::{id_of, pin_of, split_id},
    key::OVERFLOW,
    news::unmark,
    registry::Registry,
    series::{Cells, END, Entry, Series},
    shard::{Shard, insert},
};
use crate::{
    ledger::{Full, Part},
    model::frame::SeriesId,
    util::{bits::low, fork, sync::Arc},
};
use std::sync::atomic::Ordering::Relaxed;

impl<K: Visit> Registry<K> {
    /// Whether there is something to show of a metric.
    pub(crate) fn shows(&self, name: &Name) -> bool {
        if name.is_unused() {
            return false;
        }
        !name.is_gone() || self.some_member(name, |entry| is_shown(entry, name))
    }

    /// All that was of a metric is deleted.
    pub(crate) fn go(&self, name: &Name) {
        name.go();
        // A series that was registered meanwhile said that the metric is there, and was not heard.
        if self.some_member(name, |entry| is_shown(entry, name)) {
            name.come_back();
        }
    }

    /// Its series were deleted, some after the other: a metric of which nothing is left is gone. What series had that were
    /// forgotten before is left.
    pub(crate) fn go_if_empty(&self, name: &Name) {
        let is_empty = !self.some_member(name, |entry| is_shown(entry, name));
        if is_empty && name.retired.load(Relaxed) == 0 {
            self.go(name);
        }
    }

    /// Whether a member of a name is so.
    fn some_member(&self, name: &Name, is_so: impl Fn(&Entry<K>) -> bool) -> bool {
        let mut some = false;
        name.for_each_member(self.marks_of(std::iter::empty()), |id| {
            some = some || self.with(id, |entry| is_so(entry)).unwrap_or(false);
        });
        some
    }

    /// Totals start again at zero. The caller sees to it that no sweep runs.
    pub(crate) fn reset(&self, id: SeriesId) {
        let (number, at) = split_id(id);
        let Some(mut shard) = self.shards.get(number).and_then(fork::lock) else {
            return;
        };
        if let Some(entry) = shard.entries.get_mut(at) {
            // After the reset nobody can tell any more that it has been written to.
            if entry.is_dormant() && K::stirs(entry) {
                Self::wake(entry);
            }
            K::reset(entry);
            K::begin(&mut entry.memory, self.now_ms());
            shard.look_again(low(at as u64));
        }
    }

    /// The series is gone, with all that history has of it; what is recorded through a handle that somebody holds is a new
    /// series of the same key. The caller sees to it that no sweep runs.
    ///
    /// # Errors
    ///
    /// [`Full`] when somebody holds a handle and there is no room for the new series; nothing has changed then.
    pub(crate) fn delete(&self, id: SeriesId) -> Result<(), Full> {
        let (number, at) = split_id(id);
        let Some(shard) = self.shards.get(number) else {
            return Ok(());
        };
        let Some(mut shard) = fork::lock(shard) else {
            return Ok(());
        };
        let Some(entry) = shard.entries.get_mut(at) else {
            return Ok(());
        };
        let Some(series) = entry.cells.series().cloned() else {
            return Ok(());
        };
        let was_live = !entry.cells.as_slice().is_empty();
        self.drop_what_nobody_holds(id, entry);
        if !entry.cells.as_slice().is_empty() {
            drop(series);
            return self.part(&mut shard, number, at);
        }
        self.unlink(&mut shard, at, &series);
        if was_live && *series.labels != *OVERFLOW {
            self.retract_live(&series.name);
        }
        K::cool(&series, &self.ledger);
        let Some(entry) = shard.entries.get_mut(at) else {
            return Ok(());
        };
        if entry.is_dormant() {
            entry.set_dormant(false);
            wake_one(&series.name);
        }
        entry.touched = self.now.load(Relaxed);
        entry.memory = K::Memory::default();
        entry.cells = Cells::Tomb(Some(series));
        shard.visit_each_tick(low(at as u64));
        Ok(())
    }

    /// Takes apart the cells that nobody holds. What they had goes to one that is left, as the delete may fail.
    fn drop_what_nobody_holds(&self, id: SeriesId, entry: &mut Entry<K>) {
        let Some(series) = entry.cells.series().cloned() else {
            return;
        };
        let mut carry = 0;
        let mut take = |cell: Arc<K::Cell>| -> Result<(), Arc<K::Cell>> {
            let cell = self.unwrap_cell(id, cell)?;
            let hung = K::hangs_on(&cell);
            let beside = Series::<K>::beside(&series.name);
            K::leave(cell, &series, &mut carry);
            self.ledger.release(K::HUNG, hung);
            self.ledger.release(Part::Series, beside);
            Ok(())
        };
        let is_free = |cell: &Arc<K::Cell>| Arc::strong_count(cell) == 1;
        if let Cells::Many(_, cells) = &mut entry.cells {
            let mut at = cells.len();
            while at > 0 && cells.len() > 1 {
                at -= 1;
                if cells.get(at).is_some_and(is_free)
                    && let Err(cell) = take(cells.swap_remove(at))
                {
                    cells.push(cell);
                }
            }
        }
        entry.cells = match std::mem::replace(&mut entry.cells, Cells::Free(END)) {
            Cells::Many(series, cells) => self.few(series, cells),
            other => other,
        };
        entry.cells = match std::mem::replace(&mut entry.cells, Cells::Free(END)) {
            Cells::One(series, cell) if is_free(&cell) => match take(cell) {
                Ok(()) => Cells::Ghost(series),
                Err(cell) => Cells::One(series, cell),
            },
            other => other,
        };
        if let Some(cell) = entry.cells.as_slice().first() {
            K::take_over(cell, carry);
        }
    }

    /// Nobody finds the series at `at` by its key or its name any more.
    fn unlink(&self, shard: &mut Shard<K>, at: usize, series: &Series<K>) {
        let hash = self.hash(&series.name.text, &series.labels);
        shard
            .table
            .remove(low(hash), u32::try_from(at).unwrap_or(END));
        if let Some(entry) = shard.entries.get(at)
            && let Some(mut members) = fork::lock(&series.name.members)
        {
            members.remove(entry.place());
        }
        self.forgotten.fetch_add(1, Relaxed);
    }

    /// Gives the cells of the series at `at` another id, under which they start anew.
    fn part(&self, shard: &mut Shard<K>, number: usize, at: usize) -> Result<(), Full> {
        let (to, id) = self.vacancy(shard, number, at)?;
        let now = self.now.load(Relaxed);
        let Some(entry) = shard.entries.get_mut(at) else {
            return Err(Full);
        };
        let Some(series) = entry.cells.series().cloned() else {
            return Err(Full);
        };
        let mut memory = K::anew(entry, &self.ledger);
        K::begin(&mut memory, self.now_ms());
        let cells = std::mem::replace(&mut entry.cells, Cells::Tomb(None));
        let (place, class) = (entry.place(), entry.class());
        let slept = entry.is_dormant();
        entry.set_dormant(false);
        entry.touched = now;
        entry.memory = K::Memory::default();
        self.classes.enter(class);
        let hash = self.hash(&series.name.text, &series.labels);
        shard
            .table
            .remove(low(hash), u32::try_from(at).unwrap_or(END));
        insert(&mut shard.table, low(hash), to, &self.ledger);
        if let Some(mut members) = fork::lock(&series.name.members) {
            members.rename(place, id);
            members.asleep += usize::from(!slept);
        }
        if *series.labels == *OVERFLOW {
            series.name.forget_overflow();
        }
        // What its cells tell from now on, they tell of the new id.
        for cell in cells.as_slice() {
            unmark::<K>(cell, pin_of(id));
        }
        shard.put(to, Entry::moved(cells, memory, place, class, now));
        shard.visit_each_tick(low(at as u64));
        self.forgotten.fetch_add(1, Relaxed);
        Ok(())
    }

    /// A place for the cells of the series at `at`, and the id that comes with it, all reserved. Slots of caches go on pinning
    /// these cells under the old id; so they are charged under it, too, for as long as there are such slots.
    fn vacancy(
        &self,
        shard: &mut Shard<K>,
        number: usize,
        at: usize,
    ) -> Result<(u32, SeriesId), Full> {
        let entry = shard.entries.get(at).ok_or(Full)?;
        let old = id_of(number, at, entry.class());
        let to = shard.vacant()?;
        let id = id_of(number, to as usize, entry.class());
        let entries = shard.growth(to);
        let words = self.growth(id);
        let bytes = entries + words.iter().sum::<usize>();
        self.ledger.reserve(Part::Index, bytes)?;
        if self.haunt(old, entry.cells.as_slice()).is_err() {
            self.ledger.release(Part::Index, bytes);
            return Err(Full);
        }
        self.grow(id, words);
        if entries > 0 {
            shard.grow(&self.ledger);
        }
        Ok((to, id))
    }

    /// A series that started anew has been written to.
    pub(super) fn wake(entry: &mut Entry<K>) {
        entry.set_dormant(false);
        if let Some(series) = entry.cells.series() {
            let name = &series.name;
            wake_one(name);
            name.come_back();
            if *series.labels == *OVERFLOW {
                name.use_overflow();
            }
        }
    }

    /// Frees the id of a deleted series when no point mentions it any more.
    pub(super) fn sweep_tomb(
        &self,
        shard: &mut Shard<K>,
        number: usize,
        at: usize,
        sweep: Sweep,
        swept: &mut Swept,
    ) {
        let Some(entry) = shard.entries.get_mut(at) else {
            return;
        };
        let id = id_of(number, at, entry.class());
        let Cells::Tomb(series) = &mut entry.cells else {
            return;
        };
        if let Some(gone) = series.take_if(|series| !K::is_pinned(series)) {
            let bytes = Series::<K>::bytes(&gone.labels);
            let hung = K::hangs_on_series(&gone);
            drop(gone);
            self.ledger.release(Part::Series, bytes);
            self.ledger.release(Part::Pages, hung);
        }
        let age = sweep.tick.wrapping_sub(entry.touched);
        if series.is_some() || age <= sweep.forget_after(id) {
            swept.ghosts += 1;
            return;
        }
        self.classes.leave(entry.class());
        entry.cells = Cells::Free(shard.free);
        shard.free = u32::try_from(at).unwrap_or(END);
        swept.forgotten += 1;
    }
}

/// A series of `name` is dormant no more.
fn wake_one(name: &Name) {
    if let Some(mut members) = fork::lock(&name.members) {
        members.asleep = members.asleep.saturating_sub(1);
        members.changed();
    }
}

/// Whether there is something to show of a series of `name`.
pub(crate) fn is_shown<K: Visit>(entry: &Entry<K>, name: &Name) -> bool {
    if entry.is_dormant() {
        return K::stirs(entry);
    }
    let series = entry.cells.series();
    series.is_some_and(|series| !name.hides(&series.labels))
}
