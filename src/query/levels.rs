//! What gauges did over some points, added up: extremes, means, quantiles, changes.

use super::{
    aggregation::Aggregation,
    answer::{Bucket, Stats, Trend},
    gauge_walk::Level,
    line::{self, Dot},
    question::Reading,
    scatter::{quantile, std_dev},
};
use crate::codec::segment::Row;

/// What gauges did over some points.
#[derive(Default)]
pub(super) struct Levels {
    count: u64,
    sum: f64,
    /// Sum of the means of the points, each times the share of its time in [`Levels::whole`], and of these shares.
    weighted: f64,
    time: f64,
    /// At least the nanoseconds of all points of all gauges, and a power of two, so that shares are exact.
    whole: f64,
    /// Extremes of the values at the ends of ticks, and of all.
    ends: Option<(f64, f64)>,
    extremes: Option<(f64, f64)>,
    /// What all gauges together changed by, if any has a value.
    change: Option<f64>,
    /// Nanoseconds of all points.
    covered_ns: u64,
    /// A point of these is several ticks.
    is_coarse: bool,
    /// Means of the points with their ticks, as many as there was made room for: none, unless a quantile is asked for.
    samples: Vec<(f64, u32)>,
    /// Of each point: twice its middle, the sum of the gauges' means, and its ticks; none, unless a line is asked for.
    sums: Vec<(u128, f64, u32)>,
}

/// What a question needs beside sums and extremes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    /// All values.
    Samples,
    /// The sum of all gauges in each point.
    Sums,
}

impl Levels {
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    pub(super) fn new(covered_ns: u64, points: usize, members: usize, need: Need) -> Self {
        let whole_ns = u128::from(covered_ns) * members as u128;
        let room = |wanted: Need, n: usize| if need == wanted { n } else { 0 };
        Self {
            whole: whole_ns.max(1).next_power_of_two() as f64,
            covered_ns,
            samples: Vec::with_capacity(room(Need::Samples, points * members)),
            sums: Vec::with_capacity(room(Need::Sums, points)),
            ..Self::default()
        }
    }

