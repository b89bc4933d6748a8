//! Histogram cells: what a thread records into, and the series' shared part for everyone else.
//!
//! The owner's part has a single writer: its buckets only grow, and the tick keeps what it saw of them. The shared
//! part is written with atomic additions, and the tick takes what is in it. A record that overlaps a tick may put its
//! bucket, its sum and its extremes into neighbouring ticks; nothing is lost.

use super::{
    buckets::Buckets,
    extremes::{self, Extremes},
    lanes::{LaneCell, Lanes},
    name::Name,
    news::tell,
    series::{Kind, Series},
    tally::Tally,
    tee::Teed,
};
use crate::{
    ledger::{Ledger, Part},
    model::{
        MetricKind,
        schema::{Code, Schema},
    },
    util::{
        order::{key_of, value_of},
        sync::{Arc, AtomicU32, AtomicU64, OnceBox},
    },
};
use metrics::{Key, Metadata, Recorder};
use std::sync::atomic::Ordering::Relaxed;

/// The kind.
#[derive(Debug)]
pub(crate) enum Histogram {}

/// What a `metrics::Histogram` points to.
#[derive(Debug)]
pub(crate) struct HistogramCell {
    /// Thread that may write `owned` as its single writer.
    owner: u32,
    told: AtomicU32,
    schema: &'static Schema,
    owned: Owned,
    series: Arc<Series<Histogram>>,
    teed: Option<Box<Teed<Histogram>>>,
}

/// The single writer's part.
#[derive(Debug, Default)]
pub(crate) struct Owned {
    buckets: Buckets,
    hot: Hot,
}

/// What the owner writes with every value: a cache line of its own, since every thread that holds the handle reads the
/// rest of the cell.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Hot {
    /// Bits of two f64: their sum is the sum of all values, as one float of twice the precision.
    sum: AtomicU64,
    rest: AtomicU64,
    /// The two as the tick saw them last; only the tick reads and writes them.
    seen: [AtomicU64; 2],
    extremes: Extremes,
}

/// The part for every thread.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    buckets: Buckets,
    /// Bits of an f64: sum of the values since the last tick.
    sum: AtomicU64,
    extremes: Extremes,
    /// Hung here by the tick when threads that share a handle write a lot.
    lanes: OnceBox<Lanes>,
}

/// Totals of a series since its start, and what is needed to take over an evicted cell.
#[derive(Debug, Default)]
pub(crate) struct HistogramMemory {
    pub(crate) count: u64,
    /// Sum of all values, in twice the precision.
    pub(crate) sum: f64,
    pub(crate) rest: f64,
    /// By bucket, for exposition.
    pub(crate) tally: Tally,
    /// As a counter's.
    pub(crate) since_ms: i64,
}

/// What was recorded since the last tick, but for the buckets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathered {
    pub(crate) sum: f64,
    /// Keys of the extremes; [`i64::MAX`] and [`i64::MIN`]: none. There may be one without the other.
    lowest: i64,
    highest: i64,
}

impl Default for Gathered {
    fn default() -> Self {
        Self {
            sum: 0.0,
            lowest: i64::MAX,
            highest: i64::MIN,
        }
    }
}

impl Gathered {
    pub(crate) fn add(&mut self, other: Gathered) {
        self.sum = within(self.sum + other.sum);
        self.lowest = self.lowest.min(other.lowest);
        self.highest = self.highest.max(other.highest);
    }

    /// A record that overlaps a tick may leave only a part of itself to the next one.
    pub(crate) fn is_nothing(&self) -> bool {
        self.sum == 0.0 && self.keys().count() == 0
    }

    /// The least and the greatest value that is known; without any, the first is above the second.
    pub(crate) fn extremes(&self) -> (f64, f64) {
        let none = (f64::INFINITY, f64::NEG_INFINITY);
        let values = self.keys().map(value_of);
        values.fold(none, |(min, max), value| (min.min(value), max.max(value)))
    }

    fn keys(&self) -> impl Iterator<Item = i64> {
        extremes::keys(self.lowest, self.highest)
    }
}

/// `sum + rest + value` as a sum and a rest, exactly (Knuth's two-sum). A sum that would leave the floats stays at their end.
pub(crate) fn two_sum(sum: f64, rest: f64, value: f64) -> (f64, f64) {
    let next = sum + value;
    if !next.is_finite() {
        return (within(next), rest);
    }
    add_exactly(sum, rest, value, next)
}

/// The nearest float that is finite.
fn within(sum: f64) -> f64 {
    sum.clamp(f64::MIN, f64::MAX)
}

/// `next` is `sum + value`, and finite.
#[inline(always)]
fn add_exactly(sum: f64, rest: f64, value: f64, next: f64) -> (f64, f64) {
    let back = next - sum;
    let lost = (sum - (next - back)) + (value - back);
    (next, rest + lost)
}

