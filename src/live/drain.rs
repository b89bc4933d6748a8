//! The tick's sweep over live cells: what changed goes into the draft of a frame.
//!
//! It looks at series that have news, and passes by the others, a chunk at a time. A chunk of which a series may be to
//! forget is visited as a whole; so are all when something is to be evicted, and each one once in a while. In the same
//! visit, cells of threads that are gone are folded, series that nobody holds and that have been idle for long are evicted
//! when room is needed, and evicted ones that history has forgotten are removed. The sweep holds a shard's lock for a few
//! series at a time. What the draft has no room for stays in the cells until the next tick.

use super::{
    Live,
    collect::Collector,
    ids::{id_of, pin_of},
    news::{CHUNK, Calm, unmark},
    registry::Registry,
    series::{Cells, END, Entry, Kind, Series},
    shard::Shard,
};
use crate::{
    ledger::{Ledger, Part},
    model::frame::{CLASSES, SeriesId, class_of},
    util::{
        bits::{low, ones},
        layout,
        sync::Arc,
    },
};
use std::{ops::Range, sync::atomic::Ordering::Relaxed};

/// What a sweep is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    /// Number of this tick, wrapping.
    pub(crate) tick: u32,
    /// Its end, in wall milliseconds of the axis.
    pub(crate) now_ms: i64,
    /// Number of the tick before.
    pub(crate) before: u32,
    /// By class: evicted series whose last change is more ticks ago are removed, as no point mentions them.
    pub(crate) forget_after: [u32; CLASSES],
    /// Series that nobody holds and whose last change is more ticks ago are evicted.
    pub(crate) evict_after: Option<u32>,
}

impl Sweep {
    /// Ticks after which history has forgotten a series.
    pub(super) fn forget_after(&self, id: SeriesId) -> u32 {
        let after = self.forget_after.get(class_of(id));
        after.copied().unwrap_or(u32::MAX)
    }
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Swept {
    /// Series with a point in the draft.
    pub(crate) points: u64,
    /// Series whose point had to wait for the next tick.
    pub(crate) waiting: u64,
    pub(crate) evicted: u64,
    /// Evicted series that some frame still mentions.
    pub(crate) ghosts: u64,
    pub(crate) forgotten: u64,
}

impl Live {
    /// Moves what was recorded since the last sweep into the collector's draft.
    pub(crate) fn sweep(&self, sweep: Sweep, collector: &mut Collector) -> Swept {
        let mut swept = Swept::default();
        collector.draft.clear();
        sweep_kind(&self.counters, sweep, collector, &mut swept);
        sweep_kind(&self.gauges, sweep, collector, &mut swept);
        sweep_kind(&self.histograms, sweep, collector, &mut swept);
        swept
    }
}

fn sweep_kind<K: Visit>(
    registry: &Registry<K>,
    sweep: Sweep,
    collector: &mut Collector,
    swept: &mut Swept,
) {
    registry.begin(sweep.tick, sweep.now_ms);
    let mut asked = 0;
    registry.visit(|shard, number, places| {
        let chunk = Chunk {
            number,
            asked: if places.start == 0 { 0 } else { asked },
            places,
        };
        asked = registry.sweep_chunk(shard, &chunk, sweep, collector, swept);
    });
    registry.bury();
}

/// Ticks after which another chunk of a shard is visited as a whole, without any reason. News are not lost: but a process
/// that was forked just as a thread of its parent told something would not hear of that cell.
const PATROL: u32 = 16;

/// Whether it is a chunk's turn to be visited as a whole. Numbers of ticks may have gaps, those of sweeps have none.
fn is_patrolled(sweeps: u32, shard: usize, chunk: usize, chunks: usize) -> bool {
    let turn = sweeps.wrapping_add(low(shard as u64));
    !cfg!(loom) && turn.is_multiple_of(PATROL) && (turn / PATROL) as usize % chunks.max(1) == chunk
}

/// Series ahead of which a sweep asks for what is one pointer behind what entries point to, and for what is two behind that.
const AHEAD: [usize; 2] = [8, 2];

impl<K: Visit> Shard<K> {
    /// Asks for what a sweep will read of the series at `at`: see [`Visit::prefetch`].
    #[inline(always)]
    fn prefetch(&self, at: usize, depth: usize) {
        if let Some(entry) = self.entries.get(at) {
            K::prefetch(entry, depth);
        }
    }
}

/// Neighbours in a shard.
struct Chunk {
    /// The shard's number.
    number: usize,
    places: Range<usize>,
    /// Those of them for which memory was asked already.
    asked: u64,
}

/// How a sweep visits one series of a kind.
pub(crate) trait Visit: Kind {
    /// How many pointers behind what an entry points to the last of what [`Visit::read`] reads lies.
    const DEPTH: usize = 0;

