//! Two neighbouring points as one: ticks that the clock did not separate, and parts of one coarse point.

use super::frame::Frame;
use crate::{
    codec::{buckets, distribution, gauges::times},
    model::{
        frame::{Draft, GaugePoint, HistogramPoint, SeriesId, Total},
        numbers::Numbers,
    },
    util::layout,
};

/// Most bytes that both take as one, with the unpacked buckets of any one histogram.
pub(super) fn most_bytes(frame: &Frame, draft: &Draft) -> usize {
    // A bucket takes at least two bytes packed, and sixteen unpacked; both sides and their union exist at once, and a
    // list that grows is up to three times as long as what is in it.
    let packed = longest(&frame.histograms.1) + longest(&draft.histograms.1);
    let most = Lengths::of_both(frame, draft);
    packed.saturating_mul(8 * 3).saturating_add(most.bytes())
}

/// Bytes of the longest of packed histograms.
fn longest(points: &[HistogramPoint]) -> usize {
    let mut start = 0;
    let lengths = points.iter().map(|point| {
        let end = point.end as usize;
        end - std::mem::replace(&mut start, end)
    });
    lengths.max().unwrap_or(0)
}

/// Everything of `frame` and then everything of `draft`, which are made of so many ticks.
pub(crate) fn merge(frame: &Frame, draft: &Draft, ticks: (u32, u32)) -> Draft {
    let mut merged = Lengths::of_both(frame, draft).columns();
    let (ids, deltas) = &mut merged.counters;
    join(&frame.counters.0, &draft.counters.0, |id, a, b| {
        let number = |numbers: &Numbers, at: Option<usize>| numbers.get(at?);
        let delta = |numbers: &Numbers, at| number(numbers, at).unwrap_or(0);
        ids.push(id);
        deltas.push(delta(&frame.counters.1, a).wrapping_add(delta(&draft.counters.1, b)));
        let peak = number(&frame.peaks, a).max(number(&draft.peaks, b));
        if let Some(peak) = peak {
            merged.peaks.push(peak);
        }
    });
    let (ids, points) = &mut merged.gauges;
    join(&frame.gauges.0, &draft.gauges.0, |id, a, b| {
        let total = |totals: &[Total], at: Option<usize>| totals.get(at?).copied();
        let totals = (total(&frame.totals, a), total(&draft.totals, b));
        let a = a.map(|at| frame.gauges.1[at]);
        let b = b.map(|at| draft.gauges.1[at]);
        ids.push(id);
        let held_by = |value: Option<f64>, ticks| value.map(|value| held_for(value, ticks));
        merged.totals.extend(match totals {
            (None, None) => None,
            (first, then) => {
                let first = first.or(held_by(b.map(|b| b.prev), ticks.0));
                let then = then.or(held_by(a.map(|a| a.last), ticks.1));
                Some(add(first.unwrap_or_default(), then.unwrap_or_default()))
            }
        });
        points.extend(match (a, b) {
            (Some(a), Some(b)) => Some(gauge(a, b)),
            (None, Some(b)) => Some(gauge(held(b.prev), b)),
            (a, None) => a,
        });
    });
    join(&frame.histograms.0, &draft.histograms.0, |id, a, b| {
        let a = a.and_then(|at| frame.histogram_at(at));
        let b = b.and_then(|at| draft.histogram_at(at));
        let sides = [a, b].into_iter().flatten();
        let point = histogram(sides, &mut merged.bytes);
        merged.histograms.0.push(id);
        merged.histograms.1.push(point);
    });
    merged
}

/// How long the columns of both together are at most.
struct Lengths {
    counters: usize,
    peaks: usize,
    gauges: usize,
    totals: usize,
    histograms: usize,
    /// Two buckets that become one take no more bytes than they did.
    bytes: usize,
}

