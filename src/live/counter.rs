//! Counter cells: a total that only grows, exact to the last unit.
//!
//! total of a series = floor + sum over its cells of (owned + foreign + stripes). Only the tick adds cells up, and it
//! keeps what it saw last, so writers never reset anything.

use super::{
    name::Grain,
    news::tell,
    series::{Cells, Entry, Kind, Series, UNOWNED},
    stripes::Stripes,
    tee::Teed,
};
use crate::{
    ledger::Part,
    model::MetricKind,
    util::sync::{Arc, AtomicU32, AtomicU64, OnceBox},
};
use metrics::{Key, Metadata, Recorder};
use std::sync::atomic::Ordering::Relaxed;

/// The kind.
#[derive(Debug)]
pub(crate) enum Counter {}

/// What a `metrics::Counter` points to.
///
/// In this order, so that what a record and a tick touch, the counts of the `Arc` in front of it included, lies on one cache
/// line more often than not.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct CounterCell {
    /// Thread that may write `owned`; nobody else ever does. With [`FLOORED`] or [`MILLIONTHS`], nobody does any more.
    owner: AtomicU32,
    told: AtomicU32,
    owned: AtomicU64,
    /// Written by every other thread, while there are no stripes.
    foreign: AtomicU64,
    hung: OnceBox<Hung>,
    series: Arc<Series<Counter>>,
}

/// In `owner`: the series has a floor, as somebody called `absolute`. Its owner counts as all others do then.
const FLOORED: u32 = 1 << 31;

/// In `owner`: the cell counts millionths, so that the facade's whole increments all pass `add_foreign`.
const MILLIONTHS: u32 = 1 << 30;

/// What few cells have.
#[derive(Debug)]
struct Hung {
    /// Hung here by the tick when foreign threads write a lot. From then on the owner writes to a stripe as well, so
    /// that the cell's cache line, which everybody reads, is nobody's to write.
    stripes: OnceBox<Stripes>,
    teed: Option<Teed<Counter>>,
}

/// What `absolute` sets; one a series, never one a thread, or floors would add up.
#[derive(Debug)]
pub(crate) struct Floor {
    /// The greatest value given.
    value: AtomicU64,
    /// The first value given: a baseline, in the total but in no increase. [`UNSET`]: none yet.
    first: AtomicU64,
}

const UNSET: u64 = u64::MAX;

impl Default for Floor {
    fn default() -> Self {
        Self {
            value: AtomicU64::new(0),
            first: AtomicU64::new(UNSET),
        }
    }
}

impl Floor {
    /// (baseline, increase above it)
    fn read(&self) -> (u64, u64) {
        match self.first.load(Relaxed) {
            UNSET => (0, 0),
            first => (first, self.value.load(Relaxed).saturating_sub(first)),
        }
    }
}

/// What the tick saw last.
#[derive(Debug, Default)]
pub(crate) struct CounterMemory {
    /// Everything but the baseline.
    pub(crate) seen: u64,
    /// What the total was when it was reset; part of no total since.
    pub(crate) before: u64,
    /// Since when it counts, in wall milliseconds of the axis: not after its first value, and no more than a tick before.
    pub(crate) since_ms: i64,
}

/// A reading of all cells of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CounterReading {
    /// First value given to `absolute`.
    pub(crate) baseline: u64,
    /// Everything since: what windows may count.
    pub(crate) grown: u64,
}

impl CounterReading {
    pub(crate) fn total(self) -> u64 {
        self.baseline.wrapping_add(self.grown)
    }
}

impl CounterCell {
    /// `me` is the writing thread's id.
    #[inline(always)]
    pub(crate) fn add(&self, value: u64, me: u32) {
        match self.hung.get() {
            None if self.is_owner(me) => self.add_owned(value),
            None => self.add_foreign(value, me),
            Some(hung) => self.add_hung(hung, value, me),
        }
    }

    #[inline(always)]
    fn add_owned(&self, value: u64) {
        let now = self.owned.load(Relaxed);
        self.owned.store(now.wrapping_add(value), Relaxed);
        tell::<Counter>(self);
    }

    #[inline(always)]
    fn is_owner(&self, me: u32) -> bool {
        self.owner.load(Relaxed) == me
    }

    fn is_floored(&self) -> bool {
        self.owner.load(Relaxed) & FLOORED != 0
    }