    /// Asks for what lies so many pointers behind what the entry points to.
    fn prefetch(entry: &Entry<Self>, depth: usize);

    /// Reads what changed into the draft. `None`: no room; what was not read stays for the next tick.
    fn read(entry: &mut Entry<Self>, id: SeriesId, again: bool, to: &mut Collector)
    -> Option<bool>;

    /// A cell is gone for good; what it counted goes to `carry`, or to the series' shared part.
    fn leave(cell: Self::Cell, series: &Series<Self>, carry: &mut u64);

    /// A cell takes over what others had that have left.
    fn take_over(_: &Self::Cell, _: u64) {}

    /// Cells have left: some remain and take over `carry`, or none do and the series is evicted.
    fn settle(entry: &mut Entry<Self>, id: SeriesId, carry: u64, to: &mut Collector);

    /// Whether threads still hold something of an evicted series; the tick must not forget it then.
    fn is_pinned(_: &Series<Self>) -> bool {
        false
    }

    /// Whether a tick has something to do with a series also when nothing comes to it.
    fn is_restless(_: &Entry<Self>) -> bool {
        false
    }

    /// Whether the draft has room for what [`Visit::settle`] may write.
    fn has_room(to: &mut Collector) -> bool;

    /// An evicted series is removed.
    fn retire(series: &Series<Self>, memory: &Self::Memory);

    /// Totals start again at zero, gauges have no value until they are set. Windows keep what they have. Cells are not
    /// written to: it is the memory that moves.
    fn reset(entry: &mut Entry<Self>);

    /// The memory of a series that starts anew with these cells: whatever they hold was before.
    fn anew(entry: &Entry<Self>, ledger: &Ledger) -> Self::Memory;

    /// Whether a series that started anew has been written to since.
    fn stirs(entry: &Entry<Self>) -> bool;