impl Owned {
    /// The usual case: one positive value, whose bucket has been touched before. False: it is not, and nothing was done.
    #[inline(always)]
    pub(crate) fn record_one(&self, code: Code, value: f64) -> bool {
        let Some(word) = self.buckets.near_word(code) else {
            return false;
        };
        let next = word.load(Relaxed).wrapping_add(1);
        let sum = f64::from_bits(self.hot.sum.load(Relaxed));
        // Asked before anything is done: a call in the middle would cost every record its registers.
        if next == 0 || (sum + value).abs() > f64::MAX {
            return false;
        }
        word.store(next, Relaxed);
        let rest = f64::from_bits(self.hot.rest.load(Relaxed));
        let (sum, rest) = add_exactly(sum, rest, value, sum + value);
        self.hot.sum.store(sum.to_bits(), Relaxed);
        self.hot.rest.store(rest.to_bits(), Relaxed);
        self.hot.extremes.stretch_owned(key_of(value));
        true
    }

    #[inline]
    fn record(&self, name: &Name, code: Code, value: f64, count: u64, weight: f64) {
        if !self.record_fine(name, code, value, count, weight) {
            self.buckets.add_coarse(code, count);
            self.add_value(value, weight);
        }
    }

    /// False: there is no room for the bucket's page, and nothing was done.
    pub(crate) fn record_fine(
        &self,
        name: &Name,
        code: Code,
        value: f64,
        count: u64,
        weight: f64,
    ) -> bool {
        let known = self.buckets.find(code);
        let Some(place) = known.or_else(|| self.buckets.touch(&name.ledger, code)) else {
            return false;
        };
        place.add_owned(&self.buckets, &name.ledger, code, count);
        self.add_value(value, weight);
        true
    }

    #[inline]
    fn add_value(&self, value: f64, weight: f64) {
        let (sum, rest) = two_sum(
            f64::from_bits(self.hot.sum.load(Relaxed)),
            f64::from_bits(self.hot.rest.load(Relaxed)),
            within(value * weight),
        );
        self.hot.sum.store(sum.to_bits(), Relaxed);
        self.hot.rest.store(rest.to_bits(), Relaxed);
        self.hot.extremes.stretch_owned(key_of(value));
    }

    pub(crate) fn is_touched(&self) -> bool {
        self.hot.extremes.is_touched()
    }

    pub(crate) fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    pub(crate) fn gather(&self) -> Gathered {
        let (lowest, highest) = self.hot.extremes.take();
        let [seen_sum, seen_rest] = &self.hot.seen;
        let grown = |word: &AtomicU64, seen: &AtomicU64| {
            let now = word.load(Relaxed);
            f64::from_bits(now) - f64::from_bits(seen.swap(now, Relaxed))
        };
        // From one end of the floats to the other is further than a float can say.
        let sum = grown(&self.hot.sum, seen_sum) + grown(&self.hot.rest, seen_rest);
        Gathered {
            sum: within(sum),
            lowest,
            highest,
        }
    }
}

impl Shared {
    #[inline]
    fn record(&self, name: &Name, code: Code, value: f64, count: u64, weight: f64) {
        self.count(name, code, count);
        self.add_sum(within(value * weight));
        self.extremes.stretch(key_of(value));
    }

    /// Counts without a value.
    #[inline]
    pub(crate) fn count(&self, name: &Name, code: Code, count: u64) {
        match self.buckets.find(code) {
            Some(place) => place.add_shared(&self.buckets, &name.ledger, code, count),
            None => self.miss(name, code, count),
        }
    }

    /// Takes over sum and extremes of a cell that no longer exists.
    pub(crate) fn take_over(&self, rest: Gathered) {
        if rest.sum != 0.0 {
            self.add_sum(rest.sum);
        }
        for key in rest.keys() {
            self.extremes.stretch(key);
        }
    }

