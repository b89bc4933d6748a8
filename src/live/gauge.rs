//! Gauge cells: the last value of all threads, and the extremes since the last tick, so that a spike between two ticks
//! is seen.

use super::{
    news::tell,
    series::{Entry, Kind, Series},
    tee::Teed,
};
use crate::{
    ledger::Part,
    model::MetricKind,
    util::{
        order::{key_of, value_of},
        sync::{Arc, AtomicI64, AtomicU32, AtomicU64},
    },
};
use metrics::{Key, Metadata, Recorder};
use std::sync::atomic::Ordering::Relaxed;

/// The kind.
#[derive(Debug)]
pub(crate) enum Gauge {}

/// What a `metrics::Gauge` points to. The value is the series'; a cell of its own spares a thread the contended count
/// of references.
#[derive(Debug)]
pub(crate) struct GaugeCell {
    owner: u32,
    told: AtomicU32,
    series: Arc<Series<Gauge>>,
    teed: Option<Box<Teed<Gauge>>>,
}

/// The value and its extremes.
#[derive(Debug)]
pub(crate) struct Level {
    /// Bits of an f64. NaN, and then [`NOTHING`]: the gauge was deleted and not set since; nobody else writes NaN.
    value: AtomicU64,
    /// Smallest value set since the last tick, as an integer of the same order; [`i64::MAX`]: none.
    lowest: AtomicI64,
    /// Greatest; [`i64::MIN`]: none.
    highest: AtomicI64,
}

impl Default for Level {
    fn default() -> Self {
        Self {
            value: AtomicU64::new(0f64.to_bits()),
            lowest: AtomicI64::new(i64::MAX),
            highest: AtomicI64::new(i64::MIN),
        }
    }
}

/// The value of a gauge that was deleted: none to show, and zero to what adds to it.
const NOTHING: u64 = f64::NAN.to_bits();

/// What the tick saw last.
#[derive(Debug)]
pub(crate) struct GaugeMemory {
    /// NaN: nothing yet, or evicted.
    pub(crate) last: f64,
    /// Reset: what the cell holds is not the gauge's value until somebody sets it.
    pub(crate) is_hidden: bool,
}

impl Default for GaugeMemory {
    fn default() -> Self {
        Self {
            last: f64::NAN,
            is_hidden: false,
        }
    }
}

/// What a gauge did since the last tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GaugeReading {
    pub(crate) last: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Whether anybody set it since the last tick, to whatever value.
    pub(crate) set: bool,
}

impl GaugeReading {
    /// Whether there is something to tell of a gauge that was at `last`.
    #[inline]
    pub(crate) fn differs_from(&self, last: f64) -> bool {
        self.last.to_bits() != last.to_bits() || self.min < self.last || self.max > self.last
    }
}

impl Level {
    /// NaN: deleted, and not set since.
    #[inline]
    pub(crate) fn now(&self) -> f64 {
        f64::from_bits(self.value.load(Relaxed))
    }

    #[inline]
    fn set(&self, value: f64) {
        self.value.store(value.to_bits(), Relaxed);
        self.stretch(value);
    }

    /// False: the sum is not a number, and nothing was changed.
    fn add(&self, by: f64) -> bool {
        let mut now = self.value.load(Relaxed);
        loop {
            let mut next = f64::from_bits(now) + by;
            if next.is_nan() {
                // Nothing starts at zero. Whoever has a number on both sides does not come here.
                next = by;
                if now != NOTHING || by.is_nan() {
                    return false;
                }
            }
            match self
                .value
                .compare_exchange_weak(now, next.to_bits(), Relaxed, Relaxed)
            {
                Ok(_) => {
                    self.stretch(next);
                    return true;
                }
                Err(seen) => now = seen,
            }
        }
    }

    #[inline]
    fn stretch(&self, value: f64) {
        let key = key_of(value);
        if key < self.lowest.load(Relaxed) {
            self.lowest.fetch_min(key, Relaxed);
        }
        if key > self.highest.load(Relaxed) {
            self.highest.fetch_max(key, Relaxed);
        }
    }

    /// Whether it was set since the last tick.
    pub(crate) fn is_touched(&self) -> bool {
        self.highest.load(Relaxed) != i64::MIN
    }