    /// A series has no cells any more; what threads share beside them is for nobody.
    fn cool(_: &Series<Self>, _: &Ledger) {}
}

impl<K: Visit> Registry<K> {
    /// Visits what has news in a chunk, or all of it. Gives the series of the next chunk for which memory was asked.
    ///
    /// The cells are all over the heap. So while one chunk is visited, those of the next in the shard are asked for, in step
    /// with the visits: memory answers more slowly than series are read, and not to any number of questions at once. Those of
    /// a first chunk are asked for in one go. What hangs on a cell is asked for when the cell itself has come, some series
    /// ahead.
    fn sweep_chunk(
        &self,
        shard: &mut Shard<K>,
        here: &Chunk,
        sweep: Sweep,
        to: &mut Collector,
        swept: &mut Swept,
    ) -> u64 {
        let Chunk {
            number,
            ref places,
            asked,
        } = *here;
        let chunk = places.start / CHUNK;
        let chunks = shard.calm.len();
        let Some(calm) = shard.calm.get(chunk).copied() else {
            return 0;
        };
        let all = calm.is_busy
            || sweep.evict_after.is_some()
            || is_patrolled(self.sweeps.load(Relaxed), number, chunk, chunks);
        let news = self.news.take(number, chunk);
        let visited = if all {
            u64::MAX >> (CHUNK - places.len().min(CHUNK))
        } else {
            news | calm.again
        };
        if visited == 0 {
            return 0;
        }
        ones(visited & !asked).for_each(|at| shard.prefetch(places.start + at, 0));
        let mut behind = AHEAD.map(|n| (n, ones(visited)));
        for (depth, (n, behind)) in (1..=K::DEPTH).zip(&mut behind) {
            let first = behind.by_ref().take(*n);
            first.for_each(|at| shard.prefetch(places.start + at, depth));
        }
        let next = self.awaited(shard, number, chunk + 1);
        let each = next.count_ones().div_ceil(visited.count_ones()) as usize;
        let mut ahead = ones(next);
        // Also if nothing came of it: who found that the cell had told, as that was taken back, may not be visible yet.
        let mut again = news;
        for at in ones(visited) {
            let ahead = ahead.by_ref().take(each);
            ahead.for_each(|at| shard.prefetch(places.end + at, 0));
            for (depth, (_, behind)) in (1..=K::DEPTH).zip(&mut behind) {
                if let Some(at) = behind.next() {
                    shard.prefetch(places.start + at, depth);
                }
            }
            let is_again = self.sweep_one(shard, number, places.start + at, sweep, to, swept);
            again |= u64::from(is_again) << at;
        }
        let batch = shard.entries.get(places.clone()).unwrap_or_default();
        // Only a visit of all can tell that there is none left.
        let is_busy = if all {
            let is_dead = |cells: &Cells<K>| matches!(cells, Cells::Ghost(_) | Cells::Tomb(_));
            batch.iter().any(|entry| is_dead(&entry.cells))
        } else {
            calm.is_busy
        };
        if let Some(there) = shard.calm.get_mut(chunk) {
            *there = Calm { again, is_busy };
        }
        next
    }

    /// Series of a chunk that will be visited, as far as one can tell without taking their news.
    fn awaited(&self, shard: &Shard<K>, number: usize, chunk: usize) -> u64 {
        let calm = shard.calm.get(chunk);
        calm.map_or(0, |calm| self.news.look(number, chunk) | calm.again)
    }

    /// Visits a series; whether the next tick is to look at it again, whether it has news or not.
    fn sweep_one(
        &self,
        shard: &mut Shard<K>,
        number: usize,
        at: usize,
        sweep: Sweep,
        to: &mut Collector,
        swept: &mut Swept,
    ) -> bool {
        let Some(entry) = shard.entries.get_mut(at) else {
            return false;
        };
        match entry.cells {
            Cells::Free(_) => return false,
            Cells::Tomb(_) => {
                self.sweep_tomb(shard, number, at, sweep, swept);
                return false;
            }
            _ => {}
        }
        let id = id_of(number, at, entry.class());
        let age = sweep.tick.wrapping_sub(entry.touched);
        let again = entry.touched == sweep.before;
        for cell in entry.cells.as_slice() {
            unmark::<K>(cell, pin_of(id));
        }
        match K::read(entry, id, again, to) {
            None => {
                swept.waiting += 1;
                if again {
                    // The second look that this was is still to come.
                    entry.touched = sweep.tick;
                }
                true
            }
            Some(true) => {
                entry.touched = sweep.tick;
                swept.points += 1;
                if entry.is_dormant() {
                    Self::wake(entry);
                }
                // A series that is never idle has cells of threads that are gone, too.
                if let Cells::Many(..) = entry.cells {
                    self.take_apart(entry, id, false, sweep, to, swept);
                }
                true
            }
            Some(false) => {
                // Cells of threads that are gone wait for the patrol, which models have not.
                let waits = cfg!(loom) && matches!(entry.cells, Cells::Many(..));
                let is_restless = waits || K::is_restless(entry);
                self.sweep_idle(shard, id, at, sweep, age, to, swept) || is_restless
            }
        }
    }

