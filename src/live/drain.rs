//! The tick's sweep over live cells: what changed goes into the draft of a frame.
//!
//! In the same visit, cells of threads that are gone are folded, series that nobody holds and that have been idle for
//! long are evicted when room is needed, and evicted ones that history has forgotten are removed. The sweep holds a
//! shard's lock for a few series at a time. What the draft has no room for stays in the cells until the next tick.

use super::{
    Counter, Gauge, Histogram, Live,
    buckets::Receive,
    counter::{self, CounterCell},
    gauge::{GaugeMemory, GaugeReading},
    histogram::{Gathered, HistogramCell, two_sum},
    registry::{Registry, Shard, id_of},
    series::{Cells, END, Entry, Kind, Series},
    stripes::Stripes,
};
use crate::{
    codec::distribution::{self, MOST_SPANS},
    ledger::{Ledger, Part},
    model::{
        frame::{Draft, GaugePoint, HistogramPoint, SeriesId},
        schema::Code,
    },
    util::{layout, sync::Arc},
};
use std::sync::atomic::Ordering::Relaxed;

/// What a sweep is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    /// Number of this tick, wrapping.
    pub(crate) tick: u32,
    /// Number of the tick before.
    pub(crate) before: u32,
    /// Evicted series whose last change is more ticks ago are removed: no frame mentions them.
    pub(crate) forget_after: u32,
    /// Series that nobody holds and whose last change is more ticks ago are evicted.
    pub(crate) evict_after: Option<u32>,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Swept {
    /// Series with a point in the draft.
    pub(crate) points: u64,
    /// Series whose point had to wait for the next tick.
    pub(crate) waiting: u64,
    pub(crate) evicted: u64,
    pub(crate) forgotten: u64,
}

/// The draft and the working memory of the sweep, all charged to the tick.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) draft: Draft,
    fine: Vec<(Code, u64)>,
    spans: Vec<(Code, Code, u64)>,
    ledger: Arc<Ledger>,
}

/// Buckets that the collector has room for from the start.
const FINE: usize = 256;
const SPANS: usize = 16;

/// A foreign word that has counted this much, and grows by `STRIPE_RATE` a tick, is hot.
const STRIPE_FROM: u64 = 1 << 20;
const STRIPE_RATE: u64 = 1 << 16;

impl Collector {
    /// Bytes to reserve before [`Collector::new`].
    pub(crate) const BYTES: usize =
        layout::vec::<(Code, u64)>(FINE) + layout::vec::<(Code, Code, u64)>(SPANS);

    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            draft: Draft::default(),
            fine: Vec::with_capacity(FINE),
            spans: Vec::with_capacity(SPANS),
            ledger,
        }
    }

    /// Gives back a draft that has grown beyond `most` bytes.
    pub(crate) fn shrink(&mut self, most: usize) {
        let held = self.draft.bytes_held();
        if held > most {
            self.draft = Draft::default();
            self.ledger.release(Part::Tick, held);
        }
    }
}

/// Sees to it that `more` elements fit; false: no room.
#[inline]
fn room<T>(items: &mut Vec<T>, more: usize, ledger: &Ledger) -> bool {
    if items.capacity() - items.len() >= more {
        return true;
    }
    let capacity = (items.len() + more).max(layout::grown(items.capacity()));
    if ledger
        .reserve(Part::Tick, layout::vec::<T>(capacity))
        .is_err()
    {
        return false;
    }
    let before = layout::vec::<T>(items.capacity());
    layout::regrow(items, capacity);
    ledger.release(Part::Tick, before);
    true
}

impl Receive for Collector {
    fn bucket(&mut self, code: Code, count: u64) {
        if room(&mut self.fine, 1, &self.ledger) {
            self.fine.push((code, count));
        } else {
            self.span(-Code::MAX, Code::MAX, count);
        }
    }

    fn span(&mut self, from: Code, to: Code, count: u64) {
        if let Some(same) = self.spans.iter_mut().find(|s| (s.0, s.1) == (from, to)) {
            same.2 = same.2.wrapping_add(count);
            return;
        }
        let more = self.spans.len() < MOST_SPANS && room(&mut self.spans, 1, &self.ledger);
        if more {
            self.spans.push((from, to, count));
        } else if let Some(last) = self.spans.last_mut() {
            *last = (last.0.min(from), last.1.max(to), last.2.wrapping_add(count));
        }
    }
}

