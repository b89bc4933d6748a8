//! What one series does over the points of a segment, as bytes.

use super::{Bucket, Span};
use crate::codec::{
    compile::Compiler,
    counters, gauges,
    histograms::{self, Head},
    rows,
};
use std::ops::Range;

/// Points that a chunk may have.
pub const MOST_POINTS: usize = rows::MOST_ROWS;

/// A counter as bytes, with its peaks if there are any, and how many bytes were foretold.
#[must_use]
pub fn encode_counter(increments: &[u64], peaks: Option<&[u64]>) -> (Vec<u8>, usize) {
    let plan = match peaks {
        Some(peaks) => counters::Plan::with_peaks(increments, peaks),
        None => counters::Plan::new(increments),
    };
    let mut bytes = Vec::new();
    plan.write(increments, peaks.unwrap_or_default(), &mut bytes);
    (bytes, plan.encoded_len())
}

/// The increments of as many points.
pub fn read_counter(bytes: &[u8], increments: &mut [u64]) {
    counters::read(bytes, increments);
}

/// The increments and the peaks of as many points.
pub fn read_counter_with_peaks(bytes: &[u8], increments: &mut [u64], peaks: &mut [u64]) {
    counters::read_with_peaks(bytes, increments, peaks);
}

/// A gauge as bytes, its last, least and greatest values and in coarse tiers the sums and numbers of its values; and how
/// many bytes were foretold.
#[must_use]
pub fn encode_gauge(
    [last, min, max]: [&[f64]; 3],
    totals: Option<(&[f64], &[u64])>,
) -> (Vec<u8>, usize) {
    let points = gauges::Points {
        last,
        min,
        max,
        totals,
    };
    let plan = gauges::Plan::new(&points);
    let mut bytes = Vec::new();
    plan.write(&points, &mut bytes);
    (bytes, plan.encoded_len())
}

/// The last, least and greatest values of as many points.
pub fn read_gauge(bytes: &[u8], [last, min, max]: [&mut [f64]; 3]) {
    gauges::read(bytes, last, min, max);
}

/// The last, least and greatest values, sums and numbers of as many points.
pub fn read_coarse_gauge(bytes: &[u8], columns: [&mut [f64]; 4], count: &mut [u64]) {
    gauges::read_coarse(bytes, columns, count);
}

/// What a histogram received in one point: sum, least and greatest value; buckets; spans.
pub type Received = ([f64; 3], Vec<Bucket>, Vec<Span>);

/// A histogram as bytes, and how many bytes were foretold.
#[must_use]
pub fn encode_histogram(scale: u8, points: &[Option<Received>]) -> (Vec<u8>, usize) {
    let mut compiler = Compiler::new(scale);
    for point in points {
        match point {
            Some(([sum, min, max], buckets, spans)) => {
                let (sum, min, max) = (*sum, *min, *max);
                let (buckets, spans) = (buckets.iter().copied(), spans.iter().copied());
                compiler.add(Head { sum, min, max }, buckets, spans);
            }
            None => compiler.skip(),
        }
    }
    let plan = compiler.plan();
    let mut bytes = Vec::new();
    compiler.write(&plan, &mut bytes);
    (bytes, plan.encoded_len())
}

/// A histogram's bytes, opened.
#[derive(Debug)]
pub struct Histogram<'a>(histograms::Chunk<'a>);

impl<'a> Histogram<'a> {
    /// Of so many points; `None`: nothing was recorded.
    #[must_use]
    pub fn open(bytes: &'a [u8], n: usize) -> Option<Self> {
        histograms::Chunk::open(bytes, n).map(Self)
    }

    /// The schema of its codes.
    #[must_use]
    pub fn scale(&self) -> u8 {
        self.0.scale()
    }

    /// The lowest and the highest code.
    #[must_use]
    pub fn codes(&self) -> Option<(i32, i32)> {
        self.0.codes()
    }

    /// Point, and sum, least and greatest value.
    pub fn heads(&self, points: Range<usize>, mut f: impl FnMut(usize, [f64; 3])) {
        self.0.heads(points, |point, head| {
            f(point, [head.sum, head.min, head.max]);
        });
    }

    /// Point, code and count.
    pub fn cells(&self, points: Range<usize>, f: impl FnMut(usize, i32, u64)) {
        self.0.cells(points, f);
    }

    /// Point, lowest and highest code, and count.
    pub fn spans(&self, points: Range<usize>, f: impl FnMut(usize, i32, i32, u64)) {
        self.0.spans(points, f);
    }

    /// Adds to `counts`, the first of which has the code `base`.
    pub fn add(&self, points: Range<usize>, base: i32, counts: &mut [u64]) -> u64 {
        self.0.add(points, base, counts)
    }
}