    #[inline]
    #[expect(
        clippy::too_many_arguments,
        reason = "the hot part of the sweep, split by concept"
    )]
    fn sweep_idle(
        &self,
        shard: &mut Shard<K>,
        id: SeriesId,
        at: usize,
        sweep: Sweep,
        age: u32,
        to: &mut Collector,
        swept: &mut Swept,
    ) -> bool {
        let Some(entry) = shard.entries.get_mut(at) else {
            return false;
        };
        let is_evictable = sweep.evict_after.is_some_and(|after| age > after);
        match &entry.cells {
            Cells::Ghost(series) => {
                if age > sweep.forget_after(id) && !K::is_pinned(series) {
                    K::retire(series, &entry.memory);
                    self.forget(shard, at);
                    swept.forgotten += 1;
                } else {
                    swept.ghosts += 1;
                }
                false
            }
            Cells::Many(..) => self.take_apart(entry, id, is_evictable, sweep, to, swept),
            Cells::One(..) => is_evictable && self.take_apart(entry, id, true, sweep, to, swept),
            Cells::Free(_) | Cells::Tomb(_) => false,
        }
    }

    /// Takes cells out that nobody holds: with `all`, every one, else those whose thread is gone. Whether there was any: what it
    /// had last goes to what is left, for the next tick.
    #[cold]
    fn take_apart(
        &self,
        entry: &mut Entry<K>,
        id: SeriesId,
        all: bool,
        sweep: Sweep,
        to: &mut Collector,
        swept: &mut Swept,
    ) -> bool {
        let Some(series) = entry.cells.series().cloned() else {
            return false;
        };
        if !K::has_room(to) {
            return false;
        }
        let mut carry = 0;
        let mut left = false;
        let mut take = |cell: Arc<K::Cell>, left: &mut bool| -> Result<(), Arc<K::Cell>> {
            let cell = self.unwrap_cell(id, cell)?;
            let hung = K::hangs_on(&cell);
            K::leave(cell, &series, &mut carry);
            self.ledger.release(K::HUNG, hung);
            self.ledger
                .release(Part::Series, Series::<K>::beside(&series.name));
            *left = true;
            Ok(())
        };
        entry.cells = match std::mem::replace(&mut entry.cells, Cells::Free(END)) {
            Cells::One(_, cell) if all && Arc::strong_count(&cell) == 1 => {
                match take(cell, &mut left) {
                    Ok(()) => Cells::Ghost(series.clone()),
                    Err(cell) => Cells::One(series.clone(), cell),
                }
            }
            Cells::Many(_, mut cells) => {
                let mut at = cells.len();
                while at > 0 && cells.len() > 1 {
                    at -= 1;
                    let is_gone = |cell: &Arc<K::Cell>| {
                        Arc::strong_count(cell) == 1 && (all || Arc::weak_count(cell) == 0)
                    };
                    if cells.get(at).is_some_and(is_gone)
                        && let Err(cell) = take(cells.swap_remove(at), &mut left)
                    {
                        cells.push(cell);
                    }
                }
                self.few(series.clone(), cells)
            }
            other => other,
        };
        drop(series);
        if left {
            K::settle(entry, id, carry, to);
            // What is left has something new, whether it looks so or not.
            entry.touched = sweep.tick;
            if let Cells::Ghost(series) = &entry.cells {
                self.retract_live(&series.name);
                self.evicted.fetch_add(1, Relaxed);
                swept.evicted += 1;
            }
        }
        left
    }

    /// One cell needs no list.
    #[expect(clippy::box_collection, reason = "as in `Cells`")]
    pub(super) fn few(
        &self,
        series: Arc<Series<K>>,
        mut cells: Box<Vec<Arc<K::Cell>>>,
    ) -> Cells<K> {
        if cells.len() > 1 {
            return Cells::Many(series, cells);
        }
        let Some(cell) = cells.pop() else {
            return Cells::Many(series, cells);
        };
        let bytes = layout::vec::<Arc<K::Cell>>(cells.capacity()) + size_of::<Vec<Arc<K::Cell>>>();
        drop(cells);
        self.ledger.release(Part::Series, bytes);
        Cells::One(series, cell)
    }
}