    #[inline]
    fn add_sum(&self, by: f64) {
        let mut now = self.sum.load(Relaxed);
        loop {
            let next = within(f64::from_bits(now) + by);
            match self
                .sum
                .compare_exchange_weak(now, next.to_bits(), Relaxed, Relaxed)
            {
                Ok(_) => break,
                Err(seen) => now = seen,
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn miss(&self, name: &Name, code: Code, count: u64) {
        match self.buckets.touch(&name.ledger, code) {
            Some(place) => place.add_shared(&self.buckets, &name.ledger, code, count),
            None => self.buckets.add_coarse(code, count),
        }
    }

    pub(crate) fn is_touched(&self) -> bool {
        self.extremes.is_touched()
    }

    pub(crate) fn gather(&self) -> Gathered {
        let (lowest, highest) = self.extremes.take();
        Gathered {
            sum: f64::from_bits(self.sum.swap(0, Relaxed)),
            lowest,
            highest,
        }
    }

    pub(crate) fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    pub(crate) fn lanes(&self) -> Option<&Lanes> {
        self.lanes.get()
    }

    /// As [`Shared::lanes`], and makes what lanes hang on. Only the tick calls it. `None`: no room.
    pub(crate) fn heat(&self, ledger: &Ledger) -> Option<&Lanes> {
        if !Lanes::have_room(ledger) {
            return None;
        }
        ledger.reserve(Part::Pages, Lanes::BYTES).ok()?;
        if self.lanes.set(Box::new(Lanes::new())).is_err() {
            ledger.release(Part::Pages, Lanes::BYTES);
        }
        self.lanes.get()
    }
}

impl HistogramCell {
    /// Records `value` once; `me` is the writing thread's id.
    #[inline]
    pub(crate) fn put_one(&self, value: f64, me: u32) {
        match self.schema.positive(value) {
            Some(code) if self.owner == me => {
                if self.owned.record_one(code, value) {
                    tell::<Histogram>(self);
                } else {
                    self.put(value, 1, me);
                }
            }
            Some(code) => self.put_further(code, value, me),
            None => self.put(value, 1, me),
        }
    }

    /// Through a handle that another thread made.
    #[inline(never)]
    fn put_further(&self, code: Code, value: f64, me: u32) {
        #[cfg(not(loom))]
        if let Some(lanes) = self.series.shared.lanes()
            && super::threads::in_lane(lanes, |lane| lane.record_one(code, value))
        {
            return tell::<Histogram>(self);
        }
        #[cfg(loom)]
        let _ = code;
        self.put(value, 1, me);
    }

    /// Records `value` `count` times; `me` is the writing thread's id.
    #[inline(never)]
    pub(crate) fn put(&self, value: f64, count: u64, me: u32) {
        #[cfg(not(loom))]
        self.put_by(value, count, me, super::threads::in_own_lane);
        #[cfg(loom)]
        self.put_by(value, count, me, |_, _| false);
    }

    /// `in_lane` calls what it is given with the thread's lane; false: there is none, or no room in it.
    #[inline(always)]
    pub(crate) fn put_by(
        &self,
        value: f64,
        count: u64,
        me: u32,
        in_lane: impl FnOnce(&Lanes, &dyn Fn(&LaneCell) -> bool) -> bool,
    ) {
        let name = &*self.series.name;
        let Some(code) = self.schema.code(value) else {
            return name.count_odd(count);
        };
        #[expect(clippy::cast_precision_loss, reason = "a weight above 2^53 rounds")]
        let weight = count as f64;
        if self.owner == me {
            self.owned.record(name, code, value, count, weight);
        } else {
            let shared = &self.series.shared;
            let record = |lane: &LaneCell| lane.record(name, code, value, count, weight);
            if !shared.lanes().is_some_and(|lanes| in_lane(lanes, &record)) {
                shared.record(name, code, value, count, weight);
            }
        }
        tell::<Histogram>(self);
    }

    pub(crate) fn owned(&self) -> &Owned {
        &self.owned
    }
}

impl Kind for Histogram {
    const KIND: MetricKind = MetricKind::Histogram;
    const HUNG: Part = Part::Pages;
    type Shared = Shared;
    type Cell = HistogramCell;
    type Memory = HistogramMemory;
    type Handle = metrics::Histogram;
    const TEED: usize = size_of::<Teed<Self>>();

    fn register(recorder: &dyn Recorder, key: &Key, metadata: &Metadata<'_>) -> metrics::Histogram {
        recorder.register_histogram(key, metadata)
    }

    fn teed(cell: &HistogramCell) -> Option<&Teed<Self>> {
        cell.teed.as_deref()
    }

    fn cell(owner: u32, series: Arc<Series<Self>>, pin: u32) -> HistogramCell {
        let teed = series.name.tee.as_ref();
        let teed = teed.map(|tee| Box::new(Teed::new(tee.clone())));
        HistogramCell {
            owner,
            told: AtomicU32::new(pin),
            schema: series.name.schema,
            owned: Owned::default(),
            series,
            teed,
        }
    }

    fn owner(cell: &HistogramCell) -> u32 {
        cell.owner
    }

    fn series(cell: &HistogramCell) -> &Arc<Series<Self>> {
        &cell.series
    }

    fn told(cell: &HistogramCell) -> &AtomicU32 {
        &cell.told
    }

    fn begin(memory: &mut HistogramMemory, now_ms: i64) {
        memory.since_ms = now_ms;
    }

    fn revive(_: &HistogramCell, _: &HistogramMemory) {}

    fn hangs_on(cell: &HistogramCell) -> usize {
        cell.owned.buckets.bytes()
    }

    fn hangs_on_series(series: &Series<Self>) -> usize {
        let Shared { buckets, lanes, .. } = &series.shared;
        buckets.bytes() + lanes.get().map_or(0, Lanes::bytes)
    }
}

#[cfg(not(loom))]
impl metrics::HistogramFn for HistogramCell {
    #[inline]
    fn record(&self, value: f64) {
        self.put_one(value, crate::util::thread::me());
        if let Some(teed) = &self.teed {
            teed.forward(&self.series, |inner| inner.record(value));
        }
    }

    fn record_many(&self, value: f64, count: usize) {
        if count > 0 {
            self.put(value, count as u64, crate::util::thread::me());
            if let Some(teed) = &self.teed {
                teed.forward(&self.series, |inner| inner.record_many(value, count));
            }
        }
    }
}
