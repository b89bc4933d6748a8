//! What one series did in one point, as plain values: for readers of frames, and for engines that ask in their own way.

use crate::{
    codec::{buckets, distribution, histograms::Chunk},
    model::{
        frame::{GaugePoint, HistogramPoint},
        schema::{Code, Schema},
    },
};
use std::{collections::BTreeMap, ops::Range};

/// What one counter did in one point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CounterSample {
    /// Increments from the start until the end of the point. Of a counter that was reset: those that history has.
    pub total: u64,
    /// Increments in the point.
    pub increase: u64,
}

/// What one gauge did in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct GaugeSample {
    /// The value when the tick ended; `None`: the series was evicted, and has no value from here on.
    pub value: Option<f64>,
    /// The least of the values set since the tick before, and of `value`.
    pub min: Option<f64>,
    /// The greatest of them.
    pub max: Option<f64>,
}

/// What one histogram received in one tick: a sparse histogram with the buckets of Prometheus' native ones.
///
/// Bucket `i` holds values from above `b^(i - 1)` up to and with `b^i`, where `b` is 2 to the power of `2^-scale`; of
/// negative values, the same with their signs turned.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HistogramSample {
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The least of them; `None`: it is only known together with that of a neighbouring tick.
    pub min: Option<f64>,
    /// The greatest of them; `None`: as `min`.
    pub max: Option<f64>,
    /// How fine the buckets are: `2^scale` to an octave; from 0 to 8.
    pub scale: u8,
    /// Values that are zero, or too small for a bucket.
    pub zero: u64,
    /// Buckets of positive values that are not empty, with their counts, ascending.
    pub positive: Vec<(i32, u64)>,
    /// Buckets of negative values that are not empty, by magnitude, ascending.
    pub negative: Vec<(i32, u64)>,
    /// Of `count`, so many were counted without a bucket of their own for want of memory; they stand in the middle one of
    /// the few that they may be in.
    pub blurred: u64,
}

/// `None` for NaN.
fn known(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

impl GaugeSample {
    pub(crate) fn new(value: f64, min: f64, max: f64) -> Self {
        Self {
            value: known(value),
            min: known(min),
            max: known(max),
        }
    }
}

impl From<GaugePoint> for GaugeSample {
    fn from(point: GaugePoint) -> Self {
        Self::new(point.last, point.min, point.max)
    }
}

impl HistogramSample {
    /// An empty one.
    pub(crate) fn new(scale: u8) -> Self {
        Self {
            scale,
            ..Self::default()
        }
    }

    /// A point of a frame, with its packed buckets.
    pub(crate) fn of(point: HistogramPoint, packed: &[u8], scale: u8) -> Self {
        let mut sample = Self::new(scale);
        sample.head(point.sum, point.min, point.max);
        let (spans, fine) = distribution::split(packed);
        for (low, high, count) in spans {
            sample.add_span(low, high, count);
        }
        buckets::for_each(fine, |code, count| sample.add(code, count));
        sample.settle();
        sample
    }

    /// Some points of a chunk, with their rows.
    pub(crate) fn of_chunk(
        chunk: &Chunk<'_>,
        rows: Range<usize>,
        scale: u8,
    ) -> BTreeMap<usize, Self> {
        let mut samples = BTreeMap::new();
        chunk.heads(rows.clone(), |row, head| {
            let mut sample = Self::new(scale);
            sample.head(head.sum, head.min, head.max);
            samples.insert(row, sample);
        });
        chunk.cells(rows.clone(), |row, code, count| {
            if let Some(sample) = samples.get_mut(&row) {
                sample.add(code, count);
            }
        });
        chunk.spans(rows, |row, low, high, count| {
            if let Some(sample) = samples.get_mut(&row) {
                sample.add_span(low, high, count);
            }
        });
        for sample in samples.values_mut() {
            sample.settle();
        }
        samples
    }

    pub(crate) fn head(&mut self, sum: f64, min: f64, max: f64) {
        self.sum = sum;
        if min <= max && min.is_finite() && max.is_finite() {
            (self.min, self.max) = (Some(min), Some(max));
        }
    }

    /// Adds to the bucket of a code.
    pub(crate) fn add(&mut self, code: Code, count: u64) {
        self.count = self.count.wrapping_add(count);
        let index = code
            .saturating_abs()
            .saturating_add(Schema::get(self.scale).min_index());
        match code {
            0 => self.zero = self.zero.wrapping_add(count),
            1.. => self.positive.push((index, count)),
            _ => self.negative.push((index, count)),
        }
    }

    /// Adds what lies somewhere between two codes.
    pub(crate) fn add_span(&mut self, low: Code, high: Code, count: u64) {
        self.blurred = self.blurred.wrapping_add(count);
        self.add(i32::midpoint(low, high), count);
    }

    /// Buckets ascend, each is there once, and none is empty.
    pub(crate) fn settle(&mut self) {
        for side in [&mut self.positive, &mut self.negative] {
            side.sort_unstable();
            side.dedup_by(|next, one| {
                let same = next.0 == one.0;
                if same {
                    one.1 = one.1.wrapping_add(next.1);
                }
                same
            });
            side.retain(|(_, count)| *count > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_numbered_as_native_histograms_number_them() {
        for scale in 0..=8 {
            let schema = Schema::get(scale);
            for (value, index) in [(1.0, 0), (2.0, 1 << scale), (0.5, -(1 << scale))] {
                let mut sample = HistogramSample::new(scale);
                sample.add(schema.code(value).unwrap_or(0), 3);
                sample.add(schema.code(-value).unwrap_or(0), 2);
                assert_eq!(sample.positive, [(index, 3)], "{value} at schema {scale}");
                assert_eq!(sample.negative, [(index, 2)], "{value} at schema {scale}");
            }
        }
    }

    #[test]
    fn equal_buckets_are_one_and_empty_ones_none() {
        let mut sample = HistogramSample::new(0);
        sample.add(1030, 1);
        sample.add(1025, 0);
        sample.add_span(1028, 1032, 2);
        sample.settle();
        assert_eq!(
            (sample.positive.len(), sample.count, sample.blurred),
            (1, 3, 2)
        );
        assert_eq!(sample.positive.first().map(|bucket| bucket.1), Some(3));
    }
}