impl Collector {
    /// Buckets of several cells become one ascending list.
    fn settle(&mut self) {
        if !self.fine.is_sorted_by(|a, b| a.0 < b.0) {
            self.fine.sort_unstable_by_key(|bucket| bucket.0);
            self.fine.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                if same {
                    kept.1 = kept.1.wrapping_add(next.1);
                }
                same
            });
        }
    }

    fn count(&self) -> u64 {
        let fine = self.fine.iter().map(|b| b.1);
        let spans = self.spans.iter().map(|s| s.2);
        fine.chain(spans).fold(0, u64::wrapping_add)
    }

    /// A few bytes are there already; if the whole distribution does not fit, its count stays and its shape goes.
    fn encode(&mut self, count: u64) {
        let bytes = distribution::encoded_len(&self.spans, &self.fine);
        if room(&mut self.draft.bytes, bytes, &self.ledger) {
            distribution::encode(&self.spans, &self.fine, &mut self.draft.bytes);
        } else {
            distribution::encode(
                &[(-Code::MAX, Code::MAX, count)],
                &[],
                &mut self.draft.bytes,
            );
        }
    }
}

/// Bytes of a distribution without its shape.
const SHAPELESS: usize = 32;

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
    registry.begin(sweep.tick);
    registry.visit(|shard, number, range| {
        // The cells are all over the heap. Asking for a batch of them at once, in a loop that does nothing else, has
        // their cache lines come together instead of one after the other.
        let batch = shard.entries.get(range.clone()).unwrap_or_default();
        let warm = batch.iter().map(|entry| match &entry.cells {
            Cells::One(cell) => K::warm(cell),
            _ => 0,
        });
        std::hint::black_box(warm.fold(0, std::ops::BitXor::bitxor));
        for at in range {
            let id = id_of(number, at);
            registry.sweep_one(shard, id, at, sweep, collector, swept);
        }
    });
    registry.bury();
}

/// How a sweep visits one series of a kind.
pub(crate) trait Visit: Kind {
    /// Reads what [`Visit::read`] will read first.
    fn warm(cell: &Self::Cell) -> u64;

    /// Reads what changed into the draft. `None`: no room; what was not read stays for the next tick.
    fn read(entry: &mut Entry<Self>, id: SeriesId, again: bool, to: &mut Collector)
    -> Option<bool>;

    /// A cell is gone for good; what it counted goes to `carry`, or to the series' shared part.
    fn leave(cell: Self::Cell, series: &Series<Self>, carry: &mut u64);

    /// Cells have left: some remain and take over `carry`, or none do and the series is evicted.
    fn settle(entry: &mut Entry<Self>, id: SeriesId, carry: u64, to: &mut Collector);

    /// Whether the draft has room for what [`Visit::settle`] may write.
    fn has_room(to: &mut Collector) -> bool;

    /// An evicted series is removed.
    fn retire(series: &Series<Self>, memory: &Self::Memory);
}

impl<K: Visit> Registry<K> {
    fn sweep_one(
        &self,
        shard: &mut Shard<K>,
        id: SeriesId,
        at: usize,
        sweep: Sweep,
        to: &mut Collector,
        swept: &mut Swept,
    ) {
        let Some(entry) = shard.entries.get_mut(at) else {
            return;
        };
        if let Cells::Free(_) = entry.cells {
            return;
        }
        let age = sweep.tick.wrapping_sub(entry.touched);
        let again = entry.touched == sweep.before;
        match K::read(entry, id, again, to) {
            None => swept.waiting += 1,
            Some(true) => {
                entry.touched = sweep.tick;
                swept.points += 1;
            }
            Some(false) => self.sweep_idle(shard, id, at, sweep, age, to, swept),
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
    ) {
        let Some(entry) = shard.entries.get_mut(at) else {
            return;
        };
        let is_evictable = sweep.evict_after.is_some_and(|after| age > after);
        match &entry.cells {
            Cells::Ghost(series) => {
                if age > sweep.forget_after {
                    K::retire(series, &entry.memory);
                    self.forget(shard, at);
                    swept.forgotten += 1;
                }
            }
            Cells::Many(_) => self.take_apart(entry, id, is_evictable, sweep, to, swept),
            Cells::One(_) => {
                if is_evictable {
                    self.take_apart(entry, id, true, sweep, to, swept);
                }
            }
            Cells::Free(_) => {}
        }
    }

    /// Takes cells out that nobody holds: with `all`, every one, else those whose thread is gone.
    #[cold]
    fn take_apart(
        &self,
        entry: &mut Entry<K>,
        id: SeriesId,
        all: bool,
        sweep: Sweep,
        to: &mut Collector,
        swept: &mut Swept,
    ) {
        let Some(series) = entry.cells.series().cloned() else {
            return;
        };
        if !K::has_room(to) {
            return;
        }
        let mut carry = 0;
        let mut left = false;
        let mut take = |cell: Arc<K::Cell>, left: &mut bool| -> Result<(), Arc<K::Cell>> {
            let cell = self.unwrap_cell(id, cell)?;
            let hung = K::hangs_on(&cell);
            K::leave(cell, &series, &mut carry);
            self.ledger.release(K::HUNG, hung);
            *left = true;
            Ok(())
        };
        entry.cells = match std::mem::replace(&mut entry.cells, Cells::Free(END)) {
            Cells::One(cell) if all && Arc::strong_count(&cell) == 1 => {
                match take(cell, &mut left) {
                    Ok(()) => Cells::Ghost(series.clone()),
                    Err(cell) => Cells::One(cell),
                }
            }
            Cells::Many(mut cells) => {
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
                self.few(cells)
            }
            other => other,
        };
        drop(series);
        if left {
            K::settle(entry, id, carry, to);
            if let Cells::Ghost(series) = &entry.cells {
                self.retract_live(&series.name);
                self.evicted.fetch_add(1, Relaxed);
                entry.touched = sweep.tick;
                swept.evicted += 1;
            }
        }
    }

    /// One cell needs no list.
    #[expect(clippy::box_collection, reason = "as in `Cells`")]
    fn few(&self, mut cells: Box<Vec<Arc<K::Cell>>>) -> Cells<K> {
        if cells.len() > 1 {
            return Cells::Many(cells);
        }
        let Some(cell) = cells.pop() else {
            return Cells::Many(cells);
        };
        let bytes = layout::vec::<Arc<K::Cell>>(cells.capacity()) + size_of::<Vec<Arc<K::Cell>>>();
        drop(cells);
        self.ledger.release(Part::Series, bytes);
        Cells::One(cell)
    }
}

impl Visit for Counter {
    #[inline(always)]
    fn warm(cell: &CounterCell) -> u64 {
        cell.peek()
    }