    #[inline]
    fn add_hung(&self, hung: &Hung, value: u64, me: u32) {
        if self.is_owner(me) && hung.stripes.get().is_none() {
            self.add_owned(value);
        } else {
            self.add_foreign(value, me);
        }
        if let Some(teed) = &hung.teed {
            teed.forward(&self.series, |inner| inner.increment(value));
        }
    }

    fn stripes(&self) -> Option<&Stripes> {
        self.hung.get()?.stripes.get()
    }

    #[inline]
    fn add_foreign(&self, value: u64, me: u32) {
        match self.in_grains(value) {
            Some(grains) => self.add_grains(grains, me),
            None => self.count_odd(),
        }
    }

    /// Adds to what nobody owns.
    #[inline]
    pub(crate) fn add_grains(&self, value: u64, me: u32) {
        match self.stripes() {
            None => self.foreign.fetch_add(value, Relaxed),
            Some(stripes) => stripes.of(me).fetch_add(value, Relaxed),
        };
        tell::<Counter>(self);
    }

    /// The total is at least `value`, in grains: of racing calls the greatest wins, a smaller one changes nothing.
    pub(crate) fn raise_to(&self, value: u64) {
        let floor = &self.series.shared;
        let value = value.min(UNSET - 1);
        if floor.first.load(Relaxed) == UNSET {
            let _ = floor.first.compare_exchange(UNSET, value, Relaxed, Relaxed);
        }
        floor.value.fetch_max(value, Relaxed);
        if !self.is_floored() {
            self.owner.fetch_or(FLOORED, Relaxed);
        }
        tell::<Counter>(self);
    }

    /// So many whole ones; `None`: more than a total can be.
    #[inline]
    fn in_grains(&self, value: u64) -> Option<u64> {
        match self.grain() {
            Grain::Whole => Some(value),
            fine @ Grain::Millionth => value.checked_mul(fine.per_one()),
        }
    }

    /// Somebody gave it what it cannot count.
    pub(crate) fn count_odd(&self) {
        self.series.name.count_odd(1);
    }

    pub(crate) fn grain(&self) -> Grain {
        match self.owner.load(Relaxed) & MILLIONTHS {
            0 => Grain::Whole,
            _ => Grain::Millionth,
        }
    }

    /// What this cell holds.
    #[inline]
    pub(crate) fn sum(&self) -> u64 {
        let striped = self.stripes().map_or(0, Stripes::sum);
        self.owned
            .load(Relaxed)
            .wrapping_add(self.foreign.load(Relaxed))
            .wrapping_add(striped)
    }

    /// What threads other than the owner have written, for the tick to judge whether stripes pay.
    pub(crate) fn foreign(&self) -> u64 {
        self.foreign.load(Relaxed)
    }

    pub(crate) fn is_striped(&self) -> bool {
        self.stripes().is_some()
    }

    /// Bytes to reserve before [`CounterCell::hang`].
    pub(crate) fn stripes_bytes(&self) -> usize {
        let hung = self.hung.get().map_or(size_of::<Hung>(), |_| 0);
        size_of::<Stripes>() + hung
    }

    /// False: there were stripes already, and these are dropped. Only the tick calls it.
    pub(crate) fn hang(&self, stripes: Box<Stripes>) -> bool {
        if let Some(hung) = self.hung.get() {
            return hung.stripes.set(stripes).is_ok();
        }
        let hung = Hung {
            stripes: OnceBox::new(),
            teed: None,
        };
        hung.stripes.set(stripes).is_ok() && self.hung.set(Box::new(hung)).is_ok()
    }

    /// Takes over what a cell held that no longer exists. That cell may have been the only one that knew of the floor.
    pub(crate) fn absorb(&self, value: u64) {
        self.foreign.fetch_add(value, Relaxed);
        if self.series.shared.first.load(Relaxed) != UNSET {
            self.owner.fetch_or(FLOORED, Relaxed);
        }
    }
}

/// Reads all cells of a series; the caller holds the lock of its shard.
#[inline]
pub(crate) fn read(cells: &[Arc<CounterCell>]) -> CounterReading {
    let mut grown = 0u64;
    let mut baseline = 0;
    let mut floored = false;
    for cell in cells {
        grown = grown.wrapping_add(cell.sum());
        floored |= cell.is_floored();
    }
    if floored && let Some(cell) = cells.first() {
        let (first, above) = cell.series.shared.read();
        baseline = first;
        grown = grown.wrapping_add(above);
    }
    CounterReading { baseline, grown }
}