    /// The gauge was deleted. The value alone decides whether a write that comes at the same time was before the delete or
    /// after it; of one that was after, the extremes may be lost, and of one that was before, they may come later.
    pub(super) fn clear(&self) {
        self.value.store(NOTHING, Relaxed);
        self.take();
    }

    /// Reads value and extremes, and starts the extremes anew. Extremes first: a value that is set in between is in
    /// `last` now, and in the next tick's extremes.
    pub(crate) fn take(&self) -> GaugeReading {
        let untouched =
            self.highest.load(Relaxed) == i64::MIN && self.lowest.load(Relaxed) == i64::MAX;
        if untouched {
            let last = self.now();
            return GaugeReading {
                last,
                min: last,
                max: last,
                set: false,
            };
        }
        let lowest = self.lowest.swap(i64::MAX, Relaxed);
        let highest = self.highest.swap(i64::MIN, Relaxed);
        let last = self.now();
        let key = key_of(last);
        GaugeReading {
            last,
            min: value_of(lowest.min(key)),
            max: value_of(highest.max(key)),
            set: true,
        }
    }
}

impl GaugeCell {
    #[inline]
    pub(crate) fn set_to(&self, value: f64) {
        if value.is_nan() {
            return self.series.name.count_odd(1);
        }
        self.series.shared.set(value);
        tell::<Gauge>(self);
    }

    #[inline]
    pub(crate) fn add(&self, by: f64) {
        if self.series.shared.add(by) {
            tell::<Gauge>(self);
        } else {
            self.series.name.count_odd(1);
        }
    }
}

impl Kind for Gauge {
    const KIND: MetricKind = MetricKind::Gauge;
    const HUNG: Part = Part::Series;
    type Shared = Level;
    type Cell = GaugeCell;
    type Memory = GaugeMemory;
    type Handle = metrics::Gauge;
    const TEED: usize = size_of::<Teed<Self>>();

    fn register(recorder: &dyn Recorder, key: &Key, metadata: &Metadata<'_>) -> metrics::Gauge {
        recorder.register_gauge(key, metadata)
    }

    fn teed(cell: &GaugeCell) -> Option<&Teed<Self>> {
        cell.teed.as_deref()
    }

    fn cell(owner: u32, series: Arc<Series<Self>>, pin: u32) -> GaugeCell {
        let teed = series.name.tee.as_ref();
        let teed = teed.map(|tee| Box::new(Teed::new(tee.clone())));
        GaugeCell {
            owner,
            told: AtomicU32::new(pin),
            series,
            teed,
        }
    }

    fn owner(cell: &GaugeCell) -> u32 {
        cell.owner
    }

    fn series(cell: &GaugeCell) -> &Arc<Series<Self>> {
        &cell.series
    }

    fn told(cell: &GaugeCell) -> &AtomicU32 {
        &cell.told
    }

    fn revive(_: &GaugeCell, _: &GaugeMemory) {}

    fn hangs_on(_: &GaugeCell) -> usize {
        0
    }

    fn hangs_on_series(_: &Series<Self>) -> usize {
        0
    }
}

#[cfg(not(loom))]
impl metrics::GaugeFn for GaugeCell {
    fn increment(&self, value: f64) {
        self.add(value);
        if let Some(teed) = &self.teed {
            teed.forward(&self.series, |inner| inner.increment(value));
        }
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
        if let Some(teed) = &self.teed {
            teed.forward(&self.series, |inner| inner.decrement(value));
        }
    }

    #[inline]
    fn set(&self, value: f64) {
        self.set_to(value);
        if let Some(teed) = &self.teed {
            teed.forward(&self.series, |inner| inner.set(value));
        }
    }
}

impl Entry<Gauge> {
    /// The value, live; NaN: evicted, or reset or deleted and not set since.
    pub(crate) fn now(&self) -> f64 {
        let cell = self.cells.as_slice().first();
        let level = cell.map(|cell| &cell.series.shared);
        let shown = level.filter(|level| !self.memory.is_hidden || level.is_touched());
        shown.map_or(f64::NAN, Level::now)
    }
}