impl Lengths {
    fn of_both(frame: &Frame, draft: &Draft) -> Self {
        Self {
            counters: frame.counters.0.len() + draft.counters.0.len(),
            peaks: frame.peaks.len() + draft.peaks.len(),
            gauges: frame.gauges.0.len() + draft.gauges.0.len(),
            totals: frame.totals.len() + draft.totals.len(),
            histograms: frame.histograms.0.len() + draft.histograms.0.len(),
            bytes: frame.bytes.len() + draft.bytes.len(),
        }
    }

    /// Columns that need not grow.
    fn columns(&self) -> Draft {
        fn ids(n: usize) -> Vec<SeriesId> {
            Vec::with_capacity(n)
        }
        Draft {
            counters: (ids(self.counters), Numbers::with_capacity(self.counters)),
            peaks: Numbers::with_capacity(self.peaks),
            gauges: (ids(self.gauges), Vec::with_capacity(self.gauges)),
            totals: Vec::with_capacity(self.totals),
            histograms: (ids(self.histograms), Vec::with_capacity(self.histograms)),
            bytes: Vec::with_capacity(self.bytes),
        }
    }

    /// Bytes of these.
    fn bytes(&self) -> usize {
        let ids = self.counters + self.gauges + self.histograms;
        layout::vec::<SeriesId>(ids)
            + layout::vec::<u64>(self.counters + self.peaks)
            + layout::vec::<GaugePoint>(self.gauges)
            + layout::vec::<Total>(self.totals)
            + layout::vec::<HistogramPoint>(self.histograms)
            + self.bytes
    }
}

/// Walks two ascending lists; `both` gets every id once, with its place in each.
fn join(a: &[u32], b: &[u32], mut both: impl FnMut(u32, Option<usize>, Option<usize>)) {
    let (mut in_a, mut in_b) = (0, 0);
    while let Some(id) = a.get(in_a).into_iter().chain(b.get(in_b)).min().copied() {
        let (left, right) = (a.get(in_a) == Some(&id), b.get(in_b) == Some(&id));
        both(id, left.then_some(in_a), right.then_some(in_b));
        in_a += usize::from(left);
        in_b += usize::from(right);
    }
}

/// What a gauge did that kept its value; NaN: there was none.
fn held(value: f64) -> GaugePoint {
    GaugePoint {
        last: value,
        min: value,
        max: value,
        prev: value,
    }
}

/// What a gauge adds up to that kept its value for so many ticks.
fn held_for(value: f64, ticks: u32) -> Total {
    let count = if value.is_nan() { 0 } else { u64::from(ticks) };
    Total {
        sum: times(value, count),
        count,
    }
}

fn add(first: Total, then: Total) -> Total {
    Total {
        sum: (first.sum + then.sum).clamp(f64::MIN, f64::MAX),
        count: first.count + then.count,
    }
}

fn gauge(first: GaugePoint, then: GaugePoint) -> GaugePoint {
    GaugePoint {
        last: then.last,
        // `min` and `max` of floats leave NaN out: a gauge that was evicted keeps what it was before.
        min: first.min.min(then.min),
        max: first.max.max(then.max),
        prev: first.prev,
    }
}

fn histogram<'a>(
    sides: impl Iterator<Item = (HistogramPoint, &'a [u8])>,
    bytes: &mut Vec<u8>,
) -> HistogramPoint {
    let mut spans = Vec::new();
    let mut fine = Vec::new();
    let mut point = HistogramPoint {
        count: 0,
        sum: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        end: 0,
    };
    for (side, packed) in sides {
        point.count = point.count.wrapping_add(side.count);
        point.sum = (point.sum + side.sum).clamp(f64::MIN, f64::MAX);
        if side.min <= side.max {
            point.min = point.min.min(side.min);
            point.max = point.max.max(side.max);
        }
        let (coarse, packed) = distribution::split(packed);
        coarse.for_each(|span| distribution::add_span(&mut spans, span, |_| true));
        buckets::for_each(packed, |code, count| fine.push((code, count)));
    }
    buckets::settle(&mut fine);
    distribution::encode(&spans, &fine, bytes);
    point.end = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    point
}