    #[inline]
    fn read(entry: &mut Entry<Self>, id: SeriesId, _: bool, to: &mut Collector) -> Option<bool> {
        let cells = entry.cells.as_slice();
        if cells.is_empty() {
            return Some(false);
        }
        let reading = counter::read(cells);
        let delta = reading.grown.wrapping_sub(entry.memory.seen);
        if delta == 0 {
            return Some(false);
        }
        let Collector { draft, ledger, .. } = to;
        let fits = room(&mut draft.counters.0, 1, ledger) && room(&mut draft.counters.1, 1, ledger);
        if !fits {
            return None;
        }
        if delta >= STRIPE_RATE {
            hang_stripes(cells, ledger);
        }
        draft.counters.0.push(id);
        draft.counters.1.push(delta);
        entry.memory.seen = reading.grown;
        Some(true)
    }

    fn leave(cell: CounterCell, _: &Series<Self>, carry: &mut u64) {
        *carry = carry.wrapping_add(cell.sum());
    }

    fn settle(entry: &mut Entry<Self>, id: SeriesId, carry: u64, to: &mut Collector) {
        if let Some(cell) = entry.cells.as_slice().first() {
            return cell.absorb(carry);
        }
        let Cells::Ghost(series) = &entry.cells else {
            return;
        };
        let grown = carry.wrapping_add(counter::above_floor(series));
        let delta = grown.wrapping_sub(entry.memory.seen);
        if delta > 0 {
            to.draft.counters.0.push(id);
            to.draft.counters.1.push(delta);
            entry.memory.seen = grown;
        }
    }

    fn has_room(to: &mut Collector) -> bool {
        let Collector { draft, ledger, .. } = to;
        room(&mut draft.counters.0, 1, ledger) && room(&mut draft.counters.1, 1, ledger)
    }

    fn retire(series: &Series<Self>, memory: &Self::Memory) {
        let total = counter::read_ghost(series, memory).total();
        series.name.retired.fetch_add(total, Relaxed);
    }
}

/// Threads that share a handle get lines of their own, where they write a lot.
#[cold]
fn hang_stripes(cells: &[Arc<CounterCell>], ledger: &Ledger) {
    for cell in cells {
        if cell.is_striped() || cell.foreign() < STRIPE_FROM {
            continue;
        }
        let bytes = size_of::<Stripes>();
        if ledger.reserve(Part::Series, bytes).is_ok() && !cell.hang(Box::default()) {
            ledger.release(Part::Series, bytes);
        }
    }
}

impl Visit for Gauge {
    #[inline(always)]
    fn warm(cell: &Self::Cell) -> u64 {
        u64::from(Self::series(cell).shared.is_touched())
    }

