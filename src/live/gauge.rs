//! Gauge cells: the last value of all threads, and the extremes since the last tick, so that a spike between two ticks
//! is seen.
//!
//! There is one value, which whoever sets it last decides. Extremes are apart: the owner of a cell keeps its own there, as
//! a single writer, and all others share some beside the value.

use super::{
    extremes::{self, Extremes},
    news::tell,
    series::{Entry, Kind, Series},
    tee::Teed,
};
use crate::{
    ledger::Part,
    model::MetricKind,
    util::{
        order::{key_of, value_of},
        sync::{Arc, AtomicU32, AtomicU64},
    },
};
use metrics::{Key, Metadata, Recorder};
use std::sync::atomic::Ordering::Relaxed;

/// The kind.
#[derive(Debug)]
pub(crate) enum Gauge {}

/// What a `metrics::Gauge` points to. The value is the series'; a cell of its own spares a thread the contended count
/// of references, and atomic operations for extremes.
#[derive(Debug)]
pub(crate) struct GaugeCell {
    /// Thread that may write `extremes` as its single writer.
    owner: u32,
    told: AtomicU32,
    extremes: Extremes,
    series: Arc<Series<Gauge>>,
    teed: Option<Box<Teed<Gauge>>>,
}

/// The value, and its extremes but for those in cells.
#[derive(Debug)]
pub(crate) struct Level {
    /// Bits of an f64. NaN, and then [`NOTHING`]: the gauge was deleted and not set since; nobody else writes NaN.
    value: AtomicU64,
    extremes: Extremes,
}

impl Default for Level {
    fn default() -> Self {
        Self {
            value: AtomicU64::new(0f64.to_bits()),
            extremes: Extremes::default(),
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
    fn now(&self) -> f64 {
        f64::from_bits(self.value.load(Relaxed))
    }

    /// The sum; `None`: it is not a number, and nothing was changed.
    fn add(&self, by: f64) -> Option<f64> {
        let mut now = self.value.load(Relaxed);
        loop {
            let mut next = f64::from_bits(now) + by;
            if next.is_nan() {
                // Nothing starts at zero. Whoever has a number on both sides does not come here.
                next = by;
                if now != NOTHING || by.is_nan() {
                    return None;
                }
            }
            match self
                .value
                .compare_exchange_weak(now, next.to_bits(), Relaxed, Relaxed)
            {
                Ok(_) => return Some(next),
                Err(seen) => now = seen,
            }
        }
    }
}

/// Whether a gauge was set since the last tick.
#[inline]
pub(super) fn is_touched(series: &Series<Gauge>, cells: &[Arc<GaugeCell>]) -> bool {
    let own = || cells.iter().any(|cell| cell.extremes.is_touched());
    series.shared.extremes.is_touched() || own()
}

/// Reads value and extremes, and starts the extremes anew. Extremes first: a value that is set in between is in `last` now,
/// and in the next tick's extremes.
#[inline]
pub(super) fn take(series: &Series<Gauge>, cells: &[Arc<GaugeCell>]) -> GaugeReading {
    let own = cells.iter().map(|cell| &cell.extremes);
    let all = std::iter::once(&series.shared.extremes).chain(own);
    let (mut lowest, mut highest) = (i64::MAX, i64::MIN);
    for extremes in all.filter(|extremes| extremes.is_any()) {
        let taken = extremes.take();
        (lowest, highest) = (lowest.min(taken.0), highest.max(taken.1));
    }
    let last = series.shared.now();
    if (lowest, highest) == (i64::MAX, i64::MIN) {
        return GaugeReading {
            last,
            min: last,
            max: last,
            set: false,
        };
    }
    let key = key_of(last);
    GaugeReading {
        last,
        min: value_of(lowest.min(key)),
        max: value_of(highest.max(key)),
        set: true,
    }
}

/// The gauge was deleted. The value alone decides whether a write that comes at the same time was before the delete or
/// after it; of one that was after, the extremes may be lost, and of one that was before, they may come later.
pub(super) fn clear(series: &Series<Gauge>, cells: &[Arc<GaugeCell>]) {
    series.shared.value.store(NOTHING, Relaxed);
    take(series, cells);
}

impl GaugeCell {
    /// `me` is the writing thread's id.
    #[inline]
    pub(crate) fn set_to(&self, value: f64, me: u32) {
        if value.is_nan() {
            return self.series.name.count_odd(1);
        }
        self.series.shared.value.store(value.to_bits(), Relaxed);
        self.stretch(value, me);
        tell::<Gauge>(self);
    }

    #[inline]
    pub(crate) fn add(&self, by: f64, me: u32) {
        match self.series.shared.add(by) {
            Some(value) => {
                self.stretch(value, me);
                tell::<Gauge>(self);
            }
            None => self.series.name.count_odd(1),
        }
    }

    #[inline(always)]
    fn stretch(&self, value: f64, me: u32) {
        let key = key_of(value);
        if self.owner == me {
            self.extremes.stretch_owned(key);
        } else {
            self.series.shared.extremes.stretch(key);
        }
    }

    /// The cell is gone: the extremes that it has left are everybody's.
    pub(super) fn leave(&self) {
        if self.extremes.is_any() {
            let (lowest, highest) = self.extremes.take();
            for key in extremes::keys(lowest, highest) {
                self.series.shared.extremes.stretch(key);
            }
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
            extremes: Extremes::default(),
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
        self.add(value, crate::util::thread::me());
        if let Some(teed) = &self.teed {
            teed.forward(&self.series, |inner| inner.increment(value));
        }
    }

    fn decrement(&self, value: f64) {
        self.add(-value, crate::util::thread::me());
        if let Some(teed) = &self.teed {
            teed.forward(&self.series, |inner| inner.decrement(value));
        }
    }

    #[inline]
    fn set(&self, value: f64) {
        self.set_to(value, crate::util::thread::me());
        if let Some(teed) = &self.teed {
            teed.forward(&self.series, |inner| inner.set(value));
        }
    }
}

impl Entry<Gauge> {
    /// The value, live; NaN: evicted, or reset or deleted and not set since.
    pub(crate) fn now(&self) -> f64 {
        let cells = self.cells.as_slice();
        let Some(cell) = cells.first() else {
            return f64::NAN;
        };
        let is_shown = !self.memory.is_hidden || is_touched(&cell.series, cells);
        if is_shown {
            cell.series.shared.now()
        } else {
            f64::NAN
        }
    }
}