/// What `absolute` has added above its baseline.
pub(crate) fn above_floor(series: &Series<Counter>) -> u64 {
    series.shared.read().1
}

/// Reads an evicted series.
pub(crate) fn read_ghost(series: &Series<Counter>, memory: &CounterMemory) -> CounterReading {
    CounterReading {
        baseline: series.shared.read().0,
        grown: memory.seen,
    }
}

impl Kind for Counter {
    const KIND: MetricKind = MetricKind::Counter;
    const HUNG: Part = Part::Series;
    type Shared = Floor;
    type Cell = CounterCell;
    type Memory = CounterMemory;
    type Handle = metrics::Counter;
    const TEED: usize = size_of::<Hung>();

    fn register(recorder: &dyn Recorder, key: &Key, metadata: &Metadata<'_>) -> metrics::Counter {
        recorder.register_counter(key, metadata)
    }

    fn teed(cell: &CounterCell) -> Option<&Teed<Self>> {
        cell.hung.get()?.teed.as_ref()
    }

    fn cell(owner: u32, series: Arc<Series<Self>>, pin: u32) -> CounterCell {
        let is_floored = series.shared.first.load(Relaxed) != UNSET;
        let owner = match series.name.grain {
            Grain::Whole => owner,
            Grain::Millionth => UNOWNED | MILLIONTHS,
        };
        let hung = OnceBox::new();
        if let Some(tee) = &series.name.tee {
            let teed = Some(Teed::new(tee.clone()));
            let stripes = OnceBox::new();
            // It is empty.
            let _ = hung.set(Box::new(Hung { stripes, teed }));
        }
        CounterCell {
            owner: AtomicU32::new(if is_floored { owner | FLOORED } else { owner }),
            told: AtomicU32::new(pin),
            owned: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            hung,
            series,
        }
    }

    fn owner(cell: &CounterCell) -> u32 {
        cell.owner.load(Relaxed) & !(FLOORED | MILLIONTHS)
    }

    fn told(cell: &CounterCell) -> &AtomicU32 {
        &cell.told
    }

    fn series(cell: &CounterCell) -> &Arc<Series<Self>> {
        &cell.series
    }

    fn begin(memory: &mut CounterMemory, now_ms: i64) {
        memory.since_ms = now_ms;
    }

    fn revive(cell: &CounterCell, memory: &CounterMemory) {
        let (_, above) = cell.series.shared.read();
        cell.absorb(memory.seen.wrapping_sub(above));
    }

    fn hangs_on(cell: &CounterCell) -> usize {
        let Some(hung) = cell.hung.get() else {
            return 0;
        };
        let own = hung.teed.as_ref().map_or(size_of::<Hung>(), |_| 0);
        own + hung.stripes.get().map_or(0, |_| size_of::<Stripes>())
    }

    fn hangs_on_series(_: &Series<Self>) -> usize {
        0
    }
}

#[cfg(not(loom))]
impl metrics::CounterFn for CounterCell {
    #[inline]
    fn increment(&self, value: u64) {
        self.add(value, crate::util::thread::me());
    }

    fn absolute(&self, value: u64) {
        match self.in_grains(value) {
            Some(grains) => self.raise_to(grains),
            None => self.count_odd(),
        }
        if let Some(teed) = Counter::teed(self) {
            teed.forward(&self.series, |inner| inner.absolute(value));
        }
    }
}

impl Entry<Counter> {
    /// What the newest tick had counted, and the baseline.
    pub(crate) fn counted(&self) -> u64 {
        let series = self.cells.series();
        let baseline = series.map_or(0, |series| series.shared.read().0);
        let counted = baseline.wrapping_add(self.memory.seen);
        counted.wrapping_sub(self.memory.before)
    }

    /// Everything that was counted since the start or a reset, live.
    pub(crate) fn total(&self) -> u64 {
        self.reading().total().wrapping_sub(self.memory.before)
    }

    /// As [`Entry::total`], as the last tick saw it.
    pub(crate) fn seen_total(&self) -> u64 {
        let series = self.cells.series();
        let total = series.map_or(0, |series| read_ghost(series, &self.memory).total());
        total.saturating_sub(self.memory.before)
    }

    /// Everything that was ever counted.
    pub(crate) fn reading(&self) -> CounterReading {
        match &self.cells {
            Cells::Ghost(series) => read_ghost(series, &self.memory),
            cells => read(cells.as_slice()),
        }
    }
}
