//! How a sweep visits one series of each kind.

use super::{
    Counter, Gauge, Histogram,
    buckets::Receive,
    collect::{Collector, room},
    counter::{self, CounterCell, CounterMemory},
    drain::Visit,
    gauge::{self, GaugeMemory, GaugeReading},
    histogram::{HistogramCell, HistogramMemory, two_sum},
    lanes::{HOT, Traffic},
    series::{Cells, Entry, Series},
};
use crate::{
    ledger::{Ledger, Part},
    model::{
        frame::{Draft, GaugePoint, HistogramPoint, SeriesId},
        numbers::Numbers,
        schema::Code,
    },
    util::{prefetch::prefetch, sync::Arc},
};
use std::sync::atomic::Ordering::Relaxed;

/// A foreign word that has counted this much, and grows by `STRIPE_RATE` a tick, is hot.
const STRIPE_FROM: u64 = 1 << 20;
const STRIPE_RATE: u64 = 1 << 16;

/// Bytes of a distribution without its shape.
const SHAPELESS: usize = 32;

impl Visit for Counter {
    #[inline(always)]
    fn prefetch(entry: &Entry<Self>, _: usize) {
        if let Cells::One(_, cell) = &entry.cells {
            prefetch::<CounterCell>(cell);
        }
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
        if !room_for_counter(draft, ledger) {
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

    fn take_over(cell: &CounterCell, carry: u64) {
        cell.absorb(carry);
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
        room_for_counter(&mut to.draft, &to.ledger)
    }

    fn retire(series: &Series<Self>, memory: &Self::Memory) {
        let total = counter::read_ghost(series, memory).total();
        let since = total.wrapping_sub(memory.before);
        series.name.retired.fetch_add(since, Relaxed);
    }

    fn reset(entry: &mut Entry<Self>) {
        entry.memory.before = entry.reading().total();
    }

    fn anew(entry: &Entry<Self>, _: &Ledger) -> CounterMemory {
        let reading = entry.reading();
        CounterMemory {
            seen: reading.grown,
            before: reading.total(),
            since_ms: 0,
        }
    }

    fn stirs(entry: &Entry<Self>) -> bool {
        entry.total() != 0
    }
}

/// Sees to it that one more counter fits; false: no room.
#[inline]
fn room_for_counter(draft: &mut Draft, ledger: &Ledger) -> bool {
    let (ids, deltas) = &mut draft.counters;
    debug_assert!(matches!(deltas, Numbers::Wide(_)), "any number fits");
    let deltas = match deltas {
        Numbers::Narrow(deltas) => room(deltas, 1, ledger),
        Numbers::Wide(deltas) => room(deltas, 1, ledger),
    };
    deltas && room(ids, 1, ledger)
}

/// Threads that share a handle get lines of their own, where they write a lot.
#[cold]
fn hang_stripes(cells: &[Arc<CounterCell>], ledger: &Ledger) {
    for cell in cells {
        if cell.is_striped() || cell.foreign() < STRIPE_FROM {
            continue;
        }
        let bytes = cell.stripes_bytes();
        if ledger.reserve(Part::Series, bytes).is_ok() && !cell.hang(Box::default()) {
            ledger.release(Part::Series, bytes);
        }
    }
}

impl Visit for Gauge {
    #[inline(always)]
    fn prefetch(entry: &Entry<Self>, _: usize) {
        if let Cells::One(series, cell) = &entry.cells {
            prefetch::<Self::Cell>(cell);
            prefetch(&series.shared);
        }
    }

    #[inline]
    fn read(entry: &mut Entry<Self>, id: SeriesId, _: bool, to: &mut Collector) -> Option<bool> {
        let Some(series) = entry.cells.series() else {
            return Some(false);
        };
        let is_dormant = entry.is_dormant();
        let cells = entry.cells.as_slice();
        let memory = &mut entry.memory;
        let is_ghost = matches!(entry.cells, Cells::Ghost(_));
        let is_unused = !is_dormant && series.name.hides(&series.labels);
        if memory.last.is_nan() && (is_ghost || is_unused) {
            return Some(false);
        }
        if !Self::has_room(to) {
            return None;
        }
        if is_ghost {
            push_gauge(to, id, GONE, memory);
            return Some(true);
        }
        if memory.is_hidden {
            if !gauge::is_touched(series, cells) {
                let was_there = !memory.last.is_nan();
                if was_there {
                    push_gauge(to, id, GONE, memory);
                }
                return Some(was_there);
            }
            memory.is_hidden = false;
        }
        let now = gauge::take(series, cells);
        if now.last.is_nan() {
            // Deleted, and not set since.
            return Some(false);
        }
        if now.differs_from(memory.last) {
            push_gauge(to, id, now, memory);
            return Some(true);
        }
        // Set to what it was: nothing to write, and yet in use.
        Some(now.set)
    }

    fn leave(cell: Self::Cell, _: &Series<Self>, _: &mut u64) {
        cell.leave();
    }

    fn settle(entry: &mut Entry<Self>, id: SeriesId, _: u64, to: &mut Collector) {
        if let Cells::Ghost(series) = &entry.cells {
            // Set since it was read: the value is shown now, and that it is gone in the next tick.
            let now = gauge::take(series, &[]);
            let memory = &mut entry.memory;
            if memory.is_hidden && !now.set {
                // It was reset: what is in the cell is no news.
                if !memory.last.is_nan() {
                    push_gauge(to, id, GONE, memory);
                }
                return;
            }
            let late = now.differs_from(memory.last);
            push_gauge(to, id, if late { now } else { GONE }, memory);
        }
    }

    fn has_room(to: &mut Collector) -> bool {
        let Collector { draft, ledger, .. } = to;
        room(&mut draft.gauges.0, 1, ledger) && room(&mut draft.gauges.1, 1, ledger)
    }

    fn retire(_: &Series<Self>, _: &Self::Memory) {}

    fn reset(entry: &mut Entry<Self>) {
        if let Some(series) = entry.cells.series() {
            // What was set before is not news.
            gauge::take(series, entry.cells.as_slice());
        }
        entry.memory.is_hidden = true;
    }

    fn anew(entry: &Entry<Self>, _: &Ledger) -> GaugeMemory {
        if let Some(series) = entry.cells.series() {
            gauge::clear(series, entry.cells.as_slice());
        }
        GaugeMemory::default()
    }

    fn stirs(entry: &Entry<Self>) -> bool {
        !entry.now().is_nan()
    }
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
    /// Directories, and pages.
    const DEPTH: usize = 2;

    #[inline]
    fn prefetch(entry: &Entry<Self>, depth: usize) {
        entry.memory.tally.prefetch(depth + 1);
        match (&entry.cells, depth) {
            (Cells::One(series, cell), 0) => {
                prefetch::<HistogramCell>(cell);
                prefetch(&series.shared);
            }
            (Cells::One(_, cell), _) => cell.owned().buckets().prefetch(depth),
            _ => {}
        }
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
        let lanes = series.shared.lanes();
        let mut hung = lanes.map(|lanes| (lanes, lanes.lock()));
        let touched = again
            || series.shared.is_touched()
            || cells.iter().any(|cell| cell.owned().is_touched())
            || hung.as_ref().is_some_and(|(_, hung)| hung.is_touched());
        if !touched {
            if let Some((lanes, hung)) = &mut hung {
                lanes.tend(hung, Traffic::default(), &to.ledger);
            }
            return Some(false);
        }
        if !Self::has_room(to) {
            return None;
        }
        to.fine.clear();
        to.spans.clear();
        let mut gathered = series.shared.gather();
        series.shared.buckets().drain(to);
        let shared = to.count();
        if let Some((lanes, hung)) = &mut hung {
            let ledger = to.ledger.clone();
            gathered.add(hung.gather(to, &ledger));
            let lanes_too = to.count();
            lanes.tend(
                hung,
                Traffic {
                    shared,
                    lanes: lanes_too - shared,
                },
                &ledger,
            );
        } else if shared >= HOT {
            heat(&series, shared, &to.ledger);
        }
        for cell in cells {
            gathered.add(cell.owned().gather());
            cell.owned().buckets().drain(to);
        }
        to.settle();
        let count = to.count();
        if count == 0 && gathered.is_nothing() {
            return Some(false);
        }
        let memory = &mut entry.memory;
        memory.count = memory.count.wrapping_add(count);
        (memory.sum, memory.rest) = two_sum(memory.sum, memory.rest, gathered.sum);
        let Collector {
            fine,
            spans,
            ledger,
            ..
        } = &*to;
        let name = &series.name;
        memory
            .tally
            .add(&name.fold, name.schema, fine, spans, ledger);
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
        let rest = cell.owned().gather();
        cell.owned().buckets().drain(&mut Remains(series));
        series.shared.take_over(rest);
    }

    fn settle(entry: &mut Entry<Self>, _: SeriesId, _: u64, to: &mut Collector) {
        if let Cells::Ghost(series) = &entry.cells {
            Self::cool(series, &to.ledger);
        }
    }

    fn is_pinned(series: &Series<Self>) -> bool {
        let lanes = series.shared.lanes();
        lanes.is_some_and(|lanes| !lanes.lock().is_empty())
    }

    /// Lanes that nobody uses go after a while.
    fn is_restless(entry: &Entry<Self>) -> bool {
        let series = entry.cells.series();
        series.is_some_and(|series| series.shared.lanes().is_some())
    }

    fn has_room(to: &mut Collector) -> bool {
        let Collector { draft, ledger, .. } = to;
        room(&mut draft.histograms.0, 1, ledger)
            && room(&mut draft.histograms.1, 1, ledger)
            && room(&mut draft.bytes, SHAPELESS, ledger)
    }

    fn retire(_: &Series<Self>, _: &Self::Memory) {}

    fn reset(entry: &mut Entry<Self>) {
        entry.memory = HistogramMemory::default();
    }

    fn anew(entry: &Entry<Self>, ledger: &Ledger) -> HistogramMemory {
        if let Some(series) = entry.cells.series() {
            series.shared.gather();
            series.shared.buckets().drain(&mut Nobody);
            if let Some(lanes) = series.shared.lanes() {
                lanes.lock().gather(&mut Nobody, ledger);
            }
        }
        for cell in entry.cells.as_slice() {
            cell.owned().gather();
            cell.owned().buckets().drain(&mut Nobody);
        }
        HistogramMemory::default()
    }

    fn stirs(entry: &Entry<Self>) -> bool {
        let shared = entry.cells.series().is_some_and(|series| {
            let lanes = series.shared.lanes();
            series.shared.is_touched() || lanes.is_some_and(|lanes| lanes.lock().is_touched())
        });
        let mut cells = entry.cells.as_slice().iter();
        shared || cells.any(|cell| cell.owned().is_touched())
    }

    fn cool(series: &Series<Self>, ledger: &Ledger) {
        if let Some(lanes) = series.shared.lanes() {
            lanes.cool(&mut lanes.lock(), ledger);
        }
    }
}

/// Takes what is counted in a series that starts anew, and forgets it.
struct Nobody;

impl Receive for Nobody {
    fn bucket(&mut self, _: Code, _: u64) {}

    fn span(&mut self, _: Code, _: Code, _: u64) {}
}

/// Threads that share a handle get lanes of their own.
#[cold]
fn heat(series: &Series<Histogram>, shared: u64, ledger: &Ledger) {
    if let Some(lanes) = series.shared.heat(ledger) {
        lanes.tend(&mut lanes.lock(), Traffic { shared, lanes: 0 }, ledger);
    }
}

/// What a dead cell had counted since it was read goes to the series' shared part.
struct Remains<'a>(&'a Series<Histogram>);

impl Receive for Remains<'_> {
    fn bucket(&mut self, code: Code, count: u64) {
        let Series { name, shared, .. } = self.0;
        shared.count(name, code, count);
    }

    fn span(&mut self, from: Code, to: Code, count: u64) {
        self.0.shared.buckets().add_span(from, to, count);
    }
}
