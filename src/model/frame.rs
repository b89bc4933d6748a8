//! What one tick, or one point of a coarse tier, hands to history: columns, one set a kind, sorted by series id.
//!
//! Only series that changed in it have a point. An absent counter or histogram point is zero; an absent gauge
//! point means that the gauge still has its last value.

use super::numbers::Numbers;

/// Names a series inside the store: the number of its shard in the upper six bits, its place there in the next, its
/// retention class in the lowest [`CLASS_BITS`]. Never given to another series while any frame that mentions it exists.
pub(crate) type SeriesId = u32;

/// Retention classes; class 0 is the default.
pub(crate) const CLASSES: usize = 1 << CLASS_BITS;

pub(crate) const CLASS_BITS: u32 = 2;

/// The retention class of a series: for as long as it has its id, the same.
#[inline]
pub(crate) const fn class_of(id: SeriesId) -> usize {
    id as usize % CLASSES
}

/// When a tick was: nanoseconds on the axis, and the axis in wall milliseconds at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start_ns: u64,
    /// `>= start_ns`; equal only for a tick before the clock first moved.
    pub(crate) end_ns: u64,
    pub(crate) wall_ms: i64,
}

impl Span {
    pub(crate) fn duration_ns(&self) -> u64 {
        self.end_ns - self.start_ns
    }
}

/// What one gauge did in one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GaugePoint {
    /// The value when the tick ended; NaN: the series was evicted, and has no value from here on.
    pub(crate) last: f64,
    /// Extremes of the values set since the tick before, and of `last`.
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// The value before this tick; NaN: there was none.
    pub(crate) prev: f64,
}

/// What the values of one gauge at the ends of the ticks of a coarse point add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Total {
    pub(crate) sum: f64,
    /// Ticks at whose end the gauge had a value.
    pub(crate) count: u64,
}

/// What one histogram received in one tick, but for its buckets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HistogramPoint {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// `min > max` when the extremes fell into a neighbouring tick.
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// End of its buckets in `Draft::bytes`; they start where the point before ends.
    pub(crate) end: u32,
}

/// The histogram point in row `at`, with its encoded buckets.
pub(crate) fn row<'a>(
    points: &[HistogramPoint],
    bytes: &'a [u8],
    at: usize,
) -> Option<(HistogramPoint, &'a [u8])> {
    let point = *points.get(at)?;
    let start = match at.checked_sub(1) {
        Some(before) => points.get(before)?.end as usize,
        None => 0,
    };
    Some((point, bytes.get(start..point.end as usize)?))
}

/// Columns that grow, and are used again for the next tick.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) counters: (Vec<SeriesId>, Numbers),
    /// In coarse tiers, for each counter: the most that it rose by in one tick, as if the tick had lasted as long as the
    /// resolution. Else empty.
    pub(crate) peaks: Numbers,
    pub(crate) gauges: (Vec<SeriesId>, Vec<GaugePoint>),
    /// In coarse tiers, for each gauge. Else empty.
    pub(crate) totals: Vec<Total>,
    pub(crate) histograms: (Vec<SeriesId>, Vec<HistogramPoint>),
    /// Buckets of all histogram points, as `codec::distribution` writes them.
    pub(crate) bytes: Vec<u8>,
}

impl Draft {
    /// Of narrow numbers, for as long as there are no wide ones.
    pub(crate) fn narrow() -> Self {
        Self {
            counters: (Vec::new(), Numbers::narrow()),
            peaks: Numbers::narrow(),
            ..Self::default()
        }
    }

    /// Bytes of what is in it.
    pub(crate) fn len_bytes(&self) -> usize {
        let ids = self.counters.0.len() + self.gauges.0.len() + self.histograms.0.len();
        ids * size_of::<SeriesId>()
            + self.counters.1.bytes()
            + self.peaks.bytes()
            + size_of_val(&*self.gauges.1)
            + size_of_val(&*self.totals)
            + size_of_val(&*self.histograms.1)
            + self.bytes.len()
    }

    /// Bytes that it holds.
    pub(crate) fn bytes_held(&self) -> usize {
        let ids =
            self.counters.0.capacity() + self.gauges.0.capacity() + self.histograms.0.capacity();
        ids * size_of::<SeriesId>()
            + self.counters.1.bytes_held()
            + self.peaks.bytes_held()
            + self.gauges.1.capacity() * size_of::<GaugePoint>()
            + self.totals.capacity() * size_of::<Total>()
            + self.histograms.1.capacity() * size_of::<HistogramPoint>()
            + self.bytes.capacity()
    }

    /// The histogram point in row `at`.
    pub(crate) fn histogram_at(&self, at: usize) -> Option<(HistogramPoint, &[u8])> {
        row(&self.histograms.1, &self.bytes, at)
    }

    pub(crate) fn clear(&mut self) {
        self.counters.0.clear();
        self.counters.1.clear();
        self.peaks.clear();
        self.gauges.0.clear();
        self.gauges.1.clear();
        self.totals.clear();
        self.histograms.0.clear();
        self.histograms.1.clear();
        self.bytes.clear();
    }
}