    #[inline]
    fn read(entry: &mut Entry<Self>, id: SeriesId, _: bool, to: &mut Collector) -> Option<bool> {
        let Some(series) = entry.cells.series() else {
            return Some(false);
        };
        let memory = &mut entry.memory;
        let is_ghost = matches!(entry.cells, Cells::Ghost(_));
        if memory.last.is_nan() && (is_ghost || series.name.hides(&series.labels)) {
            return Some(false);
        }
        if !Self::has_room(to) {
            return None;
        }
        if is_ghost {
            push_gauge(to, id, GONE, memory);
            return Some(true);
        }
        let now = series.shared.take();
        if now.differs_from(memory.last) {
            push_gauge(to, id, now, memory);
            return Some(true);
        }
        // Set to what it was: nothing to write, and yet in use.
        Some(now.set)
    }

    fn leave(_: Self::Cell, _: &Series<Self>, _: &mut u64) {}

    fn settle(entry: &mut Entry<Self>, id: SeriesId, _: u64, to: &mut Collector) {
        if let Cells::Ghost(series) = &entry.cells {
            // Set since it was read: the value is shown now, and that it is gone in the next tick.
            let now = series.shared.take();
            let late = now.differs_from(entry.memory.last);
            push_gauge(to, id, if late { now } else { GONE }, &mut entry.memory);
        }
    }

    fn has_room(to: &mut Collector) -> bool {
        let Collector { draft, ledger, .. } = to;
        room(&mut draft.gauges.0, 1, ledger) && room(&mut draft.gauges.1, 1, ledger)
    }

    fn retire(_: &Series<Self>, _: &Self::Memory) {}
}

/// What a gauge did that was evicted.
const GONE: GaugeReading = GaugeReading {
    last: f64::NAN,
    min: f64::NAN,
    max: f64::NAN,
    set: false,
};

fn push_gauge(to: &mut Collector, id: SeriesId, now: GaugeReading, memory: &mut GaugeMemory) {
    to.draft.gauges.0.push(id);
    to.draft.gauges.1.push(GaugePoint {
        last: now.last,
        min: now.min,
        max: now.max,
        prev: memory.last,
    });
    memory.last = now.last;
}

impl Visit for Histogram {
    #[inline(always)]
    fn warm(cell: &HistogramCell) -> u64 {
        u64::from(cell.is_touched())
    }

    /// `again`: something changed in the tick before. A record may have been under way then whose news came too early;
    /// it is not missed for a second time.
    fn read(
        entry: &mut Entry<Self>,
        id: SeriesId,
        again: bool,
        to: &mut Collector,
    ) -> Option<bool> {
        let Some(series) = entry.cells.series().cloned() else {
            return Some(false);
        };
        let cells = entry.cells.as_slice();
        let touched =
            again || series.shared.is_touched() || cells.iter().any(|cell| cell.is_touched());
        if !touched {
            return Some(false);
        }
        if !Self::has_room(to) {
            return None;
        }
        to.fine.clear();
        to.spans.clear();
        let mut gathered = Gathered::default();
        for cell in cells {
            gathered.add(cell.gather());
            cell.buckets().drain(to);
        }
        gathered.add(series.shared.gather());
        series.shared.buckets().drain(to);
        to.settle();
        let count = to.count();
        if count == 0 && gathered.is_nothing() {
            return Some(false);
        }
        let memory = &mut entry.memory;
        memory.count = memory.count.wrapping_add(count);
        (memory.sum, memory.rest) = two_sum(memory.sum, memory.rest, gathered.sum);
        to.encode(count);
        let end = u32::try_from(to.draft.bytes.len()).unwrap_or(u32::MAX);
        let (min, max) = gathered.extremes();
        to.draft.histograms.0.push(id);
        to.draft.histograms.1.push(HistogramPoint {
            count,
            sum: gathered.sum,
            min,
            max,
            end,
        });
        Some(true)
    }

    fn leave(cell: HistogramCell, series: &Series<Self>, _: &mut u64) {
        let rest = cell.gather();
        cell.buckets().drain(&mut Remains(series));
        series.shared.take_over(rest);
    }

    fn settle(_: &mut Entry<Self>, _: SeriesId, _: u64, _: &mut Collector) {}

    fn has_room(to: &mut Collector) -> bool {
        let Collector { draft, ledger, .. } = to;
        room(&mut draft.histograms.0, 1, ledger)
            && room(&mut draft.histograms.1, 1, ledger)
            && room(&mut draft.bytes, SHAPELESS, ledger)
    }

    fn retire(_: &Series<Self>, _: &Self::Memory) {}
}

/// What a dead cell had counted since it was read goes to the series' shared part.
struct Remains<'a>(&'a Series<Histogram>);

impl Receive for Remains<'_> {
    fn bucket(&mut self, code: Code, count: u64) {
        let Series { name, shared, .. } = self.0;
        shared.count(name, code, count);
    }

    fn span(&mut self, from: Code, _: Code, count: u64) {
        self.0.shared.buckets().add_coarse(from, count);
    }
}