    /// Adds to the sum of the point at `place`; points come in order, once for each gauge.
    pub(super) fn add_to_point(&mut self, place: usize, level: Level, row: Row) {
        if place >= self.sums.len() && self.sums.len() < self.sums.capacity() {
            let middle = u128::from(row.start_ns) + u128::from(row.end_ns);
            // NaN: no gauge has a value there.
            self.sums.push((middle, f64::NAN, row.ticks));
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a point has fewer ticks than 2^53"
        )]
        if level.count > 0
            && let Some((_, sum, _)) = self.sums.get_mut(place)
        {
            let mean = level.sum / level.count as f64;
            *sum = if sum.is_nan() { mean } else { *sum + mean };
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a point is shorter than 2^53 ns, and has fewer ticks"
    )]
    pub(super) fn add(&mut self, level: Level, ns: u64, is_coarse: bool) {
        self.is_coarse |= is_coarse;
        if level.count > 0 {
            let share = ns as f64 / self.whole;
            let (mean, ends) = match level.count {
                1 => (level.sum, (level.sum, level.sum)),
                n => (level.sum / n as f64, (level.min, level.max)),
            };
            self.count += level.count;
            self.sum += level.sum;
            self.weighted += mean * share;
            self.time += share;
            self.ends = Some(stretch(self.ends, ends.0, ends.1));
            if self.samples.len() < self.samples.capacity() {
                let ticks = u32::try_from(level.count).unwrap_or(u32::MAX);
                self.samples.push((mean, ticks));
            }
        }
        if level.min <= level.max {
            self.extremes = Some(stretch(self.extremes, level.min, level.max));
        }
    }

    /// Adds what one gauge changed by to that of others.
    pub(super) fn add_change(&mut self, by: f64) {
        self.change = Some(self.change.unwrap_or(0.0) + by);
    }

    pub(super) fn min(&self) -> Option<f64> {
        self.extremes.map(|e| e.0)
    }

    pub(super) fn max(&self) -> Option<f64> {
        self.extremes.map(|e| e.1)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> Option<f64> {
        (self.count > 0).then_some(self.sum)
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
    pub(super) fn avg(&self) -> Option<f64> {
        let (least, most) = self.ends?;
        let mean = if self.time > 0.0 {
            self.weighted / self.time
        } else {
            self.sum / self.count as f64
        };
        // Sums round: the mean of a constant would come back as its neighbour.
        Some(mean.clamp(least, most))
    }

    pub(super) fn quantile(&mut self, q: f64) -> Option<f64> {
        quantile(&mut self.samples, q)
    }

    pub(super) fn std_dev(&self) -> Option<f64> {
        std_dev(|| self.samples.iter().copied())
    }

    pub(super) fn change(&self) -> Option<f64> {
        self.change
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate is a float")]
    pub(super) fn rate(&self) -> Option<f64> {
        let change = self.change.filter(|_| self.covered_ns > 0)?;
        Some(change / (self.covered_ns as f64 / 1e9))
    }

    pub(super) fn trend(&self) -> Option<Trend> {
        let sums = self.sums.iter().filter(|(_, sum, _)| !sum.is_nan());
        let dots = sums.map(|(middle, sum, ticks)| {
            let seconds = line::seconds(*middle);
            (seconds, *sum, f64::from(*ticks))
        });
        let dots: Vec<Dot> = dots.collect();
        line::through(&dots)
    }

    pub(super) fn stats(&mut self, coverage: f64) -> Option<Stats> {
        Some(Stats {
            count: self.count,
            sum: self.sum()?,
            min: self.min()?,
            max: self.max()?,
            avg: self.avg()?,
            median: self.quantile(0.5)?,
            std_dev: self.std_dev()?,
            p90: self.quantile(0.9)?,
            p95: self.quantile(0.95)?,
            p99: self.quantile(0.99)?,
            coverage,
        })
    }

    /// `n` ranges of equal width from the least to the greatest value at the end of a tick.
    #[expect(clippy::cast_precision_loss, reason = "there are few buckets")]
    pub(super) fn buckets(&self, n: usize) -> Option<Vec<Bucket>> {
        let values = || self.samples.iter().map(|sample| sample.0);
        let low = values().reduce(f64::min)?;
        let high = values().reduce(f64::max)?;
        // Halves, so that no difference is too large.
        let width = (high / 2.0 - low / 2.0) / n as f64 * 2.0;
        let n = if width > 0.0 { n } else { 1 };
        let bound = |at: usize| {
            if at == n {
                high
            } else {
                low + width * at as f64
            }
        };
        let mut buckets: Vec<Bucket> = (0..n)
            .map(|at| Bucket {
                from: bound(at),
                to: bound(at + 1),
                count: 0,
            })
            .collect();
        for (value, times) in &self.samples {
            let at = buckets.partition_point(|bucket| bucket.to < *value);
            if let Some(bucket) = buckets.get_mut(at) {
                bucket.count += u64::from(*times);
            }
        }
        Some(buckets)
    }

    #[expect(clippy::cast_precision_loss, reason = "an answer is a float")]
    pub(super) fn reading(&mut self, aggregation: Aggregation) -> Option<Reading> {
        let exact = |value: Option<f64>| Some(Reading::exact(value?));
        match aggregation {
            Aggregation::Min => exact(self.min()),
            Aggregation::Max => exact(self.max()),
            Aggregation::Avg => exact(self.avg()),
            Aggregation::Sum => exact(self.sum()),
            Aggregation::Count => exact(Some(self.count as f64)),
            Aggregation::Change => exact(self.change()),
            Aggregation::Rate => exact(self.rate()),
            Aggregation::Trend => exact(self.trend().map(|trend| trend.slope)),
            Aggregation::StdDev => Some(exact(self.std_dev())?.partial_if(self.is_coarse)),
            other => Some(exact(self.quantile(other.quantile()?))?.partial_if(self.is_coarse)),
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.count == 0 && self.extremes.is_none()
    }
}

/// Extremes that take in another pair.
fn stretch(extremes: Option<(f64, f64)>, min: f64, max: f64) -> (f64, f64) {
    extremes.map_or((min, max), |(low, high)| (low.min(min), high.max(max)))
}
